"""The spec's formulas in plain arithmetic, one step a method, so that a mistake is one step done otherwise.

It predicts what wrong code returns, to name the mistake. It never judges: its own rounding errors are not bounded,
only small, since it computes in the widest format that NumPy has unless a mistake is about the range of a narrower one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.formats import FORMATS
from lossparity.reference import Flags, Problem, Rows

__all__ = ["Evaluation", "Index", "Values"]

Values = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


class Evaluation:
    """One problem as M rows of K classes; whoever makes a mistake overrides the step that it is made in.

    `working` is the format computed in: `wide`, wider than that of the logits; `own`, that of the logits (binary32 for
    bfloat16, whose range it has); `single`, the same, and binary32 for 16 bits.
    """

    working = "wide"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.format = FORMATS[problem.first.format]
        self.dtype = self._dtype()
        self.rows = Rows(problem, slice(0, problem.count))
        self.classes = problem.classes

    def _dtype(self) -> np.dtype[Any]:
        if self.working == "wide":
            return np.dtype(np.longdouble if self.format.bits == 64 else np.float64)
        narrow = self.format.name if self.working == "own" and self.format.name != "bfloat16" else "float32"
        return np.dtype("float64" if self.format.bits == 64 else narrow)

    def rounded(self, values: Values, fmt: str = "") -> Values:
        """Round to a format, that of the logits unless one is named."""
        return self.of(FORMATS[fmt or self.format.name].round(values.astype(np.float64)))

    def of(self, values: Any) -> Values:
        """Bring numbers to the working format."""
        return np.asarray(values).astype(self.dtype)

    # A row.

    def logits(self) -> Values:
        """Return the first argument (M, K)."""
        return self.of(self.rows.raw)

    def largest(self, x: Values) -> Values:
        """Return what is subtracted of every logit."""
        return np.max(x, axis=1, keepdims=True)

    def exponentials(self, d: Values) -> Values:
        """Return exp of what is left."""
        return np.exp(d)

    def total(self, e: Values) -> Values:
        """Sum over the classes."""
        return np.sum(e, axis=1, keepdims=True)

    def p(self, x: Values) -> Values:
        """Return softmax."""
        e = self.exponentials(x - self.largest(x))
        return e / self.total(e)

    def z(self, x: Values) -> Values:
        """Return log-softmax."""
        d = x - self.largest(x)
        return d - np.log(self.total(self.exponentials(d)))

    def backward_p(self, x: Values) -> Values:
        """Return softmax as the backward pass has it."""
        return self.p(x)

    # What a loss means.

    def index(self) -> Index | None:
        """Return the targets (M,), none where they are probabilities."""
        return self.problem.index

    def valid(self) -> Flags:
        """Return which positions are not ignored (M,)."""
        return self.problem.valid

    def within(self, index: Index) -> tuple[Index, Flags]:
        """Return indices in [0, K), and which of them stand for nothing."""
        outside = (index < 0) | (index >= self.classes)
        return np.where(outside, 0, index), outside

    def lost(self) -> float:
        """Return the loss of an index outside [0, K)."""
        return math.nan

    def epsilon(self) -> Any:
        """Return the label smoothing."""
        return self.of(self.problem.smoothing)

    def weight(self) -> Values:
        """Return the class weights (K,)."""
        weight = self.problem.weight
        return self.of(np.ones(self.classes) if weight is None else weight)

    def spread(self, w: Values, one_hot: Values) -> Values:
        """Return each class's share of the smoothing, its weight included."""
        return np.broadcast_to(w * self.epsilon() / self.classes, one_hot.shape)

    def coefficients(self) -> tuple[Values, Values, Flags, Flags]:
        """Return a of l = -sum_c a_c z_c (M, K), each row's own weight, which rows count and which are lost (M,)."""
        w, index = self.weight(), self.index()
        if index is None:
            assert self.rows.soft is not None
            q, everything = self.of(self.rows.soft), np.ones(self.problem.count, dtype=np.bool_)
            a = w * q * (1 - self.epsilon()) + self.spread(w, np.zeros_like(q))
            return a, np.ones(self.problem.count, self.dtype), everything, ~everything
        valid = self.valid()
        index, outside = self.within(np.where(valid, index, 0))
        one_hot = self.of(np.arange(self.classes) == index[:, None])
        a = one_hot * w * (1 - self.epsilon()) + self.spread(w, one_hot)
        return self.kept(a, valid), np.where(valid, w[index], 0), valid, outside & valid

    def kept(self, a: Values, valid: Flags) -> Values:
        """Return the coefficients with those of ignored rows gone."""
        return np.where(valid[:, None], a, 0)

    def read(self, z: Values, a: Values, valid: Flags) -> Values:  # noqa: ARG002
        """Return z with what must not be looked at, an ignored row, replaced by 0."""
        return np.where(valid[:, None], z, 0)

    def term(self, a: Values, z: Values) -> Values:
        """Return -a z; a coefficient of 0 adds 0 also where it multiplies an infinite z."""
        return np.where((a == 0) & np.isinf(z), 0, a * -z)

    def losses(self, a: Values, z: Values) -> Values:
        """Return each row's loss (M,)."""
        return np.sum(self.term(a, z), axis=1)

    def summed(self, losses: Values) -> Values:
        """Sum over the rows."""
        return np.sum(losses)

    def divisor(self, own: Values, valid: Flags) -> Any:  # noqa: ARG002
        """Return what the mean divides by."""
        return np.sum(own)

    def reduction(self) -> str:
        """Return the reduction that is made."""
        return self.problem.reduction

    def upstream(self) -> Values:
        """Return the upstream gradient: (M, K), (M, 1) or (1, 1)."""
        return self.of(self.rows.upstream)

    def mass(self, a: Values) -> Values:
        """Return what multiplies p in the gradient."""
        return np.sum(a, axis=1, keepdims=True)

    def inner(self, a: Values, x: Values) -> Values:
        """Return the gradient of each row's loss."""
        if self.problem.operation == "nll_loss":
            return -a
        return self.mass(a) * self.backward_p(x) - a

    def scale(self, upstream: Values, divisor: Any) -> Values:
        """Return the factor of every row's gradient."""
        return self.averaged(upstream, divisor) if self.reduction() == "mean" else upstream

    def averaged(self, total: Values, divisor: Any) -> Values:
        """Divide by the divisor of the mean; a mean over nothing is NaN, whatever smoothing adds above it (N3)."""
        return np.asarray(np.where(divisor == 0, np.nan, total / divisor), dtype=self.dtype)

    # Results.

    def value(self) -> Values:
        """Return the value, in its shape."""
        operation, x = self.problem.operation, self.logits()
        if operation in ("softmax", "log_softmax"):
            return self.problem.placed(self.p(x) if operation == "softmax" else self.z(x))
        a, own, valid, lost = self.coefficients()
        z = np.where(a == 0, 0, x) if operation == "nll_loss" else self.z(x)
        losses = self.losses(a, self.read(z, a, valid))
        losses = np.where(lost, self.lost(), losses)
        if self.reduction() == "none":
            return losses.reshape(self.problem.positions)
        total = self.summed(losses)
        return np.asarray(self.averaged(total, self.divisor(own, valid)) if self.reduction() == "mean" else total)

    def gradient(self) -> Values:
        """Return the gradient, in the shape of the first argument."""
        operation, x = self.problem.operation, self.logits()
        if operation == "softmax":
            rows = self.through_softmax(self.p(x), self.upstream())
        elif operation == "log_softmax":
            rows = self.through_log_softmax(x, np.broadcast_to(self.upstream(), x.shape))
        else:
            rows = self.through_loss(x)
        return self.problem.placed(rows)

    def through_log_softmax(self, x: Values, v: Values) -> Values:
        """Return v - p sum v."""
        return v - self.backward_p(x) * np.sum(v, axis=1, keepdims=True)

    def through_loss(self, x: Values) -> Values:
        """Return the gradient of a loss (M, K)."""
        a, own, valid, lost = self.coefficients()
        g = self.passed(self.inner(a, x), valid) * self.scale(self.upstream(), self.divisor(own, valid))
        return np.where(lost[:, None], self.lost(), g)

    def passed(self, g: Values, valid: Flags) -> Values:
        """Return the rows' gradients with those of ignored rows gone."""
        return np.where(valid[:, None], g, 0)

    def through_softmax(self, p: Values, v: Values) -> Values:
        """Return p (v - sum p v)."""
        return p * (v - np.sum(p * v, axis=1, keepdims=True))
