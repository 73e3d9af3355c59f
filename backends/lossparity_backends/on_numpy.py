"""NumPy: no loss functions of its own, so everything is composed here, or the worked example's chain by hand.

The composed functions compute 16-bit formats in binary32 and round once. Gradients are written out, since NumPy has
no differentiation: a function's `gradient` attribute takes its arguments, the upstream gradient as `upstream`.
"""

from __future__ import annotations

import platform
from typing import Any, Callable, Mapping

import numpy as np

from lossparity.formats import Array
from lossparity.framework import COMPOSED, MANUAL, Entry, Implementation, Phrases, Unsupported
from lossparity.model import Keyword
from lossparity_backends.calls import worked_example

try:
    from ml_dtypes import bfloat16
except ImportError:  # another environment's NumPy may lack it; bfloat16 is then declined
    bfloat16 = None

__all__ = ["Numpy"]

Tensor = np.ndarray[Any, Any]


class Numpy:
    """The NumPy adapter; its only device is the CPU."""

    name = "numpy"

    def __init__(self, device: str) -> None:
        if device != "cpu":
            raise Unsupported(f"NumPy has no device {device!r}")
        np.seterr(all="ignore")  # warnings are no verdict, and inf and NaN are compared anyway

    def pin(self) -> Mapping[str, str]:
        """Nothing to fix: no function used here calls a threaded library."""
        return {}

    def describe(self) -> Mapping[str, str]:
        """Return the version, the processor and the traits."""
        return {"numpy": np.__version__, "device": platform.machine(), "subnormals": "gradual"}

    def to_device(self, array: Array) -> Tensor:
        """Copy the data; bfloat16 becomes ml_dtypes' type."""
        if array.format != "bfloat16":
            return array.data.copy()
        if bfloat16 is None:
            raise Unsupported("NumPy has no bfloat16 (ml_dtypes is not installed)")
        return array.data.copy().view(bfloat16)

    def arranged(self, tensor: Tensor, layout: str) -> Tensor:
        """Return the same numbers with gaps, with the first axis fastest, or within a larger array."""
        if layout == "transposed":
            return np.asfortranarray(tensor)
        unread = -7 if tensor.dtype.kind == "i" else np.nan
        if layout == "strided":
            wide = np.full((*tensor.shape[:-1], 2 * tensor.shape[-1]), unread, tensor.dtype)
            wide[..., ::2] = tensor
            return wide[..., ::2]
        flat = np.full(tensor.size + 3, unread, tensor.dtype)
        flat[3:] = tensor.ravel()
        return flat[3:].reshape(tensor.shape)

    def to_numpy(self, tensor: Any) -> Array:
        """Name the format of a NumPy array or scalar."""
        found = np.asarray(tensor)
        if bfloat16 is not None and found.dtype == bfloat16:
            return Array("bfloat16", found.view(np.uint16))
        return Array(found.dtype.name, found)

    def vjp(
        self, function: Callable[..., Any], first: Tensor, rest: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Any, Callable[[Tensor], Any]]:
        """Call the function; its gradient is the function's own `gradient` attribute."""

        def pullback(upstream: Tensor) -> Any:
            gradient: Callable[..., Any] | None = getattr(function, "gradient", None)
            if gradient is None:
                raise Unsupported("NumPy cannot differentiate and the function has no attribute `gradient`")
            return gradient(first, *rest, upstream, **keywords)

        return function(first, *rest, **keywords), pullback

    def compiler(self) -> str:
        """NumPy has none."""
        raise Unsupported("numpy has no compiler")

    def compile(self, function: Callable[..., Any], keywords: Mapping[str, Keyword]) -> Callable[..., Any]:  # noqa: ARG002
        """Nothing can be compiled."""
        raise Unsupported("numpy has no compiler")

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        return Phrases(
            imports=(),
            settings=('np.seterr(all="ignore")',),
            tensor="{array}",
            bfloat16="{array}.view(bfloat16)",
            call=("value = {call}",),
            gradient=("gradient = {function}.gradient({first}{arguments})",),
            numbers="np.asarray({tensor}).astype(np.float64)",
            format="np.asarray({tensor}).dtype.name",
            version="np.__version__",
            bfloat16_imports=("from ml_dtypes import bfloat16",),
        )

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The composed functions, and the chain of the worked example."""
        return {"": _COMPOSED, "manual": _MANUAL}


def _with_gradient(gradient: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def attach(function: Callable[..., Any]) -> Callable[..., Any]:
        function.gradient = gradient  # type: ignore[attr-defined]
        return function

    return attach


# Inside, the class axis is the last one and 16-bit formats are binary32 (_opened); _closed undoes both.


def _opened(x: Tensor) -> Tensor:
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    return np.moveaxis(wide, min(1, x.ndim - 1), -1)


def _closed(x: Tensor, like: Tensor) -> Tensor:
    return np.ascontiguousarray(np.moveaxis(x, -1, min(1, like.ndim - 1)).astype(like.dtype))


def _shifted(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x minus its row's maximum, and the sum of the exponentials of that."""
    d = x - np.max(x, axis=-1, keepdims=True)
    return d, np.sum(np.exp(d), axis=-1, keepdims=True)


