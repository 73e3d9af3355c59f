"""Liars that take one row, one axis or one order in memory for another."""

# An override keeps the signature of what it replaces.

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from liars.around import Kernels, around
from liars.honest import Arithmetic, Convention, CrossEntropy, Losses, Tensor, honest


class MaximumOfFirstRow(Arithmetic):
    """The maximum of the first row, subtracted of all."""

    def largest(self, x: Tensor) -> Tensor:
        return np.broadcast_to(super().largest(x).reshape(-1)[0], (*x.shape[:-1], 1))


class OverTheBatch(Arithmetic):
    """Normalised over axis 0, as softmax with an implicit axis once was (pytorch's legacy `dim=None`)."""

    def largest(self, x: Tensor) -> Tensor:
        return np.max(x, axis=0, keepdims=True) if x.ndim > 1 else super().largest(x)

    def denominator(self, exponentials: Tensor) -> Tensor:
        return np.sum(exponentials, axis=0, keepdims=True) if exponentials.ndim > 1 else self.added(exponentials)


class OverEverything(Arithmetic):
    """One sum over the whole batch: the axis of the reduction was forgotten."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        return np.full((*exponentials.shape[:-1], 1), np.sum(exponentials), exponentials.dtype)


class LeakingIntoNext(Arithmetic):
    """An accumulator that is cleared by subtracting itself: after a row that is not finite it is NaN for the next."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        s = self.added(exponentials)
        if s.ndim < 2:
            return s
        return s + np.concatenate([np.zeros_like(s[:1]), s[:-1] - s[:-1]])


class InOrderOfMemory(Arithmetic):
    """(N, K, d1) read as rows of K as they lie in memory."""

    def opened(self, x: Tensor) -> Tensor:
        k = x.shape[min(1, x.ndim - 1)]
        return x.reshape(-1, k).astype(self.working(x.dtype)) if x.ndim > 2 else super().opened(x)

    def closed(self, x: Tensor, like: Tensor) -> Tensor:
        return x.reshape(like.shape).astype(like.dtype) if like.ndim > 2 else super().closed(x, like)


class WrittenAsComputed(Arithmetic):
    """The classes brought to the last axis, and the result written as it lies then."""

    def closed(self, x: Tensor, like: Tensor) -> Tensor:
        return x.astype(like.dtype).reshape(like.shape)


class WeightOfTheRow(Convention):
    """weight[n] where weight[y_n] was meant, which NumPy does not mind while there are no more rows than classes."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        """The difference of the two weights, on the target."""
        n = np.resize(w, one_hot.shape[:-1])[..., None]
        return super().spread(e, w, w_y, one_hot) + one_hot * w.dtype.type(1 - e) * (n - w)


class ReadAsContiguous(Arithmetic):
    """A pointer and a shape, without the strides: a view of every other row is read as the rows that lie there."""

    def opened(self, x: Tensor) -> Tensor:
        steps = [x.itemsize * int(np.prod(x.shape[axis + 1 :])) for axis in range(x.ndim)]
        return super().opened(as_strided(x, x.shape, steps, writeable=False))


def _mean_of_means(result: Tensor, x: Tensor, target: Tensor, *_up: Tensor, **keywords: Any) -> Tensor:
    """The mean of the means of two micro-batches, whatever each divided by (huggingface/transformers#34191)."""
    if keywords.get("reduction", "mean") != "mean" or x.ndim == 1 or len(x) < 2:
        return result
    parts = zip(np.array_split(x, 2), np.array_split(target, 2), strict=True)
    each = [np.asarray(honest.cross_entropy(one, y, **keywords), np.float64) for one, y in parts]
    return np.asarray(np.mean(each)).astype(result.dtype)


def _positions_transposed(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """The losses of (N, d1) positions written as if they were (d1, N)."""
    return np.ascontiguousarray(result.T).reshape(result.shape)


def _with_its_axis(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """The sum over the classes with its axis kept, which then broadcasts with the mask of the rows."""
    return result[..., None] if result.ndim else result


def _squeezed(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """A batch of one row loses its axis."""
    return np.squeeze(result)


class _TargetTransposed(CrossEntropy):
    """Targets of (N, d1) positions flattened in the order (d1, N)."""

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        return super().__call__(logits, _turned(target, logits), **keywords)

    def gradient(self, logits: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        return super().gradient(logits, _turned(target, logits), upstream, **keywords)


def _turned(target: Tensor, logits: Tensor) -> Tensor:
    return target.T.reshape(target.shape) if target.ndim == logits.ndim - 1 else target


maximum_of_first_row = Losses.of(MaximumOfFirstRow())
over_the_batch = Losses.of(OverTheBatch())
over_everything = Losses.of(OverEverything())
leaking_into_next = Losses.of(LeakingIntoNext())
in_order_of_memory = Losses.of(InOrderOfMemory())
written_as_computed = Losses.of(WrittenAsComputed())
weight_of_the_row = Losses.of(convention=WeightOfTheRow())
mean_of_means = around(_mean_of_means, only=("cross_entropy",))
positions_transposed = around(_positions_transposed, only=("cross_entropy",))
with_its_axis = around(_with_its_axis, only=("nll_loss", "cross_entropy"))
squeezed = around(_squeezed, only=("softmax", "cross_entropy"))
target_transposed = Kernels(cross_entropy=_TargetTransposed(Arithmetic(), Convention()))
read_as_contiguous = Losses.of(ReadAsContiguous())
