"""The page of a history: the runs of each backend in order, what they came to, and what changed in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from lossparity.model import Verdict
from lossparity.plain import line
from lossparity.series import History, Point, Series
from lossparity_reports.charts.courses import courses, labels
from lossparity_reports.charts.drawing import Undrawn, painter
from lossparity_reports.charts.figure import styled
from lossparity_reports.output import put
from lossparity_reports.shell import AROUND, asset, hashed, template, together

__all__ = ["render", "write"]


@dataclass(frozen=True)
class _Row:
    """A run as its table tells it."""

    run: str
    point: Point
    passing: int
    weak: int
    failing: int
    others: str


@dataclass(frozen=True)
class _Table:
    """A series: its runs, and what it chose where that is not the same in all of them, by clause."""

    name: str
    rows: tuple[_Row, ...]
    choices: tuple[tuple[str, tuple[str, ...]], ...]


def write(history: History, path: Path) -> None:
    """Write the page of a history, making its folder; UsageError when that is not possible."""
    put(path, render(history), "the page")


def render(history: History) -> str:
    """Return the page of a history as HTML."""
    figures = courses(history.series, history.by)
    drawing = painter().draw([styled(figure.spec) for figure in figures])
    tables = [_table(one, history.by) for one in history.series]
    style, script, theme = asset("page.css") + asset("charts.css"), together(AROUND), asset("theme.js")
    drawn, absent = [Markup()] * len(figures), ""
    try:
        drawn = [Markup(svg) for svg in drawing.result()]
    except Undrawn as reason:
        absent = str(reason)
    return template("history.html.j2").render(
        history=history,
        sentence=_sentence(history),
        tables=tables,
        figures=list(zip(figures, drawn, strict=True)),
        absent=absent,
        style=Markup(style),
        theme=Markup(theme),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src {hashed(style)}; "
        f"script-src {hashed(theme)} {hashed(script)}",
    )


def _sentence(history: History) -> str:
    runs, backends = sum(len(one.points) for one in history.series), len(history.series)
    return f"{runs} run{'s' * (runs != 1)} of {backends} backend{'s' * (backends != 1)}, by {history.by}"


def _table(series: Series, by: str) -> _Table:
    names = labels(series, by)
    clauses = dict.fromkeys(clause for point in series.points for clause in point.choices)
    chosen = ((clause, tuple(_chosen(point, clause) for point in series.points)) for clause in clauses)
    return _Table(
        line(series.name),
        tuple(_row(name, point) for name, point in zip(names, series.points, strict=True)),
        tuple((line(clause), texts) for clause, texts in chosen if len(set(texts)) > 1),
    )


def _row(name: str, point: Point) -> _Row:
    failing = {one.value for one in Verdict if one.failing}
    return _Row(
        name,
        point,
        sum(point.passing.values()),
        point.passing.get("loose", 0),
        sum(count for verdict, count in point.others.items() if verdict in failing),
        ", ".join(f"{line(verdict)} {count}" for verdict, count in point.others.items() if verdict not in failing),
    )


def _chosen(point: Point, clause: str) -> str:
    return (
        ", ".join(f"{line(choice)} {count}" for choice, count in sorted(point.choices.get(clause, {}).items())) or "–"
    )
