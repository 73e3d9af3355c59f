"""Losses of positions become numbers in every way that is tried, each with its divisor and what rounding may cost."""

from __future__ import annotations

import math

import numpy as np
import pytest

import oracle
from lossparity.explaining.givens import Given, given
from lossparity.explaining.reductions import Candidate, candidates, counts

X = np.random.RandomState(7).standard_normal((2, 3, 4))
Y = np.array([[0, 1, 2, -5], [2, 2, 0, 1]])
W = np.array([1.0, 2.0, 0.5])
ROWS = np.array(oracle.value("cross_entropy", X, Y, weight=W, ignore_index=-5, reduction="none"), dtype=np.float64)


def inputs(fmt: str = "float64") -> Given:
    return given(X, Y, weight=W, label_smoothing=0.0, ignore_index=-5, fmt=fmt)


def found(fmt: str = "float64", *, per_position: bool = False) -> dict[tuple[str, str], Candidate]:
    every = candidates(inputs(fmt), per_position=per_position)
    return {(one.reduction, ",".join(f"{a}={b}" for a, b in one.choices)): one for one in every}


def test_each_mean_has_its_divisor() -> None:
    total, own = ROWS.sum(), np.where(Y == -5, 0, W[np.maximum(Y, 0)])
    values = found()
    for name, divisor in (("", own.sum()), ("mean=positions", 7), ("mean=all", 8), ("mean=batch", 2)):
        one = values["mean", name]
        assert float(one.value) == pytest.approx(total / divisor, rel=1e-14)
        assert one.divisor == pytest.approx(divisor)
        assert one.total == pytest.approx(total)
    assert float(values["mean", "mean=elements"].value) == pytest.approx(total / 24)
    samples = (ROWS.sum(axis=1) / own.sum(axis=1)).mean()
    assert float(values["mean", "mean=samples"].value) == pytest.approx(samples)
    assert float(values["sum", ""].value) == pytest.approx(total)


def test_base_and_form_change_the_number_after_its_reduction() -> None:
    values, mean = found(), float(found()["mean", ""].value)
    assert float(values["mean", "form=exp"].value) == pytest.approx(math.exp(mean))
    assert float(values["mean", "base=2,form=negated"].value) == pytest.approx(-mean / math.log(2))


def test_the_specs_own_comes_first_and_nothing_twice() -> None:
    every = list(candidates(inputs(), per_position=False))
    assert (every[0].choices, every[0].reduction) == ((), "mean")
    assert len({(one.choices, one.reduction) for one in every}) == len(every)
    assert max(one.departures for one in every) == 3


def test_losses_of_positions_are_not_reduced() -> None:
    values = found(per_position=True)
    assert {reduction for reduction, _ in values} == {"none"}
    assert values["none", ""].value.tolist() == pytest.approx(ROWS.ravel().tolist(), rel=1e-14)
    assert not any("mean=" in name or "form=exp" in name for _, name in values)


def test_what_is_allowed_is_of_the_formats_size() -> None:
    for fmt, unit in (("float64", 2.0**-53), ("float32", 2.0**-24)):
        for one in found(fmt).values():
            if math.isfinite(one.value):
                assert unit * abs(float(one.value)) < float(one.allowed) < 500 * unit * max(1, abs(float(one.value)))


def test_counts_are_named() -> None:
    assert list(counts(inputs()).values()) == [7, 8, 2, 3, 24]
