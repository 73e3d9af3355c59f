"""Liars that compute somebody else's loss: more conventions, and recipes of training that found their way inside."""

# An override keeps the signature of what it replaces.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liars.around import Kernels, around
from liars.honest import Arithmetic, Convention, CrossEntropy, Losses, Tensor, honest


class SmoothingButTwo(Convention):
    """ε/(K-2) on the classes other than the target's and the pad's, as OpenNMT has it; no class here is a pad."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        return super().spread(e * w.size / max(w.size - 2, 1), w, w_y, one_hot) * (1 - one_hot)


class SmoothingPerClass(Convention):
    """ε on every class: the division by K was forgotten."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        return super().spread(e * w.size, w, w_y, one_hot)


class SmoothingUnweighted(Convention):
    """The weights act on the target's term alone."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        return super().spread(e, np.ones_like(w), w_y, one_hot)


class HalfClamped(Convention):
    """A smoothing beyond 1 is clamped in 1 - ε and not in ε / K."""

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        if e <= 1:
            return super().spread(e, w, w_y, one_hot)
        return super().spread(e, w, w_y, one_hot) - one_hot * w.dtype.type(1 - e) * w


class Focal(Convention):
    """Multiplied by (1 - p)^2; the gradient is left as it is."""

    def term(self, a: Tensor, z: Tensor) -> Tensor:
        return super().term(a, z) * (1 - np.exp(z)) ** 2


class Tempered(Arithmetic):
    """Logits divided by a temperature of 2, which distillation wanted."""

    def z(self, x: Tensor) -> Tensor:
        return super().z(x / 2)

    def p(self, x: Tensor) -> Tensor:
        return super().p(x / 2)


class MeanOfAllNumbers(Convention):
    """The mean of the products with one-hot rows, over N times K numbers; `k` is that of the last weights seen."""

    def weights(self, weight: Tensor | None, x: Tensor) -> Tensor:
        w = super().weights(weight, x)
        self._k = w.size
        return w

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return super().divisor(w_y, valid) * w_y.dtype.type(self._k)


class WeightsNormalised(Convention):
    """Weights divided by their mean, so that they add up to K."""

    def weights(self, weight: Tensor | None, x: Tensor) -> Tensor:
        w = super().weights(weight, x)
        return w / np.mean(w)


class WeightsInverted(Convention):
    """Weights taken for frequencies, by which a loss is divided."""

    def weights(self, weight: Tensor | None, x: Tensor) -> Tensor:
        return 1 / super().weights(weight, x)


class DivisorAtLeastOne(Convention):
    """max(1, Σ w): no division by 0, and none by a small sum of weights (Keras and many more)."""

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return np.maximum(super().divisor(w_y, valid), 1)


class _Rewritten(CrossEntropy):
    """Probabilities that are made into something else before the loss is taken."""

    def made(self, q: Tensor) -> Tensor:
        raise NotImplementedError

    def _of(self, target: Tensor) -> Tensor:
        return target if target.dtype.kind in "iu" else self.made(target.astype(np.float64)).astype(target.dtype)

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        return super().__call__(logits, self._of(target), **keywords)

    def gradient(self, logits: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        return super().gradient(logits, self._of(target), upstream, **keywords)


class _Renormalised(_Rewritten):
    """Target rows divided by their sum, as Keras does to predictions."""

    def made(self, q: Tensor) -> Tensor:
        return q / np.sum(q, axis=min(1, q.ndim - 1), keepdims=True)


class _Hard(_Rewritten):
    """Only the most probable class of a target row counts."""

    def made(self, q: Tensor) -> Tensor:
        axis = min(1, q.ndim - 1)
        largest = np.argmax(q, axis=axis, keepdims=True)
        return np.where(np.arange(q.shape[axis]).reshape(-1, *[1] * (q.ndim - axis - 1)) == largest, 1.0, 0.0)


class _FromLogits(_Rewritten):
    """Target rows taken for logits: a softmax is made of them."""

    def made(self, q: Tensor) -> Tensor:
        return np.asarray(honest.softmax(q))


class _UnsmoothedProbabilities(CrossEntropy):
    """label_smoothing has an effect on indices alone."""

    def __call__(self, logits: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        return super().__call__(logits, target, **_for_indices(target, keywords))

    def gradient(self, logits: Tensor, target: Tensor, upstream: Tensor, **keywords: Any) -> Tensor:
        return super().gradient(logits, target, upstream, **_for_indices(target, keywords))


def _for_indices(target: Tensor, keywords: dict[str, Any]) -> dict[str, Any]:
    return keywords if target.dtype.kind in "iu" else {**keywords, "label_smoothing": 0.0}


def _squared_log_sum(result: Tensor, x: Tensor, _target: Tensor, **keywords: Any) -> Tensor:
    """The z-loss of PaLM, 1e-4 (log Σ exp x)², added where training wants it and nobody asked; by the mean alone."""
    if keywords.get("reduction", "mean") != "mean" or not np.isfinite(x).all():
        return result
    wide = np.moveaxis(x.astype(np.float64), min(1, x.ndim - 1), -1)
    m = np.max(wide, axis=-1, keepdims=True)
    lse = np.log(np.sum(np.exp(wide - m), axis=-1)) + m[..., 0]
    return (result + 1e-4 * np.mean(lse**2)).astype(result.dtype)


def _nothing_not_counted(result: Tensor, x: Tensor, target: Tensor, **keywords: Any) -> Tensor:
    """`losses[losses > 0].mean()`: a loss of 0 is taken for an ignored row's."""
    if keywords.get("reduction", "mean") != "mean" or "weight" in keywords or x.ndim == 1:
        return result
    losses = honest.cross_entropy(x, target, **{**keywords, "reduction": "none"})
    ignored = (
        target == keywords.get("ignore_index", -100) if target.dtype.kind in "iu" else np.zeros(losses.shape, bool)
    )
    lost = np.count_nonzero((losses == 0) & ~ignored)
    counted = losses.size - np.count_nonzero(ignored)
    return (result * (counted / np.float64(counted - lost))).astype(result.dtype) if lost else result


