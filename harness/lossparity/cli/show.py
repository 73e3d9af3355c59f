"""`lossparity show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import options
from lossparity.cli.steps import backends_named, load, require_sound_arithmetic, select
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossparity.model import Backend


@click.command()
@click.argument("name")
@click.option("-b", "--backend", "names", multiple=True, metavar="NAME", help="Backend name or glob; repeatable.")
@options.cases
@options.format
def show(name: str, names: tuple[str, ...], paths: tuple[Path, ...], formats: tuple[str, ...]) -> None:
    """Show a suite stage by stage, a case number by number, or repeat one check.

    NAME is a suite with printed figures (worked-example), a case id or glob, or a check id case/format@backend.
    """
    require_sound_arithmetic()
    from lossparity import registry
    from lossparity import show as showing
    from lossparity.plans import Question

    suites = load(paths)
    cases = [case for suite in suites for case in suite.cases]
    if "@" in name and (names or formats):
        raise UsageError("a check id already names its backend and format", hint="leave out -b and --format")
    backends, _ = backends_named(names)
    if "@" in name:
        case, fmt, backend = showing.check_parts(name, cases)
        questions, backends = [Question(case, fmt)], registry.resolve([backend])[0]
    else:
        chosen = select(suites, [name], formats)
        if name in {suite.name for suite in suites} and any(case.published for case in chosen):
            for library in backends if names else [_library(backends)]:
                for line in showing.stages(chosen, library, formats[0] if formats else "float64"):
                    click.echo(line)
            return
        questions = [Question(c, f) for c in chosen for f in c.formats if not formats or f in formats]
    for question, shown in showing.put(questions, backends):
        for line in showing.details(question, shown):
            click.echo(line)
        click.echo()


def _library(backends: Sequence[Backend]) -> Backend:
    # A library that has the operations shows more than NumPy, whose functions are composed here.
    return next((b for b in backends if b.framework != "numpy"), backends[0])
