"""What a function returned: the result is taken out of it, or it is said what it is and what to do."""

from __future__ import annotations

import collections
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lossparity.target.returned import taken

LOSS = np.ones(2)
Pair = collections.namedtuple("Pair", "loss extra")


@pytest.mark.parametrize(
    ("returned", "which"),
    [
        (LOSS, ""),
        (np.float64(1), ""),
        ((LOSS, None), "0"),
        ([None, LOSS], "-1"),
        ({"loss": LOSS}, "loss"),
        (SimpleNamespace(loss=LOSS), "loss"),
        (Pair(LOSS, 0), "loss"),
        (Pair(LOSS, 0), "0"),
    ],
)
def test_the_result_is_found(returned: Any, which: str) -> None:
    assert np.all(taken(returned, which) == 1)


def generator() -> Any:
    yield LOSS


@pytest.mark.parametrize(
    ("returned", "which", "said"),
    [
        (None, "", "returned None"),
        (1.5, "", "returned a Python float: wrap it as an array of the logits' format"),
        (True, "", "returned a Python bool"),
        ([0.5, 1.0], "", "returned a list of 2: wrap it as an array"),
        ((LOSS, 1), "", "returned a tuple of 2: `--returns 0` takes the first"),
        ((1.5, LOSS), "", "returned a tuple of 2: `--returns 0` takes the first"),
        (Pair(LOSS, 0), "", "returned a Pair of 2 (loss, extra): `--returns 0`"),
        ({"aux": 1, "loss": LOSS}, "", "returned a dict with the keys aux, loss: `--returns aux` takes one of them"),
        (SimpleNamespace(loss=LOSS), "", "with loss: `--returns loss` takes"),
        (object(), "", "returned an object of type object, which is no array"),
        (generator(), "", "returned a generator"),
        ("text", "", "returned a Python str"),
        ((LOSS,), "1", "--returns 1 finds nothing: returned a tuple of 1"),
        ({"a": LOSS}, "loss", "--returns loss finds nothing: returned a dict with the keys a"),
        (LOSS, "0", "--returns 0 finds nothing: returned a ndarray of shape [2]"),
        ((1.5,), "0", "--returns 0 is a Python float: wrap it"),
    ],
)
def test_what_is_no_tensor_says_what_it_is_and_what_to_do(returned: Any, which: str, said: str) -> None:
    with pytest.raises(TypeError) as refused:
        taken(returned, which)
    assert said in str(refused.value)
