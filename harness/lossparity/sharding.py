"""The parts of a run that several machines share: which questions each has, worked out from the questions alone."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lossparity.errors import UsageError
from lossparity.plans import Question

__all__ = ["Shard", "names_hash"]

_WRITTEN = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")
# What a question costs before its first element: a call, a gradient and their judging, in elements.
_EACH = 10_000


@dataclass(frozen=True)
class Shard:
    """Part `number` of so many, counted from 1.

    Who has which question depends on nothing but the questions: neither on the machine nor on what is installed there.
    The formats of a case stay together: what explains a failure in 16 bits is told by the one in float32.
    """

    number: int
    of: int

    def __str__(self) -> str:
        """Return it as it is written, `2/4`."""
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `2/4`; UsageError where it is no part."""
        written = _WRITTEN.fullmatch(text)
        number, of = map(int, written.groups()) if written else (0, 0)
        if not 1 <= number <= of:
            raise UsageError(f"--shard {text} is no part of a run", hint="I/N, from 1/N to N/N: --shard 2/4")
        return cls(number, of)

    def share(self, questions: Sequence[Question]) -> list[Question]:
        """Return this part of the questions, in their order; every case, in all its formats, is in exactly one part.

        The dearest case is dealt first, to the part that has the least so far. Those that compiled modes run too are
        dealt before the rest, as evenly by number, for there compiling is what takes the time.
        """
        cost: Counter[tuple[bool, str]] = Counter()
        for one in questions:
            # Of a question that is not kept: it holds its arrays.
            cost[not one.case.compiled, one.case.id] += _EACH + Question(one.case, one.format).elements
        load, compiled = [0] * self.of, [0] * self.of
        mine: set[str] = set()
        for (plain, case), dear in sorted(cost.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
            least = min(range(self.of), key=lambda part: (0 if plain else compiled[part], load[part]))
            load[least] += dear
            compiled[least] += not plain
            if least == self.number - 1:
                mine.add(case)
        return [one for one in questions if one.case.id in mine]


def names_hash(questions: Sequence[Question]) -> str:
    """Return the SHA-256, in hex, of which questions these are, by the ids of their cases and their formats."""
    return hashlib.sha256("\n".join(sorted(f"{q.case.id}/{q.format}" for q in questions)).encode()).hexdigest()
