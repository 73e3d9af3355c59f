"""A run: every chosen case in every format put to every backend, judged as the answers come, and recorded.

The workers answer side by side while the parent computes the reference. Nothing that was measured is lost when a
worker dies or the run is interrupted: every check is in the record before the next one is asked.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from lossparity import __version__
from lossparity.errors import UsageError
from lossparity.known import Deviation, apply
from lossparity.lines import case_line, result_line
from lossparity.model import Backend, Case, Grade, Outcome, Verdict
from lossparity.plans import Question
from lossparity.record import VERSION, Environment, Footer, Header, NotTested, Result, Writer
from lossparity.reference import Remember, computed
from lossparity.registry import registered
from lossparity.spec import CLAUSES
from lossparity.suite import digest
from lossparity.supports import NOT_DECLARED
from lossparity.target import Target
from lossparity.workers import Worker, WorkerStopped

__all__ = ["LEFT_OUT", "UNTAGGED", "Run", "Summary", "run", "workers_for"]

LEFT_OUT = (Verdict.UNSUPPORTED, Verdict.UNAVAILABLE)
"""The verdicts that say nothing about a backend: never in a denominator."""

UNTAGGED = "compiled modes run only the cases that are tagged `compiled: true`"

Answers = list[tuple[Backend, Outcome | WorkerStopped]]
"""What each backend of a worker answered, or why it is not asked any more."""


@dataclass(frozen=True)
class Run:
    """What to run: `formats` restricts those of the cases, `named` are the backends that must be there.

    `target` is a user's function; `left_out` what is known beforehand not to be tested; `remember` may keep references
    on disk.
    """

    backends: Sequence[Backend]
    cases: Sequence[Case]
    formats: Sequence[str] = ()
    named: frozenset[str] = frozenset()
    known: Sequence[Deviation] = ()
    threshold: Grade = Grade.LOOSE
    strict_known: bool = False
    strict_undecided: bool = False
    timeout: float = 60.0
    command: str = ""
    target: Target | None = None
    left_out: Sequence[NotTested] = ()
    remember: Remember = computed

    def questions(self) -> list[Question]:
        """Every case in every format that was asked for."""
        return [
            Question(case, fmt, self.remember)
            for case in self.cases
            for fmt in case.formats
            if not self.formats or fmt in self.formats
        ]

    def asked(self, question: Question) -> list[Backend]:
        """Return the backends that a question is put to: those of a compiled mode get the tagged cases only."""
        return [backend for backend in self.backends if question.case.compiled or not backend.mode]


@dataclass
class Summary:
    """How a run ended: results by verdict, failures in order, and what was left out.

    `must` counts the results under must-clauses, and those of them that were supported.
    """

    counts: Counter[Verdict] = field(default_factory=Counter)
    origins: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    weak: int = 0
    failures: list[Result] = field(default_factory=list)
    known: dict[str, list[Result]] = field(default_factory=dict)
    unsupported: Counter[str] = field(default_factory=Counter)
    must: tuple[int, int] = (0, 0)
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
        if verdict is Verdict.UNSUPPORTED:
            self.unsupported[result.message] += 1
        # What a function is not declared for is no gap in what it is.
        if CLAUSES[result.clause].kind == "must" and result.message != NOT_DECLARED:
            self.must = (self.must[0] + 1, self.must[1] + (verdict is not Verdict.UNSUPPORTED))

    def finish(self, plan: Run) -> None:
        """Set the exit status of the verdict table."""
        failing = any(verdict.failing and n for verdict, n in self.counts.items())
        stale = plan.strict_known and self.counts[Verdict.STALE]
        undecided = plan.strict_undecided and self.counts[Verdict.UNDECIDED]
        self.exit_code = 1 if failing or stale or undecided else 0
        if self.judged == 0 or self.broken or any(name in plan.named for name in self.missing):
            self.exit_code = 3


@contextmanager
def workers_for(plan: Run) -> Iterator[dict[Worker, list[Backend]]]:
    """Start one worker for each adapter and device, all at once; end them all afterwards."""
    adapters = registered()
    workers: dict[tuple[str, str], tuple[Worker, list[Backend]]] = {}
    for backend in plan.backends:
        # A user's function is no registered variant: it runs beside the framework's own.
        entry = adapters.get(backend.implementation) or adapters[backend.framework]
        key = (entry.adapter, backend.device)
        if key not in workers:
            compiled = any(b.mode for b in plan.backends)
            workers[key] = (Worker(entry.adapter, backend.device, plan.timeout, plan.target, compiled), [])
        workers[key][1].append(backend)
    try:
        for worker, _ in workers.values():
            worker.start()
        yield dict(workers.values())
    finally:
        for worker, _ in workers.values():
            worker.close()


@contextmanager
def _stopped_at_once(workers: Iterable[Worker]) -> Iterator[None]:
    """Stop the workers when the run is interrupted, so that nobody waits for an answer until the time limit."""
    try:
        yield
    except BaseException:
        for worker in workers:
            worker.stop("the run was interrupted")
        raise


def run(plan: Run, writer: Writer, progress: Callable[[int, int, Summary], None]) -> Summary:
    """Run it all, appending to the record; `progress` is told (done, total, summary so far) after each check.

    UsageError when the target cannot be imported or called.
    """
    began, summary = time.monotonic(), Summary(not_tested=[*plan.left_out])
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    writer.append(Header(VERSION, __version__, digest(plan.cases), now, plan.command, plan.threshold.value))
    everything = plan.questions()
    questions = [question for question in everything if plan.asked(question)]
    for backend in plan.backends:
        if untagged := sum(backend not in plan.asked(question) for question in everything):
            summary.not_tested.append(NotTested(str(backend), UNTAGGED, untagged))
    total, done = sum(len(plan.asked(question)) for question in questions), 0
    with (
        workers_for(plan) as workers,
        ThreadPoolExecutor(max(len(workers), 1)) as pool,
        _stopped_at_once(workers),
    ):
        ready = [
            (worker, backends)
            for worker, backends in workers.items()
            if _introduce(worker, {b: sum(b in plan.asked(q) for q in questions) for b in backends}, writer, summary)
        ]
        judged = _Judged(plan, writer, summary)
        for question in questions:
            backends = plan.asked(question)
            asked = [pool.submit(_ask, worker, [b for b in own if b in backends], question) for worker, own in ready]
            _prepare(question)
            writer.append(case_line(question))
            for future in asked:
                worker, answers = future.result()
                for backend, outcome in answers:
                    judged.take(question, backend, worker, outcome)
            done += len(backends)
            progress(done, total, summary)
        judged.finish()
    summary.finish(plan)
    seconds = round(time.monotonic() - began, 3)
    counts = {verdict.value: n for verdict, n in summary.counts.items()}
    writer.append(Footer(counts, summary.not_tested, seconds, summary.exit_code))
    return summary


def _introduce(worker: Worker, checks: Mapping[Backend, int], writer: Writer, summary: Summary) -> bool:
    """Record a worker's account of itself; false when it is not there, and none of its checks can be made."""
    first = next(iter(checks))
    name = str(Backend(first.framework, "", first.device))
    ready = worker.wait_ready()
    writer.append(Environment(name, ready, dict(worker.details), worker.unavailable))
    if worker.refused:
        where = worker.target.where if worker.target else ""
        raise UsageError(f"the target cannot be checked: {worker.unavailable}", where=where)
    summary.broken |= worker.broken
    for backend, number in checks.items():
        if not ready or (backend.mode and worker.uncompiled):
            summary.missing.append(str(backend))
        if not ready:
            summary.not_tested.append(NotTested(str(backend), worker.unavailable, number))
    return ready


