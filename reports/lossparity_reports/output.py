"""Files for machines, written."""

from __future__ import annotations

import os
from pathlib import Path

from lossparity.errors import UsageError

__all__ = ["put"]


def put(path: Path, text: str, what: str, *, append: bool = False) -> None:
    """Write a file, or append to it, making its folder; UsageError, which says `what` it is, when that fails.

    An older file stays in its place until all of the new one is written.
    """
    whole = text.encode(errors="replace")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if append or (path.exists() and not path.is_file()):  # a pipe, or a device
            with path.open("ab") as file:
                file.write(whole)
        else:
            _replace(path.resolve(), whole)
    except OSError as error:
        reason = f"{what} cannot be written: {error.strerror}"
        # No option by its name: each command has another one.
        raise UsageError(reason, where=str(path), hint="choose another place for it") from None


def _replace(path: Path, whole: bytes) -> None:
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        beside.write_bytes(whole)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
