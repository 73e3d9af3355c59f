"""The options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lossparity.cli import completing
from lossparity.errors import UsageError, suggest, time_limit
from lossparity.spec import FORMAT_ALIASES

__all__ = [
    "arithmetic",
    "backend",
    "case",
    "cases",
    "fail_on",
    "format",
    "grade",
    "memory",
    "named",
    "no_cache",
    "output",
    "timeout",
]


_Command = TypeVar("_Command", bound="Callable[..., Any] | click.Command")

# Click's parameter types take an argument since 8.4, and before that to the type checker alone.
if TYPE_CHECKING:
    from collections.abc import Sequence

    _Type = click.ParamType[str]
else:
    _Type = click.ParamType


class _Format(_Type):
    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        names = [*FORMAT_ALIASES.values(), *FORMAT_ALIASES]
        if value not in names:
            raise UsageError(f"unknown format {value!r}", hint=suggest(value, names, "format"))
        return str(FORMAT_ALIASES.get(value, value))


if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice


class _Named(_Choice):
    def __init__(self, noun: str, choices: Sequence[str]) -> None:
        super().__init__(choices)
        self._noun = noun

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            raise UsageError(f"unknown {self._noun} {value!r}", hint=suggest(value, self.choices, self._noun)) from None


def named(noun: str, *choices: str) -> click.ParamType[str]:
    """Return the type of a parameter that is one of some names: a misspelt one is answered with the nearest."""
    return _Named(noun, choices)


def output(files: str) -> Callable[[_Command], _Command]:
    """Return the option for the folder that receives some files."""
    return click.option(
        "-o",
        "--output",
        default="lossparity-results",
        show_default=True,
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Folder that receives {files}.",
    )


def _seconds(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    return time_limit(value, "--timeout")


def _size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    from lossparity.memory import parsed

    return None if value is None else parsed(value, "--memory")


backend = click.option(
    "-b",
    "--backend",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.backends,
    help="Backend NAME[.VARIANT][:DEVICE][+MODE][@PATH], or a glob of them; repeatable. As in torch, jax.manual, "
    "torch:cuda, torch+compile, '*+*' (every compiled mode), jax@PATH/TO/python (the jax of another environment).",
)
cases = click.option(
    "--cases",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH|PACK",
    help="Case file or folder, or the name of an installed pack (`lossparity list`), instead of the built-in ones; "
    "repeatable.",
)
case = click.option(
    "--case",
    "globs",
    multiple=True,
    metavar="GLOB",
    shell_complete=completing.cases,
    help="Only cases whose id matches; repeatable.",
)
format = click.option(  # noqa: A001 - it is named as the option is
    "--format",
    "--dtype",
    "formats",
    multiple=True,
    type=_Format(),
    shell_complete=completing.formats,
    help="Only this format; repeatable.",
)
arithmetic = click.option(
    "--format",
    "--dtype",
    "fmt",
    type=_Format(),
    shell_complete=completing.formats,
    help="The format of the arithmetic, where it is not the logits' own.",
)
fail_on = click.option(
    "--fail-on",
    metavar="KIND,…",
    shell_complete=completing.changes,
    help="The kinds of changes that make the exit status 1 (default: "
    "failing,unjudged,removed,missing,weak,refused,slower); the word default stands for these, none for none.",
)
grade = click.option(
    "--min-grade",
    type=named("grade", "exact", "faithful", "tight", "loose"),
    help="The lowest grade that passes (default: loose); undecided results then fail too.",
)
memory = click.option(
    "--memory",
    callback=_size,
    metavar="SIZE",
    help="How much memory a framework may take, as in 8G (default: 80 % of what is available at the start; on Linux).",
)
no_cache = click.option(
    "--no-cache",
    is_flag=True,
    help="Compute every reference anew, and keep none in the cache folder (LOSSPARITY_CACHE_DIR).",
)
timeout = click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    callback=_seconds,
    metavar="SECONDS",
    help="Time limit of one check.",
)
