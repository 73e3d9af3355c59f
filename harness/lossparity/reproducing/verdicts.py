"""The part of a stand-alone script that says what is right and compares what was got with it, in a few lines.

It repeats the judge's rule for numbers, NaN, infinities and what a clause leaves open, and nothing else of it: formats
and shapes are compared beside it (`script`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lossparity.distance import overflow_of
from lossparity.expected import Expected, elements
from lossparity.formats import FORMATS
from lossparity.plans import Finding, Quantity, Question
from lossparity.reference.digits import digits
from lossparity.reproducing.literals import number

__all__ = ["Verdicts"]

MOST = 48
"""Elements that a script looks at all of; of more it takes the worst and some around it, and the first ones."""

_AROUND = 4


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What is written of the findings of one question; `flushed` is the backend's declared trait."""

    question: Question
    findings: Sequence[Finding]
    flushed: bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The permitted results that are numbers; none where only an exception is permitted."""
        return tuple(choice for choice in self.question.alternatives if choice != "raises")

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that a result may have (D1)."""
        fmt = self.question.format
        return (fmt, "float32") if FORMATS[fmt].bits <= 16 else (fmt,)

    def shape(self, finding: Finding) -> tuple[int, ...]:
        """The shape that a result has to have."""
        return self.question.answer(self.choices[0], finding.quantity).shape

    def lines(self) -> Iterator[str]:
        """Write the exact values, the bounds, and the functions that compare with them."""
        expected: dict[tuple[Quantity, str], Expected] = {
            (f.quantity, c): self._expected(f, c) for f in self.findings for c in self.choices
        }
        yield from self._right(expected)
        yield from self._sixty_digits(expected)
        yield ""
        yield ""
        overflows = any(map(self._overflows, expected.values()))
        yield from _error_of(overflows, any(bool(found.blank.any()) for found in expected.values()))
        yield ""
        yield ""
        yield from self._conforms(overflows)

    def _expected(self, finding: Finding, choice: str) -> Expected:
        answer = self.question.answer(choice, finding.quantity)
        size = math.prod(answer.shape)
        if size <= MOST:
            places = np.arange(size)
        else:
            worst = _worst(finding) or 0
            near = range(max(worst - _AROUND, 0), min(worst + _AROUND, size))
            places = np.unique([*range(_AROUND), *near])
        return elements(answer, places.astype(np.intp), flushed=self.flushed)

    def _right(self, expected: dict[tuple[Quantity, str], Expected]) -> Iterator[str]:
        yield "# What is right, certified by interval arithmetic. Each line: the element; its exact value, as the"
        yield "# nearest binary64 number and what that leaves of it; one ulp of the format; tight and loose bound"
        yield "# of the error. Wrong is what is outside the loose bound and an ulp or more away."
        for finding in self.findings:
            size = math.prod(self.shape(finding))
            if size > MOST:
                yield f"# The {finding.quantity} has {size} elements; the worst, some around it and the first are here."
        if self.flushed:
            yield "# The bounds allow for subnormal numbers that are flushed to 0, as this framework does here."
        yield "RIGHT = {"
        for finding in self.findings:
            yield f'    "{finding.quantity}": {{'
            for choice in self.choices:
                yield f'        "{choice}": ['
                yield from (f"            {row}," for row in _rows(expected[finding.quantity, choice]))
                yield "        ],"
            yield "    },"
        yield "}"

    def _sixty_digits(self, expected: dict[tuple[Quantity, str], Expected]) -> Iterator[str]:
        yield "# The exact value of the element that lossparity found worst, to 60 digits."
        yield "SIXTY_DIGITS = {"
        for finding in self.findings:
            place, answer = _worst(finding), finding.answer
            if place is None or answer is None:
                continue
            found = expected[finding.quantity, finding.choice or self.choices[0]]
            at = int(np.searchsorted(found.places, place))
            if np.isfinite(found.high[at]) and not found.open[at]:
                yield f'    "{finding.quantity}": ({place}, "{digits(answer, place)}"),'
        yield "}"

    def _overflows(self, found: Expected) -> bool:
        least = min(overflow_of(FORMATS[fmt]) for fmt in self.formats)
        with np.errstate(invalid="ignore"):
            return bool(np.any(np.isfinite(found.high) & (np.abs(found.high) + found.loose >= least)))

    def _conforms(self, overflows: bool) -> Iterator[str]:
        if overflows:
            listed = ", ".join(f'"{fmt}": {number(overflow_of(FORMATS[fmt]))}' for fmt in self.formats)
            yield from (f"OVERFLOW = {{{listed}}}  # what rounds to infinity", "", "")
        more = ", loose, OVERFLOW[form]" if overflows else ""
        yield (
            _CONFORMS.replace("<formats>", repr(self.formats))
            .replace("<format>", self.formats[0])
            .replace("<more>", more)
        )


