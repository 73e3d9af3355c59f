"""The catalogue of mistakes that implementations make, each as the numbers that it leads to.

They name a failure when one matches, and never excuse it. A convention of somebody else's is no mistake: those are in
`reference.conventions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lossparity.mistakes.evaluation import Evaluation, Values
from lossparity.mistakes.indices import INDICES
from lossparity.mistakes.logarithms import LOGARITHMS
from lossparity.mistakes.losses import LOSSES
from lossparity.mistakes.probabilities import PROBABILITIES
from lossparity.mistakes.results import RESULTS
from lossparity.mistakes.roundings import ROUNDINGS
from lossparity.mistakes.special import SPECIAL
from lossparity.mistakes.sums import SUMS
from lossparity.reference import Problem

__all__ = ["MISTAKES", "Mistake"]

_SOFTMAX = (*LOGARITHMS, *SUMS, *PROBABILITIES, *ROUNDINGS, *SPECIAL)
_ROWS, _LOSSES = ("softmax", "log_softmax", "cross_entropy"), ("nll_loss", "cross_entropy")


@dataclass(frozen=True)
class Mistake:
    """One mistake: its id, what it is in words, the ways in which it is made, and in which operations."""

    id: str
    said: str
    ways: tuple[type[Evaluation], ...]
    operations: tuple[str, ...]

    def result(self, way: int, problem: Problem, quantity: str) -> Values:
        """Return what one of the ways makes of a problem's value or gradient, unrounded."""
        with np.errstate(all="ignore"):
            evaluation = self.ways[way](problem)
            return np.asarray(evaluation.value() if quantity == "value" else evaluation.gradient())


MISTAKES: Mapping[str, Mistake] = MappingProxyType(
    {
        id_: Mistake(id_, said, ways, operations)
        for table, operations in (((*INDICES, *LOSSES), _LOSSES), (RESULTS, (*_ROWS, "nll_loss")), (_SOFTMAX, _ROWS))
        for id_, said, ways in table
    }
)
"""By id, the more definite ones first: where two explain the same failures the earlier one is named."""
