"""`lossparity show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import completing, contract, options
from lossparity.cli.steps import backends_named, load, require_sound_arithmetic, select
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lossparity.model import Backend
    from lossparity.plans import Question
    from lossparity.reproducing.script import Reproduced
    from lossparity.show import Shown


@click.command()
@click.argument("name", shell_complete=completing.checks)
@options.backend
@options.cases
@options.format
@click.option("--script", is_flag=True, help="Print the check as a Python script that stands alone.")
@click.option("--issue", is_flag=True, help="Print a deviation as an issue to paste, in Markdown.")
@click.option(
    "--target",
    metavar="FUNCTION",
    shell_complete=completing.targets,
    default="",
    help="Your own function, as `check` takes it; NAME is then case/format@FRAMEWORK.target.",
)
@contract.map_
@contract.returns
@contract.inplace_ok
def show(
    name: str,
    names: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    script: bool,
    issue: bool,
    target: str,
    mapped: dict[str, str],
    returns: str,
    inplace_ok: bool,
) -> None:
    """Show a suite stage by stage, a case number by number, or repeat one check.

    NAME is a suite with printed figures (worked-example), a case id or glob, or a check id case/format@backend; the
    latter may end in #value or #gradient, which --script and --issue take alone.
    """
    require_sound_arithmetic()
    from lossparity import show as showing
    from lossparity.plans import Question
    from lossparity.target import Target

    if script and issue:
        raise UsageError("--script and --issue are two outputs", hint="ask for one; an issue has the script in it")
    form = "script" if script else "issue" if issue else ""
    suites = load(paths)
    cases = [case for suite in suites for case in suite.cases]
    if "@" in name and (names or formats):
        raise UsageError("a check id already names its backend and format", hint="leave out -b and --format")
    if "@" not in name and (form or target):
        word = f"--{form}" if form else "--target"
        raise UsageError(
            f"{word} is for one check, and {name!r} is no check id",
            hint="one is case/format@backend, as `lossparity list --case GLOB` and the page show",
        )
    if "@" in name:
        case, fmt, backend = showing.check_parts(name, cases)
        question, backends = Question(case, fmt), showing.backends_of(backend, target)
        user = Target(target, case.operation, mapped, returns, inplace_ok) if target else None
        if user:
            user.check()
        if form:
            quantity = showing.split_quantity(name)[1]
            click.echo(_written(form, showing.reproduce(question, backends, user), quantity), nl=False)
        else:
            _print(showing.put([question], backends, user))
        return
    backends, _ = backends_named(names)
    chosen = select(suites, [name], formats)
    if name.rstrip("/") in {suite.name for suite in suites} and any(case.published for case in chosen):
        for library in backends if names else [_library(backends)]:
            for line in showing.stages(chosen, library, formats[0] if formats else "float64"):
                click.echo(line)
        return
    _print(showing.put([Question(c, f) for c in chosen for f in c.formats if not formats or f in formats], backends))


def _written(form: str, about: Reproduced, quantity: str) -> str:
    from lossparity import registry
    from lossparity.reproducing.issue import issue
    from lossparity.reproducing.script import script

    if form == "script":
        return script(about, quantity)
    return issue(about, quantity, registry.known_deviations([about.backend.framework]))


def _print(answered: Iterable[tuple[Question, list[Shown]]]) -> None:
    from lossparity.show import details

    for question, shown in answered:
        for line in details(question, shown):
            click.echo(line)
        click.echo()


def _library(backends: Sequence[Backend]) -> Backend:
    # A library that has the operations shows more than NumPy, whose functions are composed here.
    return next((b for b in backends if b.framework != "numpy"), backends[0])
