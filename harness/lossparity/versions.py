"""Records of several versions of a framework, with names that tell these apart, so that they can be one record.

Where the records hold several versions of `tensorflow`, its backends get the version after their name, in the place of
an interpreter: `tensorflow@2.15.1`, `tensorflow.manual@2.15.1`. Where they hold several versions of a library on it
under one name, that comes too: `torch.keras@2.13.0,keras-3.15.1`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from lossparity.errors import UsageError
from lossparity.model import Backend
from lossparity.record import Agreement, Cause, Choice, Footer, NotTested, Part, Ratio, Record, Result, Script, Speed

__all__ = ["Natural", "Seen", "natural", "seen", "told_apart"]

Natural = tuple[tuple[str, int], ...]
"""What compares as a name does in the order of people."""


def natural(name: str) -> Natural:
    """Return what sorts names as people do: 0.4.30 before 0.10.2."""
    return tuple((text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name))


@dataclass(frozen=True)
class Seen:
    """A backend of a record: its name there, and its versions: the framework's, and that of the library on it."""

    backend: Backend
    framework: str
    library: str

    @property
    def library_word(self) -> str:
        """The version of the library as a word of a name, such as `keras-3.15.1`; empty without one."""
        return f"{self.backend.variant}-{self.library}" if self.library else ""


def told_apart(
    records: Iterable[tuple[str, Record]], labels: Mapping[str, str] | None = None
) -> list[tuple[str, Record]]:
    """Return records, each with its path, with the version in the names of whatever differs in version among them.

    `labels` are by path what else a record differs in; it comes after the version. UsageError for a record that does
    not say the version of what it judged, and for one in which two environments have the same version.
    """
    given = list(records)
    backends = [seen(path, record) for path, record in given]
    every = [one for theirs in backends for one in theirs.values()]
    several: dict[str, set[str]] = {}
    for one in every:
        several.setdefault(one.backend.framework, set()).add(one.framework)
        several.setdefault(_shared(one), set()).add(one.library)
    found: list[tuple[str, Record]] = []
    for (path, record), theirs in zip(given, backends, strict=True):
        names = {name: _name(one, several, (labels or {}).get(path, "")) for name, one in theirs.items()}
        _distinct(path, names)
        found.append((path, _renamed(record, names)))
    return found


def seen(path: str, record: Record) -> dict[str, Seen]:
    """Return the backends of a record by their names: those judged or timed, and those whose environment is there.

    UsageError for one that was judged, and whose version the record does not say; `path` is its file.
    """
    judged = dict.fromkeys([*(one.backend for one in record.results), *(one.backend for one in record.speeds)])
    found: dict[str, Seen] = {}
    for name in dict.fromkeys([*judged, *(one.name for one in record.environments)]):
        backend = Backend.parse(name)
        own = record.environment(name)
        # A library that is not there says no version; the framework that it would run on does.
        below = record.environment(str(replace(backend, variant="", mode="")))
        versions = {**(below.details if below else {}), **(own.details if own else {})}
        framework = versions.get(backend.framework, "")
        if framework:
            found[name] = Seen(backend, framework, versions.get(backend.variant, ""))
        elif name in judged:
            raise UsageError(
                f"the record does not say which version of {backend.framework} {name} is",
                hint="run it again",
                where=path,
            )
    return found


def _shared(one: Seen) -> str:
    """Return the name under which different versions of a library would meet."""
    return f"{replace(one.backend, python='')}@{one.framework}"


def _name(one: Seen, several: dict[str, set[str]], label: str) -> str:
    libraries = len(several[_shared(one)]) > 1
    if not libraries and not label and len(several[one.backend.framework]) == 1:
        return str(one.backend)
    library = one.library_word if libraries else ""
    return str(replace(one.backend, python=",".join(filter(None, [one.framework, library, label]))))


def _distinct(path: str, names: dict[str, str]) -> None:
    taken: dict[str, str] = {}
    for old, new in names.items():
        if other := taken.get(new):
            hint = "merge a record of one of them; `compare --map` puts two backends of a record beside each other"
            raise UsageError(f"{other} and {old} are both {new}", hint=hint, where=path)
        taken[new] = old


def _renamed(record: Record, names: dict[str, str]) -> Record:
    """Return a record with other names of backends, wherever one stands."""

    def called(name: str) -> str:
        return names.get(name) or _of_its_framework(name, names)

    results = [_result(one, called) for one in record.results]
    keys = {old.key: new.key for old, new in zip(record.results, results, strict=True)}
    shard, footer = record.header.shard, record.footer
    return replace(
        record,
        header=msgspec.structs.replace(record.header, shard=_part(shard, called) if shard else None),
        environments=[msgspec.structs.replace(one, name=called(one.name)) for one in record.environments],
        results=results,
        agreements=[_agreement(one, called, keys) for one in record.agreements],
        scripts=[_script(one, called) for one in record.scripts],
        speeds=[_speed(one, called) for one in record.speeds],
        ratios=[_ratio(one, called) for one in record.ratios],
        footer=_footer(footer, called, keys) if footer else None,
    )


def _of_its_framework(name: str, names: dict[str, str]) -> str:
    """Return the name of what has neither results nor a version of its own: its framework's version is its own."""
    backend = Backend.parse(name)
    framework = str(replace(backend, variant="", mode=""))
    return str(replace(backend, python=Backend.parse(names[framework]).python)) if framework in names else name


def _part(shard: Part, called: Callable[[str], str]) -> Part:
    return msgspec.structs.replace(shard, backends=[called(one) for one in shard.backends])


def _result(result: Result, called: Callable[[str], str]) -> Result:
    name = called(result.backend)
    check = result.check.removesuffix(f"@{result.backend}")
    return msgspec.structs.replace(result, check=f"{check}@{name}", backend=name)


def _agreement(one: Agreement, called: Callable[[str], str], keys: dict[str, str]) -> Agreement:
    check = keys.get(one.check, one.check)
    return msgspec.structs.replace(one, first=called(one.first), second=called(one.second), check=check)


def _script(one: Script, called: Callable[[str], str]) -> Script:
    check = one.check.removesuffix(f"@{one.backend}")
    return msgspec.structs.replace(one, check=f"{check}@{called(one.backend)}")


def _speed(one: Speed, called: Callable[[str], str]) -> Speed:
    name = called(one.backend)
    check = one.check.removesuffix(f"@{one.backend}")
    return msgspec.structs.replace(one, check=f"{check}@{name}", backend=name)


def _ratio(one: Ratio, called: Callable[[str], str]) -> Ratio:
    check, _, backend = one.check.partition("@")
    return msgspec.structs.replace(one, check=f"{check}@{called(backend)}", against=called(one.against))


def _footer(footer: Footer, called: Callable[[str], str], keys: dict[str, str]) -> Footer:
    def cause(one: Cause) -> Cause:
        return msgspec.structs.replace(one, results=[keys.get(key, key) for key in one.results])

    def choice(one: Choice) -> Choice:
        return msgspec.structs.replace(one, backend=called(one.backend))

    def left(one: NotTested) -> NotTested:
        return msgspec.structs.replace(one, what=called(one.what))

    return msgspec.structs.replace(
        footer,
        causes=[cause(one) for one in footer.causes],
        choices=[choice(one) for one in footer.choices],
        not_tested=[left(one) for one in footer.not_tested],
    )
