"""`lossparity run`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from lossparity.cli import options
from lossparity.cli.compare import against
from lossparity.cli.endings import kept
from lossparity.cli.steps import (
    backends_named,
    load,
    remembering,
    reports,
    require_sound_arithmetic,
    select,
    step_summary,
)
from lossparity.errors import UsageError


@click.command()
@options.backend
@options.case
@options.cases
@options.format
@options.grade
@click.option("--strict-known", is_flag=True, help="A known deviation that is gone fails the run.")
@options.timeout
@options.no_cache
@click.option(
    "--shard",
    metavar="I/N",
    help="Only the I-th of N parts, alike in cost; `lossparity merge` joins their records.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="RECORD",
    help="Compare the run with this record, as `lossparity compare` does, and mark on the page what changed; a "
    "regression makes the exit status 1.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Workers for each framework on a device, side by side; the results and their order are the same.",
)
@options.memory
@options.fail_on
@options.output("run.jsonl and report.html")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.xml", help="Write JUnit XML, for CI."
)
@click.option(
    "--badge", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.json", help="Write a shields.io badge."
)
@click.option("--github", is_flag=True, help="In GitHub Actions: add to the step's summary, and annotate.")
def run(
    names: tuple[str, ...],
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    min_grade: str | None,
    strict_known: bool,
    timeout: float,
    no_cache: bool,
    shard: str | None,
    baseline: Path | None,
    jobs: int,
    memory: int | None,
    fail_on: str | None,
    output: Path,
    junit: Path | None,
    badge: Path | None,
    github: bool,
) -> None:
    """Judge backends on the cases; write the record and the page.

    Without -b: the libraries of every installed framework, on the CPU.
    """
    places = {"html": output / "report.html", "junit": junit, "badge": badge}
    places["github"] = step_summary() if github else None
    require_sound_arithmetic()
    from lossparity import console, registry
    from lossparity.model import Grade
    from lossparity.record import Writer
    from lossparity.runner import Run
    from lossparity.runner import run as run_plan
    from lossparity.sharding import Shard

    part = Shard.parse(shard) if shard is not None else None
    if part and baseline:
        hint = "join the shards with `lossparity merge`, and then `lossparity compare`"
        raise UsageError("--baseline is for a whole run", hint=hint)
    backends, named = backends_named(names)
    suites = load(paths)
    only = [one.name for one in suites] if paths else []
    regressed = against(baseline, fail_on, backends if names else [], globs, formats, only, whole=True)
    plan = Run(
        backends,
        select(suites, globs, formats),
        formats,
        frozenset(named),
        registry.known_deviations(b.framework for b in backends),
        Grade(min_grade or "loose"),
        strict_known,
        min_grade is not None,
        timeout,
        shlex.join(["lossparity", *sys.argv[1:]]),
        shard=part,
        jobs=jobs,
        memory=memory,
    )
    path = output / "run.jsonl"
    with kept("judged", path), remembering(no_cache) as remember, Writer(path) as writer, console.progress() as told:
        summary = run_plan(replace(plan, remember=remember), writer, told)
    click.echo(console.summary(summary))
    if part:
        click.echo(f"shard {part.number} of {part.of}: `lossparity merge` joins the records of all")
    click.echo(f"record: {path}")
    compared = regressed(path) if regressed else None
    reports(path, {name: to for name, to in places.items() if to}, compared.mark if compared else None)
    click.echo(f"page:   {places['html']}")
    if compared:
        click.echo(compared.text())
    sys.exit(summary.exit_code or (compared.exit_code if compared else 0))
