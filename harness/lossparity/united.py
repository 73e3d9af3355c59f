"""What several records hold together: every environment, case and result once, and an error where two disagree."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import chain
from typing import TypeVar

from msgspec.structs import replace

from lossparity.agreement import both
from lossparity.errors import UsageError
from lossparity.model import Backend, Verdict
from lossparity.record import (
    Agreement,
    CaseLine,
    Environment,
    Job,
    Line,
    Part,
    Ratio,
    Record,
    Result,
    Speed,
    Triad,
    encode,
)
from lossparity.sameness import same_answer
from lossparity.spec import CLAUSES, FORMAT_ALIASES
from lossparity.versions import Natural, natural

__all__ = ["Given", "Timed", "agreements", "alike", "cases", "environments", "first_of", "results", "timed"]

# What is told of the machine, and may differ between those that share a run; the rest is what was judged.
_MACHINE = ("device", "simd", "interpreter")
# What the settings of a job say of its times; a run that judges may have been made otherwise.
_OF_A_JOB = "pinned threads"
_SEVERAL = 3
_OfTimes = TypeVar("_OfTimes", Job, Triad, Speed, Ratio)
_Pair = tuple[str, str, str]  # two backends and the format
_Split = tuple[str, int]  # which questions, in how many parts
_VERDICTS = frozenset(verdict.value for verdict in Verdict)
_FORMATS = list(FORMAT_ALIASES.values())


@dataclass(frozen=True)
class Given:
    """A record, what to call it (its path), and the SHA-256 of all that it says, in hex."""

    name: str
    record: Record
    digest: str

    @classmethod
    def of(cls, name: str, record: Record) -> Given:
        """Work out the hash of a record."""
        said = hashlib.sha256(record.broken.encode())
        end = [record.footer] if record.footer else []
        lines: Iterator[Line] = chain(
            [record.header],
            record.environments,
            record.cases,
            record.results,
            record.agreements,
            record.scripts,
            record.jobs,
            record.triads,
            record.speeds,
            record.ratios,
            end,
        )
        for line in lines:
            said.update(encode(line).encode())
        return cls(name, record, said.hexdigest())

    @property
    def part(self) -> Part | None:
        """The shard that it holds."""
        return self.record.header.shard

    @property
    def order(self) -> tuple[int, list[Natural], str]:
        """Where it comes among others, wherever it was given; of a run again, at the same place."""
        return self.part.number if self.part else 0, sorted(map(natural, self.backends)), self.digest

    @cached_property
    def backends(self) -> frozenset[str]:
        """Whose results it holds."""
        return frozenset(result.backend for result in self.record.results)

    @property
    def judges(self) -> bool:
        """Whether it is about results; of times alone it does not matter which suite they are of."""
        return bool(self.record.results or self.record.cases or not self.record.speeds)

    @property
    def asked(self) -> frozenset[object]:
        """What tells that another record asked the same: its cases and formats, and the shard that it is."""
        cases = {(case.id, case.format) for case in self.record.cases}
        return frozenset([*cases, *([(self.part.number, self.part.of, self.part.questions)] if self.part else [])])


def alike(given: Sequence[Given]) -> None:
    """UsageError unless all records are of the same cases, judged in the same way; times are of any cases."""
    judging = [one for one in given if one.judges]
    first = first_of(given)
    for other in judging[1:]:
        one, two = first.record.header, other.record.header
        if one.suite_hash != two.suite_hash:
            raise UsageError(
                f"the records are not of the same cases: {first.name} and {other.name} {_differing(first, other)}",
                hint="merge what was run from the same case files, with the same --cases and --case",
            )
        for what, here, there in (
            ("were written by different versions of lossparity", one.lossparity, two.lossparity),
            ("were judged by different thresholds", one.threshold, two.threshold),
        ):
            if here != there:
                said = f"{first.name} and {other.name} {what}, {here} and {there}"
                raise UsageError(said, hint="run all parts in the same way")


def first_of(given: Sequence[Given]) -> Given:
    """Return the record that says what all are of: the first with results, or else the first."""
    return next((one for one in given if one.judges), given[0])


def _differing(one: Given, other: Given) -> str:
    here, there = ({(c.id, c.format): c.input_hash for c in given.record.cases} for given in (one, other))
    changed = sorted({name for name, fmt in here.keys() & there.keys() if here[name, fmt] != there[name, fmt]})
    if changed:
        return f"have different numbers in {_few(changed)}"
    only = [
        f"{_few(sorted({case for case, _ in mine.keys() - theirs.keys()}))} only in {given.name}"
        for given, mine, theirs in ((one, here, there), (other, there, here))
        if mine.keys() - theirs.keys()
    ]
    return f"differ: {'; '.join(only)}" if only else "differ in what they test, not in their numbers"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SEVERAL} more" if len(names) > _SEVERAL else ""
    return ", ".join(names[:_SEVERAL]) + more


def environments(given: Sequence[Given]) -> tuple[list[Environment], list[str]]:
    """Return one environment a name, and notes on machines that differ; UsageError where software does."""
    found: dict[str, list[tuple[Given, Environment]]] = defaultdict(list)
    for one in given:
        for environment in one.record.environments:
            found[environment.name].append((one, environment))
    notes: list[str] = []
    return [_environment(name, found[name], notes) for name in sorted(found, key=natural)], notes


def _environment(name: str, there: list[tuple[Given, Environment]], notes: list[str]) -> Environment:
    present = [(one, environment) for one, environment in there if environment.available]
    if not present:
        return Environment(name, False, reason="; ".join(sorted({environment.reason for _, environment in there})))
    present.sort(key=lambda pair: not pair[0].judges)
    first, details = present[0][0], dict(present[0][1].details)
    for one, environment in present[1:]:
        for key in sorted(details.keys() | environment.details.keys()):
            here, other = (which.details.get(key, "none") for which in (present[0][1], environment))
            if key not in _MACHINE and here != other and (one.judges or key != _OF_A_JOB):
                raise UsageError(
                    f"{name} is not the same in all records: {key} is {here} in {first.name}, {other} in {one.name}",
                    hint=_instead(name, details, environment.details),
                )
    for key in _MACHINE:
        seen = sorted({environment.details[key] for _, environment in present if key in environment.details})
        if seen:
            details[key] = ", ".join(seen)
        if len(seen) > 1:
            notes.append(f"{name} was not run on machines of one kind: {key} is {', '.join(seen)}")
    return Environment(name, True, details)


def _instead(name: str, here: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Say what to do with two environments of one name: `--versions` tells them apart by these versions alone."""
    backend = Backend.parse(name)
    if any(here.get(which) != other.get(which) for which in (backend.framework, backend.variant)):
        return "different versions are compared, not merged; --versions names each backend with its own"
    return (
        f"the version of {backend.implementation} is the same, so --versions does not tell them apart; "
        "`lossparity compare` puts them beside each other, with --map if need be"
    )


