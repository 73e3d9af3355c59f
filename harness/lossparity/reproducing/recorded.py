"""The scripts that a record holds: of each cause of failures, and of each known deviation seen, the simplest result's.

Which result is the simplest of its cause is known at the end of a run, when its inputs and answers are long let go:
until then little is kept of each, and the rest is worked out again for the few whose script is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lossparity.errors import UsageError
from lossparity.framework import BLAMED, MANUAL
from lossparity.model import Backend, Case, Grade
from lossparity.plans import Finding, Question
from lossparity.record import Cause, Result, Script
from lossparity.reference import Remember
from lossparity.reference.conventions import SPEC
from lossparity.reproducing.script import Scripted, script, unwritten
from lossparity.workers import Worker, WorkerStopped

__all__ = ["LONGEST", "MOST", "Recorded", "fewest"]

MOST = 100
"""Scripts, or reasons why there is none, that a record holds; the built-in cases on every backend come to 83."""
LONGEST = 1 << 15
"""Bytes of a script that a record holds; one of a built-in case has some 6,000."""

# Elements of inputs, of all scripts together, that are certified again for them: 60 digits of an element of a gradient
# take up to some 50 microseconds for each element of the input, so that a run waits two seconds at most.
_ELEMENTS = 1 << 15
_TRIES = 3  # another result of a cause may be written where the simplest cannot


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is left of a result: enough to ask how its call is written, and to work out again what is right."""

    case: Case
    format: str
    remember: Remember
    backend: Backend
    worker: Worker
    finding: Finding
    origin: str
    elements: int
    why: str
    order: tuple[object, ...]

    @property
    def check(self) -> str:
        return f"{self.case.id}/{self.format}@{self.backend}"

    def script(self, of: str) -> Script:
        """Write its script; WorkerStopped or UsageError where that cannot be done."""
        question, quantity = Question(self.case, self.format, self.remember), self.finding.quantity
        written = self.worker.written(question.request(self.backend))
        choices = [choice for choice in question.alternatives if choice != "raises"]
        finding = replace(self.finding, answer=question.answer(choices[0], quantity) if choices else None)
        flushed = self.worker.details.get("subnormals") == "flushed"
        text = script(Scripted(question, self.backend, [finding], written, flushed), quantity)
        if (size := len(text.encode())) > LONGEST:
            raise UsageError(f"it has {size:,} bytes, and a record holds {LONGEST:,} of one at most")
        return Script(self.check, quantity, of, text)


@dataclass(eq=False)
class Recorded:
    """Keeps what scripts are written from, and writes those that stand for all."""

    _failing: dict[str, _Kept] = field(default_factory=dict)
    _known: dict[tuple[str, str], _Kept] = field(default_factory=dict)

    def keep(
        self,
        question: Question,
        backend: Backend,
        worker: Worker,
        finding: Finding,
        result: Result,
        simplicity: tuple[int, ...],
    ) -> None:
        """Keep a result that fails or is known; of a known deviation on a backend, the simplest one alone."""
        size = question.first.data.size
        why, kept = _why(question, backend, finding), replace(finding, got=None, answer=None, message="")
        order = (bool(why), simplicity, len(result.key), result.key)
        one = _Kept(
            question.case, question.format, question.remember, backend, worker, kept, result.origin, size, why, order
        )
        if finding.verdict.failing:
            self._failing[result.key] = one
            return
        of = result.deviation, result.backend
        self._known[of] = min(one, self._known.get(of, one), key=lambda each: each.order)

    def scripts(self, causes: Sequence[Cause]) -> list[Script]:
        """Write one script for each of the causes of failures and each known deviation on a backend, `MOST` at most.

        The workers have to be alive. Where none can be written, the line says why.
        """
        left, found = _ELEMENTS, []
        for of, members in [*self._of(causes)][:MOST]:
            fitting = [_fitting(one, left) for one in members]
            found.append(_first(of, fitting))
            left -= next((one.elements for one in fitting if not one.why), 0)
        return found

    def _of(self, causes: Iterable[Cause]) -> Iterator[tuple[str, list[_Kept]]]:
        for cause in causes:
            if cause.failing and (members := [self._failing[key] for key in cause.results if key in self._failing]):
                yield cause.id, members
        # Where there are more than are written: what is blamed on its origin before what was composed, or by hand.
        for of, one in sorted(self._known.items(), key=lambda pair: (*_blame(pair[1].origin), pair[0])):
            yield of[0], [one]


def _blame(origin: str) -> tuple[bool, bool]:
    return origin not in BLAMED, origin == MANUAL


def _fitting(one: _Kept, left: int) -> _Kept:
    said = f"certifying its {one.elements:,} numbers again takes longer than a run waits for"
    return one if one.why or one.elements <= left else replace(one, why=said)


def _first(of: str, members: Sequence[_Kept]) -> Script:
    """Return the script of the first of a cause's results, the simplest first, that has one; or why none has."""
    possible = [one for one in members if not one.why][:_TRIES]
    said = ""
    for one in possible:
        try:
            return one.script(of)
        except WorkerStopped as stopped:
            said = said or str(stopped)
        except UsageError as error:
            said = said or error.message
    first = [*possible, *members][0]
    return Script(first.check, first.finding.quantity, of, why=said or first.why)


def _why(question: Question, backend: Backend, finding: Finding) -> str:
    """Say why a script would not show what was found; empty where it does."""
    if backend.mode:
        return "the call is compiled, and a script makes it eagerly"
    if question.convention != SPEC:
        return "it is judged by another convention, and a script goes by the spec's own"
    judgement = finding.judgement
    if finding.kind == "finite-wrong" and judgement is not None and judgement.grade is not Grade.WRONG:
        return f"its grade is {judgement.grade.value}, and a script takes all that is within the loose bound"
    refused = unwritten(question.case, [finding])
    return refused.message if refused else ""


def fewest(scripts: Iterable[Script], causes: Iterable[Cause]) -> list[Script]:
    """Return of scripts of several runs one for each cause or known deviation on a backend, `MOST` at most.

    That is one that could be written, of the shortest key; those of failures come first. The order that they are given
    in does not matter.
    """
    failing = {cause.id for cause in causes if cause.failing}
    ordered = sorted(scripts, key=lambda one: (not one.text, len(one.key), one.key, one.text))
    found: dict[tuple[str, str], Script] = {}
    for one in ordered:
        found.setdefault((one.of, one.backend), one)
    return sorted(found.values(), key=lambda one: (one.of not in failing, one.of, one.backend))[:MOST]
