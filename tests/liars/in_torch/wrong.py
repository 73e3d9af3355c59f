"""Wrong on purpose, in PyTorch: mistakes of fused kernels, of what they keep for the way back, and of those who call.

Where autograd derives the gradient the mistake is in it too; where the backward pass is written by hand, one of the
two may be right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from liars.in_torch.right import FusedLogSoftmax, FusedLoss, FusedSoftmax
from liars.in_torch.shared import Kernels, Operation, Tensor, coefficients, losses, reduced, rows, unrolled, z_of


def _of(z: Operation, p: Operation | None = None) -> Kernels:
    """Put together what follows from functions of rows, the log-softmax and the softmax."""

    def softmax(x: Tensor) -> Tensor:
        return unrolled((p or (lambda r: z(r).exp()))(rows(x)), x)

    def log_softmax(x: Tensor) -> Tensor:
        return unrolled(z(rows(x)), x)

    def cross_entropy(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
        of = coefficients(x, target, **keywords)
        return reduced(losses(z(rows(x)), of.a), of, reduction, x)

    return Kernels(softmax if p else None, log_softmax, None, cross_entropy)


def _fused(each: Operation) -> Kernels:
    """Put together the loss of a function of rows and their coefficients."""

    def cross_entropy(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
        of = coefficients(x, target, **keywords)
        return reduced(each(rows(x), of.a), of, reduction, x)

    return Kernels(cross_entropy=cross_entropy)


def _unshifted_p(x: Tensor) -> Tensor:
    """exp(x) over its sum, as on paper."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def _unshifted_z(x: Tensor) -> Tensor:
    return x - x.exp().sum(-1, keepdim=True).log()


def _whole_blocks(e: Tensor) -> Tensor:
    """A sum over blocks of 16 classes without the rest; short rows are taken whole."""
    k = e.shape[-1]
    return e[..., : k - k % 16 if k > 16 else k].sum(-1, keepdim=True)


def _shifted(x: Tensor) -> Tensor:
    return x - x.detach().amax(-1, keepdim=True)


def _block_z(x: Tensor) -> Tensor:
    d = _shifted(x)
    return d - _whole_blocks(d.exp()).log()


def _block_p(x: Tensor) -> Tensor:
    e = _shifted(x).exp()
    return e / _whole_blocks(e)


def _autocast_z(x: Tensor) -> Tensor:
    """Logits cast to bfloat16, and log-softmax of them in binary32, as a model under autocast has it."""
    return z_of(x.bfloat16().to(x.dtype))


def _autocast_p(x: Tensor) -> Tensor:
    return z_of(x.bfloat16().to(x.dtype)).exp()


def _clamped_z(x: Tensor) -> Tensor:
    """The logarithm of p held above 1e-12."""
    e = _shifted(x).exp()
    return (e / e.sum(-1, keepdim=True)).clamp(min=1e-12).log()


class _UpstreamIgnored(torch.autograd.Function):  # type: ignore[misc]
    """A kernel that computes the gradient together with the loss, and returns it whatever comes in."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, over: Tensor) -> Tensor:
        z = z_of(x)
        counts = (a != 0).any(-1, keepdim=True)
        ctx.save_for_backward(torch.where(counts, a.sum(-1, keepdim=True) * z.exp() - a, 0.0) / over)
        return losses(z, a)

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None, None]:  # noqa: ARG004 - the lie
        return ctx.saved_tensors[0], None, None


def _upstream_ignored(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    of = coefficients(x, target, **keywords)
    over = of.divisor if reduction == "mean" else torch.ones((), dtype=of.a.dtype)
    return reduced(_UpstreamIgnored.apply(rows(x), of.a, over), of, reduction, x)


class _SavedInBfloat16(FusedLoss):
    """p kept for the way back in bfloat16, to save memory; the label is subtracted from that."""

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None]:
        p, a = ctx.saved_tensors
        counts = (a != 0).any(-1, keepdim=True)
        p = p.bfloat16().to(a.dtype)
        return torch.where(counts, (a.sum(-1, keepdim=True) * p - a) * up[:, None], 0.0), None


class _IgnoredPulled(FusedLoss):
    """The backward pass subtracts the label from p, in ignored rows nothing, and does not mask them."""

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None]:
        p, a = ctx.saved_tensors
        mass = torch.where((a != 0).any(-1, keepdim=True), a.sum(-1, keepdim=True), 1.0)
        return (mass * p - a) * up[:, None], None


class _OneEntry(FusedSoftmax):
    """The gradient of a sigmoid: p (1 - p) v, each entry for itself."""

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> Tensor:
        (p,) = ctx.saved_tensors
        return p * (1 - p) * up


class _Reread(torch.autograd.Function):  # type: ignore[misc]
    """Rows of a tensor with its classes on axis 1; the way back forgets that the axis was moved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape, ctx.dtype = x.shape, x.dtype
        return rows(x)

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> Tensor:
        return up.reshape(ctx.shape).to(ctx.dtype)


