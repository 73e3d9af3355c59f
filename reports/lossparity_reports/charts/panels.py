"""Panels of error against something, on two logarithmic axes, with a strip for what has no distance: in Vega-Lite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lossparity_reports.charts.figure import Series, scale_of

__all__ = ["HIGH", "LOW", "STATES", "panels"]

LOW, HIGH = 0.1, 1e6
"""The ends of both axes: what is further out is drawn there."""

STATES = ("pass", "known", "failure")
"""What a point stands for; each has its own shape, and its word in the legend."""

_TALL, _STRIP = 96, 18  # of a panel, and of the strip at its top for what is of another class
_AXIS_LABEL = (
    "(datum.value >= 1e6 ? '≥ ' : datum.value <= 0.1 ? '≤ ' : '') + "
    "(datum.value < 1 ? '0.1' : format(datum.value, '~s'))"
)
_CROSS = "M-1,-1L1,1M-1,1L1,-1"
_SIZE = {"condition": {"test": "datum.state === 'pass'", "value": 9}, "value": 34}
_POINT = {"type": "point", "cursor": "pointer", "opacity": 1, "strokeWidth": 1.5}


def panels(
    axis: str, series: Mapping[str, Series], formats: Sequence[str], values: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the specification of panels, a row a framework and a column a format.

    A value is a `number` at x and y, of a `class` at x, a `cliff` at x, names the `strip`, or only asks for its
    `panel`; the first two have a state, one of STATES, and a series.
    """
    frameworks = list(dict.fromkeys(s.framework for s in series.values()))
    rests = list(dict.fromkeys(s.rest for s in series.values()))
    across = [v["x"] for v in values if "x" in v]
    powers = range(math.floor(math.log10(min(across))), math.ceil(math.log10(max(across))) + 1)
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [10.0 ** powers[0], 10.0 ** max(powers[-1], powers[0] + 1)], "nice": False},
        "axis": {"title": axis, "values": [10.0**n for n in powers[:: 1 + len(powers) // 6]], "labelExpr": _AXIS_LABEL},
    }
    y = {
        "field": "y",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [LOW, HIGH], "range": [_TALL, _STRIP]},
        "axis": {"title": "error in ulp", "values": [0.1, 1, 100, 1e4, 1e6], "labelExpr": _AXIS_LABEL},
    }
    colour = {
        "field": "series",
        "type": "nominal",
        "scale": scale_of(rests, "color"),
        "legend": {"title": "of the framework", "symbolType": "stroke"},
    }
    state = {
        "field": "state",
        "type": "nominal",
        "scale": {"domain": list(STATES), "range": ["circle", "triangle-up", _CROSS]},
        "legend": {"title": "result"},
    }
    return {
        "data": {"values": values},
        "facet": {
            "row": {
                "field": "framework",
                "type": "nominal",
                "sort": frameworks,
                "header": {"labelAngle": 0, "labelAlign": "left", "labelAnchor": "middle", "title": None},
            },
            "column": {"field": "format", "type": "nominal", "sort": list(formats), "header": {"title": None}},
        },
        "spacing": {"row": 8, "column": 12},
        "spec": {
            "width": 190,
            "height": _TALL,
            "layer": [
                {
                    "data": {"values": [{}]},
                    "mark": {"type": "rect", "color": "var(--bad-wash)"},
                    "encoding": {"y": {"value": 0}, "y2": {"value": _STRIP - 3}},
                },
                {
                    "transform": [{"filter": "datum.kind === 'strip'"}],
                    "mark": {"type": "text", "align": "right", "fontSize": 10, "color": "var(--soft)"},
                    "encoding": {"x": {"value": -7}, "y": {"value": 8}, "text": {"value": "another class"}},
                },
                {
                    "transform": [{"filter": "datum.kind === 'cliff'"}],
                    "mark": {"type": "rule", "strokeDash": [3, 3], "color": "var(--soft)"},
                    "encoding": {"x": x},
                },
                {
                    "transform": [{"filter": "datum.kind === 'cliff'"}],
                    "mark": {
                        "type": "text",
                        "angle": 270,
                        "align": "right",
                        "dy": 7,
                        "fontSize": 9,
                        "color": "var(--soft)",
                    },
                    "encoding": {"x": x, "y": {"value": _STRIP}, "text": {"field": "short"}},
                },
                {
                    "transform": [{"filter": "datum.kind === 'number' && datum.state === 'pass'"}],
                    "mark": {"type": "line", "strokeWidth": 1.5},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "color": colour,
                        "strokeDash": {"field": "series", "scale": scale_of(rests, "dash")},
                    },
                },
                {
                    "transform": [{"filter": "datum.kind === 'number'"}],
                    "mark": _POINT,
                    "encoding": {"x": x, "y": y, "color": colour, "shape": state, "size": _SIZE},
                },
                {
                    "transform": [{"filter": "datum.kind === 'class'"}],
                    "mark": _POINT,
                    "encoding": {"x": x, "y": {"value": 8}, "color": colour, "shape": state, "size": _SIZE},
                },
            ],
        },
    }
