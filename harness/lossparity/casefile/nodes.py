"""YAML text as nodes that know their place; anchors, aliases and tags are refused, so that a case reads as it stands.

Built from the parser's events, which unlike PyYAML's nodes still have the anchors, and in one pass with the check for
duplicate keys. Scalars stay text here: `values` decides what they mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CaseError", "Listing", "Node", "Scalar", "Table", "compose", "place_after"]


class Scalar(NamedTuple):
    """A scalar as written; `plain` when it stands without quotes. Lines and columns count from 1."""

    text: str
    plain: bool
    line: int
    column: int


class Listing(NamedTuple):
    """A sequence of nodes."""

    items: list[Node]
    line: int
    column: int


class Table(NamedTuple):
    """A mapping of nodes by their keys; `keys` has the place of each."""

    entries: dict[str, Node]
    keys: dict[str, Scalar]
    line: int
    column: int


Node: TypeAlias = "Scalar | Listing | Table"


class CaseError(Exception):
    """What is wrong with a case file, at a line and column of it; whoever knows the path adds it."""

    def __init__(self, place: Node | tuple[int, int], message: str, hint: str = "") -> None:
        """Keep the message, its place and the next step."""
        super().__init__(message)
        self.message, self.hint = message, hint
        if isinstance(place, (Scalar, Listing, Table)):
            self.line, self.column = place.line, place.column
        else:
            self.line, self.column = place


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DEEPEST = 16


def place_after(before: str) -> tuple[int, int]:
    """Return the line and column of what follows a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def compose(text: str) -> Node:
    """Return the one document of a YAML text; raise CaseError for what is not YAML or not wanted here."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable is not None:
        raise CaseError(
            place_after(text[: unprintable.start()]),
            f"the character U+{ord(unprintable.group()):04X} is not allowed in YAML",
        )
    try:
        events = iter(yaml.parse(text, Loader=_Loader))
        next(events)  # the start of the stream
        if isinstance(next(events), yaml.StreamEndEvent):
            raise CaseError((1, 1), "the file is empty", "it needs suite, about and cases")
        node = _node(events, next(events), 1)
        next(events)  # the end of the document
        more = next(events)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise CaseError(place, f"not YAML: {error.problem or error.context}") from None
    if not isinstance(more, yaml.StreamEndEvent):
        raise CaseError(_place(more), "a second document", "one file is one suite: remove the `---`")
    return node


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _node(events: Iterator[Any], event: Any, depth: int) -> Node:
    line, column = _place(event)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise CaseError((line, column), "anchors and aliases are not allowed", "write the value out, or use vary")
    if event.tag is not None:
        raise CaseError((line, column), f"the tag {event.tag!r} is not allowed", "a quoted scalar is text")
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(event.value, event.implicit[0], line, column)
    if depth > _DEEPEST:
        raise CaseError((line, column), f"nested more than {_DEEPEST} deep")
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Node] = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(_node(events, inner, depth + 1))
        return Listing(items, line, column)
    entries: dict[str, Node] = {}
    keys: dict[str, Scalar] = {}
    while not isinstance(inner := next(events), yaml.MappingEndEvent):
        key = _node(events, inner, depth + 1)
        if not isinstance(key, Scalar):
            raise CaseError(key, "a key must be a word")
        if key.text in keys:
            raise CaseError(key, f"the key {key.text!r} is given twice", f"it is also in line {keys[key.text].line}")
        keys[key.text] = key
        entries[key.text] = _node(events, next(events), depth + 1)
    return Table(entries, keys, line, column)