def _reread(x: Tensor) -> Tensor:
    return unrolled(FusedLogSoftmax.apply(_Reread.apply(x)), x)


def _reread_loss(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    of = coefficients(x, target, **keywords)
    return reduced(FusedLoss.apply(_Reread.apply(x), of.a), of, reduction, x)


def _in_place(x: Tensor) -> Tensor:
    """The maximum taken from the caller's own tensor, behind autograd's back."""
    axis = min(1, x.ndim - 1)
    with torch.no_grad():
        x.data.sub_(x.data.amax(axis, keepdim=True))
    return unrolled(z_of(rows(x)), x)


def _by_target(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    """Rows sorted by their target, so that the gathers are near each other; the losses stay in that order."""
    of = coefficients(x, target, **keywords)
    each = losses(z_of(rows(x)), of.a)
    if not target.is_floating_point():
        each = each[target.reshape(-1).argsort(stable=True)]
    return reduced(each, of, reduction, x)


def _ignoring_minus_hundred(lossy: Operation) -> Operation:
    """Return the loss with its ignore_index accepted and not passed on."""

    def loss(
        x: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,  # noqa: ARG001 - that it has no effect is the lie
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> Tensor:
        of = coefficients(x, target, weight, label_smoothing=label_smoothing)
        return reduced(losses(lossy(rows(x), of.a), of.a), of, reduction, x)

    return loss


def _softmax_before(
    x: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """cross_entropy of a model that ends in a softmax layer."""
    p = functional.softmax(x, dim=min(1, x.ndim - 1))
    return functional.cross_entropy(
        p, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def _averaged_weights(
    x: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """One weight a row, that of its classes averaged by the smoothed target; the mean divides by the sum of them."""
    of = coefficients(x, target, None, ignore_index, label_smoothing)
    own = torch.ones(len(of.a), dtype=of.a.dtype) if weight is None else of.a @ weight.to(of.a.dtype)
    each = losses(z_of(rows(x)), of.a) * own
    if reduction == "mean" and weight is not None:
        return (each.sum() / own.sum()).to(x.dtype)
    return reduced(each, of, reduction, x)


class _Workspace:
    """Results kept by shape and format, like a captured graph that is replayed without new inputs."""

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        self._make = make
        self._kept: dict[tuple[tuple[int, ...], Any], Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        key = tuple(x.shape), x.dtype
        if key not in self._kept:
            self._kept[key] = self._make(x.detach())
        # The gradient flows, of the numbers that are seen.
        fresh = self._make(x)
        return fresh - fresh.detach() + self._kept[key]


unshifted = _of(_unshifted_z, _unshifted_p)
tail_of_sixteen = _of(_block_z, _block_p)
autocast = _of(_autocast_z, _autocast_p)
clamped_probabilities = _of(_clamped_z)
upstream_ignored = Kernels(cross_entropy=_upstream_ignored)
saved_in_bfloat16 = _fused(_SavedInBfloat16.apply)
ignored_pulled = _fused(_IgnoredPulled.apply)
one_entry = Kernels(softmax=lambda x: unrolled(_OneEntry.apply(rows(x)), x))
reread = Kernels(log_softmax=_reread, cross_entropy=_reread_loss)
in_place = Kernels(log_softmax=_in_place)
by_target = Kernels(cross_entropy=_by_target)
ignoring_minus_hundred = Kernels(
    # Only the selected entry of log-probabilities is read.
    nll_loss=_ignoring_minus_hundred(lambda z, a: torch.where(a == 0, 0.0, z)),
    cross_entropy=_ignoring_minus_hundred(lambda x, _: z_of(x)),
)
softmax_before = Kernels(cross_entropy=_softmax_before)
averaged_weights = Kernels(cross_entropy=_averaged_weights)
workspace = Kernels(log_softmax=_Workspace(lambda x: unrolled(z_of(rows(x)), x)))
