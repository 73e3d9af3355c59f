"""What a function is declared for: words restrict their own group and no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lossparity.formats import Array
from lossparity.model import Request
from lossparity.target.supports import WORDS, declared, gradient_declared

INDEX = Array.of([0, 1], "int64")
IGNORED = Array.of([0, -100], "int64")


def request(
    keywords: Mapping[str, Any] | None = None,
    target: Array = INDEX,
    fmt: str = "float32",
    shape: tuple[int, ...] = (2, 3),
    first: float = 1.0,
    weight: bool = False,
) -> Request:
    logits = np.zeros(shape)
    logits.flat[0] = first
    arrays = {"logits": Array.of(logits, fmt), "target": target}
    if weight:
        arrays["weight"] = Array.of([1, 2, 3], fmt)
    return Request("target", "cross_entropy", arrays, keywords or {})


SOFT = Array.of(np.full((2, 3), 0.25), "float32")
SUM, MEAN, EPSILON = {"reduction": "sum"}, {"reduction": "mean"}, {"label_smoothing": 0.1}


@pytest.mark.parametrize(
    ("words", "asked", "within"),
    [
        ("", request(EPSILON, first=np.inf), True),
        ("float32", request(), True),
        ("float16 bfloat16", request(), False),
        ("float32", request(EPSILON, weight=True, first=np.nan), True),
        ("indices", request(), True),
        ("indices", request(target=SOFT), False),
        ("probabilities", request(target=SOFT), True),
        ("2d", request(), True),
        ("1d nd", request(), False),
        ("nd", request(shape=(2, 3, 2)), True),
        ("1d", request(shape=(3,)), True),
        ("finite", request(), True),
        ("finite", request(first=-np.inf), False),
        ("finite", request(first=np.nan), False),
        ("label_smoothing", request(EPSILON), True),
        ("label_smoothing", request(weight=True), False),
        ("weight", request(weight=True), True),
        ("weight", request(), True),
        ("weight", request(target=IGNORED), False),
        ("ignore_index", request(target=IGNORED), True),
        ("weight", request(SUM), False),
        ("reduction", request(SUM), True),
        ("reduction=mean", request(), True),
        ("reduction=mean", request(MEAN), True),
        ("reduction=mean", request(SUM), False),
        ("reduction=mean reduction=sum", request(SUM), True),
        ("reduction=none", request(), False),
        ("reduction=mean", request(MEAN, weight=True), True),
        ("reduction=mean weight", request(MEAN, weight=True), True),
        ("reduction=mean weight", request({**MEAN, **EPSILON}), False),
        ("value", request(), True),
    ],
)
def test_a_word_restricts_its_group_alone(words: str, asked: Request, within: bool) -> None:
    assert declared(asked, words.split()) is within


@pytest.mark.parametrize(
    ("words", "asked"), [("", True), ("value", False), ("gradient", True), ("value gradient", True), ("float32", True)]
)
def test_the_gradient_is_left_out_where_the_value_alone_is_declared(words: str, asked: bool) -> None:
    assert gradient_declared(words.split()) is asked


def test_every_word_stands_once() -> None:
    assert len(set(WORDS)) == len(WORDS)
