"""Text of strangers inside of GitHub's Markdown, where it stays text: no markup, no links, no icons."""

from __future__ import annotations

import re

from lossparity.plain import line

__all__ = ["cell", "code", "text"]

# An entity never stands for a mark of Markdown. A colon may belong to an address or an icon, a dot to www.
_MARKS = re.compile(r"[\\`*_{}\[\]<>&#|~$!^@]|:(?=\S)|\.(?<=www\.)", re.IGNORECASE)


def text(said: str, most: int = 0) -> str:
    """Return a text as it is to be read, on one line."""
    return _MARKS.sub(_entity, line(said, most))


def _entity(found: re.Match[str]) -> str:
    # GitHub looks for addresses of mail once entities are characters again; a comment keeps the two sides apart.
    return "&#64;<!-- -->" if found[0] == "@" else f"&#{ord(found[0])};"


def cell(said: str, most: int = 0) -> str:
    """Return a text for a cell of a table, which is never empty."""
    return text(said, most) or "\N{EN DASH}"


def code(said: str, most: int = 0) -> str:
    """Return a text as code, on one line; not for tables, which take a bar for the end of a cell even there."""
    whole = line(said, most)
    longest = max((len(run) for run in re.findall("`+", whole)), default=0)
    fence, pad = "`" * (longest + 1), " " if whole.startswith("`") or whole.endswith("`") or not whole.strip() else ""
    return f"{fence}{pad}{whole}{pad}{fence}"
