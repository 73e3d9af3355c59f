"""Right by other means, in PyTorch: fused kernels with a backward pass by hand, chunks, products with one-hot rows."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from liars.in_torch.shared import Kernels, Tensor, coefficients, losses, reduced, rows, unrolled, z_of

__all__ = ["FusedLogSoftmax", "FusedLoss", "FusedSoftmax", "chunked", "fused", "multiplied", "online"]


class FusedSoftmax(torch.autograd.Function):  # type: ignore[misc]
    """Softmax of rows, which keeps its result for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        e = (x - x.amax(-1, keepdim=True)).exp()
        p = e / e.sum(-1, keepdim=True)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> Tensor:
        (p,) = ctx.saved_tensors
        return p * (up - (p * up).sum(-1, keepdim=True))


class FusedLogSoftmax(torch.autograd.Function):  # type: ignore[misc]
    """Log-softmax of rows, which keeps its result for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        z = z_of(x)
        ctx.save_for_backward(z)
        return z

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return up - z.exp() * up.sum(-1, keepdim=True)


class FusedLoss(torch.autograd.Function):  # type: ignore[misc]
    """The losses of rows with coefficients: p and the coefficients are kept, and the way back is M p - a."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor) -> Tensor:
        d = x - x.amax(-1, keepdim=True)
        e = d.exp()
        s = e.sum(-1, keepdim=True)
        ctx.save_for_backward(e / s, a)
        return losses(d - s.log(), a)

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None]:
        p, a = ctx.saved_tensors
        counts = (a != 0).any(-1, keepdim=True)
        return torch.where(counts, (a.sum(-1, keepdim=True) * p - a) * up[:, None], 0.0), None


def _softmax(x: Tensor) -> Tensor:
    return unrolled(FusedSoftmax.apply(rows(x)), x)


def _log_softmax(x: Tensor) -> Tensor:
    return unrolled(FusedLogSoftmax.apply(rows(x)), x)


def _cross_entropy(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    of = coefficients(x, target, **keywords)
    return reduced(FusedLoss.apply(rows(x), of.a), of, reduction, x)


def _again(x: Tensor, a: Tensor) -> Tensor:
    return losses(z_of(x), a)


def _in_chunks(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    """Blocks of rows, whose log-softmax is not kept but computed again on the way back."""
    of = coefficients(x, target, **keywords)
    parts = zip(rows(x).tensor_split(3), of.a.tensor_split(3), strict=True)
    each = [checkpoint(_again, part, a, use_reentrant=False, preserve_rng_state=False) for part, a in parts]
    return reduced(torch.cat(each), of, reduction, x)


def _logsumexp(x: Tensor) -> Tensor:
    """log S of shifted rows by blocks of 16 classes, each with a maximum of its own."""
    m = x.detach().amax(-1, keepdim=True)
    parts = torch.stack([_of_block(block - m) for block in x.split(max(16, x.shape[-1] // 8), -1)], -1)
    return m, torch.logsumexp(parts, -1, keepdim=True)


def _of_block(d: Tensor) -> Tensor:
    # The gradient of logsumexp is NaN where all is -inf (pytorch/pytorch#49724): such a block is left out.
    masked = d.isneginf().all(-1, keepdim=True)
    return torch.where(masked[..., 0], -torch.inf, torch.logsumexp(torch.where(masked, 0.0, d), -1))


def _online(x: Tensor) -> Tensor:
    wide = rows(x)
    m, log_s = _logsumexp(wide)
    return unrolled((wide - m) - log_s, x)


def _online_loss(
    x: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The library's loss of log-probabilities where there is one: nll_loss gathers the target's entry."""
    of = coefficients(x, target, weight, ignore_index, label_smoothing)
    wide = rows(x)
    m, log_s = _logsumexp(wide)
    z = (wide - m) - log_s
    if label_smoothing or target.is_floating_point():
        return reduced(losses(z, of.a), of, reduction, x)
    w = None if weight is None else weight.to(wide.dtype)
    if w is not None:
        z = torch.where((w == 0) & z.isneginf(), 0.0, z)  # nll_loss multiplies them
    each = functional.nll_loss(z, target.reshape(-1), w, ignore_index=ignore_index, reduction="none")
    return reduced(each, of, reduction, x)


def _multiplied(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    """A product of the coefficients and the shifted logits, and log S times their mass: z itself is never made."""
    of = coefficients(x, target, **keywords)
    counts = (of.a != 0).any(-1, keepdim=True)
    wide = torch.where(counts, rows(x), 0.0)
    d = wide - wide.detach().amax(-1, keepdim=True)
    # What is masked and has no coefficient must not become NaN in the product, but what is NaN must.
    kept = torch.where((of.a == 0) & d.isinf(), 0.0, d)
    selected = torch.bmm(of.a[:, None, :], kept[:, :, None])[:, 0, 0]
    return reduced(of.a.sum(-1) * d.exp().sum(-1).log() - selected, of, reduction, x)


def _attached(x: Tensor) -> Tensor:
    """The maximum left in the graph: what comes back through it adds up to 0."""
    wide = rows(x)
    d = wide - wide.amax(-1, keepdim=True)
    return unrolled(d - d.exp().sum(-1, keepdim=True).log(), x)


fused = Kernels(_softmax, _log_softmax, None, _cross_entropy)
chunked = Kernels(cross_entropy=_in_chunks)
online = Kernels(log_softmax=_online, cross_entropy=_online_loss)
multiplied = Kernels(cross_entropy=_multiplied)
attached = Kernels(log_softmax=_attached)