def _worst(finding: Finding) -> int | None:
    return finding.judgement.worst if finding.judgement is not None else None


def _rows(found: Expected) -> Iterator[str]:
    for n, place in enumerate(found.places):
        if found.open[n] and not found.blank[n]:
            continue  # nothing is asked of it
        exact = "None" if found.blank[n] else _number(found.high[n])
        rest = found.low[n] if np.isfinite(found.high[n]) else 0.0
        yield f"({place}, {exact}, {', '.join(map(_number, (rest, found.ulp[n], found.tight[n], found.loose[n])))})"


def _number(value: float) -> str:
    if np.isfinite(value):
        return number(value)
    return "np.nan" if np.isnan(value) else "np.inf" if value > 0 else "-np.inf"


def _error_of(overflows: bool, blank: bool) -> Iterator[str]:
    yield f"def error_of(got, exact, rest{', loose, overflow' if overflows else ''}):"
    if blank:
        yield "    if exact is None:  # 0 and NaN are permitted"
        yield "        return 0.0 if got == 0 or np.isnan(got) else np.inf"
    yield "    if np.isfinite(got) and np.isfinite(exact):"
    yield "        return abs((got - exact) - rest)"
    if overflows:
        yield "    if np.isinf(got) and np.isfinite(exact) and np.sign(got) == np.sign(exact):"
        yield "        short = max(overflow - abs(exact), 0.0)  # of what rounds to infinity"
        yield "        return short if short <= loose else np.inf"
    yield "    return 0.0 if got == exact or (np.isnan(got) and np.isnan(exact)) else np.inf"


# A share of the bound ranks the right ones; of the wrong ones the one whose sixty digits are there comes first.
_CONFORMS = """\
def conforms(quantity, got, form, shape):
    if form not in <formats> or got.shape != shape:
        print(f"{quantity}: {form} of shape {got.shape} instead of <format> of shape {shape}")
        return False
    permitted = False
    for choice, rows in RIGHT[quantity].items():
        wrong, most, worst = 0, (-1.0, False), f"{quantity}: the spec leaves it open"
        for element, exact, rest, ulp, tight, loose in rows:
            here = float(got.flat[element])
            error = error_of(here, exact, rest<more>)
            right = bool(np.isfinite(error)) and (error <= loose or (error < ulp and loose > 0))
            wrong += not right
            share = (error / loose if loose else error) if right else np.inf
            rank = (share, element == SIXTY_DIGITS.get(quantity, (-1,))[0])
            if rank > most:
                most, worst = rank, (
                    f"{quantity}, element {element}: got {here!r}, {choice} {exact!r}, "
                    f"error {error:.17g} = {error / ulp:.4g} ulp, {'within' if right else 'outside'} the bounds "
                    f"(tight {tight:.17g}, loose {loose:.17g})"
                )
        print(f"{worst}; {wrong} of {len(rows)} elements wrong")
        permitted = permitted or wrong == 0
    if quantity in SIXTY_DIGITS:
        print("{}, element {}: exact {}".format(quantity, *SIXTY_DIGITS[quantity]))
    return permitted"""
