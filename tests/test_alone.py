"""Where only one backend differs: one does what none of the others does, and the others are all alike."""

from __future__ import annotations

from typing import Any

import pytest

from lossparity.record import Result
from lossparity_reports.alone import alone, answer

PASS: dict[str, Any] = {"verdict": "pass", "grade": "faithful"}
WEAK: dict[str, Any] = {"verdict": "pass", "grade": "loose"}
NAN: dict[str, Any] = {"verdict": "fail", "grade": "wrong", "cause": "nan"}
KNOWN: dict[str, Any] = {"verdict": "known", "grade": "wrong", "cause": "nan", "deviation": "x/y/nan"}
INF: dict[str, Any] = {"verdict": "fail", "grade": "wrong", "cause": "inf"}
RAISES: dict[str, Any] = {"verdict": "pass", "choice": "raises"}
LIMIT: dict[str, Any] = {"verdict": "pass", "grade": "exact", "choice": "limit"}


def results(*answers: dict[str, Any], **changes: Any) -> list[Result]:
    """Return results of one question, each of a backend of its own, b0 the first."""
    made = []
    for number, given in enumerate(answers):
        base: dict[str, Any] = {
            "check": f"s/c/float32@b{number}",
            "quantity": "value",
            "case": "s/c",
            "clause": "S5",
            "basis": "IEEE 754",
            "operation": "softmax",
            "backend": f"b{number}",
            "format": "float32",
            "outcome": "produced",
        }
        made.append(Result(**{**base, **given, **changes}))
    return made


def odd(*answers: dict[str, Any], **changes: Any) -> list[int]:
    """Return which of the backends differ from all others."""
    made = results(*answers, **changes)
    found = alone(made)
    return [number for number, result in enumerate(made) if result.key in found]


@pytest.mark.parametrize(
    "one, others",
    [(NAN, PASS), (PASS, NAN), (KNOWN, PASS), (INF, NAN), (WEAK, PASS), (RAISES, LIMIT), (LIMIT, NAN)],
    ids=["deviates", "conforms", "known", "otherwise", "weak", "choice", "choice beside nan"],
)
def test_the_one_that_differs_from_all_others_is_found_wherever_it_stands(
    one: dict[str, Any], others: dict[str, Any]
) -> None:
    for place in range(4):
        answers = [others] * 3
        answers.insert(place, one)
        assert odd(*answers) == [place]


def test_all_alike_two_against_two_and_three_ways_have_no_one() -> None:
    assert odd(PASS, PASS, PASS) == []
    assert odd(NAN, NAN, PASS, PASS) == []
    assert odd(NAN, INF, PASS, PASS) == []
    assert odd(NAN, INF, PASS) == []


def test_of_two_that_answered_neither_is_the_one() -> None:
    assert odd(NAN, PASS) == []
    assert odd(NAN, PASS, {"verdict": "unsupported"}, {"verdict": "unavailable"}, {"verdict": "undecided"}) == []
    assert odd(NAN, PASS, PASS, {"verdict": "unsupported"}) == [0]


def test_a_declared_deviation_does_what_an_undeclared_one_does() -> None:
    assert odd(KNOWN, NAN, NAN) == []
    assert odd(KNOWN, NAN, PASS, NAN) == [2]


def test_a_pass_of_another_grade_or_a_stale_one_is_no_other_answer() -> None:
    exact = {"verdict": "pass", "grade": "exact", "ulp": 0.0}
    assert odd(exact, PASS, PASS, {"verdict": "stale", "grade": "faithful"}) == []


def test_a_pass_that_is_not_weak_among_weak_ones_is_nothing_to_look_into() -> None:
    assert odd(PASS, WEAK, WEAK) == []
    assert odd(LIMIT, {**RAISES, "grade": "loose"}, {**RAISES, "grade": "loose"}) == [0]


def test_a_gradient_that_fits_another_choice_does_not_differ() -> None:
    assert odd(LIMIT, RAISES, RAISES) == [0]
    assert odd(LIMIT, RAISES, RAISES, quantity="gradient") == []
    assert odd(NAN, RAISES, LIMIT, quantity="gradient") == [0]


def test_other_formats_quantities_and_cases_are_other_questions() -> None:
    three = results(NAN, PASS, PASS)
    assert len(alone([*three, *results(NAN, NAN, NAN, format="float16")])) == 1
    assert len(alone([*three, *results(NAN, NAN, NAN, quantity="gradient")])) == 1
    assert len(alone([*three, *results(NAN, NAN, NAN, case="s/d")])) == 1


def test_a_deviation_without_a_kind_is_told_apart_by_its_outcome() -> None:
    crash = {"verdict": "crash", "outcome": "crashed"}
    (result,) = results(crash)
    assert answer(result) == ("deviates", "crashed")
    assert odd(crash, NAN, NAN) == [0]
