"""A run: every chosen case in every format put to every backend, judged as the answers come, and recorded.

The workers answer side by side, some questions ahead of the parent, which computes the reference and judges in the
order of the questions. Nothing that was judged is lost when a worker dies or the run is interrupted: every check is in
the record before the next one is judged.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from lossparity import __version__
from lossparity.agreement import Agreements
from lossparity.errors import UsageError
from lossparity.judged import Judged, Summary, Told, silent
from lossparity.known import Deviation
from lossparity.lines import case_line
from lossparity.model import Backend, Case, Grade, Outcome
from lossparity.plans import Question
from lossparity.record import VERSION, Appends, Environment, Header, NotTested, Part, Writer
from lossparity.reference import Remember, computed
from lossparity.reference.conventions import SPEC, Convention
from lossparity.registry import adapters_of, registered
from lossparity.sharding import Shard, names_hash
from lossparity.suite import digest
from lossparity.target import Target
from lossparity.teams import Answers, Team, started
from lossparity.workers import Worker, WorkerStopped

__all__ = ["UNTAGGED", "Run", "introduce", "prepare", "run", "teams_for", "workers_for"]

UNTAGGED = "compiled modes run only the cases that are tagged `compiled: true`"

_Put = tuple[Question, list[Callable[[], tuple[Worker, Answers]]]]

_AHEAD = 2**23  # elements, of inputs times backends, that workers may be ahead of the judging: tens of megabytes


@dataclass(frozen=True)
class Run:
    """What to run: `formats` restricts those of the cases, `named` are the backends that must be there.

    `target` is a user's function; `beside` is the framework's own backend, asked what that fails. `convention` is what
    is right; `only` names the checks `case/format` to run, all when empty; `left_out` is what is known not to
    be tested. `told` hears of every failure; `remember` may keep references on disk. `shard` is the part of the
    questions that is run here, all when none is given. `jobs` workers answer for each framework on a device, but one
    where there is a backend `beside`; each may take so many bytes of `memory`, 0 for any, None for the default.
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
    beside: Backend | None = None
    convention: Convention = SPEC
    only: frozenset[str] = frozenset()
    left_out: Sequence[NotTested] = ()
    told: Told = silent
    remember: Remember = computed
    shard: Shard | None = None
    jobs: int = 1
    memory: int | None = None

    def questions(self) -> tuple[list[Question], list[NotTested]]:
        """Every case in every format that was asked for, and those for which the convention has no formula."""
        everything = self.shard.share(self._chosen()) if self.shard else self._chosen()
        if self.convention == SPEC:
            return everything, []
        refused = [one.refused for one in everything]
        reasons = Counter(reason for reason in refused if reason)
        asked = [one for one, reason in zip(everything, refused, strict=True) if not reason]
        return asked, [NotTested(f"under {self.convention}", why, n) for why, n in reasons.items()]

    def _chosen(self) -> list[Question]:
        return [
            Question(case, fmt, self.remember, self.convention)
            for case in self.cases
            for fmt in case.formats
            if (not self.formats or fmt in self.formats) and (not self.only or f"{case.id}/{fmt}" in self.only)
        ]

    def part(self) -> Part | None:
        """Describe the part that is run here, where it is not all."""
        if self.shard is None:
            return None
        names = [str(backend) for backend in self.backends]
        return Part(self.shard.number, self.shard.of, names_hash(self._chosen()), names)

    def asked(self, question: Question) -> list[Backend]:
        """Return the backends that a question is put to."""
        return [backend for backend in self.backends if question.put_to(backend)]


@contextmanager
def teams_for(plan: Run) -> Iterator[list[Team]]:
    """Start workers for each adapter, device and Python, all at once; end them all afterwards."""
    shared: dict[tuple[str, str, str, str], list[Backend]] = {}
    for backend, adapter in zip(plan.backends, adapters_of(plan.backends), strict=True):
        shared.setdefault((backend.framework, adapter, backend.python, backend.device), []).append(backend)
    teams: list[Team] = []
    for (_, adapter, _, device), backends in shared.items():
        compiled = any(backend.mode for backend in backends)
        number = 1 if plan.beside else plan.jobs
        alike = [
            Worker(adapter, device, plan.timeout, plan.target, compiled, memory=plan.memory) for _ in range(number)
        ]
        teams.append(Team(alike, backends))
    with started({worker: team.backends[0] for team in teams for worker in team.workers}), ExitStack() as stack:
        for team in teams:
            stack.callback(team.close)
        yield teams


