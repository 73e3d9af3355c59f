"""The part of a record that is compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lossparity.changes.aligning import by_backend, without_path
from lossparity.errors import UsageError
from lossparity.record import Part, Record, Result, Speed, read
from lossparity.suite import matches

__all__ = ["Scope", "same_part"]


@dataclass(frozen=True)
class Scope:
    """Which results are compared: of cases that match a glob, of formats, backends (without `@PATH`) and suites.

    What is empty restricts nothing.
    """

    globs: Sequence[str] = ()
    formats: Collection[str] = ()
    backends: Collection[str] = ()
    suites: Collection[str] = ()

    def holds(self, result: Result | Speed) -> bool:
        """Whether a result, or a time, is compared."""
        return (
            (not self.globs or any(matches(result.case, glob) for glob in self.globs))
            and (not self.formats or result.format in self.formats)
            and (not self.backends or without_path(result.backend) in self.backends)
            and (not self.suites or result.case.partition("/")[0] in self.suites)
        )

    def of(self, record: Record) -> Record:
        """Return a record with these results and times alone."""
        return replace(
            record,
            results=[result for result in record.results if self.holds(result)],
            speeds=[speed for speed in record.speeds if self.holds(speed)],
        )

    def read(self, path: Path) -> Record:
        """Read these results of a record; UsageError, with the file, where it is none or holds a result twice."""
        record = self.of(read(path))
        try:
            by_backend(record)
        except UsageError as error:
            raise UsageError(error.message, where=str(path), hint=error.hint) from None
        return record


def same_part(base: str, of_base: Part | None, new: str, of_new: Part | None) -> None:
    """UsageError unless two records, by their names, are both of a whole run (None) or of the same part of one.

    Of another part the results are other ones: each would be removed here and added there.
    """
    if _questions(of_base) == _questions(of_new):
        return
    parts = [str(part or "a whole run") for part in (of_base, of_new)]
    other = ", but of other cases or formats" if parts[0] == parts[1] else ""
    raise UsageError(
        f"{base} is {parts[0]}, and {new} is {parts[1]}{other}",
        hint="join the shards with `lossparity merge`, and compare what comes of it",
    )


def _questions(part: Part | None) -> tuple[int, int, str] | None:
    return (part.number, part.of, part.questions) if part else None
