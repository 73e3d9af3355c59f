"""The simplest example of a cause in a few lines: what went in, what came out beside what is right, and the bound."""

from __future__ import annotations

import math

from lossparity.record import CaseLine, Excerpt, Result
from lossparity_reports.figures import decimal, short

__all__ = ["bound", "inputs", "numbers"]

_MOST = 12  # numbers of an input that is shown


def inputs(case: CaseLine | None) -> str:
    """Return a call's arguments as its case states them; nothing where they are too many numbers."""
    if case is None or sum(math.prod(one.shape) for one in case.inputs.values()) > _MOST:
        return ""
    arrays = (f"{name}={_nested(one)}" for name, one in case.inputs.items() if name != "upstream")
    keywords = (f"{name}={value!r}" for name, value in case.keywords.items())
    return f"{case.operation}({', '.join([*arrays, *keywords])}) in {case.format}"


def numbers(result: Result) -> str:
    """Return what was got beside what is right at the worst element, and how many times the bound that is off."""
    worst = result.worst
    if worst is None:
        return ""
    got, exact = decimal(worst.got, result.format), decimal(worst.exact, result.format, exact=True)
    where = f" at {worst.index}" if worst.index else ""
    off = "" if result.bound_used is None else f": {short(result.bound_used)} times what rounding allows"
    return f"got {got}, exact {exact}{where}{off}"


def bound(result: Result) -> str:
    """Return what the bound of the worst element is made of; nothing where no two numbers were compared."""
    return result.worst.made_of if result.worst is not None and result.bound_used is not None else ""


def _nested(array: Excerpt) -> str:
    texts = [decimal(text, array.format) for text in array.values]
    for length in reversed(array.shape):
        texts = (
            ["[" + ", ".join(texts[i : i + length]) + "]" for i in range(0, len(texts), length)] if length else ["[]"]
        )
    return texts[0] if texts else "[]"
