"""Which backends there are: found through entry points, by name alone; no adapter's code runs here.

An entry point of the group `lossparity.backends` is one backend: its name is `framework[.variant]`, its value the
adapter's class. The framework's name is the module that must be importable; one of the group `lossparity.requires`, of
the same name, names another that must be. Known deviations are data beside the adapter, in its top-level package:
`known_deviations/FRAMEWORK.yaml`, and that of such another module. One of the group `lossparity.cases` is a pack of
cases: its name is what it is asked for by, its value the package whose folder `cases` holds them.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import importlib.util
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from lossparity.casefile.nodes import CaseError, compose
from lossparity.errors import UnavailableError, UsageError, suggest
from lossparity.known import KINDS, TODO, Deviation
from lossparity.model import Backend
from lossparity.reading import whole
from lossparity.record import Record
from lossparity.series import History
from lossparity.spec import COMPILERS

__all__ = [
    "Registered",
    "adapters_of",
    "case_packs",
    "compiler",
    "history_writer",
    "installed",
    "known_deviations",
    "known_files",
    "read_known",
    "registered",
    "report_names",
    "report_writer",
    "resolve",
]


_LARGEST = 1 << 20  # bytes of a file of known deviations
_NO_FILE = "not a file of known deviations"


@dataclass(frozen=True)
class Registered:
    """One registered backend: its name, its adapter as `module:Class`, and whether all that it needs is importable.

    `requires` are the modules that it needs, the framework first, and `missing` those that are not here. `environment`
    names what the adapter starts: the framework, or the backend itself where its adapter is not the framework's own.
    """

    name: str
    adapter: str
    requires: tuple[str, ...]
    missing: tuple[str, ...]
    environment: str

    @property
    def judged(self) -> str:
        """The module whose work it is."""
        return self.requires[-1]

    @property
    def available(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def registered() -> dict[str, Registered]:
    """Return all registered backends by name, the frameworks in the order numpy, torch, tensorflow, jax, others."""
    order = ["numpy", "torch", "tensorflow", "jax"]
    adapters = {point.name: point.value for point in importlib.metadata.entry_points(group="lossparity.backends")}
    more = {point.name: point.value for point in importlib.metadata.entry_points(group="lossparity.requires")}

    def described(name: str) -> Registered:
        framework = Backend.parse(name).framework
        requires = (framework, more[name]) if name in more else (framework,)
        missing = tuple(module for module in requires if not _importable(module))
        own = adapters.get(framework, adapters[name]) != adapters[name]
        return Registered(name, adapters[name], requires, missing, name if own else framework)

    def place(name: str) -> tuple[int, str]:
        framework = Backend.parse(name).framework
        return (order.index(framework) if framework in order else len(order), name)

    return {name: described(name) for name in sorted(adapters, key=place)}


def adapters_of(backends: Sequence[Backend]) -> list[str]:
    """Return the adapter of each backend; that of a user's function, which nobody registered, is its framework's."""
    entries = registered()
    return [(entries.get(one.implementation) or entries[one.framework]).adapter for one in backends]


def compiler(framework: str) -> str:
    """Return the name of a framework's compiled mode, as in `torch+compile`; empty where it is known to have none."""
    return COMPILERS.get(framework, "compiled")


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def installed() -> list[Backend]:
    """Return the backends that a run takes by default: the libraries whose framework is here, on the CPU."""
    names = registered().values()
    return [Backend.parse(r.name) for r in names if r.available and not Backend.parse(r.name).variant]


