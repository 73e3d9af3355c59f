"""The loss spec's formulas, once, for any arithmetic of enclosures.

With m = max x, d = m - x >= 0, e = exp(-d), R = sum of e without one maximum, l = log1p(R): p = e / (1 + R) and
z = -(d + l). Nothing cancels in p and z, so relative accuracy holds also as p -> 1 (docs/numerics.md, part 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from lossparity.reference.enclosures import Enclosure
from lossparity.reference.rows import ELEMENTWISE, PER_ROW, Flags, Floats, Rows

__all__ = ["Core", "Exact", "core", "divisor", "gradient", "value"]

E = TypeVar("E", bound=Enclosure)


@dataclass(frozen=True)
class Core(Generic[E]):
    """Softmax and its parts, by row: p, d, l (M x 1) and minus_z = d + l; masked entries hold 0 in p and d."""

    p: E
    d: E
    log_sum: E
    minus_z: E


@dataclass(frozen=True)
class Exact(Generic[E]):
    """A result before its shape is restored: finite parts enclosed, NaN and infinities in `special`.

    What is not `specified` is left open, but for 0 or NaN where it is `blank`.
    """

    finite: E
    special: Floats
    specified: Flags
    blank: Flags | None = None


def core(rows: Rows, kind: E) -> Core[E]:
    """Compute softmax's parts in the arithmetic of `kind`."""
    m, k = rows.x.shape
    largest = np.max(rows.x, axis=1, keepdims=True, initial=-np.inf) if k else np.zeros((m, 1))
    one_largest = np.arange(k) == np.argmax(np.where(rows.masked, -np.inf, rows.x), axis=1)[:, None]
    d = kind.exact(largest) - kind.exact(rows.x)
    e = (kind.exact(0.0) - d).exp().where(~rows.masked)
    rest = e.where(~one_largest).sum(1)
    log_sum = rest.log1p()
    p = e / (kind.exact(1.0) + rest)
    alive = ~(rows.masked | rows.dead[:, None])
    return Core(p.where(alive), d.where(alive), log_sum, d + log_sum)


def coefficients(rows: Rows, kind: E) -> E:
    """Return w_c q'_c with q' = (1 - e) q + e / K, zero in ignored rows; the loss is -sum of these times z."""
    k = rows.x.shape[1]
    e = kind.exact(rows.smoothing)
    smoothed = (kind.exact(1.0) - e) * kind.exact(rows.q) + e / kind.exact(float(max(k, 1)))
    return (kind.exact(rows.weight) * smoothed).where(rows.counted)


def divisor(rows: Rows, kind: E) -> E:
    """Return what the mean divides by: the weights of the targets in V, or the number of positions."""
    if rows.hard and rows.operation != "smoothing_term":
        return (kind.exact(rows.weight) * kind.exact(rows.q)).where(rows.valid[:, None]).sum(1).sum(0)
    return kind.exact(np.full((1, 1), float(rows.x.shape[0])))


def value(rows: Rows, kind: E) -> Exact[E]:
    """Compute an operation's value: (M, K), (M, 1), or (1, 1) under mean and sum."""
    if rows.operation in ELEMENTWISE:
        return _elementwise(rows, kind)
    if rows.operation in PER_ROW:
        return _per_row(rows, kind)
    return _loss(rows, kind)


def _elementwise(rows: Rows, kind: E) -> Exact[E]:
    m, k = rows.x.shape
    special = np.where(rows.nan[:, None] & np.ones((1, k), bool), np.nan, 0.0)
    everywhere = np.ones((m, k), bool)
    if rows.operation == "one_hot":
        return Exact(kind.exact(rows.q), np.zeros((m, k)), everywhere)
    if rows.operation == "exp":
        return Exact(_exp(rows, kind), np.where(np.isfinite(rows.x), 0.0, rows.x), everywhere)
    parts = core(rows, kind)
    if rows.operation == "softmax":
        return Exact(parts.p, special, everywhere)
    special = np.where((rows.masked | rows.dead[:, None]) & (special == 0), -np.inf, special)
    return Exact(kind.exact(0.0) - parts.minus_z, special, everywhere)


