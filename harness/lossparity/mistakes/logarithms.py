"""Mistakes in how the logits are shifted and the logarithm is taken."""

from __future__ import annotations

import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Values

__all__ = ["LOGARITHMS", "divided"]


class _NotShifted(Evaluation):
    def largest(self, x: Values) -> Values:
        return np.zeros((len(x), 1), self.dtype)


class _NotShiftedInSingle(_NotShifted):
    working = "single"


class _NotShiftedInOwn(_NotShifted):
    working = "own"


def divided(evaluation: type[Evaluation]) -> type[Evaluation]:
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


class _BatchMaximum(Evaluation):
    working = "single"

    def largest(self, x: Values) -> Values:
        return np.full((len(x), 1), np.max(x, initial=-np.inf))


class _BatchMaximumInOwn(_BatchMaximum):
    working = "own"


class _BatchMaximumByRow(_BatchMaximum):
    """The log of p."""

    def z(self, x: Values) -> Values:
        return np.log(self.p(x))


LOGARITHMS: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    (
        "not-shifted",
        "exp of the logits themselves, without subtracting the largest: it overflows, or underflows",
        (
            _NotShiftedInSingle,
            _NotShiftedInOwn,
            divided(_NotShiftedInSingle),
            divided(_NotShiftedInOwn),
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
)
"""Id, what it is in words, and the ways in which it is made."""
