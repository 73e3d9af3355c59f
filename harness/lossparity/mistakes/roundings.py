"""Mistakes of precision: a step in a narrower format, or by a coarser method, than the result promises."""

from __future__ import annotations

import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by its name once this is imported
import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Values

__all__ = ["ROUNDINGS"]

_NARROW = ("bfloat16", "float16")


def _summed(narrow: str, *, serial: bool) -> type[Evaluation]:
    class Summed(Evaluation):
        def total(self, e: Values) -> Values:
            if not serial:
                return self.rounded(np.sum(e, axis=1, keepdims=True), narrow)
            return self.of(np.add.accumulate(e.astype(narrow), axis=1)[:, -1:])

    return Summed


def _summed_logarithm(narrow: str, *, serial: bool) -> type[Evaluation]:
    class SavedSum(_summed(narrow, serial=serial)):  # type: ignore[misc]
        """The backward pass takes exp of the log-softmax."""

        def backward_p(self, x: Values) -> Values:
            return np.exp(self.z(x))

    return SavedSum


def _coarse(narrow: str) -> type[Evaluation]:
    class Coarse(Evaluation):
        def exponentials(self, d: Values) -> Values:
            return self.rounded(np.exp(d), narrow)

    return Coarse


def _coarse_saved(narrow: str) -> type[Evaluation]:
    class CoarseSaved(_coarse(narrow)):  # type: ignore[misc]
        def backward_p(self, x: Values) -> Values:
            return np.exp(self.z(x))

    return CoarseSaved


def _base_two(narrow: str) -> type[Evaluation]:
    class BaseTwo(Evaluation):
        """exp2 of d log2 e, the product rounded."""

        def exponentials(self, d: Values) -> Values:
            return np.exp2(self.rounded(d * self.of(np.log2(np.e)), narrow))

    return BaseTwo


def _rounded_p(narrow: str) -> type[Evaluation]:
    class RoundedP(Evaluation):
        def backward_p(self, x: Values) -> Values:
            return self.rounded(self.p(x), narrow)

    return RoundedP


def _saved_z(narrow: str) -> type[Evaluation]:
    class SavedZ(Evaluation):
        def backward_p(self, x: Values) -> Values:
            return np.exp(self.rounded(self.z(x), narrow))

    return SavedZ


ROUNDINGS: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    (
        "summed-in-16-bits",
        "the sum of the exponentials is kept in 16 bits: it overflows, or stops growing",
        tuple(
            summed(narrow, serial=serial)
            for narrow in _NARROW
            for serial in (False, True)
            for summed in (_summed, _summed_logarithm)
        ),
    ),
    (
        "exponentials-in-16-bits",
        "the exponentials are rounded to 16 bits before they are summed",
        (*map(_coarse, _NARROW), *map(_coarse_saved, _NARROW)),
    ),
    (
        "p-rounded",
        "p, or the log-softmax it is made from, is rounded to a narrower format before the label is subtracted",
        (*map(_rounded_p, (*_NARROW, "float32")), *map(_saved_z, (*_NARROW, "float32"))),
    ),
    (
        "fast-exp",
        "exp2 of d log2 e, the product rounded: its error grows with d",
        tuple(map(_base_two, ("float32", *_NARROW))),
    ),
)
"""Id, what it is in words, and the ways in which it is made."""
