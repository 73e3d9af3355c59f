"""Arrays of real numbers known to within a radius: the arithmetic that the formulas are written in.

Two kinds offer the same operations. `Balls` are binary64 midpoints with binary64 radii, vectorised; `Arbs` are
arrays of Arb's real balls (Johansson 2017, doi:10.1109/TC.2017.2690633) at a chosen precision. Either way the
true value always lies within the radius.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import flint
import numpy as np
import numpy.typing as npt

__all__ = ["Arbs", "Balls", "Enclosure"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_U = 2.0**-53
_TINY = 2.0**-1074
# numpy.exp and numpy.log1p are not proven. At most 1 ulp was measured against Arb; 4 ulp are assumed.
_FUNCTION = 8 * _U
# A radius is itself computed in binary64, with fewer than 64 roundings an operation.
_INFLATE = 1.0 + 64 * _U


class Enclosure(Protocol):
    """What the formulas need of an array of enclosed reals."""

    def __add__(self, other: Self) -> Self: ...
    def __sub__(self, other: Self) -> Self: ...
    def __mul__(self, other: Self) -> Self: ...
    def __truediv__(self, other: Self) -> Self: ...
    def exp(self) -> Self:
        """Exponential, element by element."""
        ...

    def log1p(self) -> Self:
        """log(1 + x) for x >= 0, element by element."""
        ...

    def sum(self, axis: int) -> Self:
        """Sum along an axis, kept with length 1."""
        ...

    def where(self, kept: Flags) -> Self:
        """The elements where `kept` holds, exact zeros elsewhere."""
        ...

    def exact(self, values: Any) -> Self:
        """Enclose exact binary64 numbers in the same kind and precision."""
        ...

    def enclosed(self) -> tuple[Floats, Floats, Floats]:
        """The nearest binary64 number, the rest of the midpoint, and the radius around their sum."""
        ...


@dataclass(frozen=True, eq=False)
class Balls:
    """Binary64 midpoints and radii; every operation bounds its own rounding."""

    mid: Floats
    rad: Floats

    @classmethod
    def of(cls, values: Any) -> Balls:
        """Enclose exact numbers."""
        mid = np.asarray(values, dtype=np.float64)
        return cls(mid, np.zeros(mid.shape))

    def exact(self, values: Any) -> Balls:
        """Enclose exact numbers."""
        return Balls.of(values)

    def _rounded(self, mid: Floats, rad: Floats) -> Balls:
        return Balls(mid, (rad + _U * np.abs(mid) + _TINY) * _INFLATE)

    def __add__(self, other: Balls) -> Balls:
        return self._rounded(self.mid + other.mid, self.rad + other.rad)

    def __sub__(self, other: Balls) -> Balls:
        return self._rounded(self.mid - other.mid, self.rad + other.rad)

    def __mul__(self, other: Balls) -> Balls:
        rad = np.abs(self.mid) * other.rad + np.abs(other.mid) * self.rad + self.rad * other.rad
        return self._rounded(self.mid * other.mid, rad)

    def __truediv__(self, other: Balls) -> Balls:
        # |a/b - a'/b'| <= (|a| rb + |b| ra) / (|b| (|b| - rb)); a divisor that may be 0 leaves the radius infinite.
        least = np.abs(other.mid) - other.rad
        with np.errstate(divide="ignore", invalid="ignore"):
            mid = self.mid / other.mid
            rad = (np.abs(mid) * other.rad + self.rad) / least
        return self._rounded(mid, np.where(least > 0, rad, np.inf))

    def exp(self) -> Balls:
        """Exponential; its relative error is that of the argument and of numpy.exp."""
        mid = np.exp(self.mid)
        # Where exp underflows and the argument's radius is beyond exp's range, their product would be 0 * inf.
        spread = np.where(mid > 0, mid * np.expm1(self.rad), np.exp(self.mid + self.rad))
        return Balls(mid, (spread * (1 + _FUNCTION) + mid * _FUNCTION + 4 * _TINY) * _INFLATE)

    def log1p(self) -> Balls:
        """log1p, whose slope is at most 1 where x >= 0."""
        mid = np.log1p(self.mid)
        return Balls(mid, (self.rad + _FUNCTION * np.abs(mid) + _TINY) * _INFLATE)

    def sum(self, axis: int) -> Balls:
        """Sum in any order: (n - 1) u times the sum of magnitudes, closed as Higham's gamma."""
        n = self.mid.shape[axis]
        gamma = n * _U / (1 - n * _U)
        spread = np.sum(np.abs(self.mid), axis=axis, keepdims=True)
        rad = np.sum(self.rad, axis=axis, keepdims=True) * (1 + 2 * gamma) + 2 * gamma * spread
        return Balls(np.sum(self.mid, axis=axis, keepdims=True), rad * _INFLATE)

    def where(self, kept: Flags) -> Balls:
        """Keep some elements, exact zeros elsewhere."""
        return Balls(np.where(kept, self.mid, 0.0), np.where(kept, self.rad, 0.0))

    def enclosed(self) -> tuple[Floats, Floats, Floats]:
        """Midpoint, no rest, radius; what is lost (inf - inf, 0 * inf) is anywhere."""
        lost = ~np.isfinite(self.mid) | np.isnan(self.rad)
        return np.where(lost, 0.0, self.mid), np.zeros(self.mid.shape), np.where(lost, np.inf, self.rad)


