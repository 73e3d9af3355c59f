"""Liars whose numbers go wrong: the definition is right, the computation of it is not."""

# An override keeps the signature of what it replaces.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

import numpy as np

from liars.correct import OwnFormat
from liars.honest import Arithmetic, Losses, Tensor


class Unshifted(Arithmetic):
    """exp(x) as the definition has it: it overflows."""

    def largest(self, x: Tensor) -> Tensor:
        return np.zeros((*x.shape[:-1], 1), x.dtype)


class LogSumExpSubtracted(Arithmetic):
    """x - (m + log S): what m absorbs of log S is lost, the more the larger m is."""

    def z(self, x: Tensor) -> Tensor:
        m = self.largest(x)
        return x - (m + np.log(self.denominator(self.exponentials(x - m))))


class LastClassDropped(Arithmetic):
    """A loop over the classes that ends one too early."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        return self.added(exponentials[..., : max(1, exponentials.shape[-1] - 1)])


class FirstClassDropped(Arithmetic):
    """A loop that leaves class 0 out, which is the padding's in somebody's vocabulary."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        return self.added(exponentials[..., min(1, exponentials.shape[-1] - 1) :])


class TailDropped(Arithmetic):
    """A loop over vectors of four classes without the remainder loop."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        k = exponentials.shape[-1]
        return self.added(exponentials[..., : max(k - k % 4, 1)])


class SmallFlushed(Arithmetic):
    """Probabilities below 1e-7 become 0, as if they were noise."""

    def p(self, x: Tensor) -> Tensor:
        p = super().p(x)
        return np.where(p < 1e-7, p.dtype.type(0), p)


class Clipped(Arithmetic):
    """The logarithm of p clipped to [1e-7, 1 - 1e-7]."""

    def z(self, x: Tensor) -> Tensor:
        return np.log(np.clip(self.p(x), x.dtype.type(1e-7), x.dtype.type(1 - 1e-7)))


class EpsilonInLogarithm(Arithmetic):
    """log(p + 1e-7), lest it be log 0."""

    def z(self, x: Tensor) -> Tensor:
        return np.log(self.p(x) + x.dtype.type(1e-7))


class SummedInFormat(OwnFormat):
    """A running sum kept in the 16-bit format itself: it overflows, or stops growing."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        return np.add.accumulate(exponentials, axis=-1)[..., -1:]


class CoarseExponentials(Arithmetic):
    """Exponentials that travel through binary16: 11 bits, where binary32 and binary64 promise more."""

    def exponentials(self, d: Tensor) -> Tensor:
        return np.exp(d).astype(np.float16).astype(d.dtype)


class FastExponential(Arithmetic):
    """exp as 2^n times a polynomial of degree 3 in the fraction, good to 2^-13.5, as kernels have it that are short of
    special function units.
    """

    def exponentials(self, d: Tensor) -> Tensor:
        power = d * d.dtype.type(1 / np.log(2))
        # Below the smallest number there is nothing left; -inf has no fraction.
        power = np.maximum(power, d.dtype.type(2 * np.finfo(d.dtype).minexp))
        whole = np.floor(power)
        f = power - whole
        for_fraction = ((f * 0.07711908966 + 0.22756439447) * f + 0.69514614343) * f + 1
        return np.ldexp(for_fraction.astype(d.dtype), np.nan_to_num(whole).astype(np.int32))


class CommonLogarithm(Arithmetic):
    """log10 for log, with the gradient that natural logarithms have."""

    def z(self, x: Tensor) -> Tensor:
        return super().z(x) * x.dtype.type(1 / np.log(10))


class ComputedInBinary32(Arithmetic):
    """binary64 logits cast to binary32 on entry, as accelerators like them."""

    def working(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(np.float32)


class MaskedAsLeast(Arithmetic):
    """-inf replaced by the format's least number: the class stays in the row, with a finite z."""

    def opened(self, x: Tensor) -> Tensor:
        wide = super().opened(x)
        return np.where(np.isneginf(wide), np.finfo(wide.dtype).min, wide)


class NanReplaced(Arithmetic):
    """NaN logits replaced by 0: the row looks healthy."""

    def opened(self, x: Tensor) -> Tensor:
        wide = super().opened(x)
        return np.where(np.isnan(wide), 0, wide)


class Twice(Arithmetic):
    """The log-softmax of probabilities, because the caller's model already ends in a softmax."""

    def z(self, x: Tensor) -> Tensor:
        return super().z(self.p(x))


class RunnerUp(Arithmetic):
    """Logits relative to the second largest: with one class there is none, and what comes back is NaN."""

    def z(self, x: Tensor) -> Tensor:
        z = super().z(x)
        return z if x.shape[-1] > 1 else np.full_like(z, np.nan)


class MixedAtInfinity(Arithmetic):
    """A row holding +inf is NaN at that class and -inf at the others."""

    def z(self, x: Tensor) -> Tensor:
        d = self.shifted(x)
        e = self.exponentials(d)
        return d - np.log(self.denominator(np.where(np.isposinf(x), 1, e)))


class InPlace(Arithmetic):
    """The shift written into the caller's array."""

    def opened(self, x: Tensor) -> Tensor:
        if x.dtype.kind == "f" and x.itemsize > 2:
            x -= np.max(x, axis=min(1, x.ndim - 1), keepdims=True)
        return super().opened(x)


class ClassesLast(Arithmetic):
    """The last axis taken for the class axis, which is the one after the first."""

    def opened(self, x: Tensor) -> Tensor:
        return x.astype(self.working(x.dtype))

    def closed(self, x: Tensor, like: Tensor) -> Tensor:
        return x.astype(like.dtype)


class LogarithmOfSoftmax(Arithmetic):
    """log(exp(x - m) / S): -inf where the quotient underflows."""

    def z(self, x: Tensor) -> Tensor:
        return np.log(self.p(x))


unshifted = Losses.of(Unshifted())
log_sum_exp_subtracted = Losses.of(LogSumExpSubtracted())
last_class_dropped = Losses.of(LastClassDropped())
first_class_dropped = Losses.of(FirstClassDropped())
tail_dropped = Losses.of(TailDropped())
small_flushed = Losses.of(SmallFlushed())
clipped = Losses.of(Clipped())
epsilon_in_logarithm = Losses.of(EpsilonInLogarithm())
summed_in_format = Losses.of(SummedInFormat())
coarse_exponentials = Losses.of(CoarseExponentials())
fast_exponential = Losses.of(FastExponential())
common_logarithm = Losses.of(CommonLogarithm())
computed_in_binary32 = Losses.of(ComputedInBinary32())
masked_as_least = Losses.of(MaskedAsLeast())
nan_replaced = Losses.of(NanReplaced())
twice = Losses.of(Twice())
runner_up = Losses.of(RunnerUp())
mixed_at_infinity = Losses.of(MixedAtInfinity())
in_place = Losses.of(InPlace())
classes_last = Losses.of(ClassesLast())
logarithm_of_softmax = Losses.of(LogarithmOfSoftmax())