@contextmanager
def workers_for(plan: Run) -> Iterator[dict[Worker, list[Backend]]]:
    """Start one worker for each adapter, device and Python, all at once; end them all afterwards."""
    with teams_for(replace(plan, jobs=1)) as teams:
        yield {team.workers[0]: team.backends for team in teams}


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
    writer.append(
        Header(VERSION, __version__, digest(plan.cases), now, plan.command, plan.threshold.value, plan.part())
    )
    everything, refused = plan.questions()
    questions = [question for question in everything if plan.asked(question)]
    summary.not_tested += refused
    for backend in plan.backends:
        if untagged := sum(backend.mode != "" and not question.put_to(backend) for question in everything):
            summary.not_tested.append(NotTested(str(backend), UNTAGGED, untagged))
    del everything  # a question holds its arrays and certified answers until it is let go
    total, done = sum(len(plan.asked(question)) for question in questions), 0
    with teams_for(plan) as teams, _stopped_at_once(worker for team in teams for worker in team.workers):
        ready = [
            team
            for team in teams
            if introduce(
                team.workers[0], {b: sum(q.put_to(b) for q in questions) for b in team.backends}, writer, summary
            )
        ]
        judged = Judged(plan.known, plan.threshold, plan.beside, writer, summary, plan.told)
        agreements = Agreements()
        for question, put in _put(plan, questions, ready):
            prepare(question)
            writer.append(case_line(question))
            given: dict[Backend, Outcome] = {}
            for answered in put:
                worker, answers = answered()
                for backend, outcomes in answers:
                    judged.take(question, backend, worker, outcomes)
                    if not isinstance(outcomes, WorkerStopped):
                        given[backend] = outcomes[0]
            agreements.take(question, given)
            done += len(plan.asked(question))
            progress(done, total, summary)
        judged.finish(whole=plan.shard is None)
        writer.append(*agreements.lines())
        writer.append(*judged.scripts())
    summary.finish(
        plan.named,
        strict_known=plan.strict_known,
        strict_undecided=plan.strict_undecided,
        whole=plan.shard is None,
    )
    writer.append(summary.footer(time.monotonic() - began))
    return summary


def introduce(worker: Worker, checks: Mapping[Backend, int], writer: Appends, summary: Summary) -> bool:
    """Record a worker's account of itself; false when it is not there, and none of its `checks` can be made.

    UsageError when that is the fault of a user's function.
    """
    first = next(iter(checks))
    entry = registered().get(first.implementation)
    name = str(replace(Backend.parse(entry.environment if entry else first.framework), device=first.device))
    name = f"{name}@{first.python}" if first.python else name
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


def _put(plan: Run, questions: list[Question], ready: Sequence[Team]) -> Iterator[_Put]:
    """Put the questions, taken from the list, to every team; yield each with the answers to come, in their order.

    Some are put ahead of the one that is yielded, but none where what fails is put to a backend beside: a worker has
    one call under way at a time.
    """
    ahead: deque[tuple[_Put, int]] = deque()
    held = 0
    questions.reverse()
    while questions:
        question = questions.pop()  # nothing of it is kept once it is judged
        backends = plan.asked(question)
        answers = [team.put([(b, question.requests(b)) for b in team.backends if b in backends]) for team in ready]
        ahead.append(((question, answers), question.elements * len(backends)))
        held += ahead[-1][1]
        while ahead and (plan.beside or held > _AHEAD):
            held -= ahead[0][1]
            yield ahead.popleft()[0]
    while ahead:
        yield ahead.popleft()[0]


def prepare(question: Question) -> None:
    """Compute the certified answers while the workers are busy."""
    for quantity in question.quantities:
        for choice in question.alternatives:
            if choice != "raises":
                question.answer(choice, quantity).prepare()
