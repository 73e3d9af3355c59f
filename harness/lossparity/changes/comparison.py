"""Two records beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from lossparity.changes.aligning import Key, Pair, backends_of, by_backend, paired
from lossparity.changes.kinds import KINDS, Change, gone, kinds_of
from lossparity.changes.paces import paces
from lossparity.marked import Paces
from lossparity.record import CaseLine, Header, Record, Result
from lossparity.sameness import same_answer

__all__ = ["Comparison", "compare"]

# Where a Python is has nothing to do with what is in it.
_PLACE = "interpreter"


@dataclass(frozen=True)
class Comparison:
    """What changed from BASE to NEW.

    `changes` are by kind and then the worst first; a result is under two kinds where its choice changed too. `pairs`
    are the backends, `compared` how many results both records hold on the same inputs, `unchanged` those without any
    change, and `settings` what differs between the environments of a pair: (before, after) by name, empty where one
    record does not say it. `paces` is what changed in the times.
    """

    base: Record
    new: Record
    pairs: list[Pair]
    changes: list[Change]
    compared: int
    unchanged: int
    settings: dict[Pair, dict[str, tuple[str, str]]]
    paces: Paces

    @property
    def counts(self) -> Counter[str]:
        """How many changes there are of each kind, of times too."""
        return Counter([one.kind for one in self.changes] + [one.kind for one in self.paces.changes])

    def regressions(self, kinds: Collection[str]) -> list[Change]:
        """Return the changes of these kinds."""
        return [change for change in self.changes if change.kind in kinds]

    def exit_code(self, kinds: Collection[str]) -> int:
        """Return 1 for changes of these kinds, 3 where nothing could be compared, 0 otherwise.

        Times of two jobs are `incomparable`.
        """
        apart = self.paces.apart and "incomparable" in kinds
        if apart or any(self.counts[kind] for kind in kinds):
            return 1
        return 0 if self.compared or self.paces.compared else 3

    @property
    def headers(self) -> dict[str, tuple[str, str]]:
        """What differs between the records as a whole: version of lossparity, suite, threshold."""
        return {
            name: (was, now)
            for name, of in _HEADERS.items()
            if (was := of(self.base.header)) != (now := of(self.new.header))
        }


_HEADERS: dict[str, Callable[[Header], str]] = {
    "lossparity": lambda header: header.lossparity,
    "suite": lambda header: header.suite_hash[:12],
    "threshold": lambda header: header.threshold,
}


def compare(base: Record, new: Record, wanted: Mapping[str, str] | None = None) -> Comparison:
    """Align the results of two records and say what changed; `wanted` names backends of BASE as those of NEW.

    UsageError for a backend that is not there, and for a record that holds a result twice.
    """
    before, after = by_backend(base), by_backend(new)
    pairs = paired(backends_of(base), backends_of(new), wanted or {})
    exact = _exact(base), _exact(new)
    reasons = {one.what: one.reason for one in new.footer.not_tested} if new.footer else {}
    changes: list[Change] = []
    compared = unchanged = 0
    for pair in pairs:
        was, now = before.get(pair.base, {}), after.get(pair.new, {})
        for key, result in now.items():
            other = was.get(key)
            unlike = _unlike(key, other, result, exact) if other else ""
            kinds = [*kinds_of(other, result, comparable=not unlike)]
            compared += other is not None and not unlike
            unchanged += not kinds
            changes += [Change(kind, other, result, unlike) for kind in kinds]
        absent = gone(complete=new.complete)
        reason = reasons.get(pair.new or pair.base, "")
        changes += [Change(absent, result, None, reason) for key, result in was.items() if key not in now]
    places = {kind: place for place, kind in enumerate(KINDS)}
    changes.sort(key=lambda change: (places[change.kind], change.order))
    settings = {pair: dict(_settings(base, new, pair)) for pair in pairs if pair.base and pair.new}
    times = paces(base, new, pairs)
    return Comparison(base, new, pairs, changes, compared, unchanged, settings, times)


def _exact(record: Record) -> dict[str, CaseLine]:
    return {f"{case.id}/{case.format}": case for case in record.cases}


def _unlike(
    key: Key, before: Result, after: Result, cases: tuple[Mapping[str, CaseLine], Mapping[str, CaseLine]]
) -> str:
    """Say why two results cannot be compared; empty where they can."""
    if before.input_hash != after.input_hash:
        return "the inputs differ"
    check, quantity = key
    one, other = (side.get(check) for side in cases)
    return "what is right differs" if one and other and not same_answer(one, other, quantity) else ""


def _settings(base: Record, new: Record, pair: Pair) -> Iterator[tuple[str, tuple[str, str]]]:
    sides = [found.details if found else {} for found in (base.environment(pair.base), new.environment(pair.new))]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        was, now = (side.get(name, "") for side in sides)
        if was != now and name != _PLACE:
            yield name, (was, now)
