"""Mistakes in what a loss means: ignored rows, smoothing, reductions, the mass of the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Index, Values
from lossparity.reference import Flags

__all__ = ["LOSSES"]


class _ZeroTimesInfinity(Evaluation):
    def term(self, a: Values, z: Values) -> Values:
        return a * -z


class _IgnoredRead(Evaluation):
    """An ignored row is computed and multiplied by 0."""

    def read(self, z: Values, a: Values, valid: Flags) -> Values:  # noqa: ARG002
        return z


class _IgnoredMultiplied(_IgnoredRead, _ZeroTimesInfinity):
    def term(self, a: Values, z: Values) -> Values:
        return a * -z


class _IgnoredSmoothed(Evaluation):
    def kept(self, a: Values, valid: Flags) -> Values:
        spread = self.spread(self.weight(), np.zeros_like(a))
        return np.where(valid[:, None], a, spread)

    def read(self, z: Values, a: Values, valid: Flags) -> Values:  # noqa: ARG002
        return z

    def passed(self, g: Values, valid: Flags) -> Values:  # noqa: ARG002
        return g


class _IgnoredSmoothedValue(_IgnoredSmoothed):
    """Only the value keeps the term."""

    def gradient(self) -> Values:
        return Evaluation(self.problem).gradient()


class _NotHonoured(Evaluation):
    """ignore_index has no effect: its rows count, and wrap around where they are outside."""

    def valid(self) -> Flags:
        return np.ones(self.problem.count, dtype=np.bool_)


class _NotHonouredWrapped(_NotHonoured):
    def within(self, index: Index) -> tuple[Index, Flags]:
        return index % max(self.classes, 1), np.zeros(index.shape, dtype=np.bool_)


class _NotHonouredClamped(_NotHonoured):
    def within(self, index: Index) -> tuple[Index, Flags]:
        return np.clip(index, 0, self.classes - 1), np.zeros(index.shape, dtype=np.bool_)


class _FixedAtMinus100(Evaluation):
    def valid(self) -> Flags:
        index = self.index()
        assert index is not None
        return index != -100


class _NegativeIgnored(Evaluation):
    """Every negative index is ignored."""

    def valid(self) -> Flags:
        index = self.index()
        assert index is not None
        return super().valid() & (index >= 0)


class _IgnoredGradient(Evaluation):
    """An ignored row's gradient is p, as if its label were subtracted nowhere."""

    def passed(self, g: Values, valid: Flags) -> Values:
        return np.where(valid[:, None], g, self.backward_p(self.logits()))


class _IgnoredGradientOfLabel(Evaluation):
    """An ignored row's gradient is that of some label: the first class, or the wrapped one."""

    def kept(self, a: Values, valid: Flags) -> Values:  # noqa: ARG002
        return a

    def passed(self, g: Values, valid: Flags) -> Values:  # noqa: ARG002
        return g

    def value(self) -> Values:
        return Evaluation(self.problem).value()


class _SmoothingDropped(Evaluation):
    def epsilon(self) -> Any:
        return self.of(0.0)


class _EpsilonInBinary32(Evaluation):
    def epsilon(self) -> Any:
        return self.of(np.float32(self.problem.smoothing))


class _MassTakenForOne(Evaluation):
    def mass(self, a: Values) -> Values:
        return np.ones_like(a[:, :1])


def _reduced(to: str) -> type[Evaluation]:
    class Reduced(Evaluation):
        def reduction(self) -> str:
            return to

        def upstream(self) -> Values:
            # The upstream has the shape that was asked for; the gradient of another result takes one number of it.
            v = super().upstream()
            return v if self.problem.reduction == to or not v.size else v.reshape(-1)[:1].reshape(1, 1)

    return Reduced


class _IgnoredCounted(Evaluation):
    """Each ignored row adds 1 to the sum of the weights."""

    def divisor(self, own: Values, valid: Flags) -> Any:
        return np.sum(np.where(valid, own, 1))


