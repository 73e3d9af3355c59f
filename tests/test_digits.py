"""Sixty digits, correctly rounded: an oracle that shares nothing with the reference agrees to the last one."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest

import oracle
from lossparity.formats import Array
from lossparity.reference import Answer, Problem
from lossparity.reference.digits import DIGITS, digits

X = [[0.1, 0.2, 0.3, 0.4], [30.0, -700.0, 2.5, 29.99]]
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("softmax", {}, {}),
    ("log_softmax", {}, {}),
    ("exp", {}, {}),
    ("row_sum", {}, {}),
    ("cross_entropy", {"target": [2, 3]}, {"reduction": "none"}),
    ("cross_entropy", {"target": [2, 1]}, {"label_smoothing": 0.1, "reduction": "mean"}),
    ("nll_loss", {"target": [2, 1]}, {"reduction": "sum"}),
]


def rounded(value: Any) -> Decimal:
    """Round the oracle's number, which is good to more digits, to sixty."""
    return Context(prec=DIGITS, rounding=ROUND_HALF_EVEN).create_decimal(mpmath.nstr(value, 72, strip_zeros=False))


@pytest.mark.parametrize(("operation", "more", "keywords"), CASES)
def test_every_element_has_the_oracles_sixty_digits(
    operation: str, more: dict[str, Any], keywords: dict[str, Any]
) -> None:
    first = "log_probs" if operation == "nll_loss" else "logits"
    arrays = {first: Array.of(X, "float64"), **{name: Array.of(v, "int64") for name, v in more.items()}}
    answer = Answer(Problem(operation, arrays, keywords), "value", "float64")
    right = np.asarray(oracle.value(operation, X, more.get("target"), **keywords)).ravel()
    assert right.size == max(int(np.prod(answer.shape)), 1)
    for place, value in enumerate(right):
        with mpmath.workdps(oracle.DIGITS):
            assert Decimal(digits(answer, place)) == rounded(value)


def test_a_gradient_has_sixty_digits_too() -> None:
    up = [0.75, -1.25]
    arrays = {
        "logits": Array.of(X, "float64"),
        "target": Array.of([2, 3], "int64"),
        "upstream": Array.of(up, "float64"),
    }
    answer = Answer(Problem("cross_entropy", arrays, {"reduction": "none"}), "gradient", "float64")
    right = np.asarray(oracle.gradient("cross_entropy", X, [2, 3], upstream=up, reduction="none")).ravel()
    for place, value in enumerate(right):
        with mpmath.workdps(oracle.DIGITS):
            assert Decimal(digits(answer, place)) == rounded(value)


def test_digits_that_a_short_precision_cannot_tell_are_found_with_more() -> None:
    # p = 1 - 2e-174 to within its square: at 320 bits, of 96 digits, nothing is seen below the 1.
    arrays = {"logits": Array.of([400.0, 0.0], "float64")}
    answer = Answer(Problem("softmax", arrays, {}), "value", "float64")
    assert digits(answer, 0) == "1." + "0" * (DIGITS - 1)
    with mpmath.workdps(oracle.DIGITS):
        assert Decimal(digits(answer, 1)) == rounded(oracle.value("softmax", [400.0, 0.0])[1])


def test_what_is_no_number_is_called_so() -> None:
    arrays = {"logits": Array.of([[np.nan, 1.0], [-np.inf, 0.0]], "float32")}
    answer = Answer(Problem("log_softmax", arrays, {}), "value", "float32")
    assert [digits(answer, place) for place in range(4)] == ["nan", "nan", "-inf", "0"]
