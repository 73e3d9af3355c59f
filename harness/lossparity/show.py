"""One case or check alone: its inputs, what is exact, and what each backend returns; a suite stage by stage."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossparity import registry
from lossparity.errors import UnavailableError, UsageError, suggest
from lossparity.formats import FORMATS, Array
from lossparity.itemise import itemised
from lossparity.model import Backend, Case, Declined, Grade, Outcome, Produced, Raised
from lossparity.plans import Finding, Question
from lossparity.reference import Floats
from lossparity.reproducing.script import Reproduced
from lossparity.runner import Run, workers_for
from lossparity.spec import CLAUSES
from lossparity.target import Target
from lossparity.workers import Worker, WorkerStopped

__all__ = [
    "Shown",
    "backends_of",
    "check_parts",
    "details",
    "put",
    "reproduce",
    "reproduced",
    "split_quantity",
    "stages",
]

_QUANTITIES = ("value", "gradient")


@dataclass(frozen=True)
class Shown:
    """One backend's answer to one question, judged."""

    backend: Backend
    outcome: Outcome | None
    findings: tuple[Finding, ...]
    reason: str = ""
    flushed: bool = False


def check_parts(check: str, cases: Sequence[Case]) -> tuple[Case, str, str]:
    """Split a check id `case/format@backend` into its case, format and backend name; UsageError when it is none."""
    name, quantity = split_quantity(check)
    path, _, backend = name.partition("@")
    case_id, _, fmt = path.rpartition("/")
    ids = {case.id: case for case in cases}
    form = "one is case/format@backend, as `lossparity list --case GLOB` and the page show"
    if path in ids:
        raise UsageError(f"{check!r} is no check id: it names no format", hint=form)
    for word, known, noun in (
        (case_id, ids, "case"),
        (fmt, FORMATS, "format"),
        (quantity, ("", *_QUANTITIES), "quantity"),
    ):
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            hint = suggest(word, close) if close else form
            raise UsageError(f"{check!r} is no check id: there is no {noun} {word!r}", hint=hint)
    return ids[case_id], fmt, backend


def split_quantity(check: str) -> tuple[str, str]:
    """Split off the quantity of `check#quantity`, as failures are printed and pasted; empty where there is none."""
    before, _, last = check.rpartition("#")
    python = Backend.parse(before.partition("@")[2]).python  # whose path may hold a # of its own
    return (before, last) if before and (last in _QUANTITIES or not python) else (check, "")


def put(
    questions: Sequence[Question], backends: Sequence[Backend], target: Target | None = None
) -> Iterator[tuple[Question, list[Shown]]]:
    """Put questions to backends and judge the answers; `target` is a user's function."""
    with workers_for(Run(backends, [q.case for q in questions], target=target)) as workers:
        for question in questions:
            yield (
                question,
                [_answer(worker, backend, question) for worker, theirs in workers.items() for backend in theirs],
            )


def backends_of(name: str, target: str) -> list[Backend]:
    """Return the backends of a check id: those of a name or glob, or FRAMEWORK.target for a user's function.

    UsageError where the name and `target` (the function, or empty) do not go together.
    """
    backend = Backend.parse(name)
    if (backend.variant == "target") is not bool(target):
        said = "--target is for checks of FRAMEWORK.target" if target else f"{name} is a function of yours"
        hint = "write case/format@FRAMEWORK.target" if target else "say which: --target FUNCTION, as `check` takes it"
        raise UsageError(said, where=name, hint=hint)
    if not target:
        return registry.resolve([name])[0]
    registry.resolve([backend.framework])
    return [backend]


def reproduce(question: Question, backends: Sequence[Backend], target: Target | None = None) -> Reproduced:
    """Put one question to one backend, and have the child write how the call is made.

    UsageError when there is more than one, or when the call cannot be written as a script; UnavailableError when it is
    not there.
    """
    if len(backends) != 1:
        raise UsageError(f"one backend at a time, not {len(backends)}", hint="name it without a glob")
    (backend,) = backends
    with workers_for(Run([backend], [question.case], target=target)) as workers:
        (worker,) = workers
        return reproduced(worker, backend, question)


def reproduced(worker: Worker, backend: Backend, question: Question) -> Reproduced:
    """Put a question to a worker that is there already; errors as of `reproduce`."""
    shown = _answer(worker, backend, question)
    if worker.refused:
        where = worker.target.where if worker.target else ""
        raise UsageError(f"the target cannot be checked: {worker.unavailable}", where=where)
    if shown.outcome is None:
        raise UnavailableError(f"{backend} cannot be run: {shown.reason}")
    try:
        # Of what is not offered there is nothing to write, and the script says that.
        written = {} if isinstance(shown.outcome, Declined) else worker.written(question.request(backend))
    except WorkerStopped as stopped:
        raise UsageError(f"the call cannot be written as a script: {stopped}", where=str(backend)) from None
    return Reproduced(question, backend, shown.findings, written, shown.flushed, shown.outcome, dict(worker.details))


