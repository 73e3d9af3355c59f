"""A run: every chosen case in every format put to every backend, judged as the answers come, and recorded.

The workers answer side by side while the parent computes the reference. Nothing that was measured is lost when a
worker dies or the run is interrupted: every check is in the record before the next one is asked.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from lossparity import __version__
from lossparity.known import Deviation, apply
from lossparity.lines import case_line, result_line
from lossparity.model import Backend, Case, Grade, Outcome, Verdict
from lossparity.plans import Question
from lossparity.record import VERSION, Environment, Footer, Header, NotTested, Result, Writer
from lossparity.registry import registered
from lossparity.spec import CLAUSES
from lossparity.suite import digest
from lossparity.workers import Worker, WorkerStopped

__all__ = ["Run", "Summary", "run", "workers_for"]

Answers = "list[tuple[Backend, Outcome | None]]"


@dataclass(frozen=True)
class Run:
    """What to run: `formats` restricts those of the cases, `named` are the backends that must be there."""

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
    target: tuple[str, str] | tuple[()] = ()

    def questions(self) -> list[Question]:
        """Every case in every format that was asked for."""
        return [
            Question(case, fmt) for case in self.cases for fmt in case.formats if not self.formats or fmt in self.formats
        ]


@dataclass
class Summary:
    """How a run ended: results by verdict, failures in order, and what was left out.

    `must` counts the results under must-clauses, and those of them that were supported.
    """

    counts: Counter[Verdict] = field(default_factory=Counter)
    origins: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    weak: int = 0
    failures: list[Result] = field(default_factory=list)
    unsupported: Counter[str] = field(default_factory=Counter)
    must: tuple[int, int] = (0, 0)
    not_tested: list[NotTested] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    exit_code: int = 0

    @property
    def judged(self) -> int:
        """Results that carry a verdict about a backend."""
        left_out = (Verdict.UNSUPPORTED, Verdict.UNAVAILABLE)
        return sum(n for verdict, n in self.counts.items() if verdict not in left_out)

    def add(self, result: Result) -> None:
        """Count one result."""
        verdict = Verdict(result.verdict)
        self.counts[verdict] += 1
        self.origins[result.origin, verdict] += 1
        self.weak += verdict is Verdict.PASS and result.grade == Grade.LOOSE.value
        if verdict.failing or verdict is Verdict.STALE:
            self.failures.append(result)
        if verdict is Verdict.UNSUPPORTED:
            self.unsupported[result.message] += 1
        if CLAUSES[result.clause].kind == "must":
            self.must = (self.must[0] + 1, self.must[1] + (verdict is not Verdict.UNSUPPORTED))

    def finish(self, plan: Run) -> None:
        """Set the exit status of the verdict table."""
        failing = any(verdict.failing and n for verdict, n in self.counts.items())
        stale = plan.strict_known and self.counts[Verdict.STALE]
        undecided = plan.strict_undecided and self.counts[Verdict.UNDECIDED]
        self.exit_code = 1 if failing or stale or undecided else 0
        if self.judged == 0 or any(name in plan.named for name in self.missing):
            self.exit_code = 3


@contextmanager
def workers_for(plan: Run) -> Iterator[dict[Worker, list[Backend]]]:
    """Start one worker for each framework and device, all at once; end them all afterwards."""
    adapters = registered()
    workers: dict[tuple[str, str], tuple[Worker, list[Backend]]] = {}
    for backend in plan.backends:
        key = (backend.framework, backend.device)
        if key not in workers:
            adapter = adapters[backend.framework].adapter
            workers[key] = (Worker(adapter, backend.device, plan.timeout, plan.target), [])
        workers[key][1].append(backend)
    try:
        for worker, _ in workers.values():
            worker.start()
        yield dict(workers.values())
    finally:
        for worker, _ in workers.values():
            worker.close()


def run(plan: Run, writer: Writer, progress: Callable[[int, int, Summary], None]) -> Summary:
    """Run it all, appending to the record; `progress` is told (done, total, summary so far) after each check."""
    began, summary = time.monotonic(), Summary()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    writer.append(Header(VERSION, __version__, digest(plan.cases), now, plan.command, plan.threshold.value))
    questions = plan.questions()
    total, done = len(questions) * len(plan.backends), 0
    with workers_for(plan) as workers, ThreadPoolExecutor(max(len(workers), 1)) as pool:
        for worker, backends in workers.items():
            _introduce(worker, backends, len(questions), writer, summary)
        judged = _Judged(plan, writer, summary)
        for question in questions:
            asked = [pool.submit(_ask, w, b, question) for w, b in workers.items() if not w.unavailable]
            _prepare(question)
            writer.append(case_line(question))
            for worker, answers in _gather(asked):
                for backend, outcome in answers:
                    judged.take(question, backend, worker, outcome)
            done += len(plan.backends)
            progress(done, total, summary)
        judged.finish()
    summary.finish(plan)
    seconds = round(time.monotonic() - began, 3)
    counts = {verdict.value: n for verdict, n in summary.counts.items()}
    writer.append(Footer(counts, summary.not_tested, seconds, summary.exit_code))
    return summary


def _introduce(worker: Worker, backends: list[Backend], questions: int, writer: Writer, summary: Summary) -> None:
    name = str(Backend(backends[0].framework, "", backends[0].device))
    ready = worker.wait_ready()
    writer.append(Environment(name, ready, dict(worker.details), worker.unavailable))
    if not ready:
        for backend in backends:
            summary.missing.append(str(backend))
            summary.not_tested.append(NotTested(str(backend), worker.unavailable, questions))


def _ask(worker: Worker, backends: list[Backend], question: Question) -> tuple[Worker, Answers]:
    answers: list[tuple[Backend, Outcome | None]] = []
    for backend in backends:
        try:
            answers.append((backend, worker.ask(question.request(backend))))
        except WorkerStopped:
            answers.append((backend, None))
    return worker, answers


def _prepare(question: Question) -> None:
    """Compute the certified answers while the workers are busy."""
    for quantity in question.quantities:
        for choice in question.alternatives:
            if choice != "raises":
                question.exact(choice, quantity)


def _gather(asked: list[Future[tuple[Worker, Answers]]]) -> Iterator[tuple[Worker, Answers]]:
    for future in asked:
        yield future.result()


@dataclass
class _Judged:
    """Takes outcomes, judges them, records them, and counts what a stopped worker left undone."""

    plan: Run
    writer: Writer
    summary: Summary
    left: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, question: Question, backend: Backend, worker: Worker, outcome: Outcome | None) -> None:
        if outcome is None:
            self.left[str(backend), worker.unavailable] += 1
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
