"""Where only one backend differs: of all that were asked the same, one does what none of the others does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lossparity.record import Result
from lossparity_reports.summary import FAILING, is_weak

__all__ = ["LEAST", "alone", "answer"]

LEAST = 3
"""How many backends must have answered: of two that differ, neither is the one."""

_SILENT = frozenset({"unsupported", "unavailable", "undecided"})


def answer(result: Result) -> tuple[str, str] | None:
    """Return what a backend did: conform, with its choice or weakly, or deviate, and how; None where it did neither.

    Whether a deviation was declared is no difference in what was done.
    """
    if result.verdict in _SILENT:
        return None
    if result.verdict in FAILING or result.verdict == "known":
        return "deviates", result.cause or result.outcome
    # Of a gradient the spec says nothing where the value is a choice: it fits several.
    return "weak" if is_weak(result) else "conforms", result.choice if result.quantity == "value" else ""


def alone(results: Sequence[Result]) -> frozenset[str]:
    """Return the keys of results that differ from those of every other backend, all of which are alike.

    Asked the same are those of one case, format and quantity. An answer differs that deviates where the others conform
    (or the other way round), deviates in another way, takes another choice, or is weak where no other is.
    """
    asked: dict[tuple[str, str, str], list[tuple[Result, tuple[str, str]]]] = {}
    for result in results:
        given = answer(result)
        if given:
            asked.setdefault((result.case, result.format, result.quantity), []).append((result, given))
    found = set[str]()
    for theirs in asked.values():
        counts = Counter(given for _, given in theirs)
        if len(theirs) < LEAST or len(counts) != 2:
            continue
        (usual, _), (odd, times) = counts.most_common()
        # To be closer than all others is nothing to look into.
        if times == 1 and not (usual[0] == "weak" and odd == ("conforms", usual[1])):
            found.update(result.key for result, given in theirs if given == odd)
    return frozenset(found)
