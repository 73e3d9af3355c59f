"""How far a correct implementation may be from the exact value: absolute bounds, element by element.

Two models of arithmetic give two bounds (docs/numerics.md, part 2). *tight*: the format's own arithmetic, or binary32
rounded once for 16-bit formats, sums in lanes. *loose*: every operation rounded to the format, sums serial (kept in
binary32 for 16-bit formats, then rounded). An infinite bound is vacuous: nothing can be certified there.

Each formula is a row of docs/numerics.md; its terms are in `terms`, its model of arithmetic in `arithmetic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lossparity.arithmetic import SOURCES, Arithmetic, compounded, models, plus
from lossparity.constants import CHAIN, FAR, SCALE, TERM
from lossparity.departures import NONE, Departure, departure, entropy
from lossparity.reference import Answer, Block, Floats
from lossparity.reference.conventions import SPEC
from lossparity.terms import Terms, terms

__all__ = ["Bounds"]

# expm1 of more than this is formed as exp(z + t), lest it overflow before it meets its small factor.
_LARGE = 600.0
# Where the slope adds less than this share to an exponent's intercept, a number below the bound does without it.
_SLIGHT = 1.0 / 16
_NOTHING = np.zeros((1, 1))
# The formulas are evaluated in binary64 with fewer than 2**10 roundings.
_UP = 1.0 + 2.0**-40


@dataclass(frozen=True, eq=False)
class Bounds:
    """The bounds of one answer; `flushed`: whether the backend declares that it flushes subnormal numbers to 0."""

    answer: Answer
    flushed: bool

    @property
    def models(self) -> dict[str, Arithmetic]:
        """The models of arithmetic of `tight` and `loose`."""
        return models(self.answer.format, flushed=self.flushed)

    def terms(self, block: Block) -> Terms:
        """Return what the bounds of a block are made of."""
        return block.once("terms", lambda: terms(self.answer, block))

    def below(self, which: str, parts: Terms, exact: Floats) -> Floats:
        """Return numbers below the bounds `tight` or `loose`, and nearly always near, at a fraction of their cost."""
        with np.errstate(all="ignore"):
            return _finite(_evaluated(self.answer, parts, self.models[which], exact, True))

    def line(self, which: str, parts: Terms) -> tuple[Floats, Floats] | None:
        """Return a floor and a slope for each row: floor + slope * exact is below the bound of every element.

        None where no such line is known; it costs less than `below`, which is nearer.
        """
        problem, by = self.answer.problem, self.models[which]
        if self.answer.quantity == "gradient" or problem.operation not in _LINES or problem.convention != SPEC:
            return None
        if parts.open is not None or parts.classes == 1:
            return None
        with np.errstate(all="ignore"):
            floor, slope = _LINES[problem.operation](_Evaluation(self.answer, parts, by, _NOTHING, True, NONE))
            sign = 1.0 if problem.operation == "softmax" else -1.0
            return floor * (1 + by.output) + by.output_underflow, sign * (slope * (1 + by.output) + by.output)

    def both(self, parts: Terms, exact: Floats) -> tuple[Floats, Floats]:
        """Bound the error of every element, `exact` being its value (0 of what is not a number): tight and loose."""
        with np.errstate(all="ignore"):
            tight, loose = (
                _finite(_evaluated(self.answer, parts, by, exact, False)) * _UP for by in self.models.values()
            )
        # Loose is a model of its own, and need not contain the other.
        return tight, np.maximum(loose, tight)

    def of_block(self, block: Block, exact: Floats) -> tuple[Floats, Floats]:
        """Bound the error of every element of a block as `both` does, once; for blocks of few elements: it is kept."""
        return block.once(("bounds", self.flushed), lambda: self.both(self.terms(block), exact))

    def items(self, which: str, parts: Terms, exact: Floats) -> dict[str, Floats]:
        """Return what each source of error adds to the bound, in the order in which the sources are let in."""
        everything, before, found = self.models[which], np.zeros(np.shape(exact)), {}
        for n, source in enumerate(SOURCES):
            by = everything.only(SOURCES[: n + 1])
            with np.errstate(all="ignore"):
                bound = _finite(_evaluated(self.answer, parts, by, exact, False))
                # What makes a bound vacuous is infinite, and nothing after it adds to that.
                found[source], before = np.where(bound == before, 0.0, bound - before), bound
        return found


def _finite(bound: Floats) -> Floats:
    """A bound that could not be formed is vacuous."""
    return np.where(np.isnan(bound), np.inf, bound) if np.isnan(np.max(bound, initial=0.0)) else bound


def _evaluated(answer: Answer, parts: Terms, by: Arithmetic, exact: Floats, least: bool) -> Floats:
    change = departure(answer, by)
    natural = exact if change.factor == 1.0 else exact / change.factor
    bound = _Evaluation(answer, parts, by, natural, least, change).bound()
    if change is not NONE:
        bound = change.widened(bound, exact, by.underflow)
    if not (by.output or by.output_underflow):
        return bound
    # What is exact in binary32 here (0, 1, a selected entry) is a number of the format: rounding keeps it.
    return np.where(bound == 0, 0.0, bound + by.output * (np.abs(exact) + bound) + by.output_underflow)


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """One bound under one model of arithmetic."""

    answer: Answer
    t: Terms
    by: Arithmetic
    exact: Floats
    least: bool
    change: Departure

    @cached_property
    def size(self) -> Floats:
        """The exact magnitude."""
        return np.abs(self.exact)

    def bound(self) -> Floats:
        operation = self.answer.problem.operation
        if self.answer.quantity == "gradient":
            return _GRADIENTS.get(operation, _Evaluation._loss_gradient)(self)
        return _VALUES.get(operation, _Evaluation._reduced)(self)

    # Rows "sum", "softmax", "log S", "log-softmax" of docs/numerics.md.

    def _grown(self, intercept: Floats, slope: float, floor: Floats) -> Floats:
        """p (e^t - 1) + floor with t = intercept + slope d, also where e^t alone would overflow; e^t - 1 >= t.

        No error is left to a masked entry (S3), nor to a single class, whose p is 1 (S7).
        """
        p, shifted = self.t.p, self.t.shifted
        assert p is not None and shifted is not None
        if self.t.classes == 1:
            return np.zeros(p.shape)
        if self.least and np.all(slope * FAR.value < _SLIGHT * intercept):
            # e^t - 1 >= t + t^2 / 2
            bound = p * (intercept * (1 + intercept / 2))
        else:
            bound = shifted * -slope
            bound += intercept
            if self.least:
                bound *= p
            else:
                far = bound > _LARGE
                grown = np.expm1(np.where(far, _LARGE, bound)) * p
                bound = np.where(far, np.exp(bound + shifted - self.t.log_sum) - p, grown)
        bound += floor
        return bound if self.t.open is None else np.where(self.t.open, bound, 0.0)

    def _sigma(self) -> Floats:
        k, by = self.t.classes, self.by
        shifted = by.shifted(self.t.spread, k)
        growth = by.growth(k)
        sigma = (1 + growth) * (by.exp + (1 + by.exp) * shifted + k * by.underflow) + growth
        return np.where(sigma < 1, sigma, np.nan)

    def _softmax(self) -> Floats:
        by, sigma = self.by, self._sigma()
        intercept = np.log1p(by.exp) + self._divided(sigma) + self.change.moved
        return self._grown(intercept, by.shift, self._floor(sigma))

    def _divided(self, sigma: Floats) -> Floats:
        """ln((1 + u)^2 / (1 - sigma)): what the sum and the division by it add to the exponent of an error of p."""
        return 2 * np.log1p(self.by.divide) - np.log1p(-sigma)

    def _softmax_line(self) -> tuple[Floats, Floats]:
        sigma = self._sigma()
        intercept = np.log1p(self.by.exp) + self._divided(sigma)
        return self._floor(sigma), intercept * (1 + intercept / 2)

    def _log_softmax_line(self) -> tuple[Floats, Floats]:
        intercept, slope = self._line()
        return intercept - slope * self.t.log_sum, np.full(intercept.shape, slope)

    def _floor(self, sigma: Floats) -> Floats:
        """What underflow may take from p: of e, carried through the division, and of the quotient."""
        return 2 * self.by.underflow * (1 + self.by.divide) ** 2 / (1 - sigma)

    def _log_sum(self) -> Floats:
        return -np.log1p(-self._sigma()) * (1 + self.by.log) + self.by.log * self.t.log_sum

    def _line(self) -> tuple[Floats, float]:
        """Intercept and slope in d of log-softmax's bound."""
        by = self.by
        before = self._log_sum() + self.change.moved
        return before * (1 + by.unit) + by.unit * self.t.log_sum + by.underflow, by.shift * (1 + by.unit) + by.unit

    def _log_softmax(self) -> Floats:
        if self.t.classes == 1:
            return np.zeros(np.shape(self.exact))
        assert self.t.shifted is not None
        intercept, slope = self._line()
        bound = self.t.shifted * -slope
        bound += intercept
        return bound

    # The values.

    def _exact(self) -> Floats:
        return np.zeros(np.shape(self.size))

    def _exp(self) -> Floats:
        bound = self.size * self.by.exp + self.by.underflow
        return bound if self.t.open is None else np.where(self.t.open, bound, 0.0)

    def _row_sum(self) -> Floats:
        by, growth = self.by, self.by.growth(self.t.classes)
        return self.size * plus(by.exp, growth) + self.t.classes * by.underflow

    def _log_softmax_row_sum(self) -> Floats:
        if self.t.classes == 1:
            return np.zeros(np.shape(self.size))
        intercept, slope = self._line()
        errors = self.t.classes * intercept + slope * self.t.moment
        return errors + self.by.growth(self.t.classes) * (self.size + errors)

    def _samples(self) -> Floats:
        """Row "smoothed, and probability targets", or "weighted sample" where one entry is selected."""
        t, by, problem = self.t, self.by, self.answer.problem
        errors = np.zeros(t.total.shape)
        if problem.operation != "nll_loss" and t.classes > 1:
            intercept, slope = self._line()
            # Where no coefficient counts nothing is read, and a vacuous bound is of no account.
            errors = np.where(t.mass > 0, t.mass * intercept + slope * t.moment, 0.0)
        if t.simple:
            if not t.weighted:  # a selection and a sign
                return errors + (by.underflow if by.flushed else 0.0)
            return errors + by.unit * (t.total + errors) + by.underflow
        relative = plus(by.growth(t.classes), by.roundings(TERM.value))
        total = t.total
        if self._entropy.any():
            # Of log q', whose q' has been rounded, and of the subtraction.
            errors = errors + by.log * self._entropy + by.roundings(TERM.value + 1) * t.mass
            relative, total = plus(relative, by.unit), total + self._entropy
        # e / K may be subnormal before the class's weight multiplies it, and its products with w and z after that.
        return errors + relative * (total + errors) + by.underflow * (t.lost + t.classes + 2)

    @cached_property
    def _entropy(self) -> Floats:
        """What a convention subtracts from each loss, at most."""
        return entropy(self.answer.problem, self.t.mass)

    def _reduced(self) -> Floats:
        problem, by, errors = self.answer.problem, self.by, self._samples()
        if problem.reduction == "none":
            return errors
        error, total = (np.full((1, 1), np.sum(part)) for part in (errors, self.t.total + self._entropy))
        lost = by.underflow * (problem.count + 1 if by.flushed else 1)
        if problem.reduction == "sum":
            return error + by.growth(problem.count) * (total + error) + lost
        if self.t.divisor == 0:  # NaN or 0 by convention (N3), no quotient
            return np.zeros((1, 1))
        return (error + lost + self._averaging() * (total + error)) / self.t.divisor + by.underflow

    def _averaging(self) -> float:
        """Relative error of a mean: the sum, the divisor (a sum of weights), a reciprocal and a product."""
        growth = self.by.growth(self.answer.problem.count)
        below = growth if self.answer.problem.row_weights else 0.0
        if not below < 1:
            return np.inf
        return plus((growth + below) / (1 - below), compounded(self.by.divide, 2 + self._counting()))

    def _counting(self) -> int:
        """Roundings of the number of positions where it is no number of the format."""
        return int(self.answer.problem.count * self.by.divide > 1)

    # The gradients.

    def _saved(self) -> Floats:
        """Error of p, computed afresh or as exp of a saved z: a line in d above both exponents."""
        by, sigma = self.by, self._sigma()
        intercept, slope = self._line()
        above = np.log1p(by.exp) + np.maximum(intercept, self._divided(sigma))
        return self._grown(above, slope, self._floor(sigma))

    def _exp_gradient(self) -> Floats:
        by, up = self.by, np.abs(self.t.upstream)
        bound = self.size * (by.exp + (1 + by.exp) * by.unit) + by.underflow * (1 + up)
        return bound if self.t.open is None else np.where(self.t.open, bound, by.underflow)

    def _softmax_gradient(self) -> Floats:
        t, by, v = self.t, self.by, self.t.upstream
        e_p, growth, k = self._softmax(), self.by.growth(self.t.classes), self.t.classes
        assert t.p is not None
        # sum |v| E_p in closed form, from E_p <= p ((1 + c) e^(u d) - 1) + floor (row "softmax").
        sigma = self._sigma()
        c = (plus(by.exp, compounded(by.divide, 2)) + sigma) / (1 - sigma)
        floor = self._floor(sigma)
        e_v = c * t.v_p + (1 + c) * by.shifted(t.v_spread, k, t.v_most) + floor * t.v_size
        if k == 1:
            e_v = np.zeros(e_v.shape)
        e_s = e_v + plus(by.unit, growth) * (t.v_p + e_v) + k * by.underflow
        away = np.abs(v - t.mean)
        # p (v - s) and p v - p s are both in use: one rounding of each form is allowed for.
        inner = e_s + by.unit * (away + e_s)
        apart = by.unit * (t.p + e_p) * (np.abs(v) + np.abs(t.mean) + e_s)
        error = e_p * (away + inner) + t.p * inner + apart
        lost = 2 * by.underflow * (1 + np.abs(v) + np.abs(t.mean))
        return error + by.roundings(2) * (t.p * away + error) + lost

    def _log_softmax_gradient(self) -> Floats:
        t, by = self.t, self.by
        assert t.p is not None
        e_p, growth = self._saved(), by.growth(t.classes)
        lost = growth * t.v_size + t.classes * by.underflow  # where subnormals are flushed, each term may be lost
        computed = np.abs(t.v_sum) + lost
        error = e_p * computed + t.p * lost + by.unit * (t.p + e_p) * computed
        passed = by.roundings(CHAIN.value) * np.abs(t.upstream) if by.chained else 0.0
        return error + passed + by.unit * (self.size + error) + 2 * by.underflow * (1 + computed)

    def _loss_gradient(self) -> Floats:
        t, by, problem = self.t, self.by, self.answer.problem
        averaged = problem.reduction == "mean" and t.divisor != 0 and problem.convention.gradient == "divided"
        scale = np.abs(t.upstream) / t.divisor if averaged else np.abs(t.upstream)
        relative = by.roundings(SCALE.value + (self._counting() if averaged else 0))
        if averaged and t.weighted:
            relative = plus(relative, self._averaging())
        small = by.underflow * (2 * scale * t.mass + 2 * t.mass + 4)
        if problem.operation == "nll_loss" or t.classes == 1:
            bound = relative * self.size + small
        else:
            assert t.p is not None
            e_p = self._saved()
            term = by.roundings(TERM.value)
            lost = by.unit if t.simple else plus(by.unit, plus(by.growth(t.classes), term))
            # By parts of p and of its error, so that a row's factors are multiplied once.
            error = (scale * t.mass * (1 + lost)) * e_p
            error += (scale * t.mass * lost) * t.p
            if not t.simple:
                error = error + term * scale * t.a
                # The gradients of z are added up; each may be subnormal, or have underflowed.
                small = small + t.classes * by.underflow * (t.p + e_p)
                # So may e / K and its product with the class's weight, and a small divisor magnifies what they lost.
                small = small + by.underflow * scale * (t.factor + t.factors * (t.p + e_p))
            bound = (1 + relative) * error + relative * self.size + small
        return bound if t.valid is None else np.where(t.valid, bound, 0.0)


_VALUES = {
    "one_hot": _Evaluation._exact,
    "exp": _Evaluation._exp,
    "row_sum": _Evaluation._row_sum,
    "softmax": _Evaluation._softmax,
    "log_softmax": _Evaluation._log_softmax,
    "log_softmax_row_sum": _Evaluation._log_softmax_row_sum,
}
_LINES = {"softmax": _Evaluation._softmax_line, "log_softmax": _Evaluation._log_softmax_line}
_GRADIENTS = {
    "exp": _Evaluation._exp_gradient,
    "row_sum": _Evaluation._exp_gradient,
    "softmax": _Evaluation._softmax_gradient,
    "log_softmax": _Evaluation._log_softmax_gradient,
    "log_softmax_row_sum": _Evaluation._log_softmax_gradient,
}
