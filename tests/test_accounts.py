"""An account fits 80 columns and says what was looked at, what matches and how well, and how much was tried."""

from __future__ import annotations

import numpy as np
import pytest

from lossparity.explaining import explain

X = np.array([[1, 2, 3], [1, 2, 3]], np.float32)


@pytest.mark.parametrize("numbers", [("2.40760596", "1.20380298"), ("0.3", "1.7"), ("5.5555555",), (X[:, 0],)])
def test_it_fits_80_columns(numbers: tuple[object, ...]) -> None:
    said = str(explain(X, [0, -100], *numbers, weight=[1, 2, 4], label_smoothing=0.1))
    assert max(map(len, said.splitlines())) <= 80
    assert said == said.rstrip()


def test_it_says_what_was_looked_at_and_how_much_was_tried() -> None:
    said = str(explain(X, [0, -100], "2.40760596")).splitlines()
    assert said[0] == "Logits 2x3 in binary32 (the logits' own), target indices, 1 of 2 positions"
    assert said[1] == "ignored."
    assert said[-1].startswith("Tried: ") and said[-1].endswith("up to 3 departures at once.")


def test_a_match_says_how_near_it_is_and_what_it_cannot_be_told_from() -> None:
    said = str(explain(X, [0, -100], "2.40760596"))
    assert "  = the loss spec, mean\n    2.40760596444" in said
    assert "0.019 ulp of binary32 away; all 9 digits agree" in said
    assert "cannot be told apart on this data: sum" in said


def test_a_match_that_rounding_explains_says_how_much_rounding_may_cost() -> None:
    said = str(explain(X, [0, 2], "1.40760625"))
    assert "2.4 ulp of binary32 away, of " in said
    assert "that rounding explains" in said


def test_chance_is_mentioned_where_it_counts() -> None:
    assert "Beware of chance: with 2 digits," in str(explain(X, [0, 2], "1.4"))
    assert "chance" not in str(explain(X, [0, 2], "1.40760596"))


def test_another_format_is_mentioned() -> None:
    x = np.array([[0.1, 0.7, 0.3]])
    exact = float(np.log(np.exp(x - x[0, 0]).sum()))
    number = float(np.float32(exact))
    said = " ".join(str(explain(x, [0], number)).split())
    assert "nothing explains it in binary64; as computed in binary32:" in said
