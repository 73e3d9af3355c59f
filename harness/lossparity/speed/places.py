"""Where a case is timed: all of its backends on the same processors, those that have the least to do.

Processors of one machine differ by more than implementations do, by their clock and by what else runs on them and
their neighbours; and what moves between two of them finds the caches empty.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lossparity.processors import allowed, stay

__all__ = ["held", "idlest"]

_STATISTICS = Path("/proc/stat")
_LOOKED = 0.2  # seconds; the system counts hundredths


def idlest(number: int, apart: Sequence[int] = ()) -> list[int]:
    """Return so many processors with the least to do just now, others than those of `apart` where there are enough.

    None where the system does not let a process stay on some, or there are no more than are wanted.
    """
    every = allowed()
    if len(every) <= number:
        return []
    free = [one for one in every if one not in apart]
    if len(free) < number:
        free = every
    before = _idle()
    time.sleep(_LOOKED)
    after = _idle()
    # Of those that are alike the last ones: the system's own work begins at the first.
    idle = sorted(free, key=lambda one: (after.get(one, 0) - before.get(one, 0), one), reverse=True)
    return sorted(idle[:number])


@contextmanager
def held(processors: Sequence[int]) -> Iterator[None]:
    """Have this process run on some processors meanwhile; where none are named, on any."""
    if not processors:
        yield
        return
    before = allowed()
    stay(processors)
    try:
        yield
    finally:
        stay(before)


def _idle() -> dict[int, int]:
    """Return the time that each processor had nothing to do, in the system's own unit."""
    found: dict[int, int] = {}
    try:
        for line in _STATISTICS.read_text(encoding="ascii").splitlines():
            name, *counts = line.split()
            if name.startswith("cpu") and name != "cpu":
                found[int(name[3:])] = int(counts[3])
    except (OSError, ValueError, IndexError):
        return {}
    return found
