"""Known deviations: what a framework is known to get wrong, declared with its kind, versions and reason.

A declared deviation is matched by its kind too: an implementation that returned inf and now returns NaN is a new
failure. One that is gone, in a version it was declared for, is stale.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from lossparity.model import Backend, Verdict
from lossparity.plans import Finding

__all__ = ["KINDS", "TODO", "Deviation", "apply", "unmatched"]

KINDS = ("inf", "nan", "zero", "finite-wrong", "shape", "format", "raises", "no-raise", "inconsistent")
TODO = "TODO"
"""How the reason of a proposed declaration begins, until somebody has found it out."""


@dataclass(frozen=True)
class Deviation:
    """One declared deviation; `checks` are globs of `case/format#quantity`, `versions` a range of `package`'s versions.

    `package` is a library that runs on the framework, or the framework itself where it is empty. `backends` are
    globs of their names without `@PATH`: of another environment its version tells.
    """

    id: str
    backends: tuple[str, ...]
    checks: tuple[str, ...]
    kind: str
    versions: str
    reason: str
    link: str = ""
    package: str = ""

    def covers(self, check: str, quantity: str, details: Mapping[str, str]) -> bool:
        """Whether it declares this quantity of this check (`case/format@backend`) for these versions, by package."""
        return self.matches(check, quantity) and self.within(details, Backend.parse(check.partition("@")[2]))

    def matches(self, check: str, quantity: str) -> bool:
        """Whether it is about this quantity of this check, in whatever version."""
        case, _, backend = check.partition("@")
        return self.concerns(backend) and any(fnmatch.fnmatchcase(f"{case}#{quantity}", glob) for glob in self.checks)

    def concerns(self, backend: str) -> bool:
        """Whether it is about this backend."""
        return _concerned(self.backends, backend)

    def within(self, details: Mapping[str, str], backend: Backend) -> bool:
        """Whether a backend's version is in its range; false of what is no version."""
        version = details.get(self.package or backend.framework, "")
        try:
            return SpecifierSet(self.versions).contains(Version(version), prereleases=True)
        except InvalidVersion:
            return False


@functools.lru_cache(maxsize=4096)  # asked of every check, and there are few backends
def _concerned(globs: tuple[str, ...], backend: str) -> bool:
    return any(fnmatch.fnmatchcase(backend.partition("@")[0], glob) for glob in globs)


def apply(
    finding: Finding, check: str, details: Mapping[str, str], known: Sequence[Deviation]
) -> tuple[Finding, Deviation | None]:
    """Turn a failure that is declared into `known`, and a pass that is declared as a deviation into `stale`.

    `details` is the worker's account of itself, with the version of every package under its name.
    """
    declared = [d for d in known if d.covers(check, finding.quantity, details)]
    if not declared:
        return finding, None
    if finding.verdict.failing:
        same = next((d for d in declared if d.kind == finding.kind), None)
        if same is not None:
            return replace(finding, verdict=Verdict.KNOWN), same
        other = declared[0]
        said = f"{other.id} declares kind {other.kind}, this is {finding.kind}. {finding.message}".rstrip()
        return replace(finding, message=said), None
    if finding.verdict is Verdict.PASS:
        said = f"{declared[0].id} declares kind {declared[0].kind} for {declared[0].versions}, but it conforms"
        return replace(finding, verdict=Verdict.STALE, message=said), declared[0]
    return finding, None


def unmatched(known: Iterable[Deviation], checks: Sequence[tuple[str, str]]) -> list[Deviation]:
    """Return the deviations whose globs match none of the (check, quantity) pairs: a mistake in the declaration."""
    return [d for d in known if not any(d.matches(check, quantity) for check, quantity in checks)]