def cases(given: Sequence[Given]) -> list[CaseLine]:
    """Return every case once, by id and format; UsageError where what went in or what is right differs."""
    found: dict[tuple[str, str], tuple[Given, CaseLine]] = {}
    for one in given:
        for case in one.record.cases:
            there, known = found.setdefault((case.id, case.format), (one, case))
            if known.input_hash != case.input_hash or not same_answer(known, case):
                what = f"{case.id} in {case.format} is not the same in {there.name} and {one.name}"
                same = known.input_hash == case.input_hash
                inputs = f"input hash {known.input_hash} and {case.input_hash}"
                raise UsageError(what, hint="another answer is right to the same inputs" if same else inputs)
            # Where the text differs: any, but the same one in every order.
            found[case.id, case.format] = min((there, known), (one, case), key=lambda pair: encode(pair[1]))
    order = sorted(found, key=lambda key: (key[0], _FORMATS.index(key[1]) if key[1] in _FORMATS else -1, key[1]))
    return [found[key][1] for key in order]


def results(given: Sequence[Given]) -> list[Result]:
    """Return every result once; UsageError where two records disagree about one."""
    found: dict[str, tuple[Given, Result]] = {}
    for one in given:
        for result in one.record.results:
            if result.clause not in CLAUSES or result.verdict not in _VERDICTS:
                said = f"{result.key}: no clause {result.clause} or verdict {result.verdict} is known"
                raise UsageError(said, where=one.name, hint="install the lossparity that wrote it")
            there, known = found.setdefault(result.key, (one, result))
            if known is not result and encode(known) != encode(result):
                raise UsageError(
                    f"{result.key} is {_brief(known)} in {there.name}, and {_brief(result)} in {one.name}",
                    hint="each check belongs into one record; two runs of the same checks are compared, not merged",
                )
    return [result for _, result in found.values()]


