"""The section *Numerics* of the page: its charts, drawn, and what its script needs to draw them again."""

from __future__ import annotations

import base64
import gzip
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from lossparity.record import Record
from lossparity_reports.charts.agreement import agreement
from lossparity_reports.charts.bundle import bundle
from lossparity_reports.charts.drawing import Undrawn, painter
from lossparity_reports.charts.figure import Figure, formats_of, styled
from lossparity_reports.charts.histogram import histogram
from lossparity_reports.charts.sizes import by_size
from lossparity_reports.payload import packed

__all__ = ["Section", "numerics"]


@dataclass(frozen=True)
class Section:
    """The figures, which another process draws meanwhile; `script` is the text whose hash the page's policy has.

    `vega` and `specs` are gzip in base64: the script, and the specifications by the figures' ids.
    """

    figures: tuple[Figure, ...]
    backends: tuple[str, ...]
    formats: tuple[str, ...]
    drawing: Future[list[str]] | None = None
    script: str = ""
    vega: str = ""
    specs: str = ""

    @property
    def drawn(self) -> tuple[tuple[Figure, Markup], ...]:
        """The figures with their drawings, empty ones where there are none; it waits for them."""
        return tuple(zip(self.figures, self._outcome[0], strict=True))

    @property
    def absent(self) -> str:
        """Why there are no drawings, as the page says it; it waits for them."""
        return self._outcome[1]

    @cached_property
    def _outcome(self) -> tuple[list[Markup], str]:
        try:
            return [Markup(svg) for svg in self.drawing.result()] if self.drawing else [], ""
        except Undrawn as reason:
            return [Markup()] * len(self.figures), str(reason)


def numerics(record: Record) -> Section:
    """Make the section and return before it is drawn; it has no figures where there is nothing to draw."""
    results = record.results
    if results:
        painter().start()
    order = list(dict.fromkeys(r.backend for r in results))
    found = [histogram(results), *by_size(results, record.cases), agreement(record.agreements, order)]
    figures = [figure for figure in found if figure is not None]
    if not figures:
        return Section((), (), ())
    specs = [styled(figure.spec) for figure in figures]
    drawing = painter().draw(specs)
    script = bundle()
    values = [value for figure in figures for value in figure.spec["data"]["values"]]
    shown = {value.get(name) for value in values for name in ("backend", "other")}
    return Section(
        tuple(figures),
        tuple(name for name in order if name in shown),
        tuple(formats_of([value["format"] for value in values])),
        drawing,
        gzip.decompress(script).decode() if script else "",
        base64.b64encode(script).decode("ascii"),
        packed({figure.id: spec for figure, spec in zip(figures, specs, strict=True)}) if script else "",
    )
