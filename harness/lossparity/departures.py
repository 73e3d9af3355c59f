"""What a convention other than the spec's adds to the error that a bound allows.

Coefficients and divisor come from the reference, and what is formed from them is covered as it is. Where a convention
computes something more, its error is bounded here; where nobody has derived that, the bound is vacuous.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lossparity.arithmetic import Arithmetic, plus
from lossparity.constants import TERM
from lossparity.reference import Answer, Floats, Problem
from lossparity.reference.conventions import SPEC

__all__ = ["NONE", "Departure", "departure", "entropy"]

# Up to this error of a first softmax the second one's bound changes by less than half of it (`_moved`).
_SMALL = 1.0 / 16


@dataclass(frozen=True)
class Departure:
    """How a bound of the spec's formula becomes that of a convention's.

    `moved` is added to the error of every log p; the result is `factor` times the spec's, and off by `relative` of
    itself as well. A `vacuous` one allows anything but what is exactly 0.
    """

    moved: float = 0.0
    factor: float = 1.0
    relative: float = 0.0
    vacuous: bool = False

    def widened(self, bound: Floats, exact: Floats, underflow: float) -> Floats:
        """Return the bound of the convention's result from that of the spec's, which is 0 where nothing is computed."""
        if self.vacuous:
            return np.where((bound == 0) & (exact == 0), 0.0, np.inf)
        wider = bound * (self.factor * (1 + self.relative))
        if self.relative:
            wider = wider + np.where(bound == 0, 0.0, self.relative * np.abs(exact) + underflow)
        return wider


NONE = Departure()
"""What the spec's own convention adds: nothing."""


def departure(answer: Answer, by: Arithmetic) -> Departure:
    """Return what the answer's convention adds to its bounds in one arithmetic."""
    problem = answer.problem
    if problem.convention is SPEC or problem.convention == SPEC:
        return NONE
    gradient = answer.quantity == "gradient"
    moved = _moved(problem, by) if problem.twice else 0.0
    # No gradient is derived of a softmax twice, nor anything of log p where the ends of a clip are numbers of a format.
    unknown = (gradient and problem.twice) or problem.clip is not None or _cancelling(problem) or not moved < _SMALL
    factor, relative = 1.0, 0.0
    if problem.base is not None:
        # The constant, and its product with what is computed in natural logarithms.
        factor, relative = 1 / math.log(problem.base), by.roundings(2)
    if problem.weight is not None and problem.convention.weights in ("target", "averaged"):
        own = _own_weight(problem, by)
        # The weight of each row multiplies it; the mean divides by their sum.
        relative += 2 * own / (1 - own) if own < 1 else np.inf
    return Departure(moved, factor, relative, unknown)


def _moved(problem: Problem, by: Arithmetic) -> float:
    """Bound the error of log p in a second softmax that comes from its logits, the first one's p.

    With u the shift's unit, p (c e^(u d) - 1) <= (c - 1) + c u / 2, as d e^(-(1 - u) d) <= 1 / 2. An error w of every
    logit changes log p by at most 2 w; the second bound, taken at the exact p, by less than another w.
    """
    k, growth = problem.classes, by.growth(problem.classes)
    spread = float(by.shifted(math.log(max(k, 1)), k))
    sigma = (1 + growth) * (by.exp + (1 + by.exp) * spread + k * by.underflow) + growth
    if not sigma < 1:
        return np.inf
    c = (1 + by.exp) * (1 + by.divide) ** 2 / (1 - sigma)
    return 3 * ((c - 1) + c * by.shift / 2 + 2 * by.underflow * (1 + by.divide) ** 2 / (1 - sigma))


def _cancelling(problem: Problem) -> bool:
    """Whether 1 - e K / (K - 1), as it is also computed, may lose more than the roundings that are counted."""
    n, e = problem.others, problem.smoothing
    if n == problem.classes or e == 0:
        return False
    return problem.soft is not None or e * problem.classes > 0.5 * n


def _own_weight(problem: Problem, by: Arithmetic) -> float:
    """Relative error of a row's own weight: a sum over the classes, or the one of its target."""
    if problem.convention.weights == "target" and problem.soft is None:
        return 0.0
    growth, terms = by.growth(problem.classes), by.roundings(TERM.value)
    return plus(growth, terms)


def entropy(problem: Problem, mass: Floats) -> Floats:
    """Bound the sum of a_c |log q'_c| of rows whose coefficients add up to `mass`; 0 where none is subtracted.

    log is concave: sum a_c log(1 / q'_c) <= A log(sum (a_c / q'_c) / A) with A = sum a_c, and a_c / q'_c is a weight.
    """
    if problem.operation != "cross_entropy" or problem.convention.entropy == "kept":
        return np.zeros((1, 1))
    most = problem.classes * (1.0 if problem.weight is None else float(problem.weight.max(initial=0.0)))
    if problem.weight is not None and problem.convention.weights != "class" and problem.soft is not None:
        most *= problem.classes
    return np.where(mass > 0, mass * np.maximum(np.log(most / mass), 0.0), 0.0)
