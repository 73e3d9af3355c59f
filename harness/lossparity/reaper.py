"""Ends what a killed parent leaves behind: `python -I -S reaper.py` reads which groups of processes it has started.

A line `+N` says that the group N was begun, `-N` that it is over. Where the input ends, the parent is gone, and every
group that is left is killed. It runs by itself, of the standard library alone; signals meant for the parent pass it by.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Keep the list until the parent is gone, and then clear it."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        if not line.endswith("\n"):
            break  # the parent was killed while it wrote: whatever number this is, it is not whole
        if line[0] == "+":
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:  # it is gone
            continue


if __name__ == "__main__":
    main()
