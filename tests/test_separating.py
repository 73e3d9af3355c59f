"""What separates two numbers is read off their conventions, or off a ratio or difference that has a name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lossparity.explaining import explain
from lossparity.explaining.explanations import Separation

X = np.array([[1, 2, 3], [1, 2, 3], [0.5, 0, -1]])
Y = [0, 2, 1]
MEAN = float(np.mean([math.log(sum(math.exp(a) for a in x)) - x[y] for x, y in zip(X, Y, strict=True)]))


def apart(first: float | str, second: float | str, e: float = 0.0) -> Separation:
    (found,) = explain(X, Y, first, second, label_smoothing=e).separations
    return found


def test_sum_and_mean_are_apart_by_the_count() -> None:
    found = apart(MEAN, 3 * MEAN)
    assert found.found
    assert found.ratio == pytest.approx(1 / 3)
    assert found.reasons[0] == "the same sum: the first divides it by 3, the second by 1"
    assert "reduction: mean for the first, sum for the second" in found.reasons


def test_a_field_that_differs_is_told_by_both_formulas() -> None:
    assert apart(MEAN, MEAN / math.log(2)).reasons == (
        "base, of the first: natural logarithms",
        "base, of the second: logarithms to base 2: bits",
    )


def test_the_same_convention_twice_is_rounding() -> None:
    assert apart(f"{MEAN:.8f}", f"{MEAN:.6f}").reasons == (
        "both are the same convention: rounding alone separates them",
    )


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (5 * 7.123456789, "the ratio is 1/5"),
        (3 * 7.123456789, "the ratio is 1 / 3: 1 over the positions that are not ignored"),
        (7.123456789 * math.log(2), "the ratio is ln 2: logarithms to base 2"),
        (-7.123456789, "the ratio is -1: one is negated"),
        (7.123456789 + math.log(3), "the difference is ln K"),
    ],
)
def test_what_is_unexplained_may_still_have_a_ratio_or_a_difference(second: float, reason: str) -> None:
    assert reason in apart("7.123456789", f"{second:.10g}").reasons


def test_few_digits_have_no_ratio() -> None:
    found = apart("7.11", "2.37")
    assert (found.reasons, found.found) == ((), False)
    assert "no simple ratio" in str(explain(X, Y, "7.11", "2.37"))


def test_zero_has_no_ratio() -> None:
    assert math.isnan(apart("7.123456", "0.000000").ratio)
