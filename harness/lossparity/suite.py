"""The strict case files: where they are, what they hold, which cases a pattern selects, and their content hash.

They are the built-in ones, a user's own, and those of packs, which other distributions bring. A case file that is not
exactly as docs/writing-cases.md says is refused with its file, line and column.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lossparity.casefile.effort import Effort
from lossparity.casefile.nodes import CaseError, Node, compose, place_after
from lossparity.casefile.places import built_in, files
from lossparity.casefile.reader import Defaults, read_cases, read_defaults
from lossparity.casefile.values import fields, listing, text
from lossparity.errors import UsageError, suggest
from lossparity.model import Case, Numbers, Recipe
from lossparity.reading import whole
from lossparity.registry import case_packs
from lossparity.spec import TIMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Suite", "built_in", "digest", "load", "matches", "pack", "packs", "select"]

_LARGEST = 1 << 20  # bytes
_NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Suite:
    """One case file: its name, what it is about, where it is, and its cases, multiplied out."""

    name: str
    about: str
    path: str
    cases: tuple[Case, ...]


def load(paths: Sequence[str | Path], *, timed: bool = False) -> tuple[Suite, ...]:
    """Read case files, folders of them (`*.yaml` at any depth), and packs by name; a file reached twice is read once.

    Suites have the cases that are judged, or with `timed` those that are timed; those with none of them are left out.
    What exists as a file or folder is that, and no pack of its name. UsageError, with file:line:column, at the first
    thing that is wrong; ids are unique over all files.
    """
    seen: dict[str, str] = {}
    done: set[Path] = set()
    return _only(timed, (one for given in paths for one in _suites(*_place(given), seen, done)))


def _only(timed: bool, suites: Iterable[Suite]) -> tuple[Suite, ...]:
    kept = [(one, tuple(c for c in one.cases if (c.clause == TIMED) == timed)) for one in suites]
    return tuple(replace(one, cases=cases) for one, cases in kept if cases or not (one.cases or timed))


def packs() -> tuple[str, ...]:
    """Return the names of the packs of cases that are installed; nothing of them is read."""
    return tuple(case_packs())


def pack(name: str) -> tuple[Suite, ...]:
    """Read the suites of an installed pack; UsageError, which names the pack, where they are not as they should be."""
    return _only(False, _suites(_pack(name), name, {}, set()))


def _place(path: str | Path) -> tuple[Path, str]:
    """Return where a file or folder is; or the folder of a pack, and its name."""
    name, given = str(path), Path(path)
    if "\0" in name:
        raise UsageError("the case file cannot be read: embedded null byte", where=repr(name))
    if given.exists() or given.name != name or given.suffix:  # a path that leads nowhere is a file that is not there
        return given, ""
    return _pack(name), name


def _pack(name: str) -> Path:
    known = case_packs()
    if name not in known:
        hint = suggest(name, known, "pack") if known else "nothing that is installed brings a pack of cases"
        raise UsageError(f"{name!r} is no file, no folder and no pack of cases", hint=hint)
    folder = known[name]
    if folder is None:
        raise UsageError(f"the pack {name}: its package cannot be found", hint="reinstall what brings it")
    return folder


def _suites(place: Path, pack: str, seen: dict[str, str], done: set[Path]) -> Iterator[Suite]:
    """Read what is at a place, but for files that are done; `pack` is whose they are, or empty."""
    try:
        for path in files(place):
            if path.resolve() not in done:
                done.add(path.resolve())
                yield _suite(path, _shown(path, place.parents[1] if pack else None), seen)
    except UsageError as error:
        if pack:
            raise UsageError(f"the pack {pack}: {error.message}", where=error.where, hint=error.hint) from None
        if str(place) in case_packs():  # somebody stands beside the package itself
            hint = f"the folder {place} here was read, not the pack of that name: call from another folder"
            raise UsageError(error.message, where=error.where, hint=hint) from None
        raise


def _suite(path: Path, shown: str, seen: dict[str, str]) -> Suite:
    try:
        return _read(path, shown, seen)
    except CaseError as error:
        raise UsageError(error.message, where=f"{path}:{error.line}:{error.column}", hint=error.hint) from None


def _read(path: Path, shown: str, seen: dict[str, str]) -> Suite:
    entries = fields(compose(_decoded(path)), "a case file", ("suite", "about", "cases"), ("defaults",))
    name = text(entries["suite"], "suite")
    if not _NAME.fullmatch(name):
        raise CaseError(entries["suite"], f"the suite name {name!r} must be of a-z, 0-9 and '-'")
    if name != path.stem:
        raise CaseError(entries["suite"], f"the suite is named {name!r}", f"the file's name says {path.stem!r}")
    about = text(entries["about"], "about")
    defaults = read_defaults(entries["defaults"]) if "defaults" in entries else Defaults()
    cases: list[Case] = []
    effort = Effort()
    for node in listing(entries["cases"], "cases"):
        for case, place in read_cases(node, name, about, defaults, shown, effort):
            _check_unique(case, place, seen)
            cases.append(case)
    return Suite(name, about, str(path), tuple(cases))


def _shown(path: Path, root: Path | None) -> str:
    """Return the path that records show: that of a built-in case, and of a pack's, is the same on every machine."""
    if root:
        return path.relative_to(root).as_posix()
    root, resolved = built_in().parent, path.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root / "cases") else str(path)


