"""What the page's script reads: the record's results and cases, and the words' meanings, as compressed JSON."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from lossparity.formats import FORMATS
from lossparity.record import CaseLine, Record, Result
from lossparity.spec import CLAUSES
from lossparity_reports import legend
from lossparity_reports.alone import alone
from lossparity_reports.causes import found
from lossparity_reports.choices import left_open
from lossparity_reports.commands import Commands
from lossparity_reports.figures import digits
from lossparity_reports.marks import marks
from lossparity_reports.summary import FAILING

__all__ = ["columns", "pack", "packed"]


def pack(record: Record) -> str:
    """Return gzip in base64; its alphabet holds nothing that HTML could read as markup."""
    cases = {(c.id, c.format): c for c in record.cases}
    causes = found(record)
    named = {r.key: one.cause.id for one in causes for r in one.results}
    changed = marks(record)
    sets = {"alone": alone(record.results), "open": frozenset(r.key for r in left_open(record.results))}
    content = {
        "results": columns(
            [
                _result(r, cases.get((r.case, r.format)), named.get(r.key))
                | ({"only": only} if (only := [name for name, keys in sets.items() if r.key in keys]) else {})
                | (changed.of_result(r) if changed else {})
                for r in record.results
            ]
        ),
        "against": changed.for_script() if changed else None,
        "causes": [{"id": c.id, "said": c.said, "convention": c.convention} for c in (one.cause for one in causes)],
        "scripts": [msgspec.to_builtins(s) for s in record.scripts],
        "commands": asdict(Commands.of(record)),
        "cases": [msgspec.to_builtins(msgspec.structs.replace(c, logits=None)) for c in record.cases],
        "threshold": record.header.threshold,
        "vocabulary": {
            "failing": sorted(FAILING),
            "verdicts": legend.VERDICTS,
            "grades": legend.GRADES,
            "origins": legend.ORIGINS,
            "tiers": legend.TIERS,
            "kinds": legend.KINDS,
            "bases": legend.BASES,
            "bounds": legend.BOUNDS,
            "clauses": {c.id: msgspec.to_builtins(c) for c in CLAUSES.values()},
            "formats": {
                f.name: {"digits": digits(f), "precision": f.precision, "emin": f.emin, "bits": f.bits}
                for f in FORMATS.values()
            },
        },
    }
    return packed(content)


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows by their names, each with a list of all rows' values, null where a row has none.

    Texts are `of` and `at` instead: the different ones, and of each row the place among them. A browser reads this in
    half the time of the rows, as assets/payload.js does.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(values: list[Any]) -> list[Any] | dict[str, Any]:
    if not all(value is None or isinstance(value, str) for value in values):
        return values
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return {"of": list(places), "at": [places[value] for value in values]}


def packed(content: object) -> str:
    """Return JSON as gzip in base64, as assets/elements.js inflates it."""
    # The sixth level takes a third of the time of the ninth, for a twentieth more.
    return base64.b64encode(gzip.compress(msgspec.json.encode(content), 6, mtime=0)).decode("ascii")


def _result(result: Result, case: CaseLine | None, diagnosis: str | None) -> dict[str, Any]:
    """Return a result as a mapping without what follows from the rest, or stands in its case: see assets/payload.js.

    Exact values that stand in its case are replaced by the choice they stand under.
    """
    content: dict[str, Any] = msgspec.to_builtins(result)
    content.pop("histogram", None)  # the charts have it, added up
    for name, told in _told(result, case).items():
        content[name] = own = getattr(result, name)
        if own == told:
            del content[name]
    if diagnosis is not None:
        content["diagnosis"] = diagnosis
    window = result.got
    if window is not None and case is not None:
        for choice, known in case.exact.get(result.quantity, {}).items():
            if known.values[window.start : window.start + len(window.exact)] == window.exact:
                content["got"]["exact"] = choice
                break
    return content


def _told(result: Result, case: CaseLine | None) -> dict[str, str]:
    """Return what the page's script fills in where a result does not say otherwise."""
    names = {"check": f"{result.case}/{result.format}@{result.backend}"}
    if case is not None:
        names |= {"clause": case.clause, "operation": case.operation, "input_hash": case.input_hash}
    return names
