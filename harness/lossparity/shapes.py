"""The shapes of the loss spec: which axis is the classes', and what shape a value has. Pure arithmetic on tuples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossparity.spec import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossparity.model import Keyword

__all__ = ["class_axis", "row_shape", "value_shape"]

Shape = tuple[int, ...]
_ROW_SUMS = ("row_sum", "log_softmax_row_sum")


def class_axis(shape: Shape) -> int:
    """Return the axis of the classes: 1, or 0 where there is only one axis."""
    return 1 if len(shape) > 1 else 0


def row_shape(shape: Shape) -> Shape:
    """Return the shape without its class axis: one entry a row, as an index target has."""
    axis = class_axis(shape)
    return shape[:axis] + shape[axis + 1 :]


def value_shape(operation: str, shape: Shape, keywords: Mapping[str, Keyword]) -> Shape:
    """Return the shape of an operation's value, given its first argument's; () for a mean or a sum."""
    if "reduction" in OPERATIONS[operation].keywords:
        return row_shape(shape) if keywords.get("reduction", "mean") == "none" else ()
    return row_shape(shape) if operation in _ROW_SUMS else shape
