"""A record beside another one: what a comparison hands to the reports.

`BASE` is the record that another one is put beside, as in `lossparity compare BASE NEW`. The comparison itself is
`lossparity.changes`, which no report sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lossparity.record import Header, Interval, Record, Result, Speed

__all__ = ["Against", "Kind", "Marked", "Moved", "Pace", "Paces", "Side"]


@dataclass(frozen=True)
class Kind:
    """A kind of change: its name, what is said of so many results, and whether it is a regression here."""

    name: str
    said: str
    regression: bool


@dataclass(frozen=True)
class Moved:
    """A result before and after, one of which may be none; `kind` is a kind's name, `reason` why it is not there."""

    kind: str
    before: Result | None
    after: Result | None
    reason: str = ""


@dataclass(frozen=True)
class Pace:
    """A pass of a check as BASE and NEW time it; `kind` is a kind's name, or `same`.

    `ratio` is of the time in NEW to that in BASE, above 1 for slower; None where there is none. `reason` says what is
    not in them.
    """

    kind: str
    before: Speed
    after: Speed
    ratio: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class Paces:
    """What changed in the times: those of one kind after those of another, each with the largest ratio first.

    `compared` are the pairs of one job, `unchanged` those of them that are the same, and `apart` the pairs that no job
    has both of, for `reason`.
    """

    changes: tuple[Pace, ...] = ()
    compared: int = 0
    unchanged: int = 0
    apart: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Side:
    """The names of a backend in BASE and in NEW, one empty where it has none, and what differs in their environments.

    `differs` holds (before, after) by name.
    """

    base: str
    new: str
    differs: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Against:
    """What changed since BASE.

    `name` is what BASE is called, `header` its first line, `incomplete` why it is incomplete, and `held` how many of
    its results were looked at. `kinds` are all there are, and `changes` the results that have one, in the order of the
    kinds and then the worst first; a result has two where its choice changed too. `scope` holds the keys of the results
    of NEW that were looked at, `before` what BASE has of each, `compared` counts those on both sides and of the same
    inputs, and `headers` says what differs between the records as a whole: (before, after) by name. `paces` is
    what changed in the times, of the kinds `pace_kinds`.
    """

    name: str
    header: Header
    incomplete: str
    held: int
    kinds: tuple[Kind, ...]
    changes: tuple[Moved, ...]
    scope: frozenset[str]
    before: Mapping[str, Result]
    compared: int
    unchanged: int
    sides: tuple[Side, ...]
    headers: Mapping[str, tuple[str, str]]
    paces: Paces
    pace_kinds: tuple[Kind, ...]

    @cached_property
    def gone(self) -> tuple[tuple[Moved, Result], ...]:
        """What only BASE holds: the change, and the result there."""
        return tuple((one, one.before) for one in self.changes if one.before and not one.after)


@dataclass
class Marked(Record):
    """A record, NEW, with what changed since another one."""

    against: Against = field(kw_only=True)
