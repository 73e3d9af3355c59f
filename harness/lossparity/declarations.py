"""Files of known deviations as text: rewritten where a proposal changes them, and left as they are elsewhere."""

from __future__ import annotations

import difflib
import json
import re
import textwrap
from typing import Any

import yaml

from lossparity.declaring import Proposal
from lossparity.known import Deviation

__all__ = ["difference", "rewritten"]

_WIDTH = 110  # of the lines of a reason, after their indent
_INDENT = "      "


def difference(before: str, after: str, name: str) -> str:
    """Return what changes in a file, as a unified diff; nothing where it stays as it is."""
    was, now = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(was, now, f"a/{name}", f"b/{name}"))


def rewritten(text: str, proposal: Proposal) -> str:
    """Return a file's text as a proposal wants it; an empty text becomes a new file.

    Entries that stay as they are keep every byte; of one whose patterns change only these do; comments at the head
    stay. The text must be the one that `proposal.before` was read from.
    """
    if not text:
        text = f"# What {proposal.package} is known to get wrong.\nframework: {proposal.package}\ndeviations:\n"
    if not proposal.before:
        head = text[: text.index("deviations:")] + "deviations:\n"
        return head + "".join(_entry(deviation) for deviation in proposal.after)
    lines = text.splitlines(keepends=True)
    nodes = _nodes(text)
    starts = [_start(node, lines) for node in nodes]
    ends = [*starts[1:], len(lines)]
    written = []
    for deviation, place in proposal.entries:
        if place is None:
            written.append(_entry(deviation))
        else:
            own = lines[starts[place] : ends[place]]
            written.append(_revised(own, starts[place], nodes[place], proposal.before[place], deviation))
    head = "".join(lines[: starts[0]])
    return head + "".join(written) if written else head.rstrip() + " []\n"


def _nodes(text: str) -> list[Any]:
    """Return the entries of a file, as YAML's nodes with their places."""
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    return next(list(value.value) for key, value in root.value if key.value == "deviations")


def _start(node: Any, lines: list[str]) -> int:
    """Return the line at which an entry begins: that of the comment above it, where it has one."""
    start: int = node.start_mark.line
    while lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return start


def _revised(own: list[str], first: int, node: Any, before: Deviation, after: Deviation) -> str:
    """Return an entry, whose lines these are from the `first` on, with what changes of it."""
    if after == before:
        return "".join(own)
    wanted = {"backends": f" {_names(after.backends)}\n", "checks": _checks(after.checks)}
    changed = {name: value for name, value in wanted.items() if getattr(after, name) != getattr(before, name)}
    found = [(key, value) for key, value in node.value if key.value in changed]
    if node.flow_style or len(found) < len(changed):
        return _entry(after)
    # From the end on, so that the places of the others stay right.
    for key, value in reversed(found):
        # A block sequence ends where the next thing begins, its last element where it ends itself.
        end = value.end_mark if value.flow_style or not value.value else value.value[-1].end_mark
        start, last = key.start_mark.line - first, end.line - first
        own = [*own[:start], f"{own[start][: key.start_mark.column]}{key.value}:{changed[key.value]}", *own[last + 1 :]]
    return "".join(own)


def _entry(deviation: Deviation) -> str:
    reason = textwrap.fill(
        deviation.reason,
        _WIDTH,
        initial_indent=f"{_INDENT}",
        subsequent_indent=f"{_INDENT}",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return (
        f"  - id: {deviation.id}\n"
        f"    backends: {_names(deviation.backends)}\n"
        f"    kind: {deviation.kind}\n"
        + (f"    package: {deviation.package}\n" if deviation.package else "")
        + f'    versions: "{deviation.versions}"\n'
        f"    reason: >-\n{reason}\n"
        + (f"    link: {deviation.link}\n" if deviation.link else "")
        + f"    checks:{_checks(deviation.checks)}"
    )


def _names(backends: tuple[str, ...]) -> str:
    names = (name if re.fullmatch(r"\w[\w.+-]*", name) else json.dumps(name) for name in backends)
    return f"[{', '.join(names)}]"


def _checks(checks: tuple[str, ...]) -> str:
    return "\n" + "".join(f"{_INDENT}- {json.dumps(check, ensure_ascii=False)}\n" for check in checks)
