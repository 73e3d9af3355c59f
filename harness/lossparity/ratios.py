"""Paired ratios of times with a bootstrap interval, and the four verdicts that they allow.

Two backends are timed in the same rounds, so that what slows the machine down slows both; their ratio is taken round
by round, and of these the median, which less than half of disturbed rounds do not carry away. Its interval is the
bootstrap's (B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman & Hall 1993, chapter 13:
percentiles).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "CONFIDENCE",
    "FASTER",
    "INCONCLUSIVE",
    "LEAST",
    "MARGIN",
    "SAME",
    "SLOWER",
    "VERDICTS",
    "Ratio",
    "doubts",
    "paired",
]

FASTER, SLOWER, SAME, INCONCLUSIVE = VERDICTS = ("faster", "slower", "same", "inconclusive")
CONFIDENCE = 0.99
MARGIN = 0.03
"""The share by which two times have to differ to be called different, unless asked for otherwise."""
LEAST = 8
"""The fewest rounds that have an interval: all of 7 are on one side of the middle too often (2 * 0.5**7 > 0.01)."""

_RESAMPLES = 4000
_SPREAD = 0.10
_OUTLYING = 0.5
_DRIFT = 0.05
_SHORT = 1e-3  # seconds


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios with its interval, and what that says.

    `verdict` is `faster`, `slower`, `same` or `inconclusive`.
    """

    ratio: float
    low: float
    high: float
    verdict: str


def paired(ours: Sequence[float], theirs: Sequence[float], margin: float = MARGIN) -> Ratio:
    """Compare the times of two backends, round by round; a ratio above 1 says that ours is slower.

    It is slower, or faster, only where the whole interval is beyond the margin, and the same only where the whole
    interval is within it. With fewer than `LEAST` rounds nothing is concluded, and without any the ratio is NaN.
    """
    ratios = np.log(np.asarray(ours, dtype=np.float64) / np.asarray(theirs, dtype=np.float64))
    middle = float(np.exp(np.median(ratios))) if ratios.size else math.nan
    if ratios.size < LEAST:
        return Ratio(middle, 0.0, float("inf"), INCONCLUSIVE)
    drawn = np.random.RandomState(0).randint(0, ratios.size, size=(_RESAMPLES, ratios.size))
    low, high = np.exp(np.quantile(np.median(ratios[drawn], axis=-1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    return Ratio(middle, float(low), float(high), _verdict(float(low), float(high), margin))


def _verdict(low: float, high: float, margin: float) -> str:
    if low > 1 + margin:
        return SLOWER
    if high < 1 / (1 + margin):
        return FASTER
    return SAME if low >= 1 / (1 + margin) and high <= 1 + margin else INCONCLUSIVE


def doubts(seconds: Sequence[float], calls: int) -> list[str]:
    """Say what makes one backend's times doubtful: seconds a call, a round each, of samples of so many calls.

    After pyperf: a standard deviation of 10 % of the mean or more, a least or greatest one that is 50 % off, less than
    1 ms of raw time; and a drift from the first half of the rounds to the second.
    """
    times = np.asarray(seconds, dtype=np.float64)
    mean, middle = float(times.mean()), float(np.median(times))
    found = []
    if times.size > 1 and (spread := float(times.std(ddof=1)) / mean) >= _SPREAD:
        found.append(f"the standard deviation is {spread:.0%} of the mean")
    if float(times.max()) > (1 + _OUTLYING) * middle or float(times.min()) < (1 - _OUTLYING) * middle:
        found.append(f"rounds took from {times.min() / middle:.2g} to {times.max() / middle:.2g} of the median")
    if (raw := middle * calls) < _SHORT:
        found.append(f"a sample is {1e6 * raw:.0f} µs of raw time, below 1 ms")
    half = times.size // 2
    if half >= LEAST:
        drift = float(np.median(times[half:]) / np.median(times[:half])) - 1
        if abs(drift) > _DRIFT:
            found.append(f"the second half of the rounds took {drift:+.0%}")
    return found
