"""A problem of the loss spec: its inputs, as they came, and how they are cut into blocks of rows.

What is decided here is decided exactly, by comparisons alone: which logits are masked (-inf), which rows are NaN,
which positions count. The arithmetic is left to `formulas`. A block is laid out when it is asked for, so that a
problem takes no more memory than its inputs and one block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.errors import UsageError
from lossparity.formats import FORMATS, Array
from lossparity.reference.conventions import SPEC, Convention
from lossparity.reference.enclosures import Flags, Floats
from lossparity.reference.rows import Positions, Rows
from lossparity.spec import OPERATIONS

__all__ = ["ELEMENTWISE", "LOSSES", "PER_ROW", "Problem"]

ELEMENTWISE = ("softmax", "log_softmax", "one_hot", "exp")
PER_ROW = ("row_sum", "log_softmax_row_sum")
LOSSES = ("nll_loss", "cross_entropy", "smoothing_term")
_SOFTMAX = ("softmax", "log_softmax", "log_softmax_row_sum", "cross_entropy", "smoothing_term")
# Elements of a block: larger ones leave a core's cache, smaller ones spend their time between NumPy's calls.
_BLOCK = 1 << 17
# Elements of a problem that is worth keeping: every backend asks for it again.
_KEPT = 1 << 19
# glibc returns freed memory of more than 128 KiB to the system, and faulting it in again would take longer than the
# arithmetic. To free one large piece raises that limit for the rest of the process; elsewhere it does no harm.
np.empty(1 << 24, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Problem:
    """The inputs of one operation, under one permitted choice and one convention; all numbers are exact.

    `policy` is `limit` (S5: +inf means the limit), `masked` (S6: p = 0 in a row all -inf), `zero` (N3: the mean over
    nothing is 0; S4: so is the loss of a NaN row of which nothing counts) or anything else for NaN in all of these;
    `clamped` (C3) takes a label smoothing outside [0, 1] for the nearest in it. A position is a row of K classes; there
    are `count` of them.
    """

    operation: str
    arrays: Mapping[str, Array]
    keywords: Mapping[str, Any]
    policy: str = ""
    convention: Convention = SPEC
    divisors: dict[str, Any] = field(default_factory=dict)
    _laid_out: dict[int, Rows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the convention has no formula for, and what the spec leaves undefined."""
        own = (self.convention.smoothing, self.convention.entropy, self.convention.weights) != ("K", "kept", "class")
        plain = (self.convention.smoothing, self.convention.entropy) == ("K", "kept")
        beyond = not plain and not self._targets(lambda q: q <= 1)
        if self.operation == "cross_entropy" and ((own and self.mixed) or beyond):
            raise UsageError(
                f"{self.convention} has no formula for a label smoothing or target probabilities outside [0, 1]",
                hint="ask for the spec's own convention, or give a distribution as the target",
            )
        weight = self.arrays["weight"].exact() if "weight" in self.arrays else np.zeros(0)
        if np.any(weight < 0) or not self._targets(lambda q: ~(q < 0)):
            raise UsageError(
                "a negative weight or target probability has no certified value",
                hint="both are undefined (docs/spec.md)",
            )
        if self.mixed and any(np.isinf(self.take(self.first, at)).any() for at in self.blocks()):
            raise UsageError(
                "a label smoothing outside [0, 1] has no certified value where a logit is infinite",
                hint="infinite terms of both signs have no sum: leave the infinities to a smoothing in [0, 1]",
            )

    def _targets(self, holds: Callable[[Floats], Flags]) -> bool:
        """Whether something holds of all target probabilities, where the target is such."""
        soft = self.soft
        return soft is None or all(bool(np.all(holds(self.take(soft, at)))) for at in self.blocks())

    @property
    def first(self) -> Array:
        """The operation's first argument."""
        return self.arrays[OPERATIONS[self.operation].first]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first argument."""
        return self.first.shape

    @cached_property
    def axis(self) -> int:
        """The class axis: 1 (0 when 1-D), or the last one where the convention has it so."""
        return len(self.shape) - 1 if self.convention.axis == "last" else min(1, len(self.shape) - 1)

    @cached_property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.shape[self.axis]

    @cached_property
    def count(self) -> int:
        """The number of positions."""
        return math.prod(self.shape[: self.axis]) * math.prod(self.shape[self.axis + 1 :])

    @cached_property
    def reduction(self) -> str:
        """The reduction: none, mean or sum."""
        if self.operation not in LOSSES:
            return "none"
        asked = str(self.keywords.get("reduction", "mean"))
        return "sum" if asked == "mean" and self.convention.mean == "sum" else asked

    @cached_property
    def smoothing(self) -> float:
        """Label smoothing; the smoothing term is a loss that is nothing else."""
        if self.operation == "smoothing_term":
            return 1.0
        e = float(self.keywords.get("label_smoothing", 0.0))
        return min(max(e, 0.0), 1.0) if self.policy == "clamped" else e

    @property
    def mixed(self) -> bool:
        """Whether the coefficients of a loss may be of both signs: the smoothing is outside [0, 1] (C3)."""
        return not 0 <= self.smoothing <= 1

    @cached_property
    def weight(self) -> Floats | None:
        """Class weights (K,), none where they change nothing: all 1, each for its own class, or dropped."""
        if "weight" not in self.arrays or self.convention.weights == "none":
            return None
        weight: Floats = self.arrays["weight"].exact()
        return None if self.convention.weights == "class" and bool(np.all(weight == 1)) else weight

    @cached_property
    def index(self) -> npt.NDArray[np.int64] | None:
        """Targets as indices (M,), none for probabilities and where there is no target."""
        target = self.arrays.get("target")
        if target is None or target.format in FORMATS:
            return None
        return target.data.reshape(-1).astype(np.int64)

    @cached_property
    def soft(self) -> Array | None:
        """Targets as probabilities, in the shape of the logits."""
        target = self.arrays.get("target")
        return target if target is not None and target.format in FORMATS else None

    @cached_property
    def valid(self) -> Flags:
        """The positions of V (M,)."""
        if self.index is None:
            return np.ones(self.count, dtype=np.bool_)
        return self.index != int(self.keywords.get("ignore_index", -100))

    @cached_property
    def outside(self) -> Flags:
        """The positions whose index is outside [0, K) and not ignored (M,)."""
        if self.index is None:
            return np.zeros(self.count, dtype=np.bool_)
        return self.valid & ((self.index < 0) | (self.index >= self.classes))

    @cached_property
    def known(self) -> Flags:
        """The positions whose index names a class (M,)."""
        return self.valid & ~self.outside

    @cached_property
    def row_weights(self) -> str:
        """What gives each row a weight of its own: its `target`, its `smoothed` one, or empty where nothing does."""
        if self.weight is None:
            return ""
        if self.convention.weights == "averaged":
            return "smoothed"
        return "target" if self.convention.weights == "target" or self.index is not None else ""

    @cached_property
    def nothing_counts(self) -> bool:
        """Whether the mean's divisor is 0 (clause N3)."""
        if self.convention.mean == "all":
            return self.count == 0
        if self.convention.mean == "positions" or not self.row_weights:
            return not self.known.any()
        if self.weight is not None and self.index is not None and self.row_weights == "target":
            return not self.weight[self.index[self.known]].any()
        return not any((rows.carries & rows.known).any() for rows in map(self.rows, self.blocks()))

    @property
    def others(self) -> int:
        """The number of classes that share the smoothing's mass."""
        apart = self.convention.smoothing == "K-1" and "target" in self.arrays
        return self.classes - 1 if apart else self.classes

    @property
    def twice(self) -> bool:
        """Whether it is the softmax of a softmax."""
        return self.convention.softmax == "twice" and self.operation in _SOFTMAX

    @property
    def base(self) -> int | None:
        """The base of the logarithms, none for the natural one."""
        logarithmic = self.convention.base != "e" and self.operation in _SOFTMAX[1:]
        return int(self.convention.base) if logarithmic else None

    @cached_property
    def clip(self) -> tuple[float, float] | None:
        """The ends that probabilities are clipped to before their logarithm, numbers of the format."""
        if self.convention.clip == "none" or self.operation not in _SOFTMAX[1:]:
            return None
        end = float(self.convention.clip)
        low, high = FORMATS[self.first.format].round([end, 1 - end]).tolist()
        return low, high

    @cached_property
    def whole_rows(self) -> bool:
        """Whether the result has an element for every class, and not for every position or all of them."""
        return self.operation in ELEMENTWISE

    @property
    def positions(self) -> tuple[int, ...]:
        """Shape of the first argument without its class axis."""
        return (*self.shape[: self.axis], *self.shape[self.axis + 1 :])

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the value; a gradient's is that of the first argument."""
        if self.whole_rows:
            return self.shape
        return self.positions if self.reduction == "none" else ()

    def blocks(self) -> Iterator[slice]:
        """Cut the positions into blocks whose rows fit a core's cache; one, empty, where there are none."""
        rows = max(1, _BLOCK // max(self.classes, 1))
        for start in range(0, max(self.count, 1), rows):
            yield slice(start, min(start + rows, self.count))

    @cached_property
    def small(self) -> bool:
        """Whether what is computed of it is worth keeping: it is asked for again by every backend."""
        return self.count * self.classes <= _KEPT

    def rows(self, positions: Positions) -> Rows:
        """Lay out some positions; those of a small problem only once."""
        if not (self.small and isinstance(positions, slice)):
            return Rows(self, positions)
        return self._laid_out.setdefault(positions.start, Rows(self, positions))

    def take(self, array: Array, positions: Positions) -> Floats:
        """Return some positions of an array of the first argument's shape as exact rows (m, K)."""
        inner = math.prod(self.shape[self.axis + 1 :])
        data = array.data.reshape(-1, self.classes, inner) if inner else array.data.reshape(0, self.classes, 1)
        if inner == 1:
            return Array(array.format, data[positions, :, 0]).exact()
        at = np.arange(self.count)[positions] if isinstance(positions, slice) else positions
        return Array(array.format, data[at // max(inner, 1), :, at % max(inner, 1)]).exact()

    def placed(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return rows of all positions (M, K) in the shape of the first argument: the inverse of `take`."""
        return np.moveaxis(rows.reshape(*self.positions, self.classes), -1, self.axis)

    def flat(self, position: int, cls: int) -> int:
        """Return the place of an element in the flattened first argument."""
        inner = math.prod(self.shape[self.axis + 1 :])
        return (position // inner * self.classes + cls) * inner + position % inner

    def place(self, flat: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the positions and classes of places in the flattened first argument."""
        inner = math.prod(self.shape[self.axis + 1 :])
        return flat // (self.classes * inner) * inner + flat % inner, flat // inner % self.classes
