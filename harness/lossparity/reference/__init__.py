"""The certified reference: every element of the exact result, enclosed, with the tier that enclosed it.

Tier `float64` is vectorised binary64 with a rigorous radius, for formats of 32 bits and less. Tier `double-double` has
twice the precision, for binary64 and for what the first leaves open. Tier `arb` is ball arithmetic at growing
precision. No backend is ever the reference, and the reference imports no framework.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lossparity.formats import Array
from lossparity.reference import doubledouble
from lossparity.reference.approximate import Approximate, Numbers
from lossparity.reference.arbs import Arbs
from lossparity.reference.binary64 import BINARY64
from lossparity.reference.core import Core
from lossparity.reference.enclosures import Enclosure, Flags, Floats, Radius
from lossparity.reference.formulas import Exact, gradient, reduced, value
from lossparity.reference.problem import LOSSES, Problem
from lossparity.reference.rows import Rows

__all__ = ["Answer", "Block", "Certified", "Flags", "Floats", "Problem", "Remember", "Rows", "computed"]

DOUBLE_DOUBLE = Numbers(
    name="double-double",
    unit=doubledouble.UNIT,
    function=doubledouble.FUNCTION,
    tiny=doubledouble.TINY,
    exact=doubledouble.exact,
    add=doubledouble.add,
    multiply=doubledouble.multiply,
    divide=doubledouble.divide,
    exp=doubledouble.exp,
    log1p=doubledouble.log1p,
    total=doubledouble.total,
)
_TIERS: tuple[Enclosure, ...] = (
    Approximate.of(0.0, BINARY64),
    Approximate.of(0.0, DOUBLE_DOUBLE),
    *(Arbs.of(0.0, bits) for bits in (192, 768, 3072)),
)

# What no format can tell from 0.
_TINIEST = 2.0**-1074

E = TypeVar("E", bound=Enclosure)
T = TypeVar("T")
Plain = Mapping[str, npt.NDArray[Any] | float | str | None]
Remember = Callable[[tuple[object, ...], Callable[[], Plain]], Plain]
"""Given what a result depends on and how to compute it, returns it, perhaps from a store."""


def computed(_parts: tuple[object, ...], compute: Callable[[], Plain]) -> Plain:
    """Compute it, and store nothing."""
    return compute()


@dataclass(frozen=True, eq=False)
class Certified:
    """A part of the exact result: `high + low` to within `rel * |high| + abs`; NaN and infinities stand in `high`.

    `special` is 1 where there are any of these, else 0.
    What is `open` is left open by the spec, but for 0 or NaN where it is `blank` (G3, N3). None stands for nowhere.
    """

    high: Floats
    low: Floats | None
    rel: Radius
    abs: Radius
    tier: str
    special: float = 0.0
    open: Flags | None = None
    blank: Flags | None = None

    @property
    def lost(self) -> Flags | None:
        """The elements of which nothing is known, none where there are none."""
        radius = self.rel + self.abs
        if not np.isinf(np.max(radius, initial=0.0)):
            return None
        return np.broadcast_to(np.isinf(radius), self.high.shape) & np.isfinite(self.high)

    @property
    def radius(self) -> Floats:
        """The radius of every element, 0 of NaN and the infinities."""
        with np.errstate(invalid="ignore"):
            radius = np.where(np.isfinite(self.high), self.rel * np.abs(self.high) + self.abs, 0.0)
        return np.where(radius > 0, np.nextafter(radius, np.inf), 0.0)


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a result as one tier encloses them; the one result of a sum or mean is a block of its own."""

    answer: Answer
    rows: Rows
    tier: int
    _cores: dict[str, Core[Any]] = field(default_factory=dict)
    _once: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """Return what others make of these rows, such as their bounds: the same for every result, so made once."""
        if what not in self._once:
            self._once[what] = make()
        found: T = self._once[what]
        return found

    def core(self, kind: E) -> Core[E]:
        """Return softmax's parts for these rows in one arithmetic, computed once."""
        if kind.name not in self._cores:
            self._cores[kind.name] = Core.of(self.rows, kind)
        return self._cores[kind.name]

    @cached_property
    def certified(self) -> Certified:
        """The exact result, (m, K), (m, 1) or (1, 1)."""
        # The parts that the first tier computes are needed for the bounds anyway: nothing would be saved.
        if self.tier == 0 or not self.answer.problem.small:
            return self._computed()
        at = self.rows.positions
        place = (at.start, at.stop) if isinstance(at, slice) else (at.tobytes(),)
        parts = (*self.answer.identity, _TIERS[self.tier].name, *place)
        return Certified(**self.answer.remember(parts, lambda: vars(self._computed())))  # type: ignore[arg-type]

    def _computed(self) -> Certified:
        kind = _TIERS[self.tier]
        with np.errstate(all="ignore"):
            exact = self.answer.exact(self, kind)
            found = exact.finite.enclosed()
        high, special = found.high, exact.special is not None and bool(np.any(exact.special != 0))
        if special:
            assert exact.special is not None
            high = np.where(exact.special == 0, high, exact.special)
        return Certified(high, found.low, found.rel, found.abs, kind.name, float(special), exact.open, exact.blank)

    @property
    def last(self) -> bool:
        """Whether there is no closer tier."""
        return self.tier == len(_TIERS) - 1

    def some(self, chosen: Flags) -> Block:
        """Return some of the rows."""
        if self.answer.scalar or chosen.all():
            return self
        rows = self.answer.problem.rows(np.arange(self.answer.problem.count)[self.rows.positions][chosen])
        return Block(self.answer, rows, self.tier)

    def within(self, relative: float) -> Block:
        """Return the rows as the first tier encloses them whose radius is within a share of the values, or the last."""
        block = self
        while not block.last:
            found = block.certified
            if found.lost is None and np.all(found.radius <= np.maximum(relative * np.abs(found.high), _TINIEST)):
                break
            block = Block(self.answer, self.rows, block.tier + 1)
        return block

    def narrowed(self, chosen: Flags) -> Block:
        """Return some of the rows as the next tier encloses them."""
        return Block(self.answer, self.some(chosen).rows, self.tier + 1)


