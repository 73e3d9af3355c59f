"""Wrong on purpose, in JAX: more of scans, of `where`, and of gradients of one's own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from liars.in_jax.shared import (
    Coefficients,
    Kernels,
    Operation,
    Tensor,
    closed,
    coefficients,
    losses,
    opened,
    reduced,
    shifted,
    z_of,
)


def _loss(each: Any) -> Kernels:
    """Put together the loss of a function of opened logits and their coefficients."""

    def cross_entropy(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
        wide = opened(x)
        of = coefficients(wide, target, **keywords)
        return reduced(each(wide, of), of.divisor, reduction, x)

    return Kernels(cross_entropy=cross_entropy)


def _row_wise(function: Operation) -> Operation:
    return lambda x: closed(function(opened(x)), x)


def _whole_blocks_z(x: Tensor) -> Tensor:
    """A scan over blocks of 8 classes, for which a row is cut to a whole number of them."""
    d, k = shifted(x), x.shape[-1]
    if k < 8:
        return z_of(x)
    blocks = jnp.moveaxis(d[..., : k - k % 8].reshape(*d.shape[:-1], -1, 8), -2, 0)
    total, _ = lax.scan(lambda s, b: (s + jnp.sum(jnp.exp(b), axis=-1), None), jnp.zeros(d.shape[:-1], d.dtype), blocks)
    return d - jnp.log(total)[..., None]


def _clipped_z(x: Tensor) -> Tensor:
    """Logits clipped to [-50, 50]: no gradient beyond."""
    return z_of(jnp.clip(x, -50, 50))


def _over_rows(x: Tensor) -> Tensor:
    """vmap over the classes, where the rows were meant: each column is normalised."""
    if x.ndim < 2:
        return jax.nn.softmax(x)
    return jax.vmap(jax.nn.softmax, in_axes=1, out_axes=1)(x)


def _masked_after(x: Tensor) -> Tensor:
    """`where` after the logarithm of p: the value is right, and the gradient of what is masked is 0 times infinity.

    jax-ml/jax#17117 and #23842 are of the kind.
    """
    p = jax.nn.softmax(x, axis=-1)
    return jnp.where(jnp.isneginf(x), -jnp.inf, jnp.where(p > 0, jnp.log(p), z_of(x)))


def _as_first_class(x: Tensor, target: Tensor, *, ignore_index: int = -100, **keywords: Any) -> Tensor:
    """What is ignored becomes class 0, so that the gather is safe, and is not masked afterwards."""
    reduction = keywords.pop("reduction", "mean")
    wide = opened(x)
    if not jnp.issubdtype(target.dtype, jnp.floating):
        target = jnp.where(target == ignore_index, 0, target).astype(jnp.int64)
    # No target is ignored any more.
    of: Coefficients = coefficients(wide, target, ignore_index=-(2**31), **keywords)
    return reduced(losses(z_of(wide), of.a), of.divisor, reduction, x)


def _forth(x: Tensor, a: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    z = z_of(x)
    return losses(z, a), (jnp.exp(z), a)


def _back_by_sum(kept: tuple[Tensor, Tensor], up: Tensor) -> tuple[Tensor, None]:
    """The upstream gradient added up over the rows, as if the loss were one number."""
    p, a = kept
    counts = jnp.any(a != 0, axis=-1, keepdims=True)
    return jnp.where(counts, (jnp.sum(a, axis=-1, keepdims=True) * p - a) * jnp.sum(up) / up.size, 0), None


_summing = jax.custom_vjp(lambda x, a: losses(z_of(x), a))
_summing.defvjp(_forth, _back_by_sum)


def _focal(x: Tensor, of: Coefficients) -> Tensor:
    """Each term times (1 - p)^2: hard examples first."""
    z = z_of(x)
    return losses(z, of.a * (1 - jnp.exp(jnp.where(jnp.isnan(z), 0, z))) ** 2)


def _normalised_weights(x: Tensor, target: Tensor, *, weight: Tensor | None = None, **keywords: Any) -> Tensor:
    """Weights divided by their sum, as if they were a distribution; the mean does not show it."""
    reduction = keywords.pop("reduction", "mean")
    wide = opened(x)
    w = None if weight is None else weight.astype(wide.dtype) / jnp.sum(weight.astype(wide.dtype))
    of = coefficients(wide, target, weight=w, **keywords)
    return reduced(losses(z_of(wide), of.a), of.divisor, reduction, x)


whole_blocks = Kernels(log_softmax=_row_wise(_whole_blocks_z))
clipped_logits = Kernels(log_softmax=_row_wise(_clipped_z))
over_rows = Kernels(softmax=_row_wise(_over_rows))
masked_after = Kernels(log_softmax=_row_wise(_masked_after))
as_first_class = Kernels(cross_entropy=_as_first_class)
summed_upstream = _loss(lambda x, of: _summing(x, of.a))
focal = _loss(_focal)
normalised_weights = Kernels(cross_entropy=_normalised_weights)
