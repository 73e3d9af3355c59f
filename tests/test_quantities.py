"""Times, bandwidths, sizes and ratios are written in three digits, whatever their size."""

from __future__ import annotations

import math

import pytest

from lossparity.quantities import bandwidth, bytes_of, interval, ratio, seconds


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (12.345, "12.3 s"),
        (1.0, "1.00 s"),
        (0.25, "250 ms"),
        (1.5e-3, "1.50 ms"),
        (99.4e-6, "99.4 µs"),
        (3e-8, "30.0 ns"),
        (0.0, "0.00 ns"),
        (4321.0, "4321 s"),
    ],
)
def test_a_time_has_the_unit_in_which_it_is_one_or_more(value: float, said: str) -> None:
    assert seconds(value) == said


def test_bandwidth_and_memory_are_decimal() -> None:
    assert bandwidth(1.234e9) == "1.23"
    assert bandwidth(2.5e11) == "250"
    assert bytes_of(123_456_789) == "123 MB"
    assert bytes_of(1_999_999) == "< 2 MB"
    assert bytes_of(None) == "?"


def test_a_small_ratio_keeps_two_digits() -> None:
    assert [ratio(v) for v in (2.0, 1.034, 0.1, 0.0123, 0.0)] == ["2.00", "1.03", "0.10", "0.012", "0"]
    assert interval(0.012, math.inf) == "0.012 to inf"
