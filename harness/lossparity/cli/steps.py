"""What several commands do on their way: load and select, find backends, keep references, write reports."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli.endings import Unsound
from lossparity.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lossparity.model import Backend, Case
    from lossparity.record import Record
    from lossparity.reference import Remember
    from lossparity.suite import Suite

__all__ = [
    "backends_named",
    "load",
    "page",
    "remembering",
    "reports",
    "require_sound_arithmetic",
    "select",
    "spare",
    "step_summary",
]


@contextmanager
def remembering(no_cache: bool) -> Iterator[Remember]:
    """Yield what keeps references on disk between runs, or nothing where it is not wanted."""
    from lossparity.cache import Cache
    from lossparity.reference import computed

    if no_cache:
        yield computed
        return
    with Cache() as cache:
        yield cache.remember


def require_sound_arithmetic() -> None:
    """Raise Unsound, with the cause, where the floating-point self-test fails."""
    from lossparity import floating

    fault = floating.self_test()
    if fault:
        raise Unsound(fault)


def load(paths: Sequence[Path]) -> tuple[Suite, ...]:
    """Read the suites of files, folders and packs, or the built-in ones."""
    from lossparity import suite

    return suite.load(list(paths) or [suite.built_in()])


def select(suites: Sequence[Suite], globs: Sequence[str], formats: Sequence[str]) -> tuple[Case, ...]:
    """Choose the cases that match a glob and have one of the formats; UsageError when none does."""
    from lossparity import suite

    cases = suite.select([case for one in suites for case in one.cases], list(globs))
    chosen = tuple(c for c in cases if not formats or set(formats) & set(c.formats))
    if not chosen:
        raise UsageError("no case is left to run", hint=f"none of the selected cases is in {', '.join(formats)}")
    return chosen


def backends_named(names: Sequence[str]) -> tuple[list[Backend], set[str]]:
    """Find the backends of names and globs, or the installed ones, and those that were asked for by name."""
    from lossparity import registry

    backends, named = registry.resolve(names) if names else (registry.installed(), set[str]())
    if not backends:
        raise UnavailableError("none of these backends is installed", hint="`lossparity doctor` says what is missing")
    return backends, named


def spare(records: Iterable[Path], places: Mapping[str, Path | None]) -> None:
    """Refuse to write over a record; UsageError where a place, by its option, is one of them or an earlier place."""
    taken = [(record, "one of the records") for record in records]
    for option, place in places.items():
        if place is None:
            continue
        for other, what in taken:
            if _one_file(place, other):
                raise UsageError(f"{place} is {what}", hint=f"choose another {option}")
        taken.append((place, f"the {option} too"))


def _one_file(one: Path, other: Path) -> bool:
    if os.path.realpath(one) == os.path.realpath(other):  # neither has to exist
        return True
    try:
        return one.samefile(other)  # a hard link, or the other case where case is ignored
    except OSError:
        return False


def page(record: Path, to: Path) -> Path:
    """Write the page of a record; say so where the record is incomplete."""
    reports(record, {"html": to})
    return to


def reports(record: Path, places: Mapping[str, Path], mark: Callable[[Record], Record] | None = None) -> None:
    """Write reports of a record, each to its place by its name; say so where the record is incomplete.

    `mark` returns the record with what changed since another one.
    """
    from lossparity import record as records
    from lossparity.registry import report_writer

    found = records.read(record)
    if mark:
        found = mark(found)
    for name, to in places.items():
        report_writer(name)(found, to)
    if not found.complete:
        reason = found.broken or "it has no last line, so the run was stopped"
        click.echo(f"lossparity: {record}: the record is incomplete: {reason}", err=True)


def step_summary() -> Path:
    """Return the file that GitHub Actions shows of a step; UsageError elsewhere."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        hint = "GitHub Actions sets it; elsewhere: lossparity report RECORD --format github -o FILE.md"
        raise UsageError("there is no step to summarise: GITHUB_STEP_SUMMARY is not set", hint=hint)
    return Path(path)
