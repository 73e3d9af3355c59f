"""Times of two records beside each other: only those that were taken in one job say anything.

A machine is not the same from one job to the next: another load, another clock, another layout of memory. So a ratio is
formed where both records hold the times of one job, round by round, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from lossparity.changes.aligning import Pair
from lossparity.errors import UsageError
from lossparity.marked import Pace, Paces
from lossparity.ratios import FASTER, INCONCLUSIVE, SAME, SLOWER, paired
from lossparity.record import Interval, Ratio, Record, Speed

__all__ = ["APART", "paces"]

APART = (
    "timed in two jobs: no ratio of theirs can be believed; time both in one: lossparity bench -b X@PATH/TO/python -b X"
)
"""Why times of different jobs are not compared."""

_Key = tuple[str, str]  # `case/format` and the pass
_INVERSE = {FASTER: SLOWER, SLOWER: FASTER}


def paces(base: Record, new: Record, pairs: Sequence[Pair]) -> Paces:
    """Compare the times of backends that belong together; UsageError for a record that holds a time twice."""
    before, after = _by_backend(base), _by_backend(new)
    ratios = {(one.job, one.key, one.against): one for record in (base, new) for one in record.ratios}
    margins = {one.id: one.margin for record in (base, new) for one in record.jobs}
    changes: list[Pace] = []
    compared = apart = 0
    for was, now in _beside(before, after, pairs):
        both = sorted(was.keys() & now.keys())
        apart += not both
        for job in both:
            compared += 1
            pace = _pace(was[job], now[job], ratios, margins.get(job))
            changes += [pace] if pace.kind != SAME else []
    changes.sort(key=lambda one: (_ORDER.index(one.kind), -one.ratio.ratio if one.ratio else 0.0, one.after.key))
    return Paces(tuple(changes), compared, compared - len(changes), apart, APART if apart else "")


_ORDER = ("refused", SLOWER, INCONCLUSIVE, FASTER)


def _by_backend(record: Record) -> dict[str, dict[_Key, dict[str, Speed]]]:
    """Return the times by backend, key and job."""
    found: dict[str, dict[_Key, dict[str, Speed]]] = {}
    for speed in record.speeds:
        key = speed.check.removesuffix(f"@{speed.backend}"), speed.timed
        theirs = found.setdefault(speed.backend, {}).setdefault(key, {})
        if speed.job in theirs:
            raise UsageError(f"the record holds the time of {speed.key} twice in one job")
        theirs[speed.job] = speed
    return found


def _beside(
    before: dict[str, dict[_Key, dict[str, Speed]]],
    after: dict[str, dict[_Key, dict[str, Speed]]],
    pairs: Sequence[Pair],
) -> Iterator[tuple[dict[str, Speed], dict[str, Speed]]]:
    for pair in pairs:
        was, now = before.get(pair.base, {}), after.get(pair.new, {})
        yield from ((was[key], now[key]) for key in now if key in was)


def _pace(was: Speed, now: Speed, ratios: dict[tuple[str, str, str], Ratio], margin: float | None) -> Pace:
    if was.median is None or now.median is None:
        lost = was.median is not None
        return Pace("refused" if lost else SAME, was, now, None, now.refused if lost else "")
    if was == now:
        return Pace(SAME, was, now, Interval(1.0, 1.0, 1.0))
    if known := ratios.get((now.job, now.key, was.backend)):
        return Pace(known.verdict, was, now, known.first)
    if known := ratios.get((now.job, was.key, now.backend)):
        other = known.first
        turned = Interval(*(1 / end if end else inf for end in (other.ratio, other.high, other.low)))
        return Pace(_INVERSE.get(known.verdict, known.verdict), was, now, turned)
    one, two = (dict(zip(side.rounds, side.seconds, strict=False)) for side in (now, was))
    common = sorted(one.keys() & two.keys())
    if margin is None or not common:
        return Pace(INCONCLUSIVE, was, now, None, "no round is known in which both were timed")
    found = paired([one[n] for n in common], [two[n] for n in common], margin)
    again = "they differ in one pass of rounds, and were not timed again" if found.verdict in _INVERSE else ""
    return Pace(INCONCLUSIVE if again else found.verdict, was, now, Interval(found.ratio, found.low, found.high), again)
