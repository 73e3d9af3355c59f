"""Kernels simulated operation by operation, correct ones and ones made wrong on purpose, and their share of a bound.

A `Machine` rounds every operation to a format, forms sums in a stated order, and loses up to c ulp in exp and log in
directions chosen against the result. No correct kernel may exceed the bound of its arithmetic; a wrong one must.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.bounds import Bounds
from lossparity.formats import FORMATS, Array, ulp
from lossparity.reference import Answer, Problem
from lossparity.spec import OPERATIONS

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ULPS = {"float64": 2, "float32": 4, "bfloat16": 1, "float16": 1}
ORDERS = ("serial", "lanes", "pairwise", "blocked", "native")
SIGNS = ("none", "random", "against", "for")
WIDE = {"float64": "float64", "float32": "float32", "bfloat16": "float32", "float16": "float32"}


def rounded(values: Any, fmt: str) -> Floats:
    """Round binary64 numbers to a format, as `Format.round` does (test_bounds compares them) in a third of the time."""
    x = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if fmt != "bfloat16":
            return np.asarray(x.astype(FORMATS[fmt].storage), dtype=np.float64)
        # To nearest even at the 7th of 52 bits of the significand; a carry into the exponent is as it should be.
        bits = np.ascontiguousarray(x).view(np.int64).reshape(x.shape)
        y = ((bits + (2**44 - 1) + ((bits >> 45) & 1)) & -(2**45)).view(np.float64)
        odd = ~((np.abs(x) >= FORMATS[fmt].smallest_normal) & (np.abs(y) <= FORMATS[fmt].largest) | (x == 0))
        if odd.any():
            y[odd] = FORMATS[fmt].round(x[odd])
        return y


@dataclass(frozen=True)
class Inputs:
    """What a kernel is given, as rows: logits x and target q (n, k), weight (k,), valid and upstream (n, 1) or wider.

    `hard`: q comes from class indices.
    """

    operation: str
    x: Floats
    q: Floats
    weight: Floats
    valid: Flags
    upstream: Floats
    hard: bool
    weighted: bool
    smoothing: float
    reduction: str

    @classmethod
    def of(cls, problem: Problem) -> Inputs:
        """Read a problem whose first argument has two axes."""
        rows = problem.rows(np.arange(problem.count))
        n, k = rows.raw.shape
        q = np.zeros((n, k)) if rows.soft is None else rows.soft
        if rows.index is not None:
            q[np.arange(n)[rows.known], rows.index[rows.known]] = 1.0
        weight = np.ones(k) if problem.weight is None else problem.weight
        return cls(
            problem.operation,
            rows.raw,
            q,
            weight,
            rows.valid[:, None],
            rows.upstream,
            rows.index is not None,
            problem.weight is not None,
            problem.smoothing,
            problem.reduction,
        )


@dataclass
class Machine:
    """One way to compute: a format, an order of summation, the errors of exp and log, and what underflow does.

    Operands are binary64 numbers of the format. Operations are computed in binary64 and rounded once more, which is
    the correctly rounded result for formats of 24 bits and less; binary64 itself is computed as it is.
    """

    format: str
    order: str = "serial"
    signs: str = "none"
    reciprocal: bool = False
    flush: bool = False
    sums_in: str = ""
    seed: int = 0

    @cached_property
    def _rng(self) -> np.random.RandomState:
        return np.random.RandomState(self.seed)

    @cached_property
    def _inner(self) -> Machine:
        return replace(self, format=self.sums_in or self.format)

    def r(self, values: Any) -> Floats:
        """Round to the format, and flush what is subnormal where the machine does."""
        y = rounded(values, self.format)
        if self.flush and self.format != "float16":
            y = np.where(np.abs(y) < FORMATS[self.format].smallest_normal, 0.0, y)
        return y

    def lost(self, exact: Floats) -> Floats:
        """Return a number of the format within c ulp of an exp or log, off in the direction of the moment."""
        if self.signs == "none":
            return self.r(exact)
        spacing = ulp(exact, FORMATS[self.format])
        if self.signs == "random":
            direction = self._rng.choice([-1.0, 1.0], exact.shape)
        else:
            # One class of each row errs one way and all the others the other way.
            direction = np.full(exact.shape, 1.0 if self.signs == "against" else -1.0)
            direction[..., 0] = -direction[..., 0]
        # Below the normal numbers one more ulp would be more than c ulp of a function good to c ulp there.
        steps = np.where(np.abs(exact) < FORMATS[self.format].smallest_normal, 0, ULPS[self.format])
        if exact.shape[-1] == 1:  # S7: of a single class p is 1 and z is 0, so exp(0) and log(1) are exact
            steps = np.where((exact == 1) | (exact == 0), 0, steps)
        if self.format == "float64":  # NumPy's own function has lost up to 1 ulp already
            return np.where(steps > 0, exact + direction * spacing, exact)
        off = exact + direction * steps * spacing
        with np.errstate(invalid="ignore"):
            grid = np.where(direction > 0, np.floor(off / spacing), np.ceil(off / spacing)) * spacing
        return self.r(np.where((steps > 0) & np.isfinite(exact), grid, exact))

    def exp(self, x: Floats) -> Floats:
        """Exponential, good to c ulp."""
        with np.errstate(over="ignore", under="ignore"):
            return self.lost(np.exp(x))

    def log(self, x: Floats) -> Floats:
        """Logarithm, good to c ulp."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.lost(np.log(x))

    def sum(self, terms: Floats) -> Floats:
        """Sum over the last axis, kept; a machine of 16 bits keeps the sum in binary32 and rounds it at the end."""
        return self.r(self._inner.added(terms))

    def added(self, terms: Floats) -> Floats:
        """Add in this machine's order, every partial sum rounded."""
        n = terms.shape[-1]
        if self.format != "bfloat16" and (self.order == "native" or (self.order == "serial" and n and not self.flush)):
            own = terms.astype(FORMATS[self.format].storage)
            with np.errstate(over="ignore", invalid="ignore"):
                every = (
                    np.sum(own, axis=-1, keepdims=True) if self.order == "native" else np.add.accumulate(own, axis=-1)
                )
            return np.asarray(every[..., -1:], dtype=np.float64)
        if self.order in ("pairwise", "blocked") and n > 1:
            block = {"pairwise": 1, "blocked": 4 if n < 256 else 32}[self.order]
            if n > block:
                half = -(-n // block) // 2 * block
                return self.r(self.added(terms[..., :half]) + self.added(terms[..., half:]))
        lanes = {"lanes": 4 if self.format == "float64" else 8}.get(self.order, 1)
        parts = np.zeros((*terms.shape[:-1], min(lanes, max(n, 1))))
        for start in range(0, n, parts.shape[-1]):
            chunk = terms[..., start : start + parts.shape[-1]]
            parts[..., : chunk.shape[-1]] = self.r(parts[..., : chunk.shape[-1]] + chunk)
        while parts.shape[-1] > 1:
            left = parts.shape[-1] % 2
            folded = self.r(parts[..., left::2] + parts[..., left + 1 :: 2])
            parts = np.concatenate([parts[..., :left], folded], axis=-1)
        return parts

    def over(self, a: Floats, b: Floats | float) -> Floats:
        """Divide, or multiply by the rounded reciprocal."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self.r(a * self.r(1.0 / np.asarray(b))) if self.reciprocal else self.r(a / b)

    # The family, one rounding an operation.

    def parts(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Return -d, e and their sum."""
        negative = self.r(x - np.max(x, axis=-1, keepdims=True))
        e = self.exp(negative)
        return negative, e, self.sum(e)

    def softmax(self, x: Floats) -> Floats:
        """Shift, exponentiate, add up, divide."""
        _, e, s = self.parts(x)
        return self.over(e, s)

    def log_softmax(self, x: Floats) -> Floats:
        """Shift, subtract the logarithm of the sum."""
        negative, _, s = self.parts(x)
        return self.r(negative - self.log(s))

    def coefficients(self, given: Inputs) -> Floats:
        """Return w_c q'_c, each step rounded; 0 in ignored rows."""
        if given.hard and given.smoothing == 0:
            return self.r(given.weight * given.q)
        spread = self.r(given.smoothing / given.x.shape[1])
        smoothed = self.r(self.r(self.r(1 - given.smoothing) * given.q) + spread)
        return np.where(given.valid, self.r(given.weight * smoothed), 0.0)

    def samples(self, given: Inputs, split: bool) -> Floats:
        """Return the losses, from the coefficients or as nll and smoothing term apart."""
        minus_z = -given.x if given.operation == "nll_loss" else -self.log_softmax(given.x)
        if not (split and given.hard):
            a = self.coefficients(given)
            return self.sum(self.r(_product(a, minus_z)))
        nll = self.r(np.sum(_product(given.weight * given.q, minus_z), axis=-1, keepdims=True))
        if given.smoothing == 0:
            return nll
        spread = self.r(given.smoothing / given.x.shape[1])
        smooth = self.sum(self.r(_product(np.where(given.valid, given.weight, 0.0), minus_z)))
        return self.r(self.r(_product(self.r(1 - given.smoothing), nll)) + self.r(spread * smooth))

    def reduced(self, given: Inputs, losses: Floats) -> Floats:
        """Return the losses, their sum, or their mean."""
        if given.reduction == "none":
            return losses
        total = self.sum(losses.T)
        return self.over(total, self.divisor(given)) if given.reduction == "mean" else total

    def divisor(self, given: Inputs) -> Floats:
        """Return the sum of the targets' weights, or the number of positions rounded to the format."""
        if given.hard and given.weighted:
            return self.sum(np.sum(given.weight * given.q, axis=1, keepdims=True).T)
        return self.r(np.full((1, 1), float(given.valid.sum())))

    def scale(self, given: Inputs) -> Floats:
        """Return upstream over the divisor."""
        return self.over(given.upstream, self.divisor(given)) if given.reduction == "mean" else given.upstream

    def saved(self, given: Inputs, *, again: bool) -> Floats:
        """Return p computed afresh, or as exp of a saved log-softmax."""
        return self.exp(self.log_softmax(given.x)) if again else self.softmax(given.x)

    def gradient(self, given: Inputs, form: int) -> Floats:
        """Return the gradient by one of several forms, all of them in use."""
        v, again = given.upstream, bool(form & 1)
        if given.operation == "softmax":
            p = self.softmax(given.x)
            s = self.sum(self.r(p * v))
            return self.r(p * self.r(v - s)) if again else self.r(self.r(p * v) - self.r(p * s))
        if given.operation in ("log_softmax", "log_softmax_row_sum"):
            full = np.broadcast_to(v, given.x.shape)
            return self.r(full - self.r(self.saved(given, again=again) * self.sum(full)))
        if given.operation in ("exp", "row_sum"):
            return self.r(v * self.exp(given.x))
        a = self.coefficients(given)
        scale = self.scale(given)
        if given.operation == "nll_loss":
            return -self.r(scale * a)
        p = self.saved(given, again=again)
        if form & 2:  # as the log-softmax's own backward pass, fed with the gradient of z
            g = self.r(scale * a)
            return self.r(self.r(p * self.sum(g)) - g)
        if given.hard and given.smoothing == 0:
            w = np.sum(given.weight * given.q, axis=1, keepdims=True)
            return np.where(given.valid, self.r(self.r(p - given.q) * self.r(scale * w)), 0.0)
        return self.r(self.r(self.r(self.sum(a) * p) - a) * scale)

    def value(self, given: Inputs, form: int) -> Floats:
        """Return the value by one of several forms."""
        if given.operation == "exp":
            return self.exp(given.x)
        if given.operation == "row_sum":
            return self.sum(self.exp(given.x))
        if given.operation == "softmax":
            return self.softmax(given.x)
        if given.operation == "log_softmax":
            return self.log_softmax(given.x)
        if given.operation == "log_softmax_row_sum":
            return self.sum(self.log_softmax(given.x))
        return self.reduced(given, self.samples(given, bool(form & 1)))

    def computed(self, given: Inputs, quantity: str, form: int) -> Floats:
        """Return the value or the gradient."""
        return self.value(given, form) if quantity == "value" else self.gradient(given, form)


def _product(a: Floats, minus_z: Floats) -> Floats:
    """Multiply; a coefficient of 0 adds 0 also where z is infinite."""
    with np.errstate(invalid="ignore"):
        return np.where(a == 0, 0.0, a * minus_z)


def machines(fmt: str, seed: int, *, of: str) -> list[Machine]:
    """Return correct machines of the arithmetic that a bound stands for."""
    found = []
    for n, (order, signs) in enumerate(itertools.product(ORDERS, SIGNS)):
        more: dict[str, Any] = {"signs": signs, "reciprocal": n % 2 == 0, "flush": n % 3 == 0, "seed": seed + n}
        if of == "tight":
            if order != "serial":
                found.append(Machine(WIDE[fmt], order, **more))
        else:
            found.append(Machine(fmt, order, sums_in=WIDE[fmt], **more))
    return found


FAMILIES: dict[str, Callable[[np.random.RandomState, tuple[int, int]], Floats]] = {
    "tame": lambda rng, shape: 3 * rng.standard_normal(shape),
    "wide": lambda rng, shape: 30 * rng.standard_normal(shape),
    "equal": lambda _, shape: np.full(shape, 0.7),
    "ties": lambda rng, shape: np.asarray(rng.randint(0, 2, shape), dtype=np.float64),
    "offset": lambda rng, shape: rng.standard_normal(shape) + 1000.0,
    "certain": lambda rng, shape: np.where(np.arange(shape[1]) == 0, rng.uniform(0, 30), rng.standard_normal(shape)),
    "underflowing": lambda rng, shape: -rng.uniform(60, 110, shape) * (np.arange(shape[1]) > 0),
    "shoulder": lambda rng, shape: (
        np.where(np.arange(shape[1]) == 0, np.log(max(shape[1] - 1, 1)), 0.0) + 0.01 * rng.standard_normal(shape)
    ),
    "masked": lambda rng, shape: np.where(
        (rng.random_sample(shape) < 0.3) & (np.arange(shape[1]) > 0), -inf, 3 * rng.standard_normal(shape)
    ),
}


@dataclass(frozen=True, eq=False)
class Posed:
    """An operation on inputs of one format, with its certified answers and their bounds as whole arrays."""

    problem: Problem
    format: str

    @cached_property
    def given(self) -> Inputs:
        """What a kernel is given."""
        return Inputs.of(self.problem)

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """The answer of each quantity."""
        return {quantity: Answer(self.problem, quantity, self.format) for quantity in ("value", "gradient")}

    @cached_property
    def _exact(self) -> dict[str, Exact]:
        return {quantity: Exact.of(answer) for quantity, answer in self.answers.items()}

    @cached_property
    def _bounds(self) -> dict[tuple[str, bool], tuple[Floats, Floats]]:
        return {}

    def exact(self, quantity: str) -> Exact:
        """Return what is known of the exact result."""
        return self._exact[quantity]

    def bounds(self, quantity: str, *, flushed: bool = False) -> tuple[Floats, Floats]:
        """Return the tight and the loose bound of every element."""
        key = (quantity, flushed)
        if key not in self._bounds:
            self._bounds[key] = both(self.answers[quantity], flushed=flushed)
        return self._bounds[key]

    def share(self, quantity: str, got: Floats, of: str, *, flushed: bool = False) -> float:
        """Return the largest error as a share of the tight or loose bound; errors within the radius count as none."""
        bound = self.bounds(quantity, flushed=flushed)[of == "loose"]
        assert np.all(np.isfinite(bound)) and np.all(bound >= 0)
        return self.exact(quantity).share(got, bound, FORMATS[self.format].largest)


@dataclass(frozen=True, eq=False)
class Exact:
    """The exact result as a matrix: high + low to within the radius; what is not judged, 0 or NaN, is `left` out."""

    high: Floats
    low: Floats
    radius: Floats
    left: Flags

    @classmethod
    def of(cls, answer: Answer) -> Exact:
        """Put an answer's blocks together."""
        parts: list[tuple[Any, ...]] = []
        for block in answer.blocks():
            found = block.certified
            low = np.zeros(found.high.shape) if found.low is None else found.low
            left = np.broadcast_to(False if found.open is None else found.open, found.high.shape)
            parts.append((found.high, low, found.radius, left))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def share(self, got: Floats, bound: Floats, largest: float) -> float:
        """Return the largest share of a bound; infinite where the class is wrong."""
        got = got.reshape(self.high.shape)
        same = (got == self.high) | (np.isnan(got) & np.isnan(self.high))
        with np.errstate(all="ignore"):
            error = np.maximum(np.abs((got - self.high) - self.low) - self.radius, 0.0)
            beyond = np.isinf(got) & (np.sign(got) == np.sign(self.high)) & (np.abs(self.high) + bound >= largest)
            shares = np.where(same | beyond | self.left | (error == 0), 0.0, error / bound)
        return float(np.max(np.nan_to_num(shares, nan=inf), initial=0.0))


def both(answer: Answer, *, flushed: bool = False) -> tuple[Floats, Floats]:
    """Return the tight and the loose bound of a whole answer, as matrices."""
    bounds, found = Bounds(answer, flushed), []
    for block in answer.blocks():
        high = block.certified.high
        parts = bounds.both(bounds.terms(block), finite(high))
        found.append([np.broadcast_to(part, high.shape) for part in parts])
    tight, loose = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return tight, loose


def finite(high: Floats) -> Floats:
    """Return exact values, 0 of what is no number."""
    return np.where(np.isfinite(high), high, 0.0)


def pose(operation: str, fmt: str, x: Any, *, seed: int = 0, **more: Any) -> Posed:
    """Pose an operation on logits of two axes; what is not given is drawn by seed.

    `more` may hold keywords of the operation, and `target`, `weight` and `upstream`.
    """
    rng = np.random.RandomState(seed)
    first = Array.of(x, fmt)
    n, k = first.shape
    arrays = {OPERATIONS[operation].first: first}
    keywords: dict[str, Any] = {
        name: more[name] for name in ("label_smoothing", "reduction", "ignore_index") if name in more
    }
    if OPERATIONS[operation].target:
        q = more.get("target", rng.randint(0, k, n))
        arrays["target"] = Array.of(q, "int64" if np.asarray(q).dtype.kind == "i" else fmt)
    if "weight" in more:
        arrays["weight"] = Array.of(more["weight"], fmt)
    elementwise = operation in ("softmax", "log_softmax", "exp")
    per_row = operation in ("row_sum", "log_softmax_row_sum") or more.get("reduction") == "none"
    shape: tuple[int, ...] = (n, k) if elementwise else (n,) if per_row else ()
    given = more.get("upstream", rng.choice([-2.0, -0.3, 0.1, 1.0, 1.7, 3.0], shape))
    arrays["upstream"] = Array.of(given, fmt)
    return Posed(Problem(operation, arrays, keywords), fmt)


PARAMETERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weighted": {"weighted": True},
    "smoothed": {"label_smoothing": 0.1},
    "wholly smoothed": {"label_smoothing": 1.0},
    "smoothed and weighted": {"label_smoothing": 0.3, "weighted": True},
    "probabilities": {"probabilities": True},
    "smoothed probabilities": {"probabilities": True, "label_smoothing": 0.2, "weighted": True},
    "ignored": {"ignore_index": 0, "label_smoothing": 0.1, "weighted": True},
}
# Of coefficients of both signs (C3); of no infinite logits.
BEYOND: dict[str, dict[str, Any]] = {
    "negative smoothing": {"label_smoothing": -0.4},
    "negative smoothing, weighted": {"label_smoothing": -2.0, "weighted": True},
    "smoothing above 1": {"label_smoothing": 1.5, "weighted": True},
    "smoothing above 1, cancelling": {"label_smoothing": 1.125},
    "negatively smoothed probabilities": {"probabilities": True, "label_smoothing": -0.4, "weighted": True},
    "probabilities smoothed above 1": {"probabilities": True, "label_smoothing": 1.25},
}


