"""Explains failures one by one, within the time that a check leaves for it."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from lossparity.diagnosis.candidates import (
    UNDIAGNOSED,
    Explained,
    candidates,
    conventions,
    less_precise,
    permuted,
    predicted,
)
from lossparity.diagnosis.passes import Passes
from lossparity.diagnosis.seen import Seen
from lossparity.formats import FORMATS
from lossparity.model import Grade, Verdict
from lossparity.plans import EXACT, Finding, Question

__all__ = ["Diagnoser"]

# Elements beyond which a diagnosis would take longer than the check.
_MOST = 1 << 18
# Work is counted in elements, a prediction as some more, so that a diagnosis does not depend on how busy one is;
# ten million are about a second. So much for looking at everything; after that only what explained most until then is
# tried, and everything for a share, until twice as much is spent.
_CALL, _BUDGET, _SHARE = 2_000, 10_000_000, 5_000_000
_TRIED_LATER = 4
# The usual causes of what goes wrong in large arrays alone.
_OF_LARGE = ("summed-in-16-bits", "reduced-in-16-bits", "not-shifted", "mean=all", "index-narrowed")
_HEADING = 60
_ALL: Mapping[str, Container[int]] = {}


@dataclass(eq=False)
class Diagnoser:
    """Explains failures; what it has seen makes it quicker, and tells what is kept between calls."""

    _passes: Passes = field(default_factory=Passes)
    _explained: Counter[str] = field(default_factory=Counter)
    _ways: dict[str, set[int]] = field(default_factory=dict)
    _single: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _spent: float = 0.0

    def explain(self, question: Question, finding: Finding, *, flushed: bool) -> tuple[Explained, ...]:
        """Return what explains a failing finding, the more definite first; a passing one is remembered."""
        if not finding.verdict.failing:
            if finding.verdict is Verdict.PASS:
                self._passes.remember(question, finding, flushed=flushed)
            return ()
        if finding.kind == "inconsistent" and question.relation:
            return (Explained(question.relation.cause, said=f"not the same {question.relation.said}"),)
        if (plain := _plain(finding)) is not None:
            return (plain,)
        if finding.judgement is not None and finding.judgement.grade is not Grade.WRONG:
            # Within its loose bound: a mistake that fits is as far off as rounding leads, and the wrong one to name.
            return _by_kind(finding) or (Explained("below-min-grade"),)
        if finding.got is None or finding.got.format not in FORMATS or not finding.got.data.size:
            return _by_kind(finding)
        answer = finding.answer or question.answer("nan" if question.case.one_of else EXACT, finding.quantity)
        if answer.problem.first.data.size > _MOST:
            return _by_kind(finding) or (Explained(UNDIAGNOSED, said="too large to look for what explains it"),)
        seen = Seen(finding.got, answer, flushed, finding.judgement.worst if finding.judgement else None)
        if finding.kind == "format" and seen.right:
            return _by_kind(finding)
        return self._looked_for(question, finding, seen) or _by_kind(finding)

    def contradicted(self, explained: Iterable[Explained], kinds: Iterable[tuple[str, str]] = ()) -> int:
        """Count passing results that are not what explanations by one id predict, as `Passes` does."""
        return self._passes.contradicted(explained, kinds)

    def _looked_for(self, question: Question, finding: Finding, seen: Seen) -> tuple[Explained, ...]:
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
        # In the order found: of two that explain as many, the more definite one is tried later on.
        self._explained.update(name for name in found if name != UNDIAGNOSED)
        return tuple(found.values())

    def _found(self, question: Question, seen: Seen) -> Iterator[Explained]:
        """Yield all that explains a result; of a large one, or when much is spent, only what is likely to."""
        everything = candidates(question.convention)
        if seen.small and self._spent < _BUDGET:
            yield from self._among(seen, everything)
            yield from self._else(question, seen)
            return
        usual = [name for name, _ in self._explained.most_common(_TRIED_LATER)]
        rest = () if seen.small else tuple(name for name in _OF_LARGE if name not in usual)
        found = list(self._among(seen, usual, self._ways if seen.small else _ALL))
        found += islice(self._among(seen, rest), None if self._spent < _BUDGET else not found)
        found = found or list(self._else(question, seen))
        if not found:
            end = self._spent + (_SHARE if self._spent < 2 * _BUDGET else 0)
            found = list(islice(self._among(seen, everything, end=end), 1))
            if not found and self._spent > end and seen.alike:
                found = [Explained(UNDIAGNOSED)]
        yield from found

    def _else(self, question: Question, seen: Seen) -> Iterator[Explained]:
        if seen.alike:
            self._spent += 50 * _CALL + 20 * seen.size
            yield from less_precise(seen)
            if permuted(seen):
                yield Explained("rows-permuted")
            if self._passes.holds(question, seen):
                yield Explained("stale-result", 0.0)

    def _among(
        self, seen: Seen, names: Iterable[str], ways: Mapping[str, Container[int]] = _ALL, end: float = np.inf
    ) -> Iterator[Explained]:
        """Yield the candidates that explain a result, each in those of its ways that are named, or in all."""
        others = conventions(seen.answer.problem.convention)
        for name in names:
            near: dict[int, float] = {}
            for way, predict in predicted(seen.answer, name):
                if name in ways and way not in ways[name]:
                    continue
                self._spent += _CALL + seen.size
                numbers = predict()
                off = None if numbers is None else seen.near(numbers)
                if off is not None:
                    near[way] = off
            if near:
                self._ways.setdefault(name, set()).update(near)
                judged_by = str(others[name]) if -1 in near else ""
                yield Explained(name, min(near.values()), tuple(near), convention=judged_by)
            if self._spent > end:
                return


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
