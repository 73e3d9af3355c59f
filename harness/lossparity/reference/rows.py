"""Some positions of a problem as rows: the class axis last, special rows told apart, targets resolved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossparity.formats import Array
from lossparity.reference.enclosures import Flags, Floats

if TYPE_CHECKING:
    from lossparity.reference.problem import Problem

__all__ = ["Positions", "Rows"]

Positions = slice | npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Rows:
    """Some positions of a problem as m rows of K classes."""

    problem: Problem
    positions: Positions
    cores: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def raw(self) -> Floats:
        """The first argument as it came (m, K)."""
        return self.problem.take(self.problem.first, self.positions)

    @cached_property
    def upstream(self) -> Floats:
        """The upstream gradient: (m, K), (m, 1), or (1, 1) under mean and sum."""
        given = self.problem.arrays.get("upstream")
        if given is None:
            return np.ones((1, 1))
        if self.problem.whole_rows and given.data.ndim:
            return self.problem.take(given, self.positions)
        column = given.data.reshape(-1, 1)
        each = len(column) == self.problem.count and self.problem.reduction == "none"
        return Array(given.format, column[self.positions] if each else column).exact()

    @cached_property
    def valid(self) -> Flags:
        """The positions of V (m,)."""
        return self.problem.valid[self.positions]

    @cached_property
    def index(self) -> npt.NDArray[np.intp] | None:
        """The target's class (m,), 0 where it has none."""
        if self.problem.index is None:
            return None
        return np.where(self.problem.known[self.positions], self.problem.index[self.positions], 0)

    @cached_property
    def known(self) -> Flags:
        """The positions whose index names a class (m,)."""
        return self.problem.known[self.positions]

    @cached_property
    def soft(self) -> Floats | None:
        """The target as probabilities (m, K)."""
        return None if self.problem.soft is None else self.problem.take(self.problem.soft, self.positions)

    @cached_property
    def picked(self) -> Floats:
        """The first argument at the target (m, 1)."""
        assert self.index is not None
        return np.take_along_axis(self.raw, self.index[:, None], axis=1)

    @cached_property
    def _classified(self) -> _Classified:
        return _classify(self.raw, self.problem.operation, self.problem.policy)

    @property
    def x(self) -> Floats:
        """The logits (m, K), finite: masked entries hold their row's largest, rows NaN or wholly masked hold 0."""
        return self._classified.x

    @property
    def top(self) -> npt.NDArray[np.intp]:
        """A class of each row's largest logit (m,)."""
        return self._classified.top

    @property
    def masked(self) -> Flags | None:
        """The entries that are -inf (m, K), none where no entry is."""
        return self._classified.masked

    @property
    def dead(self) -> Flags | None:
        """The rows that are wholly masked and have p = 0 (m,), none where no row is."""
        return self._classified.dead

    @cached_property
    def nan(self) -> Flags | None:
        """The rows whose result is NaN (m,), none where no row's is."""
        lost, outside = self._classified.nan, self.problem.outside[self.positions]
        if lost is None and not outside.any():
            return None
        return outside if lost is None else (lost & self.valid) | outside

    @cached_property
    def unspecified(self) -> Flags | None:
        """The rows whose gradient the spec leaves open (m,), none where no row's is."""
        # N4: the loss of an index outside [0, K) is NaN, and its gradient, through a sum every row's, is left open.
        outside, special = self.problem.outside, self._classified.special
        alone = self.problem.reduction == "none"
        theirs = outside[self.positions] if alone else np.full(len(self.valid), outside.any())
        if special is None and not theirs.any():
            return None
        return theirs if special is None else special | theirs

    @cached_property
    def blank(self) -> Flags | None:
        """The ignored rows that hold anything not finite (m,), whose gradient is 0 or NaN (G3); none where none is."""
        if self.valid.all():
            return None
        found = ~self.valid & ~np.isfinite(self.raw).all(axis=1)
        return found if found.any() else None

    @cached_property
    def selected(self) -> Flags:
        """The entries whose q' is not 0 (m, K)."""
        k, e, alike = self.problem.classes, self.problem.smoothing, self.problem.others == self.problem.classes
        if self.soft is not None:
            spread = self.soft < 1 if not alike else np.ones((1, 1), dtype=np.bool_)
            return ((self.soft > 0) & (alike or e != 1)) | (spread & (e != 0 and self.problem.others > 0))
        selected = np.full((len(self.valid), k), e != 0)
        if self.index is not None and (e != 1 or not alike):
            np.put_along_axis(selected, self.index[:, None], e != 1, axis=1)
        return selected

    @cached_property
    def carries(self) -> Flags:
        """The rows whose own weight is not 0 (m,)."""
        weight, at = self.problem.weight, self.index
        assert weight is not None
        if self.problem.row_weights == "target" and at is not None:
            return np.asarray(weight[at] > 0)
        selected = self.soft > 0 if self.problem.row_weights == "target" and self.soft is not None else self.selected
        return np.asarray((selected & (weight > 0)).any(axis=1))

    def counted(self) -> Flags:
        """Return the entries whose coefficient is not 0, in rows of V (m, K)."""
        weight: Flags | bool = True
        if self.problem.weight is not None:
            by_class = self.problem.convention.weights == "class"
            weight = self.problem.weight > 0 if by_class else self.carries[:, None]
        return self.selected & self.valid[:, None] & weight


@dataclass(frozen=True)
class _Classified:
    """Finite stand-ins for logits, and what is masked, NaN, wholly masked, and of unspecified gradient."""

    x: Floats
    top: npt.NDArray[np.intp]
    masked: Flags | None = None
    nan: Flags | None = None
    dead: Flags | None = None
    special: Flags | None = None


def _classify(raw: Floats, operation: str, policy: str) -> _Classified:
    m = len(raw)
    if operation == "nll_loss" or raw.size == 0:  # it reads only its selected entry: the S-clauses do not hold
        return _Classified(np.where(np.isfinite(raw), raw, 0.0), np.zeros(m, dtype=np.intp))
    top = raw.argmax(axis=1)
    largest = raw[np.arange(m), top]
    # NaN is its row's largest for argmax, so two comparisons a row tell whether there is anything special.
    if np.isfinite(largest).all() and math.isfinite(np.minimum.reduce(raw, axis=None)):
        return _Classified(raw, top)
    x, dead, masked = raw, np.zeros(m, dtype=np.bool_), np.isneginf(raw)
    nan: Flags = np.asarray(np.isnan(raw).any(axis=1))
    rising: Flags = np.asarray(np.isposinf(raw).any(axis=1))
    if operation in ("exp", "row_sum"):  # each entry for itself: the S-clauses do not hold
        return _Classified(np.where(masked, 0.0, x), top, masked, None, None, nan | rising)
    rising &= ~nan
    empty: Flags = np.asarray(masked.all(axis=1))
    special = nan | rising | empty
    if policy == "limit":
        x = np.where(rising[:, None], np.where(np.isposinf(x), 0.0, -np.inf), x)
        masked = np.isneginf(x)
    else:
        nan = nan | rising
    if policy == "masked":
        dead = empty
    else:
        nan = nan | empty
    x = np.where((nan | dead)[:, None], 0.0, x)
    masked = masked & ~(nan | dead)[:, None]
    top = np.argmax(x, axis=1)
    x = np.where(masked, np.take_along_axis(x, top[:, None], axis=1), x)
    return _Classified(x, top, _some(masked), _some(nan), _some(dead), _some(special))


def _some(flags: Flags) -> Flags | None:
    return flags if flags.any() else None
