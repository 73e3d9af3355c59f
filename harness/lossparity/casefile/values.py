"""What the nodes of a case file mean, read strictly: words, booleans, numbers, lists, mappings, arrays.

YAML's own resolution of scalars is not used: PyYAML reads `1e4`, `-inf` and `nan` as text and `off` as false. What a
scalar means is decided by what is wanted at its place. Nothing is evaluated. Every function here raises CaseError, at
the node, for what it does not take; `what` is how the message calls the node.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from lossparity.casefile.nodes import CaseError, Listing, Node, Scalar, Table
from lossparity.errors import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lossparity.model import Numbers

__all__ = [
    "LARGEST_INTEGER",
    "SPELLED",
    "array",
    "boolean",
    "choice",
    "choices",
    "fields",
    "integer",
    "leaves",
    "listing",
    "number",
    "quantity",
    "table",
    "text",
]

LARGEST_INTEGER = 2**63 - 1
_LONGEST_SHOWN = 60


def _short(written: str) -> str:
    return written if len(written) <= _LONGEST_SHOWN else written[:_LONGEST_SHOWN] + "…"


def _kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return repr(_short(node.text)) if node.text else "nothing"
    return "a list" if isinstance(node, Listing) else "a mapping"


def table(node: Node, what: str) -> Table:
    """Return a mapping; CaseError for anything else."""
    if not isinstance(node, Table):
        raise CaseError(node, f"{what} must be a mapping, not {_kind(node)}")
    return node


def listing(node: Node, what: str) -> list[Node]:
    """Return the items of a list that is not empty; CaseError for anything else."""
    if not isinstance(node, Listing):
        raise CaseError(node, f"{what} must be a list, not {_kind(node)}")
    if not node.items:
        raise CaseError(node, f"{what} is empty")
    return node.items


def fields(node: Node, what: str, required: Iterable[str], optional: Iterable[str]) -> dict[str, Node]:
    """Return a mapping's entries; CaseError for an unknown or a missing key."""
    found, needed = table(node, what), tuple(required)
    known = (*needed, *optional)
    for name, key in found.keys.items():
        if name not in known:
            raise CaseError(key, f"{what} has no key {name!r}", suggest(name, known, "key"))
    for name in needed:
        if name not in found.entries:
            raise CaseError(node, f"{what} lacks {name!r}", f"add `{name}:`")
    return found.entries


def text(node: Node, what: str) -> str:
    """Return a scalar's text; CaseError where it is empty or no scalar."""
    if not isinstance(node, Scalar) or not node.text.strip():
        raise CaseError(node, f"{what} must be text, not {_kind(node)}")
    return node.text


def boolean(node: Node, what: str) -> bool:
    """Return the meaning of an unquoted true or false; no other spelling has one."""
    if not isinstance(node, Scalar) or not node.plain or node.text not in ("true", "false"):
        raise CaseError(node, f"{what} must be true or false, not {_kind(node)}")
    return node.text == "true"


def choice(node: Node, what: str, known: Iterable[str], noun: str) -> str:
    """Return a word that is one of the known ones."""
    word, words = text(node, what), tuple(known)
    if word not in words:
        raise CaseError(node, f"unknown {noun} {_short(word)!r}", suggest(word, words, noun))
    return word


def choices(node: Node, what: str, known: Iterable[str], noun: str) -> tuple[str, ...]:
    """Return a list of known words, each once and at least one."""
    words, found = tuple(known), list[str]()
    for item in listing(node, what):
        word = choice(item, what, words, noun)
        if word in found:
            raise CaseError(item, f"{word!r} is given twice")
        found.append(word)
    return tuple(found)


_DECIMAL = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEX = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?")
_SPECIAL = re.compile(r"[+-]?\.?inf|\.?nan")
SPELLED = "|".join(form.pattern for form in (_DECIMAL, _HEX, _SPECIAL))
"""How a number is written, as a regular expression."""
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,18})")
_SPELLINGS = "a number is written 3, -0.5, 1e4, 0x1.8p3, inf, -inf or nan, without quotes"


def number(node: Node, what: str) -> float:
    """Return the binary64 number nearest to what is written: a decimal, a hex float, inf, -inf or nan."""
    if not isinstance(node, Scalar):
        raise CaseError(node, f"{what} must be a number, not {_kind(node)}", _SPELLINGS)
    written = node.text
    if node.plain and _DECIMAL.fullmatch(written):
        value = float(written)
    elif node.plain and _HEX.fullmatch(written):
        try:
            value = float.fromhex(written)
        except OverflowError:
            value = math.inf
    elif node.plain and _SPECIAL.fullmatch(written):
        return float(written.replace(".", ""))
    else:
        raise CaseError(node, f"{what} must be a number, not {_kind(node)}", _SPELLINGS)
    if math.isinf(value):
        raise CaseError(
            node, f"{_short(written)} is beyond the largest binary64 number", "write inf where infinity is meant"
        )
    if value == 0 and re.search("[1-9a-fA-F]", re.split("[pP]" if "x" in written.lower() else "[eE]", written)[0]):
        raise CaseError(node, f"{_short(written)} is below the smallest binary64 number", "write 0 where zero is meant")
    return value


def quantity(node: Node, what: str) -> float:
    """Return a finite number of at least 0."""
    value = number(node, what)
    if not 0 <= value < math.inf:
        raise CaseError(node, f"{what} must be finite and not negative, not {_kind(node)}")
    return value


def integer(node: Node, what: str) -> int:
    """Return an integer of at most 64 bits."""
    if not isinstance(node, Scalar) or not node.plain or not _INTEGER.fullmatch(node.text):
        raise CaseError(node, f"{what} must be an integer of at most 64 bits, not {_kind(node)}")
    value = int(node.text)
    if abs(value) > LARGEST_INTEGER:
        raise CaseError(node, f"{what} must be an integer of at most 64 bits, not {_kind(node)}")
    return value


def array(node: Node, what: str, read: Callable[[Node, str], float]) -> tuple[Numbers, tuple[int, ...]]:
    """Return nested tuples of numbers and their shape, every number by `read`; CaseError where they are ragged."""
    if not isinstance(node, Listing):
        return read(node, what), ()
    values: list[Numbers] = []
    shape: tuple[int, ...] | None = None
    for item in node.items:
        value, inner = array(item, what, read)
        if shape is not None and inner != shape:
            raise CaseError(
                item, f"{what} is ragged: an entry of shape {list(inner)} beside one of shape {list(shape)}"
            )
        values.append(value)
        shape = inner
    return tuple(values), (len(values), *(shape or ()))


def leaves(node: Node) -> Iterator[Scalar]:
    """Yield the scalars of an array in C order."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Listing):
        for item in node.items:
            yield from leaves(item)