def resolve(patterns: Sequence[str]) -> tuple[list[Backend], set[str]]:
    """Return the backends that names and globs stand for, and those asked for by their full name.

    A name is `framework[.variant][:device][+mode][@PATH]`. A glob skips what is not installed here, and takes compiled
    modes only where it says `+`; with `@PATH` it takes whatever it matches, for only that Python knows what it has.
    UsageError for a name that nobody registered, a mode that its framework has not, or a glob that matches nothing.
    """
    everything = registered()
    chosen: dict[str, Backend] = {}
    named: set[str] = set()
    for pattern in patterns:
        backend = Backend.parse(pattern)
        if pattern.endswith("@"):
            raise UsageError(
                f"{pattern!r} names no Python", hint="as in torch@PATH/TO/python; leave out @ for this one"
            )
        _require_python(backend, pattern)
        if any(c in pattern.partition("@")[0] for c in "*?["):
            matched = _matched(backend, everything.values())
            if not matched:
                raise UsageError(f"no backend matches {pattern!r}", hint=_nearest(pattern, everything))
            chosen.update((str(found), found) for found, here in matched if here or backend.python)
            continue
        if backend.implementation not in everything:
            raise UsageError(f"unknown backend {pattern!r}", hint=_nearest(pattern, everything))
        _require_mode(backend, pattern)
        chosen[str(backend)] = backend
        named.add(str(backend))
    return list(chosen.values()), named


def _matched(glob: Backend, everything: Iterable[Registered]) -> list[tuple[Backend, bool]]:
    """Return the backends that a glob in parts stands for, and whether each framework is here."""
    found = []
    for entry in everything:
        own = Backend.parse(entry.name)
        mode = compiler(own.framework) if glob.mode else ""
        if glob.mode and not (mode and fnmatch.fnmatchcase(mode, glob.mode)):
            continue
        if fnmatch.fnmatchcase(entry.name, glob.implementation):
            found.append((replace(own, device=glob.device, mode=mode, python=glob.python), entry.available))
    return found


def _require_python(backend: Backend, pattern: str) -> None:
    """UsageError where a version stands in the place of an interpreter, as in records of several versions."""
    version = backend.python.partition(",")[0]
    try:
        Version(version)
    except InvalidVersion:
        return
    if not Path(backend.python).exists() and not shutil.which(backend.python):
        plain, found = str(replace(backend, python="")), f"{backend.framework} {version}"
        hint = f"write {plain} where {found} is installed, or {plain}@PATH/TO/python, a Python that has it"
        raise UsageError(f"{pattern!r}: {backend.python} is a version and no Python", hint=hint)


def _require_mode(backend: Backend, pattern: str) -> None:
    mode = compiler(backend.framework)
    if backend.mode and not mode:
        raise UsageError(f"{pattern!r}: {backend.framework} has no compiler", hint=f"leave out +{backend.mode}")
    # Of a stranger's framework nobody knows how its compiler is called.
    if backend.mode and backend.framework in COMPILERS and backend.mode != mode:
        hint = f"did you mean {str(replace(backend, mode=mode))!r}?"
        raise UsageError(f"{pattern!r}: {backend.framework} has no mode +{backend.mode}", hint=hint)


def _nearest(pattern: str, everything: Iterable[str]) -> str:
    return suggest(re.split("[:+@]", pattern)[0], everything, "backend")


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    checks: tuple[str, ...]
    kind: str
    versions: str
    reason: str
    backends: tuple[str, ...] = ("*",)
    link: str = ""
    package: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    deviations: list[_Entry]
    framework: str = ""


def report_names() -> list[str]:
    """Return the names of the registered report writers."""
    return sorted({point.name for point in importlib.metadata.entry_points(group="lossparity.reports")})


def report_writer(name: str) -> Callable[[Record, Path], None]:
    """Return the report writer registered under a name; UnavailableError when there is none."""
    writer: Callable[[Record, Path], None] = _writer("lossparity.reports", name)
    return writer


def history_writer() -> Callable[[History, Path], None]:
    """Return what writes the page of a history; UnavailableError when there is nothing."""
    writer: Callable[[History, Path], None] = _writer("lossparity.histories", "html")
    return writer


def _writer(group: str, name: str) -> Any:
    points = importlib.metadata.entry_points(group=group, name=name)
    if not points:
        raise UnavailableError(f"no report named {name!r} is installed", hint="reinstall lossparity")
    return next(iter(points)).load()


