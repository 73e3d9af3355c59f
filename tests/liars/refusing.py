"""Liars that mistreat what is not ordinary: infinite and NaN logits, a single class or row, ignored rows."""

# An override keeps the signature of what it replaces.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

import numpy as np

from liars.around import Kernels, around
from liars.honest import Arithmetic, Convention, CrossEntropy, Losses, Tensor


class MaskedAtTenThousand(Arithmetic):
    """-inf replaced by -10000, the number that BERT's masks add."""

    def opened(self, x: Tensor) -> Tensor:
        wide = super().opened(x)
        return np.where(np.isneginf(wide), wide.dtype.type(-10000), wide)


class LogitsClipped(Arithmetic):
    """Logits clipped to [-50, 50] for numerical stability."""

    def shifted(self, x: Tensor) -> Tensor:
        return super().shifted(np.clip(x, x.dtype.type(-50), x.dtype.type(50)))


class ZeroTakenForPadding(Arithmetic):
    """Logits of exactly 0 are masked: they are what a padded batch is filled with."""

    def opened(self, x: Tensor) -> Tensor:
        wide = super().opened(x)
        return np.where((wide == 0) & np.any(wide != 0, axis=-1, keepdims=True), -np.inf, wide)


class RowsReplaced(Arithmetic):
    """A row that is not finite throughout is replaced by zeros: a masked class loses its mask."""

    def opened(self, x: Tensor) -> Tensor:
        wide = super().opened(x)
        return np.where(np.isfinite(wide).all(axis=-1, keepdims=True), wide, 0).astype(wide.dtype)


class InfinityTakenForNothing(Arithmetic):
    """The maximum replaced by 0 where it is not finite, -inf or +inf: scipy has it so for -inf, where it is right."""

    def largest(self, x: Tensor) -> Tensor:
        m = super().largest(x)
        return np.where(np.isfinite(m), m, 0).astype(m.dtype)


class SmoothingOverFinite(Convention):
    """A class with an infinite log-probability is left out of the smoothing term, which stays finite."""

    def term(self, a: Tensor, z: Tensor) -> Tensor:
        masked = np.isneginf(z) & (a < np.max(a, axis=-1, keepdims=True))
        return np.where(masked, 0, super().term(a, z))