def _decoded(path: Path) -> str:
    content = whole(path, "the case file", _LARGEST)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        place = place_after(content[: error.start].decode())
        raise CaseError(place, f"not UTF-8: the byte 0x{content[error.start]:02x}", "save the file as UTF-8") from None


def _check_unique(case: Case, place: Node, seen: dict[str, str]) -> None:
    if case.id in seen:
        raise CaseError(place, f"the id {case.id!r} is given twice", f"it is also at {seen[case.id]}")
    seen[case.id] = case.source


def select(cases: Iterable[Case], patterns: Sequence[str]) -> tuple[Case, ...]:
    """Return the cases that one of the patterns matches, in their order; all of them when there is no pattern.

    Patterns are globs (`*`, `?`, `[…]`) on ids, case-sensitive; `*` also crosses `/`, and `**` is the same. One that
    matches the beginning of an id, up to a `/`, matches the id. UsageError for one that matches nothing.
    """
    listed = tuple(cases)
    if not patterns:
        return listed
    chosen: set[str] = set()
    for pattern in patterns:
        matched = {case.id for case in listed if matches(case.id, pattern)}
        if not matched:
            raise UsageError(f"no case matches {pattern!r}", hint=_nearest(pattern, listed))
        chosen |= matched
    return tuple(case for case in listed if case.id in chosen)


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern, as `select` takes it, matches the id of a case."""
    whole = pattern.rstrip("/")
    return bool(_glob(whole).match(name) or _glob(f"{whole}/*").match(name))


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(re.sub(r"\*+", "*", pattern)))


def _nearest(pattern: str, cases: Sequence[Case]) -> str:
    """Suggest what was probably meant: an id, the beginning of one, or the pattern in another suite."""
    suites = {case.suite for case in cases}
    if not suites:
        return f"there are no cases here (those of clause {TIMED} are for `lossparity bench`, all others for the rest)"
    suite, slash, rest = pattern.partition("/")
    parts = pattern.count("/") + 1
    alike = {"/".join(case.id.split("/")[:parts]) for case in cases}
    if "*" not in pattern and difflib.get_close_matches(pattern, alike, n=1):
        return suggest(pattern, alike)
    if slash and suite in suites:
        return f"`lossparity list --case {suite}` lists those of {suite}"
    close = difflib.get_close_matches(suite, suites, n=1)
    return f"did you mean {close[0] + slash + rest!r}?" if close else suggest(suite, suites, "suite")


def digest(cases: Iterable[Case]) -> str:
    """Return the SHA-256, in hex, of what cases test: everything but their prose and the place they are written at."""
    listed: list[list[object]] = [
        [
            case.id,
            case.clause,
            case.operation,
            {name: _plain(given) for name, given in case.inputs.items()},
            {**case.keywords, **({} if case.target_format == "int64" else {"target_format": case.target_format})},
            list(case.formats),
            case.gradient,
            list(case.one_of),
            [case.layout, case.scale, case.relation],
            [case.published.figures, case.published.exact, case.published.decimals] if case.published else None,
        ]
        for case in sorted(cases, key=lambda case: case.id)
    ]
    return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()


def _plain(given: Numbers | Recipe) -> object:
    if isinstance(given, Recipe):
        return {"generate": given.generate, "shape": list(given.shape), "parameters": dict(given.parameters)}
    return given
