"""Speed against the number of classes, and against accuracy: a point a backend."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from lossparity.plain import line
from lossparity.quantities import bandwidth, seconds
from lossparity_reports.charts.figure import Cell, Figure, scale_of
from lossparity_reports.charts.speeds import named
from lossparity_reports.charts.strips import UNITS, logarithmic
from lossparity_reports.figures import short
from lossparity_reports.speed.jobs import Timed, TimedJob

__all__ = ["accuracy", "by_classes"]

_TALL, _WIDE = 110, 190
_FLOOR = 0.01  # ulp: what is nearer is drawn there


def _points(backends: Sequence[str]) -> dict[str, Any]:
    """Return what tells backends apart, in one legend: colour and shape."""
    legend: dict[str, Any] = {"title": "backend"}
    return {
        "color": {"field": "backend", "type": "nominal", "scale": scale_of(backends, "color"), "legend": legend},
        "shape": {"field": "backend", "type": "nominal", "scale": scale_of(backends, "shape"), "legend": legend},
    }


_MARK = {"type": "point", "size": 40, "strokeWidth": 1.8, "opacity": 1}


def by_classes(job: TimedJob) -> list[Figure]:
    """Return the time of a row, and the bytes a second, against K; none where nothing was timed."""
    there = [one for one in job.times if one.speed.median]
    if not there:
        return []
    found = [
        _against_classes(
            job,
            "time",
            "Time of a row against the number of classes",
            "The median of a call, divided by its rows of K classes. One row alone has to pay for the call.",
            [(one, (one.speed.median or 0.0) / one.rows) for one in there],
            ("seconds a row", UNITS["s"]),
            (),
        )
    ]
    rates = [(one, one.rate / 1e9) for one in there if one.rate]
    limits = {(one.speed.case, one.speed.format): one for one in there if one.limit}.values()
    if rates:
        found.append(
            _against_classes(
                job,
                "rate",
                "GB/s against the number of classes",
                "The bytes that the pass has to move at least, a second. A dash is the triad of as many bytes: what "
                "this memory gives.",
                rates,
                ("GB/s", "format(datum.value, '~g')"),
                limits,
            )
        )
    return found


def _group(one: Timed) -> str:
    return line(f"{one.speed.operation}, {one.speed.format}")


def _against_classes(
    job: TimedJob,
    name: str,
    title: str,
    lead: str,
    there: Sequence[tuple[Timed, float]],
    axis: tuple[str, str],
    limits: Iterable[Timed],
) -> Figure:
    groups = list(dict.fromkeys(_group(one) for one, _ in there))
    passes = [line(timed) for timed in job.passes]
    backends = list(map(line, job.backends))
    values: list[dict[str, Any]] = [
        {
            "group": _group(one),
            "pass": line(one.speed.timed),
            "backend": line(one.speed.backend),
            "kind": "time",
            "x": max(one.classes, 1),
            "y": number,
        }
        for one, number in there
    ]
    triads = [
        {"group": _group(one), "pass": timed, "kind": "triad", "x": max(one.classes, 1), "y": (one.limit or 0.0) / 1e9}
        for one in limits
        for timed in passes
    ]
    known = {(value["group"], value["pass"]) for value in [*values, *triads]}
    empty = [
        {"group": group, "pass": timed, "kind": "none"}
        for group, timed in itertools.product(groups, passes)
        if (group, timed) not in known
    ]
    x = {"field": "x", **logarithmic("K, classes", [v["x"] for v in values], "format(datum.value, '~s')")}
    y = {"field": "y", **logarithmic("", [v["y"] for v in [*values, *triads]], axis[1])}
    return Figure(
        named(job, name),
        title,
        lead,
        {
            "data": {"values": [*values, *triads, *empty]},
            "facet": {
                "row": {
                    "field": "group",
                    "type": "nominal",
                    "sort": groups,
                    "header": {
                        "labelAngle": 0,
                        "labelAlign": "left",
                        "labelAnchor": "middle",
                        "labelLimit": 0,
                        "labelPadding": 26,
                        "title": None,
                    },
                },
                "column": {"field": "pass", "type": "nominal", "sort": passes, "header": {"title": None}},
            },
            "spacing": {"row": 10, "column": 12},
            "spec": {
                "width": _WIDE,
                "height": _TALL,
                "layer": [
                    {
                        "transform": [{"filter": "datum.kind === 'triad'"}],
                        "mark": {
                            "type": "tick",
                            "orient": "horizontal",
                            "size": 22,
                            "thickness": 2,
                            "color": "var(--soft)",
                        },
                        "encoding": {"x": x, "y": y},
                    },
                    {
                        "transform": [{"filter": "datum.kind === 'time'"}],
                        "mark": _MARK,
                        "encoding": {"x": x, "y": y, **_points(backends)},
                    },
                ],
            },
        },
        ("case", "pass", "backend", "K", "rows", axis[0], *(("triad, GB/s",) if triads else ())),
        tuple(
            (
                (one.where, line(one.speed.timed), line(one.speed.backend)),
                (
                    Cell(str(one.classes)),
                    Cell(str(one.rows)),
                    Cell(seconds(number) if name == "time" else bandwidth(number * 1e9)),
                    *((Cell(bandwidth(one.limit) if one.limit else ""),) if triads else ()),
                ),
            )
            for one, number in there
        ),
    )


def accuracy(job: TimedJob) -> Figure | None:
    """Return the largest error that was seen against the time, one point a backend; none where no error was seen."""
    there: list[tuple[Timed, float, float]] = []
    for place in job.places:
        for timed in job.passes:
            found = [
                (one, median, ulp)
                for one in job.times
                if one.where == place and one.speed.timed == timed
                if (median := one.speed.median) and (ulp := one.speed.ulp) is not None
            ]
            if found:  # the headline pass alone, where it was timed
                there += found
                break
    if not there:
        return None
    backends = list(map(line, job.backends))
    places = list(dict.fromkeys(one.where for one, *_ in there))
    values = [
        {"place": one.where, "backend": line(one.speed.backend), "x": median, "y": max(ulp, _FLOOR)}
        for one, median, ulp in there
    ]
    x = {"field": "x", **logarithmic("seconds a call", [median for _, median, _ in there], UNITS["s"])}
    errors = [max(ulp, _FLOOR) for *_, ulp in there]
    y = {"field": "y", **logarithmic("largest error seen, in ulp", [*errors, 0.5, 2.0])}
    return Figure(
        named(job, "accuracy"),
        "Speed against accuracy",
        "The largest error that was seen in results of timed calls, by the median of a call; near the lower left "
        "corner is quick and accurate. Some elements are looked at: a run judges all of them.",
        {
            "data": {"values": values},
            "facet": {"field": "place", "type": "nominal", "sort": places, "header": {"title": None}},
            "columns": 3,
            "spacing": {"row": 12, "column": 12},
            "spec": {
                "width": _WIDE,
                "height": _TALL,
                "mark": _MARK,
                "encoding": {"x": x, "y": y, **_points(backends)},
            },
        },
        ("case", "pass", "backend", "median", "largest error seen, ulp"),
        tuple(
            ((one.where, line(one.speed.timed), line(one.speed.backend)), (Cell(seconds(median)), Cell(short(ulp))))
            for one, median, ulp in there
        ),
    )
