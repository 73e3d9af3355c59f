"""What passing results tell of a diagnosis: which explanations they contradict, and what is kept between calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lossparity.diagnosis.candidates import Explained, predicted
from lossparity.diagnosis.seen import Seen
from lossparity.plans import Finding, Question

__all__ = ["Passes"]

# Of how many elements at most results are kept, how many are asked, and how many contradictions are enough.
_SMALL, _MOST, _ENOUGH = 256, 200, 3
# How many results of a kind are kept at most, more than the built-in cases have: a run may be as long as it likes.
_KEPT, _KEPT_BITS = 4096, 1 << 14


@dataclass(eq=False)
class Passes:
    """The passing results of one backend, those of small inputs."""

    _by_case: dict[tuple[str, str], Seen] = field(default_factory=dict)
    _by_kind: dict[tuple[str, str], list[Seen]] = field(default_factory=dict)
    _by_bits: dict[tuple[object, ...], bytes] = field(default_factory=dict)

    def remember(self, question: Question, finding: Finding, *, flushed: bool) -> None:
        """Keep a passing result."""
        got, answer = finding.got, finding.answer
        if got is None or answer is None or question.first.data.size > _SMALL:
            return
        seen = Seen(got, answer, flushed, None)
        # One format of each case tells apart what passes and what should not have.
        if len(self._by_case) < _KEPT:
            self._by_case.setdefault((question.case.id, finding.quantity), seen)
        alike = self._by_kind.setdefault((finding.quantity, question.format), [])
        if len(alike) < _KEPT:
            alike.append(seen)
        if len(self._by_bits) < _KEPT_BITS:
            self._by_bits.setdefault(_bits(seen), question.first.data.tobytes())

    def contradicted(self, explained: Iterable[Explained], kinds: Iterable[tuple[str, str]] = ()) -> int:
        """Count the passing results that are not what an explanation predicts, up to a few; 0 of what predicts nothing.

        `explained` are explanations by one id; of the ways in which its mistake is made the least contradicted counts.
        `kinds` are the quantities and formats that passing results are taken of, one of each case when empty.
        """
        theirs = list(explained)
        ways = {way for one in theirs for way in one.ways}
        passes = [seen for kind in kinds for seen in self._by_kind.get(kind, ())] or list(self._by_case.values())
        some = passes[:: 1 + len(passes) // _MOST]
        return min((_contradictions(theirs[0].id, way, some) for way in ways), default=0)

    def holds(self, question: Question, seen: Seen) -> bool:
        """Whether a result is bit for bit the right one of other logits.

        Where the logits are the same, it is rather a keyword or a target that has no effect.
        """
        if not np.all(np.isfinite(seen.numbers)) or not np.any(seen.numbers):
            return False
        earlier = self._by_bits.get(_bits(seen))
        return earlier is not None and earlier != question.first.data.tobytes()


def _contradictions(name: str, way: int, passes: Iterable[Seen]) -> int:
    count = 0
    for seen in passes:
        predict = dict(predicted(seen.answer, name)).get(way)
        numbers = predict() if predict else None
        if numbers is not None and not seen.agrees(numbers):
            count += 1
            if count == _ENOUGH:
                break
    return count


def _bits(seen: Seen) -> tuple[object, ...]:
    return seen.answer.quantity, seen.got.format, seen.got.shape, seen.got.data.tobytes()
