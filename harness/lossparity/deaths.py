"""When a backend whose calls kill its worker is asked no more: after five like deaths in a row.

They are counted in the order in which the calls were put, whichever worker made them and whenever it answered, so that
a run with several workers stops where a run with one does.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

__all__ = ["MOST", "Deaths"]

MOST = 5


@dataclass
class Deaths:
    """The deaths of the calls of one kind, each call with its place in their order."""

    _next: int = 0
    _known: dict[int, str] = field(default_factory=dict)
    _counted: int = 0
    _row: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def places(self, number: int) -> int:
        """Return the place of the first of so many calls that are put next, one after the other."""
        with self._lock:
            first, self._next = self._next, self._next + number
            return first

    def note(self, place: int, cause: str = "") -> None:
        """Take down how the worker died of the call at a place; an empty cause where it lives."""
        with self._lock:
            if place >= self._counted:
                self._known.setdefault(place, cause)
            while self._counted in self._known and len(self._row) < MOST:
                self._count(self._known.pop(self._counted))
                self._counted += 1

    def _count(self, cause: str) -> None:
        if self._row and self._row[-1] != cause:
            self._row.clear()
        if cause:
            self._row.append(cause)

    def stopped(self, place: int) -> str:
        """Say why the call at a place is not made; empty where it is, or where that cannot be known yet."""
        with self._lock:
            if len(self._row) < MOST or place < self._counted:
                return ""
            return f"stopped after {MOST} like deaths in a row: {self._row[-1]}"
