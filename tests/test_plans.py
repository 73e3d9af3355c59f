"""Plans: what a question sends, and which verdict each outcome gets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lossparity import reference
from lossparity.formats import FORMATS, Array
from lossparity.model import (
    Backend,
    Case,
    Crashed,
    Declined,
    Grade,
    Numbers,
    Outcome,
    Produced,
    Published,
    Raised,
    Recipe,
    TimedOut,
    Verdict,
)
from lossparity.plans import Finding, Question

P = [math.exp(0.25), math.exp(0.5), math.exp(1.0)]
SOFTMAX = [v / math.fsum(P) for v in P]


def case(logits: Numbers = ((0.25, 0.5, 1.0),), **changes: Any) -> Case:
    fields: dict[str, Any] = {
        "id": "suite/a",
        "suite": "suite",
        "about": "",
        "clause": "S1",
        "operation": "softmax",
        "inputs": {"logits": logits},
        "keywords": {},
        "formats": ("float64",),
        "gradient": False,
        "one_of": (),
        "published": None,
        "source": "suite.yaml:1:1",
    }
    return Case(**{**fields, **changes})


def produced(values: Any = (SOFTMAX,), fmt: str = "float64", **changes: Any) -> Produced:
    fields: dict[str, Any] = {"gradient": None, "api": "f", "origin": "native", "unmodified": True}
    return Produced(Array.of(values, fmt), **{**fields, **changes})


def judged(question: Question, outcome: Outcome, threshold: Grade = Grade.LOOSE) -> tuple[Finding, ...]:
    return question.findings([outcome], flushed=False, threshold=threshold)


def value(case: Case, outcome: Outcome, fmt: str = "float64", threshold: Grade = Grade.LOOSE) -> Finding:
    return judged(Question(case, fmt), outcome, threshold)[0]


def test_a_request_holds_the_case_and_never_what_is_expected() -> None:
    question = Question(case(gradient=True, keywords={}), "float16")
    request = question.request(Backend.parse("torch.manual:cuda"))
    assert (request.variant, request.operation, request.format) == ("manual", "softmax", "float16")
    assert list(request.arrays) == ["logits", "upstream"]
    assert request.arrays["logits"].exact().tolist() == [[0.25, 0.5, 1.0]]


def test_a_check_is_named_by_case_format_and_backend() -> None:
    assert (
        Question(case(), "float16").check_id(Backend.parse("torch.manual:cuda")) == "suite/a/float16@torch.manual:cuda"
    )


def test_a_right_value_passes_with_its_grade() -> None:
    finding = value(case(), produced())
    assert finding.verdict is Verdict.PASS
    assert finding.judgement is not None
    assert finding.judgement.grade in (Grade.EXACT, Grade.FAITHFUL)


@pytest.mark.parametrize(
    ("outcome", "verdict", "kind", "said"),
    [
        (Raised("ValueError", "no"), Verdict.ERROR, "raises", "ValueError: no"),
        (Declined("no bfloat16"), Verdict.UNSUPPORTED, "", "no bfloat16"),
        (Crashed("killed by SIGSEGV"), Verdict.CRASH, "crash", "killed by SIGSEGV"),
        (TimedOut(2.0), Verdict.TIMEOUT, "timeout", "no answer in 2 s"),
        (produced(unmodified=False), Verdict.FAIL, "modified", "the inputs were modified (clause M6)"),
        (produced(SOFTMAX), Verdict.FAIL, "shape", "shape [3] instead of [1, 3]"),
        (produced([SOFTMAX * 2]), Verdict.FAIL, "shape", "shape [1, 6] instead of [1, 3]"),
        (
            produced(fmt="float32"),
            Verdict.FAIL,
            "format",
            "format float32 instead of float64: it was narrowed on the way",
        ),
        (produced([[0, 0, 1]], "int64"), Verdict.FAIL, "format", "format int64 instead of float64"),
        (produced([[math.nan, *SOFTMAX[1:]]]), Verdict.FAIL, "nan", ""),
        (produced([[math.inf, *SOFTMAX[1:]]]), Verdict.FAIL, "inf", ""),
        (produced([[0.0, *SOFTMAX[1:]]]), Verdict.FAIL, "zero", ""),
        (produced([[1 / 3] * 3]), Verdict.FAIL, "finite-wrong", ""),
    ],
)
def test_every_outcome_has_its_verdict(outcome: Outcome, verdict: Verdict, kind: str, said: str) -> None:
    finding = value(case(), outcome)
    assert (finding.verdict, finding.kind) == (verdict, kind)
    assert said in finding.message
    assert finding.choice == ""


def test_binary32_is_a_permitted_result_for_16_bit_logits_and_no_other() -> None:
    for fmt, result, verdict in (
        ("float16", "float32", Verdict.PASS),
        ("bfloat16", "float32", Verdict.PASS),
        ("float16", "bfloat16", Verdict.FAIL),
        ("float16", "float64", Verdict.FAIL),
        ("float32", "float16", Verdict.FAIL),
    ):
        assert value(case(), produced(fmt=result), fmt).verdict is verdict, (fmt, result)


def test_the_threshold_is_a_grade() -> None:
    question = Question(case(), "float64")
    off = [[SOFTMAX[0] * (1 + 6e-16), *SOFTMAX[1:]]]
    grade = judged(question, produced(off))[0].judgement
    assert grade is not None
    assert grade.grade in (Grade.TIGHT, Grade.LOOSE)
    (finding,) = judged(question, produced(off), Grade.EXACT)
    assert (finding.verdict, finding.kind) == (Verdict.FAIL, "finite-wrong")
    assert finding.message == f"grade {grade.grade.value} is below the threshold exact"


def test_a_gradient_is_judged_apart_from_the_value() -> None:
    question = Question(case(gradient=True), "float64")
    assert question.quantities == ("value", "gradient")
    upstream = question.arrays["upstream"].exact()[0]
    p = np.array(SOFTMAX)
    right = p * (upstream - np.sum(p * upstream))
    for gradient, verdict in (
        (Array.of([right], "float64"), Verdict.PASS),
        (Array.of([-right], "float64"), Verdict.FAIL),
        (Raised("RuntimeError", "no way back"), Verdict.ERROR),
        (Declined("no gradient"), Verdict.UNSUPPORTED),
        (None, Verdict.ERROR),
    ):
        first, second = judged(question, produced(gradient=gradient))
        assert (first.quantity, first.verdict) == ("value", Verdict.PASS)
        assert (second.quantity, second.verdict) == ("gradient", verdict)


def test_an_exception_is_that_of_every_quantity() -> None:
    findings = judged(Question(case(gradient=True), "float64"), Raised("ValueError", "no"))
    assert [(f.quantity, f.verdict) for f in findings] == [("value", Verdict.ERROR), ("gradient", Verdict.ERROR)]


MASKED = case(((-math.inf, -math.inf),), clause="S6", one_of=("nan", "masked"))


@pytest.mark.parametrize(
    ("values", "verdict", "choice"),
    [
        ([[math.nan, math.nan]], Verdict.PASS, "nan"),
        ([[0.0, 0.0]], Verdict.PASS, "masked"),
        ([[math.nan, 0.0]], Verdict.FAIL, ""),
        ([[0.5, 0.5]], Verdict.FAIL, ""),
    ],
)
def test_the_choice_that_was_made_is_named_and_a_mixture_is_none(values: Any, verdict: Verdict, choice: str) -> None:
    finding = value(MASKED, produced(values))
    assert (finding.verdict, finding.choice) == (verdict, choice)


def test_an_exception_passes_where_it_is_permitted() -> None:
    permitted = case(((-math.inf, -math.inf),), clause="S6", one_of=("nan", "raises"))
    finding = value(permitted, Raised("ValueError", "all masked"))
    assert (finding.verdict, finding.choice) == (Verdict.PASS, "raises")
    assert value(permitted, produced([[math.nan, math.nan]])).choice == "nan"
    assert value(permitted, Crashed("exit status 1")).verdict is Verdict.CRASH, "an exit is no exception"
    assert value(permitted, TimedOut(1.0)).verdict is Verdict.TIMEOUT


LOSS: dict[str, Any] = {
    "operation": "cross_entropy",
    "clause": "C3",
    "inputs": {"logits": ((2.0, 1.0, 0.0), (0.0, 0.5, 1.0)), "target": (0, 1)},
    "keywords": {"label_smoothing": -0.5, "reduction": "none"},
    "one_of": ("formula", "clamped", "raises"),
}


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_smoothing_outside_its_range_is_by_the_formula_or_clamped(fmt: str) -> None:
    asked = Question(case(**LOSS), fmt)
    for choice in ("formula", "clamped"):
        finding = value(asked.case, produced(asked.answer(choice, "value").whole(), fmt), fmt)
        assert (finding.verdict, finding.choice) == (Verdict.PASS, choice)
    formula, clamped = (asked.answer(choice, "value").whole() for choice in ("formula", "clamped"))
    assert not np.allclose(formula, clamped)
    assert value(asked.case, Raised("ValueError", "no"), fmt).choice == "raises"
    other = Question(case(**{**LOSS, "keywords": {**LOSS["keywords"], "label_smoothing": 0.5}, "one_of": ()}), fmt)
    assert value(asked.case, produced(other.answer("exact", "value").whole(), fmt), fmt).verdict is Verdict.FAIL


def test_of_two_choices_whose_bounds_hold_a_result_the_nearest_is_named() -> None:
    """In bfloat16 a smoothing of -0.01 is hardly told from one of 0."""
    asked = Question(case(**{**LOSS, "keywords": {"label_smoothing": -0.01, "reduction": "none"}}), "bfloat16")
    for choice in ("formula", "clamped"):
        got = Array.of(asked.answer(choice, "value").whole(), "float32").exact()
        assert value(asked.case, produced(got, "float32"), "bfloat16").choice == choice


NOTHING: dict[str, Any] = {
    "operation": "cross_entropy",
    "clause": "N3",
    "inputs": {"logits": ((2.0, 1.0, 0.0),), "target": (-100,)},
    "keywords": {"reduction": "mean", "label_smoothing": 0.1},
    "gradient": True,
    "one_of": ("nan", "zero"),
}


@pytest.mark.parametrize(("loss", "choice"), [(math.nan, "nan"), (0.0, "zero"), (math.inf, ""), (0.1, "")])
@pytest.mark.parametrize(("slope", "theirs"), [(math.nan, "nan"), (0.0, "zero"), (math.inf, ""), (0.1, "")])
def test_a_mean_over_nothing_and_its_gradient_choose_apart(loss: float, choice: str, slope: float, theirs: str) -> None:
    gradient = Array.of([[slope] * 3], "float64")
    findings = judged(Question(case(**NOTHING), "float64"), produced(loss, gradient=gradient))
    assert [f.choice for f in findings] == [choice, theirs]
    assert [f.verdict is Verdict.PASS for f in findings] == [bool(choice), bool(theirs)]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_an_empty_batch_is_judged_and_its_gradient_is_empty(reduction: str) -> None:
    empty = Recipe("constant", (0, 3), {"value": 0.0})
    choices = ("nan", "zero", "raises") if reduction == "mean" else ("right", "raises")
    inputs = {"logits": empty, "target": ()}
    asked = case(
        operation="cross_entropy", inputs=inputs, keywords={"reduction": reduction}, gradient=True, one_of=choices
    )
    right = {"none": [], "sum": 0.0, "mean": math.nan}[reduction]
    no_rows = Array.of(np.zeros((0, 3)), "float32")
    findings = judged(Question(asked, "float32"), produced(right, "float32", gradient=no_rows))
    assert [f.verdict for f in findings] == [Verdict.PASS, Verdict.PASS]
    assert [f.choice for f in findings] == (["nan", ""] if reduction == "mean" else ["right", "right"])
    one_row = Array.of(np.zeros((1, 3)), "float32")
    wrong = judged(Question(asked, "float32"), produced([0.0], "float32", gradient=one_row))
    assert [(f.verdict, f.kind) for f in wrong] == [(Verdict.FAIL, "shape")] * 2


def test_a_result_where_only_an_exception_is_right_fails() -> None:
    finding = value(case(one_of=("raises",)), produced())
    assert (finding.verdict, finding.kind) == (Verdict.FAIL, "no-raise")


def published(figures: tuple[float, ...]) -> Case:
    return case(published=Published((figures,), (figures,), 4))


def test_a_value_within_the_bound_must_round_to_the_published_figures() -> None:
    right = tuple(round(p, 4) for p in SOFTMAX)
    assert value(published(right), produced()).verdict is Verdict.PASS
    wrong = (right[0] + 0.0001, *right[1:])
    finding = value(published(wrong), produced())
    assert (finding.verdict, finding.kind) == (Verdict.FAIL, "published")
    assert finding.message == f"does not round to the published [[{', '.join(f'{v:.4f}' for v in wrong)}]]"


def test_16_bit_formats_are_not_held_to_four_decimals() -> None:
    wrong = (round(SOFTMAX[0], 4) + 0.0001, *(round(p, 4) for p in SOFTMAX[1:]))
    assert value(published(wrong), produced(fmt="bfloat16"), "bfloat16").verdict is Verdict.PASS


def test_certified_answers_are_computed_once_for_all_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    question = Question(case(gradient=True), "float64")
    asked: list[str] = []

    def count(name: str) -> None:
        formula = getattr(reference, name)

        def counted(core: Any) -> Any:
            asked.append(name)
            return formula(core)

        monkeypatch.setattr(reference, name, counted)

    count("value")
    count("gradient")
    for _ in range(3):
        findings = judged(question, produced(gradient=Array.of([[0, 0, 0]], "float64")))
        assert [f.verdict for f in findings] == [Verdict.PASS, Verdict.FAIL]
    assert asked == ["value", "gradient"]


def test_a_finding_carries_the_answer_that_it_was_judged_against() -> None:
    question = Question(MASKED, "float64")
    assert value(MASKED, produced([[0.0, 0.0]])).choice == "masked"
    (finding,) = judged(question, produced([[0.0, 0.0]]))
    assert finding.answer is question.answer("masked", "value")
    assert value(case(), Raised("ValueError", "no")).answer is None


def test_the_hash_is_of_the_inputs_and_keywords() -> None:
    one = Question(case(), "float64").hash
    assert one == Question(case(about="other prose", id="suite/b"), "float64").hash
    assert one != Question(case(), "float32").hash
    assert one != Question(case(((0.25, 0.5, 1.5),)), "float64").hash
