"""How much work a case file makes when it is read: bounded, for it may be a stranger's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossparity.casefile.nodes import CaseError, Listing, Node, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossparity.casefile.inputs import Input

__all__ = ["Effort"]

# In what it takes to make one number of an array; the built-in files stay below a hundredth of the most.
_MOST = 1 << 27
_CASE, _WRITTEN = 4096, 16


@dataclass
class Effort:
    """What the cases of one file have cost until now."""

    spent: int = 0

    def spend(self, node: Node, inputs: Iterable[Input], built: int) -> None:
        """Count one case, with inputs that are written out or built so many times; CaseError beyond the most."""
        self.spent += _CASE
        for one in inputs:
            self.spent += _WRITTEN * _numbers(one.node) + built * math.prod(one.shape)
        if self.spent > _MOST:
            raise CaseError(node, "the cases of this file are too many, or too large", "divide it, or vary less")


def _numbers(node: Node) -> int:
    if isinstance(node, Scalar):
        return 1
    return sum(map(_numbers, node.items)) if isinstance(node, Listing) else 1
