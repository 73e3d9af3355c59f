"""Losses of single positions against the textbook in mpmath: conventions, mistakes, and how far arithmetic is off."""

from __future__ import annotations

import math

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest

import oracle
from lossparity.explaining.givens import given
from lossparity.explaining.rowlosses import Losses, errors
from lossparity.explaining.variants import Choices

X = np.array([[0.5, 1.5, -2.0], [3.0, -1.0, 0.25], [0.125, 0.25, 0.5]])
Y = np.array([0, -1, 2])
W = np.array([1.0, 2.0, 0.5])


def losses(x: np.ndarray = X, e: float = 0.0, weight: np.ndarray | None = None) -> Losses:
    return Losses(given(x, Y, weight=weight, label_smoothing=e, ignore_index=-1, fmt="float64"))


def test_the_specs_own_are_the_oracles() -> None:
    found = losses(e=0.1, weight=W).of(())
    exact = oracle.value("cross_entropy", X, Y, weight=W, ignore_index=-1, label_smoothing=0.1, reduction="none")
    assert found.loss.tolist() == pytest.approx([float(one) for one in exact], rel=2**-52)
    assert found.counted.tolist() == [True, False, True]
    assert found.own.tolist()[::2] == [1.0, 0.5]


@pytest.mark.parametrize(("way", "target"), [("wrapped", 2), ("first", 0), ("last", 2), ("counted", None)])
def test_an_ignored_position_gets_the_loss_of_its_substitute(way: str, target: int | None) -> None:
    ignore = 1 if target is None else -1
    y = np.where(Y == -1, ignore, Y)
    one = Losses(given(X, y, weight=W, label_smoothing=0.1, ignore_index=ignore, fmt="float64"))
    y[1] = 1 if target is None else target
    exact = oracle.value("cross_entropy", X, y, weight=W, ignore_index=-9, label_smoothing=0.1, reduction="none")
    found = one.of((("ignored", way),))
    assert found.loss.tolist() == pytest.approx([float(loss) for loss in exact], rel=2**-52)
    assert found.own.tolist() == W[y].tolist()
    assert found.counted.all()


def test_a_target_of_zeros_leaves_the_smoothing() -> None:
    found = losses(e=0.1, weight=W).of((("ignored", "zeros"),))
    z = [float(one) for one in oracle.value("log_softmax", X)[1]]
    assert found.loss[1] == pytest.approx(-0.1 / 3 * math.fsum(W * z), rel=1e-14)
    assert found.own[1] == 0


def test_a_smoothing_that_is_dropped_is_none() -> None:
    assert np.array_equal(losses(e=0.1).of((("smoothing", "none"),)).loss, losses().of(()).loss)


@pytest.mark.parametrize("e", [0.0, 0.1])
@pytest.mark.parametrize("way", ["log-probabilities", "probabilities", "normalised"])
def test_logits_taken_for_something_else_are_what_they_are_taken_for(way: str, e: float) -> None:
    x = np.abs(X)
    choices: Choices = (("logits", way),)
    found = losses(x=x, e=e, weight=W).of(choices).loss
    for n in (0, 2):
        row = [mpmath.mpf(one) for one in x[n]]
        shares = [min(max(one / mpmath.fsum(row), mpmath.mpf(1e-7)), 1 - mpmath.mpf(1e-7)) for one in row]
        z = {"log-probabilities": row, "probabilities": [mpmath.log(one) for one in row]}.get(
            way, [mpmath.log(one) for one in shares]
        )
        exact = mpmath.fsum(-w * ((1 - e) * (c == Y[n]) + e / 3) * z[c] for c, w in enumerate(W))
        assert found[n] == pytest.approx(float(exact), rel=1e-14)
    assert found[1] == 0


def test_an_infinite_loss_is_infinite() -> None:
    x = np.array([[-np.inf, 0, 1], [0, 0, 0], [0, 1, -np.inf]])
    assert np.isinf(losses(x=x).of(()).loss).tolist() == [True, False, True]
    assert np.isfinite(losses(x=x).of((("clip", "1e-7"),)).loss).all()


def test_what_rounding_may_cost_is_that_of_the_format() -> None:
    for fmt, unit in (("float64", 2.0**-53), ("float32", 2.0**-24), ("bfloat16", 2.0**-8)):
        one = given(X, Y, weight=None, label_smoothing=0.0, ignore_index=-1, fmt=fmt)
        off = errors(one)
        assert (unit / 4 < off).all() and (off < 200 * unit).all()


def test_what_is_prepared_is_the_same() -> None:
    choices: list[Choices] = [(), (("softmax", "twice"),), (("ignored", "first"),)]
    one, other = losses(e=0.1), losses(e=0.1)
    one.prepare(choices)
    assert all(np.array_equal(one.of(each).loss, other.of(each).loss) for each in choices)
