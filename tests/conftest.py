"""What the tests share: which frameworks must be here, and one run over all of them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import installed as installing

# Text is wrapped to the terminal, which pytest-xdist makes one of 80 columns up for its workers.
os.environ.pop("COLUMNS", None)

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")


def need(framework: str) -> None:
    """Skip the test where a framework is absent; fail it where LOSSPARITY_REQUIRE names the framework."""
    if importlib.util.find_spec(framework) is not None:
        return
    reason = f"{framework} is not installed"
    if framework in os.environ.get("LOSSPARITY_REQUIRE", "").split(","):
        pytest.fail(f"{reason}, and LOSSPARITY_REQUIRE asks for it")
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep references in a folder of this run, which all its processes share, never in the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSPARITY_CACHE_DIR", str(_of_this_run(tmp_path_factory) / "cache"))
        yield


def _of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel of lossparity and those of what it and its tests need, built once a run."""
    folder = _of_this_run(tmp_path_factory) / "wheelhouse"
    folder.mkdir(exist_ok=True)
    with installing.alone(folder):
        return folder if any(folder.glob("*.whl")) else installing.wheels(folder, installing.ROOT, *installing.TOOLS)


@pytest.fixture(scope="session")
def installed(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment with lossparity, pytest and pytest-xdist, made once; nothing is added."""
    folder = _of_this_run(tmp_path_factory) / "installed"
    folder.mkdir(exist_ok=True)
    with installing.alone(folder):
        if not (folder / "made").exists():
            installing.environment(wheelhouse, folder / "venv")
            (folder / "made").touch()
    return folder / "venv" / "bin"
