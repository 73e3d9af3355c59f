"""A record beside another one: what a comparison hands to the reports.

`BASE` is the record that another one is put beside, as in `lossparity compare BASE NEW`. The comparison itself is
`lossparity.changes`, which no report sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lossparity.record import Header, Record, Result

__all__ = ["Against", "Kind", "Marked", "Moved", "Side"]


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
    inputs, and `headers` says what differs between the records as a whole: (before, after) by name.
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

    @cached_property
    def gone(self) -> tuple[tuple[Moved, Result], ...]:
        """What only BASE holds: the change, and the result there."""
        return tuple((one, one.before) for one in self.changes if one.before and not one.after)


@dataclass
class Marked(Record):
    """A record, NEW, with what changed since another one."""

    against: Against = field(kw_only=True)
