"""Results that belong together, each group with its count and its simplest example: causes, deviations, gaps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lossparity.record import CaseLine, Record, Result
from lossparity_reports.address import address
from lossparity_reports.figures import decimal, short
from lossparity_reports.summary import FAILING, is_weak

__all__ = ["Failure", "Group", "Groups", "gather"]

_MOST_FAILURES = 50
_BLAMED = ("native", "target")  # whose failures are their own: listed first


@dataclass(frozen=True)
class Group:
    """Some results of one name: how many, of which backends and origins, the simplest one and where it is shown."""

    name: str
    text: str
    verdicts: tuple[tuple[str, int], ...]
    count: int
    backends: tuple[tuple[str, int], ...]
    origins: tuple[str, ...]
    example: str
    example_address: str
    address: str


@dataclass(frozen=True)
class Failure:
    """One unexplained failure as a line: what, whose, and the numbers of its worst element."""

    result: Result
    address: str
    got: str
    exact: str
    where: str
    ulp: str
    bound_used: str


@dataclass(frozen=True)
class Groups:
    """Everything the page lists in groups; `failures` holds at most 50 of `failing`."""

    failing: int
    failures: tuple[Failure, ...]
    causes: tuple[Group, ...]
    deviations: tuple[Group, ...]
    weak: tuple[Group, ...]
    absent: tuple[Group, ...]


def gather(record: Record) -> Groups:
    """Group a record's results."""
    results = record.results
    sizes = {case.id: _elements(case) for case in record.cases}

    def simplest(result: Result) -> tuple[int, int, str]:
        # A small input and few parameters are the quickest to understand.
        return (sizes.get(result.case, 0), len(result.check), result.check)

    def grouped(
        members: Iterable[Result], name: Callable[[Result], str], parts: Callable[[Result], dict[str, str]]
    ) -> tuple[Group, ...]:
        named: dict[str, list[Result]] = {}
        for result in members:
            named.setdefault(name(result), []).append(result)
        groups = [_group(key, found, min(found, key=simplest), parts) for key, found in named.items()]
        return tuple(sorted(groups, key=lambda g: (not set(g.origins) & set(_BLAMED), "manual" in g.origins, -g.count)))

    failing = [r for r in results if r.verdict in FAILING]
    deviating = [r for r in results if r.verdict in ("known", "stale")]
    return Groups(
        failing=len(failing),
        failures=tuple(
            _failure(r) for r in sorted(failing, key=lambda r: (r.origin not in _BLAMED, simplest(r)))[:_MOST_FAILURES]
        ),
        causes=grouped(
            failing, lambda r: r.cause or r.message or "no diagnosis", lambda r: {**_said(r), "verdict": "failing"}
        ),
        deviations=grouped(deviating, lambda r: r.deviation or "no id", lambda r: {"deviation": r.deviation}),
        weak=grouped(filter(is_weak, results), lambda r: r.format, lambda r: {"verdict": "weak", "format": r.format}),
        absent=grouped(
            (r for r in results if r.verdict in ("unsupported", "unavailable")),
            lambda r: r.message or "no reason recorded",
            lambda r: {"message": r.message, "verdict": r.verdict},
        ),
    )


def _group(key: str, members: Sequence[Result], example: Result, parts: Callable[[Result], dict[str, str]]) -> Group:
    text = " \N{EN DASH} ".join(dict.fromkeys(t for t in (example.cause, example.message) if t and t != key))
    return Group(
        name=key,
        text=text,
        verdicts=tuple(Counter(r.verdict for r in members).most_common()),
        count=len(members),
        backends=tuple(Counter(r.backend for r in members).most_common()),
        origins=tuple(dict.fromkeys(r.origin for r in members if r.origin)),
        example=example.check,
        example_address=address(check=example.check),
        address=address(**parts(example)),
    )


def _elements(case: CaseLine) -> int:
    return sum(math.prod(array.shape) for array in case.inputs.values())


def _said(result: Result) -> dict[str, str]:
    return {"cause": result.cause} if result.cause else {"message": result.message}


def _failure(result: Result) -> Failure:
    worst = result.worst
    return Failure(
        result=result,
        address=address(check=result.check),
        got=decimal(worst.got, result.format) if worst else "",
        exact=decimal(worst.exact, result.format, exact=True) if worst else "",
        where=(str(worst.index) if worst.index else "scalar") if worst else "",
        ulp=short(result.ulp),
        bound_used=short(result.bound_used),
    )
