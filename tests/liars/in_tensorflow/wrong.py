"""Wrong on purpose, in TensorFlow: its own functions, called as people do who come from elsewhere.

Their classes are on the last axis, they know neither weights nor ignored rows, and what is around them is one's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Tensor = Any
Operation = Callable[..., Tensor]


@dataclass(frozen=True)
class Kernels:
    """The operations that somebody wrote."""

    softmax: Operation | None = None
    log_softmax: Operation | None = None
    nll_loss: Operation | None = None
    cross_entropy: Operation | None = None


def _opened(x: Tensor) -> Tensor:
    """Bring the class axis to the end, and 16-bit formats to binary32."""
    wide = tf.cast(x, tf.float32) if x.dtype.size == 2 else x
    n = len(x.shape)
    return tf.transpose(wide, [0, *range(2, n), 1]) if n > 2 else wide


def _z(x: Tensor) -> Tensor:
    d = x - tf.stop_gradient(tf.reduce_max(x, axis=-1, keepdims=True))
    return d - tf.math.log(tf.reduce_sum(tf.exp(d), axis=-1, keepdims=True))


def _losses(z: Tensor, a: Tensor) -> Tensor:
    """Return -sum_c a_c z_c; 0 times infinity is 0, and NaN stays NaN."""
    return tf.reduce_sum(tf.where((a == 0) & ~tf.math.is_nan(z), tf.zeros((), z.dtype), -a * z), axis=-1)


def _reduced(each: Tensor, divisor: Tensor, reduction: str, like: Tensor) -> Tensor:
    total = each if reduction == "none" else tf.reduce_sum(each)
    return tf.cast(total / divisor if reduction == "mean" else total, like.dtype)


def _one_hot_loss(
    x: Tensor, target: Tensor, *, ignore_index: int = -100, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """tf.one_hot, whose rows are zeros outside [0, K): such a loss is 0, and counts."""
    if target.dtype.is_floating:
        raise NotImplementedError("class indices only")
    z = _z(_opened(x))
    k, valid = z.shape[-1], target != ignore_index
    own = tf.one_hot(target, k, dtype=z.dtype) * (1 - label_smoothing)
    inside = (target >= 0) & (target < k)
    a = tf.where(valid[..., None], own + tf.where(inside[..., None], tf.constant(label_smoothing / k, z.dtype), 0), 0)
    terms = tf.where((a == 0) & ~(tf.math.is_nan(z) & valid[..., None]), tf.zeros((), z.dtype), -a * z)
    return _reduced(tf.reduce_sum(terms, axis=-1), tf.reduce_sum(tf.cast(valid, z.dtype)), reduction, x)


def _mean_of_all(x: Tensor, target: Tensor, *, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """tf.reduce_mean over losses of which the ignored are 0 (huggingface/transformers#15294 is of the kind)."""
    if target.dtype.is_floating:
        raise NotImplementedError("class indices only")
    z = _opened(x)
    valid = target != ignore_index
    safe = tf.where(valid[..., None], z, tf.zeros((), z.dtype))
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(valid, target, 0), safe)
    each = tf.where(valid, each, tf.zeros((), z.dtype))
    return _reduced(each, tf.cast(tf.size(each), z.dtype), reduction, x)


@tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
def _hard_wired_losses(x: Tensor, q: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, None]]]:
    z = _z(x)
    return _losses(z, q), lambda up: ((tf.exp(z) - q) * up[..., None], None)


def _hard_wired(x: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """The gradient p - q whatever q adds up to, as the library's own has it (tensorflow/tensorflow#60314)."""
    if not target.dtype.is_floating:
        raise NotImplementedError("probabilities only")
    each = _hard_wired_losses(_opened(x), _opened(target))
    return _reduced(each, tf.cast(tf.size(each), each.dtype), reduction, x)


def _smoothing_cast(x: Tensor, target: Tensor, *, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """tf.cast of a Python number, which is a tensor of binary32 before it is cast to binary64."""
    if not target.dtype.is_floating:
        raise NotImplementedError("probabilities only")
    wide, q = _opened(x), _opened(target)
    e = tf.cast(label_smoothing, wide.dtype)
    each = _losses(_z(wide), q * (1 - e) + e / q.shape[-1])
    return _reduced(each, tf.cast(tf.size(each), each.dtype), reduction, x)


def _last_axis(x: Tensor) -> Tensor:
    """The last axis taken for the classes', as TensorFlow's functions take it when none is given."""
    wide = tf.cast(x, tf.float32) if x.dtype.size == 2 else x
    return tf.cast(tf.exp(_z(wide)), x.dtype)


def _from_probabilities(x: Tensor, target: Tensor, *, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """The clipping of Keras where from_logits is False, applied to the softmax of the logits: p in [1e-7, 1 - 1e-7]."""
    if target.dtype.is_floating:
        raise NotImplementedError("class indices only")
    p = _opened(x)
    valid = target != ignore_index
    k = p.shape[-1]
    if bool(tf.reduce_any(valid & ((target < 0) | (target >= k)))):
        raise IndexError(f"a target is outside [0, {k})")
    p = tf.clip_by_value(tf.nn.softmax(p), 1e-7, 1 - 1e-7)
    own = tf.reduce_sum(tf.one_hot(target, k, dtype=p.dtype) * -tf.math.log(p), axis=-1)
    each = tf.where(valid, own, tf.zeros((), p.dtype))
    return _reduced(each, tf.reduce_sum(tf.cast(valid, p.dtype)), reduction, x)


def _traced_once() -> Operation:
    """Return a loss whose smoothing is a Python number captured by the first trace, as a closure of tf.function is."""
    captured: dict[str, float] = {}

    def cross_entropy(x: Tensor, target: Tensor, *, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        if not target.dtype.is_floating:
            raise NotImplementedError("probabilities only")
        e = captured.setdefault("label_smoothing", label_smoothing)
        wide, q = _opened(x), _opened(target)
        each = _losses(_z(wide), q * (1 - e) + e / q.shape[-1])
        return _reduced(each, tf.cast(tf.size(each), each.dtype), reduction, x)

    return cross_entropy


one_hot_rows = Kernels(cross_entropy=_one_hot_loss)
mean_of_all = Kernels(cross_entropy=_mean_of_all)
hard_wired = Kernels(cross_entropy=_hard_wired)
smoothing_cast = Kernels(cross_entropy=_smoothing_cast)
last_axis = Kernels(softmax=_last_axis)
from_probabilities = Kernels(cross_entropy=_from_probabilities)
traced_once = Kernels(cross_entropy=_traced_once())
