"""A run: every chosen case in every format put to every backend, judged as the answers come, and recorded.

The workers answer side by side while the parent computes the reference. Nothing that was measured is lost when a
worker dies or the run is interrupted: every check is in the record before the next one is asked.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from lossparity import __version__
from lossparity.errors import UsageError
from lossparity.judged import Judged, Summary, Told, silent
from lossparity.known import Deviation
from lossparity.lines import case_line
from lossparity.model import Backend, Case, Grade, Outcome
from lossparity.plans import Question
from lossparity.record import VERSION, Environment, Footer, Header, NotTested, Writer
from lossparity.reference import Remember, computed
from lossparity.reference.conventions import SPEC, Convention
from lossparity.registry import registered
from lossparity.suite import digest
from lossparity.workers import Worker, WorkerStopped

__all__ = ["Run", "run", "workers_for"]

Answers = list[tuple[Backend, Outcome | WorkerStopped]]
"""What each backend of a worker answered, or why it is not asked any more."""


@dataclass(frozen=True)
class Run:
    """What to run: `formats` restricts those of the cases, `named` are the backends that must be there.

    `target` is a user's function and the operation that it does, or empty; `beside` is the framework's own backend,
    asked what that fails. `convention` is what is right; `told` hears of every failure; `remember` may keep references
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
    target: tuple[str, ...] = ()
    beside: Backend | None = None
    convention: Convention = SPEC
    told: Told = silent
    remember: Remember = computed

    def questions(self) -> tuple[list[Question], list[NotTested]]:
        """Every case in every format that was asked for, and those for which the convention has no formula."""
        everything = [
            Question(case, fmt, self.remember, self.convention)
            for case in self.cases
            for fmt in case.formats
            if not self.formats or fmt in self.formats
        ]
        if self.convention == SPEC:
            return everything, []
        refused = [one.refused for one in everything]
        reasons = Counter(reason for reason in refused if reason)
        asked = [one for one, reason in zip(everything, refused, strict=True) if not reason]
        return asked, [NotTested(f"under {self.convention}", why, n) for why, n in reasons.items()]


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
            workers[key] = (Worker(entry.adapter, backend.device, plan.timeout, plan.target), [])
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
    began, summary = time.monotonic(), Summary()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    writer.append(Header(VERSION, __version__, digest(plan.cases), now, plan.command, plan.threshold.value))
    questions, summary.not_tested = plan.questions()
    total, done = len(questions) * len(plan.backends), 0
    with (
        workers_for(plan) as workers,
        ThreadPoolExecutor(max(len(workers), 1)) as pool,
        _stopped_at_once(workers),
    ):
        ready = [
            (worker, backends)
            for worker, backends in workers.items()
            if _introduce(worker, backends, len(questions), writer, summary)
        ]
        judged = Judged(plan.known, plan.threshold, plan.beside, writer, summary, plan.told)
        for question in questions:
            asked = [pool.submit(_ask, worker, backends, question) for worker, backends in ready]
            _prepare(question)
            writer.append(case_line(question))
            for future in asked:
                worker, answers = future.result()
                for backend, outcome in answers:
                    judged.take(question, backend, worker, outcome)
            done += len(plan.backends)
            progress(done, total, summary)
        judged.finish()
    summary.finish(plan.named, strict_known=plan.strict_known, strict_undecided=plan.strict_undecided)
    seconds = round(time.monotonic() - began, 3)
    counts = {verdict.value: n for verdict, n in summary.counts.items()}
    writer.append(Footer(counts, summary.not_tested, seconds, summary.exit_code, summary.causes))
    return summary


def _introduce(worker: Worker, backends: list[Backend], questions: int, writer: Writer, summary: Summary) -> bool:
    """Record a worker's account of itself; false when it is not there, and none of its checks can be made."""
    name = str(Backend(backends[0].framework, "", backends[0].device))
    ready = worker.wait_ready()
    writer.append(Environment(name, ready, dict(worker.details), worker.unavailable))
    if worker.refused:
        raise UsageError(f"the target cannot be checked: {worker.unavailable}", where=worker.target[0])
    summary.broken |= worker.broken
    if not ready:
        for backend in backends:
            summary.missing.append(str(backend))
            summary.not_tested.append(NotTested(str(backend), worker.unavailable, questions))
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
