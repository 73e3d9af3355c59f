"""The options by which a user says how a function's contract differs from the spec's, and how their values are read."""

from __future__ import annotations

import click

from lossparity.cli import completing, options
from lossparity.errors import UsageError
from lossparity.spec import FORMAT_ALIASES

__all__ = ["inplace_ok", "map_", "mode", "returns", "supports"]


def _words(values: tuple[str, ...]) -> list[str]:
    """Split what is repeated or separated by commas."""
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _pairs(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in _words(values):
        name, _, parameter = (part.strip() for part in word.partition("="))
        if not name or not parameter.isidentifier():
            raise UsageError(f"--map {word} is no pair of names", hint="as in --map target=labels")
        if name in found:
            raise UsageError(f"--map names {name} twice", hint=f"{name}={found[name]} or {name}={parameter}")
        if parameter in found.values():
            raise UsageError(f"--map gives {parameter} two arguments", hint="each parameter takes one")
        found[name] = parameter
    return found


def _supported(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(FORMAT_ALIASES.get(word, word) for word in _words(values))


map_ = click.option(
    "--map",
    "mapped",
    multiple=True,
    callback=_pairs,
    metavar="NAME=PARAMETER",
    shell_complete=completing.arguments,
    help="Which parameter of the function an argument of the spec is, as in target=labels; repeatable.",
)
returns = click.option(
    "--returns",
    default="",
    metavar="WHICH",
    help="Where the result is in what the function returns: an index of a tuple, a key or an attribute.",
)
inplace_ok = click.option(
    "--inplace-ok", is_flag=True, help="The function may overwrite its inputs: it works on copies, M6 is not tested."
)
supports = click.option(
    "--supports",
    multiple=True,
    callback=_supported,
    metavar="WORDS",
    shell_complete=completing.supports,
    help="What the function is for; the rest is not tested. Formats, indices, probabilities, 1d, 2d, nd, value, "
    "gradient, weight, ignore_index, label_smoothing, reduction, reduction=mean, finite; separated by commas.",
)
mode = click.option(
    "--mode",
    type=options.named("mode", "eager", "compiled", "both"),
    default="eager",
    show_default=True,
    help="Call it as it is, or through torch.compile, jax.jit or XLA.",
)
