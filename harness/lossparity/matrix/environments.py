"""The environments of a matrix: built once, kept in the folder of caches, taken away when nobody used them for long.

`uv` builds them where it is there and pip has no settings of its own, which uv does not read; else `venv` and pip.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lossparity.cache import folder
from lossparity.errors import UnavailableError
from lossparity.matrix.cells import Cell
from lossparity.matrix.commands import Commands

__all__ = ["Built", "build", "built", "installer", "kept", "remove"]

_MARK = "lossparity.json"
_LAST, _WIDEST = 6, 300  # of what an installer said: lines, and characters of one
_SECONDS = 3600.0
# What tells pip where packages come from; uv has settings of its own for these.
_PLACES = ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX")


@dataclass(frozen=True)
class Built:
    """An environment that is there: its folder, what is in it, the bytes it takes, and the seconds it took to build."""

    folder: Path
    requirements: tuple[str, ...]
    size: int
    seconds: float
    used: float

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


def _root() -> Path:
    return folder() / "environments"


def _place(cell: Cell) -> Path:
    return _root() / f"{cell.framework}-{cell.version}-{cell.environment}"


def built(cell: Cell) -> Built | None:
    """Return a cell's environment where it was built."""
    return _read(_place(cell))


def kept() -> list[Built]:
    """Return all environments, the one that was used last coming first."""
    places = _root().iterdir() if _root().is_dir() else ()
    found = [one for place in places if (one := _read(place))]
    return sorted(found, key=lambda one: -one.used)


def _read(place: Path) -> Built | None:
    try:
        said = json.loads((place / _MARK).read_text())
        used = (place / _MARK).stat().st_mtime
        return Built(place, tuple(said["requirements"]), int(said["size"]), float(said["seconds"]), used)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove(one: Built) -> None:
    """Take an environment away, its mark first, so that half of it is never taken for the whole."""
    (one.folder / _MARK).unlink(missing_ok=True)
    shutil.rmtree(one.folder, ignore_errors=True)


def installer() -> str:
    """Name what builds environments: `uv` or `pip`."""
    return "uv" if shutil.which("uv") and not _settings() else "pip"


def _settings() -> bool:
    """Whether pip was told where packages come from, by the environment or a file."""
    if any(os.environ.get(f"PIP_{name}") for name in _PLACES):
        return True
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    return any(name.lower().replace("_", "-") in said.stdout for name in _PLACES)


def build(cell: Cell, commands: Commands) -> tuple[Built, bool]:
    """Return a cell's environment, and whether it was built now; others that want the same wait.

    UnavailableError, with the installer's last lines, where that fails.
    """
    place = _place(cell)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        if there := _read(place):
            (place / _MARK).touch()
            return there, False
        shutil.rmtree(place, ignore_errors=True)  # what was begun and not finished
        began = time.monotonic()
        try:
            for command in _commands(cell, place):
                _run(command, cell, commands)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        seconds = round(time.monotonic() - began, 1)
        size = sum(one.lstat().st_size for one in place.rglob("*"))
        mark = {"requirements": list(cell.requirements), "size": size, "seconds": seconds}
        (place / _MARK).write_text(json.dumps(mark))
        return Built(place, cell.requirements, size, seconds, time.time()), True


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    with place.with_name(f"{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _commands(cell: Cell, place: Path) -> list[list[str]]:
    """Return the commands that build an environment. NumPy is what every child needs."""
    wanted = [*cell.requirements, *([] if any(r.startswith("numpy") for r in cell.requirements) else ["numpy"])]
    if installer() == "uv":
        version = cell.python or sys.executable
        into = ["uv", "pip", "install", "--python", str(place / "bin" / "python"), *wanted]
        return [["uv", "venv", "--no-project", "--python", version, str(place)], into]
    python = _interpreter(cell)
    pip = [
        str(place / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    return [[python, "-m", "venv", str(place)], [*pip, *wanted]]


def _interpreter(cell: Cell) -> str:
    if not cell.python:
        return sys.executable
    found = shutil.which(f"python{cell.python}")
    if not found:
        hint = "install it, or uv, which fetches Pythons"
        raise UnavailableError(f"there is no python{cell.python} here", hint=hint)
    return found


def _run(command: list[str], cell: Cell, commands: Commands) -> None:
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        status, printed = commands.call(command, environment, _SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{cell.name} cannot be installed: {error}") from None
    if status:
        last = [textwrap.shorten(line, _WIDEST, placeholder=" …") for line in printed.strip().splitlines()[-_LAST:]]
        raise UnavailableError(f"{cell.name} cannot be installed: {'; '.join(last)}")
