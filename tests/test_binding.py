"""How arguments reach a user's parameters: by place, by name, under other names, and what cannot be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lossparity.spec import OPERATIONS
from lossparity.target.binding import bind

CROSS_ENTROPY = OPERATIONS["cross_entropy"]


def arguments(function: Callable[..., Any], mapped: dict[str, str] | None = None, **keywords: Any) -> Any:
    """Call it as the spec does, with "x" and "y", and return what it returns."""
    return bind(function, CROSS_ENTROPY, mapped or {}, "f").arranged(copying=False)("x", "y", **keywords)


def test_positional_arguments_go_by_place_whatever_they_are_called() -> None:
    assert arguments(lambda predictions, labels: (predictions, labels)) == ("x", "y")
    assert arguments(lambda *all_of_them: all_of_them) == ("x", "y")


def test_a_mapped_argument_goes_by_name_and_the_other_to_the_parameter_that_is_left() -> None:
    assert arguments(lambda labels, scores: (scores, labels), {"target": "labels"}) == ("x", "y")
    assert arguments(lambda labels, scores: (scores, labels), {"logits": "scores"}) == ("x", "y")
    assert arguments(lambda labels, *, scores: (scores, labels), {"logits": "scores"}) == ("x", "y")


def test_a_parameter_by_name_only_gets_the_argument_that_has_its_name() -> None:
    def function(x: Any, *, target: Any) -> Any:
        return x, target

    assert arguments(function) == ("x", "y")


def test_a_keyword_goes_under_its_mapped_name() -> None:
    def function(_x: Any, _y: Any, *, smoothing: float = 0.0, ignore_index: int = -100) -> Any:
        return smoothing, ignore_index

    mapped = {"label_smoothing": "smoothing"}
    assert arguments(function, mapped, label_smoothing=0.1) == (0.1, -100)
    bound = bind(function, CROSS_ENTROPY, mapped, "f")
    assert bound.missing({"label_smoothing": 0.5, "ignore_index": 0}) == []
    assert bound.missing({"weight": np.ones(2), "ignore_index": 0}) == ["weight"]


def test_a_lacking_keyword_may_be_stated_as_what_holds_without_it() -> None:
    def function(_x: Any, _y: Any, *, weight: Any = None) -> Any:
        return weight

    bound = bind(function, CROSS_ENTROPY, {}, "f")
    assert bound.missing({"reduction": "mean", "label_smoothing": 0, "ignore_index": -100}) == []
    assert bound.missing({"reduction": "sum", "label_smoothing": 0.1, "ignore_index": 1}) == [
        *("ignore_index", "label_smoothing", "reduction"),
    ]
    assert bound.arranged(copying=False)("x", "y", reduction="mean", weight=2) == 2


def test_a_keyword_without_a_default_is_always_passed() -> None:
    def function(_x: Any, _y: Any, weight: Any, reduction: str, label_smoothing: float = 5.0) -> Any:
        return weight, reduction, label_smoothing

    assert arguments(function) == (None, "mean", 5.0)
    assert arguments(function, reduction="sum") == (None, "sum", 5.0)


def test_a_gradient_keeps_the_places_and_takes_the_mapped_keywords() -> None:
    def function(labels: Any, scores: Any, *, eps: float = 0.0) -> Any:
        return scores, labels, eps

    function.gradient = lambda x, y, upstream, *, eps=0.0: (x, y, upstream, eps)  # type: ignore[attr-defined]
    arranged: Any = bind(function, CROSS_ENTROPY, {"target": "labels", "label_smoothing": "eps"}, "f").arranged(
        copying=False
    )
    assert arranged.gradient("x", "y", "up", label_smoothing=0.5) == ("x", "y", "up", 0.5)


def test_a_function_that_works_on_copies_leaves_its_arguments() -> None:
    def spoil(*tensors: Any, weight: Any = None) -> Any:
        for tensor in (*tensors, weight):
            tensor[:] = 0
        return tensors[0]

    spoil.gradient = spoil  # type: ignore[attr-defined]
    arranged: Any = bind(spoil, CROSS_ENTROPY, {}, "f").arranged(copying=True)
    given = [np.ones(2) for _ in range(3)]
    assert arranged(given[0], given[1], weight=given[2]).tolist() == [0, 0]
    assert arranged.gradient(*given, weight=given[2]).tolist() == [0, 0]
    assert [tensor.tolist() for tensor in given] == [[1, 1]] * 3


def test_a_torch_modules_parameters_are_those_of_forward() -> None:
    class Module:
        def __call__(self, *given: Any, **more: Any) -> Any:
            return self.forward(*given, **more)

        def forward(self, x: Any, y: Any, weight: Any = None) -> Any:
            return x, y, weight

    bound = bind(Module(), CROSS_ENTROPY, {}, "f")
    assert bound.missing({"weight": np.ones(2)}) == []
    assert bound.missing({"reduction": "none"}) == ["reduction"]


def one(x: Any) -> Any:
    return x


def extra(x: Any, y: Any, classes: Any) -> Any:
    return x, y, classes


def by_place(x: Any, y: Any, /) -> Any:
    return x, y


@pytest.mark.parametrize(
    ("function", "mapped", "said"),
    [
        (one, {}, ["f(x) has no parameter for target", "cross_entropy(logits, target, *, weight", "--map target=NAME"]),
        (extra, {}, ["f(x, y, classes) wants classes", "cross_entropy(logits, target"]),
        (extra, {"target": "labels"}, ["--map target=labels", "has no parameter that", "x, y, classes"]),
        (by_place, {"target": "y"}, ["takes by place only", "--map target=y"]),
        (one, {"target": "x"}, ["no parameter for logits", "--map logits=NAME"]),
    ],
)
def test_what_cannot_be_called_says_what_it_has_and_what_the_contract_wants(
    function: Callable[..., Any], mapped: dict[str, str], said: list[str]
) -> None:
    with pytest.raises(ImportError) as refused:
        bind(function, CROSS_ENTROPY, mapped, "f")
    for part in said:
        assert part in str(refused.value)


def test_a_function_with_any_keywords_may_be_mapped_to_any() -> None:
    def function(x: Any, **rest: Any) -> Any:
        return x, rest

    assert arguments(function, {"target": "labels"}) == ("x", {"labels": "y"})
