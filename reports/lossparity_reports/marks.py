"""What the changes of a result come to: regressed, fixed or changed otherwise, against another record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import msgspec

from lossparity.marked import Against, Marked, Moved
from lossparity.record import Record, Result
from lossparity_reports.address import suite_of

__all__ = ["CHANGED", "FIXED", "REGRESSED", "Marks", "marks"]

REGRESSED, FIXED, CHANGED = "regressed", "fixed", "changed"
_SIGNS = (REGRESSED, FIXED, CHANGED)
_FIXED = "passing"  # the kind of what failed or deviated, and conforms
# What a comparison shows of a result of BASE; the rest is the same on both sides, or would say too much.
_BESIDE = ("verdict", "grade", "ulp", "bound_used", "choice", "deviation", "cause", "message")
_ONLY = ("check", "quantity", "case", "clause", "basis", "operation", "backend", "format", "origin", "api", *_BESIDE)

Name = tuple[str, bool]
"""The key of a result that changed, and whether BASE alone holds it: a key of BASE may be another backend's in NEW."""


class Marks:
    """The changes of a record by result, each as one of three signs."""

    def __init__(self, against: Against) -> None:
        """Take what changed since another record."""
        self.against = against
        self._kinds = {kind.name: kind for kind in (*against.kinds, *against.pace_kinds)}

    def sign(self, kind: str) -> str:
        """Return the sign of one kind of change."""
        if self._kinds[kind].regression:
            return REGRESSED
        return FIXED if kind == _FIXED else CHANGED

    @cached_property
    def signs(self) -> dict[Name, str]:
        """The sign of every result that changed, by its name: the gravest, where it changed in two ways."""
        found: dict[Name, str] = {}
        for one in self.against.changes:
            name, sign = _name(one), self.sign(one.kind)
            found[name] = min(found.get(name, sign), sign, key=_SIGNS.index)
        return found

    @cached_property
    def cells(self) -> dict[tuple[str, str, str], list[tuple[str, str]]]:
        """What to say in a cell of the matrix, as (sign, words), by suite, clause (or "") and backend of NEW."""
        columns = {side.base: side.new for side in self.against.sides if side.base}
        counted: dict[tuple[str, str, str], Counter[str]] = {}
        for name, result in {_name(one): one.after or one.before for one in self.against.changes}.items():
            if result is None:
                continue
            backend = columns.get(result.backend, "") if name[1] else result.backend
            suite = suite_of(result.case)
            for clause in ("", result.clause):
                counted.setdefault((suite, clause, backend), Counter())[self.signs[name]] += 1
        return {
            cell: [(sign, f"{signs[sign]} {sign}") for sign in _SIGNS if signs[sign]] for cell, signs in counted.items()
        }

    def of_result(self, result: Result) -> dict[str, Any]:
        """Return what the page's script reads of a result of NEW beside its own keys.

        `change` are the kinds of its changes, `reason` why it cannot be compared, `before` what BASE has where that
        differs, and `apart` is there where it was not looked at.
        """
        if result.key not in self.against.scope:
            return {"apart": True}
        before, changes = self.against.before.get(result.key), self._by_key.get(result.key, [])
        found: dict[str, Any] = {}
        if changes:
            found["change"] = [one.kind for one in changes]
        if reason := "".join(one.reason for one in changes):
            found["reason"] = reason
        if before and (was := _part(before, _BESIDE)) != _part(result, _BESIDE):
            found["before"] = was
        return found

    def for_script(self) -> dict[str, Any]:
        """Return what the page's script reads of the whole: the name of BASE, the kinds, and what only BASE holds."""
        return {
            "name": self.against.name,
            "kinds": [{"name": k.name, "said": k.said, "sign": self.sign(k.name)} for k in self.against.kinds],
            "gone": [
                {**_part(was, _ONLY), "suite": suite_of(was.case), "change": [one.kind], "gone": one.reason}
                for one, was in self.against.gone
            ],
        }

    @cached_property
    def _by_key(self) -> Mapping[str, list[Moved]]:
        found: dict[str, list[Moved]] = {}
        for one in self.against.changes:
            if one.after:
                found.setdefault(one.after.key, []).append(one)
        return found


def marks(record: Record) -> Marks | None:
    """Return the marks of a record; None where it stands beside no other."""
    return Marks(record.against) if isinstance(record, Marked) else None


def _name(one: Moved) -> Name:
    result = one.after or one.before
    return result.key if result else "", one.after is None


def _part(result: Result, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(result).items() if name in names}
