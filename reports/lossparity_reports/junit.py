"""JUnit XML for CI: a suite a backend, a test case a result, and one for the run itself.

It keeps to the schema of Jenkins' xUnit plugin (junit-10.xsd), which skips a file that does not, whole: a test case has
no properties there. So the numbers of a result are lines `[[PROPERTY|name=value]]` of its system-out, a notation that
some systems read as properties; those of a backend are properties of its suite. GitLab takes files up to 30 MB: where
there would be more, the best results are told in short first, and in the end passes are left out; both are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

from lossparity.model import Backend
from lossparity.plain import cut, line, visible
from lossparity.record import CaseLine, Environment, Record, Result
from lossparity_reports.address import suite_of
from lossparity_reports.causes import Found, found
from lossparity_reports.figures import short
from lossparity_reports.output import put
from lossparity_reports.particulars import gravity, headline, particulars, trouble
from lossparity_reports.summary import summarise

__all__ = ["LIMIT", "render", "write"]

LIMIT = 29_500_000
"""The most bytes that a file takes, below the 30 MB up to which it is read."""

_ELEMENTS = {"fail": "failure", "error": "error", "crash": "error", "timeout": "error", "pass": ""}
_REASONS = {
    "stale": "the declared deviation {} is gone",
    "known": "the known deviation {}",
    "undecided": "neither a pass nor a failure: the bound says nothing, or the precision limit was reached",
}
_NUMBERS = ("grade", "ulp", "bound_used", "clause", "origin")
_LONG, _SHORT, _LONGEST = 1000, 120, 10_000  # characters of a message, of one in short, of a text
_HEAD = 500  # bytes that the elements of a suite take beside its name and properties
_WIDEST = 6  # bytes that a character may become


@dataclass(frozen=True)
class _Case:
    """A test case: the suite that it stands in, its kind of element (none of a pass), itself in full and short."""

    suite: str
    kind: str
    full: str
    short: str
    order: tuple[object, ...]


def write(record: Record, path: Path) -> None:
    """Write the JUnit XML of a record, making its folder; UsageError when that is not possible."""
    put(path, render(record), "the JUnit XML")


def render(record: Record, limit: int = LIMIT) -> str:
    """Return the JUnit XML of a record, of at most `limit` bytes of UTF-8 unless the failures alone take more."""
    by_backend: dict[str, list[Result]] = {}
    for result in record.results:
        by_backend.setdefault(result.backend, []).append(result)
    heads = {name: _properties(_of_backend(record, name, own)) for name, own in by_backend.items()}
    everything = list(_cases(record))
    # What is about no result is as long as this, or a digit or two shorter.
    around = sum(_size(case.full) for case in _run(record, len(everything), len(everything)))
    around += sum(_size(head) + _size(name) * _WIDEST for name, head in heads.items()) + _HEAD * (len(heads) + 2)
    around += _size(_properties(_of_run(record)))
    cases, shortened, left_out = _fitted(everything, limit - around)
    by_suite: dict[str, list[_Case]] = {name: [] for name in heads}
    for case in cases:
        by_suite[case.suite].append(case)
    run = _run(record, shortened, left_out)
    totals = Counter(case.kind for case in (*cases, *run))
    seconds = f' time="{record.footer.seconds:.3f}"' if record.footer else ""
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="lossparity" tests="{totals.total()}" failures="{totals["failure"]}"'
            f' errors="{totals["error"]}"{seconds}>',
            *_suite("lossparity", record, run, _properties(_of_run(record))),
            *(part for name, own in by_suite.items() for part in _suite(name, record, own, heads[name])),
            "</testsuites>\n",
        ]
    )


def _cases(record: Record) -> Iterable[_Case]:
    lines = {(case.id, case.format): case for case in record.cases}
    causes = {result.key: one for one in found(record) if one.cause.failing for result in one.results}
    names: Counter[str] = Counter()
    for result in record.results:
        name = _unique(line(result.key), names)
        yield _case(result, name, lines.get((result.case, result.format)), causes.get(result.key))


def _unique(name: str, names: Counter[str]) -> str:
    """Return a name that no other test case has: systems take those of one name for one."""
    names[name] += 1
    return name if names[name] == 1 else _unique(f"{name} ({names[name]})", names)


def _case(result: Result, name: str, case: CaseLine | None, cause: Found | None) -> _Case:
    # Jenkins takes what is before the last dot for a package, and what is behind it for a class of that.
    group = f"lossparity.{line(result.backend)}.{line(suite_of(result.case)).replace('.', '_')}"
    kind = _ELEMENTS.get(result.verdict, "skipped")
    numbers = "\n".join(f"[[PROPERTY|{one}={line(value)}]]" for one, value in _measured(result))
    out = f"<system-out>{_text(numbers)}</system-out>" if numbers else ""
    if kind in ("failure", "error"):
        said = headline(result)
        told = "\n".join(particulars(result, case, cause))
        sort = result.cause or result.verdict if kind == "failure" else result.verdict
        full = _element(kind, sort, cut(said, _LONG), told)
        brief = _element(kind, sort, cut(said, _SHORT), "")
    elif kind:
        said = "; ".join(
            part for part in (_REASONS.get(result.verdict, "").format(result.deviation), result.message) if part
        )
        full = _element(kind, result.verdict, cut(said, _LONG), "")
        brief = _element(kind, result.verdict, cut(said, _SHORT), "")
    else:
        full = brief = ""
    return _Case(
        result.backend,
        kind,
        _testcase(name, group, full + out),
        _testcase(name, group, brief),
        gravity(result),
    )


def _measured(result: Result) -> Iterable[tuple[str, str]]:
    for one in _NUMBERS:
        value = getattr(result, one)
        if value is not None and value != "":
            yield one, short(value) if isinstance(value, float) else value


def _fitted(cases: list[_Case], room: int) -> tuple[list[_Case], int, int]:
    """Return the cases that there is room for, the worst in full; how many are told in short, and how many left out."""
    sizes = [(_size(case.full), _size(case.short)) for case in cases]
    order = sorted(range(len(cases)), key=lambda at: cases[at].order)
    needed = sum(brief for _, brief in sizes)
    left: set[int] = set()
    for at in reversed(order):
        if needed <= room:
            break
        if cases[at].kind == "":
            left.add(at)
            needed -= sizes[at][1]
    shortened: set[int] = set()
    for at in order:
        more = sizes[at][0] - sizes[at][1]
        if at in left:
            continue
        if needed + more <= room:
            needed += more
        else:
            shortened.add(at)
    kept = [
        replace(case, full=case.short) if at in shortened else case for at, case in enumerate(cases) if at not in left
    ]
    return kept, len(shortened), len(left)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace")) + 1


def _run(record: Record, shortened: int, left_out: int) -> list[_Case]:
    """Return the test cases that are about no result: how the run ended, and what it did not test."""
    wrong = trouble(record)
    summary = summarise(record)
    out = "\n".join([summary.sentence, *summary.warnings, *_room(shortened, left_out)])
    body = (
        _element("failure", "run", cut(f"{wrong.name}: {wrong.said}", _LONG), cut(wrong.said, _LONGEST))
        if wrong
        else ""
    )
    name = wrong.name if wrong and not record.complete else "the run"
    said = f"<system-out>{_text(out)}</system-out>"
    cases = [_told("failure" if wrong else "", _testcase(name, "lossparity.run", body + said))]
    names = Counter([name])
    for one in record.footer.not_tested if record.footer else ():
        what = _unique(line(f"not tested: {one.what}"), names)
        reason = _element("skipped", "not tested", cut(f"{one.checks} checks: {one.reason}", _LONG), "")
        cases.append(_told("skipped", _testcase(what, "lossparity.run", reason)))
    return cases


def _told(kind: str, text: str) -> _Case:
    return _Case("lossparity", kind, text, text, ())


def _room(shortened: int, left_out: int) -> list[str]:
    lines = []
    if shortened:
        lines.append(f"{shortened} results are told in short, the worst in full: the file would be too large.")
    if left_out:
        lines.append(f"{left_out} passes are left out: the file would be too large.")
    return lines


def _of_run(record: Record) -> Iterable[tuple[str, str]]:
    header = record.header
    yield from (("lossparity", header.lossparity), ("suite_hash", header.suite_hash))
    yield from (("threshold", header.threshold), ("command", header.command))


def _of_backend(record: Record, backend: str, results: Sequence[Result]) -> Iterable[tuple[str, str]]:
    counts = Counter(result.verdict for result in results)
    yield from ((f"verdict {verdict}", str(n)) for verdict, n in counts.most_common())
    worst = min((r for r in results if r.bound_used is not None), key=gravity, default=None)
    if worst:
        yield from ((f"worst {name}", value) for name, value in _measured(worst))
        yield "worst check", worst.key
    environment = _environment(record.environments, backend)
    if environment:
        yield from environment.details.items()
        yield from [("unavailable", environment.reason)] if environment.reason else []


def _environment(environments: Sequence[Environment], backend: str) -> Environment | None:
    """Return the account of the worker of a backend: its own, or that of its framework on the device."""
    by_name = {one.name: one for one in environments}
    own = replace(Backend.parse(backend), mode="")
    return by_name.get(str(own)) or by_name.get(str(replace(own, variant="")))


def _properties(named: Iterable[tuple[str, str]]) -> str:
    lines = (
        f'<property name="{_attribute(line(name, _SHORT))}" value="{_attribute(line(value, _LONG))}"/>'
        for name, value in named
    )
    return "\n".join(["<properties>", *lines, "</properties>"])


def _suite(name: str, record: Record, cases: Sequence[_Case], properties: str) -> Iterable[str]:
    kinds = Counter(case.kind for case in cases)
    yield (
        f'<testsuite name="{_attribute(line(name))}" tests="{len(cases)}" failures="{kinds["failure"]}"'
        f' errors="{kinds["error"]}" skipped="{kinds["skipped"]}" timestamp="{_attribute(record.header.started)}">'
    )
    yield properties
    yield from (case.full for case in cases)
    yield "</testsuite>"


def _testcase(name: str, group: str, body: str) -> str:
    head = f'<testcase name="{_attribute(name)}" classname="{_attribute(group)}"'
    return f"{head}>{body}</testcase>" if body else f"{head}/>"


def _element(kind: str, sort: str, message: str, text: str) -> str:
    head = f'<{kind} type="{_attribute(line(sort))}" message="{_attribute(message)}"'
    return f"{head}>{_text(text)}</{kind}>" if text else f"{head}/>"


def _text(text: str) -> str:
    return escape(visible(text), {'"': "&quot;"})


def _attribute(text: str) -> str:
    # A parser makes spaces of newlines in an attribute, so they are written as such.
    return _text(line(text))
