"""Liars that no case can show yet: what they need of a case is said in `table_waiting`."""

# An override keeps the signature of what it replaces.

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from liars.around import Kernels, around
from liars.honest import Arithmetic, Convention, CrossEntropy, Losses, NllLoss, Tensor


class ReadAsContiguous(Arithmetic):
    """A pointer and a shape, without the strides: a view of every other row is read as the rows that lie there."""

    def opened(self, x: Tensor) -> Tensor:
        steps = [x.itemsize * int(np.prod(x.shape[axis + 1 :])) for axis in range(x.ndim)]
        return super().opened(as_strided(x, x.shape, steps, writeable=False))


class _FlatIndex(NllLoss):
    """The place n K + y of the target's entry, computed in the type of the targets, which bytes overflow."""

    def __call__(self, log_probs: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        return super().__call__(log_probs, _flat(log_probs, target), **keywords)

    def gradient(self, log_probs: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        return super().gradient(log_probs, _flat(log_probs, target), upstream, **keywords)


def _flat(log_probs: Tensor, target: Tensor) -> Tensor:
    if target.dtype.itemsize > 2 or log_probs.ndim != 2:
        return target
    k = log_probs.shape[1]
    flat = np.arange(len(target)).astype(target.dtype) * target.dtype.type(k) + target
    return flat.astype(np.int64) % k


class HalfClamped(Convention):
    """A smoothing beyond 1 is clamped in 1 - ε and not in ε / K."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        if e <= 1:
            return super().spread(e, w, w_y, one_hot)
        return super().spread(e, w, w_y, one_hot) - one_hot * w.dtype.type(1 - e) * w


class _OneForNone(CrossEntropy):
    """An empty batch has one loss, of 0, whatever the reduction."""

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        if len(logits) == 0 and keywords.get("reduction", "mean") == "none":
            return np.zeros(1, logits.dtype)
        return super().__call__(logits, target, **keywords)


class _Buffer:
    """One array by shape and format receives every result and is returned: the caller's last result changes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Tensor] = {}

    def __call__(self, result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        kept = self._kept.setdefault((result.shape, result.dtype), np.empty_like(result))
        kept[...] = result
        return kept


class _Unsteady:
    """The order of a sum left to the scheduler: the last bit comes and goes, within every bound."""

    def __init__(self) -> None:
        self._drawn = np.random.default_rng(3)

    def __call__(self, result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        if result.dtype != np.float64:
            return result
        up = self._drawn.random(result.shape) < 0.5
        return np.where(up & np.isfinite(result) & (result != 0), np.nextafter(result, 0), result)


class _Memoised:
    """A value kept by shape, format and first row: two batches that begin alike are one."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Tensor] = {}

    def __call__(self, result: Tensor, x: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        return self._kept.setdefault((x.shape, x.dtype, x[:1].tobytes()), result)


read_as_contiguous = Losses.of(ReadAsContiguous())
flat_index = Kernels(nll_loss=_FlatIndex(Arithmetic(), Convention()))
half_clamped = Losses.of(convention=HalfClamped())
one_for_none = Kernels(cross_entropy=_OneForNone(Arithmetic(), Convention()))
buffer = around(_Buffer(), only=("softmax",))
unsteady = around(_Unsteady(), only=("softmax",))
memoised = around(_Memoised(), only=("softmax",))
