"""Numbers for people: hex floats as decimals that round-trip, ulp and shares in three digits."""

from __future__ import annotations

import math

from lossparity.formats import FORMATS, Format

__all__ = ["decimal", "digits", "short"]

_EXTRA = 4  # an exact value is shown with more digits than its format holds, so that its distance is seen


def digits(fmt: Format) -> int:
    """Return how many significant decimals tell any two numbers of a format apart."""
    return math.ceil(1 + fmt.precision * math.log10(2))


def decimal(text: str, fmt: str, *, exact: bool = False) -> str:
    """Show a hex float (or a word such as nan) in decimal; text that is neither is returned as it is."""
    try:
        value = float.fromhex(text)
    except (ValueError, OverflowError):
        return text
    if fmt not in FORMATS:
        return text
    count = digits(FORMATS[fmt])
    if exact:
        count = min(count + _EXTRA, 17)
    elif float(FORMATS[fmt].round(value)) != value and math.isfinite(value):
        count = 17  # a wider format was returned than was asked for
    return f"{value:.{count}g}"


def short(value: float | None) -> str:
    """Show a measure (ulp, share of a bound) with three significant digits; nothing measured is a dash."""
    return "\N{EN DASH}" if value is None else f"{value:.3g}"
