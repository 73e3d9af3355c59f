"""The script that draws the charts in a browser: vega-embed with all that it needs, made by vl-convert and kept."""

from __future__ import annotations

import gzip
import importlib.metadata
import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from lossparity.cache import folder

__all__ = ["bundle"]

_NAME = "lossparityEmbed"  # as assets/charts.js calls it
_SNIPPET = f"window.{_NAME} = vegaEmbed;"
_PACKAGE = "vl-convert-python"


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
