"""Several records as one: the shards of a run, runs of several backends.

What comes out depends on the records alone and not on their order. Counts and choices are counted anew from the
results; causes are put together by name.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from lossparity import united
from lossparity.judged import Summary, said_of_a_part
from lossparity.record import (
    VERSION,
    Agreement,
    Appends,
    CaseLine,
    Cause,
    Environment,
    Header,
    NotTested,
    Record,
    Result,
    Script,
)
from lossparity.recorder import merged
from lossparity.reproducing.recorded import fewest
from lossparity.united import Given, Timed
from lossparity.versions import natural

__all__ = ["Merged", "merge"]

_Key = tuple[str, str]


@dataclass(frozen=True)
class Merged:
    """Several records as one; `notes` is what whoever merged them has to be told."""

    header: Header
    environments: Sequence[Environment]
    cases: Sequence[CaseLine]
    results: Sequence[Result]
    agreements: Sequence[Agreement]
    scripts: Sequence[Script]
    timed: Timed
    summary: Summary
    seconds: float
    notes: Sequence[str]

    @property
    def complete(self) -> bool:
        """Whether every part is there, and came to its end."""
        return not self.header.incomplete

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each backend comes: in the order of the records, versions of one beside each other."""
        names = list(dict.fromkeys(one.backend for one in self.results))
        first = {plain: place for place, plain in reversed([*enumerate(map(_without_version, names))])}
        names.sort(key=lambda name: (first[_without_version(name)], natural(name)))
        return {name: place for place, name in enumerate(names)}

    def write(self, writer: Appends) -> None:
        """Write it as a record, each case before its results; one that is incomplete gets no last line."""
        writer.append(self.header, *self.environments)
        theirs: dict[_Key, list[Result]] = {(case.id, case.format): [] for case in self.cases}
        alone = [one for one in self.results if (one.case, one.format) not in theirs]
        for one in self.results:
            theirs.get((one.case, one.format), []).append(one)
        for case in self.cases:
            writer.append(case, *sorted(theirs[case.id, case.format], key=lambda one: self._places[one.backend]))
        writer.append(*alone, *self.agreements, *self.scripts)
        writer.append(*self.timed.jobs, *self.timed.triads, *self.timed.speeds, *self.timed.ratios)
        if self.complete:
            writer.append(self.summary.footer(self.seconds))


def merge(records: Iterable[tuple[str, Record]]) -> Merged:
    """Put records, each with its path, together; one that is there twice counts once.

    UsageError where they are not of one suite, version, threshold or environment, or disagree about a check.
    """
    every = {one.digest: one for one in (Given.of(name, record) for name, record in records)}
    given = sorted(every.values(), key=lambda one: one.order)
    united.alike(given)
    environments, notes = united.environments(given)
    cases, results = united.cases(given), united.results(given)
    summary = Summary(not_tested=_not_tested(given))
    for result in results:
        summary.add(result)
    summary.causes = _causes(given, results, summary)
    lacking = [*_missing(given), *_cut_off(given)]
    summary.exit_code = _exit_code(summary, given, bool(lacking))
    header = _header(given, "; ".join(lacking))
    seconds = sum(one.record.footer.seconds for one in given if one.record.footer)
    scripts = fewest((script for one in given for script in one.record.scripts), summary.causes)
    near, timed = united.agreements(given), united.timed(given)
    return Merged(header, environments, cases, results, near, scripts, timed, summary, seconds, notes)


def _not_tested(given: Sequence[Given]) -> list[NotTested]:
    """Add up what was left out for the same reason; of records that asked the same, what one of them left out."""
    groups: list[tuple[set[object], Counter[_Key]]] = []
    for one in given:
        asked: set[object] = set(one.asked)
        counted: Counter[_Key] = Counter()
        for left in one.record.footer.not_tested if one.record.footer else ():
            counted[left.what, left.reason] += left.checks
        for group in [group for group in groups if group[0] & asked]:
            groups.remove(group)
            asked |= group[0]
            counted |= group[1]
        groups.append((asked, counted))
    total: Counter[_Key] = Counter()
    for _, counted in groups:
        total.update(counted)
    return [NotTested(what, reason, checks) for (what, reason), checks in sorted(total.items())]


def _causes(given: Sequence[Given], results: Sequence[Result], summary: Summary) -> list[Cause]:
    """Put the causes together; what is said of all of a backend's results is kept where one record holds them all."""
    backends = {result.key: result.backend for result in results}
    holders = Counter(backend for one in given for backend in one.backends)
    accounts: list[list[Cause]] = []
    for one in given:
        account: list[Cause] = []
        for cause in one.record.footer.causes if one.record.footer else ():
            if members := [key for key in cause.results if key in backends]:
                several = holders[backends[members[0]]] > 1
                said = said_of_a_part(cause.said) if several else cause.said
                account.append(msgspec.structs.replace(cause, said=said, results=members))
        accounts.append(account)
    taken: set[str] = set()
    causes: list[Cause] = []
    for cause in merged(accounts, summary.failures):
        # Where records overlap, each may have found another cause of the same failure.
        if members := [key for key in cause.results if key not in taken]:
            causes.append(msgspec.structs.replace(cause, results=members))
            taken.update(members)
    return causes


def _missing(given: Sequence[Given]) -> Iterator[str]:
    """Say which shards are not there, and for whom where it is not for all."""
    seen: dict[tuple[str, int], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for part in (one.part for one in given if one.part):
        for backend in part.backends:
            seen[part.questions, part.of][backend].add(part.number)
    for (_, of), backends in sorted(seen.items()):
        for number in range(1, of + 1):
            if lacking := sorted(backend for backend, there in backends.items() if number not in there):
                whom = "" if len(lacking) == len(backends) else f" for {', '.join(lacking)}"
                yield f"shard {number} of {of} is missing{whom}"


def _cut_off(given: Sequence[Given]) -> list[str]:
    """Say which records did not come to their end."""
    return sorted(
        {
            f"{one.part or 'a record'} is incomplete: {one.record.broken or 'it has no last line, so it was cut off'}"
            for one in given
            if not one.record.complete
        }
    )


def _exit_code(summary: Summary, given: Sequence[Given], lacking: bool) -> int:
    """Return the status of the whole: what was asked for by name and was not there, only the runs themselves know."""
    theirs = {one.record.footer.exit_code for one in given if one.record.footer}
    failing = any(verdict.failing and n for verdict, n in summary.counts.items())
    nothing = summary.judged == 0 and not any(s.median is not None for one in given for s in one.record.speeds)
    if lacking or nothing or 3 in theirs:
        return 3
    return 1 if failing or 1 in theirs else 0


def _without_version(name: str) -> str:
    return name.partition("@")[0]


def _header(given: Sequence[Given], incomplete: str) -> Header:
    first = united.first_of(given).record.header
    started = min(one.record.header.started for one in given)
    commands = {_whole(one.record.header.command) for one in given}
    command = "; ".join(sorted(commands))
    return Header(VERSION, first.lossparity, first.suite_hash, started, command, first.threshold, incomplete=incomplete)


def _whole(command: str) -> str:
    """Return a command without its shard and its output: that of all shards together."""
    try:
        words = shlex.split(command)
    except ValueError:  # nobody's shell has split it
        return command
    options = ("--shard", "-o", "--output")
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in options and before not in options and not word.startswith(tuple(f"{one}=" for one in options))
    ]
    return shlex.join(kept)
