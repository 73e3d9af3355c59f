"""How far what was got is from the exact values, element by element: class, error, and error in ulp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lossparity.formats import FORMATS, Format, ulp
from lossparity.reference import Certified, Flags, Floats

__all__ = ["Distance", "measure", "overflow_of", "spacing_at"]

_EXPONENT = np.int64(0x7FF0000000000000)


@dataclass(frozen=True, eq=False)
class Distance:
    """Errors of a block, (m, K): absolute (infinite where the class is wrong), in ulp, and the doubt about the latter.

    `exact` is the exact value, 0 for what is not a number, and `low` its rest. The true error is within `doubt` ulp of
    `ulps`.
    """

    error: Floats
    ulps: Floats
    doubt: float | Floats
    exact: Floats
    low: Floats | None
    format: Format

    @cached_property
    def most(self) -> float:
        """The largest error in ulp."""
        return float(np.max(self.ulps))

    @property
    def most_doubt(self) -> float:
        """The largest doubt."""
        return float(np.max(self.doubt))

    def spacing(self, places: npt.NDArray[np.intp] | None = None) -> Floats:
        """Return the format's spacing at the exact values, of the whole block or at places of the flattened one."""
        if places is None:
            return spacing_at(self.exact, self.low, self.format)
        low = None if self.low is None else self.low.ravel()[places]
        return spacing_at(self.exact.ravel()[places], low, self.format)


def measure(
    got: Floats, result: str, fmt: Format, certified: Certified, margin: Callable[[Floats], Floats]
) -> Distance:
    """Measure what was got, in format `result`, against a certified block of format `fmt`.

    `margin` gives the bounds of a block from its exact values; it is asked where an infinity was got.
    """
    high = exact = certified.high
    if certified.special:
        exact = np.where(np.isfinite(high), high, 0.0)
    error = got - high
    if certified.low is not None:
        error -= certified.low
    np.abs(error, out=error)
    if not np.isfinite(np.max(error)):
        numbers = np.isfinite(got) & np.isfinite(high)
        same = _same_class(got, high, result, margin(exact) if np.isinf(got).any() else np.zeros((1, 1)))
        error = np.where(numbers, error, np.where(same, _short_of_overflow(got, high, FORMATS[result]), np.inf))
    if certified.blank is not None:
        error = np.where(certified.blank, np.where((got == 0) | np.isnan(got), 0.0, np.inf), error)
    if certified.open is not None:
        left = certified.open if certified.blank is None else certified.open & ~certified.blank
        error = np.where(left, 0.0, error)
    lost = certified.lost
    if lost is not None:  # nothing is known there, not even the class
        error = np.where(lost, 0.0, error)
    spacing = spacing_at(exact, certified.low, fmt)
    doubt = _doubt(certified, exact, spacing, fmt)
    # Blocks are sized for the cache: every array that is not kept counts.
    ulps = np.divide(error, spacing, out=spacing)
    if result != fmt.name and certified.low is None:
        # Just below a power of two the spacing is half of that at it. A result of the format itself is torn there.
        edge = (np.frexp(exact)[0] == np.copysign(0.5, exact)) & np.isfinite(ulps)
        doubt = np.where(edge, doubt + ulps, doubt) if edge.any() else doubt
    return Distance(error, ulps, doubt, exact, certified.low, fmt)


def _same_class(got: Floats, exact: Floats, result: str, margin: Floats) -> Flags:
    """Whether NaN meets NaN, an infinity its like, or an infinity a number beyond the result format's range (D3)."""
    overflow = overflow_of(FORMATS[result])
    reach = np.where(np.isfinite(margin), margin, 0.0)
    beyond = np.isinf(got) & np.isfinite(exact) & (np.sign(got) == np.sign(exact)) & (np.abs(exact) + reach >= overflow)
    # binary64 cannot hold a larger number, so an exact result beyond it stands as an infinity and may not be finite.
    return (np.isnan(got) & np.isnan(exact)) | (np.isinf(got) & (got == exact)) | beyond


def overflow_of(fmt: Format) -> float:
    """Return the smallest number that rounds to infinity."""
    return fmt.largest + float(ulp(fmt.largest, fmt)) / 2


def _short_of_overflow(got: Floats, exact: Floats, fmt: Format) -> Floats:
    """How far from what rounds to infinity a number is for which an infinity was got: that much was lost at least."""
    return np.where(np.isinf(got) & np.isfinite(exact), np.maximum(overflow_of(fmt) - np.abs(exact), 0.0), 0.0)


def spacing_at(exact: Floats, low: Floats | None, fmt: Format) -> Floats:
    """Return the format's spacing at the exact value: 2^(1-p) times the power of two at or below it, where normal."""
    if low is not None:
        # Just below a power of two the spacing is that of the binade below.
        exact = np.where(low * np.sign(exact) < 0, np.nextafter(exact, 0.0), exact)
    if fmt.name == "float64":
        return ulp(exact, fmt)
    below = (np.ascontiguousarray(exact).view(np.int64) & _EXPONENT).view(np.float64)
    np.maximum(below, fmt.smallest_normal, out=below)
    return np.multiply(below, 2 * fmt.unit, out=below)


def _doubt(certified: Certified, exact: Floats, spacing: Floats, fmt: Format) -> float | Floats:
    """The radius in ulp, as one number where that is no more than a thousandth."""
    rel, radius = certified.rel, certified.abs
    if isinstance(rel, float) and isinstance(radius, float):
        # A number is less than 2^p times its spacing, subnormal or not.
        simple = rel / fmt.unit + radius / (2 * fmt.unit * fmt.smallest_normal)
        if simple < 1e-3:
            return simple
    doubt = np.broadcast_to((rel * np.abs(exact) + radius) / spacing, exact.shape)
    # And the rounding of an error of up to 4 ulp, where there is any doubt.
    doubt = np.where(doubt > 0, doubt + 2.0**-51, doubt)
    doubt = np.where(np.isnan(doubt), np.inf, doubt)
    left = [flags for flags in (certified.open, certified.blank) if flags is not None]
    if certified.special:
        left.append(~np.isfinite(certified.high))
    for flags in left:
        doubt = np.where(flags, 0.0, doubt)
    return doubt
