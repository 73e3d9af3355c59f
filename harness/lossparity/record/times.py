"""What was timed: jobs, what the memory gave, times, and their ratios, each kind a line of the record."""

from __future__ import annotations

import statistics
from typing import Annotated

import msgspec

from lossparity.ratios import VERDICTS
from lossparity.spec import PASSES

__all__ = ["Interval", "Job", "Ratio", "Speed", "Triad"]

# What is read has these words and numbers alone: a line with another one is damaged.
_Verdict = Annotated[str, msgspec.Meta(pattern=rf"^({'|'.join(VERDICTS)})\Z")]
_Pass = Annotated[str, msgspec.Meta(pattern=rf"^({'|'.join(PASSES)})\Z")]
_Above0 = Annotated[float, msgspec.Meta(gt=0)]
_Positive = Annotated[float, msgspec.Meta(ge=0)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**60)]


class Job(msgspec.Struct, frozen=True, tag_field="kind", tag="job", omit_defaults=True):
    """One job of timing: times of one `id` were taken side by side, and no others can be compared.

    `settings` are words: the processor, its caches, threads, allocator, and how much else the machine had to do.
    `margin` is the share by which two times have to differ to be called different.
    """

    id: str
    settings: dict[str, str]
    margin: _Positive


class Triad(msgspec.Struct, frozen=True, tag_field="kind", tag="triad", omit_defaults=True):
    """The bandwidth of a triad of as many bytes as a case's arrays, in bytes a second, one figure a round."""

    job: str
    case: str
    format: str
    bytes: _Count
    rates: list[_Above0]

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates)


class Speed(msgspec.Struct, frozen=True, tag_field="kind", tag="speed", omit_defaults=True):
    """The times of one pass (forward, backward or both) of one check.

    `seconds` are of a call, one figure a round, each of a sample of `calls` calls; `rounds` says which of the job's
    rounds they are, so that two backends are paired. `first` is the first call of all, with what is compiled for it.
    `moved` are the bytes that the pass has to move at least, `peak` those that a call took at most beyond what was
    there before, none where that cannot be told. `cold` are the seconds of a call on a GPU whose L2 cache was emptied
    before.
    `ulp` is the largest error that was seen in the results of timed calls. `refused` says why there is no time, or none
    that counts; `doubts` what makes it doubtful.
    """

    job: str
    check: str
    timed: _Pass
    case: str
    operation: str
    backend: str
    format: str
    shape: list[_Count]
    api: str = ""
    origin: str = ""
    seconds: list[_Above0] = []
    rounds: list[_Count] = []
    calls: _Count = 0
    first: _Positive | None = None
    moved: _Count = 0
    regime: str = ""
    peak: _Count | None = None
    cold: _Positive | None = None
    ulp: _Positive | None = None
    refused: str = ""
    doubts: list[str] = []

    @property
    def key(self) -> str:
        """The key `check#pass`."""
        return f"{self.check}#{self.timed}"

    @property
    def median(self) -> float | None:
        """The median of the rounds, in seconds; none where there is no time that counts."""
        return statistics.median(self.seconds) if self.seconds and not self.refused else None


class Interval(msgspec.Struct, frozen=True):
    """A ratio of times with its interval; above 1 is slower."""

    ratio: _Above0
    low: _Positive
    high: _Above0


class Ratio(msgspec.Struct, frozen=True, tag_field="kind", tag="ratio", omit_defaults=True):
    """A pass of a check against the same pass of another backend, timed in the same rounds.

    `verdict` is faster, slower, same or inconclusive; faster and slower were seen in `first` and in `again`.
    """

    job: str
    check: str
    timed: _Pass
    against: str
    verdict: _Verdict
    first: Interval
    again: Interval | None = None

    @property
    def key(self) -> str:
        """The key `check#pass`."""
        return f"{self.check}#{self.timed}"
