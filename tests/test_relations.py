"""Relations: what is right holds, and each has an implementation that breaks it and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from liars.judging import alone
from lossparity.call import call
from lossparity.expected import whole
from lossparity.formats import FORMATS, Array
from lossparity.framework import TARGET
from lossparity.model import Backend, Case, Grade, Outcome, Produced, Raised, Recipe, Request, Verdict
from lossparity.plans import Finding, Question
from lossparity.reference import Floats
from lossparity.relations import RELATIONS, Part, Results
from lossparity.relations.comparing import added_up
from lossparity.suite import built_in, load
from lossparity_backends.on_numpy import Numpy

NUMPY = Backend("numpy")
COMPILED = Backend("numpy", mode="compiled")

LOGITS = ((1.0, 2.0, 3.0, 0.0), (0.5, -1.0, 2.0, 1.0), (0.25, 0.0, -3.0, 1.5))
TARGET_OF = {"target": (1, -100, 3)}


@dataclass(frozen=True)
class Answer:
    """An array that came back, of which call and request."""

    number: int
    request: Request
    array: np.ndarray[Any, Any]


Changed = Callable[[Answer], Any]


def case(relation: str, operation: str, inputs: dict[str, Any], keywords: dict[str, Any], fmt: str) -> Case:
    return Case(
        id=f"suite/{relation}",
        suite="suite",
        about="",
        clause=RELATIONS[relation].clauses[0],
        operation=operation,
        inputs=inputs,
        keywords=keywords,
        formats=(fmt,),
        gradient=True,
        one_of=(),
        published=None,
        source="suite.yaml:1:1",
        compiled=RELATIONS[relation].compiled,
        relation=relation,
    )


def question(relation: str, fmt: str = "float32", **keywords: Any) -> Question:
    """Return a question with the relation, of an operation that has it."""
    operations = RELATIONS[relation].operations
    operation = "cross_entropy" if "cross_entropy" in operations else operations[0]
    inputs: dict[str, Any] = {"logits": LOGITS}
    if operation == "cross_entropy":
        inputs |= TARGET_OF
        reductions = RELATIONS[relation].reductions
        keywords = {"reduction": "none" if "none" in reductions else "sum", "label_smoothing": 0.1, **keywords}
    return Question(case(relation, operation, inputs, keywords, fmt), fmt)


def answered(asked: Question, value: Changed, gradient: Changed, by: Backend = NUMPY) -> list[Outcome]:
    """Return NumPy's outcomes, changed: the functions get each array."""
    with alone():
        numpy = Numpy("cpu")
        outcomes: list[Outcome] = []
        for number, request in enumerate(asked.requests(by)):
            plain = Request(request.variant, request.operation, request.arrays, request.keywords)
            found = call(numpy, numpy.implementations[""], plain)
            assert isinstance(found, Produced)
            changed = [
                Array.of(by_how(Answer(number, request, array.exact())), array.format)
                for by_how, array in ((value, found.value), (gradient, found.gradient))
                if isinstance(array, Array)
            ]
            outcomes.append(Produced(changed[0], changed[1] if changed[1:] else None, "f", TARGET, True))
    return outcomes


def same(answer: Answer) -> Any:
    return answer.array


def findings(asked: Question, value: Changed = same, gradient: Changed = same, by: Backend = NUMPY) -> list[Finding]:
    return list(asked.findings(answered(asked, value, gradient, by), flushed=False, threshold=Grade.LOOSE))


def shifted(by: Changed) -> Changed:
    return lambda answer: answer.array + by(answer)


BROKEN: dict[str, Changed] = {
    "permuted": lambda c: c.array + 1e-3 * np.arange(c.array.shape[0]).reshape(-1, *(1,) * (c.array.ndim - 1)),
    "rows-alone": shifted(lambda c: 1e-3 * c.request.arrays["logits"].shape[0]),
    "rows-dropped": shifted(lambda c: 1e-3 * c.request.arrays["logits"].shape[0]),
    "of-none": shifted(lambda c: 1e-3 if c.request.keywords["reduction"] == "sum" else 0.0),
    "gradient-of-none": lambda c: c.array * (1.001 if c.request.keywords["reduction"] == "sum" else 1.0),
    "rows-add-up": lambda c: c.array * 1.001,
    "gradient-adds-up": lambda c: c.array + 1e-3,
    "not-above-0": lambda c: -c.array,
    "repeated": lambda c: c.array if c.number < 2 else np.nextafter(c.array.astype(np.float32), np.float32(9)),
    "compiled": lambda c: c.array * (1.001 if c.request.mode else 1.0),
    "near-certainty": lambda c: c.array * 1.001,
}


def backend(relation: str) -> Backend:
    return COMPILED if RELATIONS[relation].compiled else NUMPY


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("relation", RELATIONS)
def test_what_is_right_holds(relation: str, fmt: str) -> None:
    found = findings(question(relation, fmt), by=backend(relation))
    assert [one.quantity for one in found] == list(RELATIONS[relation].quantities)
    assert all(one.verdict is Verdict.PASS for one in found), [one.message for one in found]


