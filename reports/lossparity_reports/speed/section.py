"""The section *Speed*: each job with its settings, its tables, and its charts, drawn."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from lossparity.record import Record
from lossparity_reports.charts.classes import accuracy, by_classes
from lossparity_reports.charts.drawing import ABSENT, draw
from lossparity_reports.charts.figure import Figure
from lossparity_reports.charts.speeds import first_calls, memory, ratios
from lossparity_reports.plain import line
from lossparity_reports.speed.jobs import TimedJob, jobs
from lossparity_reports.speed.tables import SCALE, Table, tables

__all__ = ["Part", "Section", "timed"]

_OPEN = 4  # tables, which are all open up to so many


@dataclass(frozen=True)
class Part:
    """One job: its id, settings as (name, words), tables, and figures with their drawings."""

    id: str
    settings: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    figures: tuple[tuple[Figure, Markup], ...]


@dataclass(frozen=True)
class Section:
    """The jobs; `opened` says whether tables are open from the start, `absent` why there are no drawings."""

    jobs: tuple[Part, ...]
    opened: bool
    absent: str
    scale: int = SCALE


def timed(record: Record) -> Section:
    """Make the section; it has no jobs where nothing was timed."""
    parts = tuple(map(_part, jobs(record)))
    drawn = [drawing for part in parts for _, drawing in part.figures]
    return Section(parts, sum(len(part.tables) for part in parts) <= _OPEN, "" if all(drawn) else ABSENT)


def _part(job: TimedJob) -> Part:
    found = [*by_classes(job), ratios(job), first_calls(job), memory(job), accuracy(job)]
    figures = tuple((figure, Markup(draw(figure.spec))) for figure in found if figure is not None)
    settings = [(line(name), line(value)) for name, value in job.job.settings.items()]
    if job.job.margin:
        settings.append(("margin", f"{100 * job.job.margin:g} % between two times that are called different"))
    return Part(line(job.job.id), tuple(settings), tables(job), figures)
