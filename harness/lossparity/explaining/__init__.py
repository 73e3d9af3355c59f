"""Which convention a number comes from: the numbers of all conventions on the user's own arrays, compared with it.

`explain` is `lossparity.explain`; `accounts` puts what it returns into words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lossparity.errors import UsageError
from lossparity.explaining.explanations import Explained, Explanation, Match, Step
from lossparity.explaining.givens import Given, given, own_format
from lossparity.explaining.printed import Printed, printed
from lossparity.explaining.reductions import MOST_DEPARTURES, Candidate, candidates
from lossparity.explaining.separating import separation
from lossparity.explaining.variants import Choices, belongs, choice, departures, text
from lossparity.formats import FORMATS, ulp
from lossparity.reference import Floats

__all__ = ["explain"]

# Decimal digits that tell every two numbers of a format apart.
_DIGITS = {"float64": 17, "float32": 9, "bfloat16": 4, "float16": 5}
# Numbers of binary64 this near each other are the same formula's, computed in two ways.
_SAME = 2.0**-44


def explain(
    logits: Any,
    target: Any,
    *numbers: Any,
    weight: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    format: str | None = None,  # noqa: A002 - as the option is called
) -> Explained:
    """Say which convention each number comes from, of all that are known, on these logits and this target.

    `logits` (N, K), (N, K, d1, ...) or (K,); `target` integer indices, or probabilities of the logits' shape; `weight`
    (K,); NumPy arrays or lists. A number is a str or a real number, whose printed digits count, or an array with one
    loss for each position. `format` is that of the arithmetic: by default the logits' own, binary32 where they are a
    list of numbers of at most 9 digits; what binary64 does not explain is tried in binary32 then. Raises UsageError
    for what is no input of a loss.
    """
    taken, reason = own_format(logits)
    read = [printed(one) for one in numbers]
    keywords: dict[str, Any] = {"weight": weight, "label_smoothing": label_smoothing, "ignore_index": ignore_index}
    one = given(logits, target, **keywords, fmt=format or taken)
    _fit(one, read)
    found = _explained(one, read)
    if format is None and taken == "float64" and not all(each.matches for each in found):
        again = given(logits, target, **keywords, fmt="float32")
        unexplained = [n for n, each in enumerate(found) if not each.matches]
        for n, each in zip(unexplained, _explained(again, [read[n] for n in unexplained]), strict=True):
            found[n] = each if each.matches else found[n]
    separations = tuple(separation(found[0], other, one) for other in found[1:])
    return Explained(
        tuple(found),
        separations,
        one.shape,
        one.first.soft,
        one.first.count,
        int(one.ignored.sum()),
        one.format,
        "asked for" if format else reason,
        1 if one.large else MOST_DEPARTURES,
    )


def _fit(one: Given, numbers: Sequence[Printed]) -> None:
    if not numbers:
        raise UsageError("there is no number to explain", hint="give one or more, such as 1.25")
    count = one.first.count
    for number in numbers:
        if number.value.size != count and number.per_position:
            raise UsageError(
                f"an {number.text} is not one loss for each of {count} positions", hint="give those of reduction='none'"
            )


def _explained(one: Given, numbers: Sequence[Printed]) -> list[Explanation]:
    found: list[Explanation] = []
    kept: dict[bool, list[Candidate]] = {}
    for number in numbers:
        per_position = number.per_position
        if per_position not in kept:
            kept[per_position] = [
                c for c in candidates(one, per_position=per_position) if per_position or np.isfinite(c.value).all()
            ]
        found.append(_explanation(one, number, kept[per_position]))
    return found


def _explanation(one: Given, number: Printed, tried: list[Candidate]) -> Explanation:
    unit = ulp(number.value, FORMATS[one.format])
    with np.errstate(over="ignore"):  # a number that is 0 has the subnormal spacing
        resolved = 1 + float(np.max(number.half / unit))
    near: list[tuple[float, bool, Candidate]] = []
    for c in tried:
        away = np.abs(c.value.reshape(-1) - number.value)
        with np.errstate(over="ignore"):
            off = float(np.max(np.where(np.isnan(away), np.inf, away) / unit))
        near.append((off, bool(np.all(away <= number.half + c.allowed.reshape(-1))), c))
    hits = sorted((n for n in near if n[1]), key=lambda n: (n[2].departures, n[0]))
    most = min(number.digits, _DIGITS[one.format])
    matches = _grouped(number, unit, most, _simplest(hits, resolved))
    nearest = () if matches else _grouped(number, unit, most, _closest(near))
    distinct, chance = _accidents(number, tried)
    return Explanation(
        number.text,
        float(number.value[0]),
        most,
        one.format,
        matches,
        nearest,
        len(tried),
        distinct,
        chance,
    )


_Hit = tuple[float, bool, Candidate]


def _simplest(hits: list[_Hit], resolved: float) -> list[_Hit]:
    """Leave out what another match explains with a part of the same departures, as well or to what is `resolved`."""
    kept: list[_Hit] = []
    for hit in hits:
        atoms, off = set(hit[2].choices), max(hit[0], resolved)
        same = (one for one in kept if one[2].reduction == hit[2].reduction)
        if not any(set(one[2].choices) < atoms and one[0] <= off for one in same):
            kept.append(hit)
    return kept


def _closest(near: list[_Hit]) -> list[_Hit]:
    """The spec's own, the closest of one departure, and the closest of all, where that is closer."""
    finite = [one for one in near if math.isfinite(one[0])]
    found: list[_Hit] = []
    for limit in (0, 1, max((one[2].departures for one in finite), default=0)):
        best = min((one for one in finite if one[2].departures <= limit), key=lambda one: one[0], default=None)
        if best is not None and best not in found:
            found.append(best)
    return found[::-1]


