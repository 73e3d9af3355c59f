"""`lossparity compare`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import options
from lossparity.cli.steps import reports, spare
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossparity.changes import Comparison
    from lossparity.changes.scope import Scope
    from lossparity.model import Backend
    from lossparity.record import Record


@click.command()
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@options.case
@options.format
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="OLD=NEW",
    help="Compare backend OLD of BASE with backend NEW of NEW, and no others; repeatable.",
)
@options.fail_on
@click.option("--json", "as_json", is_flag=True, help="Print the whole comparison as JSON.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the page of NEW, with what changed marked.",
)
def compare(
    base: Path,
    new: Path,
    globs: tuple[str, ...],
    formats: tuple[str, ...],
    mapped: tuple[str, ...],
    fail_on: str | None,
    as_json: bool,
    html: Path | None,
) -> None:
    """Say what changed from the record BASE to the record NEW, check by check.

    Results are aligned by check, quantity and inputs. Backends are by their names; one of another environment
    (jax@PATH) also by its name without the path, where that is one backend. Exit status: 0 no regression, 1 a
    regression, 2 wrong use or no record, 3 nothing could be compared.
    """
    from lossparity.changes import kinds_named, mapping
    from lossparity.changes.scope import Scope

    spare((base, new), {"--html": html})
    kinds, scope = kinds_named(fail_on or "default"), Scope(globs, formats)
    before = scope.read(base)
    compared = Baseline(str(base), before, kinds, mapping(mapped, before)).compare(new, scope)
    click.echo(compared.as_json() if as_json else compared.text())
    if html:
        reports(new, {"html": html}, compared.mark)
        click.echo(f"page:   {html}", err=as_json)
    sys.exit(compared.exit_code)


@dataclass(frozen=True)
class Baseline:
    """BASE, or the part of it that is compared, and by which names and kinds of regressions."""

    name: str
    record: Record
    kinds: frozenset[str]
    names: Mapping[str, str]

    def compare(self, new: Path, scope: Scope) -> Compared:
        """Compare a part of the record NEW with it."""
        from lossparity.changes import compare as compared
        from lossparity.changes.scope import same_part

        record = scope.read(new)
        same_part(self.name, self.record.header.shard, str(new), record.header.shard)
        return Compared(self, str(new), compared(self.record, record, self.names))


@dataclass(frozen=True)
class Compared:
    """What a comparison found, and what there is to do with it."""

    baseline: Baseline
    name: str
    found: Comparison

    @property
    def exit_code(self) -> int:
        """The exit status that it comes to."""
        return self.found.exit_code(self.baseline.kinds)

    def text(self) -> str:
        """Return what is printed."""
        from lossparity.changes.printed import printed

        return printed(self.found, self.baseline.kinds, self.baseline.name, self.name)

    def as_json(self) -> str:
        """Return what `--json` prints."""
        from lossparity.changes.structured import structured

        return structured(self.found, self.baseline.kinds, self.baseline.name, self.name)

    def mark(self, record: Record) -> Record:
        """Return all of NEW with what changed marked, for its page."""
        from lossparity.changes.marking import marked

        return marked(record, self.found, self.baseline.kinds, self.baseline.name)


def against(
    baseline: Path | None,
    fail_on: str | None,
    backends: Sequence[Backend] = (),
    globs: Sequence[str] = (),
    formats: Sequence[str] = (),
    suites: Sequence[str] = (),
    *,
    whole: bool = False,
) -> Callable[[Path], Compared] | None:
    """Read the part of a baseline that a run asks for; return what compares a record with it, None without a baseline.

    It is read before the run, which may overwrite it. `backends`, `globs`, `formats` and `suites` are what a run was
    restricted to; an empty one is no restriction. `whole`: the record will be of a whole run, so that a baseline that
    is a shard is refused at once.
    """
    if baseline is None:
        if fail_on is not None:
            raise UsageError("--fail-on has nothing to compare with", hint="give a record, as in --baseline run.jsonl")
        return None
    from lossparity.changes import kinds_named
    from lossparity.changes.aligning import without_path
    from lossparity.changes.scope import Scope, same_part

    kinds = kinds_named(fail_on or "default")
    names = {without_path(str(backend)) for backend in backends}
    held = Baseline(str(baseline), Scope(globs, formats, names, suites).read(baseline), kinds, {})
    if whole:
        same_part(held.name, held.record.header.shard, "what would be run", None)
    return lambda record: held.compare(record, Scope())
