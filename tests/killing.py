"""An adapter that kills what it runs on, as the file `kills` in the folder of KILLS says: once, or every time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossparity.framework import NATIVE, Entry, Implementation
from lossparity_backends.on_numpy import Numpy


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _above(name: str) -> int:
    """Return the nearest process above this one whose command has a name in it, or 0."""
    pid = os.getpid()
    while pid > 1:
        pid = _parent(pid)
        if name in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
    return 0


def _node() -> list[int]:
    """Return the process that is a node of Ray above this one, and what it began."""
    node = _above("raylet/raylet")
    every = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [node, *(pid for pid in every if _is_child(pid, node))]


def _is_child(pid: int, node: int) -> bool:
    try:
        return _parent(pid) == node
    except OSError:  # it has ended
        return False


def softmax(x: Any) -> Any:
    """Return the probabilities, if it comes to that."""
    folder = Path(os.environ["KILLS"])
    try:
        wanted = (folder / "kills").read_text()
    except FileNotFoundError:
        wanted = ""
    if wanted and _above("ray::"):
        (folder / f"killer-{os.getpid()}").touch()
        if wanted not in ("always", "hangs"):
            (folder / "kills").unlink()
        if wanted != "hangs":
            for pid in _node() if wanted == "node" else [_above("ray::")]:
                os.kill(pid, signal.SIGKILL)
        time.sleep(1000)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Killing(Numpy):
    """NumPy, at somebody's expense."""

    name = "math"

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """One operation."""
        return {"": {"softmax": (Entry(softmax, "math.softmax", NATIVE),)}}

    def describe(self) -> dict[str, str]:
        """Return what NumPy says, and the release."""
        return {**super().describe(), "math": os.environ["RELEASE"]}
