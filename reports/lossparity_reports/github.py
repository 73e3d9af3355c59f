"""What a step of GitHub Actions shows: a summary in Markdown, and annotations.

The summary is at most 900 KB, below the 1 MiB that GitHub takes of a step, and every part of it has a share of that:
where the worst takes its share up, the rest is counted. Names and messages stay text in it (module markdown).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossparity.record import CaseLine, Record, Result
from lossparity_reports.annotating import advised, commands, numbered, stale
from lossparity_reports.groups import Group, Groups, gather
from lossparity_reports.legend import VERDICTS
from lossparity_reports.markdown import cell, code, text
from lossparity_reports.output import put
from lossparity_reports.particulars import again, particulars, trouble
from lossparity_reports.summary import Summary, is_judged, summarise

__all__ = ["LIMIT", "render", "write"]

LIMIT = 900_000
"""The most bytes that a summary takes, with what stands in its file before it."""

_NAME, _SENTENCE = 300, 1000  # characters


@dataclass(frozen=True)
class _Part:
    """A part of the summary: how it begins, its items and their number, their name, and its share of the whole."""

    head: str
    items: Iterable[str]
    count: int
    noun: str
    share: float


def write(record: Record, path: Path) -> None:
    """Write the summary, at the end of the file that $GITHUB_STEP_SUMMARY names, else anew; print the annotations.

    UsageError when that is not possible.
    """
    ours = os.environ.get("GITHUB_STEP_SUMMARY")
    append = bool(ours) and path == Path(ours or "")
    before = path.stat().st_size if append and path.is_file() else 0
    put(path, render(record, LIMIT - before), "the summary", append=append)
    # The commands act from standard output alone; what its encoding lacks is written out.
    encoding = sys.stdout.encoding or "utf-8"
    for command in commands(record):
        print(command.encode(encoding, "backslashreplace").decode(encoding))


def render(record: Record, limit: int = LIMIT) -> str:
    """Return the summary of a record in GitHub's Markdown, of at most `limit` bytes of UTF-8, or its heading alone."""
    summary = summarise(record)
    head = f"## lossparity: {text(summary.sentence, _SENTENCE)}\n\n"
    room = limit - _size(head)
    return head + "".join(_fitted(part, int(room * part.share)) for part in _parts(record, summary) if part.count)


def _fitted(part: _Part, room: int) -> str:
    lines = [part.head]
    room -= _size(part.head) + 2
    for shown, item in enumerate(part.items):
        left = f"\n{part.count - shown} more {part.noun}: see the page or the record.\n"
        if _size(item) + _size(left) > room:
            return "".join([*lines, left, "\n"]) if shown or _size(part.head) + _size(left) <= room else ""
        lines.append(item)
        room -= _size(item)
    return "".join([*lines, "\n"])


def _size(said: str) -> int:
    return len(said.encode("utf-8", "replace"))


def _parts(record: Record, summary: Summary) -> Iterator[_Part]:
    groups = gather(record)
    notes = _notes(record, summary)
    yield _Part("", notes, len(notes), "notes", 0.04)
    yield _counts(summary)
    yield _backends(record.results)
    yield _Part("### What failed, by cause\n\n", _causes(record, groups), len(groups.causes), "causes", 0.5)
    gone = [_gone(name, own) for name, own in stale(record).items()]
    yield _Part("### Known deviations that are gone\n\n", gone, len(gone), "of them", 0.08)
    left = [
        f"- {text(one.what, _NAME)}, {numbered(one.checks, 'check')}: {text(one.reason, _SENTENCE)}\n"
        for one in (record.footer.not_tested if record.footer else ())
    ]
    yield _Part("### Not tested\n\n", left, len(left), "of them", 0.08)
    absent = [_group(one) for one in groups.absent]
    yield _Part("### Not offered, or not here\n\n", absent, len(absent), "reasons", 0.06)
    known = [_group(one) for one in groups.deviations if "known" in dict(one.verdicts)]
    yield _Part("### Known deviations\n\n", known, len(known), "of them", 0.06)
    versions = [
        f"| {cell(one.name, _NAME)} | {cell(_details(one.details) if one.available else one.reason, _SENTENCE)} |\n"
        for one in record.environments
    ]
    yield _Part(
        "### Versions\n\n| environment | what it says |\n|---|---|\n", versions, len(versions), "environments", 0.06
    )
    yield _Part("", [_origin(record)], 1, "lines", 0.02)


