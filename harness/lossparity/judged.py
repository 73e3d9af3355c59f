"""The taking of outcomes: judged, explained, recorded, counted, and in the end grouped by their causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lossparity import diagnosis
from lossparity.diagnosis import Diagnoser, Explained, Failed
from lossparity.diagnosis.seen import Seen
from lossparity.formats import FORMATS
from lossparity.framework import NO_LAYOUTS
from lossparity.itemise import itemised
from lossparity.known import Deviation, apply
from lossparity.lines import result_line
from lossparity.model import Backend, Grade, Outcome, Verdict
from lossparity.plans import Finding, Question
from lossparity.record import Appends, Cause, Choice, Footer, NotTested, Result, Script
from lossparity.reproducing.recorded import Recorded
from lossparity.spec import CLAUSES
from lossparity.target.supports import NOT_DECLARED
from lossparity.workers import Worker, WorkerStopped

__all__ = ["LEFT_OUT", "Judged", "Summary", "Told", "said_of_a_part", "silent"]

LEFT_OUT = (Verdict.UNSUPPORTED, Verdict.UNAVAILABLE)
"""The verdicts that say nothing about a backend: never in a denominator."""

Told = Callable[[Question, Finding, Result], None]
"""Told of every failure as it is found."""

# A small input with few keywords is the simplest, in the format that people know best.
_READABLE = ("float32", "float64", "bfloat16", "float16")
_ZEROED = "gradient-lost", "a 16-bit gradient is 0, or of the wrong sign; its loose bound admits that (weak passes)"
_CONTRADICTED = "; but results pass that this would have failed: it is in one branch only, or another mistake"
_WHERE = "; exactly where "
_WEAK = "weak", "within the loose bound only (weak passes)"


def said_of_a_part(said: str) -> str:
    """Return a cause's text without what holds of all results of a run, and may not hold of more than these."""
    before, where, _ = said.partition(_WHERE)
    return before + (_CONTRADICTED if where and said.endswith(_CONTRADICTED) else "")


def silent(_question: Question, _finding: Finding, _result: Result) -> None:
    """Tell nobody."""


@dataclass
class Summary:
    """How a run ended: results by verdict, failures in order and by cause, and what was left out.

    `must` counts each backend's results under must-clauses, and those of them that were supported; `choices`, by
    clause and backend, which value it gives where the clause leaves it open.
    """

    counts: Counter[Verdict] = field(default_factory=Counter)
    origins: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    weak: int = 0
    failures: list[Result] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    known: dict[str, list[Result]] = field(default_factory=dict)
    choices: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    unsupported: Counter[str] = field(default_factory=Counter)
    must: dict[str, tuple[int, int]] = field(default_factory=dict)
    not_tested: list[NotTested] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    broken: bool = False
    exit_code: int = 0

    @property
    def judged(self) -> int:
        """Results that carry a verdict about a backend."""
        return sum(n for verdict, n in self.counts.items() if verdict not in LEFT_OUT)

    def add(self, result: Result) -> None:
        """Count one result."""
        verdict = Verdict(result.verdict)
        self.counts[verdict] += 1
        self.origins[result.origin, verdict] += 1
        self.weak += verdict is Verdict.PASS and result.grade == Grade.LOOSE.value
        if verdict.failing or verdict is Verdict.STALE:
            self.failures.append(result)
        if verdict is Verdict.KNOWN:
            self.known.setdefault(result.deviation, []).append(result)
        # The spec leaves a gradient open wherever the value is a choice: it fits the first permitted one, or several.
        if result.choice and result.quantity == "value":
            by_backend = self.choices.setdefault(result.clause, {})
            by_backend.setdefault(result.backend, Counter())[result.choice] += 1
        if verdict is Verdict.UNSUPPORTED:
            self.unsupported[result.message] += 1
        # What a function is not declared for is no gap in what it is, nor what its framework keeps from anybody.
        kept = result.message == NOT_DECLARED or result.message.endswith(NO_LAYOUTS)
        if CLAUSES[result.clause].kind == "must" and not kept:
            asked, supported = self.must.get(result.backend, (0, 0))
            self.must[result.backend] = (asked + 1, supported + (verdict is not Verdict.UNSUPPORTED))

    def finish(self, named: frozenset[str], *, strict_known: bool, strict_undecided: bool, whole: bool = True) -> None:
        """Set the exit status of the verdict table; `named` are the backends that had to be there.

        That nothing was judged is said of the `whole` run alone: a part of it may hold nothing that is offered.
        """
        failing = any(verdict.failing and n for verdict, n in self.counts.items())
        stale = strict_known and self.counts[Verdict.STALE]
        undecided = strict_undecided and self.counts[Verdict.UNDECIDED]
        self.exit_code = 1 if failing or stale or undecided else 0
        if (whole and self.judged == 0) or self.broken or any(name in named for name in self.missing):
            self.exit_code = 3

    def footer(self, seconds: float) -> Footer:
        """Return it as the last line of a record of a run that took so long."""
        counts = {verdict.value: n for verdict, n in self.counts.items()}
        choices = [
            Choice(clause, backend, dict(chosen))
            for clause, by_backend in sorted(self.choices.items())
            for backend, chosen in by_backend.items()
        ]
        return Footer(counts, self.not_tested, round(seconds, 3), self.exit_code, self.causes, choices)


