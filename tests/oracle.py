"""A 60-digit oracle of the loss spec in mpmath, sharing neither code nor formulas with the reference.

The textbook definitions are evaluated as they stand, without the shift by the largest logit: mpmath's
exponents are unbounded integers and its `exp` reduces an argument with as many extra bits as it is long,
so exp(3.4e38) is as accurate as exp(1). What is left to guard against is cancellation:

* z_t = -log1p(Σ_{j≠t} exp(x_j) / exp(x_t)) is x_t - log Σ exp(x_j) with the other classes summed apart,
  so it keeps its digits where p -> 1. Sums of exponentials have positive terms only: what their rounding
  drops, however far apart the terms are, is below 10^-75 of the sum and out of sight of 60 digits.
* Gradients are differences of such sums, and may be exactly 0: see `_combination`.
"""

from collections import defaultdict
from fractions import Fraction
from itertools import accumulate
from math import inf, isinf, isnan
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

DIGITS = 80  # 60 are promised: long sums and the cancellation let pass below cost fewer than 20
LEAST_LEFT = 1e-15  # a difference of which less than this part is left is computed anew

ELEMENTWISE = ("one_hot", "exp", "softmax", "log_softmax")
ROW_SUMS = ("row_sum", "log_softmax_row_sum")
LOSSES = ("nll_loss", "cross_entropy", "smoothing_term")

Array = npt.NDArray[Any]
Number = Any  # mpmath.mpf, which is untyped
Coefficients = dict[int, Fraction]  # the Q_c of the classes that a row's loss reads; empty where ignored


def value(
    operation: str,
    first: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    policy: str = "nan",
) -> Array:
    """Return the exact result of an operation as an object array of `mpmath.mpf` (0-d for mean and sum).

    `policy` picks one of the outcomes that the spec permits: "limit" for rows holding +inf (S5), "masked" for
    rows of -inf only (S6), "zero" for a mean whose divisor is 0 (N3) and for a loss whose coefficients are all 0
    in a row that is NaN (S4), "clamped" for a label smoothing outside [0, 1] (C3), where the formula holds
    otherwise. Every other choice not picked gives NaN.
    """
    _check(operation, reduction, policy)
    label_smoothing = _smoothing(label_smoothing, policy)
    x = np.asarray(first, dtype=np.float64)
    rows = _rows(x).tolist()
    with mpmath.workdps(DIGITS):
        if operation == "one_hot":
            classes = range(_rows(x).shape[1])
            return _unrows([[mpmath.mpf(c == y) for c in classes] for y in _labels(target, x)], x)
        if operation in ("exp", "row_sum"):
            rows = [_exp(row) for row in rows]
        elif operation != "nll_loss":  # whose z is given
            rows = [_softmax(row, policy)[operation != "softmax"] for row in rows]
        if operation in ELEMENTWISE:
            return _unrows(rows, x)
        if operation in ROW_SUMS:
            return _per_row([mpmath.fsum(row) for row in rows], x)
        q, divisor = _coefficients(operation, x, target, weight, ignore_index, label_smoothing)
        losses = [mpmath.fsum(_term(q[r][c], z[c]) for c in q[r]) for r, z in enumerate(rows)]
        if policy == "zero" and operation != "nll_loss":  # which the S-clauses are not about
            losses = [loss if any(q[r].values()) else mpmath.mpf(0) for r, loss in enumerate(losses)]
        if reduction == "none":
            return _per_row(losses, x)
        total = mpmath.fsum(losses)
        if reduction == "mean" and divisor:
            total /= _mpf(divisor)
        elif reduction == "mean":
            # A NaN row stays NaN also here: N3 leaves a choice, S4 does not.
            total = mpmath.mpf(0) if policy == "zero" and not mpmath.isnan(total) else mpmath.nan
        return np.array(total, dtype=object)


