"""Files of known deviations as text: rewritten where a proposal changes them, and left as they are elsewhere."""

from __future__ import annotations

import difflib
import json
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
        text = f"# What {proposal.framework} is known to get wrong.\nframework: {proposal.framework}\ndeviations:\n"
    if not proposal.before:
        head = text[: text.index("deviations:")] + "deviations:\n"
        return head + "".join(_entry(deviation) for deviation in proposal.after)
    lines = text.splitlines(keepends=True)
    nodes = _nodes(text)
    starts = [node.start_mark.line for node in nodes]
    ends = [*starts[1:], len(lines)]
    written = []
    for deviation, place in proposal.entries:
        if place is None:
            written.append(_entry(deviation))
        else:
            own = lines[starts[place] : ends[place]]
            before = proposal.before[place]
            if deviation.backends != before.backends:
                own = _changed(own, nodes[place], "backends", f"{json.dumps(list(deviation.backends))}\n")
            if deviation.checks != before.checks:
                own = _changed(own, nodes[place], "checks", _checks(deviation.checks))
            written.append("".join(own))
    head = "".join(lines[: starts[0]])
    return head + "".join(written) if written else head.rstrip() + " []\n"


def _nodes(text: str) -> list[Any]:
    """Return the entries of a file, as YAML's nodes with their places."""
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    return next(list(value.value) for key, value in root.value if key.value == "deviations")


def _changed(own: list[str], node: Any, name: str, value: str) -> list[str]:
    """Put another value behind a key of an entry, whose lines these are."""
    first = node.start_mark.line
    key, old = next((key, value) for key, value in node.value if key.value == name)
    # A block sequence ends where the next thing begins, its last element where it ends itself.
    last = old.value[-1].end_mark.line if old.value and not old.flow_style else old.end_mark.line
    start = key.start_mark.line - first
    line = own[start][: key.start_mark.column] + f"{name}:" + ("" if value.startswith("\n") else " ") + value
    return [*own[:start], line, *own[last - first + 1 :]]


def _entry(deviation: Deviation) -> str:
    reason = textwrap.fill(
        deviation.reason,
        _WIDTH,
        initial_indent=f"{_INDENT}",
        subsequent_indent=f"{_INDENT}",
        break_long_words=False,
        break_on_hyphens=False,
    )
    names = ", ".join(name if name.replace(".", "").isalnum() else json.dumps(name) for name in deviation.backends)
    return (
        f"  - id: {deviation.id}\n"
        f"    backends: [{names}]\n"
        f"    kind: {deviation.kind}\n"
        f'    versions: "{deviation.versions}"\n'
        f"    reason: >-\n{reason}\n"
        + (f"    link: {deviation.link}\n" if deviation.link else "")
        + f"    checks:{_checks(deviation.checks)}"
    )


def _checks(checks: tuple[str, ...]) -> str:
    return "\n" + "".join(f"{_INDENT}- {json.dumps(check, ensure_ascii=False)}\n" for check in checks)
