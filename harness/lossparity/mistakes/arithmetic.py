"""Mistakes in how a softmax is computed: its definition is right, the numbers are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by its name once this is imported
import numpy as np

from lossparity.formats import FORMATS
from lossparity.mistakes.evaluation import Evaluation, Values

__all__ = ["ARITHMETIC"]


class _NotShifted(Evaluation):
    def largest(self, x: Values) -> Values:
        return np.zeros((len(x), 1), self.dtype)


class _NotShiftedInSingle(_NotShifted):
    working = "single"


class _NotShiftedInOwn(_NotShifted):
    working = "own"


def _divided(evaluation: type[Evaluation]) -> type[Evaluation]:
    """z as the logarithm of p, whose quotient may be 0 or NaN."""

    class Divided(evaluation):  # type: ignore[misc, valid-type]
        def z(self, x: Values) -> Values:
            return np.log(self.p(x))

    return Divided


class _Logarithm(Evaluation):
    """log p, and its gradient by the chain: v / p through softmax, which is 0 / 0 where p is 0."""

    def z(self, x: Values) -> Values:
        return np.log(self.p(x))


class _LogarithmInSingle(_Logarithm):
    working = "single"


class _LogarithmInOwn(_Logarithm):
    working = "own"


class _Chained(_Logarithm):
    def through_log_softmax(self, x: Values, v: Values) -> Values:
        p = self.p(x)
        return self.through_softmax(p, v / p)

    def inner(self, a: Values, x: Values) -> Values:
        p = self.p(x)
        return self.through_softmax(p, -a / p)


class _ChainedInSingle(_Chained):
    working = "single"


class _ChainedInOwn(_Chained):
    working = "own"


class _LogSumExpSubtracted(Evaluation):
    """Rounded to the format at each step, or to binary32 where it has 16 bits."""

    narrow = ""

    def z(self, x: Values) -> Values:
        m = self.largest(x)
        total = self.rounded(m + np.log(self.total(np.exp(x - m))), self.narrow)
        return self.rounded(x - total, self.narrow)


class _LogSumExpSubtractedInSingle(_LogSumExpSubtracted):
    narrow = "float32"

    def rounded(self, values: Values, fmt: str = "") -> Values:
        return super().rounded(values, fmt if self.format.bits < 64 else "")


class _LogSumExpSaved(_LogSumExpSubtracted):
    def backward_p(self, x: Values) -> Values:
        return np.exp(self.z(x))


class _LogSumExpSavedInSingle(_LogSumExpSubtractedInSingle):
    def backward_p(self, x: Values) -> Values:
        return np.exp(self.z(x))


class _LogSumExpStepwise(_LogSumExpSubtracted):
    """Every step rounded: the sum, its logarithm, p."""

    def z(self, x: Values) -> Values:
        m = self.largest(x)
        logarithm = self.rounded(np.log(self.rounded(self.total(self.rounded(np.exp(self.rounded(x - m)))))))
        return self.rounded(x - self.rounded(m + logarithm))

    def backward_p(self, x: Values) -> Values:
        return self.rounded(np.exp(self.z(x)))


def _dropped(kept: Callable[[int], slice], computed: str = "wide") -> type[Evaluation]:
    class Dropped(Evaluation):
        """The sum of some classes only; an empty one is 0."""

        working = computed

        def total(self, e: Values) -> Values:
            return np.sum(e[:, kept(e.shape[1])], axis=1, keepdims=True)

    return Dropped


def _dropped_twice(kept: Callable[[int], slice]) -> type[Evaluation]:
    class DroppedTwice(_dropped(kept)):  # type: ignore[misc]
        """Automatic differentiation: no gradient passes through the sum to what it leaves out."""

        def mask(self, x: Values) -> Values:
            mask = np.zeros_like(x[:1])
            mask[:, kept(x.shape[1])] = 1
            return mask

        def backward_p(self, x: Values) -> Values:
            return self.p(x) * self.mask(x)

        def through_softmax(self, p: Values, v: Values) -> Values:
            return p * v - p * self.mask(p) * np.sum(p * v, axis=1, keepdims=True)

    return DroppedTwice


def _last(k: int) -> slice:
    return slice(0, max(k - 1, 1))


def _first(k: int) -> slice:
    return slice(min(1, k - 1), k)


def _tail(block: int, least: int) -> Callable[[int], slice]:
    return lambda k: slice(0, k - k % block or least)


def _dropping(*kept: Callable[[int], slice]) -> tuple[type[Evaluation], ...]:
    return (
        *map(_dropped, kept),
        *map(_dropped_twice, kept),
        *(_dropped(one, "single") for one in kept),
    )


def _flushed(end: float) -> type[Evaluation]:
    class SmallFlushed(Evaluation):
        def p(self, x: Values) -> Values:
            p = super().p(x)
            return np.where(p < end, 0, p)

    return SmallFlushed


def _flushed_under_log(end: float) -> type[Evaluation]:
    return _divided(_flushed(end))


def _in_logarithm(delta: float, computed: str = "wide") -> type[Evaluation]:
    class EpsilonInLogarithm(Evaluation):
        working = computed

        def z(self, x: Values) -> Values:
            return np.log(self.p(x) + self.of(delta))

        def backward_p(self, x: Values) -> Values:
            return self.p(x)

    return EpsilonInLogarithm


def _in_logarithm_chained(delta: float) -> type[Evaluation]:
    class EpsilonChained(Evaluation):
        def z(self, x: Values) -> Values:
            return np.log(self.p(x) + self.of(delta))

        def through_log_softmax(self, x: Values, v: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, v / (p + delta))

        def inner(self, a: Values, x: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, -a / (p + delta))

    return EpsilonChained


def _clipped(low: float, high: float, computed: str = "wide") -> type[Evaluation]:
    class Clipped(Evaluation):
        working = computed

        def z(self, x: Values) -> Values:
            return np.log(np.clip(self.p(x), self.of(low), self.of(high)))

    return Clipped


def _clipped_inside(low: float, high: float, computed: str = "wide") -> type[Evaluation]:
    class ClippedInside(Evaluation):
        """No gradient passes through what is clipped."""

        working = computed

        def z(self, x: Values) -> Values:
            return np.log(np.clip(self.p(x), self.of(low), self.of(high)))

        def through_log_softmax(self, x: Values, v: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, np.where((p > low) & (p < high), v / p, 0))

        def inner(self, a: Values, x: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, np.where((p > low) & (p < high), -a / p, 0))

    return ClippedInside


def _clipped_at(end: float) -> tuple[type[Evaluation], ...]:
    return tuple(
        clipped(end, high, computed)
        for high in (1 - end, 1.0)
        for clipped in (_clipped, _clipped_inside)
        for computed in ("wide", "single")
    )


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


def _masked(finite: float | None) -> type[Evaluation]:
    class MaskedAsFinite(Evaluation):
        """-inf replaced by a finite number: the format's least one, or a popular one."""

        def logits(self) -> Values:
            x = super().logits()
            return np.where(np.isneginf(x), -self.format.largest if finite is None else finite, x)

    return MaskedAsFinite


