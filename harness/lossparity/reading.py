"""Files of strangers, read in bounded memory: never a device, never more than somebody can have meant."""

from __future__ import annotations

import stat
from pathlib import Path

from lossparity.errors import UsageError, suggest_file

__all__ = ["whole"]


def whole(path: Path, what: str, most: int) -> bytes:
    """Return the bytes of a file, at most so many; UsageError, which says `what` it is, where that cannot be."""
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):  # a pipe is what a shell makes of <(command)
                raise UsageError(f"{what} cannot be read: it is a device", where=str(path), hint="name a file")
            found = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{what} cannot be read: {reason}", where=str(path), hint=suggest_file(str(path))) from None
    if len(found) > most:
        raise UsageError(f"{what} has more than {most >> 20} MiB", where=str(path), hint="is it the file you mean?")
    return found
