"""Mistakes that any of the operations can have in what it returns: its sign, its rows, its backward pass."""

from __future__ import annotations

import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Values

__all__ = ["RESULTS"]


class _UpstreamIgnored(Evaluation):
    def upstream(self) -> Values:
        return np.ones_like(super().upstream())


class _UpstreamSummed(Evaluation):
    """One number stands for all rows."""

    def upstream(self) -> Values:
        v = super().upstream()
        return np.full_like(v, v.flat[0] if v.size else 1)


class _OneEntry(Evaluation):
    def through_softmax(self, p: Values, v: Values) -> Values:
        return p * (1 - p) * v


class _NoSum(Evaluation):
    def through_softmax(self, p: Values, v: Values) -> Values:
        return p * v


class _LogOneEntry(Evaluation):
    """The diagonal alone, v (1 - p)."""

    def through_log_softmax(self, x: Values, v: Values) -> Values:
        return v * (1 - self.p(x))


class _Detached(Evaluation):
    def gradient(self) -> Values:
        return self.problem.placed(np.zeros_like(self.logits()))


class _Negated(Evaluation):
    def value(self) -> Values:
        return -super().value()

    def gradient(self) -> Values:
        return -super().gradient()


class _RowsReversed(Evaluation):
    def value(self) -> Values:
        value = super().value()
        return value[::-1] if value.ndim else value

    def gradient(self) -> Values:
        return super().gradient()[::-1]


class _RowsRolled(Evaluation):
    def value(self) -> Values:
        value = super().value()
        return np.roll(value, 1, axis=0) if value.ndim else value

    def gradient(self) -> Values:
        return np.roll(super().gradient(), 1, axis=0)


class _RowsRolledBack(_RowsRolled):
    def value(self) -> Values:
        value = Evaluation.value(self)
        return np.roll(value, -1, axis=0) if value.ndim else value

    def gradient(self) -> Values:
        return np.roll(Evaluation.gradient(self), -1, axis=0)


class _LogitsNegated(Evaluation):
    def logits(self) -> Values:
        return -super().logits()


RESULTS: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    (
        "upstream-ignored",
        "the gradient is that for an upstream gradient of ones, or of one number for all rows",
        (_UpstreamIgnored, _UpstreamSummed),
    ),
    (
        "gradient-of-one-entry",
        "the gradient of each class by its own logit alone: the sum over the other classes is missing",
        (_OneEntry, _NoSum, _LogOneEntry),
    ),
    ("gradient-detached", "the gradient is 0 everywhere", (_Detached,)),
    ("negated", "the sign is reversed", (_Negated,)),
    ("logits-negated", "the logits are taken with the other sign", (_LogitsNegated,)),
    ("rows-permuted", "the rows come back in another order", (_RowsReversed, _RowsRolled, _RowsRolledBack)),
)
"""Id, what it is in words, and the ways in which it is made."""
