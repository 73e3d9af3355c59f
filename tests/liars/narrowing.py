"""Liars that lose bits: one step, one result or one count in a format that cannot hold it."""

# An override keeps the signature of what it replaces.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from liars.around import Kernels, around
from liars.honest import Arithmetic, Convention, Losses, NllLoss, Tensor

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class LogarithmInBinary32(Arithmetic):
    """The logarithm alone by a function of binary32, which is what the accelerator's library has."""

    def z(self, x: Tensor) -> Tensor:
        d = self.shifted(x)
        return d - np.log(self.denominator(self.exponentials(d)).astype(np.float32)).astype(x.dtype)


class SumInBinary32(Arithmetic):
    """The exponentials of binary64 added up in an accumulator of binary32."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        return self.added(exponentials.astype(np.float32)).astype(exponentials.dtype)


class SavedInBinary16(Arithmetic):
    """The log-softmax kept for the backward pass in binary16, which takes exp of it."""

    def saved_p(self, x: Tensor) -> Tensor:
        return np.exp(self.z(x).astype(np.float16).astype(x.dtype))


class ReciprocalInBinary16(Arithmetic):
    """1 / S from a table of binary16, without the Newton step that should follow."""

    def p(self, x: Tensor) -> Tensor:
        e = self.exponentials(self.shifted(x))
        return e * (1 / self.denominator(e)).astype(np.float16).astype(e.dtype)


class EpsilonInBfloat16(Convention):
    """The keyword cast to bfloat16 with all other parameters of the model."""

    def epsilon(self, label_smoothing: float) -> float:
        return float(BFLOAT16.type(label_smoothing))


class WeightsInBfloat16(Convention):
    """The class weights cast to bfloat16 with all other parameters of the model."""

    def weights(self, weight: Tensor | None, x: Tensor) -> Tensor:
        w = super().weights(weight, x)
        return w if weight is None else w.astype(BFLOAT16).astype(w.dtype)


class DivisorInBinary16(Convention):
    """The count of rows in binary16, where a count of 65600 is infinite and 131 thousandths of a mean are nothing."""

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        return w_y.dtype.type(np.float16(np.sum(w_y)))


class IndicesInBinary16(Convention):
    """Targets that come in one tensor with the features, in binary16: 2051 becomes 2052."""

    def within(self, index: Tensor, k: int) -> Tensor:
        return super().within(index.astype(np.float16).astype(np.int64), k)


class IndicesInUint8(Convention):
    """Targets stored as bytes, which wrap around at 256."""

    def within(self, index: Tensor, k: int) -> Tensor:
        return super().within(index.astype(np.uint8).astype(np.int64), k)


class LossesAddedInBinary16(Convention):
    """The losses of the rows added up in binary16: what has grown to 2048 stops growing by ones."""

    def reduced(self, losses: Tensor, divisor: Any, reduction: str, by: Arithmetic) -> Tensor:
        if reduction == "none":
            return losses
        total = losses.dtype.type(np.add.accumulate(losses.reshape(-1).astype(np.float16))[-1])
        return np.asarray(total / divisor if reduction == "mean" else total)


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


def _through_bfloat16(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """The result sent to another device in bfloat16."""
    return result.astype(BFLOAT16).astype(result.dtype)


def _promoted(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """binary64, because one operand was a scalar of NumPy's."""
    return result.astype(np.float64)


def _binary32(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """The gradient in binary32 whatever the logits are in: the optimiser wants it so."""
    return result.astype(np.float32)


logarithm_in_binary32 = Losses.of(LogarithmInBinary32())
sum_in_binary32 = Losses.of(SumInBinary32())
saved_in_binary16 = Losses.of(SavedInBinary16())
reciprocal_in_binary16 = Losses.of(ReciprocalInBinary16())
epsilon_in_bfloat16 = Losses.of(convention=EpsilonInBfloat16())
weights_in_bfloat16 = Losses.of(convention=WeightsInBfloat16())
divisor_in_binary16 = Losses.of(convention=DivisorInBinary16())
indices_in_binary16 = Losses.of(convention=IndicesInBinary16())
indices_in_uint8 = Losses.of(convention=IndicesInUint8())
losses_added_in_binary16 = Losses.of(convention=LossesAddedInBinary16())
through_bfloat16 = around(_through_bfloat16)
promoted = around(_promoted)
gradient_in_binary32 = around(gradient=_binary32)
flat_index = Kernels(nll_loss=_FlatIndex(Arithmetic(), Convention()))
