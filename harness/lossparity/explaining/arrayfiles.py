"""Arrays of numbers from files: .npy, .npz (FILE.npz:NAME), .csv and .json; nothing in a file is ever run."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from lossparity.errors import UsageError, suggest, suggest_file

__all__ = ["MOST_TEXT", "is_file", "read"]

MOST_TEXT = 1 << 26
"""Bytes of text that are still read."""
_HINT = "arrays are read from .npy, .npz (FILE.npz:NAME), .csv and .json"


def is_file(text: str) -> bool:
    """Tell whether an argument names a file of arrays, and no number."""
    return _split(text)[0].suffix.lower() in (".npy", ".npz", ".csv", ".json")


def read(text: str, *, flat: bool = False) -> Any:
    """Read an array, or a nested list of numbers from text; UsageError, which names the file, for anything else.

    `flat` makes one row or column of text a list of numbers, where a table would be one of lists.
    """
    path, name = _split(text)
    if not path.is_file():
        said, hint = ("is no file", _HINT) if path.exists() else ("there is no such file", suggest_file(str(path)))
        raise UsageError(said, where=text, hint=hint)
    readers = {".npy": _npy, ".npz": _npz, ".csv": _csv, ".json": _json}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise UsageError(f"files {suffix or 'without a suffix'} are not read", where=text, hint=_HINT)
    try:
        found = readers[suffix](path, name)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=text, hint=_HINT) from None
    except UsageError as error:
        raise UsageError(error.message, where=text, hint=error.hint) from None
    return _flattened(found) if flat and isinstance(found, list) else found


def _split(text: str) -> tuple[Path, str]:
    before, colon, name = text.rpartition(":")
    return (Path(before), name) if colon and before.lower().endswith(".npz") else (Path(text), "")


def _flattened(found: list[Any]) -> list[Any]:
    if all(isinstance(row, list) and len(row) == 1 for row in found):
        return [row[0] for row in found]
    if len(found) == 1 and isinstance(found[0], list):
        return found[0]
    return found


def _npy(path: Path, _name: str) -> Any:
    try:
        with path.open("rb") as file:
            return np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise _unreadable(error) from None


def _npz(path: Path, name: str) -> Any:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            if not name and len(names) != 1:
                raise UsageError(f"it holds {len(names)} arrays: {', '.join(names)}", hint="name one: FILE.npz:NAME")
            if name and name not in names:
                raise UsageError(f"it holds no array {name!r}", hint=suggest(name, names, "array"))
            return archive[name or names[0]]
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> UsageError:
    if "pickle" in str(error).lower() or "object" in str(error).lower():
        return UsageError("it holds Python objects, which are not loaded", hint="save an array of numbers")
    return UsageError(f"is no array of NumPy's ({error})", hint="numpy.save writes one")


def _text(path: Path) -> str:
    if path.stat().st_size > MOST_TEXT:
        raise UsageError(f"{path.stat().st_size} bytes of text are too many", hint=f"up to {MOST_TEXT}; save as .npy")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("is no UTF-8 text", hint=_HINT) from None


def _json(path: Path, _name: str) -> Any:
    try:
        found = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"is no JSON ({error})", hint="lists of numbers, nested") from None
    _only_numbers(found)
    return found


def _only_numbers(found: Any) -> None:
    pending = [found]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending.extend(one)
        elif isinstance(one, bool) or not isinstance(one, int | float):
            raise UsageError(f"{json.dumps(one)[:40]} is no number", hint="lists of numbers, nested")


def _csv(path: Path, _name: str) -> Any:
    rows: list[list[int | float]] = []
    for line, cells in enumerate(csv.reader(_text(path).splitlines(), skipinitialspace=True), start=1):
        try:
            if cells:
                rows.append([_number(cell) for cell in cells])
        except ValueError as error:
            hint = "numbers only, separated by commas, without a header"
            raise UsageError(f"line {line}: {error}", hint=hint) from None
    return rows


def _number(cell: str) -> int | float:
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{cell.strip()!r} is no number") from None
