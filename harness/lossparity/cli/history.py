"""`lossparity history`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossparity.series import Point, Series

_HEAD = ("version", "started", "pass", "weak", "other", "bound used: half, 99 %, most")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("-b", "--backend", "globs", multiple=True, metavar="GLOB", help="Only these, by name; repeatable.")
@click.option(
    "--by",
    type=options.named("order", "version", "date"),
    default="version",
    show_default=True,
    help="The order of the runs of a backend.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the page that draws it.",
)
def history(paths: tuple[Path, ...], globs: tuple[str, ...], by: str, as_json: bool, output: Path | None) -> None:
    """Put the records in folders beside each other, over versions or dates: grades, bounds, choices, times.

    Records that are incomplete, or a shard alone, are left out and named. Exit status: 0, 2 a file that is no record,
    3 nothing to show.
    """
    import msgspec

    from lossparity.cli.steps import spare
    from lossparity.history import history as gathered
    from lossparity.registry import history_writer

    spare([path for path in paths if path.is_file()], {"--output": output})
    found = gathered(paths, by, globs)
    for reason in found.left_out:
        click.echo(f"lossparity: left out: {reason}", err=True)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo("\n\n".join("\n".join(_told(one)) for one in found.series))
    if output:
        history_writer()(found, output)
        click.echo(f"page:   {output}", err=as_json)


def _told(series: Series) -> Iterator[str]:
    from lossparity.console import wrapped

    rows = [_HEAD, *map(_row, series.points)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield f"{series.name}: {len(series.points)} run{'s' * (len(series.points) != 1)}"
    for row, point in zip(rows, [None, *series.points], strict=True):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        if point and point.since is not None:
            changes = [f"{one.count} {one.said}" for one in point.since]
            said = ", ".join([*point.apart, *changes]) or "nothing"
            yield from wrapped(f"since the one before: {said}", "      ", "    ")


def _row(point: Point) -> tuple[str, ...]:
    weak, used = point.passing.get("loose", 0), point.used
    return (
        point.version,
        point.started[:16].replace("T", " "),
        str(sum(point.passing.values())),
        str(weak),
        ", ".join(f"{count} {verdict}" for verdict, count in point.others.items()) or "–",
        f"{used.half:.2g}, {used.most:.2g}, {used.largest:.2g}" if used else "–",
    )
