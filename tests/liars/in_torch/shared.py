"""What the PyTorch ones share: rows, coefficients, the reduction, and a table of operations.

Inside, rows are flat, (R, K), and 16-bit formats are binary32. Nothing is imported from lossparity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Coefficients", "Kernels", "coefficients", "losses", "reduced", "rows", "unrolled", "z_of"]

Tensor = Any
Operation = Callable[..., Tensor]


@dataclass(frozen=True)
class Kernels:
    """The operations that somebody wrote."""

    softmax: Operation | None = None
    log_softmax: Operation | None = None
    nll_loss: Operation | None = None
    cross_entropy: Operation | None = None


def rows(x: Tensor) -> Tensor:
    """Return the rows (R, K) of a tensor whose classes are on axis 1, or 0 of one axis; 16 bits become binary32."""
    last = x.movedim(min(1, x.ndim - 1), -1)
    return last.reshape(-1, last.shape[-1]).to(torch.float32 if x.dtype.itemsize == 2 else x.dtype)


def unrolled(found: Tensor, like: Tensor) -> Tensor:
    """Return rows in the shape and the format of the tensor that they came from."""
    axis = min(1, like.ndim - 1)
    last = like.movedim(axis, -1)
    return found.reshape(last.shape).movedim(-1, axis).to(like.dtype)


def z_of(x: Tensor) -> Tensor:
    """Return log-softmax of rows."""
    d = x - x.detach().amax(-1, keepdim=True)
    return d - d.exp().sum(-1, keepdim=True).log()


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The loss of a row is -sum_c a_c z_c; `divisor` is the mean's, and `shape` that of the unreduced losses."""

    a: Tensor
    divisor: Tensor
    shape: tuple[int, ...]


def coefficients(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Coefficients:
    """Return the coefficients of a loss of logits or log-probabilities, (R, K); IndexError for a class that is none."""
    wide, e = rows(x), label_smoothing
    k = wide.shape[-1]
    w = torch.ones(k, dtype=wide.dtype) if weight is None else weight.to(wide.dtype)
    if target.is_floating_point():
        # A count may be beyond the range of a 16-bit format: it is kept wide, as the rows are.
        count = torch.tensor(float(len(wide)), dtype=wide.dtype)
        return Coefficients(w * ((1 - e) * rows(target) + e / k), count, _without_classes(x))
    y = target.reshape(-1).to(torch.int64)
    valid = y != ignore_index
    if bool((valid & ((y < 0) | (y >= k))).any()):
        raise IndexError(f"a target is outside [0, {k})")
    y = torch.where(valid, y, 0)
    w_y = torch.where(valid, w[y], 0.0)
    a = torch.where(valid[:, None], (e / k) * w, 0.0).scatter_add(1, y[:, None], ((1 - e) * w_y)[:, None])
    return Coefficients(a, w_y.sum(), tuple(target.shape))


def _without_classes(x: Tensor) -> tuple[int, ...]:
    axis = min(1, x.ndim - 1)
    return tuple(n for i, n in enumerate(x.shape) if i != axis)


def losses(z: Tensor, a: Tensor) -> Tensor:
    """Return -sum_c a_c z_c of rows; a row without coefficients is not read, and 0 times infinity is 0."""
    z = torch.where((a != 0).any(-1, keepdim=True), z, 0.0)
    return torch.where((a == 0) & z.isinf(), 0.0, a * -z).sum(-1)


def reduced(each: Tensor, of: Coefficients, reduction: str, like: Tensor) -> Tensor:
    """Return the losses, their sum, or their mean, in the format of the logits."""
    if reduction == "none":
        return each.reshape(of.shape).to(like.dtype)
    total = each.sum()
    # Over nothing the mean is NaN, whatever smoothing has left above the divisor (N3).
    mean = torch.where(of.divisor == 0, torch.nan, total / of.divisor)
    return (mean if reduction == "mean" else total).to(like.dtype)
