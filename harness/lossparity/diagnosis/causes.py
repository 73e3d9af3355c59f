"""Failures grouped by their cause: as few causes as explain them all, each with its simplest example."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Protocol

from lossparity.diagnosis.candidates import IMPRECISE, UNDIAGNOSED, Explained, described

__all__ = ["Cause", "Contradicted", "Failed", "causes"]


class Contradicted(Protocol):
    """Counts the passing results of some quantities and formats that are not what explanations by one id predict."""

    def __call__(self, explained: Iterable[Explained], kinds: Iterable[tuple[str, str]] = ()) -> int:
        """Return their number, up to a few."""
        ...


# Of the wrong numbers that nothing more definite explains, the share that less precise arithmetic has to explain.
_THROUGHOUT = 0.85
# Groups of failures that nothing explains, beyond which a list of them tells less than a few.
_MANY = 5


@dataclass(frozen=True)
class Failed:
    """One failing result: its key `check#quantity`, clause and kind, what explains it, and how simple its input is.

    `explained` has the more definite explanations first. `shared` says that the framework's own function fails there
    too. `features` are what is particular about the question.
    """

    key: str
    clause: str
    kind: str
    explained: tuple[Explained, ...]
    simplicity: tuple[int, ...] = ()
    shared: bool = False
    features: frozenset[str] = frozenset()

    @property
    def quantity(self) -> str:
        """The quantity, `value` or `gradient`."""
        return self.key.rpartition("#")[2]

    @property
    def format(self) -> str:
        """The format, as the key has it."""
        return self.key.partition("@")[0].rpartition("/")[2]


@dataclass(frozen=True)
class Cause:
    """Some failures and what explains them; `id` is a convention's text, a mistake's id, or says that nothing does.

    `members` are the failures, the simplest first; `ulp` is how near the explanation comes to the simplest.
    `convention` is what `--convention` takes to judge by what explains the simplest; empty where it takes nothing.
    `contradicted` counts passing results of the same quantities and formats that are not what it predicts, up to a few.
    """

    id: str
    said: str
    members: tuple[Failed, ...]
    ulp: float | None = None
    convention: str = ""
    contradicted: int = 0

    @property
    def shared(self) -> bool:
        """Whether the framework's own function fails at every one of them too."""
        return all(one.shared for one in self.members)

    def exactly_where(self, passing: AbstractSet[str]) -> list[str]:
        """Return what all of these failures have in common and no passing result has, given what those have."""
        return sorted(frozenset.intersection(*(one.features for one in self.members)) - passing)

    @property
    def named(self) -> bool:
        """Whether anything explains it."""
        return self.id != UNDIAGNOSED and bool(self.members[0].explained)


def causes(failures: Iterable[Failed], contradicted: Contradicted) -> list[Cause]:
    """Group failures: again and again by the explanation of most of those left.

    Of those that explain as many, the one that fewest passing results contradict, and then the more definite one.
    What is named comes before what is not, the more frequent first, and what the framework itself does wrong last.
    """
    left = _without_chance(failures)
    found: list[Cause] = []
    while any(one.explained for one in left):
        most = _best(left, contradicted)
        theirs = [one for f in left for one in f.explained if one.id == most]
        members = [f for f in left if any(one.id == most for one in f.explained)]
        kinds = {(f.quantity, f.format) for f in members}
        found.append(replace(_cause(most, members), contradicted=contradicted(theirs, kinds)))
        left = [f for f in left if all(one.id != most for one in f.explained)]
    found += (_cause(name, members) for name, members in _unexplained(left).items())
    return sorted(found, key=lambda cause: (cause.shared, not cause.named, -len(cause.members)))


def _without_chance(failures: Iterable[Failed]) -> list[Failed]:
    """Return failures without the less precise arithmetic that fits some numbers by chance.

    It admits whatever is wrong by little; where it is the cause it shows in nearly all that nothing else explains.
    """
    left = list(failures)
    for name in sorted(IMPRECISE):
        alone = [f for f in left if f.kind == "finite-wrong" and {one.id for one in f.explained} <= IMPRECISE]
        fits = sum(any(one.id == name for one in f.explained) for f in alone)
        if fits < _THROUGHOUT * len(alone):
            left = [replace(f, explained=tuple(one for one in f.explained if one.id != name)) for f in left]
    return left


def _best(left: Sequence[Failed], contradicted: Contradicted) -> str:
    by_name: dict[str, list[Explained]] = {}
    for one in (one for failed in left for one in failed.explained):
        by_name.setdefault(one.id, []).append(one)
    most = max(map(len, by_name.values()))
    tied = [name for name, theirs in by_name.items() if len(theirs) == most]
    return tied[0] if len(tied) == 1 else min(tied, key=lambda name: contradicted(by_name[name]))


def _unexplained(left: Sequence[Failed]) -> dict[str, list[Failed]]:
    """Group what nothing explains by its kind and clause; by its kind alone where that makes many groups."""
    by_clause: dict[str, list[Failed]] = {}
    by_kind: dict[str, list[Failed]] = {}
    for one in left:
        by_clause.setdefault(f"unexplained {one.kind} ({one.clause})", []).append(one)
        by_kind.setdefault(f"unexplained {one.kind}", []).append(one)
    return by_clause if len(by_clause) <= _MANY else by_kind


def _cause(name: str, members: Sequence[Failed]) -> Cause:
    ordered = tuple(sorted(members, key=lambda f: (f.simplicity, len(f.key), f.key)))
    simplest = next((one for one in ordered[0].explained if one.id == name), Explained(name))
    return Cause(name, described(simplest), ordered, simplest.ulp, simplest.convention)