def loss(fmt: str, family: str, k: int, seed: int, parameters: str, reduction: str, n: int = 5) -> Posed:
    """Pose a cross-entropy."""
    rng = np.random.RandomState(seed)
    more = dict({**PARAMETERS, **BEYOND}[parameters])
    if more.pop("weighted", False):
        more["weight"] = rng.choice([0.5, 1.0, 3.0, 0.1, 7.0], k)
    if more.pop("probabilities", False):
        q = rng.random_sample((n, k)) * (rng.random_sample((n, k)) < 0.5)
        more["target"] = q / max(k / 4, 1)
    if parameters == "ignored":  # not every row: a mean over nothing has no bound
        more["target"] = np.concatenate([np.arange(2) % k, rng.randint(0, k, n - 2)])
        more["ignore_index"] = 0 if k > 1 else -100
    x = FAMILIES[family](rng, (n, k))
    return pose("cross_entropy", fmt, x, seed=seed, reduction=reduction, **more)


def results(posed: Posed, quantity: str, some: list[Machine], forms: int) -> Iterator[tuple[Floats, Machine, int]]:
    """Yield what correct machines return, in the format of the result."""
    for machine, form in itertools.product(some, range(forms)):
        got = rounded(machine.computed(posed.given, quantity, form), posed.format)
        if machine.flush and posed.format != "float16":
            got = np.where(np.abs(got) < FORMATS[posed.format].smallest_normal, 0.0, got)
        yield got, machine, form


