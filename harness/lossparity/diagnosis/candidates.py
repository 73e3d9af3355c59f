"""What could explain a result: conventions of others, mistakes, and less precise arithmetic; each predicts numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from lossparity.diagnosis.seen import Coarse, Seen
from lossparity.errors import UsageError
from lossparity.formats import FORMATS, Array
from lossparity.judge import judge
from lossparity.mistakes import MISTAKES
from lossparity.model import Grade
from lossparity.reference import Answer, Floats, Problem, Rows
from lossparity.reference.conventions import ALTERNATIVES, CONVENTIONS, SPEC, Convention

__all__ = ["IMPRECISE", "Explained", "candidates", "conventions", "described", "less_precise", "permuted", "predicted"]

_NARROW = ("float32", "float16", "bfloat16")
_COMPUTED = {"float32": "computed-in-float32", "float16": "computed-in-16-bits", "bfloat16": "computed-in-16-bits"}
IMPRECISE = frozenset((*_COMPUTED.values(), "fast-exp", "epsilon-in-divisor"))
"""The names that fit whatever is wrong by little: less precise arithmetic, and what changes a result by little."""
_ROWS = 64
_FAST_EXP = tuple(2.0**-n for n in range(22, 6, -1))

UNDIAGNOSED = "undiagnosed"
"""The id of a failure for which nobody has looked for what explains it, or not to the end."""

_OTHERS: Mapping[str, str] = {
    "computed-in-float32": "it is as accurate as binary32, and no more: something is computed in binary32",
    "computed-in-16-bits": "it is as accurate as a 16-bit format, and no more: something is computed in one",
    "stale-result": "it is the right result of an earlier call: something is kept between calls",
    "rows-permuted": "the rows are right and come back in another order",
    "crash": "the process died",
    "timeout": "no answer within the time limit",
    "inputs-modified": "the inputs were modified (clause M6)",
    "below-min-grade": "it is within its loose bound, as any ordinary arithmetic is; a better grade was asked for",
    UNDIAGNOSED: "nothing was found in the time that a diagnosis may take; choose fewer checks to look longer",
    "published": "it does not round to the published figures",
}


@dataclass(frozen=True)
class Explained:
    """One explanation of a result: a convention's text, a mistake's id or another; how near it comes, in ulp.

    `ways` are those in which the mistake is made, as numbers into its table. `said` is what it is in words where the
    id does not tell: an exception's message. `convention` is what `--convention` takes to judge by it, where it is one.
    """

    id: str
    ulp: float | None = None
    ways: tuple[int, ...] = ()
    said: str = ""
    convention: str = ""


@cache
def conventions(right: Convention) -> Mapping[str, Convention]:
    """Return, by id, the conventions that may be meant where one is right: each other choice, made upon it or undone.

    Where the spec's own is right these are the alternatives.
    """
    stated = {f.name: f"{f.name}={f.default}" for f in fields(right) if getattr(right, f.name) != f.default}
    undone = {text: replace(right, **{name: getattr(SPEC, name)}) for name, text in stated.items()}
    other = {name: _upon(right, one) for name, one in ALTERNATIVES.items()}
    found = {**undone, ",".join(undone): SPEC, **other}
    return {name: one for name, one in found.items() if one != right}


def _upon(right: Convention, other: Convention) -> Convention:
    return replace(right, **{f.name: chosen for f in fields(other) if (chosen := getattr(other, f.name)) != f.default})


def candidates(right: Convention) -> tuple[str, ...]:
    """Return the ids of all that predicts numbers where a convention is right, the more definite ones first."""
    return tuple(dict.fromkeys((*conventions(right), *MISTAKES)))


def described(explained: Explained) -> str:
    """Say in one sentence what an explanation stands for."""
    if explained.said:
        return explained.said
    if "=" in explained.id:
        return "; ".join(_chosen(explained.id))
    if explained.id in MISTAKES:
        return MISTAKES[explained.id].said
    return _OTHERS.get(explained.id, "no convention or mistake of the catalogue gives these numbers")


def _chosen(convention: str) -> Iterator[str]:
    for part in convention.split(","):
        name, _, value = part.partition("=")
        choice = CONVENTIONS[name][value]
        yield f"{choice.formula} ({choice.users})" if choice.users else choice.formula


def predicted(answer: Answer, name: str) -> Iterator[tuple[int, Callable[[], Floats | None]]]:
    """Yield the ways in which a candidate may give a result, each with what computes its prediction.

    A convention's own, certified, is way -1; it gives None where the convention has no formula.
    """
    right = answer.problem.convention
    if name in conventions(right):
        yield -1, lambda: _under(answer, conventions(right)[name])
    if name in MISTAKES:
        # Where the classes lie is no step of the formulas.
        plain = replace(answer.problem, convention=Convention(axis=right.axis), divisors={}, _laid_out={})
        mistake = MISTAKES[name]
        for way in range(len(mistake.ways) if answer.problem.operation in mistake.operations else 0):
            yield way, lambda way=way: mistake.result(way, plain, answer.quantity)  # type: ignore[misc]


def _under(answer: Answer, convention: Convention) -> Floats | None:
    problem = answer.problem
    if convention.axis != problem.convention.axis and len(problem.shape) < 3:
        return None
    try:
        other = replace(problem, convention=convention, divisors={}, _laid_out={})
    except UsageError:
        return None
    if other.axis != problem.axis and not _fits(other):
        return None
    return Answer(other, answer.quantity, answer.format).whole()


def _fits(problem: Problem) -> bool:
    """Whether the targets fit when another axis is taken for the classes."""
    if problem.index is None:
        return True
    return problem.arrays["target"].shape == problem.positions and bool(np.all(problem.index < problem.classes))


def less_precise(seen: Seen) -> Iterator[Explained]:
    """Yield the less precise arithmetic that a result is as good as, the more definite first."""
    own = FORMATS[seen.got.format]
    good = {n: _as_good_as(seen, n) for n in _NARROW if FORMATS[n].precision < own.precision}
    fits = {n: off for n, off in good.items() if off is not None}
    for name, off in fits.items():
        if np.array_equal(Array.of(seen.numbers, name).exact(), seen.numbers, equal_nan=True):
            yield Explained(_COMPUTED[name], off)
            return
    if (unit := _coarse(seen)) is not None:
        said = f"its exponentials are good to about 2^{round(math.log2(unit))} only, relative"
        yield Explained("fast-exp", None, said=said)
    for name, off in fits.items():
        # A 16-bit loose bound admits an error of some percent, and so most mistakes: it takes a definite sign.
        if name == "float32" or _from_rounded(seen, name):
            yield Explained(_COMPUTED[name], off)
            return


def _coarse(seen: Seen) -> float | None:
    """Return the relative error of exponentials that would explain a result of 32 bits or more."""
    own, got, exact = FORMATS[seen.got.format], seen.numbers, seen.exact
    alike = seen.open | (got == exact) | (np.isnan(got) & np.isnan(exact))
    finite = np.isfinite(exact) & np.isfinite(got) & ~seen.open
    if own.bits < 32 or not finite.any() or not np.all(alike | finite):
        return None
    error = np.abs(got[finite] - exact[finite])
    for unit in _FAST_EXP:
        if unit > own.unit:
            margin = seen.margin_of(Coarse(seen.answer, seen.flushed, unit))[finite]
            if np.all(np.isfinite(margin)) and np.all(error <= margin):
                return unit
    return None


def permuted(seen: Seen) -> bool:
    """Whether the rows are the right ones in another order, or those of an upstream gradient in another order."""
    problem = seen.answer.problem
    if not seen.alike or seen.answer.scalar or not 1 < problem.count <= _ROWS:
        return False
    got, exact, margin = (seen.rows(numbers) for numbers in (seen.numbers, seen.exact, seen.margin))
    if _matched(got[:, None], exact[None], margin[None]):
        return True
    if seen.answer.quantity == "value" or problem.reduction != "none" or problem.whole_rows:
        return False
    up = Rows(problem, slice(0, problem.count)).upstream
    with np.errstate(all="ignore"):
        turned = up.T[:, :, None] / up[:, :, None]  # row n's gradient, had it got row m's upstream
        return _matched(got[:, None], exact[:, None] * turned, margin[:, None] * np.abs(turned))


def _matched(got: Floats, exact: Floats, margin: Floats) -> bool:
    """Whether every row agrees with another column of its own, (M, M, K)."""
    with np.errstate(invalid="ignore"):
        off = np.abs(got - exact)
        fits = np.all((off <= margin) | (got == exact) | (np.isnan(got) & np.isnan(exact)), axis=2)
    left = set(range(len(fits)))
    for row in np.argsort(fits.sum(axis=1)):  # the rows with the least choice first
        place = next((other for other in left if fits[row, other]), None)
        if place is None:
            return False
        left.remove(place)
    return True


def _as_good_as(seen: Seen, narrow: str) -> float | None:
    """Return the error in ulp of a narrower format where a result is right for that format, else None."""
    as_narrow = Array.of(seen.numbers, narrow)
    if not np.array_equal(np.isfinite(as_narrow.exact()), np.isfinite(seen.numbers)):
        return None  # what overflows there was never in that format
    rounded = _rounded(seen.answer.problem, narrow)
    for problem in (seen.answer.problem, *([rounded] if rounded else [])):
        judgement = judge(as_narrow, Answer(problem, seen.answer.quantity, narrow), flushed=seen.flushed)
        if judgement.grade.rank <= Grade.LOOSE.rank and judgement.ulp is not None:
            return judgement.ulp
    return None


def _from_rounded(seen: Seen, narrow: str) -> bool:
    """Whether a result is what its inputs give when they are rounded to a narrower format first."""
    rounded = _rounded(seen.answer.problem, narrow)
    return rounded is not None and seen.agrees(Answer(rounded, seen.answer.quantity, seen.answer.format).whole())


def _rounded(problem: Problem, narrow: str) -> Problem | None:
    """Return a problem with its inputs rounded; None where one overflows, for what follows may then be left open."""
    real = {name: array for name, array in problem.arrays.items() if array.format in FORMATS}
    arrays = {name: Array.of(array.exact(), narrow) for name, array in real.items()}
    if any(np.any(np.isinf(one.exact()) & np.isfinite(real[name].exact())) for name, one in arrays.items()):
        return None
    return replace(problem, arrays={**problem.arrays, **arrays}, divisors={}, _laid_out={})