def _ask(worker: Worker, backends: list[Backend], question: Question) -> tuple[Worker, Answers]:
    answers: Answers = []
    for backend in backends:
        try:
            answers.append((backend, worker.ask(question.request(backend))))
        except WorkerStopped as stopped:
            answers.append((backend, stopped))
    return worker, answers


def _prepare(question: Question) -> None:
    """Compute the certified answers while the workers are busy."""
    for quantity in question.quantities:
        for choice in question.alternatives:
            if choice != "raises":
                question.answer(choice, quantity).prepare()


@dataclass
class _Judged:
    """Takes outcomes, judges them, records them, and counts what a stopped worker left undone."""

    plan: Run
    writer: Writer
    summary: Summary
    left: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, question: Question, backend: Backend, worker: Worker, outcome: Outcome | WorkerStopped) -> None:
        if isinstance(outcome, WorkerStopped):
            self.left[str(backend), str(outcome)] += 1
            return
        flushed = worker.details.get("subnormals") == "flushed"
        version = worker.details.get(backend.framework, "")
        lines: list[Result] = []
        for found in question.findings(outcome, flushed=flushed, threshold=self.plan.threshold):
            finding, declared = apply(found, question.check_id(backend), version, self.plan.known)
            lines.append(result_line(question, backend, finding, outcome, declared))
        self.writer.append(*lines)
        for line in lines:
            self.summary.add(line)

    def finish(self) -> None:
        for (backend, reason), checks in self.left.items():
            self.summary.not_tested.append(NotTested(backend, reason, checks))
