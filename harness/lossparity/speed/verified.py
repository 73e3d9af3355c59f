"""Whether timed calls came to the right result: against the certified reference, at places that nobody knows before.

A time is worth nothing without it. It is no judgement of the numerics (`lossparity run` is): of large arrays some rows
are looked at, by the loose bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lossparity.distance import spacing_at
from lossparity.expected import elements
from lossparity.formats import FORMATS, Array
from lossparity.judge import unlike_format, unlike_shape
from lossparity.model import Keyword, Outcome, Produced, Raised
from lossparity.reference import Answer, Problem

__all__ = ["Looked", "Verifier"]

_CLOSE = 2.0**-30  # the share of an exact result that it may be off: what is looked for here is far larger
_MOST = 2048
_ROWS = 8


@dataclass(frozen=True)
class Looked:
    """What looking came to: why a result is wrong, empty where it is not, and the largest error in ulp."""

    wrong: str
    ulp: float | None


@dataclass
class Verifier:
    """The right results of one call, whose first argument is its case's times a power of two."""

    operation: str
    arrays: Mapping[str, Array]
    keywords: Mapping[str, Keyword]
    scale: float
    _answers: dict[str, Answer] = field(default_factory=dict)

    def look(self, outcome: Outcome, quantities: tuple[str, ...], *, flushed: bool) -> Looked:
        """Compare the results of a timed call with what is right."""
        if not isinstance(outcome, Produced):
            said = f"{outcome.type}: {outcome.message}" if isinstance(outcome, Raised) else str(outcome)
            return Looked(f"no result came back: {said}", None)
        worst = 0.0
        for quantity in quantities:
            got = outcome.value if quantity == "value" else outcome.gradient
            if not isinstance(got, Array):
                return Looked(f"no {quantity} came back", None)
            found = self._compared(quantity, got, flushed)
            if found.wrong:
                return found
            worst = max(worst, found.ulp or 0.0)
        return Looked("", worst)

    def _compared(self, quantity: str, got: Array, flushed: bool) -> Looked:
        answer = self._answer(quantity)
        unlike = unlike_shape(got.shape, answer.shape) or unlike_format(got.format, answer.format)
        if unlike:
            return Looked(f"the {quantity} has {unlike}", None)
        places = _places(answer.shape)
        right = elements(answer, places, flushed=flushed, share=_CLOSE)
        there = Array(got.format, got.data.reshape(-1)[right.places]).exact()
        with np.errstate(all="ignore"):
            error = np.abs((there - right.high) - right.low)
            within = error <= np.maximum(right.loose, np.where(right.loose > 0, right.ulp, 0.0)) + right.radius
            same = (there == right.high) | (np.isnan(there) & np.isnan(right.high))
        fine = within | same | right.open
        if not np.all(fine):
            at = int(np.flatnonzero(~fine)[0])
            index = [int(i) for i in np.unravel_index(right.places[at], answer.shape)]
            where = f" at {index}" if index else ""
            return Looked(
                f"the {quantity}{where} is {there[at]:.6g} where {right.high[at]:.6g} is right: these are not the "
                "results of the inputs that were timed",
                None,
            )
        ulps = error / spacing_at(right.high, right.low, FORMATS[answer.format])
        counted = ulps[np.isfinite(ulps)]
        return Looked("", float(counted.max()) if counted.size else None)

    def _answer(self, quantity: str) -> Answer:
        if quantity not in self._answers:
            name, first = next(iter(self.arrays.items()))
            scaled = {**self.arrays, name: Array.of(first.exact() * self.scale, first.format)}
            problem = Problem(self.operation, scaled, self.keywords, "exact")
            self._answers[quantity] = Answer(problem, quantity, first.format)
        return self._answers[quantity]


def _places(shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Choose elements of a result: all of a small one, else some of the columns of some rows."""
    size = int(np.prod(shape, dtype=np.intp))
    if size <= _MOST:
        return np.arange(size)
    drawn = np.random.default_rng()
    if len(shape) < 2:
        return np.sort(drawn.choice(size, _MOST, replace=False))
    rows = drawn.choice(shape[0], min(_ROWS, shape[0]), replace=False)
    width = size // shape[0]
    columns = drawn.choice(width, min(_MOST // len(rows), width), replace=False)
    return np.sort((rows[:, None] * width + columns[None, :]).ravel())
