"""How much memory there is, how much a process takes, and how much a worker may take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lossparity.errors import UsageError

__all__ = ["available", "limit", "parsed", "shown", "taken"]

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
_SHARE, _LEAST = 0.8, 2 << 30
_SECOND = ("", "memory.max", "memory.current")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def available() -> int:
    """Return the bytes of memory that new work may take, on this machine and in this container; 0 where unknown."""
    found = [_told(_PROC / "meminfo", "MemAvailable:") * 1024, *_of_groups()]
    return min((left for left in found if left), default=0)


def _of_groups() -> Iterator[int]:
    """Yield what the control groups of this process, version 2 or 1, leave of their limits."""
    try:
        lines = (_PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        kind, most, now = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else _SECOND
        own = _GROUPS / kind / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder == _GROUPS.parent:
                break
            try:
                used = int((folder / now).read_text()) - _told(folder / "memory.stat", "inactive_file ")
                yield max(int((folder / most).read_text()) - used, 0)  # files that are kept in memory make room
            except (OSError, ValueError):  # it has no limit
                continue


@cache
def limit() -> int:
    """Return the bytes that a worker may take unless asked otherwise; 0 for no limit.

    80 % of what was available when that was first asked, but not less than 2 GiB: a framework alone may take that.
    """
    return max(int(_SHARE * available()), _LEAST) if available() else 0


def taken(process: int) -> int:
    """Return the bytes of memory that a process and those it started hold; 0 where nobody tells (not on Linux)."""
    family = _family(process)
    resident = sum(_resident(one) for one in family)
    return resident if len(family) == 1 else min(resident, sum(_own(one) for one in family))


def _family(process: int) -> list[int]:
    found, left = [], [process]
    while left:
        one = left.pop()
        found.append(one)
        try:
            left += [int(n) for n in (_PROC / f"{one}/task/{one}/children").read_text().split()]
        except (OSError, ValueError):
            continue
    return found


def _resident(process: int) -> int:
    return 1024 * _told(_PROC / f"{process}/status", "VmRSS:")


def _own(process: int) -> int:
    """Return its resident bytes, a page that several share counted in parts: a fork copies nothing at first."""
    return 1024 * _told(_PROC / f"{process}/smaps_rollup", "Pss:") or _resident(process)


def _told(file: Path, name: str) -> int:
    """Return the number after a name at the beginning of a line; 0 where there is none."""
    try:
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.removeprefix(name).split()[0])
    except (OSError, ValueError, IndexError):
        pass
    return 0


def parsed(text: str, where: str) -> int:
    """Return the bytes that a size such as `8G` or `500M` stands for; UsageError naming `where` for anything else."""
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if not size:
        raise UsageError(f"{text!r} is no size of memory", hint="as in 8G or 500M", where=where)
    return size


def shown(size: int) -> str:
    """Return a number of bytes as people say it."""
    return f"{size / (1 << 30):.3g} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.3g} MiB"