def _notes(record: Record, summary: Summary) -> list[str]:
    wrong = trouble(record)
    said = [f"**{wrong.name}**: {text(wrong.said, _SENTENCE)}"] if wrong else []
    said += [text(one, _SENTENCE) for one in (*summary.warnings, *summary.blame, *summary.notes)]
    return [f"{one}\n\n" for one in said]


def _counts(summary: Summary) -> _Part:
    names = ["all", *(origin or "no origin" for origin in summary.origins)]
    head = f"| | {' | '.join(map(cell, names))} |\n|---|{'---:|' * len(names)}\n"
    rows = [
        f"| {cell(one.name)} | {' | '.join(f'{n} of {m}' for n, m in zip(one.numbers, one.of, strict=True))} |\n"
        for one in summary.counts
        if one.numbers[0]
    ]
    return _Part(head, rows, len(rows), "lines", 0.02)


def _backends(results: Sequence[Result]) -> _Part:
    there = {result.verdict for result in results} - {"pass"}
    words = [*(word for word in VERDICTS if word in there), *sorted(there - VERDICTS.keys())]
    by_backend: dict[str, list[Result]] = {}
    for result in results:
        by_backend.setdefault(result.backend, []).append(result)
    rows = []
    for name, own in by_backend.items():
        counts = Counter(result.verdict for result in own)
        passed = f"{counts['pass']} of {sum(map(is_judged, own))}"
        rows.append(f"| {cell(name, _NAME)} | {passed} |{''.join(f' {counts[word]} |' for word in words)}\n")
    head = f"### Backends\n\n| backend | pass |{''.join(f' {cell(word)} |' for word in words)}\n"
    return _Part(f"{head}|---|---:|{'---:|' * len(words)}\n", rows, len(rows), "backends", 0.06)


def _causes(record: Record, groups: Groups) -> Iterator[str]:
    cases = {(case.id, case.format): case for case in record.cases}
    results = {result.key: result for result in record.results}
    for group in groups.causes:
        result = results[group.example_key]
        case: CaseLine | None = cases.get((result.case, result.format))
        told = [*advised(group), *particulars(result, case)[:-1]]  # the command comes as code
        yield (
            f"- **{text(group.name, _NAME)}**, {numbered(group.count, 'result')} ({_whose(group)}): "
            f"{text(group.text, _SENTENCE)}\n"
            f"    - the simplest: {code(result.key)}\n"
            + "".join(f"    - {text(one, _SENTENCE)}\n" for one in told)
            + f"    - again: {code(again(result))}\n"
        )


def _whose(group: Group) -> str:
    backends = ", ".join(f"{text(backend, _NAME)} {count}" for backend, count in group.backends)
    origins = ", ".join(text(origin, _NAME) for origin in group.origins)
    return f"{backends}; {origins}" if origins else backends


def _gone(name: str, own: Sequence[Result]) -> str:
    many = numbered(len(own), "result")
    return f"- {text(name, _NAME)}, {many}, the simplest {code(own[0].key)}: remove it, or narrow it\n"


def _group(group: Group) -> str:
    said = f": {text(group.text, _SENTENCE)}" if group.text else ""
    return f"- {text(group.name, _SENTENCE)}, {numbered(group.count, 'result')} ({_whose(group)}){said}\n"


def _details(details: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in details.items())


def _origin(record: Record) -> str:
    header = record.header
    command = f", {code(header.command, _SENTENCE)}" if header.command else ""
    return f"lossparity {text(header.lossparity, _NAME)}, begun {text(header.started, _NAME)}{command}\n"
