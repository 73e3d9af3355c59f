"""A run whose checks are asked for one by one, in an order that somebody else decides: pytest, for one."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace

import msgspec

from lossparity import floating
from lossparity.cache import Cache
from lossparity.errors import LossparityError
from lossparity.judged import Judged, Summary
from lossparity.lines import case_line
from lossparity.model import Backend
from lossparity.plans import Question
from lossparity.record import Cause, Line, NotTested, Result, Script
from lossparity.runner import Run, introduce, prepare, workers_for
from lossparity.teams import Answers, ask
from lossparity.workers import Worker, WorkerStopped

__all__ = ["Asked", "Session", "renamed"]

_Key = tuple[str, str, str]


@dataclass(frozen=True)
class Asked:
    """What one check came to: lines for the record, the inputs, and why it was not asked where it was not."""

    lines: tuple[Line, ...]
    question: Question
    stopped: str = ""

    @property
    def results(self) -> list[Result]:
        """The check's results, one a quantity."""
        return [line for line in self.lines if isinstance(line, Result)]


class _Kept(list[Line]):
    """Lines that wait for whoever passes them on."""

    def append(self, *lines: Line) -> None:  # of a record: several belong together
        """Keep them in their order."""
        self.extend(lines)

    def taken(self) -> tuple[Line, ...]:
        """Return what was kept, and forget it."""
        lines = tuple(self)
        self.clear()
        return lines


class Session:
    """The workers of a plan, alive until it is closed, and what their answers came to.

    `name` takes the place of `target` in the name of a user's function's backend: there may be several in a record.
    """

    def __init__(self, plan: Run, checks: Mapping[Backend, int], name: str = "") -> None:
        """Start the workers and wait until they are ready; `checks` are how many each backend is to be asked.

        UsageError where a user's function cannot be used, LossparityError where the machine's arithmetic is unsound.
        """
        if fault := floating.self_test():
            raise LossparityError(fault)
        self._name, self._kept, self._summary = name, _Kept(), Summary()
        self._seen: set[tuple[str, str]] = set()
        self._questions: dict[tuple[str, str], Question] = {}
        self._disturbed: set[Worker] = set()
        self._under_way: dict[_Key, Future[tuple[Worker, Answers]]] = {}
        self._threads: dict[Backend, tuple[Worker, ThreadPoolExecutor]] = {}
        with ExitStack() as stack:
            self.plan = replace(plan, backends=list(checks), remember=stack.enter_context(Cache()).remember)
            self._judged = Judged(plan.known, plan.threshold, plan.beside, self._kept, self._summary, plan.told)
            for worker, backends in stack.enter_context(workers_for(self.plan)).items():
                if introduce(worker, {b: checks[b] for b in backends}, self._kept, self._summary):
                    thread = stack.enter_context(ThreadPoolExecutor(1))
                    self._threads.update(dict.fromkeys(backends, (worker, thread)))
            # They are counted as they are asked for: of a session in several processes each asks for a part.
            self._absent = {one.what: one.reason for one in self._summary.not_tested}
            self._summary.not_tested.clear()
            self._stack = stack.pop_all()

    def judge(self, question: Question, backend: Backend, ahead: tuple[Question, Backend] | None = None) -> Asked:
        """Put a question to a backend and judge the answer; what is asked next is put while this is judged."""
        if backend not in self._threads:
            self._summary.not_tested.append(NotTested(str(backend), self._absent[str(backend)], 1))
            return Asked(self._lines(), question, self._absent[str(backend)])
        future = self._put(question, backend)
        # A worker has one call under way at a time, and what fails is put to the framework's own function as well.
        if ahead and self.plan.beside is None and ahead[1] in self._threads:
            self._put(*ahead)
        question = self._fresh(question)
        prepare(question)
        worker, ((_, outcomes),) = future.result()
        self._under_way.pop(_key(question, backend))
        if (question.case.id, question.format) not in self._seen:
            self._seen.add((question.case.id, question.format))
            self._kept.append(case_line(question))
        try:
            self._judged.take(question, backend, worker, outcomes)
        except BaseException:
            self._disturbed.add(worker)  # an answer of the framework's own function may be left in its pipe
            raise
        stopped = str(outcomes) if isinstance(outcomes, WorkerStopped) else ""
        return Asked(self._lines(), question, stopped)

    def close(self) -> tuple[list[Cause], list[NotTested], list[Script]]:
        """End the workers; return the causes of what failed, what was not tested, and scripts of what failed."""
        self._judged.finish(whole=False)
        for (_, _, name), future in self._under_way.items():
            if not future.cancel() and not future.done():
                self._disturbed.add(self._worker(name))  # nobody waits for the answer
        for worker in self._disturbed:
            worker.stop("the session is over")
        wait(self._under_way.values())
        scripts = [msgspec.structs.replace(one, check=self._renamed(one.check)) for one in self._judged.scripts()]
        for worker, _ in self._threads.values():
            worker.stop("the session is over")
        self._stack.close()
        causes = [
            msgspec.structs.replace(cause, results=[self._renamed(key) for key in cause.results])
            for cause in self._summary.causes
        ]
        left = [msgspec.structs.replace(one, what=self._renamed(one.what)) for one in self._summary.not_tested]
        return causes, left, scripts

    def _worker(self, name: str) -> Worker:
        return next(worker for backend, (worker, _) in self._threads.items() if str(backend) == name)

    def _renamed(self, text: str) -> str:
        return renamed(text, self._name)

    def _lines(self) -> tuple[Line, ...]:
        """Return the lines since the last time, with the function's name in them."""
        return tuple(
            msgspec.structs.replace(line, check=self._renamed(line.check), backend=self._renamed(line.backend))
            if isinstance(line, Result)
            else line
            for line in self._kept.taken()
        )

    def _put(self, question: Question, backend: Backend) -> Future[tuple[Worker, Answers]]:
        key = _key(question, backend)
        if key not in self._under_way:
            worker, thread = self._threads[backend]
            requests = self._fresh(question).requests(backend)
            self._under_way[key] = thread.submit(ask, worker, [(backend, requests)])
        return self._under_way[key]

    def _fresh(self, question: Question) -> Question:
        """Return one's own of a question: it keeps arrays and certified answers, so that only the last two are held."""
        key = question.case.id, question.format
        if key not in self._questions:
            own = Question(question.case, question.format, self.plan.remember, question.convention)
            kept = list(self._questions.items())[-1:]
            self._questions = {**dict(kept), key: own}
        return self._questions[key]


def renamed(text: str, name: str) -> str:
    """Put a function's name, unless it is empty, into a backend's name, a check or a key."""
    case, at, backend = text.rpartition("@")
    return f"{case}{at}{backend.replace('.target', f'.{name}', 1)}" if name else text


def _key(question: Question, backend: Backend) -> _Key:
    return question.case.id, question.format, str(backend)