@pytest.mark.parametrize("relation", BROKEN)
def test_what_breaks_it_fails_and_is_told_so(relation: str) -> None:
    broken = BROKEN[relation]
    for one in findings(question(relation), broken, broken, backend(relation)):
        if RELATIONS[relation].relative:
            assert (one.verdict, one.choice) == (Verdict.PASS, "absolute")
            continue
        assert (one.verdict, one.kind) == (Verdict.FAIL, "inconsistent"), relation
        assert RELATIONS[relation].said in one.message
        assert one.judgement is not None and one.judgement.grade is Grade.WRONG


def test_every_relation_has_an_implementation_that_breaks_it() -> None:
    assert set(BROKEN) == set(RELATIONS)


def test_two_results_may_be_apart_by_both_bounds() -> None:
    unit = FORMATS["float32"].unit
    value, _ = findings(question("rows-alone"), lambda c: c.array * (1 + 2 * unit * (c.number == 0)))
    assert value.verdict is Verdict.PASS and value.choice == "within-the-bound"
    value, _ = findings(question("rows-alone"))
    assert value.choice == "bit-for-bit" and value.judgement is not None and value.judgement.grade is Grade.EXACT


def test_two_faithful_results_are_alike_where_the_bound_is_below_an_ulp() -> None:
    """A selected log-probability: its bound is 0 or half an ulp, and either neighbour is granted."""
    asked = question("rows-alone", "bfloat16")
    unit = FORMATS["bfloat16"].unit
    value, _ = findings(asked, lambda c: c.array * (1 + (unit if c.number else -unit)))
    assert value.verdict is Verdict.PASS


def test_what_is_wrong_in_the_same_way_is_no_matter_of_a_relation() -> None:
    for relation in ("permuted", "rows-alone", "rows-dropped", "of-none", "repeated"):
        for one in findings(question(relation), lambda c: 2 * c.array, lambda c: 2 * c.array):
            assert one.verdict is Verdict.PASS


def test_an_exception_of_any_call_is_an_error() -> None:
    asked = question("permuted")
    outcomes = [*answered(asked, same, same)[:1], Raised("ValueError", "no")]
    for one in asked.findings(outcomes, flushed=False, threshold=Grade.LOOSE):
        assert (one.verdict, one.kind) == (Verdict.ERROR, "raises")


def test_another_format_or_shape_is_told_as_such() -> None:
    ways: dict[str, Callable[[Array], Array]] = {
        "format": lambda a: Array.of(a.exact(), "float64"),
        "shape": lambda a: Array.of([a.exact()], a.format),
    }
    for kind, made in ways.items():
        asked = question("of-none")
        outcome, *others = answered(asked, same, same)
        assert isinstance(outcome, Produced)
        first = Produced(made(outcome.value), None, "f", TARGET, True)
        (value,) = asked.findings([first, *others], flushed=False, threshold=Grade.LOOSE)
        assert (value.verdict, value.kind) == (Verdict.FAIL, kind)


def test_classes_that_differ_are_never_alike() -> None:
    value, _ = findings(question("permuted"), lambda c: c.array if c.number else np.full_like(c.array, np.nan))
    assert value.verdict is Verdict.FAIL and value.judgement is not None and value.judgement.bound_used is None


def test_a_device_that_cannot_repeat_itself_is_held_to_the_bound() -> None:
    asked = question("repeated")
    outcomes = answered(asked, BROKEN["repeated"], same)
    for repeatable, verdict in ((True, Verdict.FAIL), (False, Verdict.PASS)):
        found = asked.findings(outcomes, flushed=False, threshold=Grade.LOOSE, repeatable=repeatable)
        assert found[0].verdict is verdict


def test_sums_that_are_kept_in_16_bits_are_seen() -> None:
    """The loose bound of the sum itself admits them: that is what the relation is for."""
    logits = tuple((float(x), 0.0) for x in np.linspace(0, 3, 300))
    inputs = {"logits": logits, "target": (1,) * 300}
    asked = Question(case("of-none", "cross_entropy", inputs, {"reduction": "sum"}, "bfloat16"), "bfloat16")

    def narrow(answer: Answer) -> Any:
        request, array = answer.request, answer.array
        if request.keywords["reduction"] == "none":
            return array
        total, fmt = 0.0, FORMATS["bfloat16"]
        plain = Request(request.variant, request.operation, request.arrays, {"reduction": "none"})
        numpy = Numpy("cpu")
        losses = call(numpy, numpy.implementations[""], plain)
        assert isinstance(losses, Produced)
        for loss in losses.value.exact().tolist():
            total = float(fmt.round(total + loss))
        return np.array(total)

    (value,) = findings(asked, narrow)
    assert value.verdict is Verdict.FAIL
    (value,) = findings(asked)
    assert value.verdict is Verdict.PASS


def serially(losses: Floats, kept: str) -> float:
    """Add up, every partial sum rounded to a format."""
    if kept == "float32":
        return float(np.cumsum(losses.astype(np.float32), dtype=np.float32)[-1])
    total = 0.0
    for loss in losses.tolist():
        total = float(FORMATS[kept].round(total + loss))
    return total


