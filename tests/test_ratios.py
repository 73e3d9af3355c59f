"""Paired ratios: four verdicts, none of them louder than the times allow."""

from __future__ import annotations

import numpy as np
import pytest

from lossparity.ratios import FASTER, INCONCLUSIVE, LEAST, SAME, SLOWER, doubts, paired


def times(seed: int, rounds: int = 40, factor: float = 1.0, noise: float = 0.02) -> tuple[list[float], list[float]]:
    """Return times of two backends of which one takes `factor` times as long; rounds differ for both alike."""
    drawn = np.random.RandomState(seed)
    machine = np.exp(0.3 * drawn.standard_normal(rounds))  # what else goes on
    ours, theirs = (machine * np.exp(noise * drawn.standard_normal(rounds)) for _ in range(2))
    return list(1e-3 * factor * ours), list(1e-3 * theirs)


def test_a_ratio_is_found_though_the_machine_wavers_more_than_it() -> None:
    found = paired(*times(3, factor=1.10))
    assert found.verdict == SLOWER
    assert found.low < 1.10 < found.high and found.ratio == pytest.approx(1.10, rel=0.02)
    ours, theirs = times(3, factor=1.10)
    assert paired(theirs, ours).verdict == FASTER


def test_equal_times_are_the_same_and_never_slower_or_faster() -> None:
    verdicts = [paired(*times(seed)).verdict for seed in range(200)]
    assert verdicts.count(SAME) > 150
    assert not {SLOWER, FASTER} & set(verdicts)


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    trials = [paired(*times(seed, factor=1.2, noise=0.05)) for seed in range(400)]
    assert sum(one.low <= 1.2 <= one.high for one in trials) >= 0.97 * len(trials)


def test_at_the_fewest_rounds_a_difference_that_is_none_is_hardly_ever_called_one() -> None:
    verdicts = [paired(*times(seed, rounds=LEAST, noise=0.05)).verdict for seed in range(1000)]
    assert sum(one in (SLOWER, FASTER) for one in verdicts) <= 10


def test_what_is_beyond_the_margin_by_a_part_of_its_interval_is_inconclusive() -> None:
    found = paired(*times(1, factor=1.03, noise=0.05))
    assert found.low < 1.03 < found.high
    assert found.verdict == INCONCLUSIVE


def test_a_wide_interval_is_no_proof_that_two_are_the_same() -> None:
    assert paired(*times(2, rounds=7, noise=0.2)).verdict == INCONCLUSIVE


def test_the_margin_may_be_another() -> None:
    assert paired(*times(0, factor=1.10), margin=0.2).verdict == SAME


@pytest.mark.parametrize("rounds", [1, 7])
def test_few_rounds_conclude_nothing(rounds: int) -> None:
    assert paired([2.0] * rounds, [1.0] * rounds).verdict == INCONCLUSIVE


def test_a_steady_time_is_not_doubted() -> None:
    assert doubts([1.0, 1.01, 0.99, 1.0, 1.0, 1.02] * 3, 1) == []


@pytest.mark.parametrize(
    ("seconds", "calls", "said"),
    [
        ([1.0, 1.3] * 8, 1, "standard deviation is 13% of the mean"),
        ([1.0] * 20 + [1.6], 1, "rounds took from 1 to 1.6 of the median"),
        ([1.0] * 20 + [0.4], 1, "rounds took from 0.4 to 1 of the median"),
        ([2e-6] * 10, 100, "a sample is 200 µs of raw time, below 1 ms"),
        ([1.0] * 10 + [1.08] * 10, 1, "the second half of the rounds took +8%"),
    ],
)
def test_what_makes_a_time_doubtful_is_said(seconds: list[float], calls: int, said: str) -> None:
    assert any(said in one for one in doubts(seconds, calls))
