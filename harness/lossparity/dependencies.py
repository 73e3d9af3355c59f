"""What installed packages ask of others, against what is installed: by their metadata, without importing them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

__all__ = ["Unmet", "unmet"]


@dataclass(frozen=True)
class Unmet:
    """A requirement `wanted` of a package that is not met: `found` is the version that is here, empty where none is."""

    package: str
    wanted: str
    found: str

    @property
    def advice(self) -> str:
        """Say what is wrong, and which command mends it."""
        here = f"{self.found} is installed" if self.found else "it is not installed"
        return f"{self.package} needs {self.wanted}, and {here}: pip install '{self.wanted}'"


def unmet(package: str) -> Iterator[Unmet]:
    """Yield what a package needs (but its extras) and has not; nothing of a package that is not installed."""
    for text in _required(package):
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _version(requirement.name)
        if not found or not _within(requirement, found):
            yield Unmet(package, f"{requirement.name}{requirement.specifier}", found)


def _within(requirement: Requirement, found: str) -> bool:
    try:
        return requirement.specifier.contains(Version(found), prereleases=True)
    except InvalidVersion:
        return True  # nobody can tell


def _required(package: str) -> list[str]:
    try:
        return importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
