"""`lossparity list`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import options
from lossparity.cli.steps import load, select
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossparity.suite import Suite


@click.command("list")
@options.case
@options.cases
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a case file, for editors.")
def list_(globs: tuple[str, ...], paths: tuple[Path, ...], schema: bool) -> None:
    """List backends, suites and packs of cases; with --case, the ids of the cases that match."""
    from lossparity import registry, suite
    from lossparity.casefile.schema import case_file
    from lossparity.model import Backend

    if schema:
        click.echo(case_file(), nl=False)
        return
    suites = load(paths)
    if globs:
        for case in select(suites, globs, ()):
            click.echo(f"{case.id}  [{case.clause}]  {', '.join(case.formats)}")
        return
    click.echo("backends")
    for backend in registry.registered().values():
        lacking = "" if backend.requires[0] in backend.missing else f"{', '.join(backend.missing)} "
        state = "" if backend.available else f"  ({lacking}not installed)"
        mode = registry.compiler(Backend.parse(backend.name).framework)
        for name in (backend.name, f"{backend.name}+{mode}") if mode else (backend.name,):
            click.echo(f"  {name}{state}")
    click.echo("suites")
    _list(suites)
    if not paths and (packs := suite.packs()):
        click.echo("packs of cases, run where --cases names them")
        for name in packs:
            click.echo(f"  {name}")
            try:
                _list(suite.pack(name), "    ")
            except UsageError as error:
                click.echo(f"    {error}")


def _list(suites: Sequence[Suite], indent: str = "  ") -> None:
    for one in suites:
        click.echo(f"{indent}{one.name}: {len(one.cases)} cases. {one.about}")