def _least(name: str) -> type[Evaluation]:
    return _masked(-FORMATS[name].largest)


def _nan(by: float) -> type[Evaluation]:
    class NanReplaced(Evaluation):
        def logits(self) -> Values:
            return np.nan_to_num(super().logits(), nan=by, posinf=np.inf, neginf=-np.inf)

    return NanReplaced


class _NanToNumber(Evaluation):
    """What numpy.nan_to_num makes of a logit."""

    def logits(self) -> Values:
        largest = self.format.largest
        return np.nan_to_num(super().logits(), nan=0.0, posinf=largest, neginf=-largest)


class _InfinityMixed(Evaluation):
    """A row holding +inf: NaN there, -inf (or 0) elsewhere."""

    def p(self, x: Values) -> Values:
        return np.where(self._rises(x), np.where(np.isposinf(x), np.nan, 0), super().p(x))

    def z(self, x: Values) -> Values:
        return np.where(self._rises(x), np.where(np.isposinf(x), np.nan, -np.inf), super().z(x))

    def _rises(self, x: Values) -> Any:
        return np.isposinf(x).any(axis=1, keepdims=True) & ~np.isnan(x).any(axis=1, keepdims=True)


class _BatchMaximum(Evaluation):
    working = "single"

    def largest(self, x: Values) -> Values:
        return np.full((len(x), 1), np.max(x))


