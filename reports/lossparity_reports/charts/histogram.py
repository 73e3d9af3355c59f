"""How far off each backend is: a histogram of the errors of all elements in ulp, for each backend and format."""

from __future__ import annotations

from collections.abc import Sequence

from lossparity.model import BINS
from lossparity.plain import line
from lossparity.record import Result
from lossparity_reports.address import address
from lossparity_reports.charts.figure import Cell, Figure, formats_of

__all__ = ["histogram"]

_LABELS = (*(f"{end:g}" if end < 1000 else f"{end / 1024:g}k" for end in BINS), ">")
_TALL = 34


def histogram(results: Sequence[Result]) -> Figure | None:
    """Return the histograms of results that have one; nothing where none has."""
    counts: dict[tuple[str, str], list[int]] = {}
    for result in results:
        if len(result.histogram) == len(_LABELS):
            sums = counts.setdefault((result.backend, result.format), [0] * len(_LABELS))
            counts[result.backend, result.format] = [a + b for a, b in zip(sums, result.histogram, strict=True)]
    counts = {which: numbers for which, numbers in counts.items() if any(numbers)}
    if not counts:
        return None
    backends = list(dict.fromkeys(r.backend for r in results if (r.backend, r.format) in counts))
    formats = formats_of([fmt for _, fmt in counts])
    values = [
        {
            "backend": backend,
            "row": line(backend),
            "format": fmt,
            "bin": label,
            "elements": count,
            "share": count / sum(numbers),
            "address": address(backend=backend, format=fmt, sort="-ulp"),
            "said": f"{line(backend)}, {fmt}: {count} of {sum(numbers)} elements, error {_words(place)}",
        }
        for (backend, fmt), numbers in counts.items()
        for place, (label, count) in enumerate(zip(_LABELS, numbers, strict=True))
        if count
    ]
    # Vega puts the panels of which it is told nothing first, under the heads of others.
    values += [
        {"backend": backend, "row": line(backend), "format": fmt, "bin": _LABELS[0], "elements": 0, "share": 0.0}
        for backend in backends
        for fmt in formats
        if (backend, fmt) not in counts
    ]
    return Figure(
        "histogram",
        "Errors in ulp",
        "Elements of all results by their distance from the exact value. The last bar holds what is beyond "
        f"{BINS[-1]:.0f} ulp and what is of another class (NaN or infinity where a number is right, or the reverse). "
        "Beside an exact value near 0 an ulp is small: far is not always wrong. Heights are roots of the shares, so "
        "that rare errors are seen.",
        {
            "data": {"values": values},
            "facet": {
                "row": {
                    "field": "row",
                    "type": "nominal",
                    "sort": list(map(line, backends)),
                    "header": {"labelAngle": 0, "labelAlign": "left", "labelAnchor": "middle", "title": None},
                },
                "column": {"field": "format", "type": "nominal", "sort": formats, "header": {"title": None}},
            },
            "spacing": {"row": 6, "column": 12},
            "spec": {
                "width": 200,
                "height": _TALL,
                "mark": {"type": "bar", "cursor": "pointer"},
                "encoding": {
                    "x": {
                        "field": "bin",
                        "type": "ordinal",
                        "scale": {"domain": list(_LABELS)},
                        "axis": {
                            "labelAngle": 0,
                            "labelOverlap": False,
                            "title": "error in ulp, up to",
                            "ticks": False,
                        },
                    },
                    "y": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": {"type": "sqrt", "domain": [0, 1]},
                        "axis": {"values": [0.1, 1], "format": "%", "title": None},
                    },
                    "color": {
                        "condition": {"test": f"datum.bin === '{_LABELS[-1]}'", "value": "var(--bad)"},
                        "value": "var(--known)",
                    },
                },
            },
        },
        ("backend", "format", "elements", *(f"up to {label}" for label in _LABELS[:-1]), "more, or another class"),
        tuple(
            (
                (backend, fmt),
                (
                    Cell(str(sum(counts[backend, fmt])), address(backend=backend, format=fmt, sort="-ulp")),
                    *(Cell(str(n)) for n in counts[backend, fmt]),
                ),
            )
            for backend in backends
            for fmt in formats
            if (backend, fmt) in counts
        ),
    )


def _words(place: int) -> str:
    if place == len(BINS):
        return f"beyond {BINS[-1]:.0f} ulp or of another class"
    return f"{f'above {BINS[place - 1]:g}, ' if place else ''}up to {BINS[place]:g} ulp"
