"""A matrix file: environments multiplied out to cells, each a version of a framework on one Python, device and threads.

Read as strictly as case files are: what is not as docs/matrix.md says is refused with its line and column.
"""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lossparity.casefile.nodes import CaseError, Node, compose
from lossparity.casefile.values import choice, fields, integer, listing, quantity, table, text
from lossparity.errors import UsageError, suggest
from lossparity.reading import whole
from lossparity.registry import registered

__all__ = ["Cell", "Matrix", "package_of", "read", "requirement"]

_LARGEST = 1 << 20  # bytes
_MOST = 256
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_PYTHON = re.compile(r"3\.\d{1,2}")
_PACKAGES = {"tensorflow": "tensorflow" if sys.platform == "darwin" else "tensorflow-cpu"}
"""What a framework is installed as, where that is not its own name."""
_REQUIRED = ("framework", "versions")
_OPTIONAL = ("package", "with", "python", "device", "threads", "backends", "resources")


@dataclass(frozen=True)
class Cell:
    """One version of a framework: what is installed, on which Python, and on which device and threads it is judged.

    `python` is a version such as `3.11`, empty for the Python that runs lossparity; `threads` is 0 where nobody says.
    `resources` are what a node of a cluster must have for it, by Ray's names.
    `label` is what tells it apart from other cells of its matrix beside version and device.
    A cell of which `beside` is not empty judges nothing: it times the versions of those cells side by side.
    """

    framework: str
    version: str
    requirements: tuple[str, ...]
    python: str
    device: str
    threads: int
    backends: tuple[str, ...]
    resources: tuple[tuple[str, float], ...] = ()
    label: str = ""
    beside: tuple[Cell, ...] = ()

    @property
    def name(self) -> str:
        """What the cell is called, in messages and as the name of its folder."""
        device = "" if self.device == "cpu" else self.device
        return ",".join(filter(None, [f"{self.framework}@{self.version}", device, self.label]))

    @property
    def environment(self) -> str:
        """Sixteen hex digits of what is installed, and for which Python: cells that are alike share it."""
        here = self.python or f"{sys.version_info[:2]} {Path(sys.executable).resolve()}"
        return _hash([sorted(self.requirements), here, sys.platform])

    @property
    def digest(self) -> str:
        """Sixteen hex digits of all that its results may depend on."""
        return _hash({name: value for name, value in asdict(self).items() if name != "resources"})


@dataclass(frozen=True)
class Matrix:
    """A matrix file: its name, what it is about, and its cells."""

    name: str
    about: str
    cells: tuple[Cell, ...]

    def only(self, globs: Sequence[str]) -> Matrix:
        """Return the matrix of the cells that match one of some globs, or all; UsageError where one matches none."""
        for glob in globs:
            if not fnmatch.filter([cell.name for cell in self.cells], glob):
                raise UsageError(f"no cell {glob!r}", hint=suggest(glob, [cell.name for cell in self.cells], "cell"))
        matching = (cell for cell in self.cells if any(fnmatch.fnmatchcase(cell.name, glob) for glob in globs))
        return replace(self, cells=tuple(matching)) if globs else self


def read(path: Path) -> Matrix:
    """Read a matrix file; UsageError, with file:line:column, for what is not one."""
    try:
        entries = fields(compose(_decoded(path)), "a matrix file", ("matrix", "about", "environments"), ("times",))
        name = _word(entries["matrix"], "matrix")
        found = [(node, cell) for node in listing(entries["environments"], "environments") for cell in _cells(node)]
        cells: dict[str, Cell] = {}
        for node, cell in zip([node for node, _ in found], _labelled([cell for _, cell in found]), strict=True):
            if cell.name in cells:
                raise CaseError(node, f"the cell {cell.name} is there twice")
            cells[cell.name] = cell
        cells |= {one.name: one for node in _listed(entries, "times") for one in _timed(node, list(cells.values()))}
        if len(cells) > _MOST:
            raise CaseError(entries["environments"], f"{len(cells)} cells; {_MOST} are the most", "divide the matrix")
        return Matrix(name, text(entries["about"], "about"), tuple(cells.values()))
    except CaseError as error:
        raise UsageError(error.message, where=f"{path}:{error.line}:{error.column}", hint=error.hint) from None


def _labelled(cells: list[Cell]) -> list[Cell]:
    """Give cells their labels: the Python and the threads, where those differ among them."""
    pythons, threads = len({cell.python for cell in cells}) > 1, len({cell.threads for cell in cells}) > 1
    return [
        replace(
            cell,
            label=",".join(
                [f"python-{cell.python}"] * bool(pythons and cell.python)
                + [f"threads-{cell.threads}"] * bool(threads and cell.threads)
            ),
        )
        for cell in cells
    ]


