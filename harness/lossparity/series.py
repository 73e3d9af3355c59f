"""The runs of a backend in their order: what `lossparity history` hands to the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["History", "Point", "Series", "Since", "Used"]


@dataclass(frozen=True)
class Since:
    """Changes of one kind since the run before: what is said of so many results, and the keys of the first of them."""

    said: str
    count: int
    results: tuple[str, ...]


@dataclass(frozen=True)
class Used:
    """How much of its bound a passing result used: half of them up to `half`, 99 of a hundred `most`, all `largest`."""

    half: float
    most: float
    largest: float


@dataclass(frozen=True)
class Point:
    """What one run of a backend came to.

    `version` is the framework's, with that of the library on it; `started` is in ISO 8601, `record` the file. `passing`
    counts passes by grade, `others` the results with another verdict by that. `choices` are by clause what it chose, at
    how many checks; `times` by `case/format#pass` the job and the median seconds. `since` is None at the first point,
    and at one of times alone; `apart` says what makes it hard to compare with the one before that was judged: another
    lossparity, or another suite.
    """

    version: str
    started: str
    record: str
    lossparity: str
    passing: Mapping[str, int]
    others: Mapping[str, int]
    used: Used | None
    choices: Mapping[str, Mapping[str, int]]
    times: Mapping[str, tuple[str, float]]
    since: tuple[Since, ...] | None = None
    apart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """The runs of one backend; `name` has no version in it."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class History:
    """Series in the order of `by`, which is `version` or `date`, and what was left out of them and why."""

    by: str
    series: tuple[Series, ...]
    left_out: tuple[str, ...] = field(default=())
