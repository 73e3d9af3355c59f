"""What an explanation says: the conventions that a number may come from, and what separates two numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Explained", "Explanation", "Match", "Separation", "Step"]


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

    `text` is the number as it was given, `digits` its significant digits, no more than the format tells apart, and
    `format` the one whose roundings were allowed for. `tried` formulas gave `distinct` numbers; `chance` is how many of
    these one would expect to match by accident.
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
class Separation:
    """Two numbers' ratio, and what makes it, in sentences; `found` where that is known."""

    first: str
    second: str
    ratio: float
    reasons: tuple[str, ...]
    found: bool


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
        """Put it into words."""
        from lossparity.explaining.accounts import account

        return account(self)
