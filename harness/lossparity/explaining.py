"""Which convention a number comes from: the numbers of all conventions on the user's own arrays, compared with it.

`explain` is `lossparity.explain`; `accounts` puts what it returns into words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossparity.errors import UsageError
from lossparity.formats import FORMATS, ulp
from lossparity.givens import Given, array, given, own_format
from lossparity.reductions import MOST_DEPARTURES, Candidate, candidates
from lossparity.reference import Floats
from lossparity.separating import Separation, separation
from lossparity.variants import Choices, belongs, choice, departures, text

__all__ = ["Explained", "Explanation", "Match", "Step", "explain"]

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_NEAREST = 3
# Numbers of binary64 this near each other are the same formula's, computed in two ways.
_SAME = 2.0**-44


@dataclass(frozen=True)
class Step:
    """One departure from the spec: what it changes, to what, its formula, who uses it and where that can be read."""

    field: str
    choice: str
    formula: str
    users: str
    source: str


@dataclass(frozen=True)
class Match:
    """One way to arrive at a number, or near it.

    `convention` is the text that `reference.conventions.convention` reads, empty for the spec's own; it may name fields
    of `variants` too. `ulp` is the distance in units of the number's format and `allowed` what correct arithmetic may
    be off by; of an array, that of the element that is farthest off, as are `value` and `digits`, the leading digits
    that agree (`all_digits`: every one that was given). `alike` are the conventions, with their reductions, that give
    the same number on this data. `total` and `divisor` are those of a mean.
    """

    convention: str
    reduction: str
    value: float
    ulp: float
    allowed: float
    digits: int
    all_digits: bool
    steps: tuple[Step, ...]
    departures: int
    alike: tuple[str, ...] = ()
    total: float | None = None
    divisor: float | None = None

    @property
    def formula(self) -> str:
        """What is computed differently from the spec, empty for its own."""
        return "; ".join(step.formula for step in self.steps)

    @property
    def users(self) -> str:
        """Who does so."""
        return "; ".join(step.users for step in self.steps if step.users)

    @property
    def source(self) -> str:
        """Where that can be read."""
        return "; ".join(step.source for step in self.steps if step.source)


@dataclass(frozen=True)
class Explanation:
    """What one number can be: every match, the fewest departures first; the `nearest` where there is none.

    `text` is the number as it was given, `digits` its significant digits, `format` the format whose roundings were
    allowed for. `tried` formulas gave `distinct` numbers; `chance` is how many of these one would expect to match by
    accident.
    """

    text: str
    value: float
    digits: int
    format: str
    matches: tuple[Match, ...]
    nearest: tuple[Match, ...]
    tried: int
    distinct: int
    chance: float


@dataclass(frozen=True)
class Explained:
    """The explanations of all numbers, what separates each from the first, and what was looked at.

    `most` is the number of departures that were tried at once, `ignored` the number of positions that are ignored.
    """

    explanations: tuple[Explanation, ...]
    separations: tuple[Separation, ...]
    shape: tuple[int, ...]
    soft: bool
    positions: int
    ignored: int
    format: str
    reason: str
    most: int

    @property
    def complete(self) -> bool:
        """Whether every number is explained."""
        return all(one.matches for one in self.explanations)

    def __str__(self) -> str:
        from lossparity.accounts import account

        return account(self)


@dataclass(frozen=True, eq=False)
class _Number:
    """A number as it was given: half a unit of its last digit is what its digits leave open."""

    text: str
    value: Floats
    half: Floats
    digits: int


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
    read = [_read(one) for one in numbers]
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


def _read(number: Any) -> _Number:
    if isinstance(number, list | tuple) or (isinstance(number, np.ndarray) and number.ndim):
        values = np.asarray(array(number, "number"), dtype=np.float64)
        if values.size == 0 or not np.isfinite(values).all():
            raise UsageError("an array of losses has to hold finite numbers", hint="one for each position")
        fmt = FORMATS.get(own_format(number, "losses")[0], FORMATS["float64"])
        digits = {"float64": 15, "float32": 7, "bfloat16": 2, "float16": 3}[fmt.name]
        return _Number(f"array of shape {values.shape}", values.reshape(-1), np.zeros(values.size), digits)
    if isinstance(number, bool | np.bool_) or not isinstance(number, str | int | float | np.generic):
        raise UsageError(f"{number!r} is no number", hint="a decimal such as 1.25, or an array")
    said = str(number).strip()
    if not _NUMBER.fullmatch(said):
        raise UsageError(f"{said!r} is no finite number", hint="a decimal such as 1.25, -0.5 or 3.1e-4")
    mantissa, _, exponent = said.lower().partition("e")
    whole, _, decimals = mantissa.lstrip("+-").partition(".")
    significant = (whole + decimals).lstrip("0") or "0"
    value = float(said)
    if not math.isfinite(value):
        raise UsageError(f"{said} is beyond binary64", hint="a loss that has overflowed has no convention to find")
    with np.errstate(over="ignore"):
        half = 0.5 * float(np.float64(10.0) ** (int(exponent or "0") - len(decimals)))
    return _Number(said, np.array([value]), np.array([half]), len(significant))


def _fit(one: Given, numbers: Sequence[_Number]) -> None:
    if not numbers:
        raise UsageError("there is no number to explain", hint="give one or more, such as 1.25")
    count = one.first.count
    for number in numbers:
        if number.value.size != count and number.text.startswith("array"):
            raise UsageError(
                f"an {number.text} is not one loss for each of {count} positions", hint="give those of reduction='none'"
            )


def _explained(one: Given, numbers: Sequence[_Number]) -> list[Explanation]:
    found: list[Explanation] = []
    kept: dict[bool, list[Candidate]] = {}
    for number in numbers:
        per_position = number.text.startswith("array")
        if per_position not in kept:
            kept[per_position] = [
                c for c in candidates(one, per_position=per_position) if per_position or np.isfinite(c.value).all()
            ]
        found.append(_explanation(one, number, kept[per_position]))
    return found


def _explanation(one: Given, number: _Number, tried: list[Candidate]) -> Explanation:
    unit = ulp(number.value, FORMATS[one.format])
    near: list[tuple[float, bool, Candidate]] = []
    for c in tried:
        away = np.abs(c.value.reshape(-1) - number.value)
        off = float(np.max(np.where(np.isnan(away), np.inf, away) / unit))
        near.append((off, bool(np.all(away <= number.half + c.allowed.reshape(-1))), c))
    hits = sorted((n for n in near if n[1]), key=lambda n: (n[2].departures, n[0]))
    matches = _grouped(number, unit, _simplest(hits))
    closest = sorted((n for n in near if math.isfinite(n[0])), key=lambda n: (n[0], n[2].departures))
    nearest = () if matches else _grouped(number, unit, closest[: _NEAREST * 4])[:_NEAREST]
    distinct, chance = _accidents(number, tried)
    return Explanation(
        number.text,
        float(number.value[0]),
        number.digits,
        one.format,
        matches,
        nearest,
        len(tried),
        distinct,
        chance,
    )


_Hit = tuple[float, bool, Candidate]


def _simplest(hits: list[_Hit]) -> list[_Hit]:
    """Leave out what another match explains with a part of the same departures."""
    kept: list[_Hit] = []
    for hit in hits:
        atoms = set(hit[2].choices)
        same = (one[2] for one in kept if one[2].reduction == hit[2].reduction)
        if not any(set(one.choices) < atoms for one in same):
            kept.append(hit)
    return kept


def _grouped(number: _Number, unit: Floats, hits: list[_Hit]) -> tuple[Match, ...]:
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
    return tuple(_match(number, unit, group) for group in groups)


def _match(number: _Number, unit: Floats, group: list[Candidate]) -> Match:
    c, *others = group
    value, allowed = c.value.reshape(-1), c.allowed.reshape(-1)
    away = np.abs(value - number.value)
    worst = int(np.argmax(away / unit))
    off, size = float(away[worst]), abs(float(number.value[worst]))
    every = bool(np.all(away <= np.maximum(number.half, 0.5 * unit)))
    agree = number.digits if every else _agreeing(off, size, number.digits)
    return Match(
        text(c.choices),
        c.reduction,
        float(value[worst]),
        float(away[worst] / unit[worst]),
        float(allowed[worst] / unit[worst]),
        agree,
        every,
        tuple(_step(field, name, c.choices) for field, name in c.choices),
        c.departures,
        tuple(_named(other) for other in others if other.departures <= c.departures + 1),
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


def _accidents(number: _Number, tried: list[Candidate]) -> tuple[int, float]:
    """Count distinct numbers, and those expected within what was allowed if they lay evenly within a factor of 2."""
    if number.value.size > 1:
        return len({c.value.tobytes() for c in tried}), 0.0
    n, half = float(number.value[0]), float(number.half[0])
    near, distinct = 0.0, {float(f"{float(c.value.reshape(-1)[0]):.12g}"): c for c in tried}
    for value, c in distinct.items():
        if abs(n) / 2 <= abs(value) <= 2 * abs(n) and value * n > 0:
            near += 2 * (half + float(c.allowed.reshape(-1)[0])) / (1.5 * abs(n))
    return len(distinct), near