def _grouped(number: Printed, unit: Floats, digits: int, hits: list[_Hit]) -> tuple[Match, ...]:
    """Put together what gives the same number; the simplest of each group is the match."""
    groups: list[list[Candidate]] = []
    for _, _, c in hits:
        for group in groups:
            size = np.maximum(np.abs(c.value), np.abs(group[0].value))
            with np.errstate(invalid="ignore"):
                if np.all((c.value == group[0].value) | (np.abs(c.value - group[0].value) <= _SAME * size)):
                    group.append(c)
                    break
        else:
            groups.append([c])
    return tuple(_match(number, unit, digits, group) for group in groups)


def _match(number: Printed, unit: Floats, digits: int, group: list[Candidate]) -> Match:
    c, *others = group
    value, allowed = c.value.reshape(-1), c.allowed.reshape(-1)
    away = np.abs(value - number.value)
    with np.errstate(over="ignore"):
        off, room = away / unit, allowed / unit
    worst = int(np.argmax(off))
    every = bool(np.all(away <= number.half))
    agree = digits if every else _agreeing(float(away[worst]), abs(float(number.value[worst])), digits)
    return Match(
        text(c.choices),
        c.reduction,
        float(value[worst]),
        float(off[worst]),
        float(room[worst]),
        agree,
        every,
        tuple(_step(field, name, c.choices) for field, name in c.choices),
        c.departures,
        tuple(_named(other) for other in others),
        c.total,
        c.divisor,
    )


def _step(field: str, name: str, choices: Choices) -> Step:
    found = choice(field, name)
    theirs = ("", "") if belongs(field, choices) else (found.users, found.source)
    return Step(field, name, found.formula, *theirs)


def _named(c: Candidate) -> str:
    return f"{c.reduction}, {text(c.choices)}" if departures(c.choices) else c.reduction


def _agreeing(off: float, size: float, most: int) -> int:
    if off == 0 or size == 0:
        return most if off == 0 else 0
    return max(0, min(most, math.floor(-math.log10(off / size))))


def _accidents(number: Printed, tried: list[Candidate]) -> tuple[int, float]:
    """Count distinct numbers, and those expected within what was allowed if they lay evenly within a factor of 2."""
    if number.value.size > 1:
        return len({c.value.tobytes() for c in tried}), 0.0
    n, half = float(number.value[0]), float(number.half[0])
    near, distinct = 0.0, {float(f"{float(c.value.reshape(-1)[0]):.12g}"): c for c in tried}
    for value, c in distinct.items():
        if abs(n) / 2 <= abs(value) <= 2 * abs(n) and value * n > 0:
            near += 2 * (half + float(c.allowed.reshape(-1)[0])) / (1.5 * abs(n))
    return len(distinct), near
