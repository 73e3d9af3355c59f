"""Arrays of real numbers known to within a radius: the arithmetic that the formulas are written in.

Two kinds offer the same operations, floating-point numbers with an error (`approximate`) and Arb's balls (`arbs`).
Either way the true value lies within the radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Enclosed", "Enclosure", "Flags", "Floats", "Places", "Radius"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
Radius = float | Floats


@dataclass(frozen=True, eq=False)
class Enclosed:
    """Real numbers within `rel * |high| + abs` of `high + low`; rel and abs broadcast to the shape of high."""

    high: Floats
    low: Floats | None
    rel: Radius
    abs: Radius

    @property
    def radius(self) -> Floats:
        """The radius of every element."""
        return np.asarray(np.broadcast_to((self.rel * np.abs(self.high) + self.abs) * (1 + 2.0**-40), self.high.shape))


class Enclosure(Protocol):
    """What the formulas need of an array of enclosed reals."""

    @property
    def name(self) -> str:
        """The tier's name."""
        ...

    def __add__(self, other: Self) -> Self: ...
    def __sub__(self, other: Self) -> Self: ...
    def __mul__(self, other: Self) -> Self: ...
    def __truediv__(self, other: Self) -> Self: ...
    def __neg__(self) -> Self: ...
    def plus(self, other: Self) -> Self:
        """Add where no element has the other's opposite sign: relative accuracy is kept."""
        ...

    def exp(self) -> Self:
        """Exponential, element by element."""
        ...

    def log1p(self) -> Self:
        """log(1 + x) for x >= 0, element by element."""
        ...

    def sum(self) -> Self:
        """Sum along the last axis, kept with length 1."""
        ...

    def total(self, without: Places | None = None) -> Self:
        """Sum along the last axis, kept, of elements of one sign; one of each row left out where asked."""
        ...

    def take(self, places: Places) -> Self:
        """One element of each row, (m, 1)."""
        ...

    def put(self, places: Places, other: Self) -> Self:
        """Replace one element of each row by those of (m, 1)."""
        ...

    def where(self, kept: Flags) -> Self:
        """The elements where `kept` holds, exact zeros elsewhere."""
        ...

    def turned(self) -> Self:
        """A column as a row."""
        ...

    def joined(self, others: Sequence[Self]) -> Self:
        """Stack columns, this one first."""
        ...

    def exact(self, values: Any) -> Self:
        """Enclose exact binary64 numbers in the same kind and precision."""
        ...

    def enclosed(self) -> Enclosed:
        """The nearest binary64 numbers, the rest of the midpoints, and the radius around their sum."""
        ...