def known_deviations(frameworks: Iterable[str]) -> list[Deviation]:
    """Read the known deviations that the adapters of these frameworks declare."""
    wanted, files = set(frameworks), known_files()
    modules = {module for r in registered().values() if r.requires[0] in wanted for module in r.requires}
    there = [path for module in sorted(modules) if (path := files.get(module)) and path.is_file()]
    return [deviation for path in there for deviation in read_known(path)]


def known_files() -> dict[str, Path | None]:
    """Return where the known deviations of each module that is judged are, or would be; None where there is no place.

    A backend's are in the file of the module that it judges: those of `torch.keras` in `keras.yaml`.
    """
    found: dict[str, Path | None] = {}
    for one in registered().values():
        folder = _folder(one.adapter)
        for module in one.requires:
            found[module] = found.get(module) or (folder / f"{module}.yaml" if folder else None)
    return found


def _folder(adapter: str) -> Path | None:
    # An adapter that is a single module declares nothing.
    package = _package(adapter.partition(":")[0].partition(".")[0])
    return package / "known_deviations" if package else None


def _package(name: str) -> Path | None:
    # find_spec of a top-level package runs none of it.
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def case_packs() -> dict[str, Path | None]:
    """Return where the cases of each registered pack are, or would be; None where its package is not importable."""
    found: dict[str, Path | None] = {}
    for point in sorted(importlib.metadata.entry_points(group="lossparity.cases")):
        top, *below = point.value.split(".")
        package = _package(top)
        found[point.name] = package.joinpath(*below, "cases") if package else None
    return found


def read_known(path: Path) -> list[Deviation]:
    """Read a file of known deviations, an adapter's or a user's own; `backends` are all of them where none is named.

    UsageError, with file:line where there is one, for what is not such a file.
    """
    text = whole(path, "the known deviations", _LARGEST)
    try:
        compose(text.decode())  # refuses what is nested so deep that the reader would end the process
        entries = msgspec.yaml.decode(text, type=_File).deviations
    except CaseError as error:
        raise UsageError(f"{_NO_FILE}: {error.message}", where=f"{path}:{error.line}:{error.column}") from None
    except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8, or a number of thousands of digits
        raise _refused(path, text, error) from None
    for number, entry in enumerate(entries):
        if entry.kind not in KINDS:
            hint = suggest(entry.kind, KINDS, "kind")
            raise UsageError(f"{entry.id}: unknown kind {entry.kind!r}", where=_place(path, text, number), hint=hint)
        if not entry.reason.strip() or entry.reason.startswith(TODO):
            hint = "say why it deviates, once an independent computation has confirmed it"
            raise UsageError(f"{entry.id}: no reason is given yet", where=_place(path, text, number), hint=hint)
        try:
            SpecifierSet(entry.versions)
        except InvalidSpecifier as error:
            where = _place(path, text, number)
            raise UsageError(f"{entry.id}: {error}", where=where, hint="as in '>=2.13,<2.14'") from None
    return [Deviation(**msgspec.structs.asdict(entry)) for entry in entries]


def _refused(path: Path, text: bytes, error: Exception) -> UsageError:
    """Say what is wrong with a file, where, and what it should be."""
    message = str(error)
    number = _number(message)
    fields = (_File if number is None else _Entry).__struct_fields__
    unknown = re.search("unknown field `(.*?)`", message)
    whole = f"{'the file' if number is None else 'an entry'} has {', '.join(fields)}; docs/known-deviations.md"
    hint = suggest(unknown[1], fields, "key") if unknown else whole
    return UsageError(f"{_NO_FILE}: {message}", where=_place(path, text, number), hint=hint)


def _number(message: str) -> int | None:
    """Return which entry a message of msgspec is about, as in `$.deviations[3].kind`."""
    found = re.search(r"\$\.deviations\[(\d+)\]", message)
    return int(found[1]) if found else None


def _place(path: Path, text: bytes, number: int | None) -> str:
    """Return `path:line` of an entry's beginning, or the path alone where it cannot be told; slow."""
    if number is None:
        return str(path)
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    listed = next((value for key, value in root.value if key.value == "deviations"), None)
    return f"{path}:{listed.value[number].start_mark.line + 1}" if listed else str(path)