# Kernels made wrong on purpose: each takes a correct machine and what it is given.

Kernel = Callable[[Machine, Inputs], Floats]


def _subtracted_last(m: Machine, given: Inputs) -> Floats:
    """x - (max + log sum) loses log sum in the maximum (S9)."""
    _, _, s = m.parts(given.x)
    return m.r(given.x - m.r(np.max(given.x, axis=1, keepdims=True) + m.log(s)))


def _exp_off(power: int) -> Kernel:
    def kernel(m: Machine, given: Inputs) -> Floats:
        top = 0.0 if given.operation == "exp" else np.max(given.x, axis=1, keepdims=True)
        negative = m.r(given.x - top)
        e = m.r(np.exp(negative) * np.where(negative == 0, 1.0, 1.0 + 2.0**power))
        return e if given.operation == "exp" else m.over(e, m.sum(e))

    return kernel


def _tail_dropped(m: Machine, given: Inputs) -> Floats:
    _, e, _ = m.parts(given.x)
    return m.over(e, m.sum(e[:, : max(e.shape[1] - 1, 1)]))


def _flushed(m: Machine, given: Inputs) -> Floats:
    p = m.softmax(given.x)
    return np.where(p < 1e-7, 0.0, p)


def _summed_in_bfloat16(m: Machine, given: Inputs) -> Floats:
    _, e, _ = m.parts(given.x)
    return m.over(e, m.r(Machine("bfloat16", "serial").added(rounded(e, "bfloat16"))))


