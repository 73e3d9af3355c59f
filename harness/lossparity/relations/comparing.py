"""What came back from the calls of a relation, and how two of its results are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossparity.arithmetic import Arithmetic, models, plus
from lossparity.distance import overflow_of
from lossparity.expected import Expected
from lossparity.formats import FORMATS
from lossparity.reference import Flags, Floats
from lossparity.relations.part import Part, reversed_rows, rolled_classes
from lossparity.shapes import class_axis

__all__ = [
    "Compared",
    "Results",
    "added_up",
    "again",
    "against_kept",
    "near_certainty",
    "not_above_0",
    "put_back",
    "row_sums",
]

# Roundings of a mean beside those of its sum: of the reciprocal of the divisor and of the product, and one more of a
# divisor that is no number of the format.
_OF_A_MEAN = 2
# Roundings of a loss that a sum of them need not share: of a product with a coefficient, and of the addition of the
# target's part and the smoothing's. z, the coefficients and a row's sum of z are the same on both sides.
_OF_A_LOSS = 2
# Roundings of a loss near 0 beside those of exp, log and the sum: of d, S, their addition and the output; each twice,
# as not every way of computing it is the shortest.
_NEAR_0 = 8


@dataclass(frozen=True, eq=False)
class Results:
    """What came back for one quantity: the parts, what each returned, and what is known of the first part's result.

    `expected` has the elements of the first part's result in C order, which has the shape `got[0].shape`.
    """

    quantity: str
    format: str
    flushed: bool
    parts: Sequence[Part]
    got: Sequence[Floats]
    expected: Expected

    def of(self, name: str) -> Floats:
        """Return `high`, `tight` or `loose` of the expected elements, in the result's shape.

        A bound is at least the ulp that is granted to every result which is not exact.
        """
        found: Floats = getattr(self.expected, name)
        if name != "high":
            found = np.where(self.expected.loose > 0, np.maximum(found, self.expected.ulp), 0.0)
        return found.reshape(self.got[0].shape)

    @property
    def open(self) -> Flags:
        """Which elements the spec leaves open."""
        return np.asarray(self.expected.open.reshape(self.got[0].shape))

    @property
    def axis(self) -> int:
        """The class axis."""
        return class_axis(self.parts[0].first.shape)


@dataclass(frozen=True, eq=False)
class Compared:
    """Two arrays that have to agree, within `tight` or `loose`; nothing is asked where it is `free`."""

    left: Floats
    right: Floats
    tight: Floats
    loose: Floats
    free: Flags

    @classmethod
    def alike(cls, results: Results, other: Floats) -> Compared:
        """Compare with a result that has the same exact value: by twice its bound."""
        # What the range of the format cannot hold may be an infinity here and a number there (D3).
        beyond = np.abs(results.of("high")) + results.of("loose") >= overflow_of(FORMATS[results.format])
        free = results.open | (beyond & np.isfinite(results.of("high")))
        return cls(results.got[0], other, 2 * results.of("tight"), 2 * results.of("loose"), free)

    @property
    def equal(self) -> bool:
        """Whether they are the same bits, NaN payloads aside."""
        same = (self.left == self.right) & (np.signbit(self.left) == np.signbit(self.right))
        return bool(np.all(same | (np.isnan(self.left) & np.isnan(self.right)) | self.free))

    @property
    def apart(self) -> Floats:
        """How far apart they are; infinite where they are of different classes."""
        with np.errstate(invalid="ignore"):
            off = np.abs(self.left - self.right)
        same = (self.left == self.right) | (np.isnan(self.left) & np.isnan(self.right)) | self.free
        return np.where(same, 0.0, np.where(np.isfinite(off), off, np.inf))


def put_back(results: Results) -> Compared:
    """Compare with the result of `permuted`, in the first order again."""
    part, other = results.parts[0], results.got[1]
    if other.ndim:
        other = other[reversed_rows(part)]
    if other.ndim > 1:
        other = other[:, np.argsort(rolled_classes(part))]
    return Compared.alike(results, other)


def against_kept(results: Results) -> Compared:
    """Compare with the result of the rows that are kept."""
    other = results.got[1]
    if results.got[0].ndim:
        spread = results.got[0].copy()
        spread[~results.parts[0].ignored] = other
        other = spread
    return Compared.alike(results, other)


def again(results: Results) -> Compared:
    """Compare with what came the next times."""
    # What is kept between calls may show in the second or only later.
    compared = [Compared.alike(results, other) for other in results.got[1:]]
    return next((one for one in compared if not one.equal), compared[0])


def added_up(results: Results) -> Compared:
    """Compare a sum or mean with that of the returned losses: docs/numerics.md, 2.9."""
    part, losses = results.parts[0], results.got[1][~results.parts[0].ignored]
    # fsum refuses infinities of both signs; plain addition makes NaN of them, as any implementation does.
    finite = bool(np.isfinite(losses).all())
    total = math.fsum(losses.tolist()) if finite else float(np.sum(losses))
    size = math.fsum(np.abs(losses).tolist()) if finite else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        total, size, count = (np.divide(number, part.divisor) for number in (total, size, losses.size))
    allowed = {}
    fmt = FORMATS[results.format]
    for name, by in models(results.format, flushed=results.flushed).items():
        stored = fmt.unit if fmt.bits == 16 else 0.0
        lost = max(by.underflow, fmt.half_smallest_subnormal)
        # What either side's losses are off by themselves; the rounding of the finished sum is counted below.
        apart = np.maximum(results.of("tight") - stored * np.abs(results.of("high")), 0.0)
        allowed[name] = _of_a_sum(part, losses.size, by, stored) * size + lost * (2 * count + 2) + 2 * apart
    compared = Compared.alike(results, np.array(total))
    return replace(compared, tight=np.asarray(allowed["tight"]), loose=np.asarray(allowed["loose"]))


def _of_a_sum(part: Part, count: int, by: Arithmetic, stored: float) -> float:
    """Relative distance of a sum or mean of `count` losses from that of the losses as they were returned.

    `stored`: a loss that was computed in binary32 is rounded when it is returned.
    """
    weighted = "weight" in part.arrays
    smoothed = bool(part.keywords.get("label_smoothing")) or part.arrays["target"].format in FORMATS
    one = by.roundings(_OF_A_LOSS if smoothed else float(weighted))
    above, below = plus(plus(one, by.growth(count)), by.output), plus(one, stored)
    if part.reduction == "mean":
        rounded = float(FORMATS[part.first.format].round(part.divisor)) != part.divisor
        above = plus(above, by.roundings(_OF_A_MEAN + rounded))
        below = plus(below, by.growth(count)) if weighted else below
    return (above + below) / (1 - below) if below < 1 else math.inf


def row_sums(results: Results) -> Compared:
    """Compare the sum of every row with 1, of probabilities, or 0, of gradients."""

    def summed(name: str) -> Floats:
        whole = np.moveaxis(results.of(name), results.axis, -1)
        return np.array([math.fsum(row) for row in whole.reshape(-1, whole.shape[-1]).tolist()])

    rows = np.moveaxis(results.got[0], results.axis, -1)
    flat = rows.reshape(-1, rows.shape[-1])
    sums = np.array([math.fsum(row) if np.isfinite(row).all() else float(np.sum(row)) for row in flat])
    of_p = results.quantity == "value"
    # A probability below 0 is wrong however small: it takes the sum's place.
    negative = np.min(flat, axis=1, initial=0.0)
    left = np.where(negative < 0, negative, sums) if of_p else sums
    finite = np.isfinite(np.moveaxis(results.of("high"), results.axis, -1)).all(axis=-1).ravel()
    wanted = np.where(finite, 1.0 if of_p else 0.0, sums)
    free = np.moveaxis(results.open, results.axis, -1).any(axis=-1).ravel()
    return Compared(left, wanted, summed("tight"), summed("loose"), free)


def not_above_0(results: Results) -> Compared:
    """Compare logarithms of probabilities with 0."""
    z = results.got[0]
    nothing = np.zeros(z.shape)
    return Compared(z, np.where(z > 0, 0.0, z), nothing, nothing, results.open)


def near_certainty(results: Results) -> Compared:
    """Compare with the exact value by a bound relative to it, as that of `d + log1p(R)` is."""
    first = results.parts[0].first
    classes = first.shape[results.axis]
    by = models(results.format, flushed=results.flushed)["loose"]
    spread = float(np.ptp(first.exact()))
    share = by.exp + by.log + by.shift * spread + by.growth(classes) + _NEAR_0 * by.unit
    exact = results.of("high")
    allowed = share * np.abs(exact) + classes * by.underflow
    return Compared(results.got[0], exact, allowed, allowed, results.open)
