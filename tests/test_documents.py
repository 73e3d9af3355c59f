"""The documents say what the code does: the causes, words, options and commands that they list are those there are."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from liars.catalogue import CORRECT, LIARS
from lossparity.cli import main
from lossparity.diagnosis import Explained, described
from lossparity.mistakes import MISTAKES
from lossparity.reference.conventions import ALTERNATIVES
from lossparity.shim import KINDS
from lossparity.suite import load
from lossparity.target.supports import WORDS

ROOT = Path(__file__).resolve().parents[1]
UNKNOWN = described(Explained("no such cause"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, str]:
    """Return the table under a heading of docs/checking.md, by the ids in its first column."""
    (section,) = re.findall(rf"^### {heading}\n(.*?)(?=^#|\Z)", read("docs/checking.md"), re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^\| `(.+?)` \| (.+?) \|$", section, re.MULTILINE))


def test_every_convention_that_a_failure_is_named_by_is_in_the_table() -> None:
    assert rows("Conventions") == {name: described(Explained(name)) for name in ALTERNATIVES}


def test_every_mistake_that_a_failure_is_named_by_is_in_the_table() -> None:
    assert rows("Mistakes") == {name: one.said for name, one in MISTAKES.items() if name not in ALTERNATIVES}
    both = "`, `".join(name for name in ALTERNATIVES if name in MISTAKES).replace("`, `", "` and `")
    assert f"`{both}` above are looked for as mistakes too" in read("docs/checking.md")


def test_the_other_causes_are_described_as_they_are_printed() -> None:
    others = rows("Others")
    assert others
    assert others == {name: described(Explained(name)) for name in others}
    assert UNKNOWN not in others.values()


@pytest.mark.parametrize("command", ["check", "explain", "export", "known"])
def test_every_option_is_in_the_commands_page(command: str) -> None:
    pages = {"check": "checking", "explain": "explain", "export": "reproducing", "known": "known-deviations"}
    page = read(f"docs/{pages[command]}.md")
    options = [one for one in main.commands[command].params if isinstance(one, click.Option)]
    shared = ("--help", "--no-cache")
    assert [one.opts[0] for one in options if one.opts[0] not in shared and one.opts[0] not in page] == []


def test_the_page_of_check_names_every_word_of_supports_and_every_kind_of_shim() -> None:
    page = read("docs/checking.md")
    assert [word for word in (*WORDS, *KINDS) if f"`{word}`" not in page] == []


def test_the_readme_names_every_command() -> None:
    assert [name for name in main.commands if f"| `lossparity {name}" not in read("README.md")] == []


def test_the_readme_counts_the_implementations_that_judge_the_judge() -> None:
    lies = sum(len(liar.clauses) for liar in LIARS)
    assert f"{len(LIARS)} implementations that are wrong on purpose, {lies} lies" in " ".join(read("README.md").split())
    assert f"{len(CORRECT)} correct ones" in " ".join(read("README.md").split())


def upstream() -> list[Path]:
    return sorted((ROOT / "cases" / "upstream").glob("*.yaml"))


def test_every_case_from_upstream_is_in_its_table_with_its_link() -> None:
    page = read("docs/upstream.md")
    cases = [case for suite in load(upstream()) for case in suite.cases]
    written = {"/".join(case.id.split("/")[:2]): case.link for case in cases}
    listed = dict(re.findall(r"^\| (.+) \| `(\w+/\S+)` \|$", page, re.MULTILINE))
    assert sorted(listed.values()) == sorted(written)
    assert [name for row, name in listed.items() if f"]({written[name]})" not in row] == []
