"""Mistakes with the indices of targets: those outside of the classes, and types that cannot hold them."""

from __future__ import annotations

import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Index, Values
from lossparity.reference import Flags

__all__ = ["INDICES"]


class _Wrapped(Evaluation):
    def within(self, index: Index) -> tuple[Index, Flags]:
        low = (index < 0) & (index >= -self.classes)
        return super().within(np.where(low, index + self.classes, index))


class _WrappedModulo(Evaluation):
    def within(self, index: Index) -> tuple[Index, Flags]:
        return index % max(self.classes, 1), np.zeros(index.shape, dtype=np.bool_)


class _Clamped(Evaluation):
    def within(self, index: Index) -> tuple[Index, Flags]:
        return np.clip(index, 0, self.classes - 1), np.zeros(index.shape, dtype=np.bool_)


class _WrappedAndClamped(Evaluation):
    """As a gather of NumPy's kind in a compiler: negative ones wrap around, the rest is clamped."""

    def within(self, index: Index) -> tuple[Index, Flags]:
        wrapped = np.where(index < 0, index + self.classes, index)
        return np.clip(wrapped, 0, self.classes - 1), np.zeros(index.shape, dtype=np.bool_)


class _OutsideIsZero(Evaluation):
    """Such a row's loss is 0; in the mean it counts."""

    def kept(self, a: Values, valid: Flags) -> Values:
        return np.where((valid & ~self._outside())[:, None], a, 0)

    def coefficients(self) -> tuple[Values, Values, Flags, Flags]:
        a, own, valid, lost = super().coefficients()
        return a, own, valid, np.zeros_like(lost)

    def _outside(self) -> Flags:
        return self.problem.outside


class _OutsideIsSmoothing(_OutsideIsZero):
    """The one-hot row is empty: only the smoothing is left."""

    def kept(self, a: Values, valid: Flags) -> Values:
        lost = self._outside()[:, None]
        return np.where(valid[:, None], np.where(lost, self.spread(self.weight(), a), a), 0)


class _OutsideIsIgnored(_OutsideIsZero):
    """Such a row counts nowhere."""

    def coefficients(self) -> tuple[Values, Values, Flags, Flags]:
        a, own, valid, lost = super().coefficients()
        return a, np.where(self._outside(), 0, own), valid & ~self._outside(), lost


def _narrowed(to: str) -> type[Evaluation]:
    class Narrowed(Evaluation):
        def index(self) -> Index | None:
            index = super().index()
            return None if index is None else index.astype(to).astype(np.int64)

    return Narrowed


class _NarrowedToBfloat16(Evaluation):
    def index(self) -> Index | None:
        index = super().index()
        return None if index is None else self.rounded(index.astype(np.float64), "bfloat16").astype(np.int64)


def _narrowed_inside(to: str) -> type[Evaluation]:
    class NarrowedInside(_narrowed(to)):  # type: ignore[misc]
        """What becomes negative wraps around; what is ignored is known before."""

        def valid(self) -> Flags:
            return self.problem.valid

        def within(self, index: Index) -> tuple[Index, Flags]:
            return index % max(self.classes, 1), np.zeros(index.shape, dtype=np.bool_)

    return NarrowedInside


def _shifted(by: int) -> type[Evaluation]:
    class OffByOne(Evaluation):
        def within(self, index: Index) -> tuple[Index, Flags]:
            return np.clip(index + by, 0, self.classes - 1), np.zeros(index.shape, dtype=np.bool_)

    return OffByOne


def _shifted_around(by: int) -> type[Evaluation]:
    class OffByOneAround(Evaluation):
        def within(self, index: Index) -> tuple[Index, Flags]:
            return (index + by) % max(self.classes, 1), np.zeros(index.shape, dtype=np.bool_)

    return OffByOneAround


INDICES: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    ("index-wrapped", "an index of -1 is taken for the last class", (_Wrapped, _WrappedModulo)),
    ("index-clamped", "an index outside [0, K) is taken for the nearest class", (_Clamped, _WrappedAndClamped)),
    (
        "index-outside-is-zero",
        "an index outside [0, K) that is not ignored has a loss of 0, or its smoothing term alone",
        (_OutsideIsZero, _OutsideIsSmoothing, _OutsideIsIgnored),
    ),
    (
        "index-narrowed",
        "the index passes through a type that cannot hold it (int8, uint8, int16, float16, bfloat16)",
        (
            *map(_narrowed, ("int8", "uint8", "int16", "float16")),
            _NarrowedToBfloat16,
            *map(_narrowed_inside, ("int8", "uint8", "int16", "float16")),
        ),
    ),
    (
        "target-off-by-one",
        "the class after, or before, the target is taken",
        (_shifted(1), _shifted(-1), _shifted_around(1), _shifted_around(-1)),
    ),
)
"""Id, what it is in words, and the ways in which it is made."""
