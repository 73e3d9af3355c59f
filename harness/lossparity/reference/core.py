"""Softmax and its parts: what every formula of the spec is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from lossparity.reference.enclosures import Enclosure, Flags
from lossparity.reference.rows import Rows

__all__ = ["Core"]

E = TypeVar("E", bound=Enclosure)


@dataclass(frozen=True, eq=False)
class Core(Generic[E]):
    """Softmax and its parts in the arithmetic of `kind`, each computed when first used; masked entries have p = 0.

    Where the convention has it twice, these are those of the second, whose logits are the `inner` one's p.
    """

    rows: Rows
    kind: E
    inner: Core[E] | None = None

    @classmethod
    def of(cls, rows: Rows, kind: E) -> Core[E]:
        """Return the core of some rows in one arithmetic; the same one whoever asks, where the problem is small."""
        # A core holds its rows: were they to hold it, only the garbage collector would free a large problem's blocks.
        core = cls(rows, kind, cls(rows, kind) if rows.problem.twice else None)
        return rows.cores.setdefault(kind.name, core) if rows.problem.small else core

    @cached_property
    def shifted(self) -> E:
        """-d = x - m, (m, K)."""
        x = self.kind.exact(self.rows.x) if self.inner is None else self.inner.p
        return x - x.take(self.rows.top)

    @cached_property
    def e(self) -> E:
        """exp(-d), (m, K)."""
        e = self.shifted.exp()
        return e if self.rows.masked is None or self.inner is not None else e.where(~self.rows.masked)

    @cached_property
    def rest(self) -> E:
        """R, the sum of e but for one maximum, (m, 1)."""
        return self.e.total(self.rows.top)

    @cached_property
    def sum(self) -> E:
        """1 + R, (m, 1)."""
        return self.kind.exact(1.0).plus(self.rest)

    @cached_property
    def log_sum(self) -> E:
        """l = log1p(R), (m, 1)."""
        return self.rest.log1p()

    @cached_property
    def p(self) -> E:
        """Softmax, (m, K)."""
        if self.rows.problem.classes == 1:  # S7
            p = self.kind.exact(np.ones(self.rows.x.shape))
        else:
            p = self.e * (self.kind.exact(1.0) / self.sum)
        return p if self.gone is None else p.where(~self.gone)

    @cached_property
    def z(self) -> E:
        """Log-softmax, (m, K)."""
        if self.rows.problem.classes == 1:
            return self.kind.exact(np.zeros(self.rows.x.shape))
        return self.shifted.plus(-self.log_sum)

    @cached_property
    def gone(self) -> Flags | None:
        """The entries that are masked, by themselves or with their row; none where none is."""
        rows = self.rows
        if self.inner is not None or (rows.masked is None and rows.dead is None):
            return None
        gone = np.zeros(rows.x.shape, dtype=np.bool_) if rows.masked is None else rows.masked
        return gone if rows.dead is None else gone | rows.dead[:, None]

    @cached_property
    def clipped(self) -> _Clipped[E] | None:
        """What a convention that clips p does to it."""
        return None if self.rows.problem.clip is None else _Clipped.of(self, *self.rows.problem.clip)

    def others(self) -> E:
        """1 - p at the target, (m, 1), as the sum of the other classes' e over that of all: nothing cancels wholly."""
        assert self.rows.index is not None
        at_top = (self.rows.index == self.rows.top)[:, None]
        # e <= 1 and one maximum is among the others where the target is not it: the difference is at least 1.
        rest = (self.sum - self.e.take(self.rows.index)).where(~at_top)
        return (rest.plus(self.rest.where(at_top))) / self.sum


@dataclass(frozen=True, eq=False)
class _Clipped(Generic[E]):
    """Probabilities clipped to two ends: `minus_log` of them (m, K), and which of them are between the ends.

    Of what is `undecided` nobody can say in this arithmetic on which side of an end it is.
    """

    minus_log: E
    inside: Flags
    undecided: Flags

    @classmethod
    def of(cls, core: Core[E], low: float, high: float) -> _Clipped[E]:
        """Clip p to [low, high]; an end of 1 clips nothing."""
        p = core.p.enclosed()

        def above(end: float) -> tuple[Flags, Flags]:
            apart = (p.high - end) + (0.0 if p.low is None else p.low)
            surely = np.abs(apart) * (1 - 2.0**-40) >= p.radius
            return surely & (apart >= 0), surely & (apart < 0)

        over_low, below = above(low)
        over, under_high = above(high) if high < 1 else (np.zeros_like(below), np.ones_like(below))
        inside = over_low & under_high
        total = (-core.z).where(inside)
        for end, flags in ((low, below), (high, over)):
            if flags.any():
                exact = core.kind.exact(np.full((1, 1), end))
                total = total.plus(((core.kind.exact(np.ones((1, 1))) - exact) / exact).log1p().where(flags))
        return cls(total, inside, ~(inside | below | over))
