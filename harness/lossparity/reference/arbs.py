"""Arrays of Arb's real balls at a chosen precision (Johansson 2017, doi:10.1109/TC.2017.2690633)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from lossparity.reference.enclosures import Enclosed, Flags, Places

__all__ = ["Arbs"]

_arb = np.frompyfunc(flint.arb, 1, 1)
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

    @property
    def name(self) -> str:
        """The tier's name."""
        return f"arb {self.precision}"

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

    def __neg__(self) -> Arbs:
        return self._at_precision(np.negative, self.values)

    def plus(self, other: Arbs) -> Arbs:
        """Add; balls need no signs."""
        return self + other

    def exp(self) -> Arbs:
        """Exponential; that of equal numbers is worked out once: a long row has few different ones in 16 bits."""
        found: dict[Any, flint.arb] = {}

        def once(ball: flint.arb) -> flint.arb:
            if not (ball.is_exact() and ball.is_finite()):
                return ball.exp()
            number = ball.man_exp()
            if number not in found:
                found[number] = ball.exp()
            return found[number]

        return self._at_precision(np.frompyfunc(once, 1, 1), self.values)

    def log1p(self) -> Arbs:
        """log1p."""
        return self._at_precision(_log1p, self.values)

    def sum(self) -> Arbs:
        """Sum along the last axis, kept."""
        return self._at_precision(lambda v: np.add.reduce(v, axis=-1, keepdims=True, initial=flint.arb(0)), self.values)

    def total(self, without: Places | None = None) -> Arbs:
        """Sum along the last axis, kept, one element of each row left out where asked."""
        if without is None:
            return self.sum()
        return self.put(without, self.exact(np.zeros((len(without), 1)))).sum()

    def take(self, places: Places) -> Arbs:
        """One element of each row."""
        return Arbs(np.take_along_axis(self.values, places[:, None], axis=1), self.precision)

    def put(self, places: Places, other: Arbs) -> Arbs:
        """Replace one element of each row."""
        values = self.values.copy()
        np.put_along_axis(values, places[:, None], np.broadcast_to(other.values, (len(places), 1)), axis=1)
        return Arbs(values, self.precision)

    def where(self, kept: Flags) -> Arbs:
        """Keep some elements, exact zeros elsewhere."""
        zero = np.full((), flint.arb(0), dtype=object)
        return Arbs(np.where(kept, self.values, zero), self.precision)

    def turned(self) -> Arbs:
        """A column as a row."""
        return Arbs(self.values.T, self.precision)

    def joined(self, others: Sequence[Arbs]) -> Arbs:
        """Stack columns, this one first."""
        return Arbs(np.concatenate([self.values, *(one.values for one in others)]), self.precision)

    def enclosed(self) -> Enclosed:
        """Two binary64 numbers whose sum is within the radius of the true value; inf beyond binary64's range.

        Of what is not a number nothing is known.
        """
        with flint.ctx.workprec(self.precision + 64):
            high = np.asarray(_high(self.values), dtype=np.float64)
            finite = np.isfinite(high)
            rest = self.values - _arb(np.where(finite, high, 0.0))
            low = np.where(finite, np.asarray(_high(rest), dtype=np.float64), 0.0)
            rad = np.asarray(_radius(rest - _arb(np.where(finite, low, 0.0))), dtype=np.float64)
            # float rounded it to nearest; below 2**-1075 it is 0, which no grade can tell apart.
            rad = np.where(finite & (rad > 0), np.nextafter(rad, np.inf), 0.0)
            lost = np.isnan(high)
            return Enclosed(np.where(lost, 0.0, high), low, 0.0, np.where(lost, np.inf, rad))
