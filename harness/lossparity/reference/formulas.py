"""The loss spec's formulas, once, for any arithmetic of enclosures.

With m = max x, d = m - x >= 0, e = exp(-d), R = sum of e without one maximum, l = log1p(R): p = e / (1 + R) and
z = -(d + l). Nothing cancels in p and z, so relative accuracy holds also as p -> 1 (docs/numerics.md, part 1). What
another convention changes is said at each place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from lossparity.reference.coefficients import Coefficients, added, divisor, entropy, summed
from lossparity.reference.core import Core
from lossparity.reference.enclosures import Enclosure, Flags, Floats
from lossparity.reference.problem import ELEMENTWISE, LOSSES, PER_ROW, Problem
from lossparity.reference.rows import Rows

__all__ = ["Exact", "gradient", "reduced", "value"]

E = TypeVar("E", bound=Enclosure)


@dataclass(frozen=True)
class Exact(Generic[E]):
    """The result of some rows: finite parts enclosed, (m, K) or (m, 1); NaN and infinities in `special`.

    `special` holds 0 where the result is finite. What is `open` is left open by the spec, but for 0 or NaN where it is
    also `blank`. None stands for nowhere.
    """

    finite: E
    special: Floats | None = None
    open: Flags | None = None
    blank: Flags | None = None


def value(core: Core[E]) -> Exact[E]:
    """Compute the value of an operation, (m, K), or (m, 1) where a row has one; losses are not yet reduced."""
    if core.rows.problem.operation in ELEMENTWISE:
        found = _elementwise(core)
    elif core.rows.problem.operation in PER_ROW:
        found = _per_row(core)
    else:
        found = _loss(core)
    return found if core.rows.problem.base is None else replace(found, finite=_rebased(core, found.finite))


def _rebased(core: Core[E], finite: E) -> E:
    base = core.rows.problem.base
    return finite if base is None else finite / core.kind.exact(np.full((1, 1), base - 1.0)).log1p()


def _any(flags: Flags) -> Flags:
    return np.asarray(flags.any(axis=1, keepdims=True))


def _unknown(finite: E, where: Flags) -> E:
    """Forget what stands in some places: nothing is known of a sum that holds a NaN."""
    return finite + finite.exact(np.where(where, np.nan, 0.0)) if where.any() else finite


def _elementwise(core: Core[E]) -> Exact[E]:
    rows, kind, name = core.rows, core.kind, core.rows.problem.operation
    if name == "one_hot":
        assert rows.index is not None
        one_hot = np.zeros(rows.raw.shape)
        np.put_along_axis(one_hot, rows.index[:, None], rows.known[:, None].astype(np.float64), axis=1)
        return Exact(kind.exact(one_hot))
    if name == "exp":
        return Exact(_exp(core), np.where(np.isfinite(rows.x), 0.0, rows.x))
    infinite = core.gone if name == "log_softmax" and core.clipped is None else None
    special = None
    if rows.nan is not None or infinite is not None:
        special = np.zeros(rows.x.shape)
        if infinite is not None:
            special[infinite] = -np.inf
        if rows.nan is not None:
            special[rows.nan] = np.nan
    if name == "softmax":
        return Exact(core.p, special)
    if core.clipped is not None:
        return Exact(_unknown(-core.clipped.minus_log, core.clipped.undecided), special)
    return Exact(core.z, special)


def _per_row(core: Core[E]) -> Exact[E]:
    rows = core.rows
    if rows.problem.operation == "row_sum":
        lost = np.where(np.isfinite(rows.x), 0.0, rows.x).sum(axis=1, keepdims=True)
        return Exact(_exp(core).total(), lost)
    special = np.zeros((len(rows.valid), 1))
    if core.gone is not None and core.clipped is None:
        special[core.gone.any(axis=1)] = -np.inf
    if rows.nan is not None:
        special[rows.nan] = np.nan
    if core.clipped is None:
        return Exact(core.z.total(), special)
    return Exact(_unknown(-core.clipped.minus_log.total(), _any(core.clipped.undecided)), special)


def _exp(core: Core[E]) -> E:
    rows = core.rows
    finite = np.isfinite(rows.x)
    kept = finite if rows.masked is None else finite & ~rows.masked
    e = core.kind.exact(np.where(finite, rows.x, 0.0)).exp()
    return e if kept.all() else e.where(kept)


def _loss(core: Core[E]) -> Exact[E]:
    rows, kind = core.rows, core.kind
    a = Coefficients.of(rows, kind)
    lost = np.zeros(rows.valid.shape)
    if rows.problem.operation == "nll_loss":
        # Only the selected entry is read; a weight of 0 times an infinite z adds 0, times NaN is NaN.
        assert a.peak is not None and rows.index is not None
        picked = rows.picked
        loss = kind.exact(np.where(np.isfinite(picked), -picked, 0.0))
        if rows.problem.weight is not None:  # without weights it is a selection, and exact
            loss = a.peak * loss
        if not np.isfinite(picked).all():
            counted = np.take_along_axis(rows.counted(), rows.index[:, None], axis=1)
            lost = np.where(np.isnan(picked), np.nan, np.where(np.isinf(picked) & counted, -picked, 0.0))[:, 0]
    elif core.clipped is not None:
        loss = a.times(core.clipped.minus_log, rows)
        loss = _unknown(loss, _any(core.clipped.undecided & rows.counted()))
    else:
        loss = _soft_loss(core, a) if rows.problem.classes > 1 else kind.exact(np.zeros((len(rows.valid), 1)))
        if core.gone is not None:
            lost = np.where((core.gone & rows.counted()).any(axis=1), np.inf, lost)
    if rows.problem.operation == "cross_entropy" and rows.problem.convention.entropy == "subtracted":
        loss = loss - entropy(rows, kind, a)
    if (nan := _lost_rows(rows)) is not None:
        lost = np.where(nan, np.nan, lost)
    lost = np.where(rows.valid, lost, 0.0)[:, None]
    return Exact(loss if rows.valid.all() else loss.where(rows.valid[:, None]), lost)


def _lost_rows(rows: Rows) -> Flags | None:
    """Return the rows whose loss is NaN (m,), none where no row's is."""
    if rows.nan is None or rows.problem.policy != "zero" or rows.problem.operation == "nll_loss":
        return rows.nan
    # S4: all of z is NaN in such a row, and the choice is of one of which no entry counts.
    return rows.nan & (rows.counted().any(axis=1) | rows.problem.outside[rows.positions])


