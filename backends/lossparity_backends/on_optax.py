"""Optax on JAX: its two softmax cross-entropies, and what its users compose of them: smoothing, mean and sum.

`safe_softmax_cross_entropy` is not asked: it differs from `softmax_cross_entropy` in one point, a masked class without
target mass, and takes no axis. Optax has no class weights, no ignored index, and no softmax of its own.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from lossparity.framework import COMPOSED, NATIVE, Entry, Implementation, Unsupported
from lossparity.model import Request
from lossparity_backends.calls import ignores, index_target, plain_rows, probability_target
from lossparity_backends.library import Library
from lossparity_backends.on_jax import Jax, Tensor, axis_of, wide

__all__ = ["Optax"]


def _integer(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "none") -> Tensor:
    del label_smoothing, reduction  # `plain_rows` lets only their neutral values through
    return optax.softmax_cross_entropy_with_integer_labels(x, target, axis=axis_of(x))


def _soft(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "none") -> Tensor:
    del label_smoothing, reduction
    return optax.softmax_cross_entropy(x, target, axis=axis_of(x))


def _checked(target: Tensor, k: int) -> Tensor:
    """Return the indices; -1 is the last class to a gather, and no class to one_hot."""
    if bool(jnp.any((target < 0) | (target >= k))):
        raise IndexError(f"a target is outside [0, {k})")
    return target


def _reduced(losses: Tensor, reduction: str, like: Tensor) -> Tensor:
    own = wide(losses)
    total = {"none": lambda: own, "mean": lambda: jnp.mean(own), "sum": lambda: jnp.sum(own)}[reduction]()
    return total.astype(like.dtype)


def _integer_reduced(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    del label_smoothing  # only 0 gets here
    safe = _checked(target, x.shape[axis_of(x)])
    return _reduced(optax.softmax_cross_entropy_with_integer_labels(x, safe, axis=axis_of(x)), reduction, x)


def _smoothed(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    # smooth_labels counts the classes on the last axis.
    logits = jnp.moveaxis(x, axis_of(x), -1)
    if jnp.issubdtype(target.dtype, jnp.floating):
        q = wide(jnp.moveaxis(target, axis_of(x), -1))
    else:
        k = logits.shape[-1]
        q = jax.nn.one_hot(_checked(target, k), k, dtype=wide(logits[:0]).dtype)
    return _reduced(optax.softmax_cross_entropy(logits, optax.smooth_labels(q, label_smoothing)), reduction, x)


def _plain_integer(request: Request) -> bool:
    return plain_rows(request) and index_target(request)


def _plain_soft(request: Request) -> bool:
    return plain_rows(request) and probability_target(request)


def _composable(request: Request) -> bool:
    """Raise Unsupported for what cannot be composed of Optax's functions."""
    if "weight" in request.arrays:
        raise Unsupported("Optax has no class weights")
    if ignores(request):
        raise Unsupported("Optax has no ignored index")
    return True


def _unsmoothed_integer(request: Request) -> bool:
    return _composable(request) and index_target(request) and not request.keywords.get("label_smoothing", 0.0)


_LIBRARY: Implementation = {
    "cross_entropy": (
        Entry(_integer, "optax.softmax_cross_entropy_with_integer_labels", NATIVE, _plain_integer),
        Entry(_soft, "optax.softmax_cross_entropy", NATIVE, _plain_soft),
        Entry(
            _integer_reduced,
            "optax.softmax_cross_entropy_with_integer_labels, jax.numpy.mean or sum",
            COMPOSED,
            _unsmoothed_integer,
        ),
        Entry(
            _smoothed,
            "optax.smooth_labels, optax.softmax_cross_entropy, jax.numpy.mean or sum",
            COMPOSED,
            _composable,
        ),
    ),
}


class Optax(Library, Jax):
    """The Optax adapter, for the devices of JAX."""

    library = "optax"
    version = optax.__version__
    imported = "import optax"
    functions = _LIBRARY
