"""What every page is made of: templates, styles, scripts, and the hashes that its policy admits them by."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

import jinja2

__all__ = ["AROUND", "asset", "hashed", "template", "together"]

AROUND = ("elements.js", "around.js")
"""What every page answers to: the button of the theme, and links inside it."""

_HERE = Path(__file__).parent


def template(name: str) -> jinja2.Template:
    """Return a template; what is put into it is text, unless it says that it is not."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def asset(name: str) -> str:
    """Return the text of a style or a script."""
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


def together(scripts: Iterable[str]) -> str:
    """Return scripts as one that leaves no names behind."""
    return "(() => {\n'use strict';\n" + "\n".join(map(asset, scripts)) + "\n})();"


def hashed(text: str) -> str:
    """Return the source expression that lets a content security policy admit a text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
