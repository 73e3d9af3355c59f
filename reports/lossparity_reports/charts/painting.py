"""Painting charts by Vega-Lite in a process of its own: `python -m lossparity_reports.charts.painting`.

It reads a specification a line, as JSON, and answers each with a line of JSON: the drawing, or what is wrong with it.
It imports nothing of the rest, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any
from xml.etree import ElementTree

__all__ = ["main", "paint"]

_SVG = "http://www.w3.org/2000/svg"

# What every mark carries although the page says it once, or SVG means it anyway.
_NEEDLESS = {"class", "role", "font-family", "pointer-events", "version", "cursor", "aria-hidden", "aria-label"}
_NEEDLESS |= {"aria-roledescription", "width", "height"}
_DEFAULTS = {"opacity": "1", "stroke-width": "1", "font-size": "10px", "text-anchor": "start", "fill-opacity": "1"}
_NUMBER = re.compile(r"-?\d+\.\d+")
_NOWHERE = re.compile(r"translate\(0,0\)")


_LEAST: dict[str, Any] = {"data": {"values": [{}]}, "mark": "point"}


def main() -> None:
    """Answer until there is nothing more to read."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    _answer(_LEAST)  # its engine takes 0.4 s to start, in which the specifications are made
    for line in sys.stdin.buffer:
        print(json.dumps(_answer(json.loads(line))), file=replies, flush=True)


def _answer(spec: dict[str, Any]) -> dict[str, str]:
    try:
        return {"svg": paint(spec)}
    except (ImportError, ValueError, ElementTree.ParseError) as error:
        return {"error": str(error)}


def paint(spec: dict[str, Any]) -> str:
    """Return a Vega-Lite specification drawn as an `svg` element of HTML; ImportError without vl-convert."""
    import vl_convert

    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(spec))
    size = {name: root.get(name, "") for name in ("width", "height")}
    _tidy(root)
    for name, value in {**size, "aria-hidden": "true", "focusable": "false"}.items():
        root.set(name, value)
    return ElementTree.tostring(root, encoding="unicode")


def _tidy(node: ElementTree.Element) -> None:
    """Leave out what draws nothing or says what is so anyway: most of what Vega writes."""
    node.tag = node.tag.removeprefix(f"{{{_SVG}}}")
    for name, value in list(node.attrib.items()):
        if name in _NEEDLESS or _DEFAULTS.get(name) == value or _NOWHERE.fullmatch(value):
            del node.attrib[name]
        elif name in {"d", "transform"} or _NUMBER.fullmatch(value):
            node.set(name, _NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value))
    children: list[ElementTree.Element] = []
    for child in node:
        _tidy(child)
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        elif _draws(child):
            children.append(child)
    node[:] = children


def _draws(node: ElementTree.Element) -> bool:
    if node.tag == "text":
        return bool(node.text) and node.get("opacity") != "0"
    if node.tag == "path":
        return bool(node.get("d")) and node.get("display") != "none" and bool({"fill", "stroke"} & node.attrib.keys())
    return len(node) > 0 or node.tag != "g"


if __name__ == "__main__":
    main()
