"""The tables of the section *Speed*: one a case and format, a row a pass of a backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from lossparity.plain import line
from lossparity.quantities import bandwidth, bytes_of, interval, ratio, seconds
from lossparity.record import Speed
from lossparity_reports.speed.jobs import Timed, TimedJob

__all__ = ["SCALE", "Drawn", "Row", "Table", "tables"]

SCALE = 120
"""The width of the picture of an interval, in its own units."""

_WIDEST = 1000.0  # by how many times the picture reaches from 1, at most
_REGIMES = {"": "", "memory": ", beyond the last-level cache"}
_WORDS = {"faster", "slower", "same", "inconclusive"}


@dataclass(frozen=True)
class Drawn:
    """An interval as a picture: places from 0 to SCALE, of the interval's ends, the median and the margin's ends."""

    low: float
    middle: float
    high: float
    margin: tuple[float, float]


@dataclass(frozen=True)
class Row:
    """A row: figures as text, empty where there is none; `verdict` is the icon, `word` what stands beside it.

    `notes` are doubts, or why there is no time.
    """

    backend: str
    timed: str
    time: str
    first: str
    rate: str
    share: str
    peak: str
    ratio: str
    interval: str
    drawn: Drawn | None
    verdict: str
    word: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A case in a format: what it is, who took least in the headline pass, where the pictures end, and rows by pass."""

    id: str
    name: str
    lead: str
    brief: str
    ends: str
    passes: tuple[tuple[Row, ...], ...]


def tables(job: TimedJob) -> tuple[Table, ...]:
    """Return the tables of a job."""
    return tuple(
        _table(job, f"speed-{job.number}-{number}", name, list(times))
        for number, (name, times) in enumerate(groupby(job.times, lambda one: one.where), start=1)
    )


def _table(job: TimedJob, name: str, where: str, times: Sequence[Timed]) -> Table:
    one = times[0].speed
    fits = _REGIMES.get(one.regime, f", within the {one.regime}")
    limit = f"; triad {bandwidth(times[0].limit)} GB/s" if times[0].limit else ""
    against = f"; ratios to {job.against}" if any(t.ratio for t in times) else ""
    low, high = _ends(job, times)
    return Table(
        name,
        where,
        line(f"{one.operation}, {'x'.join(map(str, one.shape))}{fits}{limit}{against}"),
        _brief(times),
        interval(low, high) if against else "",
        tuple(tuple(_row(job, t, low, high) for t in theirs) for _, theirs in groupby(times, lambda t: t.speed.timed)),
    )


def _brief(times: Sequence[Timed]) -> str:
    """Say who has the least median of the first pass."""
    first = [t for t in times if t.speed.timed == times[0].speed.timed]
    there = [(median, t.speed.backend) for t in first if (median := t.speed.median) is not None]
    if not there:
        return f"no time of {first[0].speed.timed}"
    median, backend = min(there)
    return f"{first[0].speed.timed}: least median {seconds(median)}, {line(backend)}, of {len(there)}"


def _row(job: TimedJob, one: Timed, low: float, high: float) -> Row:
    speed, rate, median = one.speed, one.rate, one.speed.median
    first = seconds(speed.first) if speed.first else ""
    name, timed = line(speed.backend), line(speed.timed)
    if median is None:
        word, why = ("refused", line(speed.refused)) if speed.refused else ("none", "no round was timed")
        return Row(name, timed, "none", first, "", "", "", "", "", None, "refused", word, (why,))
    found = one.ratio
    word = line(found.verdict) if found else ("compared with" if speed.backend == job.against else "")
    return Row(
        name,
        timed,
        seconds(median),
        first,
        bandwidth(rate) if rate else "",
        _share(rate / one.limit) if rate and one.limit else "",
        bytes_of(speed.peak),
        ratio(found.first.ratio) if found else "",
        interval(found.first.low, found.first.high) if found else "",
        _drawn(job, one, low, high),
        word if word in _WORDS else "",
        word,
        (*_cold(speed), *(line(said) for said in speed.doubts), *_again(one)),
    )


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.01 else "< 1%"


def _cold(speed: Speed) -> tuple[str, ...]:
    return () if speed.cold is None else (f"{seconds(speed.cold)} where the L2 cache was emptied before",)


def _again(one: Timed) -> tuple[str, ...]:
    """Say what a second look found where it did not agree."""
    again = one.ratio.again if one.ratio else None
    if not again or not one.ratio or one.ratio.verdict != "inconclusive":
        return ()
    return (f"timed once more the ratio was {ratio(again.ratio)}, {interval(again.low, again.high)}",)


def _ends(job: TimedJob, times: Sequence[Timed]) -> tuple[float, float]:
    """Return where the pictures of a table end: its intervals, and a margin twice as wide as the job's around 1."""
    beside = 1 + max(2 * job.job.margin, 0.05)
    found = [end for t in times if t.ratio for end in (t.ratio.first.low, t.ratio.first.high)]
    low = min([1 / beside, *(end for end in found if end > 0)])
    high = max([beside, *(end for end in found if math.isfinite(end))])
    return max(low, 1 / _WIDEST), min(high, _WIDEST)


def _drawn(job: TimedJob, one: Timed, low: float, high: float) -> Drawn | None:
    if not one.ratio:
        return None

    def at(value: float) -> float:
        inside = min(max(value, low), high)
        return round(SCALE * math.log(inside / low) / math.log(high / low), 1)

    found, margin = one.ratio.first, 1 + job.job.margin
    return Drawn(at(found.low), at(found.ratio), at(found.high), (at(1 / margin), at(margin)))
