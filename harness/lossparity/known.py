"""Known deviations: what a framework is known to get wrong, declared with its kind, versions and reason.

A declared deviation is matched by its kind too: an implementation that returned inf and now returns NaN is a new
failure. One that is gone, in a version it was declared for, is stale.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from lossparity.model import Verdict
from lossparity.plans import Finding

__all__ = ["KINDS", "Deviation", "apply", "unmatched"]

KINDS = ("inf", "nan", "zero", "finite-wrong", "raises", "no-raise")


@dataclass(frozen=True)
class Deviation:
    """One declared deviation; `checks` are globs of `case/format#quantity`, `versions` a range of the framework's.

    `backends` are globs of their names without `@PATH`: of another environment its version tells.
    """

    id: str
    backends: tuple[str, ...]
    checks: tuple[str, ...]
    kind: str
    versions: str
    reason: str
    link: str = ""

    def covers(self, check: str, quantity: str, version: str) -> bool:
        """Whether it declares this quantity of this check (`case/format@backend`) for this framework version."""
        case, backend = _parts(check)
        return (
            any(fnmatch.fnmatchcase(backend, glob) for glob in self.backends)
            and any(fnmatch.fnmatchcase(f"{case}#{quantity}", glob) for glob in self.checks)
            and _within(version, self.versions)
        )


def _parts(check: str) -> tuple[str, str]:
    """Split `case/format@backend[@PATH]` into case/format and the backend's name, the PATH left out."""
    case, _, backend = check.partition("@")
    return case, backend.partition("@")[0]


def _within(version: str, versions: str) -> bool:
    try:
        return SpecifierSet(versions).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def apply(finding: Finding, check: str, version: str, known: Sequence[Deviation]) -> tuple[Finding, Deviation | None]:
    """Turn a failure that is declared into `known`, and a pass that is declared as a deviation into `stale`."""
    declared = [d for d in known if d.covers(check, finding.quantity, version)]
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
    return [
        d
        for d in known
        if not any(
            fnmatch.fnmatchcase(name, backend) and fnmatch.fnmatchcase(f"{case}#{quantity}", glob)
            for check, quantity in checks
            for case, name in [_parts(check)]
            for backend in d.backends
            for glob in d.checks
        )
    ]
