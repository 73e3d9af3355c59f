"""What is particular about a question, in words: what failures have in common and passing results have not."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from lossparity.formats import FORMATS
from lossparity.plans import Question

__all__ = ["features"]

_MANY = 4096


@functools.lru_cache(maxsize=8)
def features(question: Question) -> frozenset[str]:
    """Return what is particular about a question's inputs, keywords and format."""
    return frozenset(_features(question))


def _features(question: Question) -> Iterator[str]:
    case, arrays = question.case, question.arrays
    first = question.first
    x = first.exact()
    classes = first.shape[min(1, len(first.shape) - 1)] if first.shape else 0
    yield f"the format is {question.format}"
    yield f"the inputs have {len(first.shape)} axes" if len(first.shape) > 1 else "the inputs have 1 axis"
    yield from (f"{name}={value}" for name, value in case.keywords.items() if isinstance(value, str))
    if case.layout:
        yield f"the inputs are {case.layout} in memory"
    if "weight" in arrays:
        yield "there are weights"
    if float(case.keywords.get("label_smoothing", 0)) > 0:
        yield "label_smoothing is above 0"
    if x.size > _MANY:
        yield f"there are more than {_MANY} numbers"
    if np.isneginf(x).any():
        yield "a logit is -inf"
    if np.isposinf(x).any():
        yield "a logit is +inf"
    if np.isnan(x).any():
        yield "a logit is NaN"
    target = arrays.get("target")
    if target is None:
        return
    if target.format in FORMATS:
        yield "the target is probabilities"
        return
    index = target.exact()
    ignored = index == case.keywords.get("ignore_index", -100)
    if ignored.any():
        yield "a row is ignored"
    if ((index < 0) | (index >= classes))[~ignored].any():
        yield "an index is outside [0, K)"
