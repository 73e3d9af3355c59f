"""The section that says what changed since another record: how much of each kind, and what differs around it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lossparity.marked import Against, Moved, Pace, Side
from lossparity.plain import line
from lossparity.quantities import interval, ratio, seconds
from lossparity.record import Header, Record, Result
from lossparity_reports.address import address
from lossparity_reports.figures import short
from lossparity_reports.marks import CHANGED, FIXED, REGRESSED, Marks, marks

__all__ = ["Backend", "Fact", "Gone", "Paced", "Section", "Sort", "section"]

_MOST_GONE = 50
_LONGEST = 300  # characters of a message


@dataclass(frozen=True)
class Sort:
    """The results of one kind of change: its sign, how many, their address, and the worst of them before and after."""

    sign: str
    said: str
    regression: bool
    count: int
    address: str
    worst: str
    worst_address: str
    before: str
    after: str
    why: str


@dataclass(frozen=True)
class Fact:
    """Something of both records; `differs` marks what ought to be the same."""

    name: str
    before: str
    after: str
    differs: bool = False


@dataclass(frozen=True)
class Backend:
    """What a backend is called in both records, and what is not the same in its environment."""

    before: str
    after: str
    said: str


@dataclass(frozen=True)
class Gone:
    """A result that only BASE holds."""

    key: str
    address: str
    before: str
    reason: str


@dataclass(frozen=True)
class Paced:
    """A time that changed: sign and kind, key, both medians, the ratio with its interval, and what else is known."""

    sign: str
    said: str
    regression: bool
    key: str
    before: str
    after: str
    ratio: str
    interval: str
    reason: str


@dataclass(frozen=True)
class Section:
    """All that the section says; of `gone`, what only BASE holds, at most 50 of `removed`.

    `state` is regressed, changed, same, or empty where nothing was compared and nothing regressed; `cells` is what the
    matrix says; `removed_address` lists what is gone; `paced` are the times that changed, `times` sums them up.
    """

    name: str
    state: str
    sentence: str
    notes: tuple[str, ...]
    sorts: tuple[Sort, ...]
    facts: tuple[Fact, ...]
    backends: tuple[Backend, ...]
    removed: int
    removed_address: str
    gone: tuple[Gone, ...]
    cells: dict[tuple[str, str, str], list[tuple[str, str]]]
    paced: tuple[Paced, ...]
    times: str


def section(record: Record) -> Section | None:
    """Return what to say of a record beside another one; None where it stands beside none."""
    found = marks(record)
    if found is None:
        return None
    against, signs = found.against, Counter(found.signs.values())
    times = _times(found)
    of_results = _sentence(against, signs)
    only_times = bool(times) and not against.held and not record.results
    regressed = signs[REGRESSED] or any(found.sign(one.kind) == REGRESSED for one in against.paces.changes)
    compared, changed = against.compared or against.paces.compared, signs or against.paces.changes
    return Section(
        name=against.name,
        state="regressed" if regressed else "empty" if not compared else "changed" if changed else "same",
        sentence=f"Against {against.name}: {times}" if only_times else f"{of_results} {times}".strip(),
        notes=_notes(against, record),
        sorts=_sorts(found),
        facts=_facts(against, record),
        backends=tuple(map(_backend, against.sides)),
        removed=len(against.gone),
        removed_address=address(change=against.gone[0][0].kind) if against.gone else "",
        gone=tuple(_gone(one, before) for one, before in against.gone[:_MOST_GONE]),
        cells=found.cells,
        paced=tuple(_paced(found, one) for one in against.paces.changes),
        times=times,
    )


def _sentence(against: Against, signs: Counter[str]) -> str:
    if not signs[REGRESSED] and not against.compared:
        counts = Counter(one.kind for one in against.changes)
        told = [f"{counts[kind.name]} {kind.said}" for kind in against.kinds if counts[kind.name]]
        return f"Nothing could be compared with {against.name}{': ' if told else ''}{', '.join(told)}."
    told = [
        f"{signs[REGRESSED]} regressed" if signs[REGRESSED] else "no regression",
        f"{signs[FIXED]} fixed",
        *([f"{signs[CHANGED]} changed otherwise"] if signs[CHANGED] else []),
    ]
    alike = f"{against.unchanged} of {against.compared} compared results did not change"
    return f"Against {against.name}: {', '.join(told)}; {alike}."


def _times(found: Marks) -> str:
    """Say what the times came to; nothing where both records do not have the same ones."""
    paces, told = found.against.paces, []
    if paces.compared:
        counts = Counter(one.kind for one in paces.changes)
        parts = [f"{counts[kind.name]} {kind.said}" for kind in found.against.pace_kinds if counts[kind.name]]
        told.append(f"Of {paces.compared} times {', '.join([*parts, f'{paces.unchanged} the same'])}.")
    if paces.apart:
        told.append(f"{paces.apart} times cannot be compared, {paces.reason}.")
    return " ".join(told)


def _paced(found: Marks, one: Pace) -> Paced:
    kind = next(kind for kind in found.against.pace_kinds if kind.name == one.kind)
    was, now = (seconds(side.median) if side.median is not None else "none" for side in (one.before, one.after))
    return Paced(
        found.sign(one.kind),
        kind.said,
        kind.regression,
        line(one.after.key),
        was,
        now,
        ratio(one.ratio.ratio) if one.ratio else "",
        interval(one.ratio.low, one.ratio.high) if one.ratio else "",
        line(one.reason, _LONGEST),
    )


def _notes(against: Against, record: Record) -> tuple[str, ...]:
    notes = [f"{against.name} is incomplete: {against.incomplete}."] if against.incomplete else []
    if not record.complete:
        notes.append("This record is incomplete: what it does not hold is missing, not removed.")
    apart = len(record.results) - len(against.scope)
    if apart:
        notes.append(f"{apart} of the {len(record.results)} results on this page were left out of the comparison.")
    return tuple(notes)


def _sorts(found: Marks) -> tuple[Sort, ...]:
    sorts = []
    for kind in found.against.kinds:
        changes = [one for one in found.against.changes if one.kind == kind.name]
        if changes:
            worst = changes[0]
            result = worst.after or worst.before
            assert result is not None
            sorts.append(
                Sort(
                    sign=found.sign(kind.name),
                    said=kind.said,
                    regression=kind.regression,
                    count=len(changes),
                    address=address(change=kind.name),
                    worst=result.key,
                    worst_address=address(check=result.check),
                    before=_told(worst.before),
                    after=_told(worst.after),
                    why=line(worst.reason or (worst.after.message if worst.after else ""), _LONGEST),
                )
            )
    return tuple(sorts)


def _told(result: Result | None) -> str:
    """Say what a result was."""
    if result is None:
        return "none"
    parts = [result.verdict, result.choice, result.cause, result.grade]
    parts += [f"{short(result.ulp)} ulp"] if result.ulp is not None else []
    parts += [f"{short(result.bound_used)} of the bound"] if result.bound_used is not None else []
    return ", ".join(part for part in parts if part)


def _facts(against: Against, record: Record) -> tuple[Fact, ...]:
    def fact(name: str, was: str, now: str) -> Fact:
        return Fact(name, was, now, differs=name in against.headers)

    old, new = against.header, record.header
    return (
        fact("started", old.started, new.started),
        fact("command", old.command, new.command),
        *([fact("results", str(against.held), str(len(record.results)))] if against.held or record.results else []),
        fact("complete", "no" if against.incomplete else "yes", "yes" if record.complete else "no"),
        *([fact("part", _part(old), _part(new))] if old.shard or new.shard else []),
        fact("lossparity", old.lossparity, new.lossparity),
        fact("suite", old.suite_hash[:12], new.suite_hash[:12]),
        *([fact("threshold", old.threshold, new.threshold)] if old.threshold or new.threshold else []),
    )


def _part(header: Header) -> str:
    return str(header.shard) if header.shard else "all"


def _backend(side: Side) -> Backend:
    if not side.base or not side.new:
        return Backend(side.base or "none", side.new or "none", "only there" if side.base else "only here")
    said = [
        f"{name} {was or '(none)'} \N{RIGHTWARDS ARROW} {now or '(none)'}" for name, (was, now) in side.differs.items()
    ]
    return Backend(side.base, side.new, ", ".join(said) or "the same environment")


def _gone(one: Moved, before: Result) -> Gone:
    return Gone(before.key, address(check=before.check), _told(before), one.reason)
