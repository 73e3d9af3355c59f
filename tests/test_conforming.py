"""A function that is put under the suite: it stays what it was."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

import lossparity
from lossparity.conforming import Conforming


def loss(logits: Any, target: Any, *, reduction: str = "mean") -> tuple[Any, Any, str]:
    """Return what it was given."""
    return logits, target, reduction


loss.gradient = lambda *_: "its own"  # type: ignore[attr-defined]


@pytest.fixture
def judged() -> Conforming:
    """One that pytest does not find: at the top of a test file it would be collected."""
    return lossparity.conforms("nll_loss", framework="torch")(loss)


def test_it_is_called_and_has_attributes_as_before(judged: Conforming) -> None:
    assert judged(1, 2, reduction="sum") == (1, 2, "sum")
    assert judged.gradient() == "its own"
    assert inspect.signature(judged) == inspect.signature(loss)
    assert (judged.__name__, judged.__doc__, judged.__wrapped__) == ("loss", loss.__doc__, loss)
    assert not hasattr(judged, "none such")


def test_it_keeps_the_operation_and_the_options(judged: Conforming) -> None:
    assert isinstance(judged, Conforming)
    assert (judged.operation, judged.options) == ("nll_loss", {"framework": "torch"})
    assert lossparity.conforms()(loss).operation == "cross_entropy"


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_like_it(make: Any, judged: Conforming) -> None:
    assert make(judged)(1, 2) == (1, 2, "mean")
