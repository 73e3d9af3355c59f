"""One case in one format, from its inputs to the lines of the record: prepared, timed, looked at, compared."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lossparity.formats import Array
from lossparity.inputs import build
from lossparity.memory import available
from lossparity.model import Backend, Case, Request
from lossparity.ratios import FASTER, INCONCLUSIVE, SLOWER, Ratio, doubts
from lossparity.record import Interval, Line, NotTested, Speed, Triad
from lossparity.record import Ratio as RatioLine
from lossparity.speed.participant import NotOffered, Participant, Refused
from lossparity.speed.places import held, idlest
from lossparity.speed.rounds import UNSEEN, Key, Limits, Rounds, go
from lossparity.speed.traffic import made, moved, regime, working_set
from lossparity.speed.triad import Triad as Memory
from lossparity.speed.verified import Verifier

__all__ = ["Timing", "lacking", "seen"]

_CLEAR = 1.25  # a ratio whose whole interval is beyond it is seen again in the fewest rounds
_TOLD = 2 << 20  # bytes, to which resident memory can be told
_COPIES = 12  # of the logits, that a call and the looking at its results may need beside what every backend holds
_JUDGED: Mapping[str, tuple[str, ...]] = {
    "forward": ("value",),
    "backward": ("value", "gradient"),
    "both": ("value", "gradient"),
}


def lacking(size: int, number: int) -> str:
    """Say why so many backends cannot be timed on a working set of so many bytes: the memory; empty where they can.

    Each holds the logits as they came and as a tensor; a call, and looking at its results, need some more of them.
    """
    logits, free = size // 2, available()
    needed = logits * (2 * number + _COPIES)
    if not free or needed <= free:
        return ""
    return f"it may need {needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free"


def seen(taken: int | None, results: int) -> int | None:
    """Return the memory that a call was seen to take, none where its results of so many bytes take more.

    Then its allocator still held memory of earlier calls, and gave it to this one.
    """
    return None if taken is None or taken < results - _TOLD else taken


@dataclass
class Timing:
    """The timing of one case in one format by all participants of a job; `lines` and `not_tested` are what it came to.

    `against` is the backend that the others are compared with; `doing` hears what is being done.
    """

    id: str
    case: Case
    format: str
    passes: Sequence[str]
    against: Backend
    limits: Limits
    margin: float
    threads: int
    dice: random.Random
    doing: Callable[[str], None]
    speeds: dict[Key, Speed] = field(default_factory=dict)
    not_tested: list[NotTested] = field(default_factory=list)
    processors: Sequence[int] = ()

    def lines(self, participants: Sequence[Participant]) -> list[Line]:
        """Time it, and return what is to be recorded."""
        self.doing("making the inputs")
        arrays = build(self.case, self.format)
        size = working_set(next(iter(arrays.values())).shape, self.format)
        if reason := lacking(size, len(participants)):
            self.not_tested.append(NotTested(self._name, reason, len(participants)))
            return []
        self.processors = idlest(self.threads)
        for one in participants:
            self.prepare(one, arrays)
        memory = Memory(size, self.threads)
        try:
            with held(self.processors):
                found = go(self._live, memory, self.limits, self.dice, lambda n: self.doing(f"round {n}"))
            self.take(found)
            right = self.verifier(arrays)
            for key in self._live:
                self.look(key, right)
            ratios = self._ratios(found, memory)
        finally:
            memory.close()
            for one in participants:
                one.release()
        return [Triad(self.id, self.case.id, self.format, memory.bytes, found.rates), *self.speeds.values(), *ratios]

    @property
    def _name(self) -> str:
        return f"{self.case.id}/{self.format}"

    @property
    def _live(self) -> list[Key]:
        return [key for key, speed in self.speeds.items() if not speed.refused]

    def prepare(self, one: Participant, arrays: Mapping[str, Array]) -> None:
        """Have a participant make its first calls; what it does not offer is not tested."""
        self.doing(f"the first calls of {one.backend}")
        case, mode = self.case, "compiled" if one.backend.mode else ""
        request = Request(one.backend.variant, case.operation, arrays, case.keywords, mode)
        done: dict[str, Any] = {}
        try:
            one.stay(self.processors)
            done = one.prepare(request, list(self.passes))
        except NotOffered as error:
            self.not_tested.append(NotTested(f"{self._name}@{one.backend}", str(error), 1))
            return
        except Refused as error:
            done = {"calls": {}, "raised": dict.fromkeys(self.passes, str(error))}
        for timed, reason in done.get("declined", {}).items():
            self.not_tested.append(NotTested(f"{self._name}@{one.backend}#{timed}", reason, 1))
        shape = next(iter(arrays.values())).shape
        for timed in (*done["calls"], *done["raised"]):
            self.speeds[one, timed] = Speed(
                job=self.id,
                check=f"{self._name}@{one.backend}",
                timed=timed,
                case=case.id,
                operation=case.operation,
                backend=str(one.backend),
                format=self.format,
                shape=list(shape),
                api=done.get("api", ""),
                origin=done.get("origin", ""),
                calls=one.calls.get(timed, 0),
                first=done.get("first", {}).get(timed),
                moved=moved(case.operation, timed, arrays, case.keywords),
                regime=regime(shape, self.format),
                refused=done["raised"].get(timed, ""),
            )

    def _say(self, key: Key, **found: object) -> None:
        self.speeds[key] = msgspec.structs.replace(self.speeds[key], **found)

    def take(self, found: Rounds) -> None:
        """Keep the times of some rounds, and what is said against them."""
        for key, seconds in found.seconds.items():
            times = list(seconds.values())
            said = doubts(times, self.speeds[key].calls) if times else []
            self._say(key, seconds=times, rounds=list(seconds), doubts=said, refused=found.lost.get(key, ""))

    def verifier(self, arrays: Mapping[str, Array]) -> Verifier:
        """Return what knows the right results of inputs that nobody knew before."""
        return Verifier(self.case.operation, arrays, self.case.keywords, self.dice.choice(UNSEEN))

    def look(self, key: Key, right: Verifier) -> None:
        """Measure the memory of a pass, and see whether what was timed is the work, and its results are right."""
        one, timed = key
        self.doing(f"the results and the memory of {one.backend}")
        try:
            looked = right.look(one.result(timed, right.scale), _JUDGED[timed], flushed=one.flushed)
            # What speaks against a time has to be seen twice: on a busy machine anything is seen once.
            doubt = one.doubts(timed) and one.doubts(timed)
            self._say(key, ulp=looked.ulp, refused=looked.wrong or doubt)
        except (NotOffered, Refused) as error:
            self._say(key, refused=str(error))
            return
        try:
            peak = seen(one.memory(timed), made(self.case.operation, timed, right.arrays, self.case.keywords))
            self._say(key, peak=peak, cold=one.cold(timed, right.scale))
        except (NotOffered, Refused) as error:
            self._doubt(key, f"its memory could not be measured: {error}")

    def _doubt(self, key: Key, said: str) -> None:
        self._say(key, doubts=[*self.speeds[key].doubts, said])

    def _ratios(self, first: Rounds, memory: Memory) -> list[RatioLine]:
        """Compare every pass with that of `against`; what differs is timed once more."""
        found: dict[Key, tuple[Key, Ratio]] = {}
        for key in self._live:
            base = next((k for k in self._live if k[0].backend == self.against and k[1] == key[1]), None)
            if base is not None and base != key:
                found[key] = base, first.ratio(key, base, self.margin)
        differing = {key: pair for key, pair in found.items() if pair[1].verdict in (FASTER, SLOWER)}
        again = self._again(differing, memory)
        return [self._line(key, base, ratio, again.get(key)) for key, (base, ratio) in found.items()]

    def _again(self, differing: Mapping[Key, tuple[Key, Ratio]], memory: Memory) -> dict[Key, Ratio]:
        """Time once more, on other processors, what differs: what is not clear in new processes and as many rounds."""
        seen: dict[Key, Ratio] = {}
        clear = {key for key, (_, one) in differing.items() if one.low > _CLEAR or one.high < 1 / _CLEAR}
        fewest = Limits(self.limits.least, self.limits.least, 0.0)
        for some, limits in ((differing.keys() - clear, self.limits), (clear, fewest)):
            keys = list(dict.fromkeys(k for key in self.speeds if key in some for k in (key, differing[key][0])))
            if keys:
                others = idlest(self.threads, apart=self.processors)
                self._placed(dict.fromkeys(one for one, _ in keys), others, anew=limits is self.limits)
                with held(others):
                    rounds = go(keys, memory, limits, self.dice, self._once_more)
                seen |= {key: rounds.ratio(key, differing[key][0], self.margin) for key in some}
        return seen

    def _placed(self, participants: Iterable[Participant], processors: Sequence[int], *, anew: bool) -> None:
        """Go to other processors, in new processes: where arrays lie makes some percent, for as long as they live."""
        for one in participants:
            self.doing(f"a new process of {one.backend}" if anew else f"another processor for {one.backend}")
            try:
                one.anew(processors) if anew else one.stay(processors)
            except (NotOffered, Refused) as error:  # it has no rounds then, and the pair no verdict
                for key in self._live:
                    if key[0] is one:
                        self._doubt(key, f"it could not be timed once more: {error}")

    def _once_more(self, number: int) -> None:
        self.doing(f"what differs once more, round {number}")

    def _line(self, key: Key, base: Key, first: Ratio, again: Ratio | None) -> RatioLine:
        verdict = first.verdict
        if again is not None and again.verdict != verdict:
            verdict = INCONCLUSIVE
        known = again is not None and math.isfinite(again.high)  # it has no interval where a process was lost meanwhile
        second = Interval(again.ratio, again.low, again.high) if again is not None and known else None
        speed, interval = self.speeds[key], Interval(first.ratio, first.low, first.high)
        return RatioLine(self.id, speed.check, speed.timed, str(base[0].backend), verdict, interval, second)