def _answer(worker: Worker, backend: Backend, question: Question) -> Shown:
    try:
        outcomes = [worker.ask(request) for request in question.requests(backend)]
    except WorkerStopped as stopped:
        return Shown(backend, None, (), str(stopped))
    flushed = worker.details.get("subnormals") == "flushed"
    findings = question.findings(outcomes, flushed=flushed, threshold=Grade.LOOSE)
    return Shown(backend, outcomes[0], findings, flushed=flushed)


def stages(cases: Sequence[Case], library: Backend, fmt: str) -> Iterator[str]:
    """Compare the printed figures of a suite with the library, the chain by hand and the exact values."""
    hand = replace(library, variant="manual", mode="")
    questions = [Question(case, fmt) for case in cases if case.published and fmt in case.formats]
    for question, shown in put(questions, [library, hand]):
        case = question.case
        assert case.published is not None
        decimals = case.published.decimals
        yield f"{case.id.partition('/')[2]}: {case.operation}"
        columns = {
            "printed": _column(np.asarray(case.published.figures, dtype=np.float64), decimals),
            "by hand": _answered(shown[1], decimals + 8),
            "library": _answered(shown[0], decimals + 8),
            "exact": _column(question.answer("exact", "value").whole(), decimals + 8),
        }
        yield from _table(columns)
        if case.published.remark:
            yield f"  remark: {case.published.remark}"
        yield ""


def _column(values: Floats, decimals: int) -> list[str]:
    return [f"{v:.{decimals}f}" for v in values.ravel()]


def _answered(shown: Shown, decimals: int) -> list[str]:
    if isinstance(shown.outcome, Produced):
        return _column(shown.outcome.value.exact(), decimals)
    return [shown.outcome.type if isinstance(shown.outcome, Raised) else "not offered"]


def _table(columns: dict[str, list[str]]) -> Iterator[str]:
    width = {name: max(len(name), *map(len, values)) for name, values in columns.items()}
    yield "  " + "  ".join(name.rjust(width[name]) for name in columns)
    for row in range(max(map(len, columns.values()))):
        cells = (values[row] if row < len(values) else "" for values in columns.values())
        yield "  " + "  ".join(cell.rjust(w) for cell, w in zip(cells, width.values(), strict=True))


def details(question: Question, shown: Sequence[Shown]) -> Iterator[str]:
    """Describe a question and every answer to it, number by number where there are few."""
    case = question.case
    clause = CLAUSES[case.clause]
    yield f"{case.id}/{question.format}   ({case.source})"
    yield f"clause {clause.id} ({clause.kind}, {clause.basis}): {clause.text}"
    yield case.about
    if case.link:
        yield f"reported at {case.link}"
    yield from question.how
    for name, array in question.arrays.items():
        yield f"{name} = {_array(array)}"
    for keyword, value in case.keywords.items():
        yield f"{keyword} = {value}"
    for quantity in question.quantities:
        for choice in question.alternatives:
            if choice != "raises":
                exact = question.answer(choice, quantity).whole()
                yield f"{quantity}, {choice} = {np.array2string(exact, precision=17, threshold=32)}"
    for one in shown:
        yield ""
        yield f"{one.backend}: {one.reason}" if one.outcome is None else f"{one.backend}"
        for finding in one.findings:
            yield f"  {finding.quantity}: {_found(finding)}"
            if finding.judgement is not None and finding.answer is not None and finding.judgement.worst is not None:
                yield f"    {itemised(finding.answer, finding.judgement.worst, flushed=one.flushed)}"
            if finding.got is not None:
                yield f"    got {_array(finding.got)}"


def _array(array: Array) -> str:
    return f"{np.array2string(array.exact(), precision=17, threshold=32)} {array.format}{list(array.shape)}"


def _found(finding: Finding) -> str:
    words = [finding.verdict.value]
    judgement = finding.judgement
    if judgement is not None:
        words.append(judgement.grade.value)
        if judgement.ulp is not None:
            words.append(f"{judgement.ulp:.3g} ulp, {judgement.bound_used:.3g} of the bound")
        if judgement.tier:
            words.append(f"settled by {judgement.tier}")
    if finding.choice:
        words.append(f"choice {finding.choice}")
    if finding.message:
        words.append(finding.message)
    return ", ".join(words)
