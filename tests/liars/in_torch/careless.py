"""Wrong on purpose, in PyTorch: more mistakes of kernels that go by blocks, and of the training code around a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from liars.in_torch.right import FusedLogSoftmax, FusedLoss
from liars.in_torch.shared import (
    Coefficients,
    Kernels,
    Operation,
    Tensor,
    coefficients,
    losses,
    reduced,
    rows,
    unrolled,
    z_of,
)


def _loss(each: Callable[[Tensor, Coefficients], Tensor]) -> Kernels:
    """Put together the loss of a function of rows and their coefficients, which gives the losses of the rows."""

    def cross_entropy(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
        of = coefficients(x, target, **keywords)
        return reduced(each(rows(x), of), of, reduction, x)

    return Kernels(cross_entropy=cross_entropy)


def _row_wise(function: Operation) -> Operation:
    return lambda x: unrolled(function(rows(x)), x)


def _unguarded_z(x: Tensor) -> Tensor:
    """One pass over blocks of 16; a first block that is masked leaves exp(-inf - -inf) in the sum."""
    first, *others = x.split(16, -1)
    m = first.detach().amax(-1, keepdim=True)
    s = (first - m).exp().sum(-1, keepdim=True)
    for block in others:
        higher = torch.maximum(m, block.detach().amax(-1, keepdim=True))
        s = s * (m - higher).exp() + (block - higher).exp().sum(-1, keepdim=True)
        m = higher
    return (x - m) - s.log()


def _padded_z(x: Tensor) -> Tensor:
    """Rows padded to a power of two with 0, as a kernel loads them that gives no value for what is masked out."""
    k = x.shape[-1]
    wide = functional.pad(x, (0, (1 << (k - 1).bit_length()) - k))
    return z_of(wide)[..., :k]


def _first_chunks(x: Tensor, of: Coefficients) -> Tensor:
    """Rows in chunks of 64; those beyond the last whole chunk get a loss of 0."""
    whole = len(x) - len(x) % 64 or len(x)
    each = losses(z_of(x[:whole]), of.a[:whole])
    return torch.cat([each, each.new_zeros(len(x) - whole)])


def _mean_of_chunks(
    x: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The mean over chunks of one row of their means (NVIDIA-NeMo/Automodel#3803 is of the kind); empty ones are 0."""
    of = coefficients(x, target, weight, ignore_index, label_smoothing)
    each = losses(z_of(rows(x)), of.a)
    if reduction != "mean" or target.is_floating_point():
        return reduced(each, of, reduction, x)
    own = coefficients(x, target, weight, ignore_index).a.sum(-1)
    return torch.where(own > 0, each / own.clamp(min=1e-30), 0.0).mean().to(x.dtype)


def _smoothing_apart(
    x: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The mean of the smoothing term divides by the rows that count, that of the other by their weights.

    One of the first versions of PyTorch's own did something of the kind (pytorch/pytorch#72056).
    """
    of = coefficients(x, target, weight, ignore_index, label_smoothing)
    z = z_of(rows(x))
    if reduction != "mean" or target.is_floating_point():
        return reduced(losses(z, of.a), of, reduction, x)
    own = (1 - label_smoothing) * coefficients(x, target, weight, ignore_index).a
    count = (of.a != 0).any(-1).sum()
    return (losses(z, own).sum() / of.divisor + losses(z, of.a - own).sum() / count).to(x.dtype)


def _dropped_out() -> Operation:
    """Return the rows after a dropout which is on by default, as torch.nn.functional.dropout is."""
    drawn = torch.Generator().manual_seed(2)

    def z(x: Tensor) -> Tensor:
        kept = torch.rand(x.shape, generator=drawn) >= 0.1
        return z_of(torch.where(kept, x / 0.9, 0.0))

    return z


_dropping_z = _dropped_out()


class _Summed(FusedLoss):
    """The way back adds to a buffer of its own, by shape, that nobody clears."""

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None]:
        g, _ = FusedLoss.backward(ctx, up)
        key = g.shape, g.dtype
        _GRADIENTS[key] = _GRADIENTS.get(key, torch.zeros_like(g)) + g
        return _GRADIENTS[key].clone(), None


_GRADIENTS: dict[tuple[Any, ...], Tensor] = {}


class _Averaged(FusedLoss):
    """The upstream gradient replaced by its mean over the rows, as if it were one number."""

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None]:
        g, _ = FusedLoss.backward(ctx, up.mean().expand_as(up).contiguous())
        return g, None


class _WithoutSum(FusedLogSoftmax):
    """v - p: the sum of v is taken for 1."""

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return up - z.exp()


class _Half(FusedLoss):
    """The gradient of a row kept in binary16 between the passes, as mixed precision has it without a scale."""

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None]:
        g, _ = FusedLoss.backward(ctx, torch.ones_like(up))
        return g.half().to(up.dtype) * up[:, None], None


def _in_uint8(x: Tensor, target: Tensor, *, ignore_index: int = -100, **keywords: Any) -> Tensor:
    """Targets sent to the device as bytes; those to be ignored are found before."""
    if not target.is_floating_point():
        kept = target.to(torch.uint8).long()
        target = torch.where(target == ignore_index, target, kept)
    reduction = keywords.pop("reduction", "mean")
    of = coefficients(x, target, ignore_index=ignore_index, **keywords)
    return reduced(losses(z_of(rows(x)), of.a), of, reduction, x)


def _by_argmax(x: Tensor, target: Tensor, **keywords: Any) -> Tensor:
    """Probability targets turned to indices, for which the fast kernel is."""
    if target.is_floating_point():
        target = target.argmax(min(1, x.ndim - 1))
    reduction = keywords.pop("reduction", "mean")
    of = coefficients(x, target, **keywords)
    return reduced(losses(z_of(rows(x)), of.a), of, reduction, x)


def _doubled(x: Tensor) -> Tensor:
    """Computed in binary64, and left there."""
    return functional.softmax(x.double(), dim=min(1, x.ndim - 1))


def _clamped_loss(x: Tensor, of: Coefficients) -> Tensor:
    """Losses capped at 100, so that an outlier does not ruin the batch (binary_cross_entropy has it so)."""
    return losses(z_of(x), of.a).clamp(max=100)


def _detached_sum_z(x: Tensor) -> Tensor:
    """no_grad around the normaliser, and not around the maximum alone: the gradient lacks p."""
    with torch.no_grad():
        m = x.amax(-1, keepdim=True)
        log_s = (x - m).exp().sum(-1, keepdim=True).log()
    return (x - m) - log_s


unguarded = Kernels(log_softmax=_row_wise(_unguarded_z))
padded = Kernels(log_softmax=_row_wise(_padded_z))
first_chunks = _loss(_first_chunks)
mean_of_chunks = Kernels(cross_entropy=_mean_of_chunks)
smoothing_apart = Kernels(cross_entropy=_smoothing_apart)
dropping = Kernels(log_softmax=_row_wise(_dropping_z))
summed = _loss(lambda x, of: _Summed.apply(x, of.a))
averaged_upstream = _loss(lambda x, of: _Averaged.apply(x, of.a))
without_sum = Kernels(log_softmax=_row_wise(_WithoutSum.apply))
gradient_in_half = _loss(lambda x, of: _Half.apply(x, of.a))
in_uint8 = Kernels(cross_entropy=_in_uint8)
by_argmax = Kernels(cross_entropy=_by_argmax)
doubled = Kernels(softmax=_doubled)
capped = _loss(_clamped_loss)
detached_sum = Kernels(log_softmax=_row_wise(_detached_sum_z))
