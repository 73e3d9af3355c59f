"""The verdict on one array: class first (NaN, infinity, number), then distance, then grade.

Pure: it sees the exact result, the bounds and what was got, never who produced it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lossparity.bounds import Bounds
from lossparity.formats import FORMATS, Array, ulp
from lossparity.model import Grade
from lossparity.reference import Certified

__all__ = ["Judgement", "judge"]

Floats = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.intp]
_GRADES = list(Grade)
_WRONG = Grade.WRONG.rank
_UNCERTIFIED = Grade.UNCERTIFIED.rank


@dataclass(frozen=True, eq=False)
class Judgement:
    """What an array came to. `kind` says how a wrong one deviates: inf, nan, zero, finite-wrong, shape or format.

    `ulp` and `bound_used` are those of the worst element, none where its class is wrong; `worst` is its flat index.
    """

    grade: Grade
    kind: str
    ulp: float | None
    bound_used: float | None
    worst: int | None
    tier: str
    exact: Floats
    bounds: Bounds | None
    message: str


def judge(got: Array, fmt: str, tiers: Iterator[Certified], bounds_of: Callable[[Floats], Bounds]) -> Judgement:
    """Grade an array against ever closer enclosures until its grade is settled, or they end."""
    certified = next(tiers)
    wide = FORMATS[fmt].bits <= 16
    if got.shape != certified.high.shape:
        return _refused("shape", f"shape {list(got.shape)} instead of {list(certified.high.shape)}", certified)
    if got.format != fmt and not (wide and got.format == "float32"):
        allowed = f"{fmt} or float32" if wide and fmt != "float32" else fmt
        return _refused("format", f"format {got.format} instead of {allowed}", certified)
    bounds = bounds_of(certified.high)
    values = got.exact()
    while True:
        best, worst, error = _ranks(values, got.format, fmt, certified, bounds)
        settled = np.array_equal(best, worst)
        following = None if settled else next(tiers, None)
        if following is None:
            break
        certified = following
    # Unsettled between two passing grades: the lower one. Between pass and fail at the last tier: not certified.
    torn = (worst == _WRONG) & (best != _WRONG)
    return _judged(np.where(torn, _UNCERTIFIED, worst), error, values, fmt, certified, bounds)


def _refused(kind: str, message: str, certified: Certified) -> Judgement:
    return Judgement(Grade.WRONG, kind, None, None, None, certified.tier, certified.high, None, message)


def _ranks(got: Floats, result: str, fmt: str, certified: Certified, bounds: Bounds) -> tuple[Ranks, Ranks, Floats]:
    """Return each element's best and worst possible rank, and its error (infinite where the class is wrong)."""
    exact, low, radius = certified.high, certified.low, certified.radius
    with np.errstate(all="ignore"):
        numbers = np.isfinite(got) & np.isfinite(exact)
        error = np.abs(np.where(numbers, (got - exact) - low, 0.0))
        spacing = ulp(_towards(exact, low), FORMATS[fmt])
        best = _graded(np.maximum(error - radius, 0.0), spacing, bounds)
        worst = _graded(error + radius, spacing, bounds)
        same = _same_class(got, exact, result, bounds.loose + radius)
    wrong = ~numbers & ~same
    both_special = ~numbers & same
    best, worst = (np.where(both_special, 0, np.where(wrong, _WRONG, ranks)) for ranks in (best, worst))
    # A radius that is infinite tells nothing, not even the class.
    unknown = ~np.isfinite(radius)
    best, worst = np.where(unknown, 0, best), np.where(unknown, _WRONG, worst)
    skip = ~certified.specified
    # Left open, or 0 and NaN alone are permitted.
    filled = (got != 0) & ~np.isnan(got) & (False if certified.blank is None else certified.blank)
    best, worst = (np.where(filled, _WRONG, np.where(skip, 0, ranks)) for ranks in (best, worst))
    return best, worst, np.where(filled | (wrong & ~skip), np.inf, np.where(skip, 0, error))


def _towards(high: Floats, low: Floats) -> Floats:
    # Just below a power of two the spacing is that of the binade below.
    return np.where(low * np.sign(high) < 0, np.nextafter(high, 0.0), high)


def _graded(error: Floats, spacing: Floats, bounds: Bounds) -> Ranks:
    ranks = np.select(
        [
            ~np.isfinite(bounds.loose),
            (bounds.loose == 0) & (error > 0),
            error <= spacing / 2,
            error < spacing,
            error <= bounds.tight,
            error <= bounds.loose,
        ],
        [_UNCERTIFIED, _WRONG, Grade.EXACT.rank, Grade.FAITHFUL.rank, Grade.TIGHT.rank, Grade.LOOSE.rank],
        _WRONG,
    )
    return ranks.astype(np.intp)


def _same_class(got: Floats, exact: Floats, result: str, margin: Floats) -> npt.NDArray[np.bool_]:
    """Whether NaN meets NaN, an infinity its like, or an infinity a number beyond the result format's range (D3)."""
    fmt = FORMATS[result]
    overflow = fmt.largest + float(ulp(fmt.largest, fmt)) / 2
    reach = np.where(np.isfinite(margin), margin, 0.0)
    beyond = np.isinf(got) & np.isfinite(exact) & (np.sign(got) == np.sign(exact)) & (np.abs(exact) + reach >= overflow)
    # binary64 cannot hold a larger number, so an exact result beyond it stands as an infinity and may not be finite.
    return (np.isnan(got) & np.isnan(exact)) | (np.isinf(got) & (got == exact)) | beyond


def _judged(ranks: Ranks, error: Floats, got: Floats, fmt: str, certified: Certified, bounds: Bounds) -> Judgement:
    if got.size == 0:
        return Judgement(Grade.EXACT, "", 0.0, 0.0, None, certified.tier, certified.high, bounds, "")
    with np.errstate(all="ignore"):
        used = np.where(error == 0, 0.0, error / bounds.loose)
    # What is wrong in one place is wrong, however little can be said of another.
    rank = _WRONG if (ranks == _WRONG).any() else int(ranks.max())
    # Among the worst grade the largest share of the bound decides; a vacuous bound uses none of it.
    order = np.where(ranks == rank, np.nan_to_num(used, nan=0.0, posinf=np.inf), -1.0)
    at = int(np.argmax(order))
    grade = _GRADES[rank]
    here, exact = float(got.flat[at]), float(certified.high.flat[at])
    known = bool(np.isfinite(error.flat[at]))
    spacing = float(ulp(_towards(certified.high, certified.low), FORMATS[fmt]).flat[at])
    return Judgement(
        grade,
        _kind(here, exact) if grade is Grade.WRONG else "",
        float(error.flat[at]) / spacing if known else None,
        float(used.flat[at]) if known else None,
        at,
        certified.tier,
        certified.high,
        bounds,
        "the bound is vacuous or the reference undecided" if grade is Grade.UNCERTIFIED else "",
    )


def _kind(got: float, exact: float) -> str:
    if np.isnan(got):
        return "nan"
    if np.isinf(got):
        return "inf"
    return "zero" if got == 0 and exact != 0 else "finite-wrong"
