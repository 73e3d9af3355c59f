"""Liars whose value is right and whose backward pass, written by hand, is not."""

# An override keeps the signature of what it replaces.
# ruff: noqa: ARG002

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from liars.around import Kernels, around
from liars.honest import Arithmetic, Convention, CrossEntropy, LogSoftmax, Losses, Tensor, honest


class _WithoutSum(LogSoftmax):
    """v - p, the gradient of a loss that adds up to 1 upstream."""

    def gradient(self, logits: Tensor, upstream: Tensor) -> Tensor:
        by = self.arithmetic
        return by.closed(by.opened(upstream) - by.p(by.opened(logits)), logits)


class _AsSoftmax(LogSoftmax):
    """The gradient of softmax, copied from the class above."""

    def gradient(self, logits: Tensor, upstream: Tensor) -> Tensor:
        return honest.softmax.gradient(logits, upstream)


class _Upwards(LogSoftmax):
    """v + p sum v: a sign lost between the two lines of the formula."""

    def gradient(self, logits: Tensor, upstream: Tensor) -> Tensor:
        by = self.arithmetic
        v = by.opened(upstream)
        return by.closed(v + by.p(by.opened(logits)) * by.added(v).astype(v.dtype), logits)


@dataclass(frozen=True)
class Otherwise(CrossEntropy):
    """The gradient of the loss with other keywords than the value's."""

    left_out: tuple[str, ...]

    def gradient(self, logits: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        kept = {name: value for name, value in keywords.items() if name not in self.left_out}
        return super().gradient(logits, target, upstream, **kept)


class _Hardened(CrossEntropy):
    """The label is subtracted where p is largest, and not where the target is: `argmax` of the wrong tensor."""

    def gradient(self, logits: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        if target.dtype.kind in "iu":
            likely = np.argmax(np.moveaxis(logits, min(1, logits.ndim - 1), -1), axis=-1)
            target = np.where(target == keywords.get("ignore_index", -100), target, likely)
        return super().gradient(logits, target, upstream, **keywords)


class _FirstUpstream(Convention):
    """The first entry of the upstream gradient for all rows: a kernel that loads it without its stride."""

    def scale(self, upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
        return super().scale(np.full_like(upstream, upstream.reshape(-1)[0]), divisor, reduction)


class _DividedTwice(Convention):
    """The forward pass divides what it saves, and the backward pass divides again."""

    def scale(self, upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
        scaled = super().scale(upstream, divisor, reduction)
        return scaled / divisor if reduction == "mean" else scaled


class _SumDivided(Convention):
    """The gradient of a sum divided like that of a mean."""

    def scale(self, upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
        return upstream / divisor if reduction == "sum" else super().scale(upstream, divisor, reduction)


class _MassOfLabel(Convention):
    """p is multiplied by the largest coefficient, the target's, and not by their sum."""

    def mass(self, a: Tensor, by: Arithmetic) -> Tensor:
        return np.max(a, axis=-1, keepdims=True)


class _SavedBeforeDivision(Arithmetic):
    """What is kept for the backward pass is the exponential before the division."""

    def saved_p(self, x: Tensor) -> Tensor:
        return self.exponentials(self.shifted(x))


def _centred(result: Tensor, x: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """The mean over the classes is subtracted again, as rows of a gradient add up to 0: not these."""
    axis = min(1, x.ndim - 1)
    wide = result.astype(np.float64)
    return (wide - np.mean(wide, axis=axis, keepdims=True)).astype(result.dtype)


def _clipped(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """Gradients clipped to [-0.25, 0.25] where they are made, as a recipe for stable training has it."""
    return np.clip(result, result.dtype.type(-0.25), result.dtype.type(0.25))


class _TargetAdded(CrossEntropy):
    """M p + q: the sign of the label is lost."""

    def gradient(
        self,
        logits: Tensor,
        target: Tensor,
        upstream: Tensor,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> Tensor:
        by, x = self.arithmetic, self.arithmetic.opened(logits)
        a, divisor = self._coefficients(x, target, weight, ignore_index, label_smoothing)
        inner = self.convention.read(a, self.convention.mass(a, by) * by.saved_p(x) + a)
        return by.closed(inner * self._scale(upstream, divisor, reduction), logits)


without_sum = Kernels(log_softmax=_WithoutSum(Arithmetic()))
as_softmax = Kernels(log_softmax=_AsSoftmax(Arithmetic()))
upwards = Kernels(log_softmax=_Upwards(Arithmetic()))
without_weights = Kernels(cross_entropy=Otherwise(Arithmetic(), Convention(), ("weight",)))
without_smoothing = Kernels(cross_entropy=Otherwise(Arithmetic(), Convention(), ("label_smoothing",)))
target_added = Kernels(cross_entropy=_TargetAdded(Arithmetic(), Convention()))
hardened = Kernels(cross_entropy=_Hardened(Arithmetic(), Convention()))
first_upstream = Losses.of(convention=_FirstUpstream())
divided_twice = Losses.of(convention=_DividedTwice())
sum_divided = Losses.of(convention=_SumDivided())
mass_of_label = Losses.of(convention=_MassOfLabel())
saved_before_division = Losses.of(_SavedBeforeDivision())
centred = around(gradient=_centred, only=("nll_loss",))
clipped = around(gradient=_clipped, only=("cross_entropy",))
