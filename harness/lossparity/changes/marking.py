"""A record with its changes marked, for the reports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from lossparity.changes.aligning import by_backend
from lossparity.changes.comparison import Comparison
from lossparity.changes.kinds import KINDS
from lossparity.marked import Against, Kind, Marked, Moved, Side
from lossparity.record import Record, Result

__all__ = ["marked"]


def marked(record: Record, found: Comparison, regressions: Collection[str], base: str) -> Marked:
    """Return a record, all of NEW, with the changes of a comparison of it, or of a part of it, with BASE.

    `base` is the name of that record, `regressions` the kinds that are some.
    """
    held, asked = by_backend(found.base), by_backend(found.new)
    scope, before = set[str](), dict[str, Result]()
    for pair in found.pairs:
        was = held.get(pair.base, {})
        for key, result in asked.get(pair.new, {}).items():
            scope.add(result.key)
            if key in was:
                before[result.key] = was[key]
    against = Against(
        name=base,
        header=found.base.header,
        incomplete=_incomplete(found.base),
        held=len(found.base.results),
        kinds=_kinds(regressions, timed=False),
        changes=tuple(Moved(one.kind, one.before, one.after, one.reason) for one in found.changes),
        scope=frozenset(scope),
        before=before,
        compared=found.compared,
        unchanged=found.unchanged,
        sides=tuple(Side(pair.base, pair.new, found.settings.get(pair, {})) for pair in found.pairs),
        headers=found.headers,
        paces=found.paces,
        pace_kinds=_kinds(regressions, timed=True),
    )
    return Marked(**{one.name: getattr(record, one.name) for one in fields(Record)}, against=against)


def _kinds(regressions: Collection[str], *, timed: bool) -> tuple[Kind, ...]:
    return tuple(Kind(name, kind.said, name in regressions) for name, kind in KINDS.items() if kind.timed == timed)


def _incomplete(record: Record) -> str:
    return "" if record.complete else record.broken or "it has no last line, so the run was stopped"
