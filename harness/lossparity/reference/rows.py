"""A problem of the loss spec laid out as rows: class axis last, special rows told apart, coefficients named.

What is decided here is decided exactly, by comparisons alone: which logits are masked (-inf), which rows are NaN,
which positions count. The arithmetic is left to `formulas`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.formats import FORMATS, Array
from lossparity.spec import OPERATIONS

__all__ = ["ELEMENTWISE", "PER_ROW", "Rows", "lay_out"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ELEMENTWISE = ("softmax", "log_softmax", "one_hot", "exp")
PER_ROW = ("row_sum", "log_softmax_row_sum")


@dataclass(frozen=True)
class Rows:
    """The inputs of one operation as M rows of K classes; all numbers are exact.

    `x` is finite everywhere: masked entries hold their row's largest logit, rows that are NaN or wholly masked hold 0.
    `q` is the target as a distribution (one-hot for indices), `counted` the selected entries whose coefficient is not
    0, `valid` the rows of V. A gradient is left open where `unspecified`, and is 0 or NaN where `blank`: in an ignored
    row that holds anything not finite (G3).
    """

    operation: str
    shape: tuple[int, ...]
    x: Floats
    masked: Flags
    nan: Flags
    dead: Flags
    unspecified: Flags
    blank: Flags
    q: Floats
    hard: bool
    weight: Floats
    smoothing: float
    valid: Flags
    reduction: str
    upstream: Floats
    empty_is_zero: bool

    @property
    def weighted(self) -> bool:
        """Whether a weight other than 1 takes part."""
        return bool(np.any(self.weight != 1))

    @property
    def counted(self) -> Flags:
        """The entries whose coefficient w_c q'_c is not 0, in rows of V."""
        return (self.weight > 0) & ((self.q > 0) | (self.smoothing > 0)) & self.valid[:, None]

    @property
    def divided(self) -> bool:
        """Whether the mean's divisor applies."""
        return self.reduction == "mean"

    def restore(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give (M, K) or (M,) back the shape of the inputs, class axis at 1 (0 when 1-D)."""
        if len(self.shape) == 1:
            return rows.reshape(self.shape if rows.ndim == 2 else ())
        outer = (self.shape[0], *self.shape[2:])
        return np.moveaxis(rows.reshape(*outer, self.shape[1]), -1, 1) if rows.ndim == 2 else rows.reshape(outer)


def lay_out(operation: str, arrays: Mapping[str, Array], keywords: Mapping[str, Any], policy: str = "") -> Rows:
    """Lay out a request's arrays as rows, under one permitted choice.

    `policy` is `limit` (S5: +inf means the limit), `masked` (S6: p = 0 in a row all -inf), `zero` (N3: the mean over
    nothing is 0) or anything else for NaN in all three.
    """
    first = arrays[OPERATIONS[operation].first].exact()
    raw = _rows_of(first)
    x, masked, nan, dead, special = _classified(raw, operation, policy)
    q, valid, outside, hard = _target(arrays.get("target"), x.shape, int(keywords.get("ignore_index", -100)))
    whole = operation in ELEMENTWISE or operation in PER_ROW
    reduction = "none" if whole else str(keywords.get("reduction", "mean"))
    # N4: the loss of an index outside [0, K) is NaN, and its gradient, through a sum every row's, is left open.
    open_rows = outside if reduction == "none" else np.full(outside.shape, outside.any())
    given = arrays["upstream"].exact() if "upstream" in arrays else np.ones(())
    return Rows(
        operation=operation,
        shape=tuple(int(n) for n in first.shape),
        x=x,
        masked=masked,
        nan=(nan & valid) | outside,
        dead=dead,
        unspecified=special | open_rows,
        blank=~valid & ~np.isfinite(raw).all(axis=1),
        q=q,
        hard=hard,
        weight=arrays["weight"].exact() if "weight" in arrays else np.ones(x.shape[1]),
        smoothing=1.0 if operation == "smoothing_term" else float(keywords.get("label_smoothing", 0.0)),
        valid=valid,
        reduction=reduction,
        upstream=_rows_of(given) if operation in ELEMENTWISE and given.ndim else given.reshape(-1, 1),
        empty_is_zero=policy == "zero",
    )


def _classified(x: Floats, operation: str, policy: str) -> tuple[Floats, Flags, Flags, Flags, Flags]:
    """Return finite stand-ins for x, and what is masked, NaN, wholly masked, and of unspecified gradient."""
    m, k = x.shape
    none: Flags = np.zeros(m, dtype=np.bool_)
    if operation in ("exp", "row_sum"):  # each entry for itself: the S-clauses do not hold
        lost: Flags = np.asarray((np.isnan(x) | np.isposinf(x)).any(axis=1))
        return np.where(np.isneginf(x), 0.0, x), np.asarray(np.isneginf(x)), none, none, lost
    if operation == "nll_loss":  # the S-clauses do not hold: it reads only its selected entry
        return x, np.zeros((m, k), dtype=np.bool_), none, none, none
    nan: Flags = np.asarray(np.isnan(x).any(axis=1))
    rising: Flags = np.asarray(np.isposinf(x).any(axis=1)) & ~nan
    dead: Flags = np.asarray(np.isneginf(x).all(axis=1)) if k else none
    special = nan | rising | dead
    if policy == "limit":
        x = np.where(rising[:, None], np.where(np.isposinf(x), 0.0, -np.inf), x)
    else:
        nan = nan | rising
    if policy != "masked":
        nan, dead = nan | dead, none
    x = np.where((nan | dead)[:, None], 0.0, x)
    masked: Flags = np.asarray(np.isneginf(x))
    return np.where(masked, np.max(x, axis=1, keepdims=True, initial=-np.inf), x), masked, nan, dead, special


def _target(target: Array | None, shape: tuple[int, ...], ignore_index: int) -> tuple[Floats, Flags, Flags, bool]:
    """Return the target as a distribution, the rows of V, those of them outside [0, K), and whether it was indices."""
    m, k = shape
    everywhere, nowhere = np.ones(m, dtype=np.bool_), np.zeros(m, dtype=np.bool_)
    if target is None:
        return np.zeros((m, k)), everywhere, nowhere, True
    if target.format in FORMATS:
        return _rows_of(target.exact()), everywhere, nowhere, False
    index = target.data.reshape(-1).astype(np.int64)
    valid = index != ignore_index
    one_hot = (np.arange(k) == index[:, None]).astype(np.float64) * valid[:, None]
    return one_hot, valid, valid & ((index < 0) | (index >= k)), True


def _rows_of(values: Floats) -> Floats:
    last = np.moveaxis(values, min(1, values.ndim - 1), -1)
    return np.ascontiguousarray(last).reshape(math.prod(last.shape[:-1]), last.shape[-1])
