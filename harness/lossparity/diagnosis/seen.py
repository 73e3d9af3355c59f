"""What was got, beside what is right and what a candidate predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.arithmetic import Arithmetic
from lossparity.bounds import Bounds
from lossparity.formats import FORMATS, Array, ulp
from lossparity.reference import Answer, Flags, Floats

__all__ = ["Coarse", "Seen"]

_GROWTH = 1e4
_STRAYS = 1e-3
_SMALL = 1 << 12


@dataclass(frozen=True, eq=False)
class Coarse(Bounds):
    """The bounds of an implementation whose exponentials are good to a relative `error` only."""

    error: float

    @property
    def models(self) -> dict[str, Arithmetic]:
        """The models of arithmetic, their exponentials as coarse as that."""
        return {name: replace(by, exp=max(by.exp, self.error)) for name, by in super().models.items()}


@dataclass(frozen=True, eq=False)
class Seen:
    """What was got, beside the exact values and the loose bounds where the shapes agree."""

    got: Array
    answer: Answer
    flushed: bool
    worst: int | None

    @cached_property
    def numbers(self) -> Floats:
        """The numbers that were got."""
        return np.asarray(self.got.exact(), dtype=np.float64)

    @cached_property
    def exact(self) -> Floats:
        """The exact values, rounded to binary64."""
        return self.answer.whole()

    @property
    def size(self) -> int:
        """The number of logits."""
        return self.answer.problem.first.data.size

    @property
    def small(self) -> bool:
        """Whether everything may be tried on it."""
        return self.size <= _SMALL

    @property
    def alike(self) -> bool:
        """Whether what was got has the shape of the exact result."""
        return self.got.shape == self.answer.shape

    @cached_property
    def right(self) -> bool:
        """Whether the numbers are the exact ones: it is something else that is wrong."""
        return self.alike and self.agrees(self.exact)

    @cached_property
    def margin(self) -> Floats:
        """The loose bound of every element; infinite where it is vacuous."""
        return self.margin_of(Bounds(self.answer, self.flushed))

    def margin_of(self, bounds: Bounds) -> Floats:
        """Return the loose bound of every element under some bounds."""
        found: list[Floats] = []
        for block in self.answer.blocks():
            high = block.certified.high
            exact = np.where(np.isfinite(high), high, 0.0)
            found.append(np.broadcast_to(bounds.both(bounds.terms(block), exact)[1], exact.shape))
        return self._placed(np.concatenate(found))

    @cached_property
    def open(self) -> Flags:
        """The elements that the spec leaves open."""
        found: list[Flags] = []
        for block in self.answer.blocks():
            one = block.certified
            flags = [np.broadcast_to(f, one.high.shape) for f in (one.open, one.blank) if f is not None]
            found.append(np.any(flags, axis=0) if flags else np.zeros(one.high.shape, dtype=np.bool_))
        return self._placed(np.concatenate(found))

    def rows(self, numbers: Floats) -> Floats:
        """Return numbers of the result's shape as rows (M, K), or (M, 1) where a row has one."""
        if not self.answer.by_class:
            return numbers.reshape(-1, 1)
        problem = self.answer.problem
        return np.moveaxis(numbers, problem.axis, -1).reshape(problem.count, problem.classes)

    def _placed(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.answer.by_class:
            return self.answer.problem.placed(rows)
        return rows.reshape(self.answer.shape)

    def near(self, predicted: Floats) -> float | None:
        """Return how far a prediction is from what was got, in ulp, or None where it does not explain it.

        It explains it when it agrees everywhere, and is clearly nearer where the exact result is farthest.
        """
        if not self.agrees(predicted):
            return None
        at = 0 if self.worst is None else self.worst
        got, told = float(self.numbers.reshape(-1)[at]), float(predicted.reshape(-1)[at])
        off = abs(got - told)
        if self.alike and self.worst is not None:
            exact = float(self.exact.reshape(-1)[at])
            if math.isfinite(got) and math.isfinite(exact) and off > 0.25 * abs(got - exact):
                return None
        return off / float(ulp(told, FORMATS[self.got.format])) if math.isfinite(off) else 0.0

    def agrees(self, predicted: Floats) -> bool:
        """Whether what was got is as predicted, to the accuracy of the format."""
        got, fmt = self.numbers, FORMATS[self.got.format]
        if predicted.shape != got.shape:
            return False
        with np.errstate(all="ignore"):
            plain = predicted.astype(np.float64)
            wanted, off = fmt.round(plain), np.abs(got - plain)
            tolerance = 16 * fmt.unit * np.abs(plain) + 4 * fmt.half_smallest_subnormal
            if not self.alike:
                tolerance = tolerance + 64 * fmt.unit
            else:
                # Where a prediction is larger than the exact value, so are its rounding errors.
                growth = np.clip(np.nan_to_num(np.abs(plain / self.exact), nan=1.0), 1, _GROWTH)
                margin = np.where(np.isfinite(self.margin), self.margin, 64 * fmt.unit * (1 + np.abs(plain)))
                tolerance = tolerance + 4 * growth * margin
            same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (np.isfinite(off) & (off <= tolerance))
            unlike = np.count_nonzero(~(same | self.open) if self.alike else ~same)
            # Among many a few may be rounded the other way where the prediction is half way.
            return bool(unlike <= got.size * _STRAYS)
