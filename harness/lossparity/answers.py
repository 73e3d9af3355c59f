"""What backends can be asked, and what they answered in a record, by keys `case/format#quantity`."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lossparity.covering import Keys
from lossparity.errors import UsageError
from lossparity.known import Deviation
from lossparity.model import Backend, Case, Verdict
from lossparity.record import Record, Result
from lossparity.relations import RELATIONS

__all__ = ["Answers", "Catalogue", "answered", "catalogue", "is_glob", "pairs"]

Catalogue = Mapping[str, bool]
"""Every key `case/format#quantity` there is, and whether a compiled mode is asked it too."""

_UNJUDGED = (Verdict.UNSUPPORTED.value, Verdict.UNAVAILABLE.value)


def catalogue(cases: Iterable[Case]) -> Catalogue:
    """Return the keys of cases, without asking anybody."""
    return {
        f"{case.id}/{fmt}#{quantity}": case.compiled
        for case in cases
        for fmt in case.formats
        for quantity in ("value", *(("gradient",) if case.gradient else ()))
        if not case.relation or quantity in RELATIONS[case.relation].quantities
    }


def pairs(every: Catalogue, known: Iterable[Deviation], names: Collection[str]) -> list[tuple[str, str]]:
    """Return the (check, quantity) pairs of the backends of these names, and of their devices and modes declared."""
    declared = {name for d in known for name in d.backends if not is_glob(name)}
    asked = dict.fromkeys([*names, *sorted(n for n in declared if Backend.parse(n).implementation in names)])
    return [
        (f"{key.rpartition('#')[0]}@{name}", key.rpartition("#")[2])
        for name in asked
        for key, compiled in every.items()
        if compiled or not Backend.parse(name).mode
    ]


def is_glob(name: str) -> bool:
    """Whether the name of a backend stands for several."""
    return any(c in name for c in "*?[")


@dataclass(frozen=True)
class Answers:
    """What one backend answered in a record, by keys `case/format#quantity`, and `every` key that it could be asked.

    `package` is whose work it is, and `details` its environment's account of itself.
    """

    backend: str
    package: str
    details: Mapping[str, str]
    results: Mapping[str, Result]
    every: frozenset[str]

    @property
    def version(self) -> str:
        """The version of the package; empty where it is not said."""
        return self.details.get(self.package, "")

    @cached_property
    def judged(self) -> frozenset[str]:
        """What carries a verdict about the backend."""
        return frozenset(key for key, result in self.results.items() if result.verdict not in _UNJUDGED)

    @cached_property
    def deviating(self) -> dict[str, Result]:
        """The results that fail, or are known to."""
        known = Verdict.KNOWN.value
        return {key: r for key, r in self.results.items() if Verdict(r.verdict).failing or r.verdict == known}

    @cached_property
    def unasked(self) -> frozenset[str]:
        """What it could be asked and the record does not hold."""
        return self.every.difference(self.results)

    @cached_property
    def keys(self) -> Keys:
        """Everything that it could be asked, or was."""
        return Keys(self.every.union(self.results))

    def concerns(self, deviation: Deviation) -> bool:
        """Whether a declaration is about this backend in this version."""
        named = any(fnmatch.fnmatchcase(self.backend, glob) for glob in deviation.backends)
        return named and deviation.within(self.details, Backend.parse(self.backend))


def answered(record: Record, packages: Mapping[str, str], every: Catalogue) -> Iterator[Answers]:
    """Yield the answers of each backend of a record; `every` is what a backend can be asked at all.

    `packages` says of each registered backend whose work it is; UsageError for one that is not registered.
    """
    results: dict[str, dict[str, Result]] = {}
    for result in record.results:
        key = f"{result.check.removesuffix(f'@{result.backend}')}#{result.quantity}"
        results.setdefault(result.backend, {})[key] = result
    for name, theirs in results.items():
        backend = Backend.parse(name)
        if backend.implementation not in packages:
            raise UsageError(f"nobody here registers the backend {name!r}", hint="install its adapter")
        environment = record.environment(name)
        details = environment.details if environment else {}
        asked = frozenset(key for key, compiled in every.items() if compiled or not backend.mode)
        yield Answers(name, packages[backend.implementation], details, theirs, asked)
