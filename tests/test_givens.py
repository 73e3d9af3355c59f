"""What is given is rounded once and laid out by class axis; what is no input of a loss is refused in one sentence."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lossparity.errors import UsageError
from lossparity.explaining import givens
from lossparity.explaining.givens import Given, given, own_format


def taken(
    logits: Any, target: Any, weight: Any = None, e: float = 0.0, ignore: int = -100, fmt: str = "float32"
) -> Given:
    return given(logits, target, weight=weight, label_smoothing=e, ignore_index=ignore, fmt=fmt)


@pytest.mark.parametrize(
    ("values", "fmt"),
    [
        (np.ones(2, np.float16), "float16"),
        (np.ones(2), "float64"),
        (np.ones(2, ml_dtypes.bfloat16), "bfloat16"),
        (np.ones(2, ml_dtypes.bfloat16).view("V2"), "bfloat16"),
        (np.ones(2, np.int32), "float32"),
        ([[0.1, 0.123456789]], "float32"),
        ([[0.1, 0.1234567891]], "float64"),
    ],
)
def test_the_format_is_the_logits_own_or_that_of_their_digits(values: Any, fmt: str) -> None:
    assert own_format(values)[0] == fmt


def test_bfloat16_keeps_its_bits() -> None:
    x = np.array([[1.5, -2.25, 0.1]], ml_dtypes.bfloat16)
    for one in (x, x.view("V2")):
        assert np.array_equal(taken(one, [0], fmt="bfloat16").first.logits.exact(), x.astype(np.float64))


def test_class_axes_are_those_that_the_shapes_admit() -> None:
    x = np.arange(8.0).reshape(2, 2, 2)
    assert set(taken(x, np.zeros((2, 2), int)).laid) == {"1", "last"}
    assert set(taken(x.reshape(2, 4, 1), np.zeros((2, 1), int)).laid) == {"1"}
    last = taken(x.reshape(2, 1, 4), np.zeros((2, 1), int))
    assert set(last.laid) == {"last"}
    assert last.first.logits.exact().tolist() == x.reshape(2, 4).tolist()
    along = taken(x, np.zeros((2, 2), int)).laid["1"].logits.exact().tolist()
    assert along == [[0, 2], [1, 3], [4, 6], [5, 7]]


def test_one_row_may_have_one_axis() -> None:
    assert taken([1.0, 2.0], 1).first.logits.shape == (1, 2)
    assert taken([1.0, 2.0], [1]).first.logits.shape == (1, 2)
    assert taken([1.0, 2.0], [0.5, 0.5]).first.soft


X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, np.zeros(3, int)), r"target of shape \(3,\) does not fit logits of shape \(2, 3\)"),
        ((X, np.zeros(2)), "holds real numbers of shape"),
        ((X, [0, 3]), "the target holds 3 .position 1., and there are 3 classes"),
        ((X, [0, -1]), "the target holds -1"),
        ((X, [-100, -100]), "every position is ignored"),
        ((np.zeros((0, 3)), np.zeros(0, int)), "hold no row"),
        (([[1, 2], [3]], [0, 0]), "rows of different lengths"),
        (([["a", "b"]], [0]), "are no numbers"),
        ((np.array([[0, nan, 0]]), [0]), r"the logits hold nan \(row 0, class 1\)"),
        ((np.array([[0, 1, inf]]), [0]), "the logits hold inf"),
        ((X, [0, 1], [1, 2]), r"weights of shape \(2,\) for 3 classes"),
        ((X, [0, 1], [1, -2, 1]), "have to be finite, at least 0"),
        ((X, [0, 1], [0, 0, 0]), "not all 0"),
        ((X, [0, 1], None, 1.5), "a label smoothing of 1.5"),
        ((X, [0, 1], None, nan), "a label smoothing of nan"),
        ((X, X + 2.0), "target probabilities have to be in"),
        ((X, [0, 1], None, 0.0, -100, "float8"), "unknown format 'float8'"),
    ],
)
def test_what_is_no_input_of_a_loss_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        taken(*arguments)
    assert caught.value.hint


def test_what_stands_in_an_ignored_row_is_of_no_account() -> None:
    assert taken(np.array([[nan, 1], [0, 1]]), [-100, 1]).ignored.tolist() == [True, False]


def test_the_number_of_logits_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(givens, "MOST", 5)
    with pytest.raises(UsageError, match="6 logits are too many"):
        taken(X, [0, 1])


def test_only_what_can_make_a_difference_is_tried() -> None:
    plain = taken(X, [0, 1]).applicable().names()
    assert not any(plain[field] for field in ("axis", "smoothing", "entropy", "weights", "ignored"))
    assert plain["mean"] == ("elements",)
    full = taken(X, [0, -1], [1, 2, 3], 0.1, -1).applicable().names()
    assert full["ignored"] == ("first", "wrapped", "zeros")
    assert full["mean"] == ("positions", "all", "elements")
