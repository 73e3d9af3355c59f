"""Findings: what outcomes come to before anything is judged, and what a grade comes to against a threshold."""

from __future__ import annotations

import numpy as np
import pytest

from lossparity.findings import Finding, against, returned
from lossparity.formats import Array
from lossparity.model import Case, Crashed, Declined, Grade, Outcome, Produced, Raised, TimedOut, Verdict

VALUE = Array.of([1.0, 2.0], "float32")


def case(scale: float = 1.0, *one_of: str) -> Case:
    return Case(
        "s/a", "s", "About.", "S1", "softmax", {}, {}, ("float32",), True, one_of, None, "s.yaml:1", scale=scale
    )


@pytest.mark.parametrize(
    ("grade", "threshold", "verdict", "said"),
    [
        (Grade.EXACT, Grade.LOOSE, Verdict.PASS, ""),
        (Grade.TIGHT, Grade.TIGHT, Verdict.PASS, ""),
        (Grade.LOOSE, Grade.TIGHT, Verdict.FAIL, "grade loose is below the threshold tight"),
        (Grade.WRONG, Grade.LOOSE, Verdict.FAIL, "grade wrong is below the threshold loose"),
        (Grade.UNCERTIFIED, Grade.LOOSE, Verdict.UNDECIDED, ""),
    ],
)
def test_a_grade_against_a_threshold(grade: Grade, threshold: Grade, verdict: Verdict, said: str) -> None:
    assert against(grade, threshold) == (verdict, said)


@pytest.mark.parametrize(
    ("outcome", "verdict", "kind"),
    [
        (Raised("ValueError", "no"), Verdict.ERROR, "raises"),
        (Declined("not offered"), Verdict.UNSUPPORTED, ""),
        (Crashed("exit status 4"), Verdict.CRASH, "crash"),
        (TimedOut(3.0), Verdict.TIMEOUT, "timeout"),
    ],
)
def test_what_brings_no_result_is_a_finding(outcome: Outcome, verdict: Verdict, kind: str) -> None:
    found = returned(outcome, "value", case())
    assert isinstance(found, Finding)
    assert (found.verdict, found.kind) == (verdict, kind)


def test_an_exception_that_is_permitted_passes() -> None:
    found = returned(Raised("ValueError", "no"), "value", case(1.0, "raises", "nan"))
    assert isinstance(found, Finding)
    assert (found.verdict, found.choice) == (Verdict.PASS, "raises")


def test_inputs_that_were_overwritten_fail() -> None:
    found = returned(Produced(VALUE, VALUE, "softmax", "native", unmodified=False), "value", case())
    assert isinstance(found, Finding)
    assert (found.verdict, found.kind) == (Verdict.FAIL, "modified")


def test_a_gradient_is_that_of_the_logits_themselves() -> None:
    produced = Produced(VALUE, VALUE, "softmax", "native", unmodified=True)
    value, gradient = (returned(produced, quantity, case(4.0)) for quantity in ("value", "gradient"))
    assert value is VALUE
    assert isinstance(gradient, Array)
    assert np.array_equal(gradient.exact(), [0.25, 0.5])
