"""lossparity as a stranger gets it: wheels, built once a run, in new environments without the checkout.

Building needs what a first `pip install` needs, an index with the build system and the pinned versions.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("pytest", "pytest-xdist")


def wheels(folder: Path, project: Path = ROOT, *more: str) -> Path:
    """Build a project's wheel, and fetch those that it and `more` need, into a folder; return the folder.

    Where that fails the test is skipped with what pip says, and in an environment of tox, where it must not, it fails.
    """
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder)]
    constraints = ["--constraint", str(ROOT / "requirements" / "ci.txt")]
    done = subprocess.run([*command, *constraints, str(project), *more], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"no wheel could be built: {done.stderr}"
        if "LOSSPARITY_REQUIRE" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def environment(wheelhouse: Path, folder: Path) -> Path:
    """Make a new virtual environment with pip, lossparity, pytest and pytest-xdist; return its folder of programs."""
    venv.create(folder, with_pip=True, symlinks=True)
    programs = folder / "bin"
    install(programs, wheelhouse, "lossparity", *TOOLS)
    return programs


def install(programs: Path, wheelhouse: Path, *names: str) -> None:
    """Install packages from a folder of wheels, and from nowhere else."""
    command = [f"{programs}/python", "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheelhouse)]
    subprocess.run([*command, *names], check=True, env=variables(programs))


def variables(programs: Path) -> dict[str, str]:
    """Return the variables of a shell in which an environment is active, and nothing points to the checkout."""
    ours = ("PYTHON", "PYTEST", "LOSSPARITY_REQUIRE", "VIRTUAL_ENV", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PATH": f"{programs}{os.pathsep}{kept['PATH']}", "VIRTUAL_ENV": str(programs.parent)}


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process of pytest-xdist at a time into what needs a folder."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
