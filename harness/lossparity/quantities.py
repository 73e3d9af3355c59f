"""Times, bandwidths, sizes and ratios as people read them, in three digits; of a terminal and of a page."""

from __future__ import annotations

__all__ = ["bandwidth", "bytes_of", "interval", "ratio", "seconds"]

_SMALL = 2_000_000  # bytes: the resident memory of a process cannot be told closer


def seconds(value: float) -> str:
    """Write a time in three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{_three(value / size)} {unit}"
    return f"{_three(value / 1e-9)} ns"


def bandwidth(rate: float) -> str:
    """Write bytes a second in units of 10^9."""
    return _three(rate / 1e9)


def bytes_of(number: int | None) -> str:
    """Write a number of bytes, where it can be told."""
    if number is None:
        return "?"
    return "< 2 MB" if number < _SMALL else f"{_three(number / 1e6)} MB"


def ratio(value: float) -> str:
    """Write a ratio of times: two places, and two digits at least."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def interval(low: float, high: float) -> str:
    """Write an interval of ratios."""
    return f"{ratio(low)} to {ratio(high)}"


def _three(value: float) -> str:
    return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f}" if value < 1000 else f"{value:.0f}"
