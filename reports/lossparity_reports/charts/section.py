"""The section *Numerics* of the page: its charts, drawn, and what its script needs to draw them again."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass

from markupsafe import Markup

from lossparity.record import Record
from lossparity_reports.charts.agreement import agreement
from lossparity_reports.charts.drawing import ABSENT, bundle, draw
from lossparity_reports.charts.figure import Figure, formats_of, styled
from lossparity_reports.charts.histogram import histogram
from lossparity_reports.charts.sizes import by_size
from lossparity_reports.payload import packed

__all__ = ["Section", "numerics"]


@dataclass(frozen=True)
class Section:
    """The figures with their drawings, `absent` where there are none; `script` is the text whose hash the policy has.

    `vega` and `specs` are gzip in base64: the script, and the specifications by the figures' ids.
    """

    figures: tuple[tuple[Figure, Markup], ...]
    backends: tuple[str, ...]
    formats: tuple[str, ...]
    absent: str = ""
    script: str = ""
    vega: str = ""
    specs: str = ""


def numerics(record: Record) -> Section:
    """Make the section; it has no figures where there is nothing to draw."""
    results = record.results
    order = list(dict.fromkeys(r.backend for r in results))
    found = [histogram(results), *by_size(results, record.cases), agreement(record.agreements, order)]
    figures = [figure for figure in found if figure is not None]
    script = bundle() if figures else b""
    drawn = [(figure, Markup(draw(figure.spec))) for figure in figures]
    shown = {
        value.get(name)
        for figure in figures
        for value in figure.spec["data"]["values"]
        for name in ("backend", "other")
    }
    return Section(
        tuple(drawn),
        tuple(name for name in order if name in shown),
        tuple(formats_of([value["format"] for figure in figures for value in figure.spec["data"]["values"]])),
        ABSENT if figures and not script else "",
        gzip.decompress(script).decode() if script else "",
        base64.b64encode(script).decode("ascii"),
        packed({figure.id: styled(figure.spec) for figure in figures}) if script else "",
    )
