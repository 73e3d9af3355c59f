"""Strips of one row a backend, for each case and pass: what the charts of ratios, first calls and memory share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["UNITS", "logarithmic", "strips"]

_STEP = 15  # of a row
_WIDE = 170
_MOST = 5  # labels of an axis

UNITS: Mapping[str, str] = {unit: f"format(datum.value, '~s') + '{unit}'" for unit in ("s", "B")}
"""Labels of an axis in a unit, with its prefix: 1ms, 20MB."""


def logarithmic(title: str, numbers: Sequence[float], label: str = "format(datum.value, '~g')") -> dict[str, Any]:
    """Return a logarithmic axis around numbers above 0, with its labels at 1, 2 and 5 times powers of ten.

    An empty title is none.
    """
    # A mark at an end is not to be cut off.
    beside = max(1.05, (max(numbers) / min(numbers)) ** 0.06)
    low, high = min(numbers) / beside, max(numbers) * beside
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    places = [m * 10.0**n for n in powers for m in (1, 2, 5) if low <= m * 10.0**n <= high]
    if len(places) > _MOST:
        places = [10.0**n for n in powers if low <= 10.0**n <= high]
    if len(places) > _MOST:
        places = places[:: 1 + len(places) // _MOST]
    return {
        "type": "quantitative",
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {"title": title or None, "labelExpr": label, **({"values": places} if len(places) > 1 else {})},
    }


def strips(
    places: Sequence[str],
    passes: Sequence[str],
    backends: Sequence[str],
    values: Sequence[Mapping[str, Any]],
    layers: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the specification: a row of panels a place, a column a pass, and in each a row a backend.

    A value has its `place`, `pass`, `backend` and a `kind`, by which a layer chooses; one with data of its own is
    behind all rows.
    """
    there = {(value["place"], value["pass"]) for value in values}
    # Vega puts the panels of which it is told nothing first, under the heads of others.
    empty = [
        {"place": place, "pass": timed, "backend": backends[0], "kind": "none"}
        for place, timed in itertools.product(places, passes)
        if (place, timed) not in there
    ]
    y = {
        "field": "backend",
        "type": "nominal",
        "scale": {"domain": list(backends)},
        "axis": {"title": None, "labelLimit": 0, "ticks": False, "grid": True, "gridColor": "var(--line)"},
    }
    return {
        "data": {"values": [*values, *empty]},
        "facet": {
            "row": {
                "field": "place",
                "type": "nominal",
                "sort": list(places),
                "header": {
                    "labelAngle": 0,
                    "labelAlign": "left",
                    "labelAnchor": "middle",
                    "labelLimit": 0,
                    # A reader's font may be wider than that by which the labels beside it were measured.
                    "labelPadding": 12 + 2 * max(map(len, backends)),
                    "title": None,
                },
            },
            "column": {"field": "pass", "type": "nominal", "sort": list(passes), "header": {"title": None}},
        },
        "spacing": {"row": 10, "column": 12},
        "spec": {
            "width": _WIDE,
            "height": {"step": _STEP},
            "layer": [_placed(layer, y) for layer in layers],
        },
    }


def _placed(layer: Mapping[str, Any], y: Mapping[str, Any]) -> dict[str, Any]:
    return {**layer, "encoding": {**layer["encoding"], **({} if "data" in layer else {"y": y})}}
