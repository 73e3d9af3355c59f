"""Findings and questions as lines of the record."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lossparity import record
from lossparity.diagnosis import Explained
from lossparity.formats import FORMATS, Array
from lossparity.known import Deviation
from lossparity.model import Backend, Case, Outcome, Produced, Raised, Recipe, Verdict
from lossparity.plans import Finding, Question
from lossparity.record import CaseLine, Excerpt, Result, Span, Window, Worst
from lossparity.reference import Answer, Floats
from lossparity.shapes import class_axis
from lossparity.spec import CLAUSES

__all__ = ["case_line", "result_line"]

_WHOLE = 64  # arrays up to this many elements are recorded whole
_AROUND = 16  # of larger ones, this many around the worst


def case_line(question: Question) -> CaseLine:
    """Describe one case in one format: what went in and what is right."""
    case = question.case
    choices = [c for c in question.alternatives if c != "raises"]
    return CaseLine(
        id=case.id,
        format=question.format,
        clause=case.clause,
        operation=case.operation,
        source=case.source,
        input_hash=question.hash,
        about=case.about,
        inputs={name: _excerpt(array) for name, array in question.arrays.items()},
        keywords=dict(case.keywords),
        exact={
            quantity: {c: _exact(question.answer(c, quantity)) for c in choices} for quantity in question.quantities
        },
        recipes={name: _recipe(given) for name, given in case.inputs.items() if isinstance(given, Recipe)},
        published=_published(case),
        remark=case.published.remark if case.published else "",
        link=case.link,
        how=list(question.how),
        logits=_span(question.first),
    )


def _span(first: Array) -> Span | None:
    if not first.shape or first.data.size == 0:
        return None
    exact, axis = first.exact(), class_axis(first.shape)
    numbers = np.isfinite(exact)
    with np.errstate(over="ignore"):
        spread = np.max(exact, axis, where=numbers, initial=-np.inf) - np.min(
            exact, axis, where=numbers, initial=np.inf
        )
    widest = min(max(float(np.max(spread)), 0.0), FORMATS["float64"].largest)  # no number in a row: -inf
    return Span(first.shape[axis], float(np.max(np.abs(exact), where=numbers, initial=0.0)), widest)


def _recipe(recipe: Recipe) -> str:
    shape = "x".join(str(n) for n in recipe.shape)
    rest = ", ".join(f"{name}={value}" for name, value in recipe.parameters.items())
    return f"{recipe.generate} {shape} ({rest})"


def _published(case: Case) -> list[str]:
    if case.published is None:
        return []
    flat = np.asarray(case.published.figures, dtype=np.float64).ravel()
    return [f"{figure:.{case.published.decimals}f}" for figure in flat]


def _excerpt(array: Array) -> Excerpt:
    first = Array(array.format, array.data.reshape(-1)[:_WHOLE])
    return Excerpt(array.format, list(array.shape), _numbers(first.exact()))


def _exact(answer: Answer) -> Excerpt:
    size = math.prod(answer.shape)
    return Excerpt(answer.format, list(answer.shape), _numbers(answer.at(np.arange(min(size, _WHOLE)))))


def _numbers(flat: Floats) -> list[str]:
    return [float(v).hex() if np.issubdtype(flat.dtype, np.floating) else str(int(v)) for v in flat]


def result_line(
    question: Question,
    backend: Backend,
    finding: Finding,
    outcome: Outcome,
    declared: Deviation | None,
    explained: Sequence[Explained] = (),
    shared: bool = False,
    zeroed: bool = False,
    made_of: str = "",
) -> Result:
    """Describe what one quantity of one check came to; `made_of` is what the bound of its worst element is made of."""
    case, judgement = question.case, finding.judgement
    return Result(
        check=question.check_id(backend),
        quantity=finding.quantity,
        case=case.id,
        clause=case.clause,
        basis=CLAUSES[case.clause].basis,
        operation=case.operation,
        backend=str(backend),
        format=question.format,
        verdict=finding.verdict.value,
        outcome=finding.outcome,
        origin=outcome.origin if isinstance(outcome, Produced | Raised) else "",
        api=outcome.api if isinstance(outcome, Produced | Raised) else "",
        grade=judgement.grade.value if judgement else "",
        ulp=judgement.ulp if judgement else None,
        bound_used=judgement.bound_used if judgement else None,
        tier=judgement.tier if judgement else "",
        choice=finding.choice,
        deviation=declared.id if declared else "",
        cause=finding.kind,
        shape=list(finding.got.shape) if finding.got else [],
        got=_window(finding),
        worst=_worst(finding, made_of),
        input_hash=question.hash,
        message=_message(declared, finding),
        histogram=list(judgement.histogram) if judgement else [],
        explained=[record.Explained(one.id, one.ulp) for one in explained],
        shared=shared,
        zeroed=zeroed,
        returned=finding.got.format if finding.got and finding.got.format != question.format else "",
    )


def _message(declared: Deviation | None, finding: Finding) -> str:
    """A known deviation speaks by its reason; everything else by what the judge or the framework said."""
    if declared is None or finding.verdict is not Verdict.KNOWN:
        return finding.message
    return f"{declared.reason} ({declared.link})" if declared.link else declared.reason


def _window(finding: Finding) -> Window | None:
    got, judgement, answer = finding.got, finding.judgement, finding.answer
    if got is None or judgement is None or answer is None or got.shape != answer.shape or got.format not in FORMATS:
        return None
    start, length = 0, got.data.size
    if length > _WHOLE:
        start = min(max((judgement.worst or 0) - _AROUND // 2, 0), length - _AROUND)
        length = _AROUND
    part = Array(got.format, got.data.reshape(-1)[start : start + length])
    return Window(start, _numbers(part.exact()), _numbers(answer.at(np.arange(start, start + length))))


def _worst(finding: Finding, made_of: str) -> Worst | None:
    got, judgement = finding.got, finding.judgement
    if got is None or judgement is None or judgement.worst is None:
        return None
    return Worst(
        [int(i) for i in np.unravel_index(judgement.worst, got.shape)],
        judgement.got.hex(),
        judgement.exact.hex(),
        judgement.tight if np.isfinite(judgement.tight) else None,
        judgement.loose if np.isfinite(judgement.loose) else None,
        made_of,
    )
