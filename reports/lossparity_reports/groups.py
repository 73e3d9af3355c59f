"""Results that belong together, each group with its count and its simplest example: causes, deviations, gaps."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from lossparity.framework import BLAMED, MANUAL
from lossparity.record import CaseLine, Record, Result
from lossparity_reports.address import address
from lossparity_reports.causes import Found, found
from lossparity_reports.commands import Commands
from lossparity_reports.examples import bound, inputs, numbers
from lossparity_reports.figures import decimal, short
from lossparity_reports.summary import FAILING, is_weak

__all__ = ["Failure", "Group", "Groups", "gather"]

_MOST_FAILURES = 50


@dataclass(frozen=True)
class Group:
    """Some results of one name: how many, of which backends and origins, the simplest one and where it is shown.

    Of a cause, `near` is how near the explanation comes to that one in ulp, `advice` what judges by its convention, and
    `shared` whether the framework's own function fails at all of them too. `command` repeats the simplest failure, and
    `said` is what was said of it; `inputs`, `numbers` and `bound` are of `lossparity_reports.examples`.
    """

    name: str
    text: str
    verdicts: tuple[tuple[str, int], ...]
    count: int
    backends: tuple[tuple[str, int], ...]
    origins: tuple[str, ...]
    example: str
    example_address: str
    address: str
    near: str = ""
    advice: str = ""
    shared: bool = False
    example_key: str = ""
    command: str = ""
    said: str = ""
    inputs: str = ""
    numbers: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Failure:
    """One failure as a line: what, whose, its cause or what was said of it, and the numbers of its worst element."""

    result: Result
    said: str
    address: str
    got: str
    exact: str
    where: str
    ulp: str
    bound_used: str


@dataclass(frozen=True)
class Groups:
    """Everything the page lists in groups; `failures` holds at most 50 of `failing`.

    Failures and weak passes are grouped by the causes that the run found. What no cause holds, in a record that is
    incomplete or older than causes, stands in groups of its own: failures by what was said of them, weak passes by
    format.
    """

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
        first = {key: min(theirs, key=simplest) for key, theirs in named.items()}
        groups = [_group(key, theirs, first[key], parts(first[key])) for key, theirs in named.items()]
        return tuple(sorted(groups, key=lambda g: (*_blame(g), -g.count)))

    plain = {(case.id, case.format) for case in record.cases if not case.how}
    cases = {(case.id, case.format): case for case in record.cases}
    commands = Commands.of(record)

    def repeated(group: Group, example: Result) -> Group:
        script = commands.script(example) if (example.case, example.format) in plain else ""
        fails = example.verdict in FAILING
        return replace(
            group,
            command=script or commands.again(example),
            inputs=inputs(cases.get((example.case, example.format))),
            numbers=numbers(example) if fails else "",
            bound=bound(example) if fails else "",
        )

    known = found(record)
    by_key = {r.key: r for r in results}
    held = {r.key: one.cause.id for one in known for r in one.results}
    failing = [r for r in results if r.verdict in FAILING]
    deviating = [r for r in results if r.verdict in ("known", "stale")]
    return Groups(
        failing=len(failing),
        failures=tuple(
            _failure(r, held.get(r.key, ""))
            for r in sorted(failing, key=lambda r: (r.origin not in BLAMED, simplest(r)))[:_MOST_FAILURES]
        ),
        causes=tuple(
            repeated(group, by_key[group.example_key])
            for group in (
                *_of_causes(one for one in known if one.cause.failing),
                *grouped(
                    (r for r in failing if r.key not in held),
                    lambda r: r.cause or r.message or "no diagnosis",
                    lambda r: {**_said(r), "verdict": "failing"},
                ),
            )
        ),
        deviations=grouped(deviating, lambda r: r.deviation or "no id", lambda r: {"deviation": r.deviation}),
        weak=(
            *_of_causes(one for one in known if not one.cause.failing),
            *grouped(
                (r for r in results if is_weak(r) and r.key not in held),
                lambda r: f"only the loose bound admits it, in {r.format}",
                lambda r: {"verdict": "weak", "format": r.format},
            ),
        ),
        absent=grouped(
            (r for r in results if r.verdict in ("unsupported", "unavailable")),
            lambda r: r.message or "no reason recorded",
            lambda r: {"message": r.message, "verdict": r.verdict},
        ),
    )


def _of_causes(causes: Iterable[Found]) -> list[Group]:
    """Group by cause: what is blamed on its origin first, then what is explained, and lost gradients before others."""
    groups: list[tuple[tuple[object, ...], Group]] = []
    for one in causes:
        plain = _group(one.cause.id, one.results, one.results[0], {"diagnosis": one.cause.id})
        ulp, convention = one.cause.ulp, one.cause.convention
        group = replace(
            plain,
            text=one.cause.said,
            said=one.results[0].message if one.cause.failing and one.results[0].message != one.cause.said else "",
            near="" if ulp is None else short(ulp),
            advice=f"--convention {shlex.quote(convention)}" if convention else "",
            shared=one.shared,
        )
        lost = any(r.zeroed for r in one.results)
        groups.append(((*_blame(group), one.shared, not one.named, not lost, -group.count), group))
    return [group for _, group in sorted(groups, key=lambda pair: pair[0])]


def _blame(group: Group) -> tuple[bool, bool]:
    return not set(group.origins) & set(BLAMED), MANUAL in group.origins


def _group(key: str, members: Sequence[Result], example: Result, parts: dict[str, str]) -> Group:
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
        address=address(**parts),
        example_key=example.key,
    )


def _elements(case: CaseLine) -> int:
    return sum(math.prod(array.shape) for array in case.inputs.values())


def _said(result: Result) -> dict[str, str]:
    return {"cause": result.cause} if result.cause else {"message": result.message}


def _failure(result: Result, cause: str) -> Failure:
    worst = result.worst
    return Failure(
        result=result,
        said=" \N{EN DASH} ".join(t for t in (cause, result.message) if t) or result.cause,
        address=address(check=result.check),
        got=decimal(worst.got, result.format) if worst else "",
        exact=decimal(worst.exact, result.format, exact=True) if worst else "",
        where=(str(worst.index) if worst.index else "scalar") if worst else "",
        ulp=short(result.ulp),
        bound_used=short(result.bound_used),
    )
