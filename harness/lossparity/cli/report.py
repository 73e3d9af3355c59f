"""`lossparity report`."""

from __future__ import annotations

from pathlib import Path

import click

from lossparity.cli.steps import page


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page; default: report.html beside it.")
def report(record: Path, output: Path | None) -> None:
    """Write the page of a record again."""
    click.echo(f"page: {page(record, output or record.with_name('report.html'))}")
