"""`lossparity known`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.errors import UsageError

if TYPE_CHECKING:
    from lossparity.answers import Catalogue
    from lossparity.declaring import Proposal


@click.command()
@click.option(
    "--update",
    type=click.Path(path_type=Path),
    metavar="RECORD",
    help="Propose declarations for what this record holds, as a diff.",
)
@click.option("--write", is_flag=True, help="Write what is proposed; without it, it is only printed.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With --write: the folder for the files, instead of where they are read.",
)
@click.option(
    "--cases",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Case file or folder, beside the built-in ones and those of installed packs; repeatable.",
)
def known(update: Path | None, write: bool, output: Path | None, paths: tuple[Path, ...]) -> None:
    """List the declared deviations of all registered backends, or bring them up to date.

    One that matches no check is an error. What is proposed anew has no reason yet, and is not read until it has one.
    """
    from lossparity import suite
    from lossparity.answers import catalogue

    if (write and update is None) or (output is not None and not write):
        raise UsageError("nothing would be written", hint="lossparity known --update RECORD --write [-o FOLDER]")
    packs = [one for name in suite.packs() for one in suite.pack(name)]
    suites = [*suite.load([suite.built_in(), *paths]), *packs]
    every = catalogue([case for one in suites for case in one.cases])
    if update is None:
        sys.exit(_listed(every))
    _updated(update, every, write, output)


def _listed(every: Catalogue) -> int:
    from lossparity import registry
    from lossparity.answers import pairs
    from lossparity.known import unmatched

    declared = registry.known_deviations(registry.known_files())
    asked = pairs(every, declared, registry.registered())
    for deviation in declared:
        checks = len({check for check, quantity in asked if deviation.matches(check, quantity)})
        backends = ", ".join(deviation.backends)
        said = f"{checks} check{'s' if checks != 1 else ''}"
        click.echo(f"{deviation.id}  {deviation.kind}  {backends}  {deviation.versions}  {said}")
    wrong = unmatched(declared, asked)
    for deviation in wrong:
        click.echo(f"lossparity: {deviation.id} matches no check: a mistake in the declaration", err=True)
    return 1 if wrong else 0


def _updated(update: Path, every: Catalogue, write: bool, output: Path | None) -> None:
    from lossparity import record, registry
    from lossparity.declarations import difference, rewritten
    from lossparity.declaring import propose

    files = registry.known_files()
    declared = {name: registry.read_known(p) if p and p.is_file() else [] for name, p in files.items()}
    packages = {name: one.judged for name, one in registry.registered().items()}
    for proposal in propose(record.read(update), declared, packages, every):
        path = files[proposal.package]
        before = path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""
        after = rewritten(before, proposal)
        name = f"{proposal.package}.yaml"
        click.echo(difference(before, after, name), nl=False)
        _explain(proposal, name, changed=before != after)
        if not write:
            continue
        to = output / name if output else path
        if to is None:
            raise UsageError(f"the adapter of {proposal.package} has no folder for {name}", hint="give one with -o")
        if before != after or output:
            _write(to, after)


def _explain(proposal: Proposal, name: str, *, changed: bool) -> None:
    was, now = (sum(len(d.checks) for d in declared) for declared in (proposal.before, proposal.after))
    click.echo(f"{name}: {now} patterns, {was} before" if changed else f"{name}: nothing to change, {was} patterns")
    for deviation in proposal.dropped:
        click.echo(f"  gone: {deviation.id}")
    for deviation in proposal.new:
        click.echo(f"  new, without a reason yet: {deviation.id}")
    for result in proposal.undeclarable:
        click.echo(f"  no declaration is about this kind ({result.cause or result.verdict}): {result.key}")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(path), hint="give a folder with -o"
        ) from None
    click.echo(f"  written: {path}")
