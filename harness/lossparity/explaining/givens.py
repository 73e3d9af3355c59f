"""What a user gives to be explained, checked and laid out: logits, target, weights and the loss's keywords."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.errors import UsageError, suggest
from lossparity.explaining.variants import Applicable
from lossparity.formats import FORMATS, Array
from lossparity.reference import Floats

__all__ = ["LARGE", "MOST", "Given", "Laid", "array", "given", "own_format"]

MOST = 1 << 28
"""Logits that are still read."""
LARGE = 1 << 22
"""Logits above which departures are tried one at a time."""


@dataclass(frozen=True, eq=False)
class Laid:
    """Rows of classes along one class axis: logits (M, K), target (M,) or (M, K), of `samples` samples."""

    logits: Array
    target: Array
    samples: int

    @property
    def count(self) -> int:
        """M, the number of positions."""
        return self.logits.shape[0]

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.logits.shape[1]

    @property
    def soft(self) -> bool:
        """Whether the target is probabilities."""
        return self.target.format in FORMATS


@dataclass(frozen=True, eq=False)
class Given:
    """Inputs in one format, which are exact from here on; `laid` has the rows by class axis, `1` and `last`."""

    format: str
    laid: dict[str, Laid]
    shape: tuple[int, ...]
    weight: Array | None
    smoothing: float
    ignore_index: int

    @property
    def first(self) -> Laid:
        """The rows along axis 1, or along the last where the shapes admit no other."""
        return next(iter(self.laid.values()))

    def along(self, axis: str | None) -> Laid:
        """Return the rows along an axis; None for the first."""
        return self.first if axis is None else self.laid[axis]

    @property
    def ignored(self) -> npt.NDArray[np.bool_]:
        """The positions that are ignored (M,)."""
        one = self.first
        return np.zeros(one.count, np.bool_) if one.soft else one.target.data == self.ignore_index

    @property
    def large(self) -> bool:
        """Whether departures are tried one at a time."""
        return self.first.count * self.first.classes > LARGE

    def applicable(self) -> Applicable:
        """Return what can make a difference to these inputs."""
        one, ways = self.first, []
        if self.ignored.any():
            inside = 0 <= self.ignore_index < one.classes
            ways = ["counted"] if inside else ["last" if self.ignore_index >= one.classes else "first"]
            if -one.classes <= self.ignore_index < 0:
                ways.append("wrapped")
            if self.smoothing:
                ways.append("zeros")
        return Applicable(
            tuple(self.laid),
            self.smoothing > 0,
            one.soft,
            self.weight is not None,
            tuple(ways),
            one.count != one.samples,
            all(bool((block >= 0).all()) for block in _blocks(one.logits)),
            one.classes,
        )


def own_format(values: Any, name: str = "logits") -> tuple[str, str]:
    """Return the format that numbers come in, and why: an array's own, else binary32 where 9 digits are enough.

    A list holds numbers as they were typed. Raises UsageError for arrays of another format.
    """
    if not isinstance(values, np.ndarray | np.generic):
        flat = np.asarray(array(values, name), dtype=np.float64).reshape(-1)
        if all(math.isinf(x) or float(f"{x:.9g}") == x for x in flat.tolist()):
            return "float32", "the logits have no format and no more than 9 digits"
        return "float64", "the logits have no format, and more than 9 digits"
    if values.dtype.name == "bfloat16" or values.dtype == np.dtype("V2"):
        return "bfloat16", "the logits' own"
    if values.dtype.kind in "iub":
        return "float32", "the logits are integers"
    if values.dtype.name not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"the {name} are of type {values.dtype.name}", hint=f"they have to be one of {known}")
    return values.dtype.name, "the logits' own"


def array(values: Any, name: str) -> npt.NDArray[Any]:
    """Return numbers as an array; bfloat16 as binary64. UsageError where they are none, or have no one shape."""
    try:
        found = values if isinstance(values, np.ndarray) else np.asarray(values)
    except ValueError:
        raise UsageError(f"the {name} have rows of different lengths", hint="every row needs the same length") from None
    if found.dtype == np.dtype("V2"):
        return Array("bfloat16", found.view("<u2")).exact()
    if found.dtype.name == "bfloat16":
        return found.astype(np.float64)
    if found.dtype.kind not in "iuf":
        raise UsageError(
            f"the {name} are no numbers, but of type {found.dtype.name}", hint="integers or real numbers are read"
        )
    return found


def given(logits: Any, target: Any, *, weight: Any, label_smoothing: float, ignore_index: int, fmt: str) -> Given:
    """Check what was given and round it to a format; UsageError, in one sentence, for what cannot be a loss's input."""
    if fmt not in FORMATS:
        raise UsageError(f"unknown format {fmt!r}", hint=suggest(fmt, FORMATS, "format"))
    x, y = array(logits, "logits"), array(target, "target")
    if x.ndim == 1 and (y.shape == (1,) or y.ndim == 0):
        x, y = x[None, :], y.reshape(1)
    elif x.ndim == 1 and y.shape == x.shape:
        x, y = x[None, :], y[None, :]
    if x.ndim < 2 or x.size == 0:
        raise UsageError(f"logits of shape {x.shape} hold no row of classes", hint="(N, K), (N, K, d1, ...) or (K,)")
    if x.size > MOST:
        raise UsageError(f"{x.size} logits are too many", hint=f"up to {MOST} are read; take some of the rows")
    rounded = _as(x, logits, fmt)
    laid = {name: found for name, axis in (("1", 1), ("last", -1)) if (found := _laid(rounded, y, axis, fmt))}
    if x.ndim == 2:
        laid.pop("last", None)
    if not laid:
        raise _misfit(x, y)
    one = Given(fmt, laid, x.shape, None, float(label_smoothing), int(ignore_index))
    if not 0 <= one.smoothing <= 1:
        raise UsageError(f"a label smoothing of {label_smoothing} is not in [0, 1]", hint="0.1 is a common one")
    _refuse(one)
    if weight is None:
        return one
    w = np.asarray(array(weight, "weight"), dtype=np.float64)
    if w.shape != (one.first.classes,):
        raise UsageError(
            f"weights of shape {w.shape} for {one.first.classes} classes", hint="one for each class is needed"
        )
    if not (np.isfinite(w).all() and (w >= 0).all() and w.any()):
        raise UsageError("the weights have to be finite, at least 0, and not all 0", hint="docs/spec.md, Notation")
    laid = {name: each for name, each in laid.items() if each.classes == len(w)}
    return Given(fmt, laid, x.shape, Array.of(w, fmt), one.smoothing, one.ignore_index)


