"""The release with which a check came to answer otherwise, found by judging as few releases as that takes.

What has changed is a kind of change of `lossparity compare`: the one that weighs most between the two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lossparity.changes import KINDS, Comparison, compare
from lossparity.changes.aligning import backends_of
from lossparity.errors import UnavailableError
from lossparity.matrix.cells import Cell, Matrix
from lossparity.matrix.running import Finished, Plan, run
from lossparity.versions import told_apart

__all__ = ["Bisected", "bisect"]


@dataclass(frozen=True)
class Bisected:
    """The two releases beside each other between which a check changed, or the two ends where they are alike.

    `kind` is the kind of the change, empty where there is none, and `quantity` whose it is. `skipped` are releases
    between the two that cannot be judged, each with the reason; any of them may be the one. `judged` are all.
    """

    before: Cell
    after: Cell
    found: Comparison
    kind: str
    quantity: str
    skipped: Mapping[str, str]
    judged: Sequence[Finished]


@dataclass
class _Judge:
    """Judges releases, each once."""

    plan: Plan
    told: Callable[[Finished], None]
    over: dict[str, Finished] = field(default_factory=dict)

    def results(self, cell: Cell) -> Finished | None:
        """Return a release that was judged; None where it cannot be."""
        if cell.name not in self.over:
            matrix = Matrix(self.plan.matrix.name, self.plan.matrix.about, (cell,))
            (self.over[cell.name],) = run(replace(self.plan, matrix=matrix), self.told)
        one = self.over[cell.name]
        return one if backends_of(one.record) else None

    def needed(self, cell: Cell) -> Finished:
        """Return one of the two ends; UnavailableError where it cannot be judged."""
        one = self.results(cell)
        if one is None:
            hint = "its pins may be missing: --with numpy==2.0.2, say"
            raise UnavailableError(f"{cell.name} cannot be judged: {self.why(cell)}", hint=hint)
        return one

    def why(self, cell: Cell) -> str:
        """Say why a release cannot be judged."""
        one = self.over[cell.name]
        reasons = [found.reason for found in one.record.environments if found.reason]
        return one.unavailable or next(iter(reasons), "it has no results")


def bisect(plan: Plan, told: Callable[[Finished], None]) -> Bisected:
    """Find where the cells of a plan, releases from the oldest to the newest, first differ from the first one.

    A release that cannot be judged is passed over, for the nearest one that can. UnavailableError where an end cannot.
    """
    judge = _Judge(plan, told)
    cells = plan.matrix.cells
    low, high = 0, len(cells) - 1
    first, last = judge.needed(cells[low]), judge.needed(cells[high])
    kind, quantity = _heaviest(_beside(first, last))
    skipped: set[int] = set()
    while kind and (left := [at for at in range(low + 1, high) if at not in skipped]):
        at = min(left, key=lambda one: abs(2 * one - low - high))
        one = judge.results(cells[at])
        if one is None:
            skipped.add(at)
        elif any((change.kind, _quantity(change.key)) == (kind, quantity) for change in _beside(first, one).changes):
            high = at
        else:
            low = at
    reasons = {cells[at].name: judge.why(cells[at]) for at in sorted(skipped) if low < at < high}
    beside = _beside(judge.needed(cells[low]), judge.needed(cells[high]))
    return Bisected(cells[low], cells[high], beside, kind, quantity, reasons, [*judge.over.values()])


def _beside(first: Finished, other: Finished) -> Comparison:
    """Compare a release with another; each record has one backend, which is called by its version here."""
    (_, before), (_, after) = told_apart([("before", first.record), ("after", other.record)])
    (was,), (now,) = backends_of(before), backends_of(after)
    return compare(before, after, {was: now})


def _heaviest(found: Comparison) -> tuple[str, str]:
    """Return the kind of the change that weighs most, and its quantity."""
    changes = sorted(found.changes, key=lambda change: [*KINDS].index(change.kind))
    return (changes[0].kind, _quantity(changes[0].key)) if changes else ("", "")


def _quantity(key: str) -> str:
    return key.rpartition("#")[2]