def in_pairs(losses: Floats) -> float:
    """Add up in binary32 over a tree that is as low as can be."""
    while losses.size > 1:
        losses = np.append(losses, np.zeros(losses.size % 2)).astype(np.float32)
        losses = losses[::2] + losses[1::2]
    return float(losses[0])


def share_of_the_bound(rows: int, fmt: str, keywords: dict[str, Any], added: Callable[[Floats], float]) -> float:
    """Return how far a mean or sum that is added up from losses in binary32 is off, over its bound."""
    inputs = {
        "logits": Recipe("normal", (rows, 4), {"seed": rows, "scale": 2.0}),
        "target": Recipe("integers", (rows,), {"below": 4, "seed": 7}),
    }
    asked = Question(case("of-none", "cross_entropy", inputs, keywords, fmt), fmt)
    x, y, eps = asked.parts[0].first.exact(), asked.parts[0].arrays["target"].exact(), keywords["label_smoothing"]
    d = (x - x.max(1, keepdims=True)).astype(np.float32)
    z = d - np.log(np.sum(np.exp(d), 1, keepdims=True))
    losses = -(np.float32(1 - eps) * z[np.arange(rows), y.astype(int)] + np.float32(eps / 4) * z.sum(1))
    total = added(losses) / (rows if keywords["reduction"] == "mean" else 1)
    got = [np.asarray(FORMATS[fmt].round(np.asarray(part, dtype=np.float64))) for part in (total, losses)]
    expected = whole(asked.answer("exact", "value"), flushed=False)
    compared = added_up(Results("value", fmt, False, asked.parts, got, expected))
    return float(compared.apart / compared.loose)


@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float16"])
def test_a_sum_of_returned_losses_may_be_made_in_any_order(fmt: str, reduction: str, eps: float) -> None:
    keywords = {"reduction": reduction, "label_smoothing": eps}
    for rows in (1, 2, 7, 320, 1024):
        for added in (lambda losses: serially(losses, "float32"), in_pairs):
            assert share_of_the_bound(rows, fmt, keywords, added) <= 1


@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(("kept", "rows"), [("bfloat16", 320), ("bfloat16", 1024), ("float16", 1024)])
def test_a_sum_of_returned_losses_is_not_kept_in_16_bits(kept: str, rows: int, reduction: str, eps: float) -> None:
    keywords = {"reduction": reduction, "label_smoothing": eps}
    assert share_of_the_bound(rows, kept, keywords, lambda losses: serially(losses, kept)) > 1


def test_a_long_sum_in_binary32_is_within_its_bound() -> None:
    keywords = {"reduction": "mean", "label_smoothing": 0.0}
    for fmt in ("float32", "bfloat16"):
        assert share_of_the_bound(65600, fmt, keywords, lambda losses: serially(losses, "float32")) <= 1


def test_classes_are_renamed_with_their_targets_weights_and_ignored_class() -> None:
    arrays = {
        "logits": Array.of([[1.0, 2.0, 3.0]], "float32"),
        "target": Array.of([2], "int64"),
        "weight": Array.of([1.0, 0.5, 2.0], "float32"),
        "upstream": Array.of([1.5], "float32"),
    }
    part = Part(arrays, {"ignore_index": 0, "reduction": "none"}).of_classes(np.array([2, 0, 1]))
    assert part.first.exact().tolist() == [[3.0, 1.0, 2.0]]
    assert part.arrays["target"].exact().tolist() == [0]
    assert part.arrays["weight"].exact().tolist() == [2.0, 1.0, 0.5]
    assert part.arrays["upstream"].exact().tolist() == [1.5] and part.keywords["ignore_index"] == 1


def test_what_is_outside_of_the_classes_keeps_its_index() -> None:
    arrays = {"logits": Array.of([[1.0, 2.0]] * 2, "float32"), "target": Array.of([-100, 7], "int64")}
    part = Part(arrays, {}).of_classes(np.array([1, 0]))
    assert part.arrays["target"].exact().tolist() == [-100, 7]


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_divisor_is_that_of_the_mean(fmt: str) -> None:
    arrays = {
        "logits": Array.of([[0.0, 1.0, 2.0]] * 3, fmt),
        "target": Array.of([0, 2, -100], "int64"),
        "weight": Array.of([1.0, 4.0, 0.5], fmt),
    }
    assert Part(arrays, {}).divisor == 1.5 and Part(arrays, {"reduction": "sum"}).divisor == 1.0
    del arrays["weight"]
    assert Part(arrays, {}).divisor == 2.0
    arrays["target"] = Array.of(np.zeros((3, 3)), fmt)
    assert Part(arrays, {}).divisor == 3.0


def test_every_clause_but_speed_has_cases_and_every_relation_too() -> None:
    from lossparity.spec import CLAUSES, TIMED

    cases = [one for suite in load([built_in()]) for one in suite.cases]
    cited = {one.clause for one in cases}
    assert {clause for one in RELATIONS.values() for clause in one.clauses} <= set(CLAUSES)
    assert set(RELATIONS) <= {one.relation for one in cases}
    assert TIMED not in cited
