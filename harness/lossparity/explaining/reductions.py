"""Every number that some inputs may have led to: losses of positions, reduced and changed in all the ways in use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lossparity.explaining.givens import Given
from lossparity.explaining.rowlosses import Losses, RowLosses, errors
from lossparity.explaining.variants import OF_ROWS, Choices, departures, variants
from lossparity.formats import FORMATS
from lossparity.reference import Floats

__all__ = ["MOST_DEPARTURES", "Candidate", "candidates", "counts"]

MOST_DEPARTURES = 3
"""How many departures are tried at once; one where there are many logits."""
# Roundings of a term and of the last division, beside the bound of the reference and the levels of the sum.
_ROUNDINGS = 4


@dataclass(frozen=True, eq=False)
class Candidate:
    """A number, or one for each position, that one choice of conventions leads to.

    `allowed` is what correct arithmetic may be off by; `divisor` and `total` are those of a mean, none elsewhere.
    """

    choices: Choices
    reduction: str
    value: Floats
    allowed: Floats
    total: float | None = None
    divisor: float | None = None

    @property
    def departures(self) -> int:
        """How many departures from the spec it takes."""
        return departures(self.choices)


def counts(given: Given) -> dict[str, float]:
    """Return the counts that a sum can be divided by, by what they are."""
    one, ignored = given.first, given.ignored
    found = {
        "the positions that are not ignored": one.count - int(ignored.sum()),
        "the positions": one.count,
        "the samples": one.samples,
        "the classes": one.classes,
        "the positions times the classes": one.count * one.classes,
    }
    return {name: float(n) for name, n in found.items()}


def candidates(given: Given, *, per_position: bool) -> Iterator[Candidate]:
    """Yield every number, the spec's own first; those of each position where `per_position`, else of mean and sum."""
    most = 1 if given.large else MOST_DEPARTURES
    names = given.applicable().names()
    radius = errors(given)
    if len(radius) > 1 and per_position and "last" in given.laid and len(given.laid) > 1:
        names = {**names, "axis": ()}  # the positions of another axis are others
    ends = list(variants(names, ("base", "form"), most))
    means = [(), *((("mean", name),) for name in names["mean"])]
    losses, of_rows = Losses(given), list(variants(names, OF_ROWS, most))
    if given.large:
        losses.prepare(of_rows)
    for chosen in of_rows:
        rows = losses.of(chosen)
        for reduction, mean, value, allowed, total, divisor in _reduced(given, rows, radius, means, per_position):
            for end in ends:
                choices = (*chosen, *mean, *end)
                if departures(choices) <= most and not (per_position and ("form", "exp") in end):
                    yield _changed(given, Candidate(choices, reduction, value, allowed, total, divisor), dict(end))


_Reduced = tuple[str, Choices, Floats, Floats, float | None, float | None]


def _reduced(
    given: Given, rows: RowLosses, radius: Floats, means: list[Choices], per_position: bool
) -> Iterator[_Reduced]:
    if per_position:
        yield "none", (), rows.loss, radius, None, None
        return
    total = _sum(rows.loss)
    # A position that an axis of the other kind has is as far off as the worst that is known.
    off = _sum(radius if len(radius) == len(rows.loss) else np.full(len(rows.loss), radius.max(initial=0.0)))
    for mean in means:
        name = mean[0][1] if mean else "weights"
        if name == "samples":
            value, share = _of_samples(rows), 1 / max(len(rows.loss), 1)
            yield "mean", mean, np.array(value), np.array(off * share), None, None
            continue
        divisor = _DIVISORS[name](given, rows)
        if divisor:
            yield "mean", mean, np.array(total / divisor), np.array(off / divisor), total, divisor
    yield "sum", (), np.array(total), np.array(off), total, 1.0


def _sum(values: Floats) -> float:
    return math.fsum(values.tolist()) if np.isfinite(values).all() else float(np.sum(values))


_DIVISORS: dict[str, Callable[[Given, RowLosses], float]] = {
    "weights": lambda _given, rows: _sum(rows.own[rows.counted]),
    "positions": lambda _given, rows: float(rows.counted.sum()),
    "all": lambda _given, rows: float(len(rows.loss)),
    "batch": lambda _given, rows: float(rows.samples),
    "elements": lambda given, rows: float(len(rows.loss) * given.first.classes),
}


def _of_samples(rows: RowLosses) -> float:
    """The mean of each sample's own weighted mean; NaN where one has nothing to count."""
    loss, own = (part.reshape(rows.samples, -1) for part in (rows.loss, np.where(rows.counted, rows.own, 0.0)))
    of = [(_sum(one), _sum(weights)) for one, weights in zip(loss, own, strict=True)]
    return math.fsum(a / d for a, d in of) / rows.samples if all(d for _, d in of) else math.nan


def _changed(given: Given, one: Candidate, end: dict[str, str]) -> Candidate:
    """Change the base or the form, and allow for the roundings of the whole."""
    value, allowed, factor = one.value, one.allowed, 1.0
    if "base" in end:
        factor = 1 / math.log(int(end["base"]))
    if end.get("form") == "negated":
        factor = -factor
    value, allowed = value * factor, allowed * abs(factor)
    with np.errstate(over="ignore", invalid="ignore"):
        if end.get("form") == "exp":
            value = np.exp(value)
            allowed = allowed * value
        levels = _ROUNDINGS + math.ceil(math.log2(max(given.first.count, 1)))
        allowed = allowed + levels * FORMATS[given.format].unit * np.abs(value)
    return Candidate(one.choices, one.reduction, np.asarray(value), np.asarray(allowed), one.total, one.divisor)