@dataclass
class _Gathered:
    """What one backend's results have shown so far."""

    diagnoser: Diagnoser = field(default_factory=Diagnoser)
    failed: list[Failed] = field(default_factory=list)
    passing: set[str] = field(default_factory=set)
    weak: dict[bool, list[tuple[tuple[int, ...], str]]] = field(default_factory=lambda: {True: [], False: []})

    def causes(self, whole: bool) -> Iterator[Cause]:
        """Yield the causes of failures, the most telling first, and then those of weak passes.

        What is said of failures against passes is left out where this is not the `whole` run.
        """
        for one in diagnosis.causes(self.failed, self.diagnoser.contradicted):
            keys = [member.key for member in one.members]
            where = one.exactly_where(self.passing) if whole else []
            said = f"{one.said}{_WHERE}{' and '.join(where)}" if where else one.said
            said += _CONTRADICTED if one.contradicted and whole else ""
            yield Cause(one.id, said, keys, True, one.ulp, one.convention, one.shared)
        for zeroed, (name, said) in ((True, _ZEROED), (False, _WEAK)):
            if self.weak[zeroed]:
                yield Cause(name, said, [key for _, key in sorted(self.weak[zeroed])], failing=False)


@dataclass
class Judged:
    """Takes outcomes of a run and counts what a stopped worker left undone.

    `beside` is the framework's own backend that is asked what a user's function failed, none where nobody is.
    """

    known: Sequence[Deviation]
    threshold: Grade
    beside: Backend | None
    writer: Appends
    summary: Summary
    told: Told
    _concerning: dict[Backend, list[Deviation]] = field(default_factory=dict)
    _left: Counter[tuple[str, str]] = field(default_factory=Counter)
    _gathered: dict[Backend, _Gathered] = field(default_factory=dict)
    _recorded: Recorded = field(default_factory=Recorded)

    def take(
        self, question: Question, backend: Backend, worker: Worker, outcomes: list[Outcome] | WorkerStopped
    ) -> None:
        """Judge, explain and record one backend's answer to one question."""
        if isinstance(outcomes, WorkerStopped):
            self._left[str(backend), str(outcomes)] += 1
            return
        flushed = worker.details.get("subnormals") == "flushed"
        gathered = self._gathered.setdefault(backend, _Gathered())
        repeatable = backend.device == "cpu"
        found = question.findings(outcomes, flushed=flushed, threshold=self.threshold, repeatable=repeatable)
        if backend not in self._concerning:
            self._concerning[backend] = [one for one in self.known if one.concerns(str(backend))]
        known = self._concerning[backend]
        declared = [apply(one, question.check_id(backend), worker.details, known) for one in found]
        failing = any(one.verdict.failing for one, _ in declared)
        shared = self._shared(question, worker, flushed) if failing else {}
        lines: list[Result] = []
        for finding, deviation in declared:
            explained = gathered.diagnoser.explain(question, finding, flushed=flushed)
            both = finding.verdict.failing and shared.get(finding.quantity) == finding.kind
            made_of = _made_of(finding, flushed) if finding.verdict.failing else ""
            zeroed = _zeroed(finding)
            line = result_line(question, backend, finding, outcomes[0], deviation, explained, both, zeroed, made_of)
            lines.append(line)
            _gather(gathered, question, finding, line, explained)
            if finding.verdict.failing or finding.verdict is Verdict.KNOWN:
                self._recorded.keep(question, backend, worker, finding, line, _simplicity(question))
            if finding.verdict.failing:
                self.told(question, finding, line)
        self.writer.append(*lines)
        for line in lines:
            self.summary.add(line)

    def finish(self, *, whole: bool = True) -> None:
        """Group what failed by its causes, and count what was left undone; `whole` unless others judge the rest."""
        for (backend, reason), checks in self._left.items():
            self.summary.not_tested.append(NotTested(backend, reason, checks))
        self.summary.causes = [cause for gathered in self._gathered.values() for cause in gathered.causes(whole)]

    def scripts(self) -> list[Script]:
        """Write what the record holds of each cause and known deviation, once it is `finish`ed; workers are asked."""
        return self._recorded.scripts(self.summary.causes)

    def _shared(self, question: Question, worker: Worker, flushed: bool) -> dict[str, str]:
        """Return how the framework's own function fails at a question, by quantity."""
        if self.beside is None:
            return {}
        try:
            outcomes = [worker.ask(request) for request in question.requests(self.beside)]
        except WorkerStopped:
            return {}
        found = question.findings(outcomes, flushed=flushed, threshold=self.threshold)
        return {one.quantity: one.kind for one in found if one.verdict.failing}


