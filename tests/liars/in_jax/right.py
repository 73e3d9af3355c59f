"""Right by other means, in JAX: a scan over classes, a row at a time under vmap, a gradient of one's own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from liars.in_jax.shared import Kernels, Tensor, closed, coefficients, losses, opened, reduced, z_of

__all__ = ["library", "mapped", "scanned"]


def _step(carried: tuple[Tensor, Tensor], block: Tensor) -> tuple[tuple[Tensor, Tensor], None]:
    m, s = carried
    higher = jnp.maximum(m, lax.stop_gradient(jnp.max(block, axis=-1)))
    # While every class so far is masked there is no maximum to shift by.
    by = jnp.where(jnp.isneginf(higher), 0, higher)
    s = s * jnp.exp(m - by) + jnp.sum(jnp.exp(block - by[..., None]), axis=-1)
    return (higher, s), None


def _scanned_z(x: Tensor) -> Tensor:
    """One pass over blocks of classes with a running maximum, to which the sum so far is rescaled."""
    k = x.shape[-1]
    width = -(-k // 8)
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -k % width)], constant_values=-jnp.inf)
    blocks = jnp.moveaxis(padded.reshape(*x.shape[:-1], -1, width), -2, 0)
    start = jnp.full(x.shape[:-1], -jnp.inf, x.dtype), jnp.zeros(x.shape[:-1], x.dtype)
    (m, s), _ = lax.scan(_step, start, blocks)
    return (x - m[..., None]) - jnp.log(s)[..., None]


def _scanned(x: Tensor) -> Tensor:
    return closed(_scanned_z(opened(x)), x)


def _scanned_loss(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    wide = opened(x)
    of = coefficients(wide, target, **keywords)
    return reduced(losses(_scanned_z(wide), of.a), of.divisor, reduction, x)


def _row(x: Tensor, a: Tensor) -> Tensor:
    return losses(z_of(x), a)


def _row_forth(x: Tensor, a: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    z = z_of(x)
    return losses(z, a), (z, a)


def _row_back(kept: tuple[Tensor, Tensor], up: Tensor) -> tuple[Tensor, None]:
    z, a = kept
    return jnp.where(jnp.any(a != 0), (jnp.sum(a) * jnp.exp(z) - a) * up, 0), None


_one = jax.custom_vjp(_row)
_one.defvjp(_row_forth, _row_back)


def _mapped(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    """A loss of one row with a gradient of its own, under vmap for every axis but the classes'."""
    wide = opened(x)
    of = coefficients(wide, target, **keywords)
    row = _one
    for _ in wide.shape[:-1]:
        row = jax.vmap(row)
    return reduced(row(wide, of.a), of.divisor, reduction, x)


def _library_p(x: Tensor) -> Tensor:
    return closed(jax.nn.softmax(opened(x), axis=-1), x)


def _library_z(x: Tensor) -> Tensor:
    """The shifted logits less logsumexp of them; nothing of log S is lost where the logits are large."""
    wide = opened(x)
    d = wide - jnp.max(wide, axis=-1, keepdims=True)
    return closed(d - jax.nn.logsumexp(d, axis=-1, keepdims=True), x)


def _library_loss(
    x: Tensor, target: Tensor, *, label_smoothing: float = 0.0, reduction: str = "mean", **keywords: Any
) -> Tensor:
    """The target's entry by a gather where nothing is smoothed, else the sum over the classes."""
    wide = opened(x)
    of = coefficients(wide, target, label_smoothing=label_smoothing, **keywords)
    z = jax.nn.log_softmax(wide, axis=-1)
    if label_smoothing or jnp.issubdtype(target.dtype, jnp.floating):
        return reduced(losses(z, of.a), of.divisor, reduction, x)
    y = jnp.clip(target, 0, wide.shape[-1] - 1)[..., None]  # what is outside is ignored here, and has no coefficient
    a_y, z_y = (jnp.take_along_axis(of_row, y, axis=-1)[..., 0] for of_row in (of.a, z))
    return reduced(jnp.where(a_y == 0, 0, a_y * -z_y), of.divisor, reduction, x)


scanned = Kernels(log_softmax=_scanned, cross_entropy=_scanned_loss)
mapped = Kernels(cross_entropy=_mapped)
library = Kernels(_library_p, _library_z, None, _library_loss)
