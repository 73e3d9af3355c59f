"""What a shell offers where a name is begun: read from entry points and case files, and quickly.

Each function is the `shell_complete` of a parameter: it gets the context, in which what stands before is parsed, the
parameter and the word that is begun, and returns whole words. One that ends in `/`, `=` or `@` is to be gone on with.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from lossparity.spec import COMPILERS, FORMAT_ALIASES, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    from lossparity.casefile.outline import Outlined

__all__ = [
    "arguments",
    "backends",
    "cases",
    "changes",
    "checks",
    "conventions",
    "devices",
    "formats",
    "frameworks",
    "operations",
    "reports",
    "shims",
    "supports",
    "targets",
]

_DEVICES = ("cpu", "cuda", "gpu")


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]


def _a_step(words: Iterable[str], incomplete: str) -> list[str]:
    """Return words as far as their next `/`, so that hundreds are offered a folder at a time."""
    found = (word for word in words if word.startswith(incomplete))
    return list(dict.fromkeys(word[: word.find("/", len(incomplete)) + 1] or word for word in found))


def _behind_comma(words: Iterable[str], incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{word}" for word in _beginning(words, last)]


def _registered() -> list[str]:
    return sorted({point.name for point in importlib.metadata.entry_points(group="lossparity.backends")})


def backends(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer `framework[.variant]`, then `:device` or `+mode`; the interpreter after `@` is anybody's guess."""
    if ":" in incomplete and "+" not in incomplete:
        return _beginning((f"{incomplete.partition(':')[0]}:{device}" for device in _DEVICES), incomplete)
    started = incomplete.partition("+")[0]
    names = _registered() if ":" not in started else [started]
    modes = [f"{name}+{mode}" for name in names if (mode := COMPILERS.get(re.split("[.:]", name)[0], "compiled"))]
    return _beginning([*names, *modes], incomplete)


def frameworks(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the frameworks of the registered backends."""
    return _beginning((name.partition(".")[0] for name in _registered()), incomplete)


def devices(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the devices that adapters know."""
    return _beginning(_DEVICES, incomplete)


def formats(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the formats, by their other names too where those are begun."""
    return _beginning([*FORMAT_ALIASES.values(), *(FORMAT_ALIASES if incomplete else ())], incomplete)


def changes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the kinds of changes, of which there may be several between commas."""
    from lossparity.changes import KINDS

    return _behind_comma((*KINDS, "default", "none"), incomplete)


def operations(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the operations of the spec."""
    return _beginning(OPERATIONS, incomplete)


def reports(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the registered reports."""
    points = importlib.metadata.entry_points(group="lossparity.reports")
    return _beginning(sorted({point.name for point in points}), incomplete)


def cases(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer suites, then the ids of their cases, of the files given by --cases where there are any."""
    return _a_step((case.id for case in _outlined(ctx, incomplete)), incomplete)


def checks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer suites, the ids of their cases, and `case/format@backend`."""
    case, at, backend = incomplete.partition("@")
    if at:
        return [f"{case}@{name}" for name in backends(ctx, param, backend)]
    asked = (f"{case.id}/{fmt}@" for case in _outlined(ctx, incomplete) for fmt in case.formats)
    return _a_step(asked, incomplete)


def _outlined(ctx: click.Context, incomplete: str) -> list[Outlined]:
    """Return the cases that a word may become; of each suite, which is named as its file, one is enough at first."""
    from lossparity.casefile.outline import Outlined, outline
    from lossparity.casefile.places import built_in, files
    from lossparity.errors import UsageError

    suite, slash, _ = incomplete.partition("/")
    try:
        found = [file for path in ctx.params.get("paths") or [built_in()] for file in files(_place(str(path)))]
    except UsageError:  # the folder has none
        return []
    if not slash:
        return [Outlined(f"{file.stem}/", ("",)) for file in found]
    return [case for file in found if file.stem == suite for case in outline(file)]


def _place(given: str) -> Path:
    """Return where the cases of a path, or of a pack of that name, are."""
    path = Path(given)
    if path.exists():
        return path
    from lossparity.registry import case_packs

    return case_packs().get(given) or path


def conventions(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer `field=`, then its choices, and more of them behind a comma."""
    from lossparity.reference.conventions import CONVENTIONS

    field, equals, _ = incomplete.rpartition(",")[2].partition("=")
    choices = (f"{field}={choice}" for choice in CONVENTIONS.get(field, ()))
    return _behind_comma(choices if equals else (f"{name}=" for name in CONVENTIONS), incomplete)


def supports(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the words of --supports, and more of them behind a comma."""
    from lossparity.target.supports import WORDS

    return _behind_comma(WORDS, incomplete)


def arguments(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the arguments of the operation that stands before, or of cross_entropy, as `name=`."""
    from lossparity.target.binding import arguments_of

    operation = OPERATIONS.get(ctx.params.get("operation") or "", OPERATIONS["cross_entropy"])
    return _behind_comma((f"{name}=" for name in arguments_of(operation)), incomplete)


def shims(_ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer what there is a template of: frameworks, kinds or operations, as the option is called."""
    from lossparity.shim import TEMPLATES

    return _beginning(TEMPLATES[param.name or ""], incomplete)


def targets(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Offer files, and the functions and classes of a file behind its colon."""
    file, colon, _ = incomplete.rpartition(":")
    if not colon:
        return [CompletionItem(incomplete, type="file")]
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    names = re.findall(r"^(?:def|class) ([A-Za-z]\w*)", text, re.MULTILINE)
    return [CompletionItem(word) for word in _beginning((f"{file}:{name}" for name in names), incomplete)]
