"""Mistakes in which classes a sum takes in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Values

__all__ = ["SUMS"]

_BLOCKS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def _dropped(kept: Callable[[int], slice], computed: str = "wide") -> type[Evaluation]:
    class Dropped(Evaluation):
        """The sum of some classes only; an empty one is 0."""

        working = computed

        def total(self, e: Values) -> Values:
            return np.sum(e[:, kept(e.shape[1])], axis=1, keepdims=True)

    return Dropped


def _dropped_twice(kept: Callable[[int], slice]) -> type[Evaluation]:
    class DroppedTwice(_dropped(kept)):  # type: ignore[misc]
        """Automatic differentiation: no gradient passes through the sum to what it leaves out."""

        def mask(self, x: Values) -> Values:
            mask = np.zeros_like(x[:1])
            mask[:, kept(x.shape[1])] = 1
            return mask

        def backward_p(self, x: Values) -> Values:
            return self.p(x) * self.mask(x)

        def through_softmax(self, p: Values, v: Values) -> Values:
            return p * v - p * self.mask(p) * np.sum(p * v, axis=1, keepdims=True)

    return DroppedTwice


def _last(k: int) -> slice:
    return slice(0, max(k - 1, 1))


def _first(k: int) -> slice:
    return slice(min(1, k - 1), k)


def _tail(block: int, least: int) -> Callable[[int], slice]:
    return lambda k: slice(0, k - k % block or least)


def _dropping(*kept: Callable[[int], slice]) -> tuple[type[Evaluation], ...]:
    return (
        *map(_dropped, kept),
        *map(_dropped_twice, kept),
        *(_dropped(one, "single") for one in kept),
    )


SUMS: tuple[tuple[str, str, tuple[type[Evaluation], ...]], ...] = (
    ("last-class-dropped", "the sum leaves out the last class", _dropping(_last)),
    ("first-class-dropped", "the sum leaves out the first class", _dropping(_first)),
    (
        "tail-dropped",
        "the sum leaves out the classes beyond the last whole block (of 2 to 1024)",
        _dropping(*(_tail(block, least) for block in _BLOCKS for least in (0, 1))),
    ),
)
"""Id, what it is in words, and the ways in which it is made."""
