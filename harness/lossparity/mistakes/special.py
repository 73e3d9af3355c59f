"""Mistakes with logits that are infinite or NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossparity.formats import FORMATS
from lossparity.mistakes.evaluation import Evaluation, Values

__all__ = ["SPECIAL"]


def _masked(finite: float | None) -> type[Evaluation]:
    class MaskedAsFinite(Evaluation):
        """-inf replaced by a finite number: the format's least one, or a popular one."""

        def logits(self) -> Values:
            x = super().logits()
            return np.where(np.isneginf(x), -self.format.largest if finite is None else finite, x)

    return MaskedAsFinite


def _least(name: str) -> type[Evaluation]:
    return _masked(-FORMATS[name].largest)


def _nan(by: float) -> type[Evaluation]:
    class NanReplaced(Evaluation):
        def logits(self) -> Values:
            return np.nan_to_num(super().logits(), nan=by, posinf=np.inf, neginf=-np.inf)

    return NanReplaced


class _NanToNumber(Evaluation):
    """What numpy.nan_to_num makes of a logit."""

    def logits(self) -> Values:
        largest = self.format.largest
        return np.nan_to_num(super().logits(), nan=0.0, posinf=largest, neginf=-largest)


class _InfinityMixed(Evaluation):
    """A row holding +inf: NaN there, -inf (or 0) elsewhere."""

    def p(self, x: Values) -> Values:
        return np.where(self._rises(x), np.where(np.isposinf(x), np.nan, 0), super().p(x))

    def z(self, x: Values) -> Values:
        return np.where(self._rises(x), np.where(np.isposinf(x), np.nan, -np.inf), super().z(x))

    def _rises(self, x: Values) -> Any:
        return np.isposinf(x).any(axis=1, keepdims=True) & ~np.isnan(x).any(axis=1, keepdims=True)


SPECIAL: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    (
        "masked-as-least",
        "-inf is replaced by a finite number: the class stays in the row",
        (_masked(None), _least("float32"), _masked(-1e9), _masked(-1e4), _masked(-1e30), _masked(-65504.0)),
    ),
    ("nan-replaced", "NaN among the logits is replaced by a number", (_nan(0.0), _NanToNumber)),
    ("infinity-mixed", "a row holding +inf is NaN in some classes and a number in others", (_InfinityMixed,)),
)
"""Id, what it is in words, and the ways in which it is made."""
