"""`lossparity matrix`."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import options
from lossparity.cli.endings import kept
from lossparity.cli.steps import load, page, require_sound_arithmetic, select
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossparity.matrix.running import Finished

_DAY = 86_400.0


@click.group()
def matrix() -> None:
    """Judge versions of frameworks, each in an environment of its own, and put them side by side on one page."""


@matrix.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@options.case
@options.cases
@options.format
@options.timeout
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many cells are built and run at once.",
)
@click.option("--dry-run", is_flag=True, help="Say which cells there are, what is built and finished; run nothing.")
@options.output("cells/NAME/run.jsonl, matrix.jsonl and matrix.html")
def run(
    file: Path,
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    timeout: float,
    jobs: int,
    dry_run: bool,
    output: Path,
) -> None:
    """Run the matrix of FILE: build each environment, run the suite in it, merge the records, write the page.

    What was built and finished before is taken as it is. A version that cannot be installed is unavailable, and the
    others go on. Exit status: as of `merge`; 3 where a cell is unavailable.
    """
    require_sound_arithmetic()
    from lossparity import console, record
    from lossparity.matrix import cells, running
    from lossparity.matrix.planned import planned

    given = _words({"--case": globs, "--format": formats, "--cases": [str(one) for one in paths]})
    given += ["--timeout", f"{timeout:g}"]
    command = shlex.join(["lossparity", *sys.argv[1:]])
    plan = running.Plan(cells.read(file), select(load(paths), globs, formats), formats, output, given, jobs, command)
    if dry_run:
        for line in planned(plan):
            click.echo(line)
        return
    began, number = time.monotonic(), 0

    def told(one: Finished) -> None:
        nonlocal number
        number += 1
        click.echo(f"{number} of {len(plan.matrix.cells)}: {_said(one)}", err=True)

    with kept("judged", output / "cells", "the same command goes on with the cells that are left"):
        over = running.run(plan, told)
    merged = running.merged(plan, over)
    path = output / "matrix.jsonl"
    with record.Writer(path) as writer:
        merged.write(writer)
    click.echo(console.summary(merged.summary))
    click.echo(f"{len(over)} cells in {time.monotonic() - began:.0f} s")
    click.echo(f"record: {path}")
    click.echo(f"page:   {page(path, output / 'matrix.html')}")
    lacking = any(one.unavailable for one in over)
    sys.exit(3 if lacking else merged.summary.exit_code)


def _words(options_: Mapping[str, Sequence[str]]) -> list[str]:
    return [word for name, values in options_.items() for value in values for word in (name, value)]


def _said(one: Finished) -> str:
    if one.unavailable:
        return f"{one.cell.name}: unavailable: {one.unavailable}"
    counts = ", ".join(f"{n} {verdict}" for verdict, n in one.results.items())
    if one.before:
        return f"{one.cell.name}: finished before; {counts}"
    built = "environment was there" if one.built is None else f"built in {one.built:.0f} s"
    return f"{one.cell.name}: {built}, run in {one.seconds:.0f} s; {counts}"


@matrix.command("prune")
@click.option("--days", default=30.0, show_default=True, help="Those that nobody used for so many days; 0 for all.")
@click.option("--dry-run", is_flag=True, help="Say which; remove nothing.")
def prune(days: float, dry_run: bool) -> None:
    """Remove environments that were not used for long."""
    from lossparity.matrix import environments

    if not days >= 0:
        raise UsageError(f"--days {days:g} is no number of days", hint="0 or more")
    freed = 0
    for one in environments.kept():
        age = (time.time() - one.used) / _DAY
        gone = age >= days
        freed += one.size * gone
        what = "kept" if not gone else "would be removed" if dry_run else "removed"
        click.echo(f"{one.folder.name}: {one.size / 1e6:.0f} MB, used {age:.1f} days ago: {what}")
        if gone and not dry_run:
            environments.remove(one)
    click.echo(f"{freed / 1e6:.0f} MB {'would be ' * dry_run}freed")
