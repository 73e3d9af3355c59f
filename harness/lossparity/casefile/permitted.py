"""What a case permits where the spec leaves a choice, and which arguments ask for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossparity.casefile.nodes import CaseError, Listing, Node, Scalar, Table
from lossparity.casefile.values import number
from lossparity.formats import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHOICES", "check_left_open"]

CHOICES = ("right", "nan", "limit", "masked", "zero", "formula", "clamped", "raises")
"""The permitted results that `one_of` names: `right` is the certified one, where it may be refused as well."""

_OF_SMOOTHING = ("formula", "clamped", "raises")


def check_left_open(found: Table, one_of: tuple[str, ...]) -> None:
    """Refuse arguments of which the spec leaves a choice, in a case that states none, and the other way round."""
    beyond = [node for node in _stated(found, "label_smoothing") if not 0 <= number(node, "label_smoothing") <= 1]
    if beyond and not set(one_of) & set(_OF_SMOOTHING):
        raise CaseError(
            beyond[0],
            f"label_smoothing must be between 0 and 1, not {beyond[0].text}",
            "one outside is for cases whose one_of has formula, clamped or raises (C3)",
        )
    for word in ("formula", "clamped"):
        if word in one_of and not beyond:
            raise CaseError(found.entries["one_of"], f"{word} is of a label_smoothing outside [0, 1]", "leave it out")
    narrow = [node for node in _stated(found, "target_format") if node.text in INTEGERS and node.text != "int64"]
    if narrow and "raises" not in one_of:
        raise CaseError(narrow[0], f"indices in {narrow[0].text} may be refused", "add `one_of: [right, raises]` (N5)")


def _stated(found: Table, name: str) -> Iterator[Scalar]:
    """Yield every value of an argument, stated or varied."""
    vary = found.entries.get("vary")
    nodes: list[Node] = [found.entries[name]] if name in found.entries else []
    if isinstance(vary, Table) and name in vary.entries:
        varied = vary.entries[name]
        nodes.extend(varied.items if isinstance(varied, Listing) else [varied])
    for node in nodes:
        if isinstance(node, Scalar):
            yield node
