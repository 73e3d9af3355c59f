"""The verdict on one array: class first (NaN, infinity, number), then distance, then grade.

It sees the exact result, the bounds and what was got, never who produced it. It looks at a block of rows at a time
(`inspection`), and again, of the next tier, at the rows that could change the grade of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lossparity.bounds import Bounds
from lossparity.distance import Distance
from lossparity.formats import FORMATS, Array
from lossparity.inspection import GRADES, Inspection, Torn, Worst
from lossparity.model import BINS, Grade
from lossparity.reference import Answer, Block

__all__ = ["BINS", "Judgement", "judge", "unlike_format", "unlike_shape"]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What an array came to. `kind` says how a wrong one deviates: inf, nan, zero, finite-wrong, shape or format.

    `ulp` and `bound_used` are those of the worst element, none where its class is wrong; `worst` is its flat index,
    `got`, `exact`, `tight` and `loose` are its value, the exact one and the bounds. `histogram` counts elements by
    their error in ulp, up to each of `BINS` and beyond.
    """

    grade: Grade
    kind: str
    ulp: float | None
    bound_used: float | None
    worst: int | None
    tier: str
    got: float = np.nan
    exact: float = np.nan
    tight: float = np.inf
    loose: float = np.inf
    histogram: tuple[int, ...] = ()
    message: str = ""


def judge(got: Array, answer: Answer, *, flushed: bool) -> Judgement:
    """Grade an array against ever closer enclosures until its grade is settled, or they end.

    `flushed`: whether the backend declares that it flushes subnormal numbers to 0.
    """
    fmt = FORMATS[answer.format]
    if unlike := unlike_shape(got.shape, answer.shape):
        return _refused("shape", unlike)
    if unlike := unlike_format(got.format, fmt.name):
        return _refused("format", unlike)
    return _Judge(got, answer, Bounds(answer, flushed)).judgement()


def unlike_shape(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say how a result's shape is not the wanted one; nothing where it is."""
    return "" if got == wanted else f"shape {list(got)} instead of {list(wanted)}{_of_shape(got, wanted)}"


def unlike_format(got: str, wanted: str) -> str:
    """Say why a result's format is not permitted for logits of a format (D1); nothing where it is."""
    bits = FORMATS[wanted].bits
    if got == wanted or (bits <= 16 and got == "float32"):
        return ""
    allowed = f"{wanted} or float32" if bits <= 16 else wanted
    return f"format {got} instead of {allowed}{_of_format(got, bits)}"


def _of_shape(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say what a wrong shape looks like, where that is plain."""
    if not got:
        return ": it is reduced, where one result each is wanted"
    if not wanted:
        return ": it is not reduced" if max(got) > 1 else ": a scalar has no axis"
    if len(got) > len(wanted) and [n for n in got if n != 1] == [n for n in wanted if n != 1]:
        return ": an axis of length 1 is left"
    return ""


def _of_format(got: str, bits: int) -> str:
    if got not in FORMATS or FORMATS[got].bits == bits:
        return ""
    return ": it was promoted on the way" if FORMATS[got].bits > bits else ": it was narrowed on the way"


def _refused(kind: str, message: str) -> Judgement:
    return Judgement(Grade.WRONG, kind, None, None, None, "", message=message)


@dataclass(eq=False)
class _Judge:
    """The judging of one array, block by block; `worst` is the worst of all settled elements so far."""

    got: Array
    answer: Answer
    bounds: Bounds
    worst: Worst | None = None
    histogram: npt.NDArray[np.intp] = field(default_factory=lambda: np.zeros(len(BINS) + 1, dtype=np.intp))

    def judgement(self) -> Judgement:
        """Look at every block, and again, of the next tier, at the rows that could change the grade of the whole."""
        if self.got.data.size == 0:
            return Judgement(Grade.EXACT, "", 0.0, 0.0, None, "", histogram=(0,) * (len(BINS) + 1))
        with np.errstate(all="ignore"):
            torn = [found for block in self.answer.blocks() if (found := self._look(block))]
            while torn:
                settled = max(one.least for one in torn)
                if self.worst:
                    settled = max(settled, self.worst.rank)
                asked = [one.block.some(one.ranks > settled) for one in torn if one.ranks.max() > settled]
                torn = [found for block in asked if (found := self._look(block))]
        assert self.worst is not None
        return self._described(self.worst)

    def _look(self, block: Block) -> Torn | None:
        inspection = Inspection.of(self.got, self.answer, self.bounds, block, self.worst)
        if block.tier == self.answer.first_tier:
            self.histogram += _counted(inspection.distance)
        worst, torn = inspection.look()
        if worst and (self.worst is None or worst.order > self.worst.order):
            self.worst = worst
        return torn

    def _described(self, worst: Worst) -> Judgement:
        grade = GRADES[worst.rank]
        known = bool(np.isfinite(worst.ulp))
        there = np.asarray(self.got.data.flat[worst.flat : worst.flat + 1], dtype=self.got.data.dtype)
        got = float(Array(self.got.format, there).exact()[0])
        return Judgement(
            grade,
            _kind(got, worst.exact) if grade is Grade.WRONG else "",
            worst.ulp if known else None,
            worst.used if known else None,
            worst.flat,
            worst.tier,
            got,
            worst.exact,
            worst.tight,
            worst.loose,
            tuple(int(n) for n in self.histogram),
            "the bound is vacuous or the reference undecided" if grade is Grade.UNCERTIFIED else "",
        )


def _counted(found: Distance) -> npt.NDArray[np.intp]:
    """Count errors in ulp by the bins."""
    size = found.ulps.size
    below = [size if found.most <= end else int(np.count_nonzero(found.ulps <= end)) for end in BINS]
    return np.diff([0, *below, size])


def _kind(got: float, exact: float) -> str:
    if np.isnan(got):
        return "nan"
    if np.isinf(got):
        return "inf"
    return "zero" if got == 0 and exact != 0 else "finite-wrong"