def _per_row(rows: Rows, kind: E) -> Exact[E]:
    special = np.where(rows.nan[:, None], np.nan, 0.0)
    everywhere = np.ones(special.shape, bool)
    if rows.operation == "row_sum":
        special = np.where(np.isfinite(rows.x), 0.0, rows.x).sum(axis=1, keepdims=True)
        return Exact(_exp(rows, kind).sum(1), special, everywhere)
    lost = (rows.masked.any(axis=1) | rows.dead)[:, None]
    special = np.where(lost & (special == 0), -np.inf, special)
    return Exact((kind.exact(0.0) - core(rows, kind).minus_z).sum(1), special, everywhere)


def _exp(rows: Rows, kind: E) -> E:
    finite = np.isfinite(rows.x)
    return kind.exact(np.where(finite, rows.x, 0.0)).exp().where(finite & ~rows.masked)


def _loss(rows: Rows, kind: E) -> Exact[E]:
    a = coefficients(rows, kind)
    if rows.operation == "nll_loss":
        # Only the selected entry is read; a weight of 0 times an infinite z adds 0, times NaN is NaN.
        selected = (rows.q > 0) & rows.valid[:, None]
        infinite = np.isinf(rows.x) & rows.counted
        lost = rows.nan | (np.isnan(rows.x) & selected).any(axis=1)
        special = np.where(infinite, -rows.x, 0.0).sum(axis=1)
        minus_z = kind.exact(np.where(np.isfinite(rows.x), -rows.x, 0.0))
    else:
        lost = rows.nan
        special = np.where(((rows.masked | rows.dead[:, None]) & rows.counted).any(axis=1), np.inf, 0.0)
        minus_z = core(rows, kind).minus_z
    losses = (a * minus_z).sum(1).where(rows.valid[:, None])
    special = np.where(lost & rows.valid, np.nan, special)[:, None]
    if rows.reduction == "none":
        return Exact(losses, special, np.ones(special.shape, bool))
    total = losses.sum(0)
    with np.errstate(invalid="ignore"):
        lost_total = special.sum(axis=0, keepdims=True)
    if rows.divided:
        if _nothing_counts(rows):
            zero = rows.empty_is_zero and not np.isnan(lost_total).any()
            total, lost_total = kind.exact(np.zeros((1, 1))), np.full((1, 1), 0.0 if zero else np.nan)
        else:
            total = total / divisor(rows, kind)
    return Exact(total, lost_total, np.ones((1, 1), bool))


def _nothing_counts(rows: Rows) -> bool:
    if rows.hard and rows.operation != "smoothing_term":
        return not bool((rows.weight * rows.q * rows.valid[:, None]).any())
    return rows.x.shape[0] == 0


def gradient(rows: Rows, kind: E) -> Exact[E]:
    """Compute the gradient with respect to the first argument, for the upstream gradient given: (M, K)."""
    m, k = rows.x.shape
    up = kind.exact(rows.upstream)
    blank = np.broadcast_to(rows.blank[:, None], (m, k))
    specified = np.broadcast_to(~rows.unspecified[:, None], (m, k))
    if rows.operation in ("exp", "row_sum"):
        finite = up * _exp(rows, kind)
    elif rows.operation in ("softmax", "log_softmax", "log_softmax_row_sum"):
        finite = _of_softmax(rows, up, core(rows, kind))
    else:
        finite = _of_loss(rows, kind, up)
        if rows.divided and _nothing_counts(rows):
            blank, specified = np.ones((m, k), bool), np.zeros((m, k), bool)
    return Exact(finite, np.zeros((m, k)), specified, blank)


def _of_softmax(rows: Rows, up: E, parts: Core[E]) -> E:
    if rows.operation == "softmax":
        return parts.p * (up - (parts.p * up).sum(1))
    full = up + up.exact(np.zeros(rows.x.shape))  # one upstream a row reaches every class
    return full - parts.p * full.sum(1)


def _of_loss(rows: Rows, kind: E, up: E) -> E:
    scale = up / divisor(rows, kind) if rows.divided and not _nothing_counts(rows) else up
    a = coefficients(rows, kind)
    if rows.operation == "nll_loss":
        return scale * (kind.exact(0.0) - a)
    return (scale * (a.sum(1) * core(rows, kind).p - a)).where(rows.valid[:, None])
