"""Where arithmetic falls off an edge: computed from the formats, derived in docs/numerics.md (2.10)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lossparity.formats import Format

__all__ = ["Cliff", "cliffs"]


@dataclass(frozen=True)
class Cliff:
    """An edge of a format: `at` of what `against` names (largest, spread or classes), short, and in a sentence."""

    against: str
    at: float
    short: str
    said: str


def cliffs(fmt: Format) -> tuple[Cliff, ...]:
    """Return the edges of a format, in the units of the axes: logits, their difference, a number of classes."""
    ln2 = math.log(2)
    return (
        Cliff("largest", math.log(fmt.largest), "exp x = ∞", "exp of the logit overflows: ln of the largest number"),
        Cliff("spread", fmt.precision * ln2, "1 + exp −d = 1", "1 + exp(−d) rounds to 1: p ln 2"),
        Cliff(
            "spread",
            (fmt.precision - fmt.emin) * ln2,
            "exp −d = 0",
            "exp(−d) rounds to 0, being at most half the smallest subnormal: (p − emin) ln 2",
        ),
        Cliff("classes", 2.0**fmt.precision, "S + 1 = S", "a sum of ones kept in the format stops growing: 2^p"),
        Cliff("classes", fmt.largest, "Σ 1 = ∞", "a sum of ones in the format overflows: its largest number"),
    )
