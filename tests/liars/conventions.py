"""Liars that compute another loss, or another gradient, than the spec's: each is the convention of somebody's code."""

# An override keeps the signature of what it replaces.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liars.honest import Arithmetic, Convention, Losses, Tensor


class SmoothingOverOthers(Convention):
    """The smoothing mass is ε/(K-1) on the classes other than the target's."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        return super().spread(e * w.size / max(w.size - 1, 1), w, w_y, one_hot) * (1 - one_hot)


class SmoothingByTargetWeight(Convention):
    """The smoothing term is weighted by the target's class alone."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        return super().spread(e, np.ones_like(w), w_y, one_hot) * w_y[..., None]


class IgnoredSmoothed(Convention):
    """An ignored row keeps its smoothing term."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        return super().spread(e, w, w_y, np.ones_like(one_hot))


class SmoothingDropped(Convention):
    """label_smoothing is accepted and has no effect."""

    def epsilon(self, label_smoothing: float) -> float:
        return 0.0


class EpsilonInBinary32(Convention):
    """The keyword passes through binary32 on its way."""

    def epsilon(self, label_smoothing: float) -> float:
        return float(np.float32(label_smoothing))


class WeightsDropped(Convention):
    """weight is accepted and has no effect."""

    def weights(self, weight: Tensor | None, x: Tensor) -> Tensor:
        return super().weights(None, x)


class WrappedAround(Convention):
    """An index of -1 is the last class, as in a Python list."""

    def within(self, index: Tensor, k: int) -> Tensor:
        return np.where(index < 0, index + k, super().within(np.where(index < 0, 0, index), k))


class Clamped(Convention):
    """An index outside [0, K) is the nearest class, as in a gather that clamps."""

    def within(self, index: Tensor, k: int) -> Tensor:
        return np.clip(index, 0, k - 1)


class OffByOne(Convention):
    """Classes counted from 1: the next class is taken for the target, the first one after the last."""

    def within(self, index: Tensor, k: int) -> Tensor:
        return (super().within(index, k) + 1) % k


class Narrowed(Convention):
    """Indices kept in 8 bits, which the first data set had been happy with."""

    def within(self, index: Tensor, k: int) -> Tensor:
        return super().within(super().within(index, k).astype(np.int8), k)


class MeanOverRows(Convention):
    """The mean of weighted losses divides by the number of rows, not by the sum of their weights."""

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return w_y.dtype.type(np.count_nonzero(valid))


class IgnoredCounted(Convention):
    """Ignored rows count in the mean's divisor."""

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return np.sum(np.where(valid, w_y, 1))


class MeanOverAll(Convention):
    """The mean divides by the number of rows, ignored ones too, whatever their weights."""

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return w_y.dtype.type(w_y.size)


class SumForMean(Convention):
    """The sum where the mean was asked for."""

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return w_y.dtype.type(1)


class GradientUndivided(Convention):
    """The gradient of the mean lacks the divisor."""

    def scale(self, upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
        return upstream


class UpstreamIgnored(Convention):
    """The gradient is that for an upstream gradient of ones, the only one a training loop ever sends."""

    def scale(self, upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
        return super().scale(np.ones_like(upstream), divisor, reduction)


class ZeroTimesInfinity(Convention):
    """A masked class without target mass is multiplied all the same: 0 times infinity is NaN."""

    def term(self, a: Tensor, z: Tensor) -> Tensor:
        return a * -z


class IgnoredRead(Convention):
    """An ignored row is computed and multiplied by 0: what is NaN in it stays NaN."""

    def read(self, a: Tensor, z: Tensor) -> Tensor:
        return z


class Negated(Convention):
    """The mean of log p, without the minus; the gradient is the loss's."""

    def term(self, a: Tensor, z: Tensor) -> Tensor:
        return -super().term(a, z)


class ReductionIgnored(Convention):
    """reduction is accepted, and the result is the mean."""

    def reduced(self, losses: Tensor, divisor: Any, reduction: str, by: Arithmetic) -> Tensor:
        return super().reduced(losses, divisor, "mean", by)


class MassTakenForOne(Convention):
    """The gradient is p - q, which holds for target rows that add up to 1."""

    def mass(self, a: Tensor, by: Arithmetic) -> Tensor:
        return np.ones_like(a[..., :1])


smoothing_over_others = Losses.of(convention=SmoothingOverOthers())
smoothing_by_target_weight = Losses.of(convention=SmoothingByTargetWeight())
ignored_smoothed = Losses.of(convention=IgnoredSmoothed())
smoothing_dropped = Losses.of(convention=SmoothingDropped())
epsilon_in_binary32 = Losses.of(convention=EpsilonInBinary32())
weights_dropped = Losses.of(convention=WeightsDropped())
wrapped_around = Losses.of(convention=WrappedAround())
clamped = Losses.of(convention=Clamped())
off_by_one = Losses.of(convention=OffByOne())
narrowed = Losses.of(convention=Narrowed())
mean_over_rows = Losses.of(convention=MeanOverRows())
ignored_counted = Losses.of(convention=IgnoredCounted())
mean_over_all = Losses.of(convention=MeanOverAll())
sum_for_mean = Losses.of(convention=SumForMean())
gradient_undivided = Losses.of(convention=GradientUndivided())
upstream_ignored = Losses.of(convention=UpstreamIgnored())
zero_times_infinity = Losses.of(convention=ZeroTimesInfinity())
ignored_read = Losses.of(convention=IgnoredRead())
negated = Losses.of(convention=Negated())
reduction_ignored = Losses.of(convention=ReductionIgnored())
mass_taken_for_one = Losses.of(convention=MassTakenForOne())
