"""On which processors the threads of this process run, where the system lets that be said: Linux does."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Iterable

__all__ = ["allowed", "stay"]


def allowed() -> list[int]:
    """Return the processors that this thread may run on, in their order; none where nobody tells."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def stay(processors: Iterable[int]) -> None:
    """Have all threads that this process has, and those that they will start, run on some processors."""
    chosen = list(processors)
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - names are wanted
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), chosen)
