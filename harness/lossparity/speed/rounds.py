"""Rounds: every participant takes one sample in each, in an order that is drawn anew, beside a triad of the memory."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lossparity.ratios import Ratio, paired
from lossparity.speed.participant import NotOffered, Participant, Refused
from lossparity.speed.triad import Triad

__all__ = ["SCALES", "UNSEEN", "Key", "Limits", "Rounds", "go"]

Key = tuple[Participant, str]
"""A participant and one of its passes."""

SCALES = (1.0, -1.0, 2.0, -2.0)
"""What inputs are multiplied by: exact in every format, and no subnormal number arises."""
UNSEEN = (4.0, -4.0)
"""What they are multiplied by where results are looked at: none that was timed has these."""


@dataclass(frozen=True)
class Limits:
    """At most so many rounds, and after `least` of them no more than go into so many seconds."""

    most: int
    least: int
    seconds: float


@dataclass
class Rounds:
    """Seconds a call by round, the triad's bytes a second, and why a participant was lost on the way."""

    seconds: dict[Key, dict[int, float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    lost: dict[Key, str] = field(default_factory=dict)

    def ratio(self, ours: Key, theirs: Key, margin: float) -> Ratio:
        """Compare two in the rounds that both have."""
        one, other = self.seconds.get(ours, {}), self.seconds.get(theirs, {})
        common = sorted(one.keys() & other.keys())
        return paired([one[n] for n in common], [other[n] for n in common], margin)


def go(keys: Sequence[Key], triad: Triad, limits: Limits, dice: random.Random, told: Callable[[int], None]) -> Rounds:
    """Take rounds; `told` hears the number of each before it begins."""
    found, began = Rounds({key: {} for key in keys}), time.monotonic()
    places: list[Key | None] = [*keys, None]
    for number in range(limits.most):
        if number >= limits.least and time.monotonic() - began > limits.seconds:
            break
        told(number + 1)
        dice.shuffle(places)
        for key in places:
            if key is None:
                found.rates.append(triad.sample())
            elif key not in found.lost:
                try:
                    found.seconds[key][number] = key[0].sample(key[1], dice.choice(SCALES))
                except (NotOffered, Refused) as error:
                    gone = not key[0].calls  # with its process it loses its other passes too
                    found.lost |= {k: str(error) for k in keys if k == key or (gone and k[0] is key[0])}
        if len(found.lost) == len(keys):
            break
    return found
