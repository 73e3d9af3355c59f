"""How far a correct implementation may be from the exact value: absolute bounds, element by element.

Two models of arithmetic give two bounds (docs/numerics.md, part 2). *tight*: the format's own arithmetic, or binary32
rounded once for 16-bit formats, sums in lanes. *loose*: every operation rounded to the format, sums serial (kept in
binary32 for 16-bit formats, then rounded). An infinite bound is vacuous: nothing can be certified there.

The formulas cite their row in docs/numerics.md. They are evaluated in binary64 with expm1 and log1p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossparity.formats import FORMATS, Format
from lossparity.reference.enclosures import Balls
from lossparity.reference.formulas import coefficients, core, divisor
from lossparity.reference.rows import ELEMENTWISE, Floats, Rows

__all__ = ["Bounds", "bounds"]

# Ulps of exp and log that a correct library may lose. Measured worst on torch 2.13, TensorFlow 2.21, JAX 0.10.2 and
# NumPy 2.4 (x86-64): 1.51 in binary64, 3.36 in binary32; .50 where a 16-bit result is rounded from binary32.
_FUNCTION_ULPS = {"float64": 2.0, "float32": 4.0, "rounded": 1.0}
# Partial sums side by side in a vectorised reduction, at least: 256-bit registers.
_LANES = {"float64": 4, "float32": 8}
# Roundings that form one term a_c z_c: 1 - e, e / K, the products with q, w and z, and the addition of the two parts.
_TERM = 5
# Roundings that form one gradient element from its parts: upstream / D (as a reciprocal and a product), its product
# with the weight, the difference, and the final product.
_SCALE = 5
# Roundings that an upstream gradient takes on its way through log(exp / sum) differentiated step by step: v / p, the
# product with 1 / s, the product with e, and those inside p itself. A fused backward pass has one.
_CHAIN = 5
# expm1 of more than this is formed as exp(z + t), lest it overflow before it meets its small factor.
_FAR = 600.0


@dataclass(frozen=True)
class Bounds:
    """Both bounds, in the shape of the result."""

    tight: Floats
    loose: Floats


@dataclass(frozen=True)
class Arithmetic:
    """A model of computer arithmetic: u, function errors, underflow, and how sums are formed."""

    u: float
    eta: float
    underflow: float
    sum_unit: float
    lanes: int
    sum_rounded: bool

    def growth(self, n: int) -> float:
        """Relative error G of a sum of n terms of one sign: (1 + u)^h - 1, rounded to the format where kept wider."""
        height = max(n - 1, 0)
        if self.lanes > 1:
            height = min(height, -(-n // self.lanes) + self.lanes.bit_length() - 1)
        steps = height * np.log1p(self.sum_unit) + (np.log1p(self.u) if self.sum_rounded else 0.0)
        return float(np.expm1(steps))

    def roundings(self, n: int) -> float:
        """Relative error of n roundings in a row: (1 + u)^n - 1."""
        return float(np.expm1(n * np.log1p(self.u)))


def _arithmetic(fmt: Format, *, serial: bool, flushed: bool, narrow: bool = False) -> Arithmetic:
    # binary16 is computed without flushing everywhere; elsewhere a framework may flush subnormals to 0.
    gradual = not flushed or fmt.name == "float16"
    underflow = fmt.half_smallest_subnormal if gradual else fmt.smallest_normal
    if narrow:
        single = FORMATS["float32"]
        return Arithmetic(fmt.unit, 2 * _FUNCTION_ULPS["rounded"] * fmt.unit, underflow, single.unit, 1, True)
    lanes = 1 if serial else _LANES[fmt.name]
    return Arithmetic(fmt.unit, 2 * _FUNCTION_ULPS[fmt.name] * fmt.unit, underflow, fmt.unit, lanes, False)


def bounds(rows: Rows, quantity: str, fmt: str, exact: Floats, *, flushed: bool) -> Bounds:
    """Bound the error of a value or gradient in a format; `exact` is the result itself, in its own shape.

    `flushed`: whether the backend declares that it flushes subnormal numbers to 0.
    """
    own = FORMATS[fmt]
    with np.errstate(all="ignore"):
        terms = _Terms.of(rows)
        if own.bits > 16:
            tight = _shaped(rows, quantity, terms.bound(quantity, _arithmetic(own, serial=False, flushed=flushed)))
            loose = _shaped(rows, quantity, terms.bound(quantity, _arithmetic(own, serial=True, flushed=flushed)))
        else:
            single = _arithmetic(FORMATS["float32"], serial=False, flushed=flushed)
            narrow = _arithmetic(own, serial=True, flushed=flushed, narrow=True)
            wide = _shaped(rows, quantity, terms.bound(quantity, single))
            rounded = wide + own.unit * (np.abs(np.where(np.isfinite(exact), exact, 0)) + wide) + narrow.underflow
            # What is exact in binary32 here (0, 1, a selected entry) is a number of the format: rounding keeps it.
            tight = np.where(wide == 0, 0.0, rounded)
            loose = _shaped(rows, quantity, terms.bound(quantity, narrow))
        return Bounds(_vacuous(tight), np.maximum(_vacuous(loose), _vacuous(tight)))


def _vacuous(bound: Floats) -> Floats:
    return np.where(np.isnan(bound), np.inf, bound)


def _shaped(rows: Rows, quantity: str, bound: Floats) -> Floats:
    m, k = rows.x.shape
    if quantity == "gradient" or rows.operation in ELEMENTWISE:
        return rows.restore(np.broadcast_to(bound, (m, k)))
    return rows.restore(bound.reshape(m)) if rows.reduction == "none" else bound.reshape(())


@dataclass(frozen=True)
class _Terms:
    """The exact quantities that the bounds are made of, in binary64."""

    rows: Rows
    p: Floats
    d: Floats
    log_sum: Floats
    minus_z: Floats
    a: Floats
    divisor: float

    @classmethod
    def of(cls, rows: Rows) -> _Terms:
        if rows.operation == "nll_loss":
            magnitude = np.where(np.isfinite(rows.x), np.abs(rows.x), 0.0)
            nothing = np.zeros(rows.x.shape)
            parts = (nothing, nothing, np.zeros((rows.x.shape[0], 1)), magnitude)
        else:
            found = core(rows, Balls.of(0.0))
            parts = (found.p.mid, found.d.mid, found.log_sum.mid, found.minus_z.mid)
        a = np.broadcast_to(coefficients(rows, Balls.of(0.0)).mid, rows.x.shape)
        return cls(rows, *parts, a, float(divisor(rows, Balls.of(0.0)).mid[0, 0]))

    def bound(self, quantity: str, by: Arithmetic) -> Floats:
        return self._value(by) if quantity == "value" else self._gradient(by)

    # Rows "sum", "softmax", "log S", "log-softmax" of docs/numerics.md.

    def _raised(self, by: Arithmetic) -> Floats:
        """t with 1 + rho = e^t: the relative error of an exponential, its argument's rounding included."""
        return by.u * self.d + np.log1p(by.eta)

    def _grown(self, t: Floats) -> Floats:
        """p (e^t - 1), also where e^t alone would overflow."""
        return np.where(t < _FAR, self.p * np.expm1(np.minimum(t, _FAR)), np.exp(t - self.minus_z) - self.p)

    def _sigma(self, by: Arithmetic) -> Floats:
        k = self.rows.x.shape[1]
        growth = by.growth(k)
        sigma = (1 + growth) * np.sum(self._grown(self._raised(by)), axis=1, keepdims=True) + growth + k * by.underflow
        return np.where(sigma < 1, sigma, np.nan)

    def _softmax(self, by: Arithmetic) -> Floats:
        sigma = self._sigma(by)
        t = self._raised(by) + 2 * np.log1p(by.u) - np.log1p(-sigma)
        return self._where_open(self._grown(t) + 2 * by.underflow * (1 + by.u) / (1 - sigma))

    def _where_open(self, bound: Floats) -> Floats:
        """Leave no error to a masked entry (S3), nor to a single class, whose p is 1 (S7)."""
        return np.where(self.rows.masked | self.rows.dead[:, None] | (self.rows.x.shape[1] == 1), 0.0, bound)

    def _log_sum(self, by: Arithmetic) -> Floats:
        return -np.log1p(-self._sigma(by)) * (1 + by.eta) + by.eta * self.log_sum

    def _log_softmax(self, by: Arithmetic) -> Floats:
        before = self._log_sum(by) + by.u * self.d
        bound = before + by.u * (self.minus_z + before) + by.underflow
        return np.zeros(bound.shape) if self.rows.x.shape[1] == 1 else bound

    # The losses.

    def _value(self, by: Arithmetic) -> Floats:
        rows, name = self.rows, self.rows.operation
        if name == "one_hot":
            return np.zeros(rows.x.shape)
        if name == "exp":
            return np.where(rows.masked, 0.0, np.exp(rows.x) * by.eta + by.underflow)
        if name == "row_sum":
            k, growth = rows.x.shape[1], by.growth(rows.x.shape[1])
            total = np.sum(np.where(rows.masked, 0.0, np.exp(rows.x)), axis=1, keepdims=True)
            return total * (by.eta + growth + by.eta * growth) + k * by.underflow
        if name == "softmax":
            return self._softmax(by)
        if name == "log_softmax":
            return self._log_softmax(by)
        if name == "log_softmax_row_sum":
            errors = np.sum(self._log_softmax(by), axis=1, keepdims=True)
            total = np.sum(self.minus_z, axis=1, keepdims=True)
            return errors + by.growth(rows.x.shape[1]) * (total + errors)
        return self._reduced(self._samples(by), by)

    def _samples(self, by: Arithmetic) -> Floats:
        """Row "smoothed, and probability targets", or "weighted sample" where one entry is selected."""
        rows = self.rows
        each = np.zeros(rows.x.shape) if rows.operation == "nll_loss" else self._log_softmax(by)
        counted = self.a != 0
        errors = np.sum(np.where(counted, self.a * each, 0.0), axis=1, keepdims=True)
        total = np.sum(np.where(counted, self.a * self.minus_z, 0.0), axis=1, keepdims=True)
        if rows.hard and rows.smoothing == 0:
            return errors + (by.u * (total + errors) + by.underflow if rows.weighted else 0.0)
        k = rows.x.shape[1]
        relative = (1 + by.growth(k)) * (1 + by.roundings(_TERM)) - 1
        # e / K may be subnormal before the class's weight multiplies it, and its products with w and z after that.
        lost = np.sum(np.where(counted, (1 + rows.weight) * self.minus_z, 0.0), axis=1, keepdims=True)
        small = by.underflow * (lost + k + 2)
        return errors + relative * (total + errors) + small

    def _reduced(self, errors: Floats, by: Arithmetic) -> Floats:
        rows = self.rows
        if rows.reduction == "none":
            return errors
        losses = np.sum(np.where(self.a != 0, self.a * self.minus_z, 0.0), axis=1, keepdims=True)
        error, total, n = np.sum(errors), np.sum(losses), rows.x.shape[0]
        growth = by.growth(n)
        if not rows.divided:
            return np.asarray(error + growth * (total + error) + by.underflow)
        if self.divisor == 0:  # NaN or 0 by convention (N3), no quotient
            return np.zeros(())
        relative = self._averaging(by)
        return np.asarray((error + relative * (total + error)) / self.divisor + by.underflow)

    def _averaging(self, by: Arithmetic) -> float:
        """Relative error of a mean: the sum, the divisor (a sum of weights), a reciprocal and a product."""
        growth = by.growth(self.rows.x.shape[0])
        below = growth if self.rows.weighted and self.rows.hard else 0.0
        return (1 + growth) / (1 - below) * (1 + by.roundings(2)) - 1 if below < 1 else np.inf

    # The gradients.

    def _saved(self, by: Arithmetic) -> Floats:
        """Error of p, computed afresh or as exp of a saved z, whichever is larger."""
        t = self._log_softmax(by) + np.log1p(by.eta)
        return np.maximum(self._softmax(by), self._where_open(self._grown(t) + by.underflow))

    def _gradient(self, by: Arithmetic) -> Floats:
        rows, up = self.rows, np.abs(self.rows.upstream)
        if rows.operation in ("exp", "row_sum"):
            g = np.where(rows.masked, 0.0, up * np.exp(rows.x))
            return g * (by.eta + (1 + by.eta) * by.u) + by.underflow * (1 + up)
        if rows.operation == "softmax":
            return self._softmax_gradient(by)
        if rows.operation in ("log_softmax", "log_softmax_row_sum"):
            return self._log_softmax_gradient(by)
        return self._loss_gradient(by, up)

    def _softmax_gradient(self, by: Arithmetic) -> Floats:
        v, p = self.rows.upstream, self.p
        e_p, growth, k = self._softmax(by), by.growth(self.rows.x.shape[1]), self.rows.x.shape[1]
        size = np.sum(np.abs(v) * (p + e_p), axis=1, keepdims=True)
        e_s = np.sum(np.abs(v) * e_p, axis=1, keepdims=True) + (by.u + growth + by.u * growth) * size + k * by.underflow
        s = np.sum(p * v, axis=1, keepdims=True)
        # p (v - s) and p v - p s are both in use: one rounding of each form is allowed for.
        inner = e_s + by.u * (np.abs(v - s) + e_s)
        apart = by.u * (p + e_p) * (np.abs(v) + np.abs(s) + e_s)
        error = e_p * (np.abs(v - s) + inner) + p * inner + apart
        return error + by.roundings(2) * (p * np.abs(v - s) + error) + 2 * by.underflow * (1 + np.abs(v) + np.abs(s))

    def _log_softmax_gradient(self, by: Arithmetic) -> Floats:
        v, p = np.broadcast_to(self.rows.upstream, self.rows.x.shape), self.p
        e_p, growth = self._saved(by), by.growth(self.rows.x.shape[1])
        size = np.sum(np.abs(v), axis=1, keepdims=True)
        total = np.abs(np.sum(v, axis=1, keepdims=True))
        computed = total + growth * size
        error = e_p * computed + p * growth * size + by.u * (p + e_p) * computed
        g = np.abs(v - p * np.sum(v, axis=1, keepdims=True))
        passed = by.roundings(_CHAIN) * np.abs(v) if by.lanes == 1 else 0.0
        return error + passed + by.u * (g + error) + 2 * by.underflow * (1 + computed)

    def _loss_gradient(self, by: Arithmetic, up: Floats) -> Floats:
        rows, a = self.rows, self.a
        averaged = rows.divided and self.divisor != 0
        small = 0.0
        scale = up / self.divisor if averaged else up
        mass = np.sum(a, axis=1, keepdims=True)
        if rows.operation == "nll_loss":
            error, g = np.zeros(rows.x.shape), scale * a
        else:
            g = scale * np.abs(mass * self.p - a)
            e_p = self._saved(by)
            error = mass * e_p + by.u * mass * (self.p + e_p)
            if not (rows.hard and rows.smoothing == 0):
                growth = by.growth(rows.x.shape[1])
                error = error + growth * mass * (self.p + e_p) + by.roundings(_TERM) * a
                # The gradients of z are added up; each may be subnormal, or have underflowed.
                small = rows.x.shape[1] * by.underflow * (self.p + e_p)
            error = scale * error
        relative = (1 + by.roundings(_SCALE)) * (1 + (self._averaging(by) if averaged and rows.weighted else 0.0)) - 1
        small = small + by.underflow * (2 * scale * mass + 2 * mass + 4)
        return np.where(rows.valid[:, None], error + relative * (g + error) + small, 0.0)
