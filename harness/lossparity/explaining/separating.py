"""What separates two numbers: the departures by which their conventions differ, else a ratio that is simple."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from lossparity.explaining.explanations import Explanation, Match, Separation
from lossparity.explaining.givens import Given
from lossparity.explaining.reductions import counts
from lossparity.explaining.variants import FIELDS, choice
from lossparity.formats import FORMATS
from lossparity.reference.conventions import CONVENTIONS

__all__ = ["separation"]

_MOST = 64
"""Of a ratio's numerator and denominator, where no count of the data explains it."""
# With fewer than five digits there is always some ratio that fits.
_TELLING = 1e-4


def separation(a: Explanation, b: Explanation, given: Given) -> Separation:
    """Say what separates one number from another."""
    ratio = a.value / b.value if b.value else math.nan
    if a.text.startswith("array") or b.text.startswith("array"):
        ratio = math.nan
    if a.matches and b.matches:
        pair = min(((m, n) for m in a.matches for n in b.matches), key=_simplicity)
        return Separation(a.text, b.text, ratio, tuple(_differences(*pair)), True)
    reasons = tuple(_guesses(a, b, ratio, given))
    return Separation(a.text, b.text, ratio, reasons, bool(reasons))


def _chosen(match: Match) -> dict[str, str]:
    return {step.field: step.choice for step in match.steps}


def _simplicity(pair: tuple[Match, Match]) -> tuple[int, int]:
    return _apart(*pair), pair[0].departures + pair[1].departures


def _apart(a: Match, b: Match) -> int:
    return len(set(_chosen(a).items()) ^ set(_chosen(b).items())) + (a.reduction != b.reduction)


def _differences(a: Match, b: Match) -> Iterator[str]:
    one, other = _chosen(a), _chosen(b)
    differing = [field for field in FIELDS if one.get(field) != other.get(field)]
    if not differing and a.reduction == b.reduction:
        yield "both are the same convention: rounding alone separates them"
        return
    if a.total is not None and a.total == b.total and a.divisor != b.divisor and a.divisor and b.divisor:
        yield f"the same sum: the first divides it by {a.divisor:.9g}, the second by {b.divisor:.9g}"
    if a.reduction != b.reduction:
        yield f"reduction: {a.reduction} for the first, {b.reduction} for the second"
    for field in differing:
        yield f"{field}, of the first: {_formula(field, one, a)}"
        yield f"{field}, of the second: {_formula(field, other, b)}"
    if differing[-1:] == ["entropy"]:
        yield f"the first less the second: {a.value - b.value:.9g}"


def _formula(field: str, chosen: dict[str, str], match: Match) -> str:
    if field in chosen:
        return choice(field, chosen[field]).formula
    if field == "mean" and match.reduction != "mean":
        return "D = 1"
    return _SPEC.get(field) or next(iter(CONVENTIONS[field].values())).formula


_SPEC = {
    "logits": "z = log softmax(x)",
    "ignored": "ignored positions add nothing",
    "form": "the loss as it is",
    "mean": "the spec's D, the weights of the targets in V, or their number",
}


def _guesses(a: Explanation, b: Explanation, ratio: float, given: Given) -> Iterator[str]:
    """Name a ratio or a difference of two numbers of which one at least is unexplained."""
    if not math.isfinite(ratio) or ratio == 0:
        return
    slack = _slack(a) + _slack(b)
    if slack > _TELLING:
        return
    values = {"1": 1.0, **counts(given)}
    seen: set[float] = set()
    for over, n in values.items():
        for under, d in values.items():
            if n != d and n / d not in seen and _is(abs(ratio), n / d, slack):
                seen.add(n / d)
                yield f"the ratio is {n:g} / {d:g}: {over} over {under}"
    k, e = given.first.classes, given.smoothing
    for name, constant in (
        ("ln 2: logarithms to base 2", math.log(2)),
        ("ln 10: logarithms to base 10", math.log(10)),
        ("1 - e: a term that the smoothing scales", 1 - e),
        ("K / (K - 1)", k / (k - 1) if k > 1 else 1.0),
        ("-1: one is negated", -1.0),
    ):
        if constant not in (0.0, 1.0) and (_is(ratio, constant, slack) or _is(1 / ratio, constant, slack)):
            yield f"the ratio is {name}"
    for name, constant in (("ln K", math.log(k)), ("ln 2", math.log(2))):
        away = abs(abs(a.value - b.value) - constant)
        if constant and away <= slack * (abs(a.value) + abs(b.value)):
            yield f"the difference is {name}"
    if not seen and ratio not in (1.0, -1.0):
        simple = Fraction(ratio).limit_denominator(_MOST)
        # Fractions of numbers up to n are about 1 / n^2 apart: fewer digits than that tell nothing.
        if abs(simple.numerator) <= _MOST and slack * _MOST**2 < 0.1 and _is(ratio, float(simple), slack):
            yield f"the ratio is {simple}"


def _is(ratio: float, constant: float, slack: float) -> bool:
    return abs(ratio - constant) <= slack * abs(constant)


def _slack(one: Explanation) -> float:
    """What the digits that were given, and roundings, leave open of a number, relative."""
    return max(0.5 * 10.0 ** (1 - one.digits), 8 * FORMATS[one.format].unit)
