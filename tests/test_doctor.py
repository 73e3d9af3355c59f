"""The doctor: what a newcomer lacks, how to get it, and what to do next."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossparity import doctor, floating, registry, runner
from lossparity.cli import main
from lossparity.dependencies import Unmet
from lossparity.registry import registered

FAULT = "subnormal numbers are flushed to 0"


def examined() -> Result:
    result = CliRunner().invoke(main, ["doctor", "--no-probe"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leave these backends; a name with `-` before it lacks its last module."""

    def leave(*names: str) -> None:
        found = registered()
        chosen = {}
        for name in names:
            entry = found[name.lstrip("-")]
            chosen[entry.name] = replace(entry, missing=entry.requires[-1:] if name.startswith("-") else ())
        for module in (doctor, registry, runner):
            monkeypatch.setattr(module, "registered", lambda: chosen)

    return leave


def test_it_ends_with_a_verdict_and_what_to_run_next(only: Callable[..., None]) -> None:
    only("numpy", "-torch", "-jax.optax")
    result = examined()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("lossparity ") and f"Python {platform.python_version()} ({sys.executable})" in lines[0]
    assert "numpy: ready" in lines
    assert "torch: not installed; get it with: pip install 'lossparity[torch]'" in lines
    assert "jax.optax: not installed; get it with: pip install optax" in lines
    assert any(f"none for Python 3.{sys.version_info.minor} yet" in line for line in lines)
    assert lines[-1] == "READY: numpy. Next: `lossparity run`. A framework is worth more: see above how to get one."
    assert not any("CONFLICT" in line for line in lines)


def test_it_says_where_things_go(only: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path / "kept"))
    only("numpy")
    said = examined().stdout
    assert f"references are kept in {tmp_path / 'kept'} (LOSSPARITY_CACHE_DIR)" in said
    assert "./lossparity-results" in said
    assert "not installed" not in said and "none for Python" not in said


def test_a_version_that_another_package_cannot_use_is_a_conflict_with_its_command(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("numpy")
    found = {"lossparity": [Unmet("lossparity", "numpy>=9", "2.4")]}
    monkeypatch.setattr(doctor, "unmet", lambda package: found.get(package, []))
    lines = examined().stdout.splitlines()
    assert "  CONFLICT lossparity needs numpy>=9, and 2.4 is installed: pip install 'numpy>=9'" in lines
    assert lines[-1].startswith("READY: numpy, but 1 CONFLICT above. ")


def test_a_dependency_that_is_missing_is_said_before_anything_fails_at_an_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = importlib.metadata.version
    lacking = "python-flint"

    def installed(name: str) -> str:
        if name == lacking:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", installed)
    result = examined()
    assert result.exit_code == 3
    assert result.stderr.startswith("lossparity: not installed: python-flint>=")
    assert "  pip install 'python-flint>=" in result.stderr


def test_where_nothing_starts_it_is_not_ready(only: Callable[..., None]) -> None:
    only("-torch")
    result = examined()
    assert result.exit_code == 3
    assert "NOT READY: no backend starts" in result.output.splitlines()[-1]


def test_where_the_arithmetic_is_unsound_it_is_not_ready(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("numpy")
    monkeypatch.setattr(floating, "self_test", lambda: FAULT)
    result = examined()
    assert result.exit_code == 3
    assert "NOT READY: nothing can be judged" in result.stderr.splitlines()[-1]


def test_a_gpu_that_is_seen_has_its_frameworks_started_on_it(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("numpy", "torch", "-jax")
    entries = registry.registered()
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert [str(backend) for backend in doctor._started(entries)] == ["numpy", "torch+compile"]
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert [str(backend) for backend in doctor._started(entries)] == ["numpy", "torch+compile", "torch:cuda"]
