"""TensorFlow, CPU and GPU, eager: the library's softmax and cross-entropies, and the chain by hand."""

from __future__ import annotations

import math
import os
import platform
from typing import Any, Callable, Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Left to itself, TensorFlow uses oneDNN's kernels on some processors, for some formats, and they differ from its own.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.framework import COMPOSED, MANUAL, NATIVE, Entry, Implementation, Passes, Phrases, Unsupported
from lossparity.model import Keyword, Request
from lossparity_backends.calls import index_target, key, plain_rows, probability_target, worked_example

__all__ = ["TensorFlow"]

Tensor = Any


class TensorFlow:
    """The TensorFlow adapter, for the devices `cpu` and `gpu`."""

    name = "tensorflow"

    def __init__(self, device: str) -> None:
        if device not in ("cpu", "gpu"):
            raise Unsupported(f"TensorFlow is judged on cpu and gpu, not on {device!r}")
        if not tf.config.list_physical_devices(device.upper()):
            raise Unsupported("this TensorFlow sees no GPU")
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")  # eager operations would go there of themselves
        self._device = f"/{device.upper()}:0"
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def pin(self) -> Mapping[str, str]:
        """One thread, binary32 products in binary32 (no TF32), and the same kernels on every processor."""
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_tensor_float_32_execution(False)
        return {"threads": "1", "TF32": "off", "TF_ENABLE_ONEDNN_OPTS": os.environ["TF_ENABLE_ONEDNN_OPTS"]}

    def describe(self) -> Mapping[str, str]:
        """Return the version, the device and the traits; TensorFlow flushes subnormal numbers on the CPU."""
        return {
            "tensorflow": tf.__version__,
            "device": platform.machine() if "CPU" in self._device else self._device,
            "subnormals": "flushed",
        }

    def to_device(self, array: Array) -> Tensor:
        """Copy the data to the device; bfloat16 by its bits."""
        with tf.device(self._device):
            placed = tf.constant(array.data)
            return tf.bitcast(placed, tf.bfloat16) if array.format == "bfloat16" else placed

    def to_numpy(self, tensor: Any) -> Array:
        """Bring a tensor back; bfloat16 by its bits."""
        if tensor.dtype == tf.bfloat16:
            return Array("bfloat16", np.asarray(tf.bitcast(tensor, tf.uint16)))
        data = np.asarray(tensor)
        if data.dtype.name not in FORMATS and data.dtype.name not in INTEGERS:
            raise TypeError(f"a result of type {data.dtype.name}")
        return Array(data.dtype.name, data)

    def vjp(
        self, function: Callable[..., Any], first: Tensor, rest: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Call the function under a gradient tape."""
        with tf.device(self._device), tf.GradientTape() as tape:
            tape.watch(first)
            value = function(first, *rest, **keywords)
        return value, lambda upstream: tape.gradient(value, first, output_gradients=tf.cast(upstream, value.dtype))

    def use_threads(self, number: int) -> None:
        """Compute with so many threads."""
        tf.config.threading.set_intra_op_parallelism_threads(number)

    def synchronise(self, tensor: Tensor) -> None:  # noqa: ARG002 - it waits for all that was asked of the device
        """Wait until a tensor is computed; on the CPU operations return after that."""
        if "CPU" not in self._device:
            tf.test.experimental.sync_devices()

    def passes(self, function: Callable[..., Any], rest: tuple[Any, ...], keywords: Mapping[str, Any]) -> Passes:
        """Return what is timed of a function under XLA: the value, its gradient on a tape, and both in one program."""

        def both(x: Tensor, given: tuple[Any, ...], upstream: Tensor) -> tuple[Tensor, Tensor]:
            value, pullback = self.vjp(function, x, given, keywords)
            return value, pullback(upstream)

        # What it closed over would be constants to the compiler.
        whole = tf.function(both, jit_compile=True, reduce_retracing=False)

        return Passes(
            lambda x: function(x, *rest, **keywords),
            lambda x: self.vjp(function, x, rest, keywords),
            lambda x, upstream: whole(x, rest, upstream),
        )

    def compiler(self) -> str:
        """XLA, which is part of TensorFlow."""
        return f"XLA of TensorFlow {tf.__version__} (tf.function, jit_compile=True)"

    def compile(self, function: Callable[..., Any], keywords: Mapping[str, Keyword]) -> Callable[..., Any]:
        """Return the function under XLA; what no graph or XLA takes is unsupported."""
        if key(function, keywords) not in self._compiled:
            self._compiled[key(function, keywords)] = tf.function(
                lambda *given, **more: function(*given, **keywords, **more), jit_compile=True, reduce_retracing=False
            )
        traced = self._compiled[key(function, keywords)]

        def compiled(*given: Any, **more: Any) -> Any:
            try:
                return traced(*given, **more)
            except (tf.errors.OperatorNotAllowedInGraphError, tf.errors.UnimplementedError) as error:
                raise Unsupported(f"tf.function: {type(error).__name__}: {str(error).splitlines()[0]}") from error
            except tf.errors.InvalidArgumentError as error:
                if "unsupported operations" not in str(error):
                    raise
                raise Unsupported(f"XLA: {str(error).splitlines()[0]}") from error

        return compiled

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        on_cpu = ("tf.config.set_visible_devices([], 'GPU')",) if "CPU" in self._device else ()
        return Phrases(
            imports=(
                "import os",
                'os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"',
                'os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # the same kernels on every processor',
                "import tensorflow as tf",
            ),
            settings=(
                *on_cpu,
                "tf.config.threading.set_intra_op_parallelism_threads(1)",
                "tf.config.threading.set_inter_op_parallelism_threads(1)",
            ),
            tensor="tf.constant({array})",
            bfloat16="tf.bitcast(tf.constant({array}), tf.bfloat16)",
            call=("with tf.GradientTape() as tape:", "    tape.watch({first})", "    value = {call}"),
            gradient=("gradient = tape.gradient(value, {first}, output_gradients=tf.cast(upstream, value.dtype))",),
            numbers="np.asarray({tensor}.numpy()).astype(np.float64)",
            format="{tensor}.dtype.name",
            version="tf.__version__",
        )

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The library's functions with losses composed of them, and the chain of the worked example."""
        return {"": _LIBRARY, "manual": _MANUAL}


def _axis(x: Tensor) -> int:
    return min(1, len(x.shape) - 1)


def _wide(x: Tensor) -> Tensor:
    # What is ours is computed in binary32 for 16-bit formats: an overflow must be the framework's own.
    return tf.cast(x, tf.float32) if x.dtype.size == 2 else x


def _softmax(x: Tensor) -> Tensor:
    return tf.nn.softmax(x, axis=_axis(x))


def _log_softmax(x: Tensor) -> Tensor:
    return tf.nn.log_softmax(x, axis=_axis(x))


def _reduced(losses: Tensor, divisor: Any, reduction: str) -> Tensor:
    total = losses if reduction == "none" else tf.reduce_sum(losses)
    if reduction != "mean":
        return total
    # Where the weights add up to 0 smoothing may leave something above the divisor: that is NaN, and no infinity.
    by = tf.cast(divisor, total.dtype)
    return tf.where(by == 0, tf.constant(float("nan"), total.dtype), total / by)


def _last(x: Tensor) -> Tensor:
    rank = len(x.shape)
    return x if rank <= 2 else tf.transpose(x, [0, *range(2, rank), 1])


def _selected(target: Tensor, k: int, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return which positions count, safe indices, and which are out of range; eagerly, raise where any is.

    Gathers on a GPU return 0 beyond the end, and under XLA they clamp.
    """
    target = tf.cast(target, tf.int64)  # a narrower type cannot hold every ignore_index
    valid = target != ignore_index
    outside = valid & ((target < 0) | (target >= k))
    if tf.executing_eagerly() and bool(tf.reduce_any(outside)):
        raise IndexError(f"a target is outside [0, {k})")
    return valid, tf.where(valid & ~outside, target, tf.zeros_like(target)), outside


def _unless(outside: Tensor, nll: Tensor) -> Tensor:
    # A graph cannot raise: there the loss of an index out of range is NaN (clause N4).
    return nll if tf.executing_eagerly() else tf.where(outside, tf.constant(math.nan, nll.dtype), nll)


def _product(a: Tensor, minus_z: Tensor) -> Tensor:
    # A coefficient of 0 adds 0 also where it multiplies an infinite z, but NaN stays NaN.
    product = a * minus_z
    return tf.where((a == 0) & tf.math.is_inf(minus_z), tf.zeros_like(product), product)


def _indexed(z: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, e: float, reduction: str) -> Tensor:
    """The loss for class indices, class axis last: (1 - e) w_y (-z_y) + (e / K) sum_c w_c (-z_c)."""
    valid, safe, outside = _selected(target, int(z.shape[-1]), ignore_index)
    picked = tf.gather(z, safe, axis=-1, batch_dims=len(z.shape) - 1)
    return _mixed(_unless(outside, -picked), z, valid, safe, weight, e, reduction)


def _mixed(
    nll: Tensor, z: Tensor, valid: Tensor, safe: Tensor, weight: Tensor | None, e: float, reduction: str
) -> Tensor:
    """Weight the selected terms, add the smoothing of z where there is any, and reduce over the valid positions."""
    k = int(z.shape[-1])
    w = tf.ones([k], nll.dtype) if weight is None else tf.cast(weight, nll.dtype)
    w_y = tf.where(valid, tf.gather(w, safe), tf.zeros([], nll.dtype))
    losses = _product((1 - e) * w_y, tf.where(valid, nll, tf.zeros_like(nll)))
    if e:
        rows = tf.where(valid[..., None], -z, tf.zeros_like(z))
        losses += tf.reduce_sum(_product((e / k) * w, rows), axis=-1)
    return _reduced(losses, tf.reduce_sum(w_y), reduction)


def _nll_loss(
    z: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    return tf.cast(_indexed(_last(_wide(z)), target, weight, ignore_index, 0.0, reduction), z.dtype)


def _sparse_cross_entropy(x: Tensor, target: Tensor, reduction: str = "none", label_smoothing: float = 0.0) -> Tensor:
    del reduction, label_smoothing  # `plain_rows` lets only their neutral values through
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=x)


def _soft_cross_entropy(x: Tensor, target: Tensor, reduction: str = "none", label_smoothing: float = 0.0) -> Tensor:
    del reduction, label_smoothing
    return tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=x, axis=_axis(x))


def _cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    e = label_smoothing
    if target.dtype.is_integer and not e:
        logits = _last(x)
        valid, safe, outside = _selected(target, int(logits.shape[-1]), ignore_index)
        nll = _wide(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=safe, logits=logits))
        nll = _unless(outside, nll)
        return tf.cast(_mixed(nll, logits, valid, safe, weight, 0.0, reduction), x.dtype)
    z = _last(_wide(_log_softmax(x)))
    if target.dtype.is_integer:
        return tf.cast(_indexed(z, target, weight, ignore_index, e, reduction), x.dtype)
    q = (1 - e) * _last(_wide(target)) + e / int(z.shape[-1])
    a = q if weight is None else tf.cast(weight, z.dtype) * q
    losses = tf.reduce_sum(_product(a, -z), axis=-1)
    return tf.cast(_reduced(losses, tf.size(losses), reduction), x.dtype)


def _one_hot(x: Tensor, target: Tensor) -> Tensor:
    return tf.one_hot(target, int(x.shape[_axis(x)]), axis=_axis(x), dtype=x.dtype)


def _row_sum(x: Tensor) -> Tensor:
    return tf.cast(tf.reduce_sum(_wide(tf.exp(x)), axis=_axis(x)), x.dtype)


def _log_softmax_row_sum(x: Tensor) -> Tensor:
    return tf.cast(tf.reduce_sum(_wide(_log_softmax(x)), axis=_axis(x)), x.dtype)


def _smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    rows = -tf.reduce_mean(_wide(_log_softmax(x)), axis=_axis(x))
    return tf.cast(_reduced(rows, tf.size(rows), reduction), x.dtype)


# The worked example, stage by stage, in the format itself: nothing is shifted, so exp overflows early.


def _hand_p(x: Tensor) -> Tensor:
    e = tf.exp(x)
    return e / tf.reduce_sum(e, axis=1, keepdims=True)


def _hand_z(x: Tensor) -> Tensor:
    return tf.math.log(_hand_p(x))


def _hand_row_sum(x: Tensor) -> Tensor:
    return tf.reduce_sum(tf.exp(x), axis=1)


def _hand_log_softmax_row_sum(x: Tensor) -> Tensor:
    return tf.reduce_sum(_hand_z(x), axis=1)


def _hand_nll(z: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    return _reduced(-tf.reduce_sum(_one_hot(z, target) * z, axis=1), z.shape[0], reduction)


def _hand_smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    return _reduced(-tf.reduce_sum(_hand_z(x), axis=1), x.shape[0], reduction) / tf.cast(x.shape[1], x.dtype)


def _hand_cross_entropy(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    nll = _hand_nll(_hand_z(x), target, reduction)
    if not label_smoothing:
        return nll
    return label_smoothing * _hand_smoothing_term(x, reduction) + (1 - label_smoothing) * nll


def _sparse(request: Request) -> bool:
    return index_target(request) and not request.keywords.get("label_smoothing", 0.0)


def _plain_sparse(request: Request) -> bool:
    return plain_rows(request) and index_target(request) and len(request.arrays["logits"].shape) == 2


def _plain_soft(request: Request) -> bool:
    return plain_rows(request) and probability_target(request)


_LIBRARY: Implementation = {
    "softmax": (Entry(_softmax, "tf.nn.softmax", NATIVE),),
    "log_softmax": (Entry(_log_softmax, "tf.nn.log_softmax", NATIVE),),
    "nll_loss": (Entry(_nll_loss, "tf.gather, tf.reduce_sum", COMPOSED),),
    "cross_entropy": (
        Entry(_sparse_cross_entropy, "tf.nn.sparse_softmax_cross_entropy_with_logits", NATIVE, _plain_sparse),
        Entry(_soft_cross_entropy, "tf.nn.softmax_cross_entropy_with_logits", NATIVE, _plain_soft),
        Entry(_cross_entropy, "tf.nn.sparse_softmax_cross_entropy_with_logits, tf.reduce_sum", COMPOSED, _sparse),
        Entry(_cross_entropy, "tf.nn.log_softmax, tf.reduce_sum", COMPOSED),
    ),
    "one_hot": (Entry(_one_hot, "tf.one_hot", NATIVE),),
    "exp": (Entry(tf.exp, "tf.exp", NATIVE),),
    "row_sum": (Entry(_row_sum, "tf.exp, tf.reduce_sum", COMPOSED),),
    "log_softmax_row_sum": (Entry(_log_softmax_row_sum, "tf.nn.log_softmax, tf.reduce_sum", COMPOSED),),
    "smoothing_term": (Entry(_smoothing_term, "tf.nn.log_softmax, tf.reduce_mean", COMPOSED),),
}

_MANUAL: Implementation = {
    name: (Entry(function, api, MANUAL, worked_example),)
    for name, function, api in (
        ("softmax", _hand_p, "exp / sum"),
        ("log_softmax", _hand_z, "log(exp / sum)"),
        ("nll_loss", _hand_nll, "-sum(onehot * z)"),
        ("cross_entropy", _hand_cross_entropy, "-sum(onehot * log(exp / sum)), LabelSmoothing_CrossEntropy"),
        ("one_hot", _one_hot, "tf.one_hot"),
        ("exp", tf.exp, "tf.exp"),
        ("row_sum", _hand_row_sum, "tf.exp, tf.reduce_sum"),
        ("log_softmax_row_sum", _hand_log_softmax_row_sum, "sum(log(exp / sum))"),
        ("smoothing_term", _hand_smoothing_term, "-sum(log(exp / sum)) / K"),
    )
}