class _DivisorAtLeastOne(Evaluation):
    """Lest it be 0; which it is not where the weights are small."""

    def divisor(self, own: Values, valid: Flags) -> Any:
        return np.maximum(super().divisor(own, valid), 1)


def _lifted(by: float) -> type[Evaluation]:
    class Lifted(Evaluation):
        def divisor(self, own: Values, valid: Flags) -> Any:
            return super().divisor(own, valid) + self.of(by)

    return Lifted


class _DividedByBatch(Evaluation):
    """The first axis alone, though there are positions on others."""

    def divisor(self, own: Values, valid: Flags) -> Any:  # noqa: ARG002
        return self.of(self.problem.positions[0] if self.problem.positions else 1)


class _SmoothingSumNarrow(Evaluation):
    """The sum over all classes that the smoothing is a share of."""

    def losses(self, a: Values, z: Values) -> Values:
        share = self.epsilon() / self.classes
        if share == 0:
            return super().losses(a, z)
        counted, w = np.any(a != 0, axis=1), np.broadcast_to(self.weight(), a.shape)
        total = self.rounded(np.sum(self.term(w, z), axis=1))
        target = a - np.where(counted[:, None], share * w, 0)
        return super().losses(target, z) + np.where(counted, share * total, 0)


class _RowSumNarrow(Evaluation):
    """The sum of the losses, and what it is divided by."""

    def summed(self, losses: Values) -> Values:
        return self.rounded(np.sum(losses))

    def divisor(self, own: Values, valid: Flags) -> Any:
        return self.rounded(np.asarray(super().divisor(own, valid)))


LOSSES: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    # A convention too, of Paddle, where the weights are not in the divisor.
    ("mean=all", "ignored rows count in the mean", (_IgnoredCounted,)),
    ("divisor-at-least-1", "what the mean divides by is at least 1, lest it be 0", (_DivisorAtLeastOne,)),
    (
        "epsilon-in-divisor",
        "a small number is added to what the mean divides by, lest it be 0",
        tuple(map(_lifted, (1e-5, 1e-6, 1e-7, 1e-8, 1e-12))),
    ),
    ("divided-by-batch", "the mean divides by the first axis alone, though there are others", (_DividedByBatch,)),
    (
        "reduced-in-16-bits",
        "a sum of losses over classes or rows, or what it is divided by, is kept in 16 bits: it overflows",
        (_SmoothingSumNarrow, _RowSumNarrow),
    ),
    ("smoothing-dropped", "label_smoothing has no effect", (_SmoothingDropped,)),
    ("epsilon-in-binary32", "label_smoothing is rounded to binary32", (_EpsilonInBinary32,)),
    ("zero-times-infinity", "a coefficient of 0 multiplies an infinite logarithm: NaN", (_ZeroTimesInfinity,)),
    (
        "ignored-read",
        "an ignored row is computed and multiplied by 0: what is NaN or infinite in it becomes NaN",
        (_IgnoredRead, _IgnoredMultiplied),
    ),
    ("ignored-smoothed", "an ignored row keeps its smoothing term", (_IgnoredSmoothed, _IgnoredSmoothedValue)),
    (
        "ignored-not-honoured",
        "ignore_index has no effect, or is fixed at -100 or at every negative index",
        (_NotHonoured, _NotHonouredWrapped, _NotHonouredClamped, _FixedAtMinus100, _NegativeIgnored),
    ),
    (
        "ignored-gradient",
        "an ignored row has a gradient, as if it had a label or none",
        (_IgnoredGradient, _IgnoredGradientOfLabel),
    ),
    ("mass-taken-for-one", "the gradient is p - q, which is right where q adds up to 1 only", (_MassTakenForOne,)),
    (
        "reduction-ignored",
        "another reduction is made than the one asked for",
        (_reduced("mean"), _reduced("sum"), _reduced("none")),
    ),
)
"""Id, what it is in words, and the ways in which it is made."""
