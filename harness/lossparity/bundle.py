"""Children of another environment's Python: the zip that they run, and how one is started.

The zip holds the child's side of lossparity, which needs NumPy and the standard library only, and the packages of the
adapters. It is what the interpreter is told to run, and so comes first on its path (`-m` would put the current folder
there, in the versions that lack `-P`); nothing else of this environment is on it.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lossparity.errors import UnavailableError

__all__ = ["Elsewhere", "bundled", "carried"]

_HARNESS = Path(__file__).resolve().parent
_FIRST, _WORKER = "lossparity.elsewhere", "lossparity.worker"
# They say where this environment's modules are, or how its Python is to start.
_OWN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONPLATLIBDIR")


@dataclass(frozen=True)
class Elsewhere:
    """The interpreter of another environment (`~` is understood), the zip that it runs, and what it has to have.

    `refused` says why the adapter cannot be taken there; empty where it can.
    """

    python: str
    zip: Path
    framework: str
    refused: str = ""

    def command(self) -> list[str]:
        """Return the beginning of a child's command line; the arguments of `lossparity.worker` follow."""
        return [os.path.expanduser(self.python), str(self.zip), self.framework]  # noqa: PTH111 - a name stays a name

    def environment(self) -> Mapping[str, str]:
        """Return the environment variables of a child, without what would lead it back to this environment."""
        return {name: value for name, value in os.environ.items() if name not in _OWN}


def carried(framework: str, adapter: str) -> dict[str, Path]:
    """Return what a child of another environment needs of this one, as names in the zip and files.

    An adapter `module:Class` comes with its whole top-level package, but for one that is part of the framework itself:
    the other environment has its own. UnavailableError for what cannot be taken along: namespace packages, binaries.
    """
    found = {"__main__.py": _file(_FIRST), **_of_lossparity([_WORKER])}
    top = adapter.partition(":")[0].partition(".")[0]
    if top == framework:
        return found
    own = _package(top, adapter)
    used = [name for file in own.values() for name in _imported(file)]
    return {**found, **_of_lossparity(used), **own}


@contextmanager
def bundled(wanted: Iterable[tuple[str, str, str]]) -> Iterator[Mapping[tuple[str, str, str], Elsewhere]]:
    """Write one zip for all (framework, adapter, interpreter) into a temporary file, which is there until the end."""
    wanted = list(wanted)
    files: dict[str, Path] = {}
    refused: dict[str, str] = {}
    for framework, adapter, _ in wanted:
        try:
            files.update(carried(framework, adapter))
        except UnavailableError as error:
            refused[adapter] = error.message
    with tempfile.NamedTemporaryFile(prefix="lossparity-", suffix=".zip") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in sorted(files.items()):
                archive.writestr(name, path.read_bytes())
        file.flush()
        zip_ = Path(file.name)
        yield {one: Elsewhere(one[2], zip_, one[0], refused.get(one[1], "")) for one in wanted}


def _package(top: str, adapter: str) -> dict[str, Path]:
    spec = importlib.util.find_spec(top)  # runs nothing of a top-level package
    origin = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    if origin is None or origin.suffix != ".py" or not origin.is_file():
        raise UnavailableError(f"{adapter} is neither a package nor a file of Python source, and cannot be taken along")
    if origin.name != "__init__.py":
        return {origin.name: origin}
    return {f"{top}/{file.relative_to(origin.parent).as_posix()}": file for file in origin.parent.rglob("*.py")}


def _of_lossparity(names: Iterable[str]) -> dict[str, Path]:
    """Return modules of lossparity and all those that they import, wherever they do."""
    found: dict[str, Path] = {}
    left = [*names]
    while left:
        name = left.pop()
        file = _file(name)
        place = f"lossparity/{file.relative_to(_HARNESS).as_posix()}"
        if name.partition(".")[0] == "lossparity" and file.is_file() and place not in found:
            found[place] = file
            left += [name.rpartition(".")[0], *_imported(file)]
    return found


def _file(module: str) -> Path:
    """Return the file that a module of lossparity would be, a package's `__init__.py` where it is one."""
    place = _HARNESS.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _imported(file: Path) -> Iterator[str]:
    """Yield what a file may import, inside of functions too, but not what it imports for the type checkers alone."""
    left: list[ast.AST] = [ast.parse(file.read_bytes())]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            left += node.orelse
        else:
            left += ast.iter_child_nodes(node)
