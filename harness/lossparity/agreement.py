"""How near the backends of a run are to each other: counted while their results are held, for every two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import msgspec
import numpy as np

from lossparity.distance import spacing_at
from lossparity.findings import Quantity
from lossparity.formats import FORMATS, Array, Format
from lossparity.model import Backend, Outcome, Produced
from lossparity.plans import Question
from lossparity.record import Agreement
from lossparity.reference import Floats

__all__ = ["Agreements", "both"]

_Pair = tuple[str, str, str]  # two backends and the format


@dataclass
class Agreements:
    """Takes what several backends gave for a question, and counts how near they are, format by format."""

    _found: dict[_Pair, Agreement] = field(default_factory=dict)

    def take(self, question: Question, outcomes: Mapping[Backend, Outcome]) -> None:
        """Compare every two backends in every quantity; of several calls, the case's own is compared."""
        for quantity in question.quantities:
            got = [(b, a, a.exact()) for b, o in outcomes.items() if (a := _array(o, quantity)) is not None]
            for (one, here, first), (two, there, second) in combinations(got, 2):
                if here.shape == there.shape and here.data.size:
                    key = f"{question.check_id(one)}#{quantity}"
                    ulp, unlike = _apart(first, second, FORMATS[question.format])
                    equal = not (ulp or unlike)
                    self._add(
                        Agreement(str(one), str(two), question.format, 1, equal, unlike, ulp, "" if equal else key)
                    )

    def _add(self, one: Agreement) -> None:
        pair = one.first, one.second, one.format
        self._found[pair] = both(self._found[pair], one) if pair in self._found else one

    def lines(self) -> Iterable[Agreement]:
        """Return what was counted, in the order of the backends."""
        return self._found.values()


def both(one: Agreement, two: Agreement) -> Agreement:
    """Add up what was counted of the same two backends in two parts of a run."""
    # The same one in whichever order the parts come: of those as far apart, the first by name.
    further = min(one, two, key=lambda part: (-part.ulp, not part.check, part.check))
    return msgspec.structs.replace(
        further,
        compared=one.compared + two.compared,
        equal=one.equal + two.equal,
        unlike=one.unlike + two.unlike,
    )


def _array(outcome: Outcome, quantity: Quantity) -> Array | None:
    part = getattr(outcome, quantity) if isinstance(outcome, Produced) else None
    return part if isinstance(part, Array) and part.format in FORMATS else None


def _apart(one: Floats, two: Floats, fmt: Format) -> tuple[float, bool]:
    """Return the largest distance of two numbers in ulp, and whether some element is of another class."""
    if np.array_equal(one, two, equal_nan=True):
        return 0.0, False
    with np.errstate(all="ignore"):
        numbers = np.isfinite(one) & np.isfinite(two)
        unlike = ~numbers & (one != two) & ~(np.isnan(one) & np.isnan(two))
        spacing = spacing_at(np.where(numbers, np.maximum(np.abs(one), np.abs(two)), 0.0), None, fmt)
        # Divided first: the difference of two large numbers would overflow.
        ulps = np.where(numbers, np.abs(one / spacing - two / spacing), 0.0)
    return float(np.max(ulps)), bool(np.any(unlike))
