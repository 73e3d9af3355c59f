"""The arguments of a case: which an operation takes, its keywords' values, and the axes of `vary`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from lossparity.casefile.inputs import Input, read_input
from lossparity.casefile.nodes import CaseError, Node, Scalar, Table
from lossparity.casefile.values import choice, integer, listing, number, table, text
from lossparity.errors import suggest
from lossparity.formats import INTEGERS
from lossparity.spec import LAYOUTS, OPERATIONS, REDUCTIONS, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lossparity.model import Keyword

__all__ = [
    "ID",
    "SETTINGS",
    "TARGETS",
    "Value",
    "argument_names",
    "check_name",
    "read_argument",
    "read_axes",
    "target_names",
]

ID = re.compile(r"[a-z0-9][a-z0-9.-]*")
TARGETS = ("target", "probabilities")
_MOST_CASES = 4096


def target_names(operation: Operation) -> tuple[str, ...]:
    """Return the kinds of target that an operation takes."""
    if operation.name == "cross_entropy":
        return TARGETS
    return ("target",) if operation.target else ()


def argument_names(operation: Operation) -> tuple[str, ...]:
    """Return the inputs, keywords and settings that an operation takes, the first argument first."""
    return (
        operation.first,
        *target_names(operation),
        *(("target_format",) if operation.target else ()),
        *operation.keywords,
        *(("upstream",) if operation.differentiable else ()),
        "layout",
        "scale",
    )


def check_name(key: Scalar, operation: Operation, known: tuple[str, ...], noun: str) -> None:
    """Refuse a key that is not known, saying so when another operation takes it."""
    if key.text in known:
        return
    if any(key.text in argument_names(other) for other in OPERATIONS.values()):
        raise CaseError(
            key, f"{operation.name} takes no {key.text}", f"it takes {', '.join(argument_names(operation))}"
        )
    raise CaseError(key, f"unknown {noun} {key.text!r}", suggest(key.text, known, noun))


def _smoothing(node: Node, what: str) -> float:
    value = number(node, what)
    if not math.isfinite(value):
        raise CaseError(node, f"{what} must be finite, not {value}")
    return value


def _reduction(node: Node, what: str) -> str:
    return choice(node, what, REDUCTIONS, "reduction")


def _layout(node: Node, what: str) -> str:
    return choice(node, what, LAYOUTS, "layout")


def _scale(node: Node, what: str) -> float:
    value = number(node, what)
    if not (math.isfinite(value) and value > 0 and math.frexp(value)[0] == 0.5):
        raise CaseError(node, f"{what} must be a power of two, not {value}", "so that the logits are exact")
    return value


SETTINGS = ("target_format", "layout", "scale")
"""What a case says of how a call is made, beside the arguments that are passed on."""


def _target_format(node: Node, what: str) -> str:
    return choice(node, what, INTEGERS, "format")


_KEYWORDS: Mapping[str, Callable[[Node, str], Keyword]] = {
    "ignore_index": integer,
    "label_smoothing": _smoothing,
    "reduction": _reduction,
    "layout": _layout,
    "scale": _scale,
    "target_format": _target_format,
}


class Value(NamedTuple):
    """One value of an axis and what ids call it."""

    label: str
    argument: Input | Keyword


def read_argument(name: str, node: Node) -> Input | Keyword:
    """Return an input or a keyword value by its name."""
    return _KEYWORDS[name](node, name) if name in _KEYWORDS else read_input(name, node)


def read_axes(found: Table, operation: Operation) -> dict[str, list[Value]]:
    """Return the axes of `vary` and their values, in the order written."""
    if "vary" not in found.entries:
        return {}
    vary = table(found.entries["vary"], "vary")
    if not vary.entries:
        raise CaseError(vary, "vary is empty", "remove it, or name an argument and its values")
    axes: dict[str, list[Value]] = {}
    for axis, key in vary.keys.items():
        check_name(key, operation, argument_names(operation), "argument")
        if axis in found.entries:
            raise CaseError(key, f"{axis} is both stated and varied", f"it is stated in line {found.keys[axis].line}")
        axes[axis] = _values(axis, vary.entries[axis])
    count = math.prod(map(len, axes.values()))
    if count > _MOST_CASES:
        raise CaseError(vary, f"vary makes {count} cases of one; {_MOST_CASES} are the most")
    return axes


def _values(axis: str, node: Node) -> list[Value]:
    if axis not in _KEYWORDS:
        named = table(node, f"the values of the axis {axis}")
        if not named.entries:
            raise CaseError(node, f"the axis {axis} is empty")
        for key in named.keys.values():
            if not ID.fullmatch(key.text):
                raise CaseError(
                    key, f"the name {key.text!r} must be of a-z, 0-9, '.' and '-', and begin with a-z or 0-9"
                )
        return [Value(label, read_input(axis, inner)) for label, inner in named.entries.items()]
    values: list[Value] = []
    for item in listing(node, f"the axis {axis}"):
        argument = _KEYWORDS[axis](item, axis)
        if argument in [v.argument for v in values]:
            raise CaseError(item, f"{axis} takes the value {argument} twice")
        values.append(Value(text(item, axis), argument))
    return values