def _p(x: Tensor) -> Tensor:
    d, s = _shifted(x)
    return np.exp(d) / s


def _z(x: Tensor) -> Tensor:
    d, s = _shifted(x)
    return d - np.log(s)


def _coefficients(x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, e: float) -> tuple[Tensor, Any]:
    """Return the coefficients a with l = -sum_c a_c z_c, class axis last, and the divisor of the mean."""
    k = x.shape[-1]
    w = np.ones(k, x.dtype) if weight is None else weight.astype(x.dtype)
    if target.dtype.kind not in "iu":
        q = _opened(target)
        return w * (x.dtype.type(1 - e) * q + x.dtype.type(e / k)), x.dtype.type(q.size // k)
    target = target.astype(np.int64)  # a narrower type cannot hold every ignore_index
    valid = target != ignore_index
    if np.any(valid & ((target < 0) | (target >= k))):
        raise IndexError(f"a target is outside [0, {k})")
    safe = np.where(valid, target, 0)
    w_y = np.where(valid, w[safe], x.dtype.type(0))
    a = np.where(valid[..., None], w * x.dtype.type(e / k), x.dtype.type(0))
    selected = np.take_along_axis(a, safe[..., None], -1) + (x.dtype.type(1 - e) * w_y)[..., None]
    np.put_along_axis(a, safe[..., None], selected, -1)
    return a, np.sum(w_y)


def _loss(z: Tensor, a: Tensor, divisor: Any, reduction: str) -> Tensor:
    # A coefficient of 0 adds 0 also where it multiplies an infinite z, but NaN stays NaN.
    losses = np.sum(np.where((a == 0) & np.isinf(z), 0, a * -z), axis=-1, dtype=z.dtype)
    return losses if reduction == "none" else _averaged(np.sum(losses), divisor if reduction == "mean" else 1)


def _averaged(total: Any, divisor: Any) -> Any:
    # Where the weights add up to 0 smoothing may leave something above the divisor: that is NaN, and no infinity.
    return np.where(divisor == 0, np.asarray(np.nan, total.dtype), total / divisor)


def _spread(upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
    wide = upstream.astype(np.float32) if upstream.dtype.itemsize == 2 else upstream
    return (_averaged(wide, divisor) if reduction == "mean" else wide)[..., None]


def _softmax_gradient(x: Tensor, upstream: Tensor) -> Tensor:
    p, v = _p(_opened(x)), _opened(upstream)
    return _closed(p * (v - np.sum(p * v, axis=-1, keepdims=True)), x)


@_with_gradient(_softmax_gradient)
def _softmax(x: Tensor) -> Tensor:
    return _closed(_p(_opened(x)), x)


def _log_softmax_gradient(x: Tensor, upstream: Tensor) -> Tensor:
    p, v = _p(_opened(x)), _opened(upstream)
    return _closed(v - p * np.sum(v, axis=-1, keepdims=True), x)


@_with_gradient(_log_softmax_gradient)
def _log_softmax(x: Tensor) -> Tensor:
    return _closed(_z(_opened(x)), x)


def _nll_gradient(
    z: Tensor,
    target: Tensor,
    upstream: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    a, divisor = _coefficients(_opened(z), target, weight, ignore_index, 0.0)
    return _closed(-a * _spread(upstream, divisor, reduction), z)


@_with_gradient(_nll_gradient)
def _nll_loss(
    z: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    a, divisor = _coefficients(_opened(z), target, weight, ignore_index, 0.0)
    # Only the selected entry is read: the others may be NaN.
    read = np.where(a == 0, 0, _opened(z)) if target.dtype.kind in "iu" else _opened(z)
    return _loss(read, a, divisor, reduction).astype(z.dtype)


def _cross_entropy_gradient(
    x: Tensor,
    target: Tensor,
    upstream: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    a, divisor = _coefficients(_opened(x), target, weight, ignore_index, label_smoothing)
    inner = np.sum(a, axis=-1, keepdims=True) * _p(_opened(x)) - a
    return _closed(_spread(upstream, divisor, reduction) * inner, x)


@_with_gradient(_cross_entropy_gradient)
def _cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    z = _z(_opened(x))
    a, divisor = _coefficients(z, target, weight, ignore_index, label_smoothing)
    ignored = np.broadcast_to(np.expand_dims(np.all(a == 0, axis=-1), -1), z.shape)
    return _loss(np.where(ignored, 0, z), a, divisor, reduction).astype(x.dtype)


def _one_hot(x: Tensor, target: Tensor) -> Tensor:
    return _closed(np.arange(_opened(x).shape[-1]) == target[..., None], x)


@_with_gradient(lambda x, upstream: _closed(np.exp(_opened(x)) * _opened(upstream), x))
def _exp(x: Tensor) -> Tensor:
    return np.exp(x)


@_with_gradient(lambda x, upstream: _closed(np.exp(_opened(x)) * _spread(upstream, 1, "sum"), x))
def _row_sum(x: Tensor) -> Tensor:
    return np.sum(np.exp(_opened(x)), axis=-1).astype(x.dtype)


def _log_softmax_row_sum_gradient(x: Tensor, upstream: Tensor) -> Tensor:
    return _closed(_spread(upstream, 1, "sum") * (1 - _opened(x).shape[-1] * _p(_opened(x))), x)


@_with_gradient(_log_softmax_row_sum_gradient)
def _log_softmax_row_sum(x: Tensor) -> Tensor:
    return np.sum(_z(_opened(x)), axis=-1).astype(x.dtype)


def _smoothing_term_gradient(x: Tensor, upstream: Tensor, reduction: str = "mean") -> Tensor:
    k = _opened(x).shape[-1]
    up = _spread(upstream, x.size // k, reduction)
    return _closed(np.broadcast_to(up, _opened(x).shape) * (_p(_opened(x)) - _opened(x).dtype.type(1 / k)), x)


@_with_gradient(_smoothing_term_gradient)
def _smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    rows = -np.mean(_z(_opened(x)), axis=-1)
    return np.asarray({"none": rows, "mean": np.mean(rows), "sum": np.sum(rows)}[reduction]).astype(x.dtype)


# The worked example, stage by stage, in the format itself: nothing is shifted, so exp overflows early.


def _rows(x: Tensor) -> Tensor:
    return np.sum(x, axis=1, keepdims=True, dtype=np.float32 if x.dtype.itemsize == 2 else None).astype(x.dtype)


def _hand_p(x: Tensor) -> Tensor:
    e = np.exp(x)
    return e / _rows(e)


def _hand_z(x: Tensor) -> Tensor:
    return np.log(_hand_p(x))


def _count(x: Tensor, axis: int) -> Any:
    return x.dtype.type(x.shape[axis])


def _hand_reduced(losses: Tensor, reduction: str) -> Tensor:
    total = _rows(losses[None, :, 0])[0, 0]
    return {"none": losses[:, 0], "mean": total / _count(losses, 0), "sum": total}[reduction]


def _hand_upstream(x: Tensor, upstream: Tensor, reduction: str) -> Tensor:
    up = upstream / _count(x, 0) if reduction == "mean" else upstream
    return np.broadcast_to(np.asarray(up)[..., None], (x.shape[0], 1)).astype(x.dtype)


@_with_gradient(lambda x, upstream: np.exp(x) * upstream)
def _hand_exp(x: Tensor) -> Tensor:
    return np.exp(x)


@_with_gradient(lambda x, upstream: np.exp(x) * upstream[:, None])
def _hand_row_sum(x: Tensor) -> Tensor:
    return _rows(np.exp(x))[:, 0]


@_with_gradient(lambda x, upstream: _hand_p(x) * (upstream - _rows(_hand_p(x) * upstream)))
def _hand_softmax(x: Tensor) -> Tensor:
    return _hand_p(x)


@_with_gradient(lambda x, upstream: upstream - _hand_p(x) * _rows(upstream))
def _hand_log_softmax(x: Tensor) -> Tensor:
    return _hand_z(x)


@_with_gradient(lambda x, upstream: (x.dtype.type(1) - _count(x, 1) * _hand_p(x)) * upstream[:, None])
def _hand_log_softmax_row_sum(x: Tensor) -> Tensor:
    return _rows(_hand_z(x))[:, 0]


@_with_gradient(
    lambda z, target, upstream, reduction="mean": -_one_hot(z, target) * _hand_upstream(z, upstream, reduction)
)
def _hand_nll_loss(z: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    return _hand_reduced(_rows(-_one_hot(z, target) * z), reduction)


def _hand_smoothing_term_gradient(x: Tensor, upstream: Tensor, reduction: str = "mean") -> Tensor:
    return (_hand_p(x) - x.dtype.type(1) / _count(x, 1)) * _hand_upstream(x, upstream, reduction)


@_with_gradient(_hand_smoothing_term_gradient)
def _hand_smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    return _hand_reduced(-_rows(_hand_z(x)), reduction) / _count(x, 1)


def _hand_cross_entropy_gradient(
    x: Tensor, target: Tensor, upstream: Tensor, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Tensor:
    e = x.dtype.type(label_smoothing)
    q = (x.dtype.type(1) - e) * _one_hot(x, target) + e / _count(x, 1)
    return (_hand_p(x) - q) * _hand_upstream(x, upstream, reduction)


@_with_gradient(_hand_cross_entropy_gradient)
def _hand_cross_entropy(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    nll = _hand_nll_loss(_hand_z(x), target, reduction)
    if not label_smoothing:
        return nll
    e = x.dtype.type(label_smoothing)
    return e * _hand_smoothing_term(x, reduction) + (x.dtype.type(1) - e) * nll


_COMPOSED: Implementation = {
    name: (Entry(function, api, COMPOSED),)
    for name, function, api in (
        ("softmax", _softmax, "numpy.exp, numpy.sum"),
        ("log_softmax", _log_softmax, "numpy.exp, numpy.sum, numpy.log"),
        ("nll_loss", _nll_loss, "numpy indexing, numpy.sum"),
        ("cross_entropy", _cross_entropy, "numpy.exp, numpy.log, numpy.sum"),
        ("one_hot", _one_hot, "numpy.equal"),
        ("exp", _exp, "numpy.exp"),
        ("row_sum", _row_sum, "numpy.exp, numpy.sum"),
        ("log_softmax_row_sum", _log_softmax_row_sum, "numpy.exp, numpy.log, numpy.sum"),
        ("smoothing_term", _smoothing_term, "numpy.exp, numpy.log, numpy.mean"),
    )
}

_MANUAL: Implementation = {
    name: (Entry(function, api, MANUAL, worked_example),)
    for name, function, api in (
        ("softmax", _hand_softmax, "exp / sum"),
        ("log_softmax", _hand_log_softmax, "log(exp / sum)"),
        ("nll_loss", _hand_nll_loss, "-sum(onehot * z)"),
        ("cross_entropy", _hand_cross_entropy, "-sum(onehot * log(exp / sum)), LabelSmoothing_CrossEntropy"),
        ("one_hot", _one_hot, "numpy.equal"),
        ("exp", _hand_exp, "numpy.exp"),
        ("row_sum", _hand_row_sum, "numpy.exp, numpy.sum"),
        ("log_softmax_row_sum", _hand_log_softmax_row_sum, "sum(log(exp / sum))"),
        ("smoothing_term", _hand_smoothing_term, "-sum(log(exp / sum)) / K"),
    )
}