_arb = np.frompyfunc(flint.arb, 1, 1)
_exp = np.frompyfunc(lambda a: a.exp(), 1, 1)
_log1p = np.frompyfunc(lambda a: a.log1p(), 1, 1)
_high = np.frompyfunc(float, 1, 1)
_radius = np.frompyfunc(lambda a: float(a.abs_upper()), 1, 1)


@dataclass(frozen=True, eq=False)
class Arbs:
    """Object arrays of flint.arb, worked on at `precision` bits."""

    values: npt.NDArray[Any]
    precision: int

    @classmethod
    def of(cls, values: Any, precision: int) -> Arbs:
        """Enclose exact numbers."""
        return cls(np.asarray(_arb(np.asarray(values, dtype=np.float64)), dtype=object), precision)

    def exact(self, values: Any) -> Arbs:
        """Enclose exact numbers at the same precision."""
        return Arbs.of(values, self.precision)

    def _at_precision(self, function: Any, *arguments: Any) -> Arbs:
        with flint.ctx.workprec(self.precision):
            return Arbs(np.asarray(function(*arguments), dtype=object), self.precision)

    def __add__(self, other: Arbs) -> Arbs:
        return self._at_precision(np.add, self.values, other.values)

    def __sub__(self, other: Arbs) -> Arbs:
        return self._at_precision(np.subtract, self.values, other.values)

    def __mul__(self, other: Arbs) -> Arbs:
        return self._at_precision(np.multiply, self.values, other.values)

    def __truediv__(self, other: Arbs) -> Arbs:
        return self._at_precision(np.divide, self.values, other.values)

    def exp(self) -> Arbs:
        """Exponential."""
        return self._at_precision(_exp, self.values)

    def log1p(self) -> Arbs:
        """log1p."""
        return self._at_precision(_log1p, self.values)

    def sum(self, axis: int) -> Arbs:
        """Sum along an axis, kept with length 1."""
        return self._at_precision(
            lambda v: np.add.reduce(v, axis=axis, keepdims=True, initial=flint.arb(0)), self.values
        )

    def where(self, kept: Flags) -> Arbs:
        """Keep some elements, exact zeros elsewhere."""
        zero = np.full((), flint.arb(0), dtype=object)
        return Arbs(np.where(kept, self.values, zero), self.precision)

    def enclosed(self) -> tuple[Floats, Floats, Floats]:
        """Two binary64 numbers whose sum is within the radius of the true value; inf beyond binary64's range."""
        with flint.ctx.workprec(self.precision + 64):
            high = np.asarray(_high(self.values), dtype=np.float64)
            finite = np.isfinite(high)
            rest = self.values - _arb(np.where(finite, high, 0.0))
            low = np.where(finite, np.asarray(_high(rest), dtype=np.float64), 0.0)
            rad = np.asarray(_radius(rest - _arb(np.where(finite, low, 0.0))), dtype=np.float64)
            # float rounded it to nearest; below 2**-1075 it is 0, which no grade can tell apart.
            return high, low, np.where(finite & (rad > 0), np.nextafter(rad, np.inf), 0.0)
