"""Softmax, log-softmax, NLL and cross-entropy as a careful user writes them for NumPy, of two exchangeable parts.

`Arithmetic` says how numbers are computed, `Convention` what a loss means; whoever lies overrides one of their
methods. Inside, the class axis is the last one and 16-bit formats are binary32. Nothing is imported from lossparity.
"""

# What a liar's override needs is passed to every method.
# ruff: noqa: ARG002

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Arithmetic", "Convention", "CrossEntropy", "LogSoftmax", "Losses", "NllLoss", "Softmax", "Tensor", "honest"]

Tensor = npt.NDArray[Any]


class Arithmetic:
    """How a row is computed; K classes on the last axis, in the format that `opened` chose."""

    def opened(self, x: Tensor) -> Tensor:
        """Bring the class axis to the end, and 16-bit formats to binary32."""
        return np.moveaxis(x.astype(self.working(x.dtype)), min(1, x.ndim - 1), -1)

    def working(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the format that a format is computed in."""
        return np.dtype(np.float32) if dtype.itemsize == 2 else dtype

    def closed(self, x: Tensor, like: Tensor) -> Tensor:
        """Bring the class axis back, and the numbers to the format of `like`."""
        return np.ascontiguousarray(np.moveaxis(x, -1, min(1, like.ndim - 1)).astype(like.dtype))

    def largest(self, x: Tensor) -> Tensor:
        return np.max(x, axis=-1, keepdims=True)

    def shifted(self, x: Tensor) -> Tensor:
        return x - self.largest(x)

    def exponentials(self, d: Tensor) -> Tensor:
        return np.exp(d)

    def added(self, terms: Tensor) -> Tensor:
        """Sum over the last axis, which stays with length 1."""
        return np.sum(terms, axis=-1, keepdims=True)

    def denominator(self, exponentials: Tensor) -> Tensor:
        return self.added(exponentials)

    def p(self, x: Tensor) -> Tensor:
        e = self.exponentials(self.shifted(x))
        return e / self.denominator(e)

    def z(self, x: Tensor) -> Tensor:
        d = self.shifted(x)
        return d - np.log(self.denominator(self.exponentials(d)))

    def saved_p(self, x: Tensor) -> Tensor:
        """Softmax as the backward pass of log-softmax and cross-entropy has it."""
        return self.p(x)


def _averaged(total: Any, divisor: Any) -> Any:
    """Divide by a mean's divisor; over nothing it is NaN, whatever smoothing has left above it (N3)."""
    return np.where(divisor == 0, np.asarray(np.nan, total.dtype), total / divisor)


class Convention:
    """What a loss means: the coefficients a of l = -sum_c a_c z_c, the divisor of the mean, the upstream gradient."""

    def epsilon(self, label_smoothing: float) -> float:
        return label_smoothing

    def weights(self, weight: Tensor | None, x: Tensor) -> Tensor:
        return np.ones(x.shape[-1], x.dtype) if weight is None else weight.astype(x.dtype)

    def within(self, index: Tensor, k: int) -> Tensor:
        """Return the indices, all of them in [0, K)."""
        if np.any((index < 0) | (index >= k)):
            raise IndexError(f"a target is outside [0, {k})")
        return index

    def spread(self, e: float, w: Tensor, w_y: Tensor, one_hot: Tensor) -> Tensor:
        """Return the smoothing mass of each class, its weight included; an ignored row is 0 in `one_hot`."""
        return w * w.dtype.type(e / w.size) * np.any(one_hot, axis=-1, keepdims=True)

    def mass(self, a: Tensor, by: Arithmetic) -> Tensor:
        """Return the sum of the coefficients, which multiplies p in the gradient."""
        return by.added(a).astype(a.dtype)

    def divisor(self, w_y: Tensor, valid: npt.NDArray[np.bool_]) -> Any:
        """Return what a mean over index targets divides by; `w_y` is 0 where ignored."""
        return np.sum(w_y)

    def read(self, a: Tensor, z: Tensor) -> Tensor:
        """Return z with what must not be looked at, an ignored row, replaced by 0."""
        return np.where(np.any(a != 0, axis=-1, keepdims=True), z, z.dtype.type(0))

    def term(self, a: Tensor, z: Tensor) -> Tensor:
        """Return -a z; a coefficient of 0 adds 0 also where it multiplies an infinite z, but NaN stays NaN."""
        return np.where((a == 0) & np.isinf(z), 0, a * -z)

    def reduced(self, losses: Tensor, divisor: Any, reduction: str, by: Arithmetic) -> Tensor:
        if reduction == "none":
            return losses
        total = by.added(losses.reshape(-1))[0]
        return _averaged(total, divisor) if reduction == "mean" else total

    def scale(self, upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
        """Return the factor that every loss's gradient is multiplied by."""
        return _averaged(upstream, divisor) if reduction == "mean" else upstream


@dataclass(frozen=True)
class Softmax:
    """softmax(logits), and its gradient."""

    arithmetic: Arithmetic

    def __call__(self, logits: Tensor) -> Tensor:
        by = self.arithmetic
        return by.closed(by.p(by.opened(logits)), logits)

    def gradient(self, logits: Tensor, upstream: Tensor) -> Tensor:
        by = self.arithmetic
        p, v = by.p(by.opened(logits)), by.opened(upstream)
        return by.closed(p * (v - by.added(p * v).astype(v.dtype)), logits)


@dataclass(frozen=True)
class LogSoftmax:
    """log_softmax(logits), and its gradient."""

    arithmetic: Arithmetic

    def __call__(self, logits: Tensor) -> Tensor:
        by = self.arithmetic
        return by.closed(by.z(by.opened(logits)), logits)

    def gradient(self, logits: Tensor, upstream: Tensor) -> Tensor:
        by = self.arithmetic
        p, v = by.saved_p(by.opened(logits)), by.opened(upstream)
        # The sum may be beyond the range of the format.
        return by.closed(v - p * by.added(v), logits)


@dataclass(frozen=True)
class _Loss:
    arithmetic: Arithmetic
    convention: Convention

    def _coefficients(
        self, x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, label_smoothing: float
    ) -> tuple[Tensor, Any]:
        w, k, e = self.convention.weights(weight, x), x.shape[-1], self.convention.epsilon(label_smoothing)
        if target.dtype.kind not in "iu":
            q = self.arithmetic.opened(target)
            rows = q.size // k
            return w * (q * q.dtype.type(1 - e) + q.dtype.type(e / k)), np.float32(rows) if x.itemsize == 2 else rows
        valid = target != ignore_index
        index = self.convention.within(np.where(valid, target, 0), k)
        w_y = np.where(valid, w[index], w.dtype.type(0))
        one_hot = ((np.arange(k) == index[..., None]) & valid[..., None]).astype(x.dtype)
        a = one_hot * (w * w.dtype.type(1 - e)) + self.convention.spread(e, w, w_y, one_hot)
        # Sums of weights and counts of rows may be beyond the range of a 16-bit format.
        wide = w_y.astype(np.float32) if w_y.itemsize == 2 else w_y
        return a, self.convention.divisor(wide, valid)

    def _value(self, z: Tensor, a: Tensor, divisor: Any, reduction: str, like: Tensor) -> Tensor:
        losses = self.arithmetic.added(self.convention.term(a, self.convention.read(a, z)))[..., 0]
        return np.asarray(self.convention.reduced(losses, divisor, reduction, self.arithmetic)).astype(like.dtype)

    def _scale(self, upstream: Tensor, divisor: Any, reduction: str) -> Tensor:
        up = upstream.astype(self.arithmetic.working(upstream.dtype))
        return self.convention.scale(up, divisor, reduction).astype(up.dtype)[..., None]


@dataclass(frozen=True)
class NllLoss(_Loss):
    """nll_loss(log_probs, target), and its gradient; only the target's entry of a row is read."""

    def __call__(
        self,
        log_probs: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> Tensor:
        z = self.arithmetic.opened(log_probs)
        a, divisor = self._coefficients(z, target, weight, ignore_index, 0.0)
        return self._value(np.where(a == 0, 0, z), a, divisor, reduction, log_probs)

    def gradient(
        self,
        log_probs: Tensor,
        target: Tensor,
        upstream: Tensor,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> Tensor:
        z = self.arithmetic.opened(log_probs)
        a, divisor = self._coefficients(z, target, weight, ignore_index, 0.0)
        return self.arithmetic.closed(-a * self._scale(upstream, divisor, reduction), log_probs)


@dataclass(frozen=True)
class CrossEntropy(_Loss):
    """cross_entropy(logits, target), for indices and probabilities, and its gradient."""

    def __call__(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> Tensor:
        x = self.arithmetic.opened(logits)
        a, divisor = self._coefficients(x, target, weight, ignore_index, label_smoothing)
        return self._value(self.arithmetic.z(x), a, divisor, reduction, logits)

    def gradient(
        self,
        logits: Tensor,
        target: Tensor,
        upstream: Tensor,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> Tensor:
        by = self.arithmetic
        x = by.opened(logits)
        a, divisor = self._coefficients(x, target, weight, ignore_index, label_smoothing)
        inner = self.convention.read(a, self.convention.mass(a, by) * by.saved_p(x) - a)
        return by.closed(inner * self._scale(upstream, divisor, reduction), logits)


@dataclass(frozen=True)
class Losses:
    """The four operations, of one arithmetic and one convention."""

    softmax: Softmax
    log_softmax: LogSoftmax
    nll_loss: NllLoss
    cross_entropy: CrossEntropy

    @classmethod
    def of(cls, arithmetic: Arithmetic | None = None, convention: Convention | None = None) -> Losses:
        """Put the operations together; what is not given is honest."""
        by, of = arithmetic or Arithmetic(), convention or Convention()
        return cls(Softmax(by), LogSoftmax(by), NllLoss(by, of), CrossEntropy(by, of))


honest = Losses.of()
