"""Error against what makes a case hard: the size of its logits, their spread, and the number of classes.

Of each backend and format the largest error in each bin is drawn, where its case lies. What passes, known deviations
and failures are kept apart, and so is what is of another class, which has no distance: NaN, an infinity or a number
where another of the three is right. What raised, crashed or has another shape or format gave no numbers to draw.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lossparity.formats import FORMATS
from lossparity.plain import line
from lossparity.record import CaseLine, Result
from lossparity_reports.address import address
from lossparity_reports.charts.cliffs import Cliff, cliffs
from lossparity_reports.charts.figure import Cell, Figure, Series, formats_of
from lossparity_reports.charts.panels import HIGH, LOW, STATES, panels
from lossparity_reports.figures import short
from lossparity_reports.summary import FAILING

__all__ = ["EDGES", "by_size"]

EDGES = (0.3, *(mantissa * 10.0**power for power in range(6) for mantissa in (1, 3)), HIGH)
"""The ends of the bins; the first and the last are open."""

_GOT = {"nan": "NaN", "inf": "\N{INFINITY}", "zero": "0", "finite-wrong": "a number"}
_AXES = {
    "largest": ("Error against logit size", "largest finite |logit|"),
    "spread": ("Error against spread", "widest row of finite logits"),
    "classes": ("Error against the number of classes", "classes"),
}


@dataclass
class _Bin:
    """What a backend came to in a format and a bin: of each state the worst result, and those of another class."""

    worst: dict[str, tuple[float, float, Result]] = field(default_factory=dict)
    unlike: dict[str, list[tuple[float, Result]]] = field(default_factory=dict)

    def add(self, at: float, state: str, result: Result) -> None:
        if result.ulp is not None:
            if state not in self.worst or result.ulp > self.worst[state][0]:
                self.worst[state] = (result.ulp, at, result)
        elif state != "pass" and _has_numbers(result):
            self.unlike.setdefault(state, []).append((at, result))


def by_size(results: Sequence[Result], cases: Iterable[CaseLine]) -> list[Figure]:
    """Return a figure for each of the three, where the record says how large its cases are; no empty ones."""
    spans = {(c.id, c.format): c.logits for c in cases if c.logits is not None}
    figures = []
    for name, (title, axis) in _AXES.items():
        bins: dict[tuple[str, str], dict[int, _Bin]] = {}
        for result in results:
            span, state = spans.get((result.case, result.format)), _state(result)
            if span is not None and state and (result.ulp is not None or _has_numbers(result)):
                at = float(getattr(span, name))
                where = bins.setdefault((result.backend, result.format), {})
                where.setdefault(bisect_right(EDGES, at), _Bin()).add(at, state, result)
        bins = {which: there for which, there in bins.items() if any(b.worst or b.unlike for b in there.values())}
        if bins:
            figures.append(_figure(name, title, axis, bins))
    return figures


def _state(result: Result) -> str:
    """Say how a result is drawn; what is not judged, or cannot be, is not drawn at all."""
    if result.verdict in FAILING:
        return "failure"
    return {"pass": "pass", "stale": "pass", "known": "known"}.get(result.verdict, "")


def _has_numbers(result: Result) -> bool:
    """Whether its elements were judged; where one deviates all the same without a distance, its class does."""
    return result.worst is not None or any(result.histogram)


def _figure(name: str, title: str, axis: str, bins: Mapping[tuple[str, str], dict[int, _Bin]]) -> Figure:
    backends = list(dict.fromkeys(backend for backend, _ in bins))
    formats = formats_of([fmt for _, fmt in bins])
    series = {backend: Series.of(backend) for backend in backends}
    edges = [c for fmt in formats if fmt in FORMATS for c in cliffs(FORMATS[fmt]) if c.against == name]
    marks = [
        {"kind": "cliff", "format": fmt, "framework": framework, "x": c.at, "short": c.short, "said": _edge(c, fmt)}
        for fmt in formats
        if fmt in FORMATS
        for c in cliffs(FORMATS[fmt])
        if c.against == name and c.at <= HIGH
        for framework in dict.fromkeys(s.framework for s in series.values())
    ]
    # The strip is named in the first column, outside of the panel. Vega puts the panels of which it is told nothing
    # first, under the heads of others, so that each is told something.
    marks += [
        {"kind": "panel" if place else "strip", "format": fmt, "framework": framework}
        for framework in dict.fromkeys(s.framework for s in series.values())
        for place, fmt in enumerate(formats)
    ]
    points = [
        one
        for (backend, fmt), there in bins.items()
        for place in sorted(there)
        for one in _points(backend, fmt, series[backend], there[place])
    ]
    known = " ".join(dict.fromkeys(f"“{c.short}”: {c.said}." for c in edges))
    columns = sorted({place for there in bins.values() for place in there})
    return Figure(
        f"error-{name}",
        title,
        "The largest error of each backend, at the place of its case: a point for each state (pass, known, failure) in "
        "each column of the table. In the strip at the top are results of another class: NaN or an infinity where a "
        "number is right, or the reverse. What raised, crashed or has another shape or format gave no numbers to draw. "
        f"Below {LOW:g} or above {HIGH:,.0f} a point is at the edge; beside an exact value near 0 an ulp is small. "
        f"Dashed rules are cliffs of the format. {known}",
        panels(axis, series, formats, points + marks),
        ("backend", "format", *map(_words, columns)),
        tuple(
            (
                (backend, fmt),
                tuple(_cell(bins[backend, fmt].get(place)) for place in columns),
            )
            for backend in backends
            for fmt in formats
            if (backend, fmt) in bins
        ),
    )


def _edge(cliff: Cliff, fmt: str) -> str:
    return f"{fmt}: {cliff.said} = {cliff.at:.6g}"


def _clamped(number: float) -> float:
    return min(max(number, LOW), HIGH)


def _points(backend: str, fmt: str, series: Series, there: _Bin) -> list[dict[str, Any]]:
    who = {"backend": backend, "format": fmt, "framework": series.framework, "series": series.rest}
    said = f"{line(backend)}, {fmt}"
    finite = [
        {
            **who,
            "kind": "number",
            "state": state,
            "x": _clamped(at),
            "y": _clamped(ulp),
            "address": address(check=result.check),
            "said": f"{said}, {state}: {short(ulp)} ulp at {short(at)}; {result.quantity} of {line(result.case)}",
        }
        for state, (ulp, at, result) in there.worst.items()
    ]
    return finite + [
        {
            **who,
            "kind": "class",
            "state": state,
            "x": _clamped(found[0][0]),
            "address": address(check=found[0][1].check),
            "said": f"{said}, {state}: {_unlike(found)}, the first at {short(found[0][0])}",
        }
        for state, found in there.unlike.items()
    ]


def _unlike(found: Sequence[tuple[float, Result]]) -> str:
    got = ", ".join(dict.fromkeys(_GOT[result.cause] for _, result in found if result.cause in _GOT))
    return f"{len(found)} of another class{f' (got {got})' if got else ''}"


def _cell(there: _Bin | None) -> Cell:
    """Say what the points of a bin are, the gravest state first, whose icon and check the cell has."""
    if there is None:
        return Cell("\N{EN DASH}")
    parts, gravest = [], ""
    found: Result | None = None
    for state in reversed(STATES):
        here = [short(there.worst[state][0])] if state in there.worst else []
        here += [_unlike(there.unlike[state])] if state in there.unlike else []
        if here and state != "pass":
            parts.append(f"{state} {', '.join(here)}")
            if found is None:
                gravest = state
                found = there.worst[state][2] if state in there.worst else there.unlike[state][0][1]
        else:
            parts += here
    verdict = {"failure": "fail"}.get(gravest, gravest)
    return Cell("; ".join(parts), address(check=found.check) if found else "", verdict)


def _words(place: int) -> str:
    if place == 0:
        return f"below {EDGES[0]:g}"
    if place == len(EDGES):
        return f"{EDGES[-1]:,.0f} and more"
    return f"{EDGES[place - 1]:,g} to {EDGES[place]:,g}"
