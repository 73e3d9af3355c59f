"""What the bound of one element is made of: what each source of error adds to it, and the constants behind it."""

from __future__ import annotations

import numpy as np

from lossparity.bounds import Bounds
from lossparity.constants import EXP_ULPS, LOG_ULPS
from lossparity.formats import FORMATS
from lossparity.reference import Answer

__all__ = ["itemised", "items"]

# What is less than this share of the bound is left out of its sum in words.
_SLIGHT = 1e-3


def items(answer: Answer, place: int, *, flushed: bool) -> tuple[str, dict[str, float]]:
    """Return what each source of error adds to the loose bound at a place of the flattened result.

    The model of arithmetic comes with it, `tight` or `loose`: the larger of the two is the loose bound. Where that is
    vacuous, what some source adds is infinite.
    """
    bounds, (block, cls) = Bounds(answer, flushed), answer.around(place)
    parts, exact = bounds.terms(block), block.certified.high
    if not answer.scalar:  # a sum or mean has the terms of every row
        at = (np.zeros(1, dtype=np.intp), np.full(1, cls))
        parts, exact = parts.at(*at), exact[at][:, None]
    exact = np.where(np.isfinite(exact), exact, 0.0)
    found = {
        which: {source: float(np.sum(added)) for source, added in bounds.items(which, parts, exact).items()}
        for which in bounds.models
    }
    return max(found.items(), key=lambda one: (sum(one[1].values()), one[0] == "loose"))


def itemised(answer: Answer, place: int, *, flushed: bool) -> str:
    """Say what the loose bound at a place of the flattened result is made of, source by source, in one line."""
    _, added = items(answer, place, flushed=flushed)
    bound = sum(added.values())
    if bound == 0:
        return "loose bound 0: the value is exact"
    if not np.isfinite(bound):
        return "loose bound vacuous: nothing can be certified"
    counted = {source: n for source, n in added.items() if n >= _SLIGHT * bound}
    terms = " + ".join(f"{source} {n:.2g}" for source, n in counted.items())
    # Where the tight model is the larger one underflow and the last rounding leave nothing of exp and log.
    kind = answer.format if FORMATS[answer.format].bits > 16 else "rounded"
    constants = {"exp": EXP_ULPS[kind], "log": LOG_ULPS[kind]}
    behind = "; ".join(f"{name} {by.value:g} ulp, {by.status}" for name, by in constants.items() if name in counted)
    return f"loose bound {bound:.2g} = {terms}" + (f" (constants: {behind})" if behind else "")