def _as(x: npt.NDArray[Any], original: Any, fmt: str) -> Array:
    if isinstance(original, np.ndarray) and original.dtype == np.dtype(FORMATS[fmt].storage):
        return Array(fmt, x) if fmt != "bfloat16" else Array.of(x, fmt)
    return Array.of(x, fmt)


def _laid(x: Array, y: npt.NDArray[Any], axis: int, fmt: str) -> Laid | None:
    shape = x.shape
    rest = tuple(np.delete(shape, axis).tolist())
    k = shape[axis]
    rows = Array(x.format, np.moveaxis(x.data, axis, -1).reshape(-1, k))
    if y.dtype.kind in "iu" and y.shape == rest:
        return Laid(rows, Array("int64", y.reshape(-1).astype(np.int64)), shape[0])
    if y.dtype.kind == "f" and y.shape == shape:
        soft = np.moveaxis(np.asarray(y, dtype=np.float64), axis, -1).reshape(-1, k)
        return Laid(rows, Array.of(soft, fmt), shape[0])
    return None


def _misfit(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> UsageError:
    rest = x.shape[:1] + x.shape[2:]
    if y.dtype.kind == "f" and y.shape != x.shape:
        return UsageError(
            f"the target holds real numbers of shape {y.shape}, and the logits have shape {x.shape}",
            hint=f"indices are integers of shape {rest}, probabilities have the logits' shape",
        )
    return UsageError(
        f"a target of shape {y.shape} does not fit logits of shape {x.shape}",
        hint=f"indices have shape {rest}, probabilities the logits' own and real numbers",
    )


def _refuse(one: Given) -> None:
    """Refuse what has no loss under any convention."""
    ignored = one.ignored
    for laid in one.laid.values():
        row = 0
        for block in _blocks(laid.logits):
            wrong = (np.isnan(block) | np.isposinf(block)) & ~ignored[row : row + len(block), None]
            if wrong.any():
                at, cls = (int(i) for i in np.argwhere(wrong)[0])
                raise UsageError(
                    f"the logits hold {block[at, cls]} (row {row + at}, class {cls})",
                    hint="the loss of such a row is NaN under every convention",
                )
            row += len(block)
        if laid.soft:
            q = laid.target.exact()
            if not (np.isfinite(q).all() and (q >= 0).all() and (q <= 1).all()):
                raise UsageError("target probabilities have to be in [0, 1]", hint="integers are read as indices")
            continue
        outside = ~ignored & ((laid.target.data < 0) | (laid.target.data >= laid.classes))
        if outside.any():
            at = int(np.argmax(outside))
            raise UsageError(
                f"the target holds {laid.target.data[at]} (position {at}), and there are {laid.classes} classes",
                hint=f"what is ignored has to be named: --ignore-index {laid.target.data[at]}",
            )
        if ignored.all():
            raise UsageError("every position is ignored", hint=f"--ignore-index is {one.ignore_index}")


def _blocks(rows: Array) -> Iterator[Floats]:
    step = max(1, (1 << 20) // max(rows.shape[1], 1))
    for start in range(0, rows.shape[0], step):
        yield Array(rows.format, rows.data[start : start + step]).exact()
