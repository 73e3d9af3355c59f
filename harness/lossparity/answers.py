"""What backends can be asked, and what they answered in a record, by keys `case/format#quantity`."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lossparity.covering import Keys
from lossparity.known import Deviation
from lossparity.model import Backend, Case, Verdict
from lossparity.record import Record, Result

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
    """What one backend answered in a record, by keys `case/format#quantity`, and `every` key that it could be asked."""

    backend: str
    version: str
    results: Mapping[str, Result]
    every: frozenset[str]

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
        return any(fnmatch.fnmatchcase(self.backend, glob) for glob in deviation.backends) and deviation.within(
            self.version
        )


def answered(record: Record, every: Catalogue) -> Iterator[Answers]:
    """Yield the answers of each backend of a record; `every` is what a backend can be asked at all."""
    results: dict[str, dict[str, Result]] = {}
    for result in record.results:
        key = f"{result.check.removesuffix(f'@{result.backend}')}#{result.quantity}"
        results.setdefault(result.backend, {})[key] = result
    environments = [(Backend.parse(one.name), one.details) for one in record.environments]
    versions = {(one.framework, one.device): details.get(one.framework, "") for one, details in environments}
    for name, theirs in results.items():
        backend = Backend.parse(name)
        version = versions.get((backend.framework, backend.device), "")
        asked = frozenset(key for key, compiled in every.items() if compiled or not backend.mode)
        yield Answers(name, version, theirs, asked)
