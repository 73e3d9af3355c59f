"""What could explain a result: conventions of others, mistakes, and less precise arithmetic; each predicts numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lossparity.diagnosis.seen import Coarse, Seen
from lossparity.errors import UsageError
from lossparity.formats import FORMATS, Array
from lossparity.judge import judge
from lossparity.mistakes import MISTAKES
from lossparity.model import Grade
from lossparity.reference import Answer, Floats, Problem
from lossparity.reference.conventions import ALTERNATIVES, CONVENTIONS, SPEC, Convention

__all__ = ["CANDIDATES", "Explained", "described", "less_precise", "predicted"]

_FAST_EXP = tuple(2.0**-n for n in range(22, 6, -1))

_OTHERS: Mapping[str, str] = {
    "computed-in-float32": "it is as accurate as binary32, and no more: something is computed in binary32",
    "computed-in-16-bits": "it is as accurate as a 16-bit format, and no more: something is computed in one",
    "stale-result": "it is the right result of an earlier call: something is kept between calls",
    "inputs-modified": "the inputs were modified (clause M6)",
    "published": "it does not round to the published figures",
}
CANDIDATES = tuple(dict.fromkeys((*ALTERNATIVES, *MISTAKES)))
"""The ids of all that predicts numbers, the more definite ones first."""


@dataclass(frozen=True)
class Explained:
    """One explanation of a result: a convention's text, a mistake's id or another; how near it comes, in ulp.

    `ways` are those in which the mistake is made, as numbers into its table. `said` is what it is in words where the
    id does not tell: an exception's message.
    """

    id: str
    ulp: float | None = None
    ways: tuple[int, ...] = ()
    said: str = ""


def described(explained: Explained) -> str:
    """Say in one sentence what an explanation stands for."""
    if explained.said:
        return explained.said
    if explained.id in ALTERNATIVES:
        return "; ".join(_chosen(ALTERNATIVES[explained.id]))
    if explained.id in MISTAKES:
        return MISTAKES[explained.id].said
    return _OTHERS.get(explained.id, "no convention or mistake of the catalogue gives these numbers")


def _chosen(convention: Convention) -> Iterator[str]:
    for part in str(convention).split(","):
        name, _, value = part.partition("=")
        choice = CONVENTIONS[name][value]
        yield f"{choice.formula} ({choice.users})" if choice.users else choice.formula


def predicted(answer: Answer, name: str) -> Iterator[tuple[int, Callable[[], Floats | None]]]:
    """Yield the ways in which a candidate may give a result, each with what computes its prediction.

    A convention's own, certified, is way -1; it gives None where the convention has no formula.
    """
    if name in ALTERNATIVES:
        yield -1, lambda: _under(answer, ALTERNATIVES[name])
    if name in MISTAKES:
        plain = replace(answer.problem, convention=SPEC, divisors={}, _laid_out={})
        mistake = MISTAKES[name]
        for way in range(len(mistake.ways) if answer.problem.operation in mistake.operations else 0):
            yield way, lambda way=way: mistake.result(way, plain, answer.quantity)  # type: ignore[misc]


def _under(answer: Answer, convention: Convention) -> Floats | None:
    problem = answer.problem
    if convention.axis == "last" and (len(problem.shape) < 3 or not _fits_last(problem)):
        return None
    try:
        other = replace(problem, convention=convention, divisors={}, _laid_out={})
    except UsageError:
        return None
    return Answer(other, answer.quantity, answer.format).whole()


def _fits_last(problem: Problem) -> bool:
    """Whether the targets fit when the last axis is taken for the classes."""
    if problem.index is None:
        return problem.soft is None or problem.soft.shape == problem.shape
    return problem.arrays["target"].shape == problem.shape[:-1] and bool(np.all(problem.index < problem.shape[-1]))


def less_precise(seen: Seen) -> Iterator[Explained]:
    """Yield the less precise arithmetic that a result is as good as."""
    own = FORMATS[seen.got.format]
    for narrow in ("float32", "float16", "bfloat16"):
        if FORMATS[narrow].precision < own.precision and (off := _as_good_as(seen, narrow)) is not None:
            yield Explained("computed-in-float32" if narrow == "float32" else "computed-in-16-bits", off)
            return
    exact, error = seen.exact, np.abs(seen.numbers - seen.exact)
    finite = np.isfinite(exact)
    if own.bits < 32 or not np.array_equal(finite, np.isfinite(seen.numbers)):
        return
    for unit in _FAST_EXP:
        if unit > own.unit:
            margin = seen.margin_of(Coarse(seen.answer, seen.flushed, unit))
            if np.all(np.isfinite(margin[finite])) and np.all(error[finite] <= margin[finite]):
                said = f"its exponentials are good to about 2^{round(math.log2(unit))} only, relative"
                yield Explained("fast-exp", None, said=said)
                return


def _as_good_as(seen: Seen, narrow: str) -> float | None:
    """Return the error in ulp of a narrower format where a result is right for that format, else None."""
    as_narrow = Array.of(seen.numbers, narrow)
    problem = seen.answer.problem
    rounded = {
        name: Array.of(array.exact(), narrow) if array.format in FORMATS else array
        for name, array in problem.arrays.items()
    }
    for arrays in (problem.arrays, rounded):
        other = replace(problem, arrays=arrays, divisors={}, _laid_out={})
        judgement = judge(as_narrow, Answer(other, seen.answer.quantity, narrow), flushed=seen.flushed)
        if judgement.grade.rank <= Grade.LOOSE.rank and judgement.ulp is not None:
            return judgement.ulp
    return None
