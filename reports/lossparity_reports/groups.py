"""Results that belong together, each group with its count and its simplest example: causes, deviations, gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lossparity.record import Result
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


def gather(results: Sequence[Result]) -> Groups:
    """Group a record's results."""
    failing = [r for r in results if r.verdict in FAILING]
    deviating = [r for r in results if r.verdict in ("known", "stale")]
    return Groups(
        failing=len(failing),
        failures=tuple(
            _failure(r) for r in sorted(failing, key=lambda r: (r.origin not in _BLAMED, _simplest(r)))[:_MOST_FAILURES]
        ),
        causes=_group(
            failing, lambda r: r.cause or r.message or "no diagnosis", lambda r: {**_said(r), "verdict": "failing"}
        ),
        deviations=_group(deviating, lambda r: r.deviation or "no id", lambda r: {"deviation": r.deviation}),
        weak=_group(filter(is_weak, results), lambda r: r.format, lambda r: {"verdict": "weak", "format": r.format}),
        absent=_group(
            (r for r in results if r.verdict in ("unsupported", "unavailable")),
            lambda r: r.message or "no reason recorded",
            lambda r: {"message": r.message, "verdict": r.verdict},
        ),
    )


def _group(
    results: Iterable[Result], name: Callable[[Result], str], parts: Callable[[Result], dict[str, str]]
) -> tuple[Group, ...]:
    named: dict[str, list[Result]] = {}
    for result in results:
        named.setdefault(name(result), []).append(result)
    groups = []
    for key, members in named.items():
        example = min(members, key=_simplest)
        text = " \N{EN DASH} ".join(dict.fromkeys(t for t in (example.cause, example.message) if t and t != key))
        groups.append(
            Group(
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
        )
    return tuple(sorted(groups, key=lambda g: -g.count))


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


def _simplest(result: Result) -> tuple[int, int, str]:
    # A small result of a case with few parameters is the quickest to understand.
    size = 1
    for extent in result.shape:
        size *= extent
    return (size, len(result.check), result.check)
