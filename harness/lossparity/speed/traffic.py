"""What a computation has to move at least, in bytes, and which memory its arrays fit in."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lossparity.formats import FORMATS, Array
from lossparity.model import Keyword
from lossparity.shapes import value_shape

__all__ = ["Caches", "caches", "made", "moved", "processor", "regime", "working_set"]

_SYSTEM = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Caches:
    """The bytes of one core's second-level cache, and of the last level, which cores may share; 0 where unknown."""

    second: int
    last: int


@cache
def caches() -> Caches:
    """Read the sizes of this machine's data caches, as Linux tells them."""
    found: dict[int, int] = {}
    for index in sorted(_SYSTEM.glob("index*")):
        try:
            if (index / "type").read_text().strip() != "Instruction":
                found[int((index / "level").read_text())] = _bytes((index / "size").read_text().strip())
        except (OSError, ValueError):
            continue
    return Caches(found.get(2, 0), found[max(found)] if found else 0)


def _bytes(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def working_set(shape: tuple[int, ...], fmt: str) -> int:
    """Return the bytes of the first argument and its gradient."""
    return 2 * math.prod(shape) * FORMATS[fmt].bits // 8


def regime(shape: tuple[int, ...], fmt: str) -> str:
    """Name the memory that the first argument and its gradient fit in: `L2`, `last-level cache` or `memory`.

    Empty where the caches are unknown.
    """
    sizes, needed = caches(), working_set(shape, fmt)
    if not sizes.last:
        return ""
    if needed <= sizes.second:
        return "L2"
    return "last-level cache" if needed <= sizes.last else "memory"


def moved(operation: str, timed: str, arrays: Mapping[str, Array], keywords: Mapping[str, Keyword]) -> int:
    """Return the bytes that a pass has to read and write at least: each of its arrays once.

    Forward reads the argument and writes the value. Backward reads the upstream gradient and what the value was made
    of, the argument or a result of its size, and writes the gradient; that of `nll_loss` needs no argument. Both read
    the argument and write value and gradient. Targets and weights are counted too.
    """
    first = next(iter(arrays.values()))
    whole, width = first.data.nbytes, first.data.itemsize
    value = made(operation, "forward", arrays, keywords)
    beside = sum(arrays[name].data.nbytes for name in ("target", "weight") if name in arrays)
    picked = operation == "nll_loss" and arrays["target"].format not in FORMATS
    read = arrays["target"].data.size * width if picked else whole
    return {
        "forward": read + beside + value,
        "backward": (0 if operation == "nll_loss" else whole) + beside + value + whole,
        "both": read + beside + value + value + whole,
    }[timed]


def made(operation: str, timed: str, arrays: Mapping[str, Array], keywords: Mapping[str, Keyword]) -> int:
    """Return the bytes of the results of a pass: no call takes less memory."""
    first = next(iter(arrays.values()))
    value = math.prod(value_shape(operation, first.shape, keywords)) * first.data.itemsize
    return {"forward": value, "backward": first.data.nbytes, "both": value + first.data.nbytes}[timed]


def processor() -> str:
    """Return the processor's name and the number of processors that may be used."""
    name = ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name or 'unknown processor'}, {number} processors"