def gradient(
    operation: str,
    first: npt.ArrayLike,
    target: npt.ArrayLike | None,
    upstream: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    policy: str = "nan",
) -> Array:
    """Return the exact gradient with respect to `first`, with None where the spec leaves it unspecified.

    `upstream` is finite and has the shape of the value. Unspecified are the rows under S4, S5 and S6. Where
    the divisor of a mean is 0 (N3) the gradient is NaN, or 0 under the policy "zero".
    """
    _check(operation, reduction, policy)
    label_smoothing = _smoothing(label_smoothing, policy)
    if operation == "one_hot":
        raise ValueError("one_hot has no gradient")
    x = np.asarray(first, dtype=np.float64)
    up = np.asarray(upstream, dtype=np.float64)
    reduced = operation in LOSSES and reduction != "none"
    if up.shape != (x.shape if operation in ELEMENTWISE else () if reduced else _row_shape(x)):
        raise ValueError(f"an upstream gradient of shape {up.shape} does not fit the value of {operation}")
    rows = _rows(x)
    ups = _rows(up) if operation in ELEMENTWISE else np.broadcast_to(up.reshape(-1, 1), rows.shape)
    v = [[Fraction(u) for u in row] for row in ups.tolist()]
    with mpmath.workdps(DIGITS):
        if operation not in LOSSES:
            return _unrows([_row_gradient(operation, *r) for r in zip(rows.tolist(), v, strict=True)], x)
        q, divisor = _coefficients(operation, x, target, weight, ignore_index, label_smoothing)
        divisor = divisor if reduction == "mean" else Fraction(1)
        inner = "nll_loss" if operation == "nll_loss" else "log_softmax"
        result = []
        for row, v_row, q_row in zip(rows.tolist(), v, q, strict=True):
            # The loss is -Σ Q_c z_c / D: it hands -up Q_c / D on to z_c, and z hands that on to x.
            v_z = [-u * q_row.get(c, 0) / (divisor or 1) for c, u in enumerate(v_row)]
            g_row = _row_gradient(inner, row, v_z) if q_row else [mpmath.mpf(0)] * len(row)
            empty = mpmath.mpf(0) if policy == "zero" else mpmath.nan
            result.append([g if divisor or g is None else empty for g in g_row])
        return _unrows(result, x)


