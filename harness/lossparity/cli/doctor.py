"""`lossparity doctor`."""

from __future__ import annotations

import sys

import click

from lossparity.cli.endings import Unsound
from lossparity.errors import UnavailableError


@click.command()
@click.option("--no-probe", is_flag=True, help="Take each framework's word for its arithmetic; quicker.")
def doctor(no_probe: bool) -> None:
    """Say what is installed, start every framework once, measure its arithmetic, and say how to get what is missing.

    Exit status 1: a framework's arithmetic is not as its adapter declares and the bounds assume. 3: this machine's own
    is unsound.
    """
    from lossparity.dependencies import unmet

    lacking = [one for one in unmet("lossparity") if not one.found]
    if lacking:  # of which the rest would fail at an import
        raise UnavailableError(
            f"not installed: {', '.join(one.wanted for one in lacking)}",
            hint="pip install " + " ".join(f"'{one.wanted}'" for one in lacking),
        )
    from lossparity import doctor as examining

    status = 0
    for line in examining.examine(probing=not no_probe):
        click.echo(line.text, err=line.status == Unsound.exit_code)
        status = max(status, line.status)
    sys.exit(status)
