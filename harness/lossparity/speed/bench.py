"""Backends timed side by side: all alive at once, one sample each in every round, in random order.

What slows the machine down slows a round down, so ratios are taken round by round. One that is beyond the margin is
seen twice before it is called so. Results are fetched from timed calls at the end, of inputs that no round had,
and compared with the certified reference: no time counts without that.
"""

from __future__ import annotations

import datetime
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lossparity import __version__
from lossparity.errors import UsageError
from lossparity.model import Backend, Case
from lossparity.processors import allowed
from lossparity.ratios import LEAST, MARGIN
from lossparity.record import VERSION, Appends, Environment, Footer, Header, Job, NotTested, Speed
from lossparity.registry import adapters_of
from lossparity.spec import PASSES
from lossparity.speed.job import Timing
from lossparity.speed.participant import Participant
from lossparity.speed.rounds import Limits
from lossparity.speed.traffic import caches, processor
from lossparity.suite import digest
from lossparity.target import Target
from lossparity.teams import started
from lossparity.worker import THREADS
from lossparity.workers import Worker

__all__ = ["ALLOCATORS", "Bench", "Told", "bench", "participants"]

ALLOCATORS: Mapping[str, Mapping[str, str]] = {
    "system": {},
    "reuse": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)},
}
"""glibc's settings by name: as they are, or so that freed memory is kept and not asked of the system again."""

# A first call is to pay for its compilation, whatever an earlier process compiled.
_ANEW = {"JAX_ENABLE_COMPILATION_CACHE": "false", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}

_PLACED = "on as many processors as threads, for each case those with the least to do; once more on others"

Told = Callable[[int, int, str, float | None], None]
"""Hears how far a job is: cases done of all, what is being done, and about how many seconds are left, where known."""


@dataclass(frozen=True)
class Bench:
    """What to time: each case in each of its formats, by each backend, in each pass.

    `against` is whom the others are compared with. A case takes as many rounds as `limits` say. `target` is a user's
    function, which the backends of variant `target` call. With a `seed` the rounds have the same order each time. A
    worker may take so many bytes of `memory`, 0 for any, None for the default.
    """

    backends: Sequence[Backend]
    cases: Sequence[Case]
    against: Backend
    formats: Sequence[str] = ()
    passes: Sequence[str] = PASSES
    limits: Limits = field(default_factory=lambda: Limits(40, LEAST, 20.0))
    threads: int = 1
    allocator: str = "system"
    margin: float = MARGIN
    timeout: float = 300.0
    command: str = ""
    target: Target | None = None
    seed: int | None = None
    memory: int | None = None

    def only(self, backends: Sequence[Backend]) -> Bench:
        """Return the same of some of the backends, the first of them the one that others are compared with."""
        return replace(self, backends=backends, against=backends[0])


def bench(plan: Bench, writer: Appends, told: Told) -> Footer:
    """Run a job, appending to the record case by case; return its last line, which is in the record too.

    Its exit status is 0; 1 where a backend has no time that counts; 3 where there is none at all.
    """
    began, job = time.monotonic(), uuid.uuid4().hex[:16]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    writer.append(Header(VERSION, __version__, digest(plan.cases), now, plan.command, ""))
    told(0, 0, "starting the frameworks", None)
    refused = timed = 0
    questions = [(c, fmt) for c in plan.cases for fmt in c.formats if not plan.formats or fmt in plan.formats]
    with participants(plan) as started:
        not_tested: list[NotTested] = []
        there = [one for one in started if _introduced(plan, one, writer, not_tested, len(questions))]
        writer.append(Job(job, _settings(plan), plan.margin))
        first, dice = time.monotonic(), random.Random(plan.seed)
        for done, (case, fmt) in enumerate(questions if there else []):
            left = (time.monotonic() - first) / done * (len(questions) - done) if done else None

            def doing(what: str, name: str = f"{case.id}/{fmt}", at: int = done, left: float | None = left) -> None:
                told(at, len(questions), f"{name}: {what}", left)

            timing = Timing(
                job, case, fmt, plan.passes, plan.against, plan.limits, plan.margin, plan.threads, dice, doing
            )
            lines = timing.lines(there)
            not_tested += timing.not_tested
            writer.append(*lines)
            refused += sum(isinstance(line, Speed) and bool(line.refused) for line in lines)
            timed += sum(isinstance(line, Speed) and line.median is not None for line in lines)
    footer = Footer({}, not_tested, round(time.monotonic() - began, 3), 3 if not timed else int(refused > 0))
    writer.append(footer)
    return footer


@contextmanager
def participants(plan: Bench) -> Iterator[list[Participant]]:
    """Start a worker for every backend, all at once; end them all afterwards."""
    threads = str(plan.threads)
    settings = {THREADS: threads, "OMP_NUM_THREADS": threads, **ALLOCATORS[plan.allocator], **_ANEW}
    found: list[Participant] = []
    for backend, adapter in zip(plan.backends, adapters_of(plan.backends), strict=True):
        target = plan.target if backend.variant == "target" else None
        worker = Worker(
            adapter, backend.device, plan.timeout, target, bool(backend.mode), settings=settings, memory=plan.memory
        )
        found.append(Participant(backend, worker))
    with started({one.worker: one.backend for one in found}):
        yield found


def _introduced(plan: Bench, one: Participant, writer: Appends, not_tested: list[NotTested], number: int) -> bool:
    """Record a worker's account of itself; false when it is not there, and none of so many questions is put to it."""
    ready = one.worker.wait_ready()
    writer.append(Environment(str(one.backend), ready, dict(one.worker.details), one.worker.unavailable))
    if one.worker.refused:
        where = plan.target.where if plan.target else ""
        raise UsageError(f"the target cannot be timed: {one.worker.unavailable}", where=where)
    if reason := one.absent:
        not_tested.append(NotTested(str(one.backend), reason, number))
    return not reason


def _settings(plan: Bench) -> dict[str, str]:
    sizes, limits = caches(), plan.limits
    return {
        "processor": processor(),
        "caches": f"L2 {sizes.second >> 10} KiB, last level {sizes.last >> 10} KiB" if sizes.last else "unknown",
        "load before": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        "threads": str(plan.threads),
        "placed": _PLACED if len(allowed()) > plan.threads else "anywhere",
        "allocator": ", ".join([plan.allocator, *(f"{k}={v}" for k, v in ALLOCATORS[plan.allocator].items())]),
        "rounds": f"at most {limits.most}, and {limits.seconds:g} s a case, but at least {limits.least}",
    }
