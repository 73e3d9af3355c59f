"""JAX, CPU and GPU: the library's softmax and log-softmax, losses composed of them, and the chain by hand."""

from __future__ import annotations

import os
import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Callable, Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.framework import COMPOSED, MANUAL, NATIVE, Entry, Implementation, Passes, Phrases, Unsupported
from lossparity.model import Keyword
from lossparity_backends.calls import key, worked_example

__all__ = ["Jax", "Tensor", "axis_of", "wide"]

Tensor = Any


class Jax:
    """The JAX adapter, for the devices `cpu` and `gpu`; operations run one by one (not jitted)."""

    name = "jax"

    def __init__(self, device: str) -> None:
        jax.config.update("jax_enable_x64", True)
        try:
            self._device = jax.devices(device)[0]
        except RuntimeError as error:
            raise Unsupported(f"JAX has no device {device!r}: {str(error).splitlines()[0]}") from error
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def pin(self) -> Mapping[str, str]:
        """64-bit types, full precision of products, and compiled operations kept between runs, without source lines."""
        base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        jax.config.update("jax_compilation_cache_dir", str(Path(base) / "lossparity" / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_traceback_in_locations_limit", 0)
        return {"x64": "enabled", "matmul precision": "highest"}

    def describe(self) -> Mapping[str, str]:
        """Return versions, the device and the traits; XLA flushes subnormal numbers on the CPU."""
        device = platform.machine() if self._device.platform == "cpu" else str(self._device.device_kind)
        return {"jax": jax.__version__, "jaxlib": version("jaxlib"), "device": device, "subnormals": "flushed"}

    def to_device(self, array: Array) -> Tensor:
        """Copy the data to the device; bfloat16 by its bits."""
        data = array.data.copy()
        return jax.device_put(data.view(jnp.bfloat16) if array.format == "bfloat16" else data, self._device)

    def to_numpy(self, tensor: Any) -> Array:
        """Bring an array back; bfloat16 by its bits."""
        data = np.asarray(tensor)
        if tensor.dtype == jnp.bfloat16:
            return Array("bfloat16", data.view(np.uint16))
        if data.dtype.name not in FORMATS and data.dtype.name not in INTEGERS:
            raise TypeError(f"a result of type {data.dtype.name}")
        return Array(data.dtype.name, data)

    def vjp(
        self, function: Callable[..., Any], first: Tensor, rest: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Call the function under `jax.vjp`."""
        value, pullback = jax.vjp(lambda x: function(x, *rest, **keywords), first)
        return value, lambda upstream: pullback(
            upstream if upstream.dtype == value.dtype else upstream.astype(value.dtype)
        )[0]

    def synchronise(self, tensor: Tensor) -> None:
        """Wait until an array is computed; operations return before that."""
        jax.block_until_ready(tensor)

    def passes(self, function: Callable[..., Any], rest: tuple[Any, ...], keywords: Mapping[str, Any]) -> Passes:
        """Return what is timed of a jitted function: the value, its `jax.vjp`, and both, each a jitted program."""

        def called(x: Tensor, given: tuple[Any, ...]) -> Tensor:
            return function(x, *given, **keywords)

        def recorded(x: Tensor, given: tuple[Any, ...]) -> Any:
            return jax.vjp(lambda first: called(first, given), x)

        def both(x: Tensor, given: tuple[Any, ...], upstream: Tensor) -> tuple[Tensor, Tensor]:
            value, pullback = recorded(x, given)
            return value, pullback(upstream.astype(value.dtype))[0]

        record, whole = jax.jit(recorded), jax.jit(both)
        back = jax.jit(lambda pullback, upstream: pullback(upstream)[0])

        def separate(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            value, pullback = record(x, rest)
            return value, lambda upstream: back(pullback, upstream.astype(value.dtype))

        return Passes(lambda x: called(x, rest), separate, lambda x, upstream: whole(x, rest, upstream))

    def compiler(self) -> str:
        """XLA, which comes with jaxlib."""
        return f"XLA of jaxlib {version('jaxlib')} (jax.jit)"

    def compile(self, function: Callable[..., Any], keywords: Mapping[str, Keyword]) -> Callable[..., Any]:
        """Return the jitted function; what depends on a traced value in Python is unsupported."""
        if key(function, keywords) not in self._compiled:
            self._compiled[key(function, keywords)] = jax.jit(
                lambda *given, **more: function(*given, **keywords, **more)
            )
        jitted = self._compiled[key(function, keywords)]

        def compiled(*given: Any, **more: Any) -> Any:
            try:
                return jitted(*given, **more)
            except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
                raise Unsupported(f"jax.jit: {type(error).__name__}: {str(error).splitlines()[0]}") from error

        return compiled

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        on = "cpu" if self._device.platform == "cpu" else "gpu"
        return Phrases(
            imports=("import jax", "import jax.numpy as jnp"),
            settings=(
                'jax.config.update("jax_enable_x64", True)',
                f'jax.config.update("jax_default_device", jax.devices("{on}")[0])',
            ),
            tensor="jnp.asarray({array})",
            bfloat16="jax.lax.bitcast_convert_type(jnp.asarray({array}), jnp.bfloat16)",
            call=("value, pullback = jax.vjp(lambda {first}: {call}, {first})",),
            gradient=("(gradient,) = pullback(upstream.astype(value.dtype))",),
            numbers="np.asarray({tensor}).astype(np.float64)",
            format="{tensor}.dtype.name",
            version="jax.__version__",
        )

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The library's functions with losses composed of them, and the chain of the worked example."""
        return {"": _LIBRARY, "manual": _MANUAL}


def axis_of(x: Tensor) -> int:
    """Return the class axis."""
    return min(1, x.ndim - 1)


def wide(x: Tensor) -> Tensor:
    """Widen 16-bit formats to binary32: what is ours is computed so, for an overflow must be the library's own."""
    return x.astype(jnp.float32) if x.dtype.itemsize == 2 else x


def _softmax(x: Tensor) -> Tensor:
    return jax.nn.softmax(x, axis=axis_of(x))


def _log_softmax(x: Tensor) -> Tensor:
    return jax.nn.log_softmax(x, axis=axis_of(x))


def _reduced(losses: Tensor, divisors: Any, reduction: str) -> Tensor:
    return losses if reduction == "none" else _total(losses, divisors, mean=reduction == "mean")


# Outside of a jit every operation is a program of its own, one for each shape and format, and costs 10 ms in every
# process even where it is cached. What is ours is jitted in two pieces; the library's functions are called as they are.


@partial(jax.jit, static_argnames="mean")
def _total(losses: Tensor, divisors: Any, mean: bool) -> Tensor:
    total, divisor = jnp.sum(losses), jnp.sum(divisors)
    # Where the weights add up to 0 smoothing may leave something above the divisor: that is NaN, and no infinity.
    return jnp.where(divisor == 0, jnp.nan, total / divisor) if mean else total


@partial(jax.jit, static_argnames="smoothed")
def _weighed(
    z: Tensor, target: Tensor, w: Tensor, ignore_index: Any, whole: Any, each: Any, smoothed: bool
) -> tuple[Tensor, Tensor]:
    """Return the losses whole w_y (-z_y) + sum_c each w_c (-z_c) and the weights w_y; 0 where ignored.

    Gathers clamp and wrap around: the loss of an index that is out of range is NaN (clause N4).
    """
    z = jnp.moveaxis(z, axis_of(z), -1)
    target = target.astype(jnp.int64)  # a narrower type cannot hold every ignore_index
    valid = target != ignore_index
    outside = valid & ((target < 0) | (target >= z.shape[-1]))
    safe = jnp.where(valid & ~outside, target, 0)
    w_y = jnp.where(valid, w[safe], 0)
    picked = jnp.where(valid, jnp.take_along_axis(z, safe[..., None], -1)[..., 0], 0)
    losses = _product(whole * w_y, jnp.where(outside, jnp.nan, -picked))
    if smoothed:
        losses = losses + jnp.sum(_product(each * w, jnp.where(valid[..., None], -z, 0)), axis=-1)
    return losses, w_y


@partial(jax.jit)  # which is typed
def _against(z: Tensor, q: Tensor, w: Tensor, whole: Any, each: Any) -> Tensor:
    """Return the losses sum_c w_c (whole q_c + each) (-z_c)."""
    mixed = w * (whole * jnp.moveaxis(wide(q), axis_of(q), -1) + each)
    return jnp.sum(_product(mixed, -jnp.moveaxis(z, axis_of(z), -1)), axis=-1)


def _product(a: Tensor, minus_z: Tensor) -> Tensor:
    # A coefficient of 0 adds 0 also where it multiplies an infinite z, but NaN stays NaN.
    return jnp.where((a == 0) & jnp.isinf(minus_z), 0, a * minus_z)


def _indexed(z: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, e: float, reduction: str) -> Tensor:
    """The loss for class indices, (1 - e) w_y (-z_y) + (e / K) sum_c w_c (-z_c); IndexError where none is traced."""
    k = z.shape[axis_of(z)]
    if not isinstance(target, Tracer):
        y = np.asarray(target).astype(np.int64)
        if np.any((y != ignore_index) & ((y < 0) | (y >= k))):
            raise IndexError(f"a target is outside [0, {k})")
    losses, w_y = _weighed(z, target, _weights(z, weight), ignore_index, 1 - e, e / k, smoothed=bool(e))
    return _reduced(losses, w_y, reduction)


def _weights(z: Tensor, weight: Tensor | None) -> Tensor:
    return jnp.asarray(np.ones(z.shape[axis_of(z)], z.dtype)) if weight is None else weight.astype(z.dtype)


def _nll_loss(
    z: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    return _indexed(wide(z), target, weight, ignore_index, 0.0, reduction).astype(z.dtype)


def _cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    z, e = wide(_log_softmax(x)), label_smoothing
    if not jnp.issubdtype(target.dtype, jnp.floating):
        return _indexed(z, target, weight, ignore_index, e, reduction).astype(x.dtype)
    losses = _against(z, target, _weights(z, weight), 1 - e, e / z.shape[axis_of(z)])
    return _reduced(losses, losses.size, reduction).astype(x.dtype)


def _one_hot(x: Tensor, target: Tensor) -> Tensor:
    return jax.nn.one_hot(target, x.shape[axis_of(x)], dtype=x.dtype, axis=axis_of(x))


def _row_sum(x: Tensor) -> Tensor:
    return jnp.sum(wide(jnp.exp(x)), axis=axis_of(x)).astype(x.dtype)


def _log_softmax_row_sum(x: Tensor) -> Tensor:
    return jnp.sum(wide(_log_softmax(x)), axis=axis_of(x)).astype(x.dtype)


def _smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    rows = -jnp.mean(wide(_log_softmax(x)), axis=axis_of(x))
    return _reduced(rows, rows.size, reduction).astype(x.dtype)


# The worked example, stage by stage, in the format itself: nothing is shifted, so exp overflows early.


def _hand_p(x: Tensor) -> Tensor:
    e = jnp.exp(x)
    return e / jnp.sum(e, axis=1, keepdims=True)


def _hand_z(x: Tensor) -> Tensor:
    return jnp.log(_hand_p(x))


def _hand_row_sum(x: Tensor) -> Tensor:
    return jnp.sum(jnp.exp(x), axis=1)


def _hand_log_softmax_row_sum(x: Tensor) -> Tensor:
    return jnp.sum(_hand_z(x), axis=1)


def _hand_nll(z: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    return _reduced(-jnp.sum(_one_hot(z, target) * z, axis=1), z.shape[0], reduction)


def _hand_smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    return _reduced(-jnp.sum(_hand_z(x), axis=1), x.shape[0], reduction) / x.shape[1]


def _hand_cross_entropy(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    nll = _hand_nll(_hand_z(x), target, reduction)
    if not label_smoothing:
        return nll
    return label_smoothing * _hand_smoothing_term(x, reduction) + (1 - label_smoothing) * nll


_LIBRARY: Implementation = {
    "softmax": (Entry(_softmax, "jax.nn.softmax", NATIVE),),
    "log_softmax": (Entry(_log_softmax, "jax.nn.log_softmax", NATIVE),),
    "nll_loss": (Entry(_nll_loss, "jax.numpy.take_along_axis, jax.numpy.sum", COMPOSED),),
    "cross_entropy": (Entry(_cross_entropy, "jax.nn.log_softmax, jax.numpy.sum", COMPOSED),),
    "one_hot": (Entry(_one_hot, "jax.nn.one_hot", NATIVE),),
    "exp": (Entry(jnp.exp, "jax.numpy.exp", NATIVE),),
    "row_sum": (Entry(_row_sum, "jax.numpy.exp, jax.numpy.sum", COMPOSED),),
    "log_softmax_row_sum": (Entry(_log_softmax_row_sum, "jax.nn.log_softmax, jax.numpy.sum", COMPOSED),),
    "smoothing_term": (Entry(_smoothing_term, "jax.nn.log_softmax, jax.numpy.mean", COMPOSED),),
}

_MANUAL: Implementation = {
    name: (Entry(function, api, MANUAL, worked_example),)
    for name, function, api in (
        ("softmax", _hand_p, "exp / sum"),
        ("log_softmax", _hand_z, "log(exp / sum)"),
        ("nll_loss", _hand_nll, "-sum(onehot * z)"),
        ("cross_entropy", _hand_cross_entropy, "-sum(onehot * log(exp / sum)), LabelSmoothing_CrossEntropy"),
        ("one_hot", _one_hot, "jax.nn.one_hot"),
        ("exp", jnp.exp, "jax.numpy.exp"),
        ("row_sum", _hand_row_sum, "jax.numpy.exp, jax.numpy.sum"),
        ("log_softmax_row_sum", _hand_log_softmax_row_sum, "sum(log(exp / sum))"),
        ("smoothing_term", _hand_smoothing_term, "-sum(log(exp / sum)) / K"),
    )
}