def _gather(
    gathered: _Gathered, question: Question, finding: Finding, line: Result, explained: tuple[Explained, ...]
) -> None:
    simplicity = _simplicity(question)
    if finding.verdict is Verdict.PASS:
        gathered.passing |= diagnosis.features(question)
    if finding.verdict.failing:
        particular = diagnosis.features(question)
        gathered.failed.append(
            Failed(line.key, line.clause, finding.kind, explained, simplicity, line.shared, particular)
        )
    elif finding.verdict is Verdict.PASS and line.grade == Grade.LOOSE.value:
        gathered.weak[line.zeroed].append((simplicity, line.key))


def _simplicity(question: Question) -> tuple[int, ...]:
    return question.first.data.size, len(question.case.keywords), _READABLE.index(question.format)


def _made_of(finding: Finding, flushed: bool) -> str:
    judgement, answer = finding.judgement, finding.answer
    if judgement is None or answer is None or judgement.worst is None:
        return ""
    return itemised(answer, judgement.worst, flushed=flushed)


def _zeroed(finding: Finding) -> bool:
    """Whether a weak pass let a gradient be 0 or of the wrong sign, subnormal numbers apart."""
    judgement, got, answer = finding.judgement, finding.got, finding.answer
    if finding.verdict is not Verdict.PASS or finding.quantity != "gradient":
        return False
    if judgement is None or got is None or answer is None or judgement.grade is not Grade.LOOSE:
        return False
    seen = Seen(got, answer, False, None)
    unlike = np.sign(seen.numbers) != np.sign(seen.exact)
    return bool(np.any(unlike & ~seen.open & (np.abs(seen.exact) > FORMATS[got.format].smallest_normal)))
