"""The certified reference: every element of the exact result, enclosed, with the tier that enclosed it.

Tier `float64` is vectorised binary64 with a rigorous radius, for formats of 32 bits and less. Tier `arb` is ball
arithmetic at growing precision, for binary64 and for what the first leaves open. No backend is ever the reference,
and the reference imports no framework.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.reference.enclosures import Arbs, Balls
from lossparity.reference.formulas import Exact, gradient, value
from lossparity.reference.rows import ELEMENTWISE, Flags, Floats, Rows, lay_out

__all__ = ["Certified", "Rows", "certify", "lay_out"]

_PRECISIONS = (192, 768, 3072)


@dataclass(frozen=True, eq=False)
class Certified:
    """The exact result: `high + low` to within `radius`; NaN and infinities stand in `high`.

    Where `specified` is false the spec leaves the element open, but for 0 or NaN where it is `blank` (G3, N3). All have
    the result's own shape.
    """

    high: Floats
    low: Floats
    radius: Floats
    specified: Flags
    tier: str
    blank: Flags | None = None


def certify(rows: Rows, quantity: str, fmt: str) -> Iterator[Certified]:
    """Yield ever closer enclosures of a value or gradient; the first is usually enough."""
    formula = value if quantity == "value" else gradient
    with np.errstate(all="ignore"):
        if fmt != "float64":
            yield _certified(rows, formula(rows, Balls.of(0.0)), quantity, "float64")
        for precision in _PRECISIONS:
            yield _certified(rows, formula(rows, Arbs.of(0.0, precision)), quantity, f"arb {precision}")


def _certified(rows: Rows, exact: Exact[Balls] | Exact[Arbs], quantity: str, tier: str) -> Certified:
    shape, finite = exact.special.shape, exact.special == 0
    high, low, radius = (np.broadcast_to(part, shape) for part in exact.finite.enclosed())

    def restored(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if quantity == "gradient" or rows.operation in ELEMENTWISE:
            return rows.restore(part)
        return rows.restore(part[:, 0]) if rows.reduction == "none" else np.asarray(part[0, 0])

    return Certified(
        high=restored(np.where(finite, high, exact.special)),
        low=restored(np.where(finite, low, 0.0)),
        radius=restored(np.where(finite, radius, 0.0)),
        specified=restored(exact.specified),
        tier=tier,
        blank=None if exact.blank is None else restored(exact.blank),
    )
