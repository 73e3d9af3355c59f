"""Workers that are started together and ended together; a team of them answers for the same backends, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from threading import Lock

from lossparity.bundle import Elsewhere, bundled
from lossparity.model import Backend, Outcome, Request
from lossparity.workers import Worker, WorkerStopped

__all__ = ["Answers", "Calls", "Team", "ask", "started"]

Calls = Sequence[tuple[Backend, tuple[Request, ...]]]
"""What each backend of a worker is asked."""

Answers = list[tuple[Backend, list[Outcome] | WorkerStopped]]
"""What each backend of a worker answered to each request, or why it is not asked any more."""

_Taken = Callable[[], tuple[Worker, Answers]]
_Placed = tuple[Backend, tuple[Request, ...], int]  # with the place of the first call


@contextmanager
def started(workers: Mapping[Worker, Backend]) -> Iterator[None]:
    """Start workers, all at once, each on the Python of its backend; end them all afterwards."""
    away = {(backend.framework, worker.adapter, backend.python) for worker, backend in workers.items()}
    away = {one for one in away if one[2]}
    with bundled(away) if away else nullcontext(dict[tuple[str, str, str], Elsewhere]()) as elsewhere:
        for worker, backend in workers.items():
            worker.elsewhere = elsewhere.get((backend.framework, worker.adapter, backend.python))
        try:
            for worker in workers:
                worker.start()
            yield
        finally:
            for worker in workers:
                worker.dismiss()
            for worker in workers:
                worker.close()


class Team:
    """Workers that are alike: what is asked goes to one that is free. The first of them speaks for all.

    One that cannot be started any more leaves the team, but for the last.
    """

    def __init__(self, workers: Sequence[Worker], backends: Sequence[Backend]) -> None:
        """Make a team of workers that were started, of which the second and further ones were not waited for."""
        self.workers, self.backends = list(workers), list(backends)
        for one in self.workers:
            one.deaths = self.workers[0].deaths
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for one in self.workers:
            self._free.put(one)
        self._members, self._lock = len(self.workers), Lock()
        self._threads = ThreadPoolExecutor(len(self.workers))

    def put(self, calls: Calls) -> _Taken:
        """Have calls made; what is returned waits for the answers, and is called in the order in which they are put."""
        deaths = self.workers[0].deaths
        placed = _placed(self.workers[0], calls)
        future = self._threads.submit(self._answered, placed)

        def taken() -> tuple[Worker, Answers]:
            worker, answers = future.result()
            # Others may have been ahead of the fifth death: a single worker would not have made those calls.
            for at, (backend, requests, first) in enumerate(placed):
                if reason := deaths[backend.variant, backend.mode].stopped(first + len(requests) - 1):
                    answers[at] = (backend, WorkerStopped(reason))
            return worker, answers

        return taken

    def _answered(self, placed: Sequence[_Placed]) -> tuple[Worker, Answers]:
        worker = self._free.get()
        while not worker.wait_ready() and self._leaves():
            worker = self._free.get()
        try:
            return worker, _answers(worker, placed)
        finally:
            self._free.put(worker)

    def _leaves(self) -> bool:
        with self._lock:
            leaves = self._members > 1
            self._members -= leaves
            return leaves

    def close(self) -> None:
        """Wait for what is under way; the workers are ended by whoever started them."""
        self._threads.shutdown(cancel_futures=True)


def ask(worker: Worker, calls: Calls) -> tuple[Worker, Answers]:
    """Make the calls of some backends of a worker, one after the other; return what each answered."""
    return worker, _answers(worker, _placed(worker, calls))


def _placed(worker: Worker, calls: Calls) -> list[_Placed]:
    return [(b, requests, worker.deaths[b.variant, b.mode].places(len(requests))) for b, requests in calls]


def _answers(worker: Worker, placed: Sequence[_Placed]) -> Answers:
    return [(backend, _answer(worker, requests, first)) for backend, requests, first in placed]


def _answer(worker: Worker, requests: Sequence[Request], first: int) -> list[Outcome] | WorkerStopped:
    try:
        return [worker.ask(one, first + at) for at, one in enumerate(requests)]
    except WorkerStopped as stopped:
        for at, one in enumerate(requests):
            worker.deaths[one.variant, one.mode].note(first + at, str(stopped))  # what comes after waits for these
        return stopped
