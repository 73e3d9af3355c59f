"""Floating-point numbers, of one binary64 word or of two, with an error that every operation carries along.

The error is rel * |number| + abs. As long as rel and abs are plain numbers, an operation on an array costs little more
than the array's own arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossparity.reference.enclosures import Enclosed, Flags, Floats, Places, Radius

__all__ = ["Approximate", "Numbers"]

Parts = tuple[Floats, ...]

# The reductions themselves: on small arrays the methods of the same name cost twice as much.
_most, _least, _sum = np.maximum.reduce, np.minimum.reduce, np.add.reduce
# Radii are computed in binary64, with fewer than 1024 roundings each.
_UP = 1.0 + 2.0**-40
# exp of less than this is below half the smallest subnormal number; an argument that is off by 1 or more is lost.
_LOWEST = 746.0


@dataclass(frozen=True)
class Numbers:
    """Floating-point numbers of one or more binary64 words, and their arithmetic on arrays.

    `unit` bounds the relative error of add, multiply and divide, `function` that of exp and log1p, and `tiny` the
    absolute error of any of them where something underflows. `total` sums along the last axis and says how high its
    tree is.
    """

    name: str
    unit: float
    function: float
    tiny: float
    exact: Callable[[Any], Any]
    add: Callable[[Any, Any], Any]
    multiply: Callable[[Any, Any], Any]
    divide: Callable[[Any, Any], Any]
    exp: Callable[[Any], Any]
    log1p: Callable[[Any], Any]
    total: Callable[[Any], tuple[Any, int]]


@dataclass(frozen=True, eq=False)
class Approximate:
    """Numbers, each within rel * |number| + abs of the true value.

    The rules are those of running error analysis (Higham 2002, section 3.3). Products of errors are closed by
    (1 + a)(1 + b) - 1 <= s (1 + s), s = a + b <= 1.
    """

    numbers: Numbers
    parts: Parts
    rel: Radius = 0.0
    abs: Radius = 0.0

    @classmethod
    def of(cls, values: Any, numbers: Numbers) -> Approximate:
        """Enclose exact numbers."""
        return cls(numbers, numbers.exact(values))

    def exact(self, values: Any) -> Approximate:
        """Enclose exact numbers."""
        return Approximate.of(values, self.numbers)

    @property
    def name(self) -> str:
        """The tier's name."""
        return self.numbers.name

    @property
    def _size(self) -> Floats:
        return np.abs(self.parts[0])

    @property
    def _largest(self) -> float:
        # Two reductions cost less than an array of magnitudes.
        high = self.parts[0]
        return max(float(_most(high, None)), -float(_least(high, None))) if high.size else 0.0

    def _error(self) -> Radius:
        """rel * |number| + abs, without an array where there is no error."""
        if isinstance(self.rel, float) and self.rel == 0.0:
            return self.abs
        return (self.rel * self._size + self.abs) * _UP

    def __neg__(self) -> Approximate:
        return Approximate(self.numbers, tuple(-part for part in self.parts), self.rel, self.abs)

    def __add__(self, other: Approximate) -> Approximate:
        error = self._error() + other._error() + self.numbers.tiny
        return Approximate(self.numbers, self.numbers.add(self.parts, other.parts), self._rounded(), error * _UP)

    def __sub__(self, other: Approximate) -> Approximate:
        return self + -other

    def plus(self, other: Approximate) -> Approximate:
        """Add numbers of one sign: |a| + |b| = |a + b|."""
        rel = self._rounded(_larger(self.rel, other.rel))
        error = (self.abs + other.abs + self.numbers.tiny) * _UP
        return Approximate(self.numbers, self.numbers.add(self.parts, other.parts), rel, error)

    def __mul__(self, other: Approximate) -> Approximate:
        error: Radius = self.numbers.tiny
        for one, two in ((self, other), (other, self)):
            if not (isinstance(one.abs, float) and one.abs == 0.0):
                size = two._largest if isinstance(one.abs, float) else two._size
                error = error + one.abs * (size * (1 + two.rel) + two.abs)
        rel = self._rounded(self.rel, other.rel)
        return Approximate(self.numbers, self.numbers.multiply(self.parts, other.parts), rel, error * _UP)

    def __truediv__(self, other: Approximate) -> Approximate:
        # 1 / (b + e) differs from 1 / b by at most beta / (1 - beta) of it, beta = |e| / |b|, unless beta >= 1.
        size = other._size
        least = float(_least(size, None)) if size.size else np.inf
        beta = _largest_of((other.rel + other.abs / size) * _UP)
        away = beta / (1 - beta) * _UP if beta < 1 else np.inf
        error = (self.abs / least * (1 + away) + self.numbers.tiny) * _UP
        quotient = self.numbers.divide(self.parts, other.parts)
        return Approximate(self.numbers, quotient, self._rounded(self.rel, away), error)._simple()

    def _rounded(self, *relative: Radius) -> Radius:
        return _compound(self.numbers.unit * _UP, *relative)

    def exp(self) -> Approximate:
        """Exponential; its relative error is that of the argument, as an absolute one, and of the function itself."""
        # Of the arguments below -746 the result is 0, whatever their own error; those above 710 are lost.
        reach = _largest_of(self.rel) * min(self._largest, _LOWEST) + _largest_of(self.abs)
        shifted = reach * (1 + reach) * _UP if reach < 1 else np.inf
        rel = _compound(self.numbers.function, shifted)
        return Approximate(self.numbers, self.numbers.exp(self.parts), rel, self.numbers.tiny)

    def log1p(self) -> Approximate:
        """log(1 + x), x >= 0, whose slope is at most 1 and whose relative slope is at most 1 too."""
        away = self.rel / (1 - self.rel) if _largest_of(self.rel) < 1 else np.inf
        rel = _compound(self.numbers.function, away)
        return Approximate(self.numbers, self.numbers.log1p(self.parts), rel, (self.abs + self.numbers.tiny) * _UP)

    def sum(self) -> Approximate:
        """Sum of any signs: h roundings of at most the sum of magnitudes."""
        n = self.parts[0].shape[-1]
        parts, height = self.numbers.total(self.parts)
        spread = np.sum(self._size, axis=-1, keepdims=True)
        own = np.sum(np.broadcast_to(self._error(), self._size.shape), axis=-1, keepdims=True)
        error = own + _compound(height * self.numbers.unit * _UP) * spread + n * self.numbers.tiny
        return Approximate(self.numbers, parts, 0.0, error * _UP)

    def total(self, without: Places | None = None) -> Approximate:
        """Sum of one sign: the relative error grows by one rounding a level of the tree."""
        n = self.parts[0].shape[-1]
        if without is not None and n == 1:
            return self.exact(np.zeros(self.parts[0].shape))
        at = (slice(0), slice(0)) if without is None else (np.arange(len(without)), without)
        kept = [(part, part[at]) for part in self.parts if without is not None]
        for part, _ in kept:  # a copy would cost as much as the sum
            part[at] = 0.0
        try:
            summed, height = self.numbers.total(self.parts)
        finally:
            for part, values in kept:
                part[at] = values
        rel = _compound(height * self.numbers.unit * _UP, _largest_of(self.rel))
        return Approximate(self.numbers, summed, rel, n * (_largest_of(self.abs) + self.numbers.tiny) * _UP)

    def take(self, places: Places) -> Approximate:
        """One element of each row."""
        rows = np.arange(len(places))
        parts = tuple(part[rows, places][:, None] for part in self.parts)
        return Approximate(self.numbers, parts, _taken(self.rel, places), _taken(self.abs, places))

    def put(self, places: Places, other: Approximate) -> Approximate:
        """Replace one element of each row."""
        parts = tuple(part.copy() for part in self.parts)
        at = (np.arange(len(places)), places)
        for part, values in zip(parts, other.parts, strict=True):
            part[at] = values[:, 0]
        other = other._simple()
        if _plain(self.rel, self.abs, other.rel, other.abs) and (self.rel, self.abs) != (0.0, 0.0):
            return Approximate(self.numbers, parts, _larger(self.rel, other.rel), _larger(self.abs, other.abs))
        shape = parts[0].shape
        rel, error = np.array(np.broadcast_to(self.rel, shape)), np.array(np.broadcast_to(self.abs, shape))
        rel[at] = np.broadcast_to(other.rel, (len(places), 1))[:, 0]
        error[at] = np.broadcast_to(other.abs, (len(places), 1))[:, 0]
        return Approximate(self.numbers, parts, rel, error)

    def _simple(self) -> Approximate:
        """The same numbers, a column's with one relative error for all and no absolute one, where that is possible."""
        size = self._size
        if size.shape[-1:] != (1,) or not size.size or not _least(size, None) > 2.0**-900:
            return self
        return Approximate(self.numbers, self.parts, _largest_of(self.rel + self.abs / size) * _UP)

    def where(self, kept: Flags) -> Approximate:
        """Keep some elements, exact zeros elsewhere."""
        parts = tuple(np.where(kept, part, 0.0) for part in self.parts)
        return Approximate(self.numbers, parts, self.rel, np.where(kept, self.abs, 0.0))

    def turned(self) -> Approximate:
        """A column as a row."""
        rel, error = (r.T if isinstance(r, np.ndarray) else r for r in (self.rel, self.abs))
        return Approximate(self.numbers, tuple(part.T for part in self.parts), rel, error)

    def joined(self, others: Sequence[Approximate]) -> Approximate:
        """Stack columns, this one first."""
        every = [self, *others]
        parts = tuple(np.concatenate(words) for words in zip(*(one.parts for one in every), strict=True))
        rel, error = (
            np.concatenate([np.broadcast_to(getattr(one, name), one.parts[0].shape) for one in every])
            for name in ("rel", "abs")
        )
        return Approximate(self.numbers, parts, rel, error)

    def enclosed(self) -> Enclosed:
        """Midpoint, rest and radius; what is lost (inf - inf, 0 * inf, NaN) is anywhere."""
        high = self.parts[0]
        low = self.parts[1] if len(self.parts) > 1 else None
        # A sum that is finite tells that every number is, in one pass. An error may be without bound where the number
        # is not: that of a quotient whose divisor could be 0.
        known = math.isfinite(_largest_of(self.rel) + _largest_of(self.abs))
        if known and (math.isfinite(_sum(high, None)) or math.isfinite(self._largest)):
            return Enclosed(high, low, self.rel, self.abs)
        lost = ~(np.isfinite(high) & np.isfinite(self.rel + self.abs))
        low = None if low is None else np.where(lost, 0.0, low)
        rel, error = np.where(lost, 0.0, self.rel), np.where(lost, np.inf, self.abs)
        return Enclosed(np.where(lost, 0.0, high), low, rel, error)


def _compound(*relative: Radius) -> Radius:
    """Bound (1 + a)(1 + b)... - 1 by s (1 + s), s the sum; infinite where s > 1."""
    s = sum(relative)
    if isinstance(s, float):
        return s * (1 + s) * _UP if s <= 1 else np.inf
    return np.where(s <= 1, s * (1 + s) * _UP, np.inf)


def _plain(*radii: Radius) -> bool:
    return all(isinstance(radius, float) for radius in radii)


def _larger(a: Radius, b: Radius) -> Radius:
    return max(a, b) if isinstance(a, float) and isinstance(b, float) else np.maximum(a, b)


def _largest_of(radius: Radius) -> float:
    if not isinstance(radius, np.ndarray):
        return radius
    return float(_most(radius, None)) if radius.size else 0.0


def _taken(radius: Radius, places: Places) -> Radius:
    if not isinstance(radius, np.ndarray) or radius.shape[-1] == 1:
        return radius
    return np.take_along_axis(np.broadcast_to(radius, (len(places), radius.shape[1])), places[:, None], axis=1)
