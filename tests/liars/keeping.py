"""Liars that keep something between calls: the result of a call depends on the one before it."""

# An override keeps the signature of what it replaces.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liars.around import Kernels, around
from liars.honest import Arithmetic, Convention, CrossEntropy, Losses, Tensor

Key = tuple[Any, ...]


class _Accumulated:
    """Gradients are added to what is in the buffer of that shape and format, and nobody clears it."""

    def __init__(self) -> None:
        self._kept: dict[Key, Tensor] = {}

    def __call__(self, result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        key = result.shape, result.dtype
        kept = self._kept.get(key)
        self._kept[key] = result if kept is None else (kept + result).astype(result.dtype)
        return self._kept[key].copy()


class _LargestUntilNow(Arithmetic):
    """The maximum of all calls until now, kept where the buffer is not cleared: smaller logits underflow."""

    def __init__(self) -> None:
        self._kept: dict[Key, Tensor] = {}

    def largest(self, x: Tensor) -> Tensor:
        m = super().largest(x)
        key = m.shape, m.dtype
        self._kept[key] = np.fmax(np.where(np.isfinite(m), m, -np.inf), self._kept.get(key, m))
        return self._kept[key]


class _DivisorKept(Convention):
    """What the mean divides by, computed for the first batch of a size."""

    def __init__(self) -> None:
        self._kept: dict[Key, Any] = {}

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return self._kept.setdefault((w_y.shape, w_y.dtype), super().divisor(w_y, valid))


class _WeightsKept(Convention):
    """Weights registered by one call stand in for those that the next one does not pass."""

    def __init__(self) -> None:
        self._kept: dict[Key, Tensor] = {}

    def weights(self, weight: Tensor | None, x: Tensor) -> Tensor:
        key = x.shape[-1], x.dtype
        if weight is not None:
            self._kept[key] = weight
        return super().weights(self._kept.get(key), x)


class _EpsilonKept(Convention):
    """The largest smoothing that any call asked for: it is stored if it is given, and 0 counts as not given."""

    def __init__(self) -> None:
        self._kept = 0.0

    def epsilon(self, label_smoothing: float) -> float:
        self._kept = label_smoothing or self._kept
        return self._kept


class _Dropping(Arithmetic):
    """Dropout of one logit in ten, which evaluation should have switched off."""

    def __init__(self) -> None:
        self._drawn = np.random.default_rng(1)

    def opened(self, x: Tensor) -> Tensor:
        wide = super().opened(x)
        kept = self._drawn.random(wide.shape) >= 0.1
        return np.where(kept, wide / wide.dtype.type(0.9), wide.dtype.type(0))


class _UpstreamKept(CrossEntropy):
    """The upstream gradient of the first call of a shape, captured with the rest of the graph."""

    def gradient(self, logits: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        kept = _UPSTREAMS.setdefault((upstream.shape, upstream.dtype), upstream)
        return super().gradient(logits, target, kept, **keywords)


class _Buffer:
    """One array by shape and format receives every result and is returned: the gradient is written over the value."""

    def __init__(self) -> None:
        self._kept: dict[Key, Tensor] = {}

    def __call__(self, result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        kept = self._kept.setdefault((result.shape, result.dtype), np.empty_like(result))
        kept[...] = result
        return kept


class _Unsteady:
    """The order of a sum left to the scheduler: the last bit comes and goes, within every bound."""

    def __init__(self) -> None:
        self._drawn = np.random.default_rng(3)

    def __call__(self, result: Tensor, x: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        # A sum over one class has one order.
        if result.dtype != np.float64 or x.shape[min(1, x.ndim - 1)] == 1:
            return result
        up = self._drawn.random(result.shape) < 0.5
        return np.where(up & np.isfinite(result) & (result != 0), np.nextafter(result, 0), result)


class _Memoised:
    """A value kept by shape, format and first row: two batches that begin alike are one."""

    def __init__(self) -> None:
        self._kept: dict[Key, Tensor] = {}

    def __call__(self, result: Tensor, x: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        return self._kept.setdefault((x.shape, x.dtype, x[:1].tobytes()), result)


_UPSTREAMS: dict[Key, Tensor] = {}


accumulated = around(gradient=_Accumulated(), only=("nll_loss",))
accumulated_softmax = around(gradient=_Accumulated(), only=("softmax",))
largest_until_now = Losses.of(_LargestUntilNow())
divisor_kept = Losses.of(convention=_DivisorKept())
weights_kept = Losses.of(convention=_WeightsKept())
epsilon_kept = Losses.of(convention=_EpsilonKept())
dropping = Losses.of(_Dropping())
upstream_kept = Kernels(cross_entropy=_UpstreamKept(Arithmetic(), Convention()))
_buffer = _Buffer()
buffer = around(_buffer, _buffer, only=("softmax",))
unsteady = around(_Unsteady(), only=("softmax",))
memoised = around(_Memoised(), only=("softmax",))
