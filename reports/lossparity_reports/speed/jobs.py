"""The times of a record, job by job: no time of one job is ever put beside one of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lossparity.plain import line
from lossparity.record import Job, Ratio, Record, Speed
from lossparity.spec import PASSES
from lossparity_reports.charts.figure import formats_of

__all__ = ["Timed", "TimedJob", "jobs"]


@dataclass(frozen=True)
class Timed:
    """One pass of one check, with its ratio to the backend of comparison and the triad's bytes a second beside it."""

    speed: Speed
    ratio: Ratio | None
    limit: float | None

    @property
    def where(self) -> str:
        """The case and the format, on one line."""
        return line(f"{self.speed.case}/{self.speed.format}")

    @property
    def rate(self) -> float | None:
        """Bytes a second, of those that have to be moved; none where there is no time."""
        median = self.speed.median
        return self.speed.moved / median if median and self.speed.moved else None

    @property
    def classes(self) -> int:
        """K, the length of the class axis."""
        shape = self.speed.shape
        return shape[min(1, len(shape) - 1)] if shape else 1

    @property
    def rows(self) -> int:
        """How many rows of K classes there are."""
        return max(1, math.prod(self.speed.shape) // max(1, self.classes))


@dataclass(frozen=True)
class TimedJob:
    """One job: its times, in the order of cases, formats, passes and backends; `against` may be unknown (empty)."""

    number: int
    job: Job
    times: tuple[Timed, ...]
    against: str

    @property
    def backends(self) -> list[str]:
        """The backends, in the order of the record."""
        return list(dict.fromkeys(one.speed.backend for one in self.times))

    @property
    def passes(self) -> list[str]:
        """The passes that were timed, the headline first."""
        return _in_order([one.speed.timed for one in self.times], PASSES)

    @property
    def places(self) -> list[str]:
        """The cases with their formats."""
        return list(dict.fromkeys(one.where for one in self.times))


def jobs(record: Record) -> list[TimedJob]:
    """Return the jobs of a record that have times, in its order; a job that only its times name has no settings."""
    ratios = {(one.job, one.key): one for one in record.ratios}
    limits = {(one.job, one.case, one.format): one.rate for one in record.triads if one.rates}
    known = {one.id: one for one in record.jobs}
    found = []
    for number, name in enumerate(dict.fromkeys(one.job for one in record.speeds), start=1):
        theirs = [one for one in record.speeds if one.job == name]
        backends = list(dict.fromkeys(one.backend for one in theirs))
        cases = list(dict.fromkeys(one.case for one in theirs))
        formats, passes = formats_of([one.format for one in theirs]), _in_order([one.timed for one in theirs], PASSES)
        theirs.sort(
            key=lambda one: (
                cases.index(one.case),
                formats.index(one.format),
                passes.index(one.timed),
                backends.index(one.backend),
            )
        )
        times = tuple(
            Timed(one, ratios.get((name, one.key)), limits.get((name, one.case, one.format))) for one in theirs
        )
        against = next((one.ratio.against for one in times if one.ratio), "")
        found.append(TimedJob(number, known.get(name) or Job(name, {}, 0.0), times, against))
    return found


def _in_order(names: Sequence[str], order: Sequence[str]) -> list[str]:
    return [name for name in order if name in names] + sorted(set(names) - set(order))
