"""Drawing by Vega-Lite: a chart as SVG, without a browser, and the script that draws it again in one."""

from __future__ import annotations

import gzip
import importlib.metadata
import os
import re
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lossparity.cache import folder
from lossparity_reports.charts.figure import styled

__all__ = ["ABSENT", "bundle", "draw"]

ABSENT = "Without vl-convert-python, which draws them, this page has the tables of the charts alone."
"""What the page says where the package is not installed."""

_NAME = "lossparityEmbed"  # as assets/charts.js calls it
_SNIPPET = f"window.{_NAME} = vegaEmbed;"
_PACKAGE = "vl-convert-python"
_SVG = "http://www.w3.org/2000/svg"

# What every mark carries although the page says it once, or SVG means it anyway.
_NEEDLESS = {"class", "role", "font-family", "pointer-events", "version", "cursor", "aria-hidden", "aria-label"}
_NEEDLESS |= {"aria-roledescription", "width", "height"}
_DEFAULTS = {"opacity": "1", "stroke-width": "1", "font-size": "10px", "text-anchor": "start", "fill-opacity": "1"}
_NUMBER = re.compile(r"-?\d+\.\d+")
_NOWHERE = re.compile(r"translate\(0,0\)")


def draw(spec: dict[str, Any]) -> str:
    """Return a Vega-Lite specification drawn as an `svg` element of HTML; nothing where vl-convert is not installed."""
    try:
        import vl_convert
    except ImportError:
        return ""
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(styled(spec)))
    size = {name: root.get(name, "") for name in ("width", "height")}
    _tidy(root)
    for name, value in {**size, "aria-hidden": "true", "focusable": "false"}.items():
        root.set(name, value)
    return ElementTree.tostring(root, encoding="unicode")


def bundle() -> bytes:
    """Return vega-embed with all that it needs, a script, gzipped; nothing where vl-convert is not installed.

    It takes 1.5 s to make, so it is kept by vl-convert's version in the folder for what is kept between runs. What the
    disk does wrong costs that time again, and no more.
    """
    try:
        import vl_convert
    except ImportError:
        return b""
    path = folder() / f"vega-embed-{importlib.metadata.version(_PACKAGE)}.js.gz"
    with suppress(OSError, EOFError, zlib.error):
        kept = path.read_bytes()
        if _NAME in gzip.decompress(kept).decode("utf-8", "replace"):
            return kept
    made = gzip.compress(vl_convert.javascript_bundle(_SNIPPET).encode(), mtime=0)
    with suppress(OSError):
        _keep(path, made)
    return made


def _keep(path: Path, content: bytes) -> None:
    """Write a file at once: a reader sees the whole of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
