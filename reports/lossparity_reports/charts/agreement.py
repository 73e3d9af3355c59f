"""How near the backends are to each other, format by format: the record's agreement lines as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from lossparity.plain import line
from lossparity.record import Agreement
from lossparity_reports.address import address
from lossparity_reports.charts.figure import Cell, Figure, formats_of
from lossparity_reports.figures import short

__all__ = ["agreement"]

_LEVELS = (0.0, 1.0, 4.0, 16.0, 256.0, 65536.0)
"""Upper ends of the tints, in ulp; the last tint is beyond them."""

_SIDE = 34


def agreement(lines: Sequence[Agreement], order: Sequence[str]) -> Figure | None:
    """Return the matrix of what was compared, the backends in an order; nothing where nothing was."""
    places = {name: n for n, name in enumerate(order)}
    # A pair is below the diagonal, whichever of the two the record names first.
    lines = [_turned(one, places) for one in lines if one.compared]
    if not lines:
        return None
    named = dict.fromkeys(name for one in lines for name in (one.first, one.second))
    backends = sorted(named, key=lambda name: places.get(name, len(places)))
    formats = formats_of([one.format for one in lines])
    names = list(map(line, backends))
    return Figure(
        "agreement",
        "Agreement between backends",
        "The largest distance in ulp between what two backends gave, over all results that both gave, whatever is "
        "right; 0 is the same in every element. A ≠ says that somewhere one has a number and the other NaN or an "
        "infinity. Beside a number near 0 an ulp is small.",
        _spec(names, formats, [_value(one) for one in lines]),
        ("backend", "other", "format", "compared", "equal in every element", "unlike class", "largest distance in ulp"),
        tuple(
            (
                (one.first, one.second, one.format),
                (
                    Cell(str(one.compared)),
                    Cell(f"{one.equal} ({_percent(one)})"),
                    Cell(str(one.unlike)),
                    Cell(short(one.ulp), _address(one)),
                ),
            )
            for one in sorted(lines, key=lambda one: formats.index(one.format))
        ),
    )


def _turned(one: Agreement, places: Mapping[str, int]) -> Agreement:
    if places.get(one.first, len(places)) <= places.get(one.second, len(places)):
        return one
    return replace(one, first=one.second, second=one.first)


def _address(one: Agreement) -> str:
    return address(check=one.check.rpartition("#")[0]) if one.check else ""


def _percent(one: Agreement) -> str:
    # Rounded down: 100 % is said only when it is all.
    return f"{int(1000 * one.equal / one.compared) / 10:g} %"


def _value(one: Agreement) -> dict[str, Any]:
    unlike = f", {one.unlike} with an element of another class" if one.unlike else ""
    return {
        "backend": one.first,
        "other": one.second,
        "first": line(one.first),
        "second": line(one.second),
        "format": one.format,
        "level": sum(one.ulp > end for end in _LEVELS),
        "text": f"{_brief(one.ulp)}{' ≠' if one.unlike else ''}",
        "address": _address(one),
        "said": f"{line(one.first)} and {line(one.second)}, {one.format}: {one.equal} of {one.compared} equal in "
        f"every element ({_percent(one)}){unlike}; at most {short(one.ulp)} ulp apart",
    }


def _brief(ulp: float) -> str:
    """Show a distance in five characters at most."""
    return (
        f"{ulp:.2g}"
        if ulp < 99.5
        else f"{ulp:.0f}"
        if ulp < 1000
        else f"{ulp:.0e}".replace("e+0", "e").replace("e+", "e")
    )


def _spec(names: list[str], formats: Sequence[str], values: list[dict[str, Any]]) -> dict[str, Any]:
    across: dict[str, Any] = {
        "x": {
            "field": "first",
            "type": "nominal",
            "scale": {"domain": names[:-1]},
            "axis": {"title": None, "labelAngle": -45, "labelLimit": 0, "ticks": False},
        },
        "y": {
            "field": "second",
            "type": "nominal",
            "scale": {"domain": names[1:]},
            "axis": {"title": None, "labelLimit": 0, "ticks": False},
        },
    }
    return {
        "data": {"values": values},
        "facet": {"field": "format", "type": "nominal", "sort": list(formats), "header": {"title": None}},
        "columns": 2,
        "spacing": {"row": 12, "column": 12},
        "spec": {
            "width": {"step": _SIDE},
            "height": {"step": 18},
            "layer": [
                {
                    "mark": {"type": "rect", "cursor": "pointer"},
                    "encoding": {
                        **across,
                        "color": {
                            "field": "level",
                            "type": "ordinal",
                            "scale": {
                                "domain": list(range(len(_LEVELS) + 1)),
                                "range": [f"var(--s{n})" for n in range(len(_LEVELS) + 1)],
                            },
                            "legend": None,
                        },
                    },
                },
                {
                    "mark": {"type": "text", "fontSize": 9, "color": "var(--ink)", "cursor": "pointer"},
                    "encoding": {**across, "text": {"field": "text"}},
                },
            ],
        },
        "resolve": {"scale": {"x": "shared", "y": "shared"}},
    }
