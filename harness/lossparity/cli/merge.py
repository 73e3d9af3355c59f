"""`lossparity merge`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lossparity.cli.steps import page, spare


@click.command()
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECORD...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File that receives the record.",
)
@click.option(
    "--versions",
    "versioned",
    is_flag=True,
    help="Put runs of several versions of a framework side by side, each backend with its version: torch@2.13.0.",
)
@click.option("--page", "html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Its page too.")
def merge(records: tuple[Path, ...], output: Path, versioned: bool, html: Path | None) -> None:
    """Join records of one suite: the shards of a run, runs of several backends, or of several versions of them.

    Times of any cases may come with them; jobs stay apart.

    One of which a shard is missing is incomplete, and ends with 3.
    """
    from lossparity import console, record
    from lossparity.merging import merge as joined
    from lossparity.versions import told_apart

    spare(records, {"--output": output, "--page": html})
    read = [(str(given), record.read(given)) for given in records]
    merged = joined(told_apart(read) if versioned else read)
    with record.Writer(output) as writer:
        merged.write(writer)
    times = merged.timed
    if merged.results or not times.speeds:
        click.echo(console.summary(merged.summary))
    if times.speeds:
        jobs = f"{len(times.jobs)} job{'s' * (len(times.jobs) != 1)}"
        click.echo(f"{len(times.speeds)} times of {jobs}; those of two jobs are never compared")
    for note in merged.notes:
        click.echo(f"lossparity: {note}", err=True)
    click.echo(f"record: {output}")
    if html:
        click.echo(f"page:   {page(output, html)}")
    elif not merged.complete:
        click.echo(f"lossparity: {output}: the record is incomplete: {merged.header.incomplete}", err=True)
    sys.exit(merged.summary.exit_code)
