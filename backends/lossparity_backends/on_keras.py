"""Keras, whatever it runs on: its public functions and losses, as its users call them.

What Keras runs on is read once, when it is imported: import this module after the one that says so (`on_keras_jax`,
`on_keras_tensorflow`, `on_keras_torch`). The losses are the objects that a model is compiled with. Left alone they
compute in `floatx`, which is binary32: 16-bit logits are widened, and the result is binary32. That is how a
mixed-precision model computes its loss, and it is left alone; only binary64 logits are given a loss of their format,
since else they would be narrowed. (A loss made with `dtype="bfloat16"` rounds the class indices as well: 257 to 256.)

Keras has no negative log-likelihood of log-probabilities, and its losses have no class weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Optional

import keras

from lossparity.framework import COMPOSED, NATIVE, Entry, Implementation, Phrases, Unsupported
from lossparity.model import Request
from lossparity_backends.calls import ignores, index_target
from lossparity_backends.library import Library

__all__ = ["OnKeras"]

Tensor = Any

if not hasattr(keras, "ops"):
    raise Unsupported(f"Keras {keras.__version__} has no keras.ops: Keras 3 is judged")

_REDUCTIONS = {"none": "none", "sum": "sum", "mean": "sum_over_batch_size"}


def _axis(x: Tensor) -> int:
    return min(1, len(x.shape) - 1)


def _dtype(x: Tensor) -> Optional[str]:
    return "float64" if keras.backend.standardize_dtype(x.dtype) == "float64" else None


def _softmax(x: Tensor) -> Tensor:
    return keras.ops.softmax(x, axis=_axis(x))


def _log_softmax(x: Tensor) -> Tensor:
    return keras.ops.log_softmax(x, axis=_axis(x))


def _one_hot(x: Tensor, target: Tensor) -> Tensor:
    return keras.ops.one_hot(target, x.shape[_axis(x)], axis=_axis(x), dtype=keras.backend.standardize_dtype(x.dtype))


def _sparse(
    x: Tensor,
    target: Tensor,
    ignore_index: Optional[int] = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    del label_smoothing  # `_has_sparse` lets only 0 through
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=ignore_index, reduction=_REDUCTIONS[reduction], axis=_axis(x), dtype=_dtype(x)
    )
    return loss(target, x)


def _sparse_by_default(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    return _sparse(x, target, -100, label_smoothing, reduction)


def _dense(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True,
        label_smoothing=label_smoothing,
        axis=_axis(x),
        reduction=_REDUCTIONS[reduction],
        dtype=_dtype(x),
    )
    return loss(target, x)


def _smoothed(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    k = x.shape[_axis(x)]
    # The one-hot row of an index out of range is all zeros, and after smoothing a row like any other.
    if bool(keras.ops.any(keras.ops.logical_or(target < 0, target >= k))):
        raise IndexError(f"a target is outside [0, {k})")
    return _dense(x, _one_hot(x, target), label_smoothing, reduction)


def _has_loss(request: Request) -> bool:
    """Raise Unsupported for what no loss of Keras has."""
    if "weight" in request.arrays:
        raise Unsupported("the losses of Keras have no class weights")
    if len(request.arrays["logits"].shape) < 2:
        raise Unsupported("the losses of Keras take a batch")
    return True


def _has_sparse(request: Request) -> bool:
    """Whether a loss of class indices without smoothing is asked for, which Keras has."""
    if not (_has_loss(request) and index_target(request)) or request.keywords.get("label_smoothing", 0.0):
        return False
    if len(request.arrays["logits"].shape) > 2 and keras.backend.backend() == "tensorflow":
        raise Unsupported("Keras takes class indices on TensorFlow only where the classes are on the last axis")
    return True


def _relies_on_default(request: Request) -> bool:
    """Whether -100 is to be ignored although nothing says so; Keras ignores no class unless it is told."""
    return "ignore_index" not in request.keywords and ignores(request) and _has_sparse(request)


def _has_smoothing(request: Request) -> bool:
    """Whether smoothed class indices are asked for, which Keras has after one_hot."""
    if not (_has_loss(request) and index_target(request)):
        return False
    if ignores(request):
        raise Unsupported("Keras has no loss that both smooths and ignores")
    if len(request.arrays["logits"].shape) > 2:
        raise Unsupported("Keras smooths by the size of the last axis, wherever the classes are")
    return True


def _has_dense(request: Request) -> bool:
    """Whether target probabilities are asked for; the loss for them ignores nothing."""
    return _has_loss(request) and not index_target(request) and "ignore_index" not in request.keywords


_LIBRARY: Implementation = {
    "softmax": (Entry(_softmax, "keras.ops.softmax", NATIVE),),
    "log_softmax": (Entry(_log_softmax, "keras.ops.log_softmax", NATIVE),),
    "cross_entropy": (
        Entry(_sparse_by_default, "keras.losses.SparseCategoricalCrossentropy", NATIVE, _relies_on_default),
        Entry(_sparse, "keras.losses.SparseCategoricalCrossentropy", NATIVE, _has_sparse),
        Entry(_dense, "keras.losses.CategoricalCrossentropy", NATIVE, _has_dense),
        Entry(_smoothed, "keras.ops.one_hot, keras.losses.CategoricalCrossentropy", COMPOSED, _has_smoothing),
    ),
    "one_hot": (Entry(_one_hot, "keras.ops.one_hot", NATIVE),),
    "exp": (Entry(keras.ops.exp, "keras.ops.exp", NATIVE),),
}


class OnKeras(Library):
    """What an adapter of Keras adds to that of the framework it runs on, which is its last base."""

    library = "keras"
    version = keras.__version__
    imported = "import keras"
    functions = _LIBRARY

    def pin(self) -> Mapping[str, str]:
        """Fix what the framework has to fix, and what the user's own `keras.json` may say otherwise."""
        keras.config.set_floatx("float32")
        return {**super().pin(), "floatx": "float32"}

    def environment(self) -> tuple[str, ...]:
        """Return the lines of a script that say what Keras runs on; they come before its import."""
        return (f'os.environ["KERAS_BACKEND"] = "{keras.backend.backend()}"',)

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        own = super().phrases
        return replace(
            own,
            imports=("import os", *self.environment(), *own.imports),
            settings=(*own.settings, 'keras.config.set_floatx("float32")'),
        )