def agreements(given: Sequence[Given]) -> list[Agreement]:
    """Add up how near the backends of a record are, over its shards; of a run again, what compared the most."""
    keys = {result.key for one in given for result in one.record.results}
    found: dict[_Pair, dict[_Split, dict[int, Agreement]]] = {}
    for one in given:
        split, number = ((one.part.questions, one.part.of), one.part.number) if one.part else (("", 1), 1)
        for line in one.record.agreements:
            # Either of two backends may come first.
            pair = min(line.first, line.second), max(line.first, line.second), line.format
            parts = found.setdefault(pair, {}).setdefault(split, {})
            turned = _turned(line, keys)
            parts[number] = max(parts.get(number, turned), turned, key=lambda part: part.compared)
    sums = [[reduce(both, parts.values()) for parts in splits.values()] for splits in found.values()]
    # A run may be there whole and in parts, or in parts of several kinds: it is the same run.
    return [max(alike, key=lambda one: one.compared) for alike in sums]


def _turned(one: Agreement, keys: Collection[str]) -> Agreement:
    """Return it with its backends in the order of their names."""
    if one.first <= one.second:
        return one
    check, _, quantity = one.check.rpartition("#")
    key = f"{check.removesuffix(one.first)}{one.second}#{quantity}"
    return replace(one, first=one.second, second=one.first, check=key if key in keys else one.check)


def _brief(result: Result) -> str:
    graded = f" ({result.grade}, {result.ulp:.3g} ulp)" if result.grade and result.ulp is not None else ""
    return result.verdict + graded


@dataclass(frozen=True)
class Timed:
    """What records hold of times: each line once, and jobs apart."""

    jobs: Sequence[Job]
    triads: Sequence[Triad]
    speeds: Sequence[Speed]
    ratios: Sequence[Ratio]


def timed(given: Sequence[Given]) -> Timed:
    """Return the times of all records; UsageError where two disagree about one of one job."""
    return Timed(
        _once((one.name, job.id, job) for one in given for job in one.record.jobs),
        _once((one.name, (t.job, t.case, t.format), t) for one in given for t in one.record.triads),
        _once((one.name, (speed.job, speed.key), speed) for one in given for speed in one.record.speeds),
        _once((one.name, (r.job, r.key, r.against), r) for one in given for r in one.record.ratios),
    )


def _once(lines: Iterable[tuple[str, object, _OfTimes]]) -> list[_OfTimes]:
    found: dict[object, tuple[str, _OfTimes]] = {}
    for name, key, one in lines:
        where, known = found.setdefault(key, (name, one))
        if known != one:
            raise UsageError(
                f"{where} and {name} disagree about {getattr(one, 'key', 'a job')}: its times are not the same",
                hint="a job has one record; was one of the two changed?",
            )
    return [one for _, one in found.values()]