def _log2(m: Machine, given: Inputs) -> Floats:
    negative, _, s = m.parts(given.x)
    return m.r(negative - m.r(np.log2(s)))


def _not_shifted(m: Machine, given: Inputs) -> Floats:
    e = m.exp(given.x)
    with np.errstate(over="ignore", invalid="ignore"):
        return m.over(e, m.sum(e))


def _exp2(m: Machine, given: Inputs) -> Floats:
    """exp2 of the rounded product with log2 e, as compiled kernels do it: off by u d."""
    negative = m.r(given.x - np.max(given.x, axis=1, keepdims=True))
    e = m.r(np.exp2(m.r(negative * m.r(np.log2(np.e)))))
    return m.over(e, m.sum(e))


def _saved_in_bfloat16(m: Machine, given: Inputs) -> Floats:
    """p is recovered from a z that was stored in bfloat16."""
    p = m.exp(rounded(m.log_softmax(given.x), "bfloat16"))
    return m.r(m.r(p - given.q) * m.scale(given))


def _label_from_rounded(fmt: str) -> Kernel:
    """p is rounded to the result's format before the label is subtracted."""

    def kernel(m: Machine, given: Inputs) -> Floats:
        p = rounded(m.softmax(given.x), fmt)
        return m.r(m.r(p - given.q) * m.scale(given))

    return kernel


