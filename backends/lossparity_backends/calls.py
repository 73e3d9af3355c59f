"""Which calls an entry does: questions about a request that several adapters ask."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from lossparity.formats import FORMATS
from lossparity.model import Keyword, Request

__all__ = ["ignores", "index_target", "key", "plain_rows", "probability_target", "worked_example"]


def key(function: Callable[..., Any], keywords: Mapping[str, Keyword]) -> Any:
    """Tell apart what is compiled: the function with its keywords, where 0 is not 0.0."""
    return function, tuple(sorted((name, repr(value)) for name, value in keywords.items()))


def index_target(request: Request) -> bool:
    """Whether the target holds class indices."""
    return request.arrays["target"].format not in FORMATS


def probability_target(request: Request) -> bool:
    """Whether the target holds probabilities."""
    return not index_target(request)


def plain_rows(request: Request) -> bool:
    """Whether the per-sample losses themselves are asked for, with no weight, smoothing or ignored position."""
    return (
        request.keywords.get("reduction", "mean") == "none"
        and not request.keywords.get("label_smoothing", 0.0)
        and "weight" not in request.arrays
        and not ignores(request)
    )


def worked_example(request: Request) -> bool:
    """Whether the worked example's chain covers the call: rows of logits, class indices, no weight, none ignored."""
    first = next(iter(request.arrays.values()))
    return (
        len(first.shape) == 2
        and "weight" not in request.arrays
        and not ignores(request)
        and ("target" not in request.arrays or index_target(request))
    )


def ignores(request: Request) -> bool:
    """Whether ignore_index is stated, or its default is among the targets."""
    if "ignore_index" in request.keywords:
        return True
    return "target" in request.arrays and index_target(request) and bool((request.arrays["target"].data == -100).any())
