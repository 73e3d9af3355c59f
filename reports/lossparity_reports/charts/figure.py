"""What every chart is: a Vega-Lite specification, a table of the same numbers, and the look they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lossparity.formats import FORMATS
from lossparity.model import Backend
from lossparity.plain import line

__all__ = ["SERIES", "Cell", "Figure", "Series", "formats_of", "scale_of", "styled"]

# Vega hands colours through as they are, so that the page's own variables, and with them its themes, decide them.
_DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [1, 3], [12, 3], [4, 4], [6, 2, 1, 2, 1, 2])
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")
SERIES = len(_DASHES)
"""How many colours, dashes and shapes there are of each; their least common repetition is longer than any run."""

_CONFIG: dict[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {
        "domainColor": "var(--line)",
        "grid": False,
        "labelColor": "var(--soft)",
        "labelFontSize": 10,
        "tickColor": "var(--line)",
        "tickSize": 3,
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
    },
    "header": {"labelColor": "var(--ink)", "labelFontSize": 11, "title": None},
    "legend": {
        "labelColor": "var(--ink)",
        "labelLimit": 0,
        "symbolFillColor": "transparent",
        "symbolStrokeColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
    },
    # Text is measured by what draws; another font of the reader's may be wider.
    "padding": {"left": 14, "right": 24, "top": 5, "bottom": 5},
    "view": {"stroke": "var(--line)"},
}


@dataclass(frozen=True)
class Cell:
    """A cell of a table: text, the address it leads to, and the verdict whose icon stands before it."""

    text: str
    address: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart: `spec` in Vega-Lite without its look, and the table of it; `heads` of a row come before its cells."""

    id: str
    title: str
    lead: str
    spec: dict[str, Any]
    head: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Series:
    """A backend in a chart: its framework, and the rest of its name, which are one colour and dash in every panel."""

    framework: str
    rest: str

    @classmethod
    def of(cls, backend: str) -> Series:
        """Take a name apart."""
        framework = Backend.parse(backend).framework
        return cls(line(framework), line(backend[len(framework) :]) or "itself")


def styled(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a specification with the look of the page."""
    return {**spec, "config": _CONFIG}


def formats_of(names: Sequence[str]) -> list[str]:
    """Return the formats that occur, widest first, and unknown ones last."""
    return [name for name in FORMATS if name in names] + sorted(set(names) - FORMATS.keys())


def scale_of(names: Sequence[str], kind: str) -> dict[str, Any]:
    """Return the scale that gives names their colours (`color`), dashes (`dash`) or shapes (`shape`), in order."""
    every = range(len(names))
    # Dashes and shapes move on by one when the colours begin again, so that no two of 64 names look the same.
    other: Sequence[Any] = _SHAPES if kind == "shape" else _DASHES
    looks: list[Any] = [
        f"var(--c{n % SERIES})" if kind == "color" else other[(n + n // SERIES) % SERIES] for n in every
    ]
    return {"domain": list(names), "range": looks}