def _timed(node: Node, cells: list[Cell]) -> Iterator[Cell]:
    """Yield the cells that time a framework: one for all its versions that are alike in device, Python and threads."""
    framework = choice(node, "times", dict.fromkeys(cell.framework for cell in cells), "framework")
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.framework == framework and not cell.beside:
            groups.setdefault((cell.device, cell.label), []).append(cell)
    for alike in groups.values():
        # Libraries on it have times of their own; what is compared here is the framework.
        backends = tuple(name for name in alike[0].backends if "." not in name) or (framework,)
        changed = {"version": "times", "requirements": (), "backends": backends, "beside": tuple(alike)}
        yield replace(alike[0], **changed)  # type: ignore[arg-type]


def _decoded(path: Path) -> str:
    try:
        return whole(path, "the matrix file", _LARGEST).decode()
    except UnicodeDecodeError:
        raise UsageError("not UTF-8", where=str(path), hint="save the file as UTF-8") from None


def _cells(node: Node) -> list[Cell]:
    entries = fields(node, "an environment", _REQUIRED, _OPTIONAL)
    known = dict.fromkeys(entry.requires[0] for entry in registered().values())
    framework = choice(entries["framework"], "framework", known, "framework")
    package = _word(entries["package"], "package") if "package" in entries else package_of(framework)
    more = [_requirement(one) for one in listing(entries["with"], "with")] if "with" in entries else []
    backends = [_backend(one, framework) for one in _listed(entries, "backends")] or _judged(framework, more)
    resources = _resources(entries["resources"]) if "resources" in entries else ()
    axes = (
        [_word(one, "a version") for one in listing(entries["versions"], "versions")],
        [_python(one) for one in _listed(entries, "python")] or [""],
        [_word(one, "a device") for one in _listed(entries, "device")] or ["cpu"],
        [_threads(one) for one in _listed(entries, "threads")] or [0],
    )
    return [
        Cell(framework, version, (f"{package}=={version}", *more), python, device, threads, tuple(backends), resources)
        for version, python, device, threads in itertools.product(*axes)
    ]


def _judged(framework: str, more: list[str]) -> list[str]:
    """Return the backends of a framework, those on a library where that is among what else is installed."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    there = {framework, *(canonicalize_name(Requirement(one).name) for one in more)}
    return [
        name
        for name, entry in registered().items()
        if entry.requires[0] == framework and there.issuperset(entry.requires)
    ]


def _listed(entries: dict[str, Node], name: str) -> list[Node]:
    return listing(entries[name], name) if name in entries else []


def _word(node: Node, what: str) -> str:
    word = text(node, what)
    if not _WORD.fullmatch(word):
        raise CaseError(node, f"{what} must be of letters, digits and . _ + ! -, not {word[:60]!r}")
    return word


def package_of(framework: str) -> str:
    """Return what a framework is installed as, where nobody says otherwise."""
    return _PACKAGES.get(framework, framework)


def requirement(stated: str, where: str = "") -> str:
    """Read a requirement as pip does; UsageError for what is none, and for an address, which is code from anywhere."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        found = Requirement(stated)
    except InvalidRequirement:
        hint = "as in numpy==2.0.2, or scipy"
        raise UsageError(f"{stated[:60]!r} is no requirement", hint=hint, where=where) from None
    if found.url:
        raise UsageError(f"{stated[:60]!r} is an address", hint="a requirement names a version", where=where)
    return str(found)


def _requirement(node: Node) -> str:
    try:
        return requirement(text(node, "a requirement"))
    except UsageError as error:
        raise CaseError(node, error.message, error.hint) from None


def _python(node: Node) -> str:
    version = text(node, "python")
    if not _PYTHON.fullmatch(version):
        raise CaseError(node, f"python must be a version such as '3.11', not {version[:60]!r}")
    return version


def _threads(node: Node) -> int:
    number = integer(node, "threads")
    if not 1 <= number <= 1024:
        raise CaseError(node, f"threads must be between 1 and 1024, not {number}")
    return number


def _resources(node: Node) -> tuple[tuple[str, float], ...]:
    entries = table(node, "resources").entries
    return tuple((name, quantity(one, f"resources of {name[:60]!r}")) for name, one in entries.items())


def _backend(node: Node, framework: str) -> str:
    name = text(node, "a backend")
    if name.partition("+")[0].partition(".")[0] != framework or any(c in name for c in ":@/"):
        hint = f"as in {framework}, {framework}.*, {framework}+*; device and Python are keys of their own"
        raise CaseError(node, f"{name[:60]!r} is no backend of {framework}", hint)
    return name


def _hash(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
