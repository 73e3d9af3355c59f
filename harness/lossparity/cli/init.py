"""`lossparity init`."""

from __future__ import annotations

from pathlib import Path

import click

from lossparity.cli import completing


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="loss_shim.py")
@click.option(
    "--framework",
    default="numpy",
    show_default=True,
    shell_complete=completing.shims,
    help="Whose tensors your function takes.",
)
@click.option(
    "--kind",
    default="function",
    show_default=True,
    metavar="KIND",
    shell_complete=completing.shims,
    help="What yours is: function, class (constructed, then called), tuple (the loss and more), fused-linear "
    "(hidden, weight, target).",
)
@click.option(
    "--operation",
    default="cross_entropy",
    show_default=True,
    shell_complete=completing.shims,
    help="Which operation it does.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(file: Path, framework: str, kind: str, operation: str, force: bool) -> None:
    """Write a file to put your own function into, and say how to check it.

    The file runs as it is, around the framework's own function. FILE is loss_shim.py when left out.
    """
    from lossparity.shim import Shim, write

    shim = Shim(file, framework, kind, operation)
    write(shim, force=force)
    click.echo(f"wrote {file}: put your own in the place that is marked, then")
    click.echo(f"  {shim.command}")
