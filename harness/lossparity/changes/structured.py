"""A comparison as JSON; docs/comparing.md lists the keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from lossparity.changes.comparison import Comparison
from lossparity.changes.kinds import KINDS, Change
from lossparity.marked import Pace
from lossparity.record import Record, Result, Speed

__all__ = ["FORMAT_VERSION", "structured"]

FORMAT_VERSION = 1

_OF_A_RESULT = (
    "check",
    "backend",
    "verdict",
    "grade",
    "ulp",
    "bound_used",
    "choice",
    "cause",
    "deviation",
    "input_hash",
    "message",
)


def structured(found: Comparison, regressions: Collection[str], base: str, new: str) -> str:
    """Return a comparison as one JSON object; arguments as those of `printed`."""
    told = {
        "format_version": FORMAT_VERSION,
        "base": _record(base, found.base),
        "new": _record(new, found.new),
        "backends": [
            {"base": pair.base or None, "new": pair.new or None, "differs": found.settings.get(pair, {})}
            for pair in found.pairs
        ],
        "fail_on": [kind for kind in KINDS if kind in regressions],
        "compared": found.compared,
        "unchanged": found.unchanged,
        "counts": {kind: found.counts[kind] for kind in KINDS},
        "changes": [_change(change, change.kind in regressions) for change in found.changes],
        "times": _times(found, regressions),
        "exit_code": found.exit_code(regressions),
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _record(path: str, record: Record) -> dict[str, Any]:
    header = record.header
    return {
        "path": path,
        "started": header.started,
        "lossparity": header.lossparity,
        "suite_hash": header.suite_hash,
        "threshold": header.threshold,
        "complete": record.complete,
        "broken": record.broken,
        "results": len(record.results),
        "times": len(record.speeds),
    }


def _change(change: Change, regression: bool) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "regression": regression,
        "key": change.key,
        "base": _result(change.before),
        "new": _result(change.after),
        "reason": change.reason,
    }


def _times(found: Comparison, regressions: Collection[str]) -> dict[str, Any]:
    times = found.paces
    return {
        "compared": times.compared,
        "unchanged": times.unchanged,
        "not_comparable": times.apart,
        "reason": times.reason,
        "changes": [_pace(one, one.kind in regressions) for one in times.changes],
    }


def _pace(pace: Pace, regression: bool) -> dict[str, Any]:
    return {
        "kind": pace.kind,
        "regression": regression,
        "key": pace.after.key,
        "base": _speed(pace.before),
        "new": _speed(pace.after),
        "ratio": msgspec.to_builtins(pace.ratio),
        "reason": pace.reason,
    }


def _speed(speed: Speed) -> dict[str, Any]:
    told = ("job", "check", "timed", "backend", "median", "refused")
    return {name: getattr(speed, name) for name in told}


def _result(result: Result | None) -> dict[str, Any] | None:
    return {name: getattr(result, name) for name in _OF_A_RESULT} if result else None
