"""Known deviations brought up to date with a record: what to declare of each backend that the record asked.

A pattern matches no result that was judged and did not deviate in its kind, and nothing that the record did not ask
but what was declared of it before. Results that a backend declined may be matched: they are never judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.version import InvalidVersion, Version

from lossparity.answers import Answers, Catalogue, answered, is_glob
from lossparity.covering import Keys, cover
from lossparity.errors import UsageError
from lossparity.known import KINDS, TODO, Deviation
from lossparity.model import Backend, Grade
from lossparity.record import Record, Result

__all__ = ["Proposal", "propose"]


@dataclass(frozen=True)
class Proposal:
    """What to declare of one package, beside what is declared.

    `entries` pairs what is to be declared with its place in the file, none of what is new. `dropped` are the entries
    that match nothing any more; `undeclarable` are failures of a kind that no declaration has, such as a crash.
    """

    package: str
    before: tuple[Deviation, ...]
    entries: tuple[tuple[Deviation, int | None], ...]
    undeclarable: tuple[Result, ...]

    @property
    def after(self) -> tuple[Deviation, ...]:
        """What is to be declared."""
        return tuple(deviation for deviation, _ in self.entries)

    @property
    def new(self) -> tuple[Deviation, ...]:
        """What still has to be given a reason."""
        return tuple(deviation for deviation in self.after if deviation.reason.startswith(TODO))

    @property
    def dropped(self) -> tuple[Deviation, ...]:
        """What is declared, and is gone."""
        kept = {place for _, place in self.entries}
        return tuple(deviation for place, deviation in enumerate(self.before) if place not in kept)


def propose(
    record: Record, known: Mapping[str, Sequence[Deviation]], packages: Mapping[str, str], every: Catalogue
) -> list[Proposal]:
    """Propose what to declare of each package of a record; `known` is what is declared now, by package.

    `packages` says of each registered backend whose work it is: `keras` of `torch.keras`.

    UsageError for a record that is incomplete, holds a user's own function or an unknown framework, or was judged with
    another threshold.
    """
    _require_whole(record)
    by_package: dict[str, list[Answers]] = {}
    for one in answered(record, packages, every):
        by_package.setdefault(one.package, []).append(one)
    return [_proposal(name, tuple(known[name]), answers, record) for name, answers in by_package.items()]


def _require_whole(record: Record) -> None:
    if not record.complete:
        why = record.broken or "it has no last line, so the run was cut off"
        raise UsageError(f"the record is incomplete: {why}", hint="let the run come to its end")
    if record.header.threshold != Grade.LOOSE.value:
        raise UsageError(
            f"the record was judged with the threshold {record.header.threshold}",
            hint="deviations are declared against the loose bound: run without --min-grade",
        )
    own = next((r for r in record.results if Backend.parse(r.backend).variant == "target"), None)
    if own is not None:
        raise UsageError(
            f"the record is of a user's own function, {own.backend}", hint="a record of `lossparity run` is wanted"
        )


def _proposal(package: str, known: tuple[Deviation, ...], answers: Sequence[Answers], record: Record) -> Proposal:
    assigned = {one.backend: _assigned(one, known) for one in answers}
    entries: list[tuple[Deviation, int | None]] = []
    for place, entry in enumerate(known):
        concerned = [(one, assigned[one.backend].get(place, set())) for one in answers if one.concerns(entry)]
        if not concerned:
            entries.append((entry, place))
            continue
        revised = _revised(entry, [*concerned, *((one, set()) for one in _absent(entry, answers))])
        entries += [(deviation, None if n else place) for n, deviation in enumerate(revised)]
    undeclarable: list[Result] = []
    for one in answers:
        fresh = assigned[one.backend].get(None, set())
        undeclarable += [one.deviating[key] for key in sorted(fresh) if one.deviating[key].cause not in KINDS]
        for deviation in _fresh(one, fresh, known, record):
            entries.insert(_place(deviation, [there for there, _ in entries]), (_named(deviation, entries), None))
    return Proposal(package, known, tuple(entries), tuple(undeclarable))


def _assigned(answers: Answers, known: Sequence[Deviation]) -> dict[int | None, set[str]]:
    """Return which deviating results belong to which entry: that which excuses them, or that which they name."""
    found: dict[int | None, set[str]] = {}
    concerned = [(place, d) for place, d in enumerate(known) if answers.concerns(d)]
    covered = {place: answers.keys.matched(d.checks) for place, d in concerned}
    for key, result in answers.deviating.items():
        alike = [(place, d) for place, d in concerned if d.kind == result.cause]
        first = next((place for place, _ in alike if key in covered[place]), None)
        if first is None:
            first = next((place for place, d in alike if d.id == result.deviation), None)
        found.setdefault(first, set()).add(key)
    return found


def _absent(entry: Deviation, answers: Sequence[Answers]) -> list[Answers]:
    """Return the backends that an entry names and the record did not ask in a version of its range, as such."""
    asked = {one.backend for one in answers if one.concerns(entry)}
    every = answers[0].every.union(*(one.every for one in answers))
    names = [name for name in entry.backends if not is_glob(name)]
    return [Answers(name, "", {}, {}, every) for name in names if name not in asked]


@dataclass(frozen=True)
class _Needs:
    required: frozenset[str]
    forbidden: frozenset[str]


def _needs(entry: Deviation, answers: Answers, deviating: set[str]) -> _Needs:
    covered = answers.keys.matched(entry.checks)
    # What another entry of the same kind excuses first may stay matched, but is not newly taken from it.
    alike = {key for key, r in answers.deviating.items() if r.cause == entry.kind and key in covered}
    return _Needs(
        frozenset(deviating | (answers.unasked & covered)),
        frozenset((answers.judged - deviating - alike) | (answers.unasked - covered)),
    )


def _revised(entry: Deviation, concerned: Sequence[tuple[Answers, set[str]]]) -> list[Deviation]:
    """Return an entry as it has to be: none where it is gone, several where its backends do not deviate alike."""
    needs = {one.backend: _needs(entry, one, deviating) for one, deviating in concerned}
    required = frozenset().union(*(one.required for one in needs.values()))
    forbidden = frozenset().union(*(one.forbidden for one in needs.values()))
    asked = Keys(key for one, _ in concerned for key in one.results)
    unasked = Keys(key for one, _ in concerned for key in one.unasked)
    if not required & forbidden:
        checks = _checks(entry, _Needs(required, forbidden), asked, unasked)
        return [_with(entry, checks)] if checks else []
    backends: dict[tuple[str, ...], list[str]] = {}
    for name, one in needs.items():
        if checks := _checks(entry, one, asked, unasked):
            backends.setdefault(checks, []).append(name)
    return [
        replace(_with(entry, checks), backends=tuple(names), id=_also(entry.id, names[0]) if n else entry.id)
        for n, (checks, names) in enumerate(backends.items())
    ]


def _also(name: str, backend: str) -> str:
    return f"{name}/{re.sub(r'[^a-z0-9.]+', '-', backend.lower())}"


def _with(entry: Deviation, checks: tuple[str, ...]) -> Deviation:
    return entry if set(checks) == set(entry.checks) else replace(entry, checks=checks)


def _checks(entry: Deviation, needs: _Needs, asked: Keys, unasked: Keys) -> tuple[str, ...]:
    """Cover what an entry needs; patterns of nothing that was asked stay as they are."""
    untouched = [
        glob
        for glob in entry.checks
        if next(asked.matching(glob), None) is None and next(unasked.matching(glob), None) is not None
    ]
    left = needs.required - Keys(needs.required).matched(untouched)
    rest = [glob for glob in entry.checks if glob not in untouched]
    return tuple(sorted({*untouched, *cover(left, needs.forbidden, rest)}))


def _fresh(answers: Answers, keys: set[str], known: Sequence[Deviation], record: Record) -> Iterator[Deviation]:
    """Yield declarations, without a reason, of what no entry is about: one for each cause and kind."""
    groups: dict[tuple[str, str], list[str]] = {}
    causes = {key: cause for cause in (record.footer.causes if record.footer else ()) for key in cause.results}
    elsewhere: dict[tuple[str, str], Deviation] = {}
    said: dict[tuple[str, str], str] = {}
    for key in sorted(keys):
        result = answers.deviating[key]
        if result.cause not in KINDS:
            continue
        other = _of_other_versions(answers, key, result, known)
        cause = causes.get(result.key)
        explained = result.explained[0].id if result.explained else ""
        name = other.id if other else result.deviation or (cause.id if cause else explained or result.clause)
        group = (name, result.cause)
        groups.setdefault(group, []).append(key)
        if other:
            elsewhere.setdefault(group, other)
        said.setdefault(group, cause.said if cause else result.message)
    for (name, kind), theirs in sorted(groups.items(), key=lambda group: (group[0][0].lower(), group[0][1])):
        if not answers.version:
            raise UsageError(f"the record does not say which version {answers.backend} has")
        count = f"{len(theirs)} result{'s' if len(theirs) > 1 else ''}"
        reason = f"{TODO}: say why. {count}, the simplest {min(theirs, key=lambda k: (len(k), k))}."
        if (name, kind) in elsewhere:
            reason += f" Declared as {name} for {elsewhere[name, kind].versions}: is it the same?"
        elif said[name, kind]:
            reason += f" Diagnosed as {name}: {said[name, kind]}"
        yield Deviation(
            _id(answers.backend, name, kind),
            (answers.backend,),
            cover(theirs, (answers.judged | answers.unasked).difference(theirs)),
            kind,
            _versions(answers.version),
            reason,
            package="" if answers.package == Backend.parse(answers.backend).framework else answers.package,
        )


def _of_other_versions(answers: Answers, key: str, result: Result, known: Sequence[Deviation]) -> Deviation | None:
    """Return the entry that would excuse a result, were it declared for this version."""
    path, _, quantity = key.rpartition("#")
    check = f"{path}@{answers.backend}"
    return next((d for d in known if d.kind == result.cause and d.matches(check, quantity)), None)


def _id(backend: str, name: str, kind: str) -> str:
    """Return `BACKEND/what/KIND`, from the name of a cause or of another entry."""
    what = name.removeprefix(f"{backend}/").removesuffix(f"/{kind}")
    return f"{backend}/{re.sub(r'[^a-z0-9.]+', '-', what.lower()).strip('-')}/{kind}"


def _named(deviation: Deviation, entries: Sequence[tuple[Deviation, int | None]]) -> Deviation:
    """Give a declaration an id that no other has."""
    taken, name, number = {there.id for there, _ in entries}, deviation.id, 2
    while name in taken:
        name, number = f"{deviation.id}-{number}", number + 1
    return replace(deviation, id=name)


def _place(deviation: Deviation, entries: Sequence[Deviation]) -> int:
    """Return where a new declaration goes: after the last one of its backend, else at the end."""
    return max(
        (place + 1 for place, there in enumerate(entries) if there.backends[:1] == deviation.backends),
        default=len(entries),
    )


def _versions(version: str) -> str:
    """Return the range from a version up to the next minor one, as in `>=2.13,<2.14`."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        raise UsageError(f"{version!r} is no version that a range can be made of") from None
    release = list(parsed.release)
    while len(release) > 2 and release[-1] == 0:
        release.pop()
    first = parsed.public if parsed.is_prerelease else ".".join(map(str, release))
    return f">={first},<{parsed.major}.{parsed.minor + 1}"