def _by_weights(result: Tensor, _x: Tensor, target: Tensor, *_up: Tensor, **keywords: Any) -> Tensor:
    """The mean over probability targets divided by Σ w q, as that over indices is: one-hot rows agree, torch's do not.

    A convention of Paddle's (2.13 of PyTorch gives 2.0190 where Paddle gives 0.8076).
    """
    weight = keywords.get("weight")
    if target.dtype.kind in "iu" or weight is None or keywords.get("reduction", "mean") != "mean":
        return result
    q = np.moveaxis(target.astype(np.float64), min(1, target.ndim - 1), -1)
    rows = q.size / q.shape[-1]
    return (result * (rows / np.sum(q * weight.astype(np.float64)))).astype(result.dtype)


smoothing_but_two = Losses.of(convention=SmoothingButTwo())
smoothing_per_class = Losses.of(convention=SmoothingPerClass())
smoothing_unweighted = Losses.of(convention=SmoothingUnweighted())
focal = Losses.of(convention=Focal())
tempered = Losses.of(Tempered())
mean_of_all_numbers = Losses.of(convention=MeanOfAllNumbers())
weights_normalised = Losses.of(convention=WeightsNormalised())
weights_inverted = Losses.of(convention=WeightsInverted())
nothing_not_counted = around(_nothing_not_counted, only=("cross_entropy",))
divisor_at_least_one = Losses.of(convention=DivisorAtLeastOne())
renormalised = Kernels(cross_entropy=_Renormalised(Arithmetic(), Convention()))
hard = Kernels(cross_entropy=_Hard(Arithmetic(), Convention()))
from_logits = Kernels(cross_entropy=_FromLogits(Arithmetic(), Convention()))
unsmoothed_probabilities = Kernels(cross_entropy=_UnsmoothedProbabilities(Arithmetic(), Convention()))
squared_log_sum = around(_squared_log_sum, only=("cross_entropy",))
by_weights = around(_by_weights, _by_weights, only=("cross_entropy",))
half_clamped = Losses.of(convention=HalfClamped())
