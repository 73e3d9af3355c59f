"""One record of a matrix: what its cells have left put together, versions of a framework beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from lossparity.errors import UnavailableError
from lossparity.matrix.cells import Cell
from lossparity.merging import Merged, merge
from lossparity.record import Environment, Footer, Header, NotTested, Record, read
from lossparity.versions import told_apart

__all__ = ["left", "merged", "unavailable"]


def unavailable(cell: Cell, reason: str, checks: int, header: Header) -> Record:
    """Return the record of a cell that cannot be judged: none of its checks is tested, and why."""
    absent = Environment(cell.name, available=False, reason=reason)
    return Record(header, [absent], footer=Footer({}, [NotTested(cell.name, reason, checks)], 0.0, 3))


def left(cells: Sequence[Cell], folder: Path) -> list[Record]:
    """Return the records that cells have left in a folder; UnavailableError where there is none at all.

    One that left none was not tested.
    """
    there = {cell.name: read(path) for cell in cells if (path := folder / cell.name / "run.jsonl").is_file()}
    if not there:
        hint = "put the folders of the cells there, as `lossparity matrix run` leaves them"
        raise UnavailableError("no cell of the matrix has left a record", where=str(folder), hint=hint)
    first = next((one for one in there.values() if one.results), next(iter(there.values())))
    checks = len(first.cases)
    reason = "the cell has left no record"
    return [there.get(cell.name) or unavailable(cell, reason, checks, first.header) for cell in cells]


def merged(cells: Sequence[Cell], records: Sequence[Record], command: str) -> Merged:
    """Put the records of cells together; the `command` is that of all of them."""
    named = [(cell.name, record) for cell, record in zip(cells, records, strict=True)]
    found = merge(told_apart(named, {cell.name: cell.label for cell in cells}))
    return replace(found, header=msgspec.structs.replace(found.header, command=command))
