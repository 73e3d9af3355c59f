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


class _ValueNegated(Evaluation):
    def value(self) -> Values:
        return -super().value()


class _GradientNegated(Evaluation):
    def gradient(self) -> Values:
        return -super().gradient()


class _ClassesLastInMemory(Evaluation):
    """Rows whose classes were brought to the last axis, read as if they had not been."""

    def gradient(self) -> Values:
        shape, axis = self.problem.shape, self.problem.axis
        return np.moveaxis(super().gradient(), axis, -1).reshape(shape)


class _ClassesFirstInMemory(Evaluation):
    """The other way round: what lies as the logits do, read as rows of classes."""

    def gradient(self) -> Values:
        rows = super().gradient().reshape(self.problem.count, self.classes)
        return self.problem.placed(rows)


class _LogitsNegated(Evaluation):
    def logits(self) -> Values:
        return -super().logits()


RESULTS: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    ("gradient-detached", "the gradient is 0 everywhere", (_Detached,)),
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
    ("negated", "the sign is reversed", (_ValueNegated, _GradientNegated)),
    ("logits-negated", "the logits are taken with the other sign", (_LogitsNegated,)),
    (
        "transposed-gradient",
        "the gradient's numbers are right and lie in the order of other axes",
        (_ClassesLastInMemory, _ClassesFirstInMemory),
    ),
)
"""Id, what it is in words, and the ways in which it is made."""