def _numbers(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """nan_to_num of the result: NaN is 0, infinity the largest number."""
    return np.nan_to_num(result)


def _all_or_nothing(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """One NaN anywhere makes all of it NaN, lest it be overlooked."""
    return np.full_like(result, np.nan) if np.isnan(result).any() else result


def _smallest_for_zero(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """Probabilities of 0 raised to 1e-12, so that somebody can take logarithms of them."""
    return np.where(result == 0, result.dtype.type(1e-12), result)


def _nan_where_ignored(result: Tensor, _x: Tensor, target: Tensor, *_given: Tensor, **keywords: Any) -> Tensor:
    """NaN at ignored positions of the losses (pytorch/pytorch#20406)."""
    if keywords.get("reduction", "mean") != "none" or target.shape != result.shape:
        return result
    return np.where(target == keywords.get("ignore_index", -100), result.dtype.type(np.nan), result)


class _Guarded(CrossEntropy):
    """A call that refuses what it was not written for."""

    def refuse(self, logits: Tensor, target: Tensor, keywords: dict[str, Any]) -> None:
        raise NotImplementedError

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        self.refuse(logits, target, keywords)
        return super().__call__(logits, target, **keywords)


class _FiniteOnly(_Guarded):
    """It raises for a masked class: all logits must be finite."""

    def refuse(self, logits: Tensor, target: Tensor, keywords: dict[str, Any]) -> None:
        if not np.isfinite(logits).all():
            raise ValueError("logits must be finite")


class _TwoClasses(_Guarded):
    """It raises for one class: a classification needs two."""

    def refuse(self, logits: Tensor, target: Tensor, keywords: dict[str, Any]) -> None:
        if logits.shape[min(1, logits.ndim - 1)] < 2:
            raise ValueError("at least two classes are needed")


class _Batches(_Guarded):
    """It raises for logits without a batch axis, and for a batch of one row, which it takes for the same."""

    def refuse(self, logits: Tensor, target: Tensor, keywords: dict[str, Any]) -> None:
        if logits.ndim > 1 and len(logits) == 1:
            raise ValueError("a batch is needed")


class _IgnoringForMeanOnly(_Guarded):
    """ignore_index works for the mean and raises for the losses (pytorch/pytorch#15508)."""

    def refuse(self, logits: Tensor, target: Tensor, keywords: dict[str, Any]) -> None:
        if target.dtype.kind in "iu" and keywords.get("reduction", "mean") == "none":
            self.convention.within(target, logits.shape[min(1, logits.ndim - 1)])


class _NegativesIgnored(CrossEntropy):
    """Every negative target is ignored, whatever ignore_index says (pytorch/pytorch#12670 is of the kind)."""

    def __call__(self, logits: Tensor, target: Tensor, *, ignore_index: int = -100, **keywords: Any) -> Tensor:
        return super().__call__(logits, _known(target, ignore_index), ignore_index=ignore_index, **keywords)

    def gradient(
        self, logits: Tensor, target: Tensor, upstream: Tensor, *, ignore_index: int = -100, **keywords: Any
    ) -> Tensor:
        return super().gradient(logits, _known(target, ignore_index), upstream, ignore_index=ignore_index, **keywords)


def _known(target: Tensor, ignore_index: int) -> Tensor:
    return np.where(target < 0, ignore_index, target) if target.dtype.kind in "iu" else target


class _Swallowed(CrossEntropy):
    """Whatever is raised inside, the loss is 0: the batch is skipped, and training goes on."""

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        try:
            return super().__call__(logits, target, **keywords)
        except IndexError:
            none = keywords.get("reduction", "mean") == "none"
            return np.zeros(target.shape if none else (), logits.dtype)


class _OneForNone(CrossEntropy):
    """An empty batch has one loss, of 0, whatever the reduction."""

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        if len(logits) == 0 and keywords.get("reduction", "mean") == "none":
            return np.zeros(1, logits.dtype)
        return super().__call__(logits, target, **keywords)


class _NanThroughout(CrossEntropy):
    """One wrong target makes the losses of all rows NaN."""

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        try:
            return super().__call__(logits, target, **keywords)
        except IndexError:
            none = keywords.get("reduction", "mean") == "none"
            return np.full(target.shape if none else (), np.nan, logits.dtype)

    def gradient(self, logits: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        try:
            return super().gradient(logits, target, upstream, **keywords)
        except IndexError:
            return np.full_like(logits, np.nan)


masked_at_ten_thousand = Losses.of(MaskedAtTenThousand())
logits_clipped = Losses.of(LogitsClipped())
zero_taken_for_padding = Losses.of(ZeroTakenForPadding())
rows_replaced = Losses.of(RowsReplaced())
infinity_taken_for_nothing = Losses.of(InfinityTakenForNothing())
smoothing_over_finite = Losses.of(convention=SmoothingOverFinite())
negatives_ignored = Kernels(cross_entropy=_NegativesIgnored(Arithmetic(), Convention()))
numbers = around(_numbers)
all_or_nothing = around(_all_or_nothing, only=("softmax", "log_softmax", "cross_entropy"))
smallest_for_zero = around(_smallest_for_zero, only=("softmax",))
nan_where_ignored = around(_nan_where_ignored, only=("nll_loss", "cross_entropy"))
finite_only = Kernels(cross_entropy=_FiniteOnly(Arithmetic(), Convention()))
two_classes = Kernels(cross_entropy=_TwoClasses(Arithmetic(), Convention()))
batches = Kernels(cross_entropy=_Batches(Arithmetic(), Convention()))
ignoring_for_mean_only = Kernels(cross_entropy=_IgnoringForMeanOnly(Arithmetic(), Convention()))
swallowed = Kernels(cross_entropy=_Swallowed(Arithmetic(), Convention()))
nan_throughout = Kernels(cross_entropy=_NanThroughout(Arithmetic(), Convention()))
one_for_none = Kernels(cross_entropy=_OneForNone(Arithmetic(), Convention()))
