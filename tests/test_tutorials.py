"""The pages for users, followed to the letter by somebody who has the wheel, pytest, and no checkout.

Of each page, in order: a block with a title is written to that file; a block of `sh` is run, each line has to end with
the status it names (`# status 1`) or 0; and each line of the `text` below, but for those with an ellipsis, has to be in
what was printed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import installed as installing

DOCS = installing.ROOT / "docs"
PAGES = ("quick-start", "worked-example", "audit", "porting", "pytest")
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_STATUS = re.compile(r"\s+# status (\d+)$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, the file that it is, its text, and its line."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 2)


def follow(page: Path, folder: Path, programs: Path) -> None:
    """Do what a page says."""
    printed = ""
    for block in blocks(page):
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            printed = "".join(run(line, folder, programs, f"{page}:{block.line}") for line in block.text.splitlines())
        elif block.language == "text":
            said = " ".join(printed.split())
            lost = [line for line in block.text.splitlines() if "…" not in line and " ".join(line.split()) not in said]
            assert not lost, f"{page}:{block.line}: not printed: {lost[0]}\n\n{printed}"


def run(line: str, folder: Path, programs: Path, where: str) -> str:
    """Run one line; return what it printed."""
    status = int(found[1]) if (found := _STATUS.search(line)) else 0
    environment = installing.variables(programs) | {"COLUMNS": "80"}
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == status, f"{where}: status {done.returncode} of: {line}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_true_where_only_the_wheel_is(page: str, installed: Path, tmp_path: Path) -> None:
    follow(DOCS / f"{page}.md", tmp_path, installed)


def test_every_page_with_commands_to_run_is_followed() -> None:
    elsewhere = {"adding-a-backend", "index"}  # tests/test_pack.py follows the one, the other is one command
    having = {page.stem for page in DOCS.glob("*.md") if any(block.language == "sh" for block in blocks(page))}
    assert having - elsewhere == set(PAGES)
