"""The section *Speed*: each job with its settings, its tables and its charts, which another process draws meanwhile."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from lossparity.plain import line
from lossparity.record import Record
from lossparity_reports.charts.classes import accuracy, by_classes
from lossparity_reports.charts.drawing import Undrawn, painter
from lossparity_reports.charts.figure import Figure, styled
from lossparity_reports.charts.speeds import first_calls, memory, ratios
from lossparity_reports.speed.jobs import TimedJob, jobs
from lossparity_reports.speed.tables import SCALE, Table, tables

__all__ = ["Part", "Section", "timed"]

_OPEN = 4  # tables, which are all open up to so many


@dataclass(frozen=True)
class Part:
    """One job: its id, settings as (name, words), tables and figures."""

    id: str
    settings: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Section:
    """The jobs; `opened` says whether tables are open from the start, `scale` how wide pictures of intervals are."""

    jobs: tuple[Part, ...]
    opened: bool
    drawing: Future[list[str]] | None
    scale: int = SCALE

    @property
    def drawings(self) -> dict[str, Markup]:
        """The drawings by the ids of their figures, empty ones where there are none; it waits for them."""
        return self._outcome[0]

    @property
    def absent(self) -> str:
        """Why there are no drawings, as the page says it; it waits for them."""
        return self._outcome[1]

    @cached_property
    def _outcome(self) -> tuple[dict[str, Markup], str]:
        names = [figure.id for part in self.jobs for figure in part.figures]
        try:
            drawn = self.drawing.result() if self.drawing else []
        except Undrawn as reason:
            return dict.fromkeys(names, Markup()), str(reason)
        return {name: Markup(svg) for name, svg in zip(names, drawn, strict=True)}, ""


def timed(record: Record) -> Section:
    """Make the section and return before it is drawn; it has no jobs where nothing was timed."""
    parts = tuple(map(_part, jobs(record)))
    specs = [styled(figure.spec) for part in parts for figure in part.figures]
    opened = sum(len(part.tables) for part in parts) <= _OPEN
    return Section(parts, opened, painter().draw(specs) if specs else None)


def _part(job: TimedJob) -> Part:
    found = [*by_classes(job), ratios(job), first_calls(job), memory(job), accuracy(job)]
    settings = [(line(name), line(value)) for name, value in job.job.settings.items()]
    if job.job.margin:
        settings.append(("margin", f"{100 * job.job.margin:g} % between two times that are called different"))
    return Part(line(job.job.id), tuple(settings), tables(job), tuple(figure for figure in found if figure is not None))
