"""Right by other means: algorithms in use elsewhere, none of which the suite may flag in any format."""

from __future__ import annotations

from typing import Any

import numpy as np

from liars.honest import Arithmetic, Losses, Tensor


class Widened(Arithmetic):
    """Everything in a wider format, rounded once at the end."""

    def working(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(np.longdouble if dtype == np.float64 else np.float64)


class OneAfterAnother(Arithmetic):
    """Sums term by term, from the first class to the last."""

    def added(self, terms: Tensor) -> Tensor:
        return np.add.accumulate(terms, axis=-1)[..., -1:]


class Backwards(Arithmetic):
    """Sums term by term, from the last class to the first."""

    def added(self, terms: Tensor) -> Tensor:
        return np.add.accumulate(terms[..., ::-1], axis=-1)[..., -1:]


class Halving(Arithmetic):
    """Sums as a reduction tree adds them: one half onto the other, until one number is left."""

    def added(self, terms: Tensor) -> Tensor:
        while (k := terms.shape[-1]) > 1:
            paired = terms[..., : k // 2] + terms[..., k // 2 : k - k % 2]
            terms = np.concatenate([paired, terms[..., k - k % 2 :]], axis=-1)
        return terms


class Online(Arithmetic):
    """One pass over blocks of classes with a running maximum, to which the sum so far is rescaled."""

    def _passed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        m = np.full((*x.shape[:-1], 1), -np.inf, x.dtype)
        s = np.zeros_like(m)
        for block in np.array_split(x, min(x.shape[-1], 40), axis=-1):
            # While every class so far is masked there is no maximum to shift by.
            higher = np.maximum(m, self.largest(block))
            by = np.where(np.isneginf(higher), 0, higher)
            s = s * np.exp(m - by) + self.added(np.exp(block - by))
            m = higher
        return m, s

    def p(self, x: Tensor) -> Tensor:
        m, s = self._passed(x)
        return np.exp(x - m) / s

    def z(self, x: Tensor) -> Tensor:
        m, s = self._passed(x)
        return (x - m) - np.log(s)


class RestApart(Arithmetic):
    """log S as log1p of the sum without one largest term, which is accurate where p is near 1."""

    def z(self, x: Tensor) -> Tensor:
        d = self.shifted(x)
        first = np.arange(x.shape[-1]) == np.argmax(x, axis=-1)[..., None]
        # Of the largest term's exp(d) = 1 nothing is left but its d: 0, or NaN where the largest logit is infinite.
        return d - np.log1p(self.added(np.where(first, d, np.exp(d))))


class Compensated(Arithmetic):
    """Sums of 32 lanes with the errors of the additions carried along (Neumaier), until one number is left."""

    def added(self, terms: Tensor) -> Tensor:
        while (k := terms.shape[-1]) > 1:
            lanes = -(-k // 32)
            padding = np.zeros((*terms.shape[:-1], -k % lanes), terms.dtype)
            first, *others = np.split(np.concatenate([terms, padding], axis=-1), -(-k // lanes), axis=-1)
            total, lost = first, np.zeros_like(first)
            for one in others:
                grown = total + one
                rest = np.where(np.abs(total) >= np.abs(one), (total - grown) + one, (one - grown) + total)
                total, lost = grown, lost + np.where(np.isfinite(grown), rest, 0)
            terms = total + lost
        return terms


class ExponentialOfLogarithm(Arithmetic):
    """Softmax as exp of log-softmax: no division."""

    def p(self, x: Tensor) -> Tensor:
        return np.exp(self.z(x))


class Reciprocal(Arithmetic):
    """One division a row, and products."""

    def p(self, x: Tensor) -> Tensor:
        e = np.exp(self.shifted(x))
        return e * (1 / self.denominator(e))


class Saved(Arithmetic):
    """The backward pass takes exp of the log-softmax that the forward pass left."""

    def saved_p(self, x: Tensor) -> Tensor:
        return np.exp(self.z(x))


class OwnFormat(OneAfterAnother):
    """Every operation rounded to the format, 16 bits too; only sums over classes and rows are kept in binary32."""

    def working(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return dtype

    def added(self, terms: Tensor) -> Tensor:
        return super().added(terms.astype(np.float32) if terms.itemsize == 2 else terms)

    def p(self, x: Tensor) -> Tensor:
        return super().p(x).astype(x.dtype)

    def z(self, x: Tensor) -> Tensor:
        d = self.shifted(x)
        return d - np.log(self.denominator(np.exp(d))).astype(x.dtype)


class SavedInFormat(OwnFormat):
    """In the format itself, and the backward pass takes exp of the log-softmax, which was rounded to the format."""

    def saved_p(self, x: Tensor) -> Tensor:
        return np.exp(self.z(x))


class Sorted(OneAfterAnother):
    """Sums of the terms in rising order, so that small ones are not lost one by one."""

    def added(self, terms: Tensor) -> Tensor:
        return super().added(np.take_along_axis(terms, np.argsort(np.abs(terms), axis=-1), axis=-1))


class BaseTwo(Arithmetic):
    """Powers of 2 whose whole part is taken off before the product with log2 e is rounded (Cody and Waite)."""

    def exponentials(self, d: Tensor) -> Tensor:
        of = d.dtype.type
        whole = np.nan_to_num(np.rint(d * of(np.log2(np.e))), neginf=np.finfo(d.dtype).minexp * 2)
        # ln 2 in two parts, the first so short that its product with a whole number is exact.
        high = of(np.round(np.log(2) * 2.0**9) / 2.0**9)
        rest = (d - whole * high) - whole * of(np.log(2) - float(high))
        return np.ldexp(np.exp2(rest * of(np.log2(np.e))), whole.astype(np.int32))

    def z(self, x: Tensor) -> Tensor:
        d = self.shifted(x)
        return d - np.log2(self.denominator(self.exponentials(d))) * x.dtype.type(np.log(2))


class PadsMasked(Arithmetic):
    """Blocks of 32 classes added lane by lane, the last one padded with -inf, and the lanes at the end."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        padding = [(0, 0)] * (exponentials.ndim - 1) + [(0, -exponentials.shape[-1] % 32)]
        blocks = np.pad(exponentials, padding).reshape(*exponentials.shape[:-1], -1, 32)
        return self.added(np.sum(blocks, axis=-2))


class WholeShift(Arithmetic):
    """Shifted by a whole number near the largest logit, as one takes it who keeps the shift in an integer."""

    def largest(self, x: Tensor) -> Tensor:
        m = super().largest(x)
        return np.where(np.isfinite(m) & (np.abs(m) < 64), np.rint(m), m)


widened = Losses.of(Widened())
one_after_another = Losses.of(OneAfterAnother())
backwards = Losses.of(Backwards())
halving = Losses.of(Halving())
compensated = Losses.of(Compensated())
exponential_of_logarithm = Losses.of(ExponentialOfLogarithm())
online = Losses.of(Online())
rest_apart = Losses.of(RestApart())
reciprocal = Losses.of(Reciprocal())
saved = Losses.of(Saved())
own_format = Losses.of(OwnFormat())
saved_in_format = Losses.of(SavedInFormat())
in_rising_order = Losses.of(Sorted())
base_two = Losses.of(BaseTwo())
pads_masked = Losses.of(PadsMasked())
whole_shift = Losses.of(WholeShift())