def _soft_loss(core: Core[E], a: Coefficients[E]) -> E:
    rows = core.rows
    loss = None
    if a.spread is not None:
        # l multiplies the whole mass at once: sum a_c (d_c + l) = sum a_c d_c + l sum a_c, all terms >= 0 but under C3.
        mass, _ = a.mass(rows, core.kind)
        loss = added(summed(a.spread * -core.shifted, rows.problem), mass * core.log_sum, rows.problem)
    if a.peak is not None:
        assert rows.index is not None
        selected = a.peak * (-core.shifted.take(rows.index)).plus(core.log_sum)
        loss = selected if loss is None else added(loss, selected, rows.problem)
    assert loss is not None
    return loss


def reduced(problem: Problem, parts: list[Exact[E]], kind: E) -> Exact[E]:
    """Add up the losses of all rows, and divide by the divisor under mean: (1, 1)."""
    lost = np.zeros((1, 1))
    with np.errstate(invalid="ignore"):
        for part in parts:
            if part.special is not None:
                lost = lost + part.special.sum()
    if problem.reduction == "mean" and problem.nothing_counts:
        zero = problem.policy == "zero" and not np.isnan(lost).any()
        return Exact(kind.exact(np.zeros((1, 1))), np.full((1, 1), 0.0 if zero else np.nan))
    total = parts[0].finite.joined([part.finite for part in parts[1:]]).turned().sum()
    return Exact(total / divisor(problem, kind) if problem.reduction == "mean" else total, lost)


def gradient(core: Core[E]) -> Exact[E]:
    """Compute the gradient with respect to the first argument, for the upstream gradient given: (m, K)."""
    rows, name = core.rows, core.rows.problem.operation
    up = core.kind.exact(rows.upstream)
    left = None if rows.unspecified is None else np.broadcast_to(rows.unspecified[:, None], rows.raw.shape)
    blank = None if rows.blank is None else np.broadcast_to(rows.blank[:, None], rows.raw.shape)
    if name in ("exp", "row_sum"):
        return Exact(up * _exp(core), None, left, blank)
    if name in LOSSES:
        finite = _of_loss(core, up)
        if rows.problem.reduction == "mean" and rows.problem.nothing_counts:
            left = blank = np.ones(rows.raw.shape, dtype=np.bool_)
    else:
        finite = _of_softmax(core, up)
    if core.inner is not None:
        finite = _through_softmax(core.inner, finite)
    if core.clipped is not None:
        undecided = core.clipped.undecided & (rows.counted() if name in LOSSES else True)
        finite = _unknown(finite, _any(undecided))
    return Exact(_rebased(core, finite), None, left, blank)


def _through_softmax(core: Core[E], up: E) -> E:
    if core.rows.problem.classes == 1:  # S7: p is 1, whatever x is
        return core.kind.exact(np.zeros(core.rows.x.shape))
    return _weighed(core, up)


def _weighed(core: Core[E], up: E) -> E:
    """p (v - sum p v)."""
    return core.p * (up - (core.p * up).sum())


def _of_softmax(core: Core[E], up: E) -> E:
    if core.rows.problem.operation == "softmax":
        return _weighed(core, up)
    full = up + up.exact(np.zeros(core.rows.x.shape))  # one upstream a row reaches every class
    if core.clipped is not None:
        full = full.where(core.clipped.inside)
    return full - core.p * full.sum()


def _of_loss(core: Core[E], up: E) -> E:
    rows, kind = core.rows, core.kind
    problem = rows.problem
    averaged = problem.reduction == "mean" and problem.convention.gradient == "divided" and not problem.nothing_counts
    scale = up / divisor(problem, kind) if averaged else up
    a = Coefficients.of(rows, kind)
    if core.clipped is not None:
        a = a.within(core.clipped.inside, rows)
    if problem.operation == "nll_loss":
        assert a.peak is not None and rows.index is not None
        found = kind.exact(np.zeros(rows.raw.shape)).put(rows.index, -(scale * a.peak))
    elif problem.classes == 1:  # S7: p is 1, and M p - M is 0
        found = kind.exact(np.zeros(rows.x.shape))
    else:
        spread, mass = a.mass(rows, kind)
        found = (scale * mass) * core.p if a.spread is None else scale * (mass * core.p - a.spread)
        if a.peak is not None:
            assert rows.index is not None
            at = a.peak * core.others()
            if a.spread is not None:
                full = a.spread + kind.exact(np.zeros(rows.x.shape))
                at = at - (spread * core.p.take(rows.index) - full.take(rows.index))
            found = found.put(rows.index, -(scale * at))
    return found if rows.valid.all() else found.where(rows.valid[:, None])
