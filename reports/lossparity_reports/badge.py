"""A badge: what an endpoint of shields.io answers, in JSON (https://shields.io/badges/endpoint-badge)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lossparity.record import Record, Speed
from lossparity_reports.output import put
from lossparity_reports.particulars import trouble
from lossparity_reports.summary import FAILING, is_judged

__all__ = ["render", "write"]


def write(record: Record, path: Path) -> None:
    """Write the badge of a record, making its folder; UsageError when that is not possible."""
    put(path, render(record), "the badge")


def render(record: Record) -> str:
    """Return the badge of a record: how many results pass of those judged, how many fail, or why neither is said.

    Of times alone: how many there are, or how many were refused.
    """
    failing = sum(result.verdict in FAILING for result in record.results)
    judged = sum(map(is_judged, record.results))
    passed = sum(result.verdict == "pass" for result in record.results)
    wrong = trouble(record)
    if failing:
        message, color = f"{failing} failing{'' if record.complete else ', incomplete'}", "red"
    elif not record.complete:
        message, color = "incomplete", "lightgrey"
    elif record.speeds and not record.results:
        message, color = _timed(record.speeds)
    elif not judged:
        message, color = "nothing judged", "lightgrey"
    elif wrong and record.footer:
        message, color = f"status {record.footer.exit_code}", "red"
    else:
        message, color = f"{passed} of {judged}", "brightgreen" if passed == judged else "green"
    badge = {"schemaVersion": 1, "label": "lossparity", "message": message, "color": color}
    return json.dumps(badge, indent=1) + "\n"


def _timed(speeds: Sequence[Speed]) -> tuple[str, str]:
    refused, there = sum(bool(one.refused) for one in speeds), sum(one.median is not None for one in speeds)
    if refused:
        return f"{refused} times refused", "red"
    return (f"{there} times", "blue") if there else ("nothing timed", "lightgrey")