@dataclass(frozen=True, eq=False)
class Answer:
    """One quantity of a problem, `value` or `gradient`, as a format's results are judged against it."""

    problem: Problem
    quantity: str
    format: str
    remember: Remember = computed
    _kept: list[Block] = field(default_factory=list)

    @cached_property
    def identity(self) -> tuple[object, ...]:
        """Everything that the exact result depends on."""
        problem = self.problem
        arrays = {
            name: (array.format, array.shape, np.ascontiguousarray(array.data).tobytes())
            for name, array in problem.arrays.items()
        }
        choices = (problem.operation, problem.policy, repr(problem.convention), self.quantity)
        return (*choices, dict(problem.keywords), arrays)

    @property
    def first_tier(self) -> int:
        """The cheapest tier that can settle a result of the format."""
        return 1 if self.format == "float64" else 0

    @cached_property
    def scalar(self) -> bool:
        """Whether it is one number for all positions: a sum or mean."""
        return self.quantity == "value" and self.problem.operation in LOSSES and self.problem.reduction != "none"

    @cached_property
    def by_class(self) -> bool:
        """Whether it has an element for every class of every position."""
        return self.quantity == "gradient" or self.problem.whole_rows

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return self.problem.shape if self.quantity == "gradient" else self.problem.result_shape

    def blocks(self) -> Iterator[Block]:
        """Yield the result in blocks of rows; one block where it is a sum or mean."""
        if self.problem.small and not self._kept:
            self._kept.extend(self._cut())
        yield from self._kept or self._cut()

    def _cut(self) -> Iterator[Block]:
        for positions in self.problem.blocks():
            yield Block(self, self.problem.rows(positions), self.first_tier)
            if self.scalar:
                return

    def rows_of(self, array: Array, rows: Rows) -> Floats:
        """Return what an array of the result's shape holds for some rows, (m, K), (m, 1) or (1, 1)."""
        if self.by_class:
            return self.problem.take(array, rows.positions)
        flat = array.data.reshape(-1)
        return Array(array.format, flat if self.scalar else flat[rows.positions]).exact()[:, None]

    def flat(self, rows: Rows, row: int, cls: int) -> int:
        """Return the place of an element of a block in the flattened result."""
        if self.scalar:
            return 0
        at = rows.positions
        position = at.start + row if isinstance(at, slice) else int(at[row])
        return self.problem.flat(position, cls) if self.by_class else position

    def prepare(self) -> None:
        """Compute what is kept, ahead of the judging."""
        if self.problem.small:
            for block in self.blocks():
                _ = block.certified

    def whole(self) -> Floats:
        """Return the nearest binary64 numbers to the exact values, in the result's shape."""
        return self.at(np.arange(math.prod(self.shape))).reshape(self.shape)

    def at(self, places: npt.NDArray[np.intp]) -> Floats:
        """Return the nearest binary64 numbers to the exact values at places of the flattened result."""
        if self.problem.small and not self.scalar and len(kept := list(self.blocks())) == 1:
            return kept[0].certified.high[self._placed(places)]
        block, rows, classes = self.located(places)
        return block.certified.high[rows, classes]

    def around(self, place: int) -> tuple[Block, int]:
        """Return the row that holds a place of the flattened result, as a block, and the place's class."""
        block, _, classes = self.located(np.array([place]))
        return block, int(classes[0])

    def located(self, places: npt.NDArray[np.intp]) -> tuple[Block, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the rows that hold places of the flattened result, as a block, and the places' rows and classes."""
        if self.scalar:
            zeros = np.zeros(len(places), dtype=np.intp)
            return next(self.blocks()), zeros, zeros
        positions, classes = self._placed(places)
        unique, rows = np.unique(positions, return_inverse=True)
        return Block(self, self.problem.rows(unique), self.first_tier), rows, classes

    def _placed(self, places: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the positions and classes of places of the flattened result; class 0 where it has one a position."""
        return self.problem.place(places) if self.by_class else (places, np.zeros_like(places))

    def exact(self, block: Block, kind: Enclosure) -> Exact[Enclosure]:
        """Evaluate the formula in one arithmetic, for a block's rows, or for all of them where it is one number."""
        if self.quantity == "gradient":
            return gradient(block.core(kind))
        if not self.scalar:
            return value(block.core(kind))
        every = [value(Core.of(self.problem.rows(positions), kind)) for positions in self.problem.blocks()]
        return reduced(self.problem, every, kind)
