"""What the JAX ones share: the class axis at the end, coefficients, the reduction, and a table of operations.

Inside, the class axis is the last one and 16-bit formats are binary32. Nothing is imported from lossparity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax

__all__ = ["Coefficients", "Kernels", "closed", "coefficients", "losses", "opened", "reduced", "shifted", "z_of"]

Tensor = Any
Operation = Callable[..., Tensor]


@dataclass(frozen=True)
class Kernels:
    """The operations that somebody wrote."""

    softmax: Operation | None = None
    log_softmax: Operation | None = None
    nll_loss: Operation | None = None
    cross_entropy: Operation | None = None


def opened(x: Tensor) -> Tensor:
    """Bring the class axis, 1 or the only one, to the end, and 16-bit formats to binary32."""
    wide = x.astype(jnp.float32) if x.dtype.itemsize == 2 else x
    return jnp.moveaxis(wide, min(1, x.ndim - 1), -1) if x.ndim > 2 else wide


def closed(found: Tensor, like: Tensor) -> Tensor:
    """Bring the class axis back, and the numbers to the format of `like`."""
    return (jnp.moveaxis(found, -1, 1) if like.ndim > 2 else found).astype(like.dtype)


def shifted(x: Tensor) -> Tensor:
    return x - lax.stop_gradient(jnp.max(x, axis=-1, keepdims=True))


def z_of(x: Tensor) -> Tensor:
    """Return log-softmax over the last axis."""
    d = shifted(x)
    return d - jnp.log(jnp.sum(jnp.exp(d), axis=-1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The loss of a row is -sum_c a_c z_c, and `divisor` is the mean's."""

    a: Tensor
    divisor: Tensor


def coefficients(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Coefficients:
    """Return the coefficients for opened logits or log-probabilities; IndexError for a class that is none."""
    k, e = x.shape[-1], label_smoothing
    w = jnp.ones(k, x.dtype) if weight is None else weight.astype(x.dtype)
    if jnp.issubdtype(target.dtype, jnp.floating):
        return Coefficients(w * ((1 - e) * opened(target) + e / k), jnp.asarray(x.size // k, x.dtype))
    valid = target != ignore_index
    if bool(jnp.any(valid & ((target < 0) | (target >= k)))):
        raise IndexError(f"a target is outside [0, {k})")
    own = (jnp.arange(k) == target[..., None]) & valid[..., None]
    a = jnp.where(valid[..., None], (e / k) * w, 0) + jnp.where(own, (1 - e) * w, 0)
    return Coefficients(a, jnp.sum(jnp.where(own, w, 0)))


def losses(z: Tensor, a: Tensor) -> Tensor:
    """Return -sum_c a_c z_c; what has no coefficient is not read: a NaN logit makes all z of its row NaN."""
    z = jnp.where(jnp.any(a != 0, axis=-1, keepdims=True), z, 0)
    return jnp.sum(jnp.where(a == 0, 0, a * -z), axis=-1)


def reduced(each: Tensor, divisor: Tensor, reduction: str, like: Tensor) -> Tensor:
    """Return the losses, their sum, or their mean, in the format of the logits."""
    total = each if reduction == "none" else jnp.sum(each)
    # Over nothing the mean is NaN, whatever smoothing has left above the divisor (N3).
    return (jnp.where(divisor == 0, jnp.nan, total / divisor) if reduction == "mean" else total).astype(like.dtype)
