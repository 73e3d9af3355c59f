"""Text of strangers as text for machines: nothing in it is unseen, and nothing is longer than there is room for."""

from __future__ import annotations

import re

__all__ = ["cut", "line", "visible"]

# Controls but tab and newline, surrogates, what no XML may hold, and what turns the direction of the text around it.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""Write what cannot be seen as `\x1b` or `\u202e`; tabs and newlines stay."""
    return text if text.isprintable() else _UNSEEN.sub(_written, text)  # the one is much quicker


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cut(text: str, most: int) -> str:
    """Return at most so many characters of a text, and how many more there are."""
    return text if len(text) <= most else f"{text[:most]}\N{HORIZONTAL ELLIPSIS} ({len(text) - most} characters more)"


def line(text: str, most: int = 0) -> str:
    """Return a text on one line, all of it visible; at most so many characters of it where `most` is not 0."""
    tidy = text.isprintable() and "  " not in text
    whole = text.strip() if tidy else " ".join(visible(text).split())
    return cut(whole, most) if most else whole
