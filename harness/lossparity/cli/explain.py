"""`lossparity explain`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from lossparity.cli import options
from lossparity.cli.steps import require_sound_arithmetic
from lossparity.errors import UsageError, suggest

if TYPE_CHECKING:
    from collections.abc import Sequence


# A negative number looks like an option: what is no option of ours is an argument.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("logits")
@click.argument("target")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@click.option("--weight", metavar="FILE", help="Class weights, one for each class.")
@click.option("--label-smoothing", type=float, default=0.0, metavar="E", help="Label smoothing, in [0, 1].")
@click.option(
    "--ignore-index", type=int, default=-100, show_default=True, metavar="I", help="The target that is ignored."
)
@options.arithmetic
def explain(
    logits: str,
    target: str,
    numbers: tuple[str, ...],
    weight: str | None,
    label_smoothing: float,
    ignore_index: int,
    fmt: str | None,
) -> None:
    """Say which convention each NUMBER comes from, on these LOGITS and this TARGET.

    LOGITS and TARGET are files: .npy, .npz (FILE.npz:NAME), .csv or .json. A NUMBER is a decimal, all of whose digits
    count, or a file with one loss for each position. Exit status: 0 when every number is explained, 1 when one is not.
    """
    _only_numbers(explain, numbers)
    require_sound_arithmetic()
    from lossparity.explaining import arrayfiles
    from lossparity.explaining import explain as explained

    found = explained(
        arrayfiles.read(logits),
        arrayfiles.read(target, flat=True),
        *(arrayfiles.read(one, flat=True) if arrayfiles.is_file(one) else one for one in numbers),
        weight=None if weight is None else arrayfiles.read(weight, flat=True),
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        format=fmt,
    )
    click.echo(str(found))
    sys.exit(0 if found.complete else 1)


def _only_numbers(command: click.Command, numbers: Sequence[Any]) -> None:
    """Refuse a misspelt option, which click takes for an argument here."""
    for one in numbers:
        if one.startswith("--"):
            name = one.partition("=")[0]
            options_ = [word for param in command.params for word in param.opts if word.startswith("--")]
            raise UsageError(f"no option {name!r}", hint=suggest(name, options_, "option"))
