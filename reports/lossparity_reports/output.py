"""Files for machines, written."""

from __future__ import annotations

from pathlib import Path

from lossparity.errors import UsageError

__all__ = ["put"]


def put(path: Path, text: str, what: str, *, append: bool = False) -> None:
    """Write a file, or append to it, making its folder; UsageError, which says `what` it is, when that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if append else "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        reason = f"{what} cannot be written: {error.strerror}"
        # No option by its name: each command has another one.
        raise UsageError(reason, where=str(path), hint="choose another place for it") from None
