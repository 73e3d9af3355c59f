"""Annotations of GitHub Actions: workflow commands, which act when they are printed on standard output.

GitHub shows ten of a kind a step: an error a cause, the framework's own first, and a warning a known deviation that is
gone; of more than ten the last says how many more there are. Each is at the line of its simplest case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from lossparity.plain import cut, line, visible
from lossparity.record import CaseLine, Record, Result
from lossparity_reports.groups import Group, gather
from lossparity_reports.particulars import particulars, place, trouble

__all__ = ["advised", "commands", "numbered", "stale"]

_SHOWN = 10  # of a kind
_TITLE, _MESSAGE = 200, 8000  # characters, below GitHub's 255 and 64 KB


def commands(record: Record) -> list[str]:
    """Return the commands, a line each, at most ten errors and ten warnings."""
    cases = {(case.id, case.format): case for case in record.cases}
    results = {result.key: result for result in record.results}

    def at(kind: str, title: str, said: Iterable[str], result: Result) -> str:
        case = cases.get((result.case, result.format))
        message = "\n".join([*map(line, said), line(result.key), *particulars(result, case)])
        return _command(kind, title, message, case)

    def of_cause(group: Group) -> str:
        whose = ", ".join(f"{backend} {count}" for backend, count in group.backends)
        title = f"{group.name}, {numbered(group.count, 'result')}"
        return at("error", title, [group.text, whose, *advised(group)], results[group.example_key])

    def of_gone(name: str, own: list[Result]) -> str:
        return at("warning", f"the known deviation {name} is gone, {numbered(len(own), 'result')}", [], own[0])

    wrong = trouble(record)
    errors: list[Callable[[], str]] = [lambda: _command("error", wrong.name, wrong.said)] if wrong else []
    errors += [partial(of_cause, group) for group in gather(record).causes]
    warnings: list[Callable[[], str]] = [partial(of_gone, name, own) for name, own in stale(record).items()]
    return [*_shown("error", errors), *_shown("warning", warnings)]


def stale(record: Record) -> dict[str, list[Result]]:
    """Return the results of each known deviation that are no longer as it is declared, by its id."""
    gone: dict[str, list[Result]] = {}
    for result in record.results:
        if result.verdict == "stale":
            gone.setdefault(result.deviation or "without an id", []).append(result)
    return gone


def advised(group: Group) -> list[str]:
    """Return what there is to know of a cause before somebody is blamed for it."""
    lines = [f"intended? judge by it: {group.advice}"] if group.advice else []
    return [*lines, "the framework's own function fails there too"] if group.shared else lines


def numbered(count: int, one: str) -> str:
    """Return a number and its noun."""
    return f"{count} {one}{'s' * (count != 1)}"


def _shown(kind: str, found: list[Callable[[], str]]) -> list[str]:
    if len(found) <= _SHOWN:
        return [made() for made in found]
    more = len(found) - _SHOWN + 1
    last = _command(kind, f"{more} more", f"{more} more of this kind: see the summary or the page")
    return [*(made() for made in found[: _SHOWN - 1]), last]


def _command(kind: str, title: str, message: str, case: CaseLine | None = None) -> str:
    file, number = place(case)
    given = {"file": line(file), "line": number, "title": line(title, _TITLE)}
    properties = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    return f"::{kind} {properties}::{_data(cut(visible(message), _MESSAGE))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
