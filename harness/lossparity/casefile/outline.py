"""The ids and formats of a case file's cases, and nothing else of it: quick, for the completion of a shell.

It asks for no more of the file than it needs, and imports no NumPy. What is wrong with a file is `suite.load`'s to say.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from lossparity.casefile.nodes import CaseError, Listing, Node, Scalar, Table, compose
from lossparity.spec import FORMAT_ALIASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Outlined", "outline"]

_EVERY = tuple(dict.fromkeys(FORMAT_ALIASES.values()))


class Outlined(NamedTuple):
    """One case: its id and formats."""

    id: str
    formats: tuple[str, ...]


def outline(path: Path) -> list[Outlined]:
    """Return the cases of a file in its order, multiplied out; those of one that cannot be read are none."""
    try:
        root = compose(path.read_text(encoding="utf-8"))
    except (CaseError, OSError, ValueError):
        return []
    entries = _entries(root)
    usual = _words(_entries(entries.get("defaults")).get("formats")) or _EVERY
    return [case for node in _items(entries.get("cases")) for case in _cases(path.stem, _entries(node), usual)]


def _cases(suite: str, found: dict[str, Node], usual: tuple[str, ...]) -> Iterator[Outlined]:
    name = found.get("id")
    if not isinstance(name, Scalar):
        return
    entry, formats = f"{suite}/{name.text}", _words(found.get("formats")) or usual
    axes = [
        [f"{axis}={label}" for label in (_entries(values) or _words(values))]
        for axis, values in _entries(found.get("vary")).items()
    ]
    for labels in itertools.product(*axes):
        yield Outlined("/".join((entry, *labels)), formats)


def _entries(node: Node | None) -> dict[str, Node]:
    return node.entries if isinstance(node, Table) else {}


def _items(node: Node | None) -> list[Node]:
    return node.items if isinstance(node, Listing) else []


def _words(node: Node | None) -> tuple[str, ...]:
    return tuple(item.text for item in _items(node) if isinstance(item, Scalar))
