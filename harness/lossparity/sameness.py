"""Whether what is right is the same in two records.

A record says the middle of what the reference encloses. With another NumPy, or on another CPU, the same quantity may be
enclosed a little otherwise, and the middle moves within that: by up to 2^-44 of the number from NumPy 1.26 to 2.4 where
binary32 was judged. What another convention makes right is far away from that.
"""

from __future__ import annotations

import math

from lossparity.formats import FORMATS
from lossparity.record import CaseLine, Excerpt

__all__ = ["same_answer"]

_BEYOND = 8
"""Bits beyond the precision of a format in which two answers may differ: no grade depends on so little."""


def same_answer(one: CaseLine, other: CaseLine, quantity: str = "") -> bool:
    """Whether the same is right in two records of one case in one format; of one quantity, or of all."""
    if quantity:
        here, there = one.exact.get(quantity), other.exact.get(quantity)
        if here is None or there is None:
            return here is there
        within = _within(one.format)
        return here.keys() == there.keys() and all(_same(here[name], there[name], within) for name in here)
    return one.exact.keys() == other.exact.keys() and all(same_answer(one, other, name) for name in one.exact)


def _within(fmt: str) -> float:
    return 2.0 ** -(FORMATS[fmt].precision + _BEYOND) if fmt in FORMATS else 0.0


def _same(one: Excerpt, other: Excerpt, within: float) -> bool:
    if one == other:
        return True
    if (one.format, one.shape, len(one.values)) != (other.format, other.shape, len(other.values)):
        return False
    pairs = zip(one.values, other.values, strict=True)
    return all(here == there or math.isclose(_number(here), _number(there), rel_tol=within) for here, there in pairs)


def _number(text: str) -> float:
    """Read a hex float; NaN, which is close to no number, for what is none or is beyond binary64."""
    try:
        return float.fromhex(text)
    except (ValueError, OverflowError):
        return math.nan