@dataclass(frozen=True)
class Wrong:
    """A kernel made wrong on purpose: the operation and quantity that it computes, and in which arithmetic.

    `narrow`: in the format itself; else in binary32 for the 16-bit formats, rounded once, where errors hide best.
    """

    operation: str
    quantity: str
    kernel: Kernel
    narrow: bool = False

    def posed(self, fmt: str, x: Floats, seed: int) -> Posed:
        """Pose the operation on logits."""
        more = {"reduction": "none"} if self.operation == "cross_entropy" else {}
        return pose(self.operation, fmt, x, seed=seed, **more)

    def computed(self, posed: Posed) -> Floats:
        """Return what the kernel makes of a problem, in the format of the result."""
        wide = WIDE[posed.format]
        machine = Machine(posed.format if self.narrow else wide, "native", sums_in=wide)
        return rounded(self.kernel(machine, posed.given), posed.format)


WRONG: dict[str, Wrong] = {
    "subtracts max + log sum": Wrong("log_softmax", "value", _subtracted_last),
    "subtracts max + log sum, in the format": Wrong("log_softmax", "value", _subtracted_last, narrow=True),
    "exp off by 2^-13": Wrong("softmax", "value", _exp_off(-13)),
    "exp off by 2^-18": Wrong("softmax", "value", _exp_off(-18)),
    "exp off by 2^-20": Wrong("softmax", "value", _exp_off(-20)),
    "exp off by 2^-20, by itself": Wrong("exp", "value", _exp_off(-20)),
    "drops the last class from the sum": Wrong("softmax", "value", _tail_dropped),
    "flushes p below 1e-7": Wrong("softmax", "value", _flushed),
    "sums in bfloat16": Wrong("softmax", "value", _summed_in_bfloat16),
    "logarithm to base 2": Wrong("log_softmax", "value", _log2),
    "does not shift": Wrong("softmax", "value", _not_shifted),
    "exp2 of a rounded argument": Wrong("softmax", "value", _exp2),
    "saves z in bfloat16": Wrong("cross_entropy", "gradient", _saved_in_bfloat16),
    "subtracts the label from a p of bfloat16": Wrong("cross_entropy", "gradient", _label_from_rounded("bfloat16")),
    "subtracts the label from a p of binary16": Wrong("cross_entropy", "gradient", _label_from_rounded("float16")),
}
