"""What the memory gives: a triad a = b + s c, after STREAM, timed in the same rounds as what it limits.

J. D. McCalpin, Memory bandwidth and machine balance in current high performance computers, IEEE TCCA Newsletter, 1995.
NumPy has no triad, so it is made of two operations on blocks that stay in the first-level cache: what goes to memory is
what STREAM counts, two arrays read and one written.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

__all__ = ["Triad"]

_BLOCK = 2048  # float64 numbers, 16 KiB
_LEAST = 3 * _BLOCK * 8
_MOST = 1 << 30  # bytes of the three arrays: beyond any cache
_RAW = 0.005  # seconds


class Triad:
    """Three arrays of `size` bytes together, gone through by so many threads."""

    def __init__(self, size: int, threads: int = 1) -> None:
        number = min(max(size, _LEAST * threads), _MOST) // (24 * threads)
        self._parts = [_blocks(number) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.bytes = 24 * number * threads
        self._times = max(1, math.ceil(_RAW / max(self._seconds(1), self._seconds(1), 1e-9)))

    def sample(self) -> float:
        """Return the bandwidth that one sample found, in bytes a second."""
        return self._times * self.bytes / self._seconds(self._times)

    def close(self) -> None:
        """End its threads."""
        if self._pool:
            self._pool.shutdown()

    def _seconds(self, times: int) -> float:
        began = time.perf_counter()
        if self._pool:
            list(self._pool.map(_go, self._parts, [times] * len(self._parts)))
        else:
            _go(self._parts[0], times)
        return time.perf_counter() - began


_Block = tuple[npt.NDArray[np.float64], ...]


def _blocks(number: int) -> list[_Block]:
    """Return a, b, c and the place for s c of every block of three arrays; that place is the same for all."""
    a, b, c = (np.full(number, float(k + 1)) for k in range(3))
    scratch = np.empty(_BLOCK)
    starts = range(0, number, _BLOCK)
    return [(a[i : i + _BLOCK], b[i : i + _BLOCK], c[i : i + _BLOCK], scratch[: number - i]) for i in starts]


def _go(blocks: list[_Block], times: int) -> None:
    multiply, add = np.multiply, np.add
    for _ in range(times):
        for a, b, c, product in blocks:
            multiply(c, 3.0, out=product)
            add(b, product, out=a)
