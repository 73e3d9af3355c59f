"""The calls of a relation: a case's own, and those made beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lossparity.errors import UsageError
from lossparity.formats import FORMATS, Array
from lossparity.model import Keyword
from lossparity.reference import Flags
from lossparity.shapes import class_axis, row_shape
from lossparity.spec import DEFAULTS

__all__ = ["Part", "alone", "permuted", "reversed_rows", "rolled_classes", "shared_out", "unreduced", "without_ignored"]


@dataclass(frozen=True, eq=False)
class Part:
    """One call of a relation: its arrays in the order of a request, and its keywords; `eager` in any mode."""

    arrays: Mapping[str, Array]
    keywords: Mapping[str, Keyword]
    eager: bool = False

    @property
    def first(self) -> Array:
        """The operation's first argument."""
        return next(iter(self.arrays.values()))

    @property
    def reduction(self) -> str:
        """The reduction that holds."""
        return str(self.keywords.get("reduction", DEFAULTS["reduction"]))

    @property
    def ignored(self) -> Flags:
        """Which positions are ignored; none where the target is probabilities, or there is no target."""
        target = self.arrays.get("target")
        if target is None or target.format in FORMATS:
            return np.zeros(row_shape(self.first.shape), dtype=np.bool_)
        return np.asarray(target.exact() == self.keywords.get("ignore_index", DEFAULTS["ignore_index"]))

    @property
    def divisor(self) -> float:
        """What a mean divides by; 1 under the other reductions."""
        if self.reduction != "mean":
            return 1.0
        target = self.arrays["target"]
        if target.format in FORMATS:
            return float(math.prod(row_shape(self.first.shape)))
        counted = target.exact()[~self.ignored]
        weight = self.arrays["weight"].exact() if "weight" in self.arrays else np.ones(int(counted.max(initial=0)) + 1)
        return math.fsum(weight[counted].tolist())

    def of_rows(self, rows: npt.NDArray[np.intp]) -> Part:
        """Return the call with some of the rows, in their order."""
        count = self.first.shape[0]

        def taken(name: str, array: Array) -> Array:
            by_row = name != "weight" and array.shape[:1] == (count,)
            return Array(array.format, array.data[rows]) if by_row else array

        return replace(self, arrays={name: taken(name, array) for name, array in self.arrays.items()})

    def of_classes(self, order: npt.NDArray[np.intp]) -> Part:
        """Return the call with the classes in another order: class `order[i]` becomes class i."""
        renamed = np.argsort(order)
        shape, axis = self.first.shape, class_axis(self.first.shape)

        def index(data: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            inside = (data >= 0) & (data < len(order))
            return np.where(inside, renamed[np.where(inside, data, 0)], data)

        arrays = dict(self.arrays)
        for name, array in arrays.items():
            if array.format not in FORMATS:
                arrays[name] = Array(array.format, index(array.data).astype(array.data.dtype))
            elif array.shape == shape or name == "weight":
                arrays[name] = Array(array.format, np.take(array.data, order, axis if array.shape == shape else 0))
        keywords = dict(self.keywords)
        if "ignore_index" in keywords:
            keywords["ignore_index"] = int(index(np.array(keywords["ignore_index"])))
        return replace(self, arrays=arrays, keywords=keywords)


def reversed_rows(part: Part) -> npt.NDArray[np.intp]:
    """Return the order of the rows in `permuted`."""
    return np.arange(part.first.shape[0])[::-1]


def rolled_classes(part: Part) -> npt.NDArray[np.intp]:
    """Return the order of the classes in `permuted`."""
    return np.roll(np.arange(part.first.shape[1]), 1)


def permuted(part: Part) -> tuple[Part, ...]:
    """Call it with classes and rows in another order."""
    return (part.of_classes(rolled_classes(part)).of_rows(reversed_rows(part)),)


def alone(part: Part) -> tuple[Part, ...]:
    """Call it for each row alone."""
    return tuple(part.of_rows(np.array([row])) for row in range(part.first.shape[0]))


def without_ignored(part: Part) -> tuple[Part, ...]:
    """Call it without the ignored rows."""
    return (part.of_rows(np.flatnonzero(~part.ignored)),)


def unreduced(part: Part) -> tuple[Part, ...]:
    """Call it for the losses that a sum or mean is of."""
    arrays = {name: array for name, array in part.arrays.items() if name != "upstream"}
    return (Part(arrays, {**part.keywords, "reduction": "none"}),)


def shared_out(part: Part) -> tuple[Part, ...]:
    """Call it for the losses, each with its share of the upstream gradient; UsageError where a share is no number of
    the format.
    """
    up, fmt = float(part.arrays["upstream"].exact()), part.arrays["upstream"].format
    divisor = part.divisor
    each = np.full(row_shape(part.first.shape), up / divisor if divisor else np.nan)
    upstream = Array.of(each, fmt)
    if not np.array_equal(upstream.exact() * divisor, np.full_like(each, up)):
        raise UsageError(
            f"the upstream {up:g} over the divisor {divisor:g} of the mean is no number of {fmt}",
            hint="choose weights, a number of rows and an `upstream` whose quotient is exact",
        )
    return (Part({**part.arrays, "upstream": upstream}, {**part.keywords, "reduction": "none"}),)
