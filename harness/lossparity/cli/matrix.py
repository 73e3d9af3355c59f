"""`lossparity matrix`."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import options
from lossparity.cli.endings import kept
from lossparity.cli.steps import load, page, require_sound_arithmetic, select
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossparity.matrix.bisecting import Bisected
    from lossparity.matrix.running import Finished
    from lossparity.merging import Merged
    from lossparity.model import Case

_DAY = 86_400.0
_GOES_ON = "the same command goes on with the cells that are left"


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
@click.option("--cell", "names", multiple=True, metavar="GLOB", help="Only cells whose name matches; repeatable.")
@click.option(
    "--executor",
    type=options.named("executor", "local", "ray", "github"),
    default="local",
    show_default=True,
    help="Who runs the cells. ray: the cluster of RAY_ADDRESS, or one begun here (pip install 'lossparity[ray]'). "
    "github: nobody; the jobs of a workflow are printed, as JSON.",
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
    names: tuple[str, ...],
    executor: str,
    dry_run: bool,
    output: Path,
) -> None:
    """Run the matrix of FILE: build each environment, run the suite in it, merge the records, write the page.

    What was built and finished before is taken as it is. A version that cannot be installed is unavailable, and the
    others go on. Exit status: as of `merge`; 3 where a cell is unavailable.
    """
    require_sound_arithmetic()
    from lossparity.matrix import cells, merging, running
    from lossparity.matrix.on_github import jobs as jobs_of
    from lossparity.matrix.planned import planned

    chosen = cells.read(file).only(names)
    if executor == "github":
        click.echo(jobs_of(chosen))
        click.echo(f"when they are over: lossparity matrix merge {shlex.quote(str(file))} -o FOLDER", err=True)
        return
    given = _words({"--case": globs, "--format": formats, "--cases": _places(paths)})
    given += ["--timeout", f"{timeout:g}"]
    timed = _timed(paths, formats) if any(cell.beside for cell in chosen.cells) else ()
    if not timed:
        chosen = replace(chosen, cells=tuple(cell for cell in chosen.cells if not cell.beside))
    cases = select(load(paths), globs, formats)
    plan = running.Plan(chosen, cases, formats, output, given, jobs, _command(), timed)
    if dry_run:
        for line in planned(plan):
            click.echo(line)
        return
    began, number = time.monotonic(), 0

    def told(one: Finished) -> None:
        nonlocal number
        number += 1
        click.echo(f"{number} of {len(plan.matrix.cells)}: {_said(one)}", err=True)

    with kept("judged", output / "cells", _GOES_ON):
        if executor == "ray":
            from lossparity.matrix import on_ray

            over = on_ray.run(plan, told, lambda text: click.echo(f"lossparity: {text}", err=True))
        else:
            over = running.run(plan, told)
    click.echo(f"{len(over)} cells in {time.monotonic() - began:.0f} s")
    _end(merging.merged([one.cell for one in over], [one.record for one in over], plan.command), output)


@matrix.command("merge")
@click.argument("file", type=click.Path(path_type=Path))
@options.output("matrix.jsonl and matrix.html")
def merge(file: Path, output: Path) -> None:
    """Merge the records that cells of FILE have left in FOLDER/cells, on whichever machines, and write the page.

    A cell that left none is not tested, and the exit status is 3.
    """
    from lossparity.matrix import cells, merging

    every = cells.read(file).cells
    _end(merging.merged(every, merging.left(every, output / "cells"), _command()), output)


def _command() -> str:
    return shlex.join(["lossparity", *sys.argv[1:]])


def _end(merged: Merged, output: Path) -> None:
    """Tell what came of all cells, and end with its exit status."""
    from lossparity import console

    click.echo(console.summary(merged.summary))
    _write(merged, output)
    sys.exit(merged.summary.exit_code)


def _write(merged: Merged, output: Path) -> None:
    """Write the record of a matrix, and its page, and say where."""
    from lossparity import record

    path = output / "matrix.jsonl"
    with record.Writer(path) as writer:
        merged.write(writer)
    click.echo(f"record: {path}")
    click.echo(f"page:   {page(path, output / 'matrix.html')}")


def _timed(paths: Sequence[Path], formats: Sequence[str]) -> tuple[Case, ...]:
    """Return the cases that are timed; --case is about those that are judged."""
    from lossparity import suite

    every = (case for one in suite.load(list(paths) or [suite.built_in()], timed=True) for case in one.cases)
    return tuple(case for case in every if not formats or set(formats) & set(case.formats))


def _words(options_: Mapping[str, Sequence[str]]) -> list[str]:
    return [word for name, values in options_.items() for value in values for word in (name, value)]


def _places(paths: Sequence[Path]) -> list[str]:
    """Return files and folders as any process finds them, and packs by their names."""
    return [str(one.resolve() if one.exists() else one) for one in paths]


def _said(one: Finished) -> str:
    if one.unavailable:
        return f"{one.cell.name}: unavailable: {one.unavailable}"
    counts = ", ".join(f"{n} {verdict}" for verdict, n in one.results.items()) or f"{len(one.record.speeds)} times"
    if one.before:
        return f"{one.cell.name}: finished before; {counts}"
    built = "environment was there" if one.built is None else f"built in {one.built:.0f} s"
    return f"{one.cell.name}: {built}, run in {one.seconds:.0f} s; {counts}"


@matrix.command("bisect")
@click.option("--framework", required=True, metavar="NAME", help="Whose releases: torch, tensorflow, jax, …")
@click.option("--check", required=True, metavar="ID", help="The check: case/format@backend, as for `show`.")
@click.option("--good", required=True, metavar="VERSION", help="A release that answers as it should, say.")
@click.option("--bad", required=True, metavar="VERSION", help="A later one that answers otherwise.")
@click.option("--with", "more", multiple=True, metavar="REQUIREMENT", help="To be installed beside each; repeatable.")
@click.option("--package", metavar="NAME", help="What the framework is installed as, where that is not its name.")
@click.option("--python", metavar="VERSION", default="", help="The Python, as in 3.11 (default: this one).")
@options.cases
@options.timeout
@options.output("cells/NAME/run.jsonl, matrix.jsonl and matrix.html of the releases that were judged")
def bisect(
    framework: str,
    check: str,
    good: str,
    bad: str,
    more: tuple[str, ...],
    package: str | None,
    python: str,
    paths: tuple[Path, ...],
    timeout: float,
    output: Path,
) -> None:
    """Find the first release of a framework with which a check changed, and show it beside the one before.

    What is looked for is the change that weighs most from --good to --bad, as `compare` tells it: the verdict, the
    grade, the choice. Exit status: 0 found, 1 nothing changed, 2 wrong use, 3 a release could not be judged.
    """
    require_sound_arithmetic()
    from lossparity import show
    from lossparity.matrix import bisecting, merging, running
    from lossparity.matrix.cells import Cell, Matrix, package_of, requirement
    from lossparity.matrix.released import between
    from lossparity.model import Backend

    suites = load(paths)
    case, fmt, name = show.check_parts(check, [case for suite in suites for case in suite.cases])
    backend = Backend.parse(name or framework)
    if backend.framework != framework or backend.python:
        raise UsageError(f"{check!r} is no check of {framework}", hint=f"as in {case.id}/{fmt}@{framework}")
    wanted, name = [requirement(one, "--with") for one in more], package or package_of(framework)
    backends = (str(replace(backend, device="cpu")),)
    cells = [
        Cell(framework, version, (f"{name}=={version}", *wanted), python, backend.device, 0, backends)
        for version in between(name, good, bad, python)
    ]
    given = _words({"--case": [case.id], "--format": [fmt], "--cases": _places(paths)})
    given += ["--timeout", f"{timeout:g}"]
    matrix = Matrix("bisect", f"{check}, {good} to {bad}", tuple(cells))
    plan = running.Plan(matrix, (case,), (fmt,), output, given, command=_command())
    click.echo(f"{len(cells)} releases of {name} from {good} to {bad}", err=True)
    with kept("judged", output / "cells", _GOES_ON):
        found = bisecting.bisect(plan, lambda one: click.echo(_said(one), err=True))
    click.echo(_told(found))
    judged = found.judged
    _write(merging.merged([one.cell for one in judged], [one.record for one in judged], plan.command), output)
    sys.exit(0 if found.kind else 1)


def _told(found: Bisected) -> str:
    from lossparity.changes import KINDS
    from lossparity.changes.printed import printed

    before, after = found.before.name, found.after.name
    beside = printed(found.found, None, before, after)
    if not found.kind:
        return f"{beside}\n\n{before} and {after} answer alike: there is nothing to look for"
    unknown = "; ".join(f"{name} cannot be judged: {why}" for name, why in found.skipped.items())
    of = f"{KINDS[found.kind].said} ({found.quantity})"
    answer = f"{after} is the first release that is {of}; {before} is not"
    return "\n".join(filter(None, [beside, "", answer, unknown and f"or one between them: {unknown}"]))


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
