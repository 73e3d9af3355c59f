"""A problem of the loss spec laid out as rows: class axis last, special rows told apart, coefficients named.

What is decided here is decided exactly, by comparisons alone: which logits are masked (-inf), which rows are NaN,
which positions count. The arithmetic is left to `formulas`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Mapping

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
    0, `valid` the rows of V.
    """

    operation: str
    shape: tuple[int, ...]
    x: Floats
    masked: Flags
    nan: Flags
    dead: Flags
    unspecified: Flags
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


def lay_out(
    operation: str, arrays: Mapping[str, Array], keywords: Mapping[str, Any], policy: str = ""
) -> Rows:
    """Lay out a request's arrays as rows, under one permitted choice.

    `policy` is `limit` (S5: +inf means the limit), `masked` (S6: p = 0 in a row all -inf), `zero` (N3: the mean over
    nothing is 0) or anything else for NaN in all three.
    """
    first = arrays[OPERATIONS[operation].first].exact()
    x = _rows_of(first)
    m, k = x.shape
    nan = np.isnan(x).any(axis=1)
    rising = np.isposinf(x).any(axis=1) & ~nan
    dead = np.isneginf(x).all(axis=1) if k else np.zeros(m, bool)
    special = nan | rising | dead
    if operation == "nll_loss":
        nan, dead, special = np.zeros(m, bool), np.zeros(m, bool), np.zeros(m, bool)
        masked = np.zeros((m, k), bool)
    else:
        if policy == "limit":
            x = np.where(rising[:, None], np.where(np.isposinf(x), 0.0, -np.inf), x)
        else:
            nan = nan | rising
        if policy != "masked":
            nan, dead = nan | dead, np.zeros(m, bool)
        x = np.where((nan | dead)[:, None], 0.0, x)
        masked = np.isneginf(x)
        x = np.where(masked, np.max(x, axis=1, keepdims=True, initial=-np.inf), x)
    target = arrays.get("target")
    hard = target is None or target.format not in FORMATS
    valid = np.ones(m, bool)
    if target is None:
        q = np.zeros((m, k))
    elif hard:
        index = target.data.reshape(-1).astype(np.int64)
        valid = index != int(keywords.get("ignore_index", -100))
        q = (np.arange(k) == index[:, None]).astype(np.float64) * valid[:, None]
    else:
        q = _rows_of(target.exact())
    smoothing = 1.0 if operation == "smoothing_term" else float(keywords.get("label_smoothing", 0.0))
    weight = arrays["weight"].exact() if "weight" in arrays else np.ones(k)
    reduction = str(keywords.get("reduction", "mean"))
    if operation in ELEMENTWISE or operation in PER_ROW:
        reduction = "none"
    given = arrays["upstream"].exact() if "upstream" in arrays else np.ones(())
    upstream = _rows_of(given) if operation in ELEMENTWISE and given.ndim else given.reshape(-1, 1)
    return Rows(
        operation,
        tuple(int(n) for n in first.shape),
        x,
        masked,
        nan & valid,
        dead,
        special,
        q,
        hard,
        weight,
        smoothing,
        valid,
        reduction,
        upstream,
        policy == "zero",
    )


def _rows_of(values: Floats) -> Floats:
    last = np.moveaxis(values, min(1, values.ndim - 1), -1)
    return np.ascontiguousarray(last).reshape(math.prod(last.shape[:-1]), last.shape[-1])
