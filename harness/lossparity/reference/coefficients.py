"""The coefficients of a loss, the divisor of its mean, and the entropy of its target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from lossparity.reference.enclosures import Enclosure, Flags
from lossparity.reference.problem import Problem
from lossparity.reference.rows import Rows

__all__ = ["Coefficients", "added", "divisor", "entropy", "own_weight", "summed"]

E = TypeVar("E", bound=Enclosure)


@dataclass(frozen=True)
class Coefficients(Generic[E]):
    """A loss is the sum of these times -z: `peak` on the target's class (m, 1), `spread` on all, (m or 1, K or 1).

    They are >= 0, but for a smoothing outside [0, 1] (C3): what is added up is then of both signs.
    """

    peak: E | None
    spread: E | None

    @classmethod
    def of(cls, rows: Rows, kind: E) -> Coefficients[E]:
        """Return w_c q'_c with q' = (1 - e) q + e / K; what stands in rows outside V is of no account."""
        problem, bare = rows.problem, cls._unweighted(rows, kind)
        if problem.weight is None:
            return bare
        if problem.convention.weights != "class":
            own = own_weight(rows, kind)
            return cls(*(None if part is None else own * part for part in (bare.peak, bare.spread)))
        spread = None if bare.spread is None else bare.spread * kind.exact(problem.weight[None, :])
        if bare.peak is None or rows.index is None:
            return cls(bare.peak, spread)
        return cls(bare.peak * kind.exact(problem.weight[rows.index][:, None]), spread)

    @classmethod
    def _unweighted(cls, rows: Rows, kind: E) -> Coefficients[E]:
        problem = rows.problem
        e, one = kind.exact(problem.smoothing), kind.exact(1.0)
        spread = e / kind.exact(float(max(problem.others, 1))) if problem.smoothing != 0 else None
        apart = problem.others < problem.classes
        if rows.soft is not None:
            q = kind.exact(rows.soft)
            if spread is None:
                return cls(None, q)
            kept = (one - e) * q
            if not problem.others:
                return cls(None, kept)
            return cls(None, added(kept, spread * (one - q) if apart else spread, problem))
        peak = None
        if rows.index is not None:
            if spread is not None and apart:
                at_target = kind.exact(np.zeros((len(rows.index), 1)))
                spread = (spread + kind.exact(np.zeros(rows.raw.shape))).put(rows.index, at_target)
            if problem.smoothing != 1:
                ones = kind.exact(np.ones((len(rows.index), 1)))
                peak = ones if spread is None else (one - e) * ones
        return cls(peak, spread)

    def mass(self, rows: Rows, kind: E) -> tuple[E, E]:
        """Return the sum of the spread and of all coefficients of a row, (m, 1) or (1, 1)."""
        zero = kind.exact(np.zeros((1, 1)))
        spread = zero
        if self.spread is not None:
            spread = summed(self.spread + kind.exact(np.zeros((1, rows.problem.classes))), rows.problem)
        return spread, spread if self.peak is None else added(spread, self.peak, rows.problem)

    def times(self, parts: E, rows: Rows) -> E:
        """Return the sum of the coefficients times parts >= 0 of (m, K), (m, 1)."""
        spread = None if self.spread is None else summed(self.spread * parts, rows.problem)
        if self.peak is None:
            return parts.exact(np.zeros((len(rows.valid), 1))) if spread is None else spread
        assert rows.index is not None
        selected = self.peak * parts.take(rows.index)
        return selected if spread is None else added(spread, selected, rows.problem)

    def within(self, inside: Flags, rows: Rows) -> Coefficients[E]:
        """Return the coefficients of some entries, zeros elsewhere."""
        spread = None if self.spread is None else self.spread.where(inside)
        if self.peak is None:
            return Coefficients(None, spread)
        assert rows.index is not None
        return Coefficients(self.peak.where(np.take_along_axis(inside, rows.index[:, None], axis=1)), spread)


def added(a: E, b: E, problem: Problem) -> E:
    """Add parts of a loss, keeping their relative accuracy where all coefficients are >= 0."""
    return a + b if problem.mixed else a.plus(b)


def summed(parts: E, problem: Problem) -> E:
    """Sum parts of a loss along the rows, keeping their relative accuracy where all coefficients are >= 0."""
    return parts.sum() if problem.mixed else parts.total()


def own_weight(rows: Rows, kind: E) -> E:
    """Return the one weight of each row (m, 1), under a convention that gives it one."""
    weight = rows.problem.weight
    assert weight is not None
    if rows.problem.row_weights == "smoothed":
        # Of what stands outside V nobody asks; a weight of its own is >= 0 also there.
        return Coefficients._unweighted(rows, kind).times(kind.exact(np.broadcast_to(weight, rows.raw.shape)), rows)
    if rows.index is not None:
        return kind.exact(weight[rows.index][:, None])
    return (kind.exact(rows.soft) * kind.exact(weight[None, :])).total()


def divisor(problem: Problem, kind: E) -> E:
    """Return what the mean divides by, (1, 1): the weights of the targets in V, or the number of positions."""
    if kind.name not in problem.divisors:
        problem.divisors[kind.name] = _divisor(problem, kind)
    found: E = problem.divisors[kind.name]
    return found


def _divisor(problem: Problem, kind: E) -> E:
    if problem.convention.mean == "all":
        return kind.exact(np.full((1, 1), float(problem.count)))
    if problem.convention.mean == "positions" or not problem.row_weights:
        return kind.exact(np.full((1, 1), float(problem.known.sum())))
    if problem.weight is not None and problem.index is not None and problem.row_weights == "target":
        return kind.exact(problem.weight[problem.index[problem.known]][None, :]).total()
    every = map(problem.rows, problem.blocks())
    first, *others = [own_weight(rows, kind).where(rows.known[:, None]) for rows in every]
    return first.joined(others).turned().total()


def entropy(rows: Rows, kind: E, a: Coefficients[E]) -> E:
    """Return the sum of the coefficients times -log q', (m, 1), for q and e in [0, 1], so that nothing cancels."""
    problem, one, e = rows.problem, kind.exact(1.0), kind.exact(rows.problem.smoothing)
    if rows.soft is None:
        assert rows.index is not None
        given = np.zeros(rows.raw.shape)
        np.put_along_axis(given, rows.index[:, None], 1.0, axis=1)
    else:
        given = rows.soft
    q, left = kind.exact(given), kind.exact(1 - given) if rows.soft is None else one - kind.exact(given)
    if problem.others == 0:
        spread, rest = (one - e) * q, left.plus(e * q)
    elif problem.others < problem.classes:
        n = kind.exact(float(problem.others))
        spread, rest = ((one - e) * q).plus(e / n * left), (left * ((n - e) / n)).plus(e * q)
    else:
        k = kind.exact(float(problem.classes))
        spread = ((one - e) * q).plus(e / k)
        rest = ((one - e) * left).plus(e * kind.exact(problem.classes - 1.0) / k)
    # A class without mass adds nothing: 0 log 0 = 0.
    some = rows.selected
    spread = spread.where(some).plus(kind.exact(np.where(some, 0.0, 1.0)))
    return a.times((rest.where(some) / spread).log1p(), rows)
