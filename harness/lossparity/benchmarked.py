"""What pytest collects where pytest-benchmark is to run benchmarks only: an item for each pass of each speed case.

The work is done in a worker, which measures it as for `lossparity bench`. pytest-benchmark is given a clock that goes
on by just those seconds, so that neither the way to the worker nor the making of new inputs is in its times.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from lossparity.errors import LossparityError
from lossparity.model import Backend, Case
from lossparity.nodes import Checks, Nonconforming, plain, selectable
from lossparity.plugin import OPEN
from lossparity.record import Speed
from lossparity.session import renamed
from lossparity.speed import export
from lossparity.speed.bench import Bench
from lossparity.speed.participant import NotOffered, Refused
from lossparity.speed.singly import Singly

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

__all__ = ["Pass", "Timings"]


class Timings(pytest.Collector):
    """The passes of a plan: the workers start before the first of them that is asked and end after the last.

    It takes the place of the node of checks that it is made of, and has its name.
    """

    checks: Checks
    plan: Bench
    _timing: Singly | None = None
    _refused: LossparityError | None = None

    @classmethod
    def of(cls, checks: Checks) -> Timings:
        """Return the node that stands for another."""
        assert checks.parent is not None
        made: Timings = cls.from_parent(checks.parent, name=checks.name, nodeid=checks.nodeid, path=checks.path)
        made.checks = checks
        return made

    def collect(self) -> Iterator[Pass]:
        """Yield an item for each pass, those of one case, format and backend side by side: they share a preparation."""
        self.plan = plan = self.checks.timed()
        self.config.stash.setdefault(OPEN, []).append(self.close)
        for case in plan.cases:
            for fmt in [fmt for fmt in case.formats if not plan.formats or fmt in plan.formats]:
                for backend in plan.backends:
                    for timed in [name for name in plan.passes if case.gradient or name == "forward"]:
                        yield Pass.of(self, case, fmt, backend, timed)

    def asked(self, item: Pass) -> Singly:
        """Return the workers, with an item's pass ready; NotOffered, Refused, this project's errors where it is not."""
        mine = [one for one in self.session.items if isinstance(one, Pass) and one.parent is self]
        if self._refused is not None:
            raise self._refused
        if self._timing is None:
            backends = list(dict.fromkeys(one.backend for one in mine))
            try:
                self._timing = Singly(self.plan.only(backends))
            except LossparityError as error:
                self._refused = error
                raise
        passes = [one.timed for one in mine if one.question == item.question]
        self._timing.ready(item.case, item.format, item.backend, passes, item.timed)
        return self._timing

    def teardown(self) -> None:
        """End the workers; they start again where more is asked after other tests."""
        self.close()

    def close(self) -> None:
        """End the workers, if there are any."""
        if self._timing is not None:
            self._timing.close()
            self._timing = None

    # As pytest.Collector has it, which knows of no styles.
    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        """Say what is wrong with what was asked for, without a traceback of ours."""
        return plain(excinfo) or super().repr_failure(excinfo)


class _Clock:
    """A clock that goes on only when it is told."""

    def __init__(self) -> None:
        self._now = 0.0

    # pytest-benchmark's files name the clock by this: it is what the worker measured with.
    def perf_counter(self) -> float:
        """Return the seconds that were told until now."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Go on."""
        self._now += seconds


class Pass(pytest.Function):
    """One pass of one case in one format by one backend; a test with pytest-benchmark's fixture."""

    case: Case
    format: str
    backend: Backend
    timed: str

    @classmethod
    def of(cls, timings: Timings, case: Case, fmt: str, backend: Backend, timed: str) -> Pass:
        """Return an item, selectable as checks are."""
        shown, clock = renamed(str(backend), timings.checks.label), _Clock()

        def run(benchmark: Any) -> None:
            item.time(benchmark, clock)

        item: Pass = cls.from_parent(timings, name=f"{case.id}/{fmt}@{shown}#{timed}", callobj=run)
        item.case, item.format, item.backend, item.timed = case, fmt, backend, timed
        selectable(item, case, fmt, shown)
        group = export.group(case.id, fmt, timed)
        item.add_marker(pytest.mark.benchmark(timer=clock.perf_counter, group=group))
        return item

    @property
    def cls(self) -> None:
        """Return none, as of a function: where it is collected within a class it is none of its methods."""

    @property
    def timings(self) -> Timings:
        """The node that it was collected from."""
        assert isinstance(self.parent, Timings)
        return self.parent

    @property
    def question(self) -> tuple[str, str, Backend]:
        """What a worker prepares at once."""
        return self.case.id, self.format, self.backend

    def time(self, benchmark: Any, clock: _Clock) -> None:
        """Time it; Nonconforming where there is no time that counts, pytest's skip where the pass is not offered."""
        option = self.config.option
        if self.timings.checks.untimed:
            self._skip(self.timings.checks.untimed)
        try:
            timing = self.timings.asked(self)
            rounds = timing.rounds(self.timed, float(option.benchmark_max_time), option.benchmark_min_rounds)
        except NotOffered as error:
            self._skip(str(error))
        except LossparityError as error:
            if not self.timings.checks.first(str(error)):
                self._skip(f"not timed: {error}")
            benchmark.pedantic(self._fail, args=(str(error),))  # it warns where it was never used
            raise
        except Refused as error:
            benchmark.pedantic(self._fail, args=(str(error),))
            raise
        seconds: list[float] = []

        def sample() -> None:
            try:
                seconds.append(timing.sample(self.timed))
            except (NotOffered, Refused) as error:
                self._fail(str(error))
            clock.advance(seconds[-1])

        backend = self.name.partition("@")[2].rpartition("#")[0]
        benchmark.param, benchmark.params = backend, export.params(backend, self.format, self.timed)
        benchmark.pedantic(sample, rounds=rounds)
        speed = timing.speed(self.timed, seconds)
        if speed.refused:
            # Neither in its table nor in its files is a time that does not count.
            benchmark.has_error = True
            benchmark.stats.stats.data.clear()
            self._fail(speed.refused)
        benchmark.stats.iterations = speed.calls  # of which a sample was the mean
        benchmark.extra_info |= self._facts(speed, timing)

    def _facts(self, speed: Speed, timing: Singly) -> dict[str, Any]:
        return {
            **export.facts(speed),
            "api": speed.api,
            "doubts": speed.doubts,
            "environment": timing.environment(self.backend),
        }

    def _skip(self, reason: str) -> NoReturn:
        raise pytest.skip.Exception(reason, _use_item_location=True)

    def _fail(self, reason: str) -> NoReturn:
        lines = (f"NO TIME {self.name}", f"  {reason}", f"  again: {shlex.join(self._again())}")
        raise Nonconforming("\n".join(lines))

    def _again(self) -> Sequence[str]:
        path, colons, names = self.nodeid.partition("::")
        if not self.timings.checks.label:
            return ["pytest", "--pyargs", self.nodeid, "--lossparity-backends", str(self.backend), "--benchmark-only"]
        here = os.path.relpath(self.config.rootpath / path, self.config.invocation_params.dir)
        return ["pytest", f"{here}{colons}{names}", "--benchmark-only"]

    # As pytest.Function has it, which knows of no styles.
    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        """Show what was found, and not how it was found; a traceback only for a fault of ours."""
        return plain(excinfo) or super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where it is and the headline of a failure, which is not to be taken for a dotted name."""
        return self.path, 0, f"time {self.name}"
