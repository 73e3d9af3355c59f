"""How long calls take: their ratios, the first one against those that follow, and what memory they take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from lossparity.formats import FORMATS
from lossparity.plain import line
from lossparity.quantities import bytes_of, interval, ratio, seconds
from lossparity_reports.charts.figure import Cell, Figure
from lossparity_reports.charts.strips import UNITS, logarithmic, strips
from lossparity_reports.speed.jobs import Timed, TimedJob

__all__ = ["VERDICTS", "first_calls", "memory", "named", "ratios"]

VERDICTS = ("faster", "same", "inconclusive", "slower")
"""What a ratio comes to; each has its own shape."""

_SHAPES = ("triangle-left", "circle", "M-1,-1L1,1M-1,1L1,-1", "triangle-right")
_COLOURS = ("var(--good)", "var(--soft)", "var(--doubt)", "var(--bad)")
_FURTHEST = 1000.0  # a ratio beyond it, or its inverse, is drawn there
_LEAST = 2_000_000  # bytes: less cannot be told


def named(job: TimedJob, name: str) -> str:
    """Return the id of a figure of a job."""
    return f"speed-{name}" if job.number == 1 else f"speed-{name}-{job.number}"


def _heads(one: Timed) -> tuple[str, ...]:
    return one.where, line(one.speed.timed), line(one.speed.backend)


def _value(one: Timed, kind: str, **more: Any) -> dict[str, Any]:
    place, timed, backend = _heads(one)
    return {"place": place, "pass": timed, "backend": backend, "kind": kind, **more}


def _drawn(job: TimedJob, times: Sequence[Timed], values: list[dict[str, Any]], layers: list[Any]) -> dict[str, Any]:
    backends = [name for name in map(line, job.backends) if any(line(one.speed.backend) == name for one in times)]
    places = [name for name in job.places if any(one.where == name for one in times)]
    passes = [name for name in job.passes if any(one.speed.timed == name for one in times)]
    return strips(places, list(map(line, passes)), backends, values, layers)


def ratios(job: TimedJob) -> Figure | None:
    """Return the ratios of a job with their intervals; nothing where it has none."""
    there = [(one, one.ratio) for one in job.times if one.ratio]
    if not there:
        return None
    margin = 1 + job.job.margin

    def inside(value: float) -> float:
        return min(max(value, 1 / _FURTHEST), _FURTHEST)

    ends = [inside(end) for _, found in there for end in (found.first.low, found.first.high)]
    x = logarithmic(f"time, of that of {line(job.against)}", [*ends, 1 / margin**2, margin**2, 0.9, 1.1])
    values = [
        _value(
            one,
            "ratio",
            low=inside(found.first.low),
            ratio=inside(found.first.ratio),
            high=inside(found.first.high),
            verdict=line(found.verdict),
        )
        for one, found in there
    ]
    shape = {"domain": list(VERDICTS), "range": list(_SHAPES)}
    colour = {"domain": list(VERDICTS), "range": list(_COLOURS)}
    layers = [
        {
            "data": {"values": [{}]},
            "mark": {"type": "rect", "color": "var(--s1)"},
            "encoding": {"x": {"datum": 1 / margin, **x}, "x2": {"datum": margin}},
        },
        {
            "data": {"values": [{}]},
            "mark": {"type": "rule", "color": "var(--soft)"},
            "encoding": {"x": {"datum": 1, **x}},
        },
        {
            "transform": [{"filter": "datum.kind === 'ratio'"}],
            "mark": {"type": "rule", "color": "var(--ink)"},
            "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}},
        },
        {
            "transform": [{"filter": "datum.kind === 'ratio'"}],
            "mark": {"type": "point", "filled": False, "size": 45, "strokeWidth": 2, "opacity": 1},
            "encoding": {
                "x": {"field": "ratio", **x},
                "shape": {"field": "verdict", "type": "nominal", "scale": shape, "legend": {"title": None}},
                "color": {"field": "verdict", "type": "nominal", "scale": colour, "legend": {"title": None}},
            },
        },
    ]
    return Figure(
        named(job, "ratios"),
        f"Ratios to {line(job.against)}, with their intervals",
        f"The middle of the ratios of all rounds, below 1 for less time, and its 99 % interval. Shaded is what counts "
        f"as the same: {100 * job.job.margin:g} % to either side.",
        _drawn(job, [one for one, _ in there], values, layers),
        ("case", "pass", "backend", "ratio", "99 % interval", "timed once more", "verdict"),
        tuple(
            (
                _heads(one),
                (
                    Cell(ratio(found.first.ratio)),
                    Cell(interval(found.first.low, found.first.high)),
                    Cell(interval(found.again.low, found.again.high) if found.again else ""),
                    Cell(line(found.verdict)),
                ),
            )
            for one, found in there
        ),
    )


def _points(kind: str, x: dict[str, Any], shape: str, *, filled: bool = True) -> dict[str, Any]:
    return {
        "transform": [{"filter": f"datum.kind === '{kind}'"}],
        "mark": {
            "type": "point",
            "shape": shape,
            "filled": filled,
            "size": 40,
            "opacity": 1,
            "color": "var(--c0)" if filled else "var(--c1)",
        },
        "encoding": {"x": {"field": "x", **x}},
    }


def first_calls(job: TimedJob) -> Figure | None:
    """Return the first calls beside the medians of those that follow; nothing where no first call is known."""
    there = [
        (one, first, median)
        for one in job.times
        if (first := one.speed.first or 0) > 0 and (median := one.speed.median or 0) > 0
    ]
    if not there:
        return None
    x = logarithmic("seconds a call", [time for _, *both in there for time in both], UNITS["s"])
    values = [
        value
        for one, first, median in there
        for value in (
            _value(one, "between", x=min(first, median), to=max(first, median)),
            _value(one, "steady", x=median),
            _value(one, "first", x=first),
        )
    ]
    between = {
        "transform": [{"filter": "datum.kind === 'between'"}],
        "mark": {"type": "rule", "color": "var(--soft)"},
        "encoding": {"x": {"field": "x", **x}, "x2": {"field": "to"}},
    }
    layers = [between, _points("steady", x, "circle"), _points("first", x, "triangle-up", filled=False)]
    return Figure(
        named(job, "first"),
        "First call against steady state",
        "A filled circle is the median of a call, an open triangle the first call of all in a new process, with what "
        "is compiled for it.",
        _drawn(job, [one for one, *_ in there], values, layers),
        ("case", "pass", "backend", "first call", "median", "first / median"),
        tuple(
            (_heads(one), (Cell(seconds(first)), Cell(seconds(median)), Cell(f"{first / median:.3g}")))
            for one, first, median in there
        ),
    )


def memory(job: TimedJob) -> Figure | None:
    """Return the peak memory of calls; nothing where it could not be told of any."""
    there = [(one, peak) for one in job.times if (peak := one.speed.peak) is not None and one.speed.median is not None]
    if not there:
        return None
    sizes = {id(one): _size(one) for one, _ in there}
    x = logarithmic(
        "bytes",
        [float(max(number, _LEAST)) for one, peak in there for number in (peak, sizes[id(one)])] + [4.0 * _LEAST],
        UNITS["B"],
    )
    values = [
        value
        for one, peak in there
        for value in (
            *_input(one, sizes[id(one)]),
            _value(one, "peak" if peak >= _LEAST else "below", x=max(peak, _LEAST)),
        )
    ]
    tick = {
        "transform": [{"filter": "datum.kind === 'input'"}],
        "mark": {"type": "tick", "thickness": 2, "color": "var(--soft)"},
        "encoding": {"x": {"field": "x", **x}},
    }
    layers = [tick, _points("peak", x, "circle"), _points("below", x, "triangle-left", filled=False)]
    return Figure(
        named(job, "memory"),
        "Peak memory",
        "What a call took at most beyond what was there before it. An open triangle is less than 2 MB, which cannot be "
        "told closer; a bar is the size of the first argument, where that is more.",
        _drawn(job, [one for one, _ in there], values, layers),
        ("case", "pass", "backend", "peak", "first argument", "peak / argument"),
        tuple(
            (
                _heads(one),
                (
                    Cell(bytes_of(peak)),
                    Cell(bytes_of(sizes[id(one)]) if sizes[id(one)] else ""),
                    Cell(f"{peak / sizes[id(one)]:.2g}" if sizes[id(one)] and peak >= _LEAST else ""),
                ),
            )
            for one, peak in there
        ),
    )


def _size(one: Timed) -> int:
    """Return the bytes of the first argument; 0 in a format that is unknown."""
    fmt = FORMATS.get(one.speed.format)
    return math.prod(one.speed.shape) * fmt.bits // 8 if fmt else 0


def _input(one: Timed, size: int) -> Iterable[dict[str, Any]]:
    if size > _LEAST:
        yield _value(one, "input", x=size)
