"""`lossparity compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import options
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossparity.model import Backend


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
def compare(
    base: Path,
    new: Path,
    globs: tuple[str, ...],
    formats: tuple[str, ...],
    mapped: tuple[str, ...],
    fail_on: str | None,
    as_json: bool,
) -> None:
    """Say what changed from the record BASE to the record NEW, check by check.

    Results are aligned by check, quantity and inputs. Backends are by their names; one of another environment
    (jax@PATH) also by its name without the path, where that is one backend. Exit status: 0 no regression, 1 a
    regression, 2 wrong use or no record, 3 nothing could be compared.
    """
    from lossparity.changes import compare as compared
    from lossparity.changes import kinds_named, mapping
    from lossparity.changes.printed import printed
    from lossparity.changes.scope import Scope
    from lossparity.changes.structured import structured

    kinds, scope = kinds_named(fail_on or "default"), Scope(globs, formats)
    before, after = scope.read(base), scope.read(new)
    found = compared(before, after, mapping(mapped, before))
    click.echo((structured if as_json else printed)(found, kinds, str(base), str(new)))
    sys.exit(found.exit_code(kinds))


def against(
    baseline: Path | None,
    fail_on: str | None,
    backends: Sequence[Backend],
    globs: Sequence[str],
    formats: Sequence[str],
    suites: Sequence[str],
) -> Callable[[Path], int]:
    """Read the part of a baseline that a run asks for; return what compares a record with it and prints that.

    It is read before the run, which may overwrite it. What is compared returns the exit status, 0 without a baseline.
    `backends`, `globs`, `formats` and `suites` are what a run was restricted to; an empty one is no restriction.
    """
    if baseline is None:
        if fail_on is not None:
            raise UsageError("--fail-on has nothing to compare with", hint="give a record, as in --baseline run.jsonl")
        return lambda _record: 0
    from lossparity.changes import compare as compared
    from lossparity.changes import kinds_named
    from lossparity.changes.aligning import without_path
    from lossparity.changes.printed import printed
    from lossparity.changes.scope import Scope

    kinds = kinds_named(fail_on or "default")
    names = {without_path(str(backend)) for backend in backends}
    before, name = Scope(globs, formats, names, suites).read(baseline), str(baseline)

    def compare_with(record: Path) -> int:
        found = compared(before, Scope().read(record), {})
        click.echo(printed(found, kinds, name, str(record)))
        return found.exit_code(kinds)

    return compare_with
