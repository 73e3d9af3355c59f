"""A cross-entropy for JAX with its gradient by hand, under the suite: `pytest examples/test_jax_custom_vjp.py`."""

import jax
import jax.numpy as jnp

import lossparity


@jax.custom_vjp
def row_losses(x, q):
    """The losses of rows, classes last; `q` are the coefficients of the classes."""
    return forward(x, q)[0]


def forward(x, q):
    d = x - x.max(-1, keepdims=True)
    z = d - jnp.log(jnp.exp(d).sum(-1, keepdims=True))
    # A class that does not count adds 0, also where it is masked with -inf.
    return -jnp.where(q == 0, 0, q * z).sum(-1), (jnp.exp(z), q)


def backward(kept, upstream):
    p, q = kept
    return upstream[..., None] * (q.sum(-1, keepdims=True) * p - q), None


row_losses.defvjp(forward, backward)


@lossparity.conforms(framework="jax")
def cross_entropy(logits, target, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    axis = min(1, logits.ndim - 1)
    x = jnp.moveaxis(logits, axis, -1)
    x = x.astype(jnp.float32) if x.itemsize < 4 else x  # 16 bits are for storage
    classes = x.shape[-1]
    w = jnp.ones(classes, x.dtype) if weight is None else weight.astype(x.dtype)
    if jnp.issubdtype(target.dtype, jnp.integer):
        counts = target != ignore_index
        onehot = jax.nn.one_hot(target, classes, dtype=x.dtype)
        divisor = jnp.where(counts, (w * onehot).sum(-1), 0).sum()
        # An index outside of the classes cannot raise where this is compiled, and must not pass for one of them.
        outside = counts & ((target < 0) | (target >= classes))
    else:
        counts, outside = jnp.ones(x.shape[:-1], bool), False
        onehot = jnp.moveaxis(target, axis, -1).astype(x.dtype)
        divisor = counts.size
    q = w * ((1 - label_smoothing) * onehot + label_smoothing / classes)
    losses = jnp.where(outside, jnp.nan, row_losses(x, jnp.where(counts[..., None], q, 0)))
    if reduction == "none":
        return losses.astype(logits.dtype)
    if reduction == "sum":
        return losses.sum().astype(logits.dtype)
    # A mean over nothing is NaN, also where the smoothing leaves something above it.
    return (losses.sum() / jnp.where(divisor == 0, jnp.nan, divisor)).astype(logits.dtype)
