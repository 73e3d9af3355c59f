"""Explains failures one by one, and says which explanations the passing results contradict."""

from __future__ import annotations

import re
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from lossparity.diagnosis.candidates import Explained, candidates, conventions, less_precise, permuted, predicted
from lossparity.diagnosis.seen import Seen
from lossparity.formats import FORMATS, Array
from lossparity.model import Grade, Verdict
from lossparity.plans import EXACT, Finding, Question

__all__ = ["Diagnoser"]

# Elements beyond which a diagnosis would take longer than the check.
_MOST = 1 << 18
# Seconds for looking at everything; after them only what explained most until then is tried. And those for one of many.
_BUDGET, _SHARE = 1.5, 0.75
_TRIED_LATER = 4
# The usual causes of what goes wrong in large arrays alone.
_OF_LARGE = ("summed-in-16-bits", "reduced-in-16-bits", "not-shifted", "mean=all", "index-narrowed")
# Results that pass: of how many elements at most they are kept, and how many contradictions are enough.
_SMALL, _ENOUGH = 256, 3
_HEADING = 60


@dataclass(eq=False)
class Diagnoser:
    """Explains failures; what it has seen makes it quicker, and tells what is kept between calls."""

    _explained: Counter[str] = field(default_factory=Counter)
    _spent: float = 0.0
    _results: dict[tuple[object, ...], Question] = field(default_factory=dict)
    _single: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _passes: dict[tuple[str, str], tuple[Question, Seen]] = field(default_factory=dict)

    def explain(self, question: Question, finding: Finding, *, flushed: bool) -> tuple[Explained, ...]:
        """Return what explains a failing finding, the more definite first; a passing one is remembered."""
        got = finding.got
        if not finding.verdict.failing:
            if finding.verdict is Verdict.PASS and finding.answer and got and _size(question) <= _SMALL:
                self._results.setdefault(_bits(finding.quantity, got), question)
                # One format of each case tells apart what passes and what should not have.
                seen = Seen(got, finding.answer, flushed, None)
                self._passes.setdefault((question.case.id, finding.quantity), (question, seen))
            return ()
        if (plain := _plain(finding)) is not None:
            return (plain,)
        if finding.judgement is not None and finding.judgement.grade is not Grade.WRONG:
            # Within its loose bound: a mistake that fits is as far off as rounding leads, and the wrong one to name.
            return _by_kind(finding) or (Explained("below-min-grade"),)
        if got is None or got.format not in FORMATS or _size(question) > _MOST:
            return _by_kind(finding)
        began = time.monotonic()
        answer = finding.answer or question.answer("nan" if question.case.one_of else EXACT, finding.quantity)
        seen = Seen(got, answer, flushed, finding.judgement.worst if finding.judgement else None)
        if finding.kind == "format" and seen.right:
            return _by_kind(finding)
        everything = seen.small and self._spent < _BUDGET
        found: dict[str, Explained] = {}
        for one in self._found(question, seen):
            found.setdefault(one.id, one)  # a mistake of the catalogue may also be seen by how precise a result is
        place = (question.case.id, finding.quantity)
        if question.format == "float32" and (everything or (seen.small and not found)):
            self._single[place] = frozenset(found)
        elif FORMATS[question.format].bits < 32 and place in self._single:
            # In 16 bits much comes near enough: what binary32 shows not to be so is none of it.
            found = {name: one for name, one in found.items() if name in self._single[place]}
        self._explained.update(found.keys())
        self._spent += time.monotonic() - began
        return tuple(found.values()) or _by_kind(finding)

    def contradicted(self, explained: Iterable[Explained]) -> int:
        """Count the passing results that are not what an explanation predicts, up to a few; 0 of what predicts nothing.

        `explained` are explanations by one id; of the ways in which its mistake is made the least contradicted counts.
        """
        theirs = list(explained)
        ways = {way for one in theirs for way in one.ways}
        return min((self._contradictions(theirs[0].id, way) for way in ways), default=0)

    def _contradictions(self, name: str, way: int) -> int:
        count = 0
        for _, seen in self._passes.values():
            predict = dict(predicted(seen.answer, name)).get(way)
            numbers = predict() if predict else None
            if numbers is not None and not seen.agrees(numbers):
                count += 1
                if count == _ENOUGH:
                    break
        return count

    def _found(self, question: Question, seen: Seen) -> Iterator[Explained]:
        """Yield all that explains a result; of a large one, or when time is up, only what is likely to."""
        everything = candidates(question.convention)
        if seen.small and self._spent < _BUDGET:
            yield from self._among(seen, everything)
            yield from self._else(question, seen)
            return
        usual = [name for name, _ in self._explained.most_common(_TRIED_LATER)]
        if seen.small:
            found = list(self._among(seen, usual))
        else:
            likely = self._among(seen, dict.fromkeys((*usual, *_OF_LARGE)))
            found = list(likely if self._spent < _BUDGET else islice(likely, 1))
            if len(found) == 1:
                # What has explained as much until now is not to fall behind for want of time.
                first = found[0].id
                found += self._among(
                    seen, [n for n in usual if n != first and self._explained[n] == self._explained[first]]
                )
        if not found:
            found = list(self._else(question, seen))
        if not found and self._spent < 2 * _BUDGET:
            found = list(islice(self._among(seen, everything, time.monotonic() + _SHARE), 1))
        yield from found

    def _else(self, question: Question, seen: Seen) -> Iterator[Explained]:
        if seen.alike:
            yield from less_precise(seen)
            if permuted(seen):
                yield Explained("rows-permuted")
            if self._is_stale(question, seen):
                yield Explained("stale-result", 0.0)

    def _among(self, seen: Seen, names: Iterable[str], deadline: float = np.inf) -> Iterator[Explained]:
        others = conventions(seen.answer.problem.convention)
        for name in names:
            near: dict[int, float] = {}
            for way, predict in predicted(seen.answer, name):
                numbers = predict()
                off = None if numbers is None else seen.near(numbers)
                if off is not None:
                    near[way] = off
            if near:
                judged_by = str(others[name]) if -1 in near else ""
                yield Explained(name, min(near.values()), tuple(near), convention=judged_by)
            if time.monotonic() > deadline:
                return

    def _is_stale(self, question: Question, seen: Seen) -> bool:
        """Whether a result is bit for bit the right one of another question.

        Where the logits are the same, it is rather a keyword or a target that has no effect.
        """
        if not np.all(np.isfinite(seen.numbers)) or not np.any(seen.numbers):
            return False
        earlier = self._results.get(_bits(seen.answer.quantity, seen.got))
        return earlier is not None and _first(earlier) != _first(question)


def _size(question: Question) -> int:
    return next(iter(question.arrays.values())).data.size


def _first(question: Question) -> bytes:
    return next(iter(question.arrays.values())).data.tobytes()


def _bits(quantity: str, got: Array) -> tuple[object, ...]:
    return quantity, got.format, got.shape, got.data.tobytes()


def _plain(finding: Finding) -> Explained | None:
    """Return what a result without numbers is known by."""
    if finding.kind in ("crash", "timeout"):
        return Explained(finding.kind)
    if finding.kind == "modified":
        return Explained("inputs-modified")
    if finding.kind == "raises":
        # Messages alike but for their numbers are of one cause.
        first = re.sub(r"-?[0-9]+", "N", finding.message.strip().partition("\n")[0])
        return Explained(
            textwrap.shorten(f"raises {first}", _HEADING, placeholder=" …"), said="an unexpected exception"
        )
    return None


def _by_kind(finding: Finding) -> tuple[Explained, ...]:
    if finding.kind in ("shape", "format"):
        return (Explained(f"another-{finding.kind}", said=finding.message),)
    return (Explained("published"),) if finding.kind == "published" else ()
