"""A comparison as text: what differs around the results, every kind with its worst, and how it ends."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator

import click

from lossparity.changes.comparison import Comparison
from lossparity.changes.kinds import KINDS, Change
from lossparity.console import wrapped
from lossparity.marked import Pace, Paces
from lossparity.quantities import interval, ratio, seconds
from lossparity.record import Record, Result

__all__ = ["printed"]

_MOST = 10  # of a kind
_LONGEST = 300  # characters of a message
# Kinds of which the message says why; of the others the verdict, grade and distance do.
_WITH_MESSAGE = ("failing", "unjudged", "added-failing", "deviating", "verdict")


def printed(found: Comparison, regressions: Collection[str] | None, base: str, new: str) -> str:
    """Say what changed; `base` and `new` are the names of the records.

    `regressions` are the kinds that are some; where it is None, nothing is called one.
    """
    lines = [*_lines(found, regressions or (), base, new)]
    return "\n".join(lines if regressions is None else [*lines, _ending(found, regressions)])


def _lines(found: Comparison, regressions: Collection[str], base: str, new: str) -> Iterator[str]:
    yield from _record("base", base, found.base)
    yield from _record("new ", new, found.new)
    for name, (was, now) in found.headers.items():
        yield f"{name}: {was or 'not said'} → {now or 'not said'}"
    for pair in found.pairs:
        if pair.base and pair.new:
            named = pair.base if pair.base == pair.new else f"{pair.base} → {pair.new}"
            settings = (
                f"{name} {was or '(none)'} → {now or '(none)'}" for name, (was, now) in found.settings[pair].items()
            )
            yield from wrapped(f"{named}: {', '.join(settings) or 'the same environment'}", "  ", "")
    for side, names in (
        ("base", [pair.base for pair in found.pairs if not pair.new]),
        ("new", [pair.new for pair in found.pairs if not pair.base]),
    ):
        if names:
            yield from wrapped(f"only in {side}: {', '.join(names)} (--map OLD=NEW compares two by name)", "  ", "")
    for kind in KINDS:
        changes = [change for change in found.changes if change.kind == kind]
        if changes:
            yield ""
            yield from _kind(kind, changes, marked=kind in regressions)
    yield ""
    yield from _times(found.paces, regressions)
    if found.compared or not found.paces.compared:
        yield f"{found.compared} results compared, {found.unchanged} of them unchanged"


def _record(side: str, name: str, record: Record) -> Iterator[str]:
    held = [f"{len(record.results)} results"] if record.results or not record.speeds else []
    held += [f"{len(record.speeds)} times"] if record.speeds else []
    yield f"{side} {name}: {', '.join(held)}, {record.header.started}"
    if not record.complete:
        why = record.broken or "it has no last line, so the run was stopped"
        yield from wrapped(click.style(f"incomplete: {why}", bold=True), "       ", "     ")


def _times(found: Paces, regressions: Collection[str]) -> Iterator[str]:
    for kind in KINDS:
        paces = [pace for pace in found.changes if pace.kind == kind]
        if paces:
            yield _head(kind, len(paces), marked=kind in regressions)
            yield from (line for pace in paces[:_MOST] for line in _pace(pace))
            yield from _more(len(paces))
            yield ""
    if found.apart:
        yield from wrapped(f"{found.apart} times not comparable: {found.reason}", "  ", "")
    if found.compared:
        yield f"{found.compared} times compared, {found.unchanged} of them the same"


def _pace(pace: Pace) -> Iterator[str]:
    yield f"  {pace.after.key}"
    was, now = (seconds(one.median) if one.median is not None else "none" for one in (pace.before, pace.after))
    by = f": {ratio(pace.ratio.ratio)} ({interval(pace.ratio.low, pace.ratio.high)})" if pace.ratio else ""
    yield f"    {was} → {now}{by}"
    if pace.reason:
        yield from wrapped(textwrap.shorten(pace.reason, _LONGEST, placeholder=" …"), "    ")


def _kind(kind: str, changes: list[Change], *, marked: bool) -> Iterator[str]:
    yield _head(kind, len(changes), marked=marked)
    for change in changes[:_MOST]:
        yield f"  {change.key}"
        yield f"    {_moved(change.before, change.after)}"
        message = change.reason or (change.after.message if change.after and kind in _WITH_MESSAGE else "")
        if message:
            yield from wrapped(textwrap.shorten(message, _LONGEST, placeholder=" …"), "    ")
    yield from _more(len(changes))


def _head(kind: str, number: int, *, marked: bool) -> str:
    said = f"{number} {KINDS[kind].said}"
    return click.style(f"{said} (regression)", fg="red") if marked else click.style(said, bold=True)


def _more(number: int) -> Iterator[str]:
    if number > _MOST:
        yield f"  … and {number - _MOST} more (--json has all)"


def _moved(before: Result | None, after: Result | None) -> str:
    if before and after and before.verdict == after.verdict:
        told = _told(before), _told(after)
        return f"{before.verdict}: {told[0] or 'no number'} → {told[1] or 'no number'}" if any(told) else before.verdict
    return f"{_side(before)} → {_side(after)}"


def _side(result: Result | None) -> str:
    if result is None:
        return "none"
    told = _told(result)
    return f"{result.verdict} ({told})" if told else result.verdict


def _told(result: Result) -> str:
    parts = [result.choice, result.cause, result.grade]
    if result.ulp is not None:
        parts.append(f"{result.ulp:.3g} ulp")
    if result.bound_used is not None:
        parts.append(f"{result.bound_used:.3g} times the bound")
    return ", ".join(part for part in parts if part)


def _ending(found: Comparison, regressions: Collection[str]) -> str:
    counts = {kind: found.counts[kind] for kind in KINDS if kind in regressions and found.counts[kind]}
    told = [f"{number} {KINDS[kind].said}" for kind, number in counts.items()]
    told += [f"{found.paces.apart} times not comparable"] if found.paces.apart and "incomparable" in regressions else []
    if told:
        return click.style(f"regression: {', '.join(told)}", fg="red")
    return "no regression" if found.compared or found.paces.compared else "nothing could be compared"
