"""The examples, each copied out of the checkout as a reader would copy it, and run by pytest as its first line says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import need

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# What each needs, and how many of its tests pass at least: one a check, where it puts a function under the suite.
NEEDS = {
    "torch_autograd": ("torch", 1000),
    "jax_custom_vjp": ("jax", 1000),
    "numpy": ("numpy", 1000),
    "planted_bug": ("numpy", 1),
}


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_passes_where_a_reader_puts_it(name: str, tmp_path: Path) -> None:
    framework, least = NEEDS[name]
    need(framework)
    shutil.copy(EXAMPLES / f"test_{name}.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_{name}.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (passed,) = re.findall(r"\b(\d+) passed", done.stdout)
    assert int(passed) >= least


def test_every_example_is_run_is_short_and_says_how_it_is_run() -> None:
    files = sorted(EXAMPLES.glob("test_*.py"))
    assert [file.stem for file in files] == sorted(f"test_{name}" for name in NEEDS)
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 60, file.name
        assert f"`pytest examples/{file.name}`" in text.splitlines()[0]
