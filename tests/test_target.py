"""A user's function as an implementation: its data, the words it may hold, and the calls that it makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lossparity.call import call
from lossparity.errors import UsageError
from lossparity.formats import Array
from lossparity.model import Declined, Outcome, Produced, Raised, Request
from lossparity.target import Target, implementation
from lossparity.target.supports import NOT_DECLARED
from lossparity_backends.on_numpy import Numpy

SOURCE = """
def softmax(logits):
    return {"p": logits * 2, "aux": 1}

def gradient(logits, upstream):
    logits -= 1
    return upstream + logits

softmax.gradient = gradient

def overwriting(logits):
    logits -= 1
    return logits.copy()

overwriting.gradient = gradient

def failing(logits):
    helper()

def helper():
    raise ValueError("no")

def broken(logits):
    return int(logits)
"""
NUMPY: Any = Numpy("cpu")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "target_of_test_target.py"
    source.write_text(SOURCE)
    yield source
    sys.modules.pop(source.stem, None)


def called(target: Target) -> Outcome:
    logits, upstream = Array.of([[1, 2]], "float64"), Array.of([[1, 0]], "float64")
    return call(NUMPY, implementation(target), Request("target", "softmax", {"logits": logits, "upstream": upstream}))


def test_it_travels_as_text() -> None:
    target = Target("m:f", "cross_entropy", {"target": "labels"}, "loss", True, ("float32", "2d"))
    assert Target.from_json(target.to_json()) == target
    assert Target.from_json(Target("m:f", "softmax").to_json()) == Target("m:f", "softmax")


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        (Target("m:f", "sofmax"), "unknown operation 'sofmax'", "did you mean 'softmax'?"),
        (Target("m:f", "softmax", {"target": "y"}), "unknown argument 'target' of softmax", "logits"),
        (
            Target("m:f", "cross_entropy", {"label_smothing": "y"}),
            "unknown argument 'label_smothing' of cross_entropy",
            "did you mean 'label_smoothing'?",
        ),
        (
            Target("m:f", "softmax", supports=("flaot32",)),
            "unknown word 'flaot32' of --supports",
            "did you mean 'float32'?",
        ),
    ],
)
def test_a_word_that_nobody_knows_is_refused_with_a_suggestion(target: Target, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        target.check()
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_every_word_of_a_right_target_is_known() -> None:
    Target("m:f", "cross_entropy", {"logits": "x", "weight": "w"}, supports=("finite", "reduction=mean")).check()


def test_the_result_is_taken_out_of_what_is_returned(path: Path) -> None:
    outcome = called(Target(f"{path}:softmax", "softmax", returns="p", inplace_ok=True))
    assert isinstance(outcome, Produced)
    assert outcome.value.data.tolist() == [[2, 4]]
    assert isinstance(outcome.gradient, Array)
    assert outcome.gradient.data.tolist() == [[1, 1]], "the gradient is found behind it, and is no dictionary"


def test_a_result_in_a_dictionary_names_the_option_that_takes_it(path: Path) -> None:
    outcome = called(Target(f"{path}:softmax", "softmax"))
    assert isinstance(outcome, Raised)
    assert "`--returns p`" in outcome.message


def test_inputs_that_may_be_overwritten_disturb_nothing(path: Path) -> None:
    strict = called(Target(f"{path}:overwriting", "softmax"))
    assert isinstance(strict, Produced)
    assert not strict.unmodified
    waived = called(Target(f"{path}:overwriting", "softmax", inplace_ok=True))
    assert isinstance(waived, Produced)
    assert waived.unmodified
    assert isinstance(waived.gradient, Array)
    assert waived.gradient.data.tolist() == [[1, 1]], "the gradient is that at the logits as they were given"


def test_an_exception_tells_its_last_line_in_the_users_file(path: Path) -> None:
    for name, line in (("failing", "raise ValueError"), ("broken", "return int")):
        outcome = called(Target(f"{path}:{name}", "softmax"))
        assert isinstance(outcome, Raised)
        number = next(n for n, text in enumerate(SOURCE.splitlines(), 1) if line in text)
        assert outcome.where == f"{path.name}:{number}"


def test_what_it_is_not_declared_for_is_declined(path: Path) -> None:
    where = f"{path}:overwriting"
    assert called(Target(where, "softmax", supports=("float32",))) == Declined(NOT_DECLARED)
    outcome = called(Target(where, "softmax", supports=("value", "float64")))
    assert isinstance(outcome, Produced)
    assert outcome.gradient == Declined(NOT_DECLARED)
