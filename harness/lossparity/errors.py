"""What can go wrong with what a person asked for, and the exit status it leads to.

Every message says what is wrong, where, and what to do next. These never stand for a finding about a
framework: a finding is a verdict, never an exception.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Iterable, Optional

__all__ = ["LossparityError", "UnavailableError", "UsageError", "WireError", "suggest", "suggest_file", "time_limit"]


class LossparityError(Exception):
    """Base of all errors that end a command with one message and no traceback."""

    exit_code = 2

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        """Keep the message, the place (file:line:column or a check id) and the next step."""
        super().__init__(message)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        step = f"\n  {self.hint}" if self.hint else ""
        return f"{place}{self.message}{step}"


class UsageError(LossparityError):
    """Wrong use of a command, or a case file that is not valid."""


class UnavailableError(LossparityError):
    """Something asked for by name is not on this machine."""

    exit_code = 3


class WireError(LossparityError):
    """A worker sent something that is not a message."""


def suggest(word: str, known: Iterable[str], noun: str = "one") -> str:
    """Say which known name was probably meant, or list them all when none is close."""
    names: list[str] = sorted(set(known))
    close: Optional[list[str]] = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known {noun}s: {', '.join(names)}"


def suggest_file(path: str) -> str:
    """Say which file beside a missing one was probably meant, else where it was looked for; nothing where it exists."""
    wanted = Path(path)
    try:
        if wanted.exists():
            return ""
        there = [file.name for file in wanted.parent.iterdir()]
    except (OSError, ValueError):
        return f"there is no folder {wanted.parent.absolute()}"
    close = difflib.get_close_matches(wanted.name, there, n=1, cutoff=0.6)
    return f"did you mean {str(wanted.parent / close[0])!r}?" if close else f"looked for in {wanted.parent.absolute()}"


_LONGEST = 86_400.0  # seconds: one day


def time_limit(seconds: float, option: str) -> float:
    """Return a time limit in seconds; UsageError, which names the option, for what is none."""
    if not 0 < seconds <= _LONGEST:  # false for NaN
        raise UsageError(f"{option} {seconds:g} is no time limit", hint=f"seconds, above 0 and up to {_LONGEST:g}")
    return seconds