class _BatchMaximumInOwn(_BatchMaximum):
    working = "own"


class _BatchMaximumByRow(_BatchMaximum):
    """The log of p."""

    def z(self, x: Values) -> Values:
        return np.log(self.p(x))


_POPULAR_ENDS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-20, 1e-30)
_BLOCKS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_NARROW = ("bfloat16", "float16")

ARITHMETIC: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    (
        "not-shifted",
        "exp of the logits themselves, without subtracting the largest: it overflows, or underflows",
        (
            _NotShiftedInSingle,
            _NotShiftedInOwn,
            _divided(_NotShiftedInSingle),
            _divided(_NotShiftedInOwn),
        ),
    ),
    (
        "log-sum-exp-subtracted",
        "x - (m + log S): what a large m absorbs of log S is lost; subtract m first, and then log S",
        (
            _LogSumExpSubtracted,
            _LogSumExpSaved,
            _LogSumExpSubtractedInSingle,
            _LogSumExpSavedInSingle,
            _LogSumExpStepwise,
        ),
    ),
    (
        "log-of-softmax",
        "the logarithm of p, which is 0 where the exponential underflows",
        (_LogarithmInSingle, _LogarithmInOwn, _ChainedInSingle, _ChainedInOwn),
    ),
    (
        "one-maximum-for-the-batch",
        "one maximum is subtracted of all rows: a row far below it underflows",
        (_BatchMaximum, _BatchMaximumInOwn, _BatchMaximumByRow),
    ),
    ("last-class-dropped", "the sum leaves out the last class", _dropping(_last)),
    ("first-class-dropped", "the sum leaves out the first class", _dropping(_first)),
    (
        "tail-dropped",
        "the sum leaves out the classes beyond the last whole block (of 2 to 1024)",
        _dropping(*(_tail(block, least) for block in _BLOCKS for least in (0, 1))),
    ),
    (
        "small-flushed",
        "small probabilities are taken for 0",
        (*map(_flushed, _POPULAR_ENDS), *map(_flushed_under_log, _POPULAR_ENDS)),
    ),
    (
        "epsilon-in-logarithm",
        "log(p + a small number) for log p",
        (
            *(_in_logarithm(end, computed) for end in _POPULAR_ENDS for computed in ("wide", "single")),
            *map(_in_logarithm_chained, _POPULAR_ENDS),
        ),
    ),
    # A convention too, of Keras, whose ends are rounded to the format; here to what is computed in.
    ("clip=1e-7", "the logarithm of p clipped to [1e-7, 1 - 1e-7]", _clipped_at(1e-7)),
    (
        "probabilities-clipped",
        "the logarithm of p clipped to [e, 1 - e] or [e, 1]",
        tuple(way for end in _POPULAR_ENDS if end != 1e-7 for way in _clipped_at(end)),
    ),
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
        "masked-as-least",
        "-inf is replaced by a finite number: the class stays in the row",
        (_masked(None), _least("float32"), _masked(-1e9), _masked(-1e4), _masked(-1e30), _masked(-65504.0)),
    ),
    ("nan-replaced", "NaN among the logits is replaced by a number", (_nan(0.0), _NanToNumber)),
    ("infinity-mixed", "a row holding +inf is NaN in some classes and a number in others", (_InfinityMixed,)),
    (
        "fast-exp",
        "exp2 of d log2 e, the product rounded: its error grows with d",
        tuple(map(_base_two, ("float32", *_NARROW))),
    ),
)
"""Id, what it is in words, and the ways in which it is made."""
