"""A printed number leaves open half a unit of its last digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossparity.errors import UsageError
from lossparity.explaining.printed import printed


@pytest.mark.parametrize(
    ("number", "value", "half", "digits"),
    [
        ("2.40760596", 2.40760596, 5e-9, 9),
        ("1.20", 1.2, 0.005, 3),
        ("-0.0012", -0.0012, 5e-5, 2),
        ("1.5e-3", 0.0015, 5e-5, 2),
        ("12e4", 120000, 5000, 2),
        ("7", 7, 0.5, 1),
        ("0", 0, 0.5, 1),
        (0.25, 0.25, 0.005, 2),
        (np.float32(0.1), 0.1, 0.05, 1),
    ],
)
def test_digits_are_counted(number: Any, value: float, half: float, digits: int) -> None:
    found = printed(number)
    assert found.value.tolist() == [pytest.approx(value)]
    assert found.half.tolist() == [pytest.approx(half)]
    assert (found.digits, found.per_position) == (digits, False)


def test_an_array_has_as_many_decimals_as_its_longest_number() -> None:
    found = printed([2.5, 1.2345, 0.0])
    assert found.half.tolist() == [pytest.approx(5e-5)] * 3
    assert (found.digits, found.per_position) == (5, True)


@pytest.mark.parametrize("number", ["", "abc", "nan", "1_0", "0x1", "1e999", True, None, [], [1.0, float("nan")]])
def test_what_is_no_finite_number_is_refused(number: Any) -> None:
    with pytest.raises(UsageError):
        printed(number)
