"""Records over versions and dates: what each backend came to in every run, and what changed since the run before."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path

from lossparity.changes import KINDS, Change, compare
from lossparity.errors import UnavailableError, UsageError
from lossparity.model import Verdict
from lossparity.record import Record, Result, read
from lossparity.series import History, Point, Series, Since, Used
from lossparity.versions import Seen, natural, seen

__all__ = ["history"]

_FEW = 20  # results that are named of one kind of change
_QUANTILES = 100


@dataclass(frozen=True)
class _Run:
    """One backend of a record, which holds nothing else."""

    name: str
    series: str
    version: str
    path: str
    record: Record


def history(paths: Iterable[Path], by: str, globs: Sequence[str] = ()) -> History:
    """Read records, and those in folders and below, and put the runs of each backend in order.

    `by` is version or date. `globs` say which backends, by the names of their series. What is no whole record of a run
    is left out, with the reason. UsageError for a file that was named and is no record; UnavailableError where nothing
    is left.
    """
    runs: dict[str, list[_Run]] = {}
    left_out: list[str] = []
    for path, named in _files(paths):
        try:
            record = read(path)
            for run in _runs(str(path), record):
                if not globs or any(fnmatchcase(run.series, glob) for glob in globs):
                    runs.setdefault(run.series, []).append(run)
        except UsageError as error:
            if named:
                raise
            left_out.append(str(error))
            continue
        if why := _partial(record):
            left_out.append(f"{path}: {why}")
    if not runs:
        hint = "a folder in which `lossparity run` or `matrix run` has left records, each under a name of its own"
        raise UnavailableError("; ".join([*left_out, "there are no runs to put beside each other"]), hint=hint)
    return History(by, tuple(Series(name, _points(theirs, by)) for name, theirs in runs.items()), tuple(left_out))


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield files, each with whether it was named: those of a folder in order, without cells that were merged there."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        for file in sorted(path.rglob("*.jsonl")):
            cells = file.parent.parent
            if not (cells.name == "cells" and (cells.parent / "matrix.jsonl").is_file()):
                yield file, False


def _partial(record: Record) -> str:
    """Say why a record is not what a run came to; empty where it is."""
    if record.header.shard:
        return f"it is {record.header.shard} alone; `lossparity merge` joins them"
    return "" if record.complete else "it is incomplete"


def _runs(path: str, record: Record) -> Iterator[_Run]:
    if _partial(record):
        return
    for name, one in seen(path, record).items():
        results = [result for result in record.results if result.backend == name]
        speeds = [speed for speed in record.speeds if speed.backend == name]
        if results or speeds:
            own = replace(record, results=results, speeds=speeds, agreements=[], scripts=[])
            yield _Run(name, _series(one), _version(one), path, own)


def _series(one: Seen) -> str:
    """Return the name of a backend without its place or version, but with what else a matrix tells it apart by."""
    version, *more = one.backend.python.split(",")
    label = [word for word in more if word != one.library_word] if version == one.framework else []
    return str(replace(one.backend, python=",".join(label)))


def _version(one: Seen) -> str:
    return ", ".join(filter(None, [one.framework, one.library and f"{one.backend.variant} {one.library}"]))


def _points(runs: Iterable[_Run], by: str) -> tuple[Point, ...]:
    def place(run: _Run) -> tuple[object, ...]:
        version, started = natural(run.version), run.record.header.started
        return (version, started, run.path) if by == "version" else (started, version, run.path)

    before: _Run | None = None
    points: list[Point] = []
    for run in sorted(runs, key=place):
        judges = bool(run.record.results)
        points.append(_point(run, before if judges else None))
        before = run if judges else before  # of times alone nothing is compared
    return tuple(points)


def _point(run: _Run, before: _Run | None) -> Point:
    results, header = run.record.results, run.record.header
    choices: dict[str, Counter[str]] = {}
    for one in results:
        if one.choice and one.quantity == "value":
            choices.setdefault(one.clause, Counter())[one.choice] += 1
    verdicts = Counter(one.verdict for one in results)
    found = compare(before.record, run.record, {before.name: run.name}) if before else None
    return Point(
        run.version,
        header.started,
        run.path,
        header.lossparity,
        Counter(one.grade or "raised" for one in results if one.verdict == Verdict.PASS.value),
        {verdict: count for verdict, count in verdicts.items() if verdict != Verdict.PASS.value},
        _used(results),
        choices,
        _times(run),
        _since(found.changes) if found else None,
        tuple(f"{name} {was} → {now}" for name, (was, now) in found.headers.items()) if found else (),
    )


def _since(changes: Iterable[Change]) -> tuple[Since, ...]:
    kinds: dict[str, list[str]] = {}
    for change in changes:
        kinds.setdefault(change.kind, []).append(change.key)
    return tuple(Since(KINDS[kind].said, len(keys), tuple(keys[:_FEW])) for kind, keys in kinds.items())


def _used(results: Iterable[Result]) -> Used | None:
    passing = (one.bound_used for one in results if one.verdict == Verdict.PASS.value)
    used = [share for share in passing if share is not None and isfinite(share)]
    if len(used) < 2:
        return Used(used[0], used[0], used[0]) if used else None
    parts = statistics.quantiles(used, n=_QUANTILES, method="inclusive")
    return Used(statistics.median(used), parts[-1], max(used))


def _times(run: _Run) -> Mapping[str, tuple[str, float]]:
    """Return the last median of each pass of each check."""
    return {
        f"{one.check.removesuffix(f'@{one.backend}')}#{one.timed}": (one.job, median)
        for one in run.record.speeds
        if (median := one.median) is not None
    }
