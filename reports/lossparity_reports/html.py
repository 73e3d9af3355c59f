"""The page: a record as one self-contained HTML file that opens from disk and loads nothing.

Every section is a module that works out what to say and a template that says it; the list of checks and the view of
one check are drawn by the page's own script. Names and messages come from files and frameworks: they are escaped
here, set as text by the script, and a content security policy lets no other script run.
"""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from lossparity.record import Record
from lossparity_reports import legend
from lossparity_reports.against import section
from lossparity_reports.charts.section import numerics
from lossparity_reports.choices import tabulate
from lossparity_reports.groups import gather
from lossparity_reports.matrix import arrange
from lossparity_reports.output import put
from lossparity_reports.payload import pack
from lossparity_reports.shell import AROUND, asset, hashed, template, together
from lossparity_reports.speed.section import timed
from lossparity_reports.summary import summarise

__all__ = ["render", "write"]

_SCRIPTS = (
    "numbers.js",
    "elements.js",
    "around.js",
    "payload.js",
    "address.js",
    "change.js",
    "list.js",
    "copy.js",
    "reproduce.js",
    "check.js",
    "keys.js",
    "charts.js",
    "start.js",
)


def write(record: Record, path: Path) -> None:
    """Write the page of a record, making its folder; UsageError when that is not possible."""
    put(path, render(record), "the page")


def render(record: Record) -> str:
    """Return the page of a record as HTML."""
    speed = timed(record)
    # Of times alone there is no list of checks, and nothing that draws it.
    judged = bool(record.results) or not speed.jobs
    style = asset("page.css") + asset("charts.css") + (asset("speed.css") if speed.jobs else "")
    scripts = _SCRIPTS if judged else AROUND
    script = together(scripts)
    theme = asset("theme.js")
    charts = numerics(record)
    hashes = [hashed(text) for text in (theme, script, charts.script) if text]
    return template("page.html.j2").render(
        record=record,
        summary=summarise(record),
        groups=gather(record),
        matrix=arrange(record.results),
        against=section(record),
        choices=tabulate(record.results),
        numerics=charts,
        speed=speed,
        judged=judged,
        legend=legend,
        style=Markup(style),
        theme=Markup(theme),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src {hashed(style)}; script-src {' '.join(hashes)}",
        payload=pack(record) if judged else "",
    )
