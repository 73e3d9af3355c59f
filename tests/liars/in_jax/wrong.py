"""Wrong on purpose, in JAX: gathers and one-hot rows that check nothing, defaults, and products where `where` belongs.

JAX derives the gradient, so that most of these are wrong in value and gradient alike.
"""

from __future__ import annotations

from collections.abc import Callable
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

Each = Callable[[Tensor, Coefficients], Tensor]


def _honest(z: Tensor, of: Coefficients) -> Tensor:
    return losses(z, of.a)


def _loss(z: Operation = z_of, each: Each = _honest) -> Operation:
    """Return a cross-entropy of a log-softmax, and of the losses from it."""

    def cross_entropy(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
        wide = opened(x)
        of = coefficients(wide, target, **keywords)
        return reduced(each(z(wide), of), of.divisor, reduction, x)

    return cross_entropy


def _row_wise(function: Operation) -> Operation:
    return lambda x: closed(function(opened(x)), x)


def _of(d: Operation, exponentials: Operation = jnp.exp) -> Kernels:
    """Put together what follows from how logits are shifted, and from the exponential function."""

    def p(x: Tensor) -> Tensor:
        e = exponentials(d(x))
        return e / jnp.sum(e, axis=-1, keepdims=True)

    def z(x: Tensor) -> Tensor:
        return d(x) - jnp.log(jnp.sum(exponentials(d(x)), axis=-1, keepdims=True))

    return Kernels(_row_wise(p), _row_wise(z), None, _loss(z))


def _less_the_largest(x: Tensor) -> Tensor:
    """The maximum without its axis: one for all rows."""
    return x - lax.stop_gradient(jnp.max(x))


def _exp2(d: Tensor) -> Tensor:
    """2 to the power of d log2 e, a product that a tensor core rounds to 11 bits."""
    return jnp.exp2((d * jnp.log2(jnp.e)).astype(jnp.float16).astype(d.dtype))


def _detached_p(x: Tensor) -> Tensor:
    """The stop_gradient of the maximum, one bracket too far."""
    return closed(lax.stop_gradient(jax.nn.softmax(opened(x), axis=-1)), x)


def _detached_z(x: Tensor) -> Tensor:
    return closed(lax.stop_gradient(z_of(opened(x))), x)


def _bits_z(x: Tensor) -> Tensor:
    """Logarithms to base 2."""
    return z_of(x) / jnp.log(2.0).astype(x.dtype)


def _multiplied(z: Tensor, of: Coefficients) -> Tensor:
    """The coefficients times z, also where the one is 0 and the other infinite."""
    counts = jnp.any(of.a != 0, axis=-1)
    return jnp.where(counts, jnp.sum(of.a * -jnp.where(counts[..., None], z, 0), axis=-1), 0)


def _masked_by_product(z: Tensor, of: Coefficients) -> Tensor:
    """The losses of all rows, times 0 where a row is ignored; a product with a bool would be a choice, says XLA."""
    counts = jnp.any(of.a != 0, axis=-1)
    own = jnp.where((of.a == 0) & ~jnp.isnan(z), 0, of.a * -z)
    return jnp.sum(own, axis=-1) * counts.astype(z.dtype)


def _default_axis_z(x: Tensor) -> Tensor:
    """jax.nn.log_softmax with the axis that it takes when none is given."""
    wide = x.astype(jnp.float32) if x.dtype.itemsize == 2 else x
    return jax.nn.log_softmax(wide).astype(x.dtype)


def _in_float32_p(x: Tensor) -> Tensor:
    """What JAX makes of 64 bits where nobody enabled them."""
    return closed(jax.nn.softmax(opened(x.astype(jnp.float32)), axis=-1), x)


def _in_float32_z(x: Tensor) -> Tensor:
    return closed(z_of(opened(x.astype(jnp.float32))), x)


def _from_log_probs(loss: Callable[..., Tensor]) -> Kernels:
    """Put together the two losses by index of a function of opened log-probabilities."""

    def nll_loss(x: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        return loss(opened(x), target, **keywords).astype(x.dtype)

    def cross_entropy(x: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        if jnp.issubdtype(target.dtype, jnp.floating):
            raise NotImplementedError("class indices only")
        return loss(z_of(opened(x)), target, **keywords).astype(x.dtype)

    return Kernels(nll_loss=nll_loss, cross_entropy=cross_entropy)


def _unchecked(
    z: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """jax.nn.one_hot, whose rows are zeros outside [0, K)."""
    k = z.shape[-1]
    w = jnp.ones(k, z.dtype) if weight is None else weight.astype(z.dtype)
    valid = (target != ignore_index)[..., None]
    own = jnp.where(valid, jax.nn.one_hot(target, k, dtype=z.dtype), 0)
    smooth = jnp.any(own != 0, axis=-1, keepdims=True) * (label_smoothing / k)
    each = losses(z, (own * (1 - label_smoothing) + smooth) * w)
    return reduced(each, jnp.sum(jnp.where(valid, own * w, 0)), reduction, z)


def _clipping(
    z: Tensor,
    target: Tensor,
    *,
    ignore_index: int = -100,
    **keywords: Any,
) -> Tensor:
    """A gather with mode="clip", which takes the nearest class for one that is none."""
    nearest = jnp.where(target == ignore_index, ignore_index, jnp.clip(target, 0, z.shape[-1] - 1))
    reduction = keywords.pop("reduction", "mean")
    of = coefficients(z, nearest, ignore_index=ignore_index, **keywords)
    return reduced(losses(z, of.a), of.divisor, reduction, z)


def _wmt(
    x: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    ignore_index: int = -100,
) -> Tensor:
    """The loss of flax's translation example: e / (K - 1) on the other classes, less the entropy of that target."""
    if jnp.issubdtype(target.dtype, jnp.floating):
        raise NotImplementedError("class indices only")
    wide = opened(x)
    of = coefficients(wide, target, ignore_index=ignore_index)
    k = wide.shape[-1]
    low, counts = label_smoothing / max(k - 1, 1), jnp.any(of.a != 0, axis=-1, keepdims=True)
    soft = jnp.where(of.a != 0, 1 - label_smoothing, jnp.where(counts, low, 0))
    entropy = jnp.sum(jnp.where(soft > 0, soft * jnp.log(jnp.where(soft > 0, soft, 1)), 0), axis=-1)
    return reduced(losses(z_of(wide), soft) + entropy, of.divisor, reduction, x)


def _mean_of_all(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    """jnp.mean over losses of which the ignored are 0."""
    wide = opened(x)
    each = losses(z_of(wide), coefficients(wide, target, **keywords).a)
    return (jnp.mean(each) if reduction == "mean" else reduced(each, each, reduction, x)).astype(x.dtype)


def _forth(x: Tensor, a: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    z = z_of(x)
    return losses(z, a), (jnp.exp(z), a)


def _uphill(kept: tuple[Tensor, Tensor], up: Tensor) -> tuple[Tensor, None]:
    """a - p: the gradient of the likelihood, not of the loss."""
    p, a = kept
    counts = jnp.any(a != 0, axis=-1, keepdims=True)
    return jnp.where(counts, (a - jnp.sum(a, axis=-1, keepdims=True) * p) * up[..., None], 0), None


_ascending = jax.custom_vjp(lambda x, a: losses(z_of(x), a))
_ascending.defvjp(_forth, _uphill)


def _ascent(x: Tensor, target: Tensor, *, reduction: str = "mean", **keywords: Any) -> Tensor:
    wide = opened(x)
    of = coefficients(wide, target, **keywords)
    return reduced(_ascending(wide, of.a), of.divisor, reduction, x)


one_maximum = _of(_less_the_largest)
exp2_in_half = _of(shifted, _exp2)
detached = Kernels(_detached_p, _detached_z)
bits = Kernels(None, _row_wise(_bits_z), None, _loss(_bits_z))
multiplied = Kernels(cross_entropy=_loss(each=_multiplied))
masked_by_product = Kernels(cross_entropy=_loss(each=_masked_by_product))
default_axis = Kernels(None, _default_axis_z)
in_float32 = Kernels(_in_float32_p, _in_float32_z)
unchecked = _from_log_probs(_unchecked)
clipping = _from_log_probs(_clipping)
wmt = Kernels(cross_entropy=_wmt)
mean_of_all = Kernels(cross_entropy=_mean_of_all)
ascent = Kernels(cross_entropy=_ascent)
