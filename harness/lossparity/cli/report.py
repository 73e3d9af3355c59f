"""`lossparity report`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lossparity.cli import completing
from lossparity.cli.compare import against
from lossparity.cli.steps import reports, spare
from lossparity.errors import UsageError, suggest

_PLACES = {"html": ("page", "report.html"), "junit": ("junit", "junit.xml"), "badge": ("badge", "badge.json")}


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "name",
    default="html",
    show_default=True,
    shell_complete=completing.reports,
    metavar="NAME",
    help="html, the page; junit, XML for CI; github, a step's summary and annotations; badge, for shields.io; or a "
    "report that something installed brings.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="BASE",
    help="Mark on the page what changed since this record, as `lossparity compare BASE RECORD --html FILE` does.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file. Default, beside the record: report.html, junit.xml, badge.json, summary.md; of github in GitHub "
    "Actions, the step's summary.",
)
def report(record: Path, name: str, baseline: Path | None, output: Path | None) -> None:
    """Write the page of a record again, or what a CI system reads."""
    from lossparity.registry import report_names

    if name not in report_names():
        raise UsageError(f"unknown report {name!r}", hint=suggest(name, report_names(), "report"))
    if baseline and name != "html":
        raise UsageError(f"--baseline marks the page, and {name!r} is another report", hint="leave out --format")
    what, file = _PLACES.get(name, (name, f"report.{name}"))
    if name == "github":
        what, file = "summary", os.environ.get("GITHUB_STEP_SUMMARY") or "summary.md"
    # An absolute path, such as that of the step's summary, stays as it is.
    to = output or record.parent / file
    spare([record, baseline] if baseline else [record], {"--output": to})
    compare = against(baseline, None)
    reports(record, {name: to}, compare(record).mark if compare else None)
    click.echo(f"{what}: {to}")
