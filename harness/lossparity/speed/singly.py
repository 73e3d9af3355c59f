"""Passes timed one by one, in an order that somebody else decides: pytest, for one.

Nothing is timed beside them, so there are no ratios; what a time has to stand up to is the same as in a job of several.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from lossparity import floating
from lossparity.errors import LossparityError, UsageError
from lossparity.formats import Array
from lossparity.inputs import build
from lossparity.model import Backend, Case
from lossparity.record import Speed
from lossparity.speed.bench import Bench, participants
from lossparity.speed.job import Timing, lacking
from lossparity.speed.participant import NotOffered, Participant, Refused
from lossparity.speed.places import idlest
from lossparity.speed.rounds import SCALES, Key, Rounds
from lossparity.speed.traffic import working_set
from lossparity.speed.verified import Verifier

__all__ = ["Singly"]


class Singly:
    """The workers of a plan, alive until it is closed, of which one at a time has something prepared.

    `ready` prepares a case for the passes that will be asked for, so that they share their inputs and what is compiled.
    """

    def __init__(self, plan: Bench) -> None:
        """Start the workers and wait for all of them.

        UsageError where a user's function cannot be used, LossparityError where the machine's arithmetic is unsound.
        """
        if fault := floating.self_test():
            raise LossparityError(fault)
        self._plan, self._dice = plan, random.Random(plan.seed)
        self._timing: Timing | None = None
        self._prepared: tuple[Participant, frozenset[str]] | None = None
        self._apart: set[str] = set()
        self._arrays: Mapping[str, Array] = {}
        self._right: Verifier | None = None
        with ExitStack() as stack:
            self._all = {one.backend: one for one in stack.enter_context(participants(plan))}
            for one in self._all.values():
                one.worker.wait_ready()
                if one.worker.refused:
                    where = plan.target.where if plan.target else ""
                    raise UsageError(f"the target cannot be timed: {one.worker.unavailable}", where=where)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """End the workers."""
        self._stack.close()

    def ready(self, case: Case, fmt: str, backend: Backend, passes: Sequence[str], timed: str) -> None:
        """Have a pass ready to be sampled, with the other passes; NotOffered or Refused where there is none."""
        one = self._all[backend]
        if one.absent:
            raise NotOffered(one.absent)
        timing, here = self._of(case, fmt), f"{case.id}/{fmt}@{backend}"
        if reason := lacking(working_set(next(iter(self._arrays.values())).shape, fmt), 1):
            raise NotOffered(reason)
        if here not in self._apart:
            self._prepare(timing, one, passes)
            speed = timing.speeds.get((one, timed))
            if speed is not None and speed.refused:
                self._apart.add(here)  # a gradient may end the process where the value does not
        if here in self._apart:
            self._prepare(timing, one, [timed])
        speed = timing.speeds.get((one, timed))
        if speed is None:
            left = {entry.what: entry.reason for entry in timing.not_tested}
            raise NotOffered(left.get(f"{here}#{timed}") or left[here])
        if speed.refused:
            raise Refused(speed.refused)

    def _prepare(self, timing: Timing, one: Participant, passes: Sequence[str]) -> None:
        if self._prepared != (one, frozenset(passes)):
            self._release()
            timing.passes, self._prepared = passes, (one, frozenset(passes))
            timing.prepare(one, self._arrays)

    def rounds(self, timed: str, seconds: float, least: int) -> int:
        """Return how many samples of a pass that is ready go into so many seconds, but at least so many."""
        began = time.monotonic()
        self.sample(timed)
        return max(least, round(seconds / (time.monotonic() - began)))

    def sample(self, timed: str) -> float:
        """Return the seconds that a call of a pass took in one sample, as the worker measured them."""
        one, _ = self._key(timed)
        try:
            return one.sample(timed, self._dice.choice(SCALES))
        except Refused:
            self._prepared = None  # with its process it lost what was prepared, for the other passes too
            raise

    def speed(self, timed: str, seconds: Sequence[float]) -> Speed:
        """Return what a pass came to, with its samples; `refused` says why its times do not count."""
        timing, key = self._timing, self._key(timed)
        assert timing is not None
        timing.take(Rounds({key: dict(enumerate(seconds))}))
        self._right = self._right or timing.verifier(self._arrays)
        timing.look(key, self._right)
        if not key[0].calls:
            self._prepared = None
        return timing.speeds[key]

    def environment(self, backend: Backend) -> dict[str, str]:
        """Return what its worker tells of itself: versions, device, threads."""
        return dict(self._all[backend].worker.details)

    def _key(self, timed: str) -> Key:
        assert self._prepared is not None
        return self._prepared[0], timed

    def _of(self, case: Case, fmt: str) -> Timing:
        if self._timing is None or (self._timing.case, self._timing.format) != (case, fmt):
            self._release()
            plan = self._plan
            self._timing = Timing(
                "", case, fmt, (), plan.against, plan.limits, plan.margin, plan.threads, self._dice, _unheard
            )
            self._timing.processors = idlest(plan.threads)
            self._arrays, self._right = build(case, fmt), None
        return self._timing

    def _release(self) -> None:
        if self._prepared is not None:
            one, _ = self._prepared
            self._prepared = None
            one.release()


def _unheard(_: str) -> None:
    """Nobody watches: pytest says itself what is under way."""
