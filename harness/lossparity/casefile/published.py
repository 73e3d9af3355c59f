"""The figures of a case that were printed elsewhere, kept as printed."""

from __future__ import annotations

import re

from lossparity.casefile.nodes import CaseError, Node, Scalar
from lossparity.casefile.values import array, fields, integer, number, text
from lossparity.model import Published

__all__ = ["check_figures", "read_published"]

_FIGURE = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MOST_DECIMALS = 17


def read_published(node: Node) -> tuple[Published, tuple[int, ...]]:
    """Return `published` and the shape of its figures; without `exact` the figures are taken to be right."""
    entries = fields(node, "published", ("figures", "decimals"), ("exact", "remark"))
    decimals = integer(entries["decimals"], "decimals")
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise CaseError(entries["decimals"], f"decimals must be between 0 and {_MOST_DECIMALS}, not {decimals}")

    def figure(leaf: Node, what: str) -> float:
        value = number(leaf, what)
        printed = leaf.text if isinstance(leaf, Scalar) else ""
        if not _FIGURE.fullmatch(printed):
            raise CaseError(leaf, f"{what} must be plain decimals, not {printed!r}")
        if len(printed.partition(".")[2]) > decimals:
            raise CaseError(leaf, f"{printed} has more than {decimals} decimals")
        return value

    figures, shape = array(entries["figures"], "figures", figure)
    exact, exact_shape = array(entries.get("exact", entries["figures"]), "exact", figure)
    if exact_shape != shape:
        raise CaseError(entries["exact"], f"exact has shape {list(exact_shape)}; that of the figures is {list(shape)}")
    remark = text(entries["remark"], "remark") if "remark" in entries else ""
    return Published(figures, exact, decimals, remark), shape


def check_figures(node: Node, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse figures that have not the shape of the value."""
    if shape != wanted:
        raise CaseError(node, f"figures of shape {list(shape)}; the value has shape {list(wanted)}")
