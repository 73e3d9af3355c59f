"""Mistakes made to keep probabilities away from 0 and 1."""

from __future__ import annotations

import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Values
from lossparity.mistakes.logarithms import divided

__all__ = ["PROBABILITIES"]

_POPULAR_ENDS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-20, 1e-30)


def _flushed(end: float) -> type[Evaluation]:
    class SmallFlushed(Evaluation):
        def p(self, x: Values) -> Values:
            p = super().p(x)
            return np.where(p < end, 0, p)

    return SmallFlushed


def _flushed_under_log(end: float) -> type[Evaluation]:
    return divided(_flushed(end))


def _in_logarithm(delta: float, computed: str = "wide") -> type[Evaluation]:
    class EpsilonInLogarithm(Evaluation):
        working = computed

        def z(self, x: Values) -> Values:
            return np.log(self.p(x) + self.of(delta))

        def backward_p(self, x: Values) -> Values:
            return self.p(x)

    return EpsilonInLogarithm


def _in_logarithm_chained(delta: float) -> type[Evaluation]:
    class EpsilonChained(Evaluation):
        def z(self, x: Values) -> Values:
            return np.log(self.p(x) + self.of(delta))

        def through_log_softmax(self, x: Values, v: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, v / (p + delta))

        def inner(self, a: Values, x: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, -a / (p + delta))

    return EpsilonChained


def _clipped(low: float, high: float, computed: str = "wide") -> type[Evaluation]:
    class Clipped(Evaluation):
        working = computed

        def z(self, x: Values) -> Values:
            return np.log(np.clip(self.p(x), self.of(low), self.of(high)))

    return Clipped


def _clipped_inside(low: float, high: float, computed: str = "wide") -> type[Evaluation]:
    class ClippedInside(Evaluation):
        """No gradient passes through what is clipped."""

        working = computed

        def z(self, x: Values) -> Values:
            return np.log(np.clip(self.p(x), self.of(low), self.of(high)))

        def through_log_softmax(self, x: Values, v: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, np.where((p > low) & (p < high), v / p, 0))

        def inner(self, a: Values, x: Values) -> Values:
            p = self.p(x)
            return self.through_softmax(p, np.where((p > low) & (p < high), -a / p, 0))

    return ClippedInside


def _clipped_at(end: float) -> tuple[type[Evaluation], ...]:
    return tuple(
        clipped(end, high, computed)
        for high in (1 - end, 1.0)
        for clipped in (_clipped, _clipped_inside)
        for computed in ("wide", "single")
    )


PROBABILITIES: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    (
        "small-flushed",
        "small probabilities are taken for 0",
        (*map(_flushed, _POPULAR_ENDS), *map(_flushed_under_log, _POPULAR_ENDS)),
    ),
    (
        "epsilon-in-logarithm",
        "log(p + a small number) for log p",
        (
            *(_in_logarithm(end, computed) for end in _POPULAR_ENDS for computed in ("wide", "single")),
            *map(_in_logarithm_chained, _POPULAR_ENDS),
        ),
    ),
    # A convention too, of Keras, whose ends are rounded to the format; here to what is computed in.
    ("clip=1e-7", "the logarithm of p clipped to [1e-7, 1 - 1e-7]", _clipped_at(1e-7)),
    (
        "probabilities-clipped",
        "the logarithm of p clipped to [e, 1 - e] or [e, 1]",
        tuple(way for end in _POPULAR_ENDS if end != 1e-7 for way in _clipped_at(end)),
    ),
)
"""Id, what it is in words, and the ways in which it is made."""
