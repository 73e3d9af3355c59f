"""Backends over their runs: results of each kind, shares of their bounds, times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lossparity.model import Grade
from lossparity.plain import line
from lossparity.quantities import seconds
from lossparity.series import Series
from lossparity_reports.charts.figure import Cell, Figure, scale_of
from lossparity_reports.charts.strips import UNITS, logarithmic

__all__ = ["courses", "labels"]

_TALL = 110
_STEP = 46  # of a run
_FAILING = "failing"
_GRADES = tuple(one.value for one in (Grade.EXACT, Grade.FAITHFUL, Grade.TIGHT, Grade.LOOSE))
_LOOKS = {"color": "color", "strokeDash": "dash", "shape": "shape"}
_SHARES = ("half", "99 %", "most")


def labels(series: Series, by: str) -> list[str]:
    """Return what the runs of a series are called, each otherwise: by version or day, with as much more as it takes."""
    for ways in (1, 2, 3):
        found = [_label(line(one.version), line(one.started), by, ways) for one in series.points]
        if len(set(found)) == len(found):
            return found
    seen: Counter[str] = Counter()
    for place, name in enumerate(found):
        seen[name] += 1
        found[place] = f"{name} ({seen[name]})" if seen[name] > 1 else name
    return found


def _label(version: str, started: str, by: str, ways: int) -> str:
    when = started[:10] if ways < 3 else started[:19].replace("T", " ")
    parts = [version, when] if by == "version" else [when, version]
    return ", ".join(parts[: 1 if ways == 1 else 2])


def courses(every: Sequence[Series], by: str) -> list[Figure]:
    """Return the figures of series; none of what there is nothing of."""
    named = [(one, labels(one, by)) for one in every]
    found = [_results(named), _bounds(named), _times(named)]
    return [figure for figure in found if figure is not None]


_Named = Sequence[tuple[Series, list[str]]]


def _results(named: _Named) -> Figure | None:
    values: list[dict[str, Any]] = []
    rows: list[tuple[tuple[str, ...], tuple[Cell, ...]]] = []
    kinds = (*_GRADES, "known", _FAILING)
    for series, names in named:
        for point, name in zip(series.points, names, strict=True):
            if not point.passing and not point.others:  # of times alone
                continue
            counts = Counter({grade: point.passing.get(grade, 0) for grade in _GRADES})
            counts["known"] = point.others.get("known", 0)
            counts[_FAILING] = sum(point.others.get(one, 0) for one in ("fail", "error", "crash", "timeout"))
            values += [_value(series, name, kind, counts[kind]) for kind in kinds]
            rows.append(((line(series.name), name), tuple(Cell(str(counts[kind])) for kind in kinds)))
    if not any(value["number"] for value in values):
        return None
    y = {"type": "quantitative", "scale": {"type": "symlog"}, "axis": {"title": "results", "tickCount": 4}}
    return Figure(
        "history-results",
        "Results by grade",
        "How many passing results have each grade, how many deviate as declared, and how many fail.",
        _panels(named, values, y, kinds),
        ("backend", "run", *kinds),
        tuple(rows),
    )


def _bounds(named: _Named) -> Figure | None:
    values: list[dict[str, Any]] = []
    rows: list[tuple[tuple[str, ...], tuple[Cell, ...]]] = []
    for series, names in named:
        for point, name in zip(series.points, names, strict=True):
            if used := point.used:
                shares = dict(zip(_SHARES, (used.half, used.most, used.largest), strict=True))
                values += [_value(series, name, kind, share) for kind, share in shares.items()]
                rows.append(((line(series.name), name), tuple(Cell(f"{share:.3g}") for share in shares.values())))
    if not rows:
        return None
    y = {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"title": "of the bound", "values": [0, 0.5, 1]},
    }
    return Figure(
        "history-bounds",
        "How much of the bound is used",
        "The share of their bounds that half of the passing results, 99 of a hundred, and all of them stay within.",
        _panels(named, values, y, _SHARES),
        ("backend", "run", *_SHARES),
        tuple(rows),
    )


def _times(named: _Named) -> Figure | None:
    values: list[dict[str, Any]] = []
    rows: list[tuple[tuple[str, ...], tuple[Cell, ...]]] = []
    for series, names in named:
        for point, name in zip(series.points, names, strict=True):
            for key, (job, median) in point.times.items():
                check, _, timed = key.rpartition("#")
                values.append({**_value(series, name, timed, median), "one": f"{check} {job}"})
                rows.append(((line(series.name), name, line(check)), (Cell(timed), Cell(seconds(median)))))
    numbers = [value["number"] for value in values if value["number"] > 0]
    if not numbers:
        return None
    passes = list(dict.fromkeys(value["kind"] for value in values))
    return Figure(
        "history-times",
        "Times",
        "The median of a call, for each case and pass. A line joins those of one job, which alone can be compared: a "
        "machine is not the same from one job to the next.",
        _panels(named, values, logarithmic("seconds a call", numbers, UNITS["s"]), passes),
        ("backend", "run", "case", "pass", "median"),
        tuple(rows),
    )


def _value(series: Series, name: str, kind: str, number: float) -> dict[str, Any]:
    return {"series": line(series.name), "run": name, "kind": kind, "number": number, "one": ""}


def _panels(
    named: _Named,
    values: list[dict[str, Any]],
    y: Mapping[str, Any],
    kinds: Sequence[str],
) -> dict[str, Any]:
    """Return the specification: a panel a series, with its runs in order; the look of a mark says what it counts."""
    there = {value["series"] for value in values}
    kind = {"field": "kind", "type": "nominal", "legend": {"title": None}}
    panels = [
        {
            "title": {"text": line(series.name), "anchor": "start", "color": "var(--ink)", "fontSize": 11},
            "data": {"values": [value for value in values if value["series"] == line(series.name)]},
            "width": {"step": max(_STEP, 7 * max(map(len, names)))},
            "height": _TALL,
            "mark": {"type": "line", "point": {"size": 40, "opacity": 1}, "strokeWidth": 1.5},
            "encoding": {
                "x": {
                    "field": "run",
                    "type": "ordinal",
                    "scale": {"domain": names},
                    "axis": {"title": None, "labelAngle": 0, "labelLimit": 0},
                },
                "y": {"field": "number", **y},
                "detail": {"field": "one"},
                **{channel: {**kind, "scale": scale_of(kinds, look)} for channel, look in _LOOKS.items()},
            },
        }
        for series, names in named
        if line(series.name) in there
    ]
    return {"concat": panels, "columns": 2, "data": {"values": []}}
