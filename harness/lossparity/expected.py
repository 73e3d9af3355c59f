"""What is right, element by element, to be written down: exact values in two parts, and the bounds around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lossparity.bounds import Bounds
from lossparity.distance import spacing_at
from lossparity.formats import FORMATS
from lossparity.reference import Answer, Block, Flags, Floats

__all__ = ["HALF_ULP", "Expected", "elements", "whole"]

HALF_ULP = 2.0**-106
"""Half an ulp of a double-double number, as a share of it: the radius around what is written down, if it can be had."""


@dataclass(frozen=True, eq=False)
class Expected:
    """Some elements of an exact result, `high + low` each (NaN and infinities in `high`), with the judge's limits.

    `places` are those in the flattened result. A number is right within `tight` or `loose`, or within one `ulp` of the
    result's format where the loose bound is not 0. The spec leaves open what is `open`, and of that permits 0 or NaN
    alone where it is `blank`. `radius` is how far `high + low` may be from the exact value.
    """

    places: npt.NDArray[np.intp]
    high: Floats
    low: Floats
    ulp: Floats
    tight: Floats
    loose: Floats
    open: Flags
    blank: Flags
    radius: Floats


def elements(answer: Answer, places: npt.NDArray[np.intp], *, flushed: bool, share: float = HALF_ULP) -> Expected:
    """Work out some elements of a result; `flushed` as the judge takes it: the backend's declared trait.

    Their radius is at most that `share` of them, if it can be had: closer ones of many elements take minutes.
    """
    block, rows, classes = answer.located(places)
    return _of(answer, block.within(share), flushed).at(places, rows, classes)


def whole(answer: Answer, *, flushed: bool) -> Expected:
    """Work out the whole result, block by block."""
    size = int(np.prod(answer.shape, dtype=np.intp))
    parts = []
    for block in answer.blocks():
        found = _of(answer, block.within(HALF_ULP), flushed)
        rows, classes = (part.ravel() for part in np.indices(found.high.shape))
        places = np.array([answer.flat(block.rows, *at) for at in zip(rows.tolist(), classes.tolist(), strict=True)])
        parts.append(found.at(places.astype(np.intp), rows, classes))
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Expected.__dataclass_fields__}
    order = np.argsort(joined["places"], kind="stable")[:size]
    return Expected(**{name: part[order] for name, part in joined.items()})


@dataclass(frozen=True, eq=False)
class _Rows:
    """The parts of Expected for the rows of a block, (m, K), (m, 1) or (1, 1)."""

    high: Floats
    parts: dict[str, npt.NDArray[np.generic]]

    def at(self, places: npt.NDArray[np.intp], rows: npt.NDArray[np.intp], classes: npt.NDArray[np.intp]) -> Expected:
        return Expected(places, self.high[rows, classes], **{n: p[rows, classes] for n, p in self.parts.items()})  # type: ignore[arg-type]


def _of(answer: Answer, block: Block, flushed: bool) -> _Rows:
    found, bounds = block.certified, Bounds(answer, flushed)
    high = found.high
    shape = high.shape
    exact = np.where(np.isfinite(high), high, 0.0)
    low = np.zeros(shape) if found.low is None else found.low
    with np.errstate(all="ignore"):
        tight, loose = bounds.both(bounds.terms(block), exact)
    none = np.zeros(shape, dtype=np.bool_)
    blank = none if found.blank is None else np.broadcast_to(found.blank, shape)
    opened = none if found.open is None else np.broadcast_to(found.open, shape)
    lost = none if found.lost is None else found.lost  # nothing is known there, so nothing is asked
    return _Rows(
        high,
        {
            "low": np.broadcast_to(low, shape),
            "ulp": np.broadcast_to(spacing_at(exact, low, FORMATS[answer.format]), shape),
            "tight": np.broadcast_to(tight, shape),
            "loose": np.broadcast_to(loose, shape),
            "open": opened | blank | lost,
            "blank": blank,
            "radius": np.broadcast_to(found.radius, shape),
        },
    )
