"""The record of a session in which others judge: lines as they come, from one process or from several.

Every process tells the lines of its checks, and in the end gives an `Account` of what only it knows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lossparity.judged import Summary
from lossparity.model import Verdict
from lossparity.record import CaseLine, Cause, Environment, Header, NotTested, Result, Script, Writer, decode
from lossparity.reproducing.recorded import fewest

__all__ = ["Account", "Recorder", "merged"]

_UNTOLD = "not-grouped", "the process that judged these ended before it could say what explains them"
_NAMELESS = ("unexplained", _UNTOLD[0])


class Account(msgspec.Struct, frozen=True):
    """What a process says at its end: causes, what it did not test, and the checks that each backend was to be asked.

    `least` is the share of the must-results of a backend that has to be judged; a backend without is held to none.
    `scripts` are those of what failed, and of known deviations.
    """

    causes: list[Cause]
    not_tested: list[NotTested]
    planned: dict[str, int]
    least: dict[str, float]
    scripts: list[Script] = []

    def to_json(self) -> str:
        """Return it as text."""
        return msgspec.json.encode(self).decode()


class Recorder:
    """Takes lines and accounts; keeps the summary, and the record where a path is given."""

    def __init__(self, path: Path | None) -> None:
        """Begin; UsageError where the record cannot be written."""
        self.summary = Summary()
        self._path, self._writer = path, Writer(path) if path else None
        self._began = time.monotonic()
        self._seen: set[object] = set()
        self._checks: Counter[str] = Counter()
        self._accounts: list[Account] = []

    @property
    def told(self) -> bool:
        """Whether any line was taken."""
        return bool(self._seen)

    def take(self, lines: Iterable[str]) -> None:
        """Take the lines of one check, as `lossparity.record.encode` writes them; what is there already is left out."""
        fresh = []
        for line in map(decode, lines):
            same = _same(line)
            if same in self._seen:
                continue
            self._seen.add(same)
            fresh.append(line)
            if isinstance(line, Result):
                self.summary.add(line)
                if ("check", line.check) not in self._seen:
                    self._seen.add(("check", line.check))
                    self._checks[line.backend] += 1
        if self._writer:
            self._writer.append(*fresh)

    def account(self, text: str) -> None:
        """Take what a process says at its end, in JSON."""
        self._accounts.append(msgspec.json.decode(text, type=Account))

    def finish(self, exit_code: int, *, complete: bool) -> list[str]:
        """Write the last line unless it is not `complete`; return what is to be said of functions hardly judged."""
        summary = self.summary
        summary.causes = merged([one.causes for one in self._accounts], summary.failures)
        summary.not_tested = _left([one.not_tested for one in self._accounts])
        planned: dict[str, int] = {}
        least: dict[str, float] = {}
        for one in self._accounts:
            planned |= one.planned
            least |= one.least
        for backend, checks in planned.items():
            counted = self._checks[backend] + sum(n.checks for n in summary.not_tested if n.what == backend)
            if counted < checks:
                reason = "pytest deselected them, or ended before"
                summary.not_tested.append(NotTested(backend, reason, checks - counted))
        whole = {backend for backend, checks in planned.items() if self._checks[backend] >= checks}
        said = [text for backend in sorted(whole & least.keys()) if (text := self._hardly(backend, least[backend]))]
        summary.exit_code = exit_code or (1 if said else 0)
        if self._writer:
            if self.told:
                self._writer.append(*fewest((s for one in self._accounts for s in one.scripts), summary.causes))
            if complete and self.told:
                self._writer.append(summary.footer(time.monotonic() - self._began))
            self._writer.__exit__(None, None, None)
        if self._path and not self.told:
            self._path.unlink(missing_ok=True)
        return said

    def _hardly(self, backend: str, least: float) -> str:
        must, supported = self.summary.must.get(backend, (0, 0))
        if supported >= least * must:
            return ""
        return (
            f"{backend}: only {supported} of {must} must-results could be judged, below {least:.0%}: give it the "
            "missing keywords or a gradient, or say what it is for (supports=…)"
        )


def _same(line: object) -> object:
    """Return what two lines have in common where one of them is enough."""
    if isinstance(line, Header):
        return "header"
    if isinstance(line, Environment):
        return "environment", line.name
    if isinstance(line, CaseLine):
        return "case", line.id, line.format
    return line.key if isinstance(line, Result) else id(line)


def _left(accounts: Iterable[Iterable[NotTested]]) -> list[NotTested]:
    """Add up what several processes did not test, for the same reason."""
    counted: Counter[tuple[str, str]] = Counter()
    for one in (one for account in accounts for one in account):
        counted[one.what, one.reason] += one.checks
    return [NotTested(what, reason, checks) for (what, reason), checks in counted.items()]


def merged(accounts: Iterable[Iterable[Cause]], failures: Iterable[Result]) -> list[Cause]:
    """Put together the causes that several found, each in a part of the run; every failure has one in the end."""
    found: dict[tuple[str, bool, str], Cause] = {}
    for cause in (cause for account in accounts for cause in account):
        # Causes of different backends stay apart, as they do in a run.
        key = cause.id, cause.failing, _backend(cause.results[0])
        found[key] = _both(found[key], cause) if key in found else cause
    grouped = {key for cause in found.values() for key in cause.results}
    untold = [one.key for one in failures if Verdict(one.verdict).failing and one.key not in grouped]
    causes = [*found.values(), *([Cause(*_UNTOLD, untold)] if untold else [])]
    return sorted(causes, key=lambda c: (not c.failing, c.shared, c.id.startswith(_NAMELESS), -len(c.results)))


def _backend(key: str) -> str:
    # A backend of another environment is named NAME@PATH.
    return key.partition("@")[2].rpartition("#")[0]


def _both(one: Cause, other: Cause) -> Cause:
    first, second = sorted((one, other), key=lambda cause: (len(cause.results[0]), cause.results[0]))
    results = list(dict.fromkeys([*first.results, *second.results]))
    return msgspec.structs.replace(first, results=results, shared=first.shared and second.shared)