def _coefficients(
    operation: str,
    x: Array,
    target: npt.ArrayLike | None,
    weight: npt.ArrayLike | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[list[Coefficients], Fraction]:
    """Return each row's Q, exact, where its loss is -Σ_c Q_c z_c, and the divisor of the mean."""
    n, k = _rows(x).shape
    if operation == "smoothing_term":
        return [dict.fromkeys(range(k), Fraction(1, k))] * n, Fraction(n)
    w = [Fraction(a) for a in np.asarray(np.ones(k) if weight is None else weight, dtype=np.float64).tolist()]
    if len(w) != k:
        raise ValueError(f"{len(w)} weights for {k} classes")
    eps = Fraction(label_smoothing)
    y = np.asarray(target)
    if operation == "cross_entropy" and y.dtype.kind == "f":
        if y.shape != x.shape:
            raise ValueError("target probabilities must have the shape of the logits")
        q_rows = _rows(y.astype(np.float64)).tolist()
        smoothed = [[(1 - eps) * Fraction(a) + eps / k for a in row] for row in q_rows]
        return [{c: w[c] * a for c, a in enumerate(row)} for row in smoothed], Fraction(n)
    q: list[Coefficients] = []
    labels = _labels(y, x, ignore_index)
    for label in labels:
        if label == ignore_index:
            q.append({})
        elif operation == "nll_loss":  # reads one entry: whatever else stands in the row is no term of it
            q.append({label: w[label]})
        else:
            q.append({c: (1 - eps) * w[c] * (c == label) + eps * w[c] / k for c in range(k)})
    return q, sum((w[label] for label in labels if label != ignore_index), Fraction(0))


def _term(q: Fraction, z: Number) -> Number:
    """Return -q z, which is 0 for q = 0 also where z is infinite; NaN stays NaN."""
    z = mpmath.mpf(z)
    return mpmath.mpf(0) if q == 0 and not mpmath.isnan(z) else -_mpf(q) * z


def _softmax(x: list[float], policy: str) -> tuple[list[Number], list[Number]]:
    """Return p and z of one row."""
    if not _is_regular(x):
        p = z = [mpmath.nan] * len(x)
        ties = x.count(inf)
        if policy == "limit" and ties and not any(map(isnan, x)):
            p = [mpmath.mpf(a == inf) / ties for a in x]
            z = [-mpmath.log(ties) if a == inf else mpmath.ninf for a in x]
        elif policy == "masked" and x.count(-inf) == len(x):
            p, z = [mpmath.mpf(0)] * len(x), [mpmath.ninf] * len(x)
        return p, z
    e = _exp(x)
    before = accumulate(e[:-1], initial=mpmath.mpf(0))
    after = reversed(list(accumulate(e[:0:-1], initial=mpmath.mpf(0))))
    others = [a + b for a, b in zip(before, after, strict=True)]
    total = mpmath.fsum(e)
    z = [-mpmath.log1p(o / a) if a else mpmath.ninf for o, a in zip(others, e, strict=True)]
    return [a / total for a in e], z


def _row_gradient(operation: str, x: list[float], v: list[Fraction]) -> list[Number]:
    """Return the gradient of one row for the upstream v, with the denominators of the spec's p moved outside.

    S: p_i (v_i - Σ p_j v_j) = (v_i Σ e - Σ v_j e_j) e_i / (Σ e)^2. L: v_i - p_i Σ v = (v_i Σ e - e_i Σ v) / Σ e.
    """
    if operation == "nll_loss":
        return [_mpf(a) for a in v]
    e = _exp(x)
    if operation in ("exp", "row_sum"):
        return [_mpf(a) * b for a, b in zip(v, e, strict=True)]
    if not _is_regular(x):
        return [None] * len(x)
    total, v_sum = mpmath.fsum(e), sum(v, Fraction(0))
    products = [_mpf(a) * b for a, b in zip(v, e, strict=True)]
    taken, size = mpmath.fsum(products), mpmath.fsum(products, absolute=True)
    exact: dict[tuple[Fraction, float], Number] = {}  # equal logits cancel alike
    result = []
    for i, a in enumerate(v):
        if operation == "log_softmax":
            taken = _mpf(v_sum) * e[i]
            size = abs(taken)
        difference = _mpf(a) * total - taken
        if abs(difference) <= LEAST_LEFT * (abs(_mpf(a)) * total + size):
            if (a, x[i]) not in exact:
                less = v if operation == "softmax" else [v_sum * (j == i) for j in range(len(x))]
                exact[a, x[i]] = _combination([a - b for b in less], x)
            difference = exact[a, x[i]]
        result.append(difference * e[i] / total**2 if operation == "softmax" else difference / total)
    return result


def _combination(coefficients: list[Fraction], x: list[float]) -> Number:
    """Return Σ c_j exp(x_j) to 60 digits, however much of it cancels.

    Terms of equal x are merged in exact arithmetic. Exponentials of distinct rationals are linearly independent
    over the rationals (Lindemann-Weierstrass): the rest is 0 only if no term is left, so raising the
    precision until enough digits stand comes to an end.
    """
    merged: defaultdict[float, Fraction] = defaultdict(Fraction)
    for c, a in zip(coefficients, x, strict=True):
        merged[a] += c
    terms = [(c, a) for a, c in merged.items() if c and not isinf(a)]
    digits = DIGITS
    while terms:
        with mpmath.workdps(digits):
            parts = [_mpf(c) * mpmath.exp(a) for c, a in terms]
            total = mpmath.fsum(parts)
            if abs(total) > max(map(abs, parts)) * mpmath.mpf(10) ** (DIGITS - digits) * LEAST_LEFT:
                return total
        digits *= 2
    return mpmath.mpf(0)


def _is_regular(x: list[float]) -> bool:
    """Tell whether S4, S5 and S6 leave a row alone: no NaN, no +inf, and not all of it -inf."""
    return max(x) > -inf and inf not in x and not any(map(isnan, x))


def _check(operation: str, reduction: str, policy: str) -> None:
    if operation not in ELEMENTWISE + ROW_SUMS + LOSSES:
        raise ValueError(f"unknown operation {operation!r}")
    if reduction not in ("none", "mean", "sum") or policy not in (
        "nan",
        "limit",
        "masked",
        "zero",
        "formula",
        "clamped",
    ):
        raise ValueError(f"unknown reduction {reduction!r} or policy {policy!r}")


def _smoothing(stated: float, policy: str) -> float:
    """Return the stated label smoothing, or the nearest to it in [0, 1] under the policy "clamped"."""
    return sorted((0.0, stated, 1.0))[1] if policy == "clamped" else stated


def _labels(target: npt.ArrayLike | None, x: Array, ignore_index: int = -100) -> list[int]:
    """Return the target indices, one for each row."""
    y = np.asarray(target)
    if y.dtype.kind not in "iu" or y.shape != _row_shape(x):
        raise ValueError(f"target indices must be integers of shape {_row_shape(x)}")
    labels: list[int] = y.reshape(-1).tolist()
    if any(not 0 <= label < _rows(x).shape[1] for label in labels if label != ignore_index):
        raise ValueError("a target index is out of range")
    return labels


def _row_shape(x: Array) -> tuple[int, ...]:
    """Return the shape without the class axis."""
    return x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()


def _rows(x: Array) -> Array:
    """Return a matrix with one row of classes for each position."""
    axis = min(x.ndim - 1, 1)
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])


def _unrows(rows: list[list[Number]], x: Array) -> Array:
    """Put rows of classes back into the shape of x."""
    axis = min(x.ndim - 1, 1)
    return np.moveaxis(np.array(rows, dtype=object).reshape(*_row_shape(x), x.shape[axis]), -1, axis)


def _per_row(numbers: list[Number], x: Array) -> Array:
    return np.array(numbers, dtype=object).reshape(_row_shape(x))


def _exp(x: list[float]) -> list[Number]:
    return [mpmath.exp(a) for a in x]


def _mpf(a: Fraction) -> Number:
    return mpmath.mpf(a.numerator) / a.denominator
