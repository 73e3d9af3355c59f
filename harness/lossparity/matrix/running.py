"""A matrix, run here: a record for every cell as it is finished.

Each cell is a run of its own in a process of its own; what of it was finished before is not run again.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from lossparity import __version__
from lossparity.errors import LossparityError, UnavailableError, UsageError
from lossparity.matrix.cells import Cell, Matrix
from lossparity.matrix.commands import Commands
from lossparity.matrix.environments import build
from lossparity.matrix.merging import unavailable
from lossparity.model import Case
from lossparity.record import VERSION, Header, Record, Writer, read
from lossparity.suite import digest
from lossparity.worker import THREADS

__all__ = ["Finished", "Plan", "finished", "judged", "lost", "run"]

_MAIN = "from lossparity.cli import main; main()"
_STATUSES = (0, 1, 3)  # of a run that came to its end


@dataclass(frozen=True)
class Plan:
    """What to run, and where to: `words` are those for `lossparity run` that choose the same `cases` and `formats`.

    `timed` are the cases that are timed, where the matrix has cells for that.
    """

    matrix: Matrix
    cases: Sequence[Case]
    formats: Sequence[str]
    output: Path
    words: Sequence[str] = ()
    jobs: int = 1
    command: str = ""
    timed: Sequence[Case] = ()

    def folder(self, cell: Cell) -> Path:
        """Return the folder of a cell's record."""
        return self.output / "cells" / cell.name

    def record(self, cell: Cell) -> Path:
        """Return where a cell's record is."""
        return self.folder(cell) / "run.jsonl"

    def key(self, cell: Cell) -> str:
        """Return what a finished cell has to have been: itself, its cases, and how it was called."""
        return json.dumps([cell.digest, digest(self.asked(cell)), list(self.words), __version__])

    def asked(self, cell: Cell) -> Sequence[Case]:
        """Return the cases of a cell."""
        return self.timed if cell.beside else self.cases


@dataclass(frozen=True)
class Finished:
    """One cell that is over: its record, how long environment and run took, whether either was there before."""

    cell: Cell
    record: Record
    built: float | None = None
    seconds: float = 0.0
    before: bool = False
    unavailable: str = ""
    results: Mapping[str, int] = field(default_factory=dict)


def run(plan: Plan, told: Callable[[Finished], None]) -> list[Finished]:
    """Run the cells that are not finished yet, some at once; return all in their order.

    Those that time have the machine to themselves, when the others are over. A cell whose environment cannot be built
    is unavailable, with the reason, and the others go on.
    """
    over: dict[str, Finished] = {}
    alone = [cell for cell in plan.matrix.cells if cell.beside]
    _some(plan, [cell for cell in plan.matrix.cells if not cell.beside], plan.jobs, over, told)
    _some(plan, alone, 1, over, told)
    return [over[cell.name] for cell in plan.matrix.cells]


def _some(
    plan: Plan, cells: Sequence[Cell], jobs: int, over: dict[str, Finished], told: Callable[[Finished], None]
) -> None:
    commands = Commands()
    with ThreadPoolExecutor(jobs) as threads:
        waiting = {threads.submit(judged, plan, cell, commands): cell for cell in cells}
        try:
            for one in as_completed(waiting):
                over[waiting[one].name] = one.result()
                told(over[waiting[one].name])
        except BaseException:
            commands.end()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def finished(plan: Plan, cell: Cell) -> Finished | None:
    """Return a cell that was finished before; one that was unavailable then is tried again."""
    folder = plan.folder(cell)
    try:
        if (folder / "cell.json").read_text() != plan.key(cell):
            return None
        record = read(plan.record(cell))
    except (OSError, LossparityError):
        return None
    return Finished(cell, record, before=True, results=_counts(record)) if record.complete else None


def _counts(record: Record) -> Mapping[str, int]:
    return record.footer.results if record.footer else {}


def judged(plan: Plan, cell: Cell, commands: Commands) -> Finished:
    """Run one cell, if it is not finished: build its environment, judge it there, leave its record in its folder.

    One that times versions builds that of each. UsageError where the run itself fails.
    """
    if there := finished(plan, cell):
        return there
    folder = plan.folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cell.json").unlink(missing_ok=True)
    pythons: list[Path] = []
    built: list[float] = []
    try:
        for one in cell.beside or (cell,):
            environment, new = build(one, commands)
            pythons.append(environment.python)
            built += [environment.seconds] if new else []
    except UnavailableError as error:
        return lost(plan, cell, str(error))
    began = time.monotonic()
    names = [f"{_on(name, cell.device)}@{python}" for name in cell.backends for python in pythons]
    words = [*_words(plan, cell), *(word for name in names for word in ("-b", name)), "-o", str(folder)]
    variables = {**os.environ, **({THREADS: str(cell.threads)} if cell.threads else {})}
    status, printed = commands.call([sys.executable, "-P", "-c", _MAIN, *words], variables)
    (folder / "log.txt").write_text(printed)
    if status not in _STATUSES:
        said = printed.strip()[-2000:]
        raise UsageError(f"{cell.name}: the run ended with status {status}: {said}", where=str(folder))
    if cell.beside:
        (folder / "speed.jsonl").replace(plan.record(cell))
    record = read(plan.record(cell))
    (folder / "cell.json").write_text(plan.key(cell))
    took = time.monotonic() - began
    return Finished(cell, record, sum(built) if built else None, took, results=_counts(record))


def _words(plan: Plan, cell: Cell) -> list[str]:
    if not cell.beside:
        return ["run", *plan.words]
    pairs = zip(plan.words[::2], plan.words[1::2], strict=True)
    kept = (word for option, value in pairs if option != "--case" for word in (option, value))
    return ["bench", *kept, "--threads", str(cell.threads or 1)]


def lost(plan: Plan, cell: Cell, reason: str) -> Finished:
    """Leave the record of a cell that cannot be judged."""
    asked = sum(not plan.formats or fmt in plan.formats for case in plan.asked(cell) for fmt in case.formats)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    header = Header(VERSION, __version__, digest(plan.cases), now, plan.command, "loose")
    record = unavailable(cell, reason, asked, header)
    plan.folder(cell).mkdir(parents=True, exist_ok=True)
    with Writer(plan.record(cell)) as writer:
        writer.append(header, *record.environments, *filter(None, [record.footer]))
    return Finished(cell, record, unavailable=reason)


def _on(name: str, device: str) -> str:
    """Put a device behind a backend's name, before its mode."""
    plain, plus, mode = name.partition("+")
    return f"{plain}{'' if device == 'cpu' else f':{device}'}{plus}{mode}"
