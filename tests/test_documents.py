"""The documents say what the code does: the causes, words, options and commands that they list are those there are."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest
import yaml

from liars.catalogue import CORRECT, LIARS
from lossparity.casefile import schema
from lossparity.casefile.permitted import CHOICES
from lossparity.cli import main
from lossparity.diagnosis import Explained, described
from lossparity.errors import UsageError
from lossparity.inputs import GENERATORS
from lossparity.mistakes import MISTAKES
from lossparity.model import Case
from lossparity.reference.conventions import ALTERNATIVES
from lossparity.registry import report_names
from lossparity.relations import RELATIONS
from lossparity.shim import KINDS
from lossparity.spec import CLAUSES, LAYOUTS, TIMED
from lossparity.suite import built_in, load
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


def test_every_relation_that_a_failure_is_named_by_is_in_the_table() -> None:
    named = {one.cause: f"not the same {one.said}" for one in RELATIONS.values() if not one.relative}
    assert rows("Relations") == named


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


def workflows() -> dict[str, Any]:
    """Return the workflows of docs/ci.md by their file names."""
    blocks = re.findall(r'^```yaml title="([^"]+)"\n(.*?)^```$', read("docs/ci.md"), re.MULTILINE | re.DOTALL)
    return {name: yaml.safe_load(text) for name, text in blocks}


def commands(name: str) -> list[str]:
    """Return the commands that a workflow runs, one a line."""
    found = workflows()[name]
    if name == ".gitlab-ci.yml":
        return [line for job in found.values() for line in job["script"]]
    steps = [step for job in found["jobs"].values() for step in job["steps"]]
    return [line for step in steps if "run" in step for line in step["run"].splitlines()]


@pytest.mark.parametrize("name", workflows())
def test_a_workflow_to_copy_uses_what_there_is(name: str) -> None:
    calls = [shlex.split(re.sub(r"\$\{\{.*?\}\}", "torch", line)) for line in commands(name)]
    assert any(words[:4] == ["python", "-m", "pip", "install"] for words in calls)
    ours = [words[1:] for words in calls if words[0] == "lossparity"]
    assert ours
    for command, *words in ours:
        main.commands[command].make_context(command, words)  # what is not an option, or its value, raises


def test_the_workflow_of_versions_has_a_job_for_each_environment_of_tox() -> None:
    listed = workflows()[".github/workflows/versions.yml"]["jobs"]["judge"]["strategy"]["matrix"]["version"]
    files = {path.stem for path in (ROOT / "requirements").glob("versions-*.txt")}
    assert {f"versions-{one}" for one in listed} == files
    assert all(
        f"`{one}`" in read("docs/ci.md") or f"`{one.removeprefix('versions')}`" in read("docs/ci.md") for one in files
    )


def test_the_page_of_ci_names_every_report() -> None:
    assert [name for name in report_names() if f"`{name}`" not in read("docs/ci.md")] == []
    assert [one for one in ("--junit FILE", "--badge FILE", "--github") if f"`{one}`" not in read("docs/ci.md")] == []


def test_the_page_of_check_names_every_word_of_supports_and_every_kind_of_shim() -> None:
    page = read("docs/checking.md")
    assert [word for word in (*WORDS, *KINDS) if f"`{word}`" not in page] == []


def test_the_readme_names_every_command() -> None:
    assert [name for name in main.commands if f"| `lossparity {name}" not in read("README.md")] == []


def test_the_readme_counts_the_implementations_that_judge_the_judge() -> None:
    lies = sum(len(liar.clauses) for liar in LIARS)
    assert f"{len(LIARS)} implementations that are wrong on purpose, {lies} lies" in " ".join(read("README.md").split())
    assert f"{len(CORRECT)} correct ones" in " ".join(read("README.md").split())


def cells(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the table under a heading of a page, without those above its line."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    table = [re.split(r" \| ", line[2:-2]) for line in section.splitlines() if line.startswith("| ")]
    return table[1:]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def built_in_cases() -> tuple[Case, ...]:
    return tuple(case for suite in load([built_in()]) for case in suite.cases)


def test_every_clause_is_in_the_spec_with_how_it_is_judged() -> None:
    page = read("docs/spec.md")
    assert [row[0] for row in cells(page, "How each clause is judged")] == list(CLAUSES)
    stated = re.findall(r"^\| ([A-Z]\d) \| .+ \| .+ \| (?:mathematics|IEEE 754|convention) \|$", page, re.MULTILINE)
    assert stated == list(CLAUSES)


def test_every_clause_but_speed_is_judged_by_cases_and_every_case_has_a_clause_of_the_spec() -> None:
    cited = {case.clause for case in built_in_cases()}
    assert cited == set(CLAUSES) - {TIMED}
    listed = [row[0] for row in cells(read("docs/spec.md"), "How each clause is judged")]
    assert cited <= set(listed)


def test_the_spec_says_by_which_relation_a_clause_is_judged() -> None:
    for clause, judged, _ in cells(read("docs/spec.md"), "How each clause is judged"):
        named = [word for word in words(judged) if word in RELATIONS]
        assert named == [name for name, one in RELATIONS.items() if clause in one.clauses], clause
        assert bool(named) == ("relation" in judged), clause


def test_the_spec_says_which_choices_a_clause_permits() -> None:
    for clause, judged, _ in cells(read("docs/spec.md"), "How each clause is judged"):
        permitted = {word for case in built_in_cases() if case.clause == clause for word in case.one_of}
        assert permitted <= set(words(judged)), clause


def test_the_tables_of_the_cases_are_those_of_the_code() -> None:
    page = read("cases/README.md")
    assert [(words(row[0])[0], row[1]) for row in cells(page, "Relations")] == [
        (name, ", ".join(one.clauses)) for name, one in RELATIONS.items()
    ]
    assert [words(row[0]) for row in cells(page, "Layouts and scale")] == [[name] for name in LAYOUTS]
    assert [words(row[0]) for row in cells(page, "What is right")] == [[word] for word in CHOICES]
    recipes = {words(row[0])[0]: set(words(row[1])) for row in cells(page, "Numbers, recipes, vary, ids")}
    assert recipes == {name: {*made.numbers, *made.integers} for name, made in GENERATORS.items()}
    keys = [word for row in cells(page, "Keys of a case") for word in words(row[0])]
    assert sorted(keys) == sorted(get_type_hints(schema.Case))


def test_every_built_in_file_is_among_the_themes() -> None:
    (table,) = re.findall(r"^\*\*The themes\*\*.*?\n\n(.*?)\n\n", read("cases/README.md"), re.MULTILINE | re.DOTALL)
    listed = [word for line in table.splitlines()[2:] for word in words(line.split(" | ")[0])]
    assert sorted(listed) == sorted(path.stem for path in (ROOT / "cases").glob("*.yaml"))


def examples() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", read("docs/writing-cases.md"), re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_on_cases_are_case_files(tmp_path: Path) -> None:
    path = tmp_path / "offset.yaml"
    counts = []
    for text in examples():
        path.write_text(text, encoding="utf-8")
        (suite,) = load([path])
        counts.append(len(suite.cases))
    assert counts == [1, 7]


def test_the_mistakes_of_the_page_on_cases_are_refused_so(tmp_path: Path) -> None:
    path, listed = tmp_path / "offset.yaml", cells(read("docs/writing-cases.md"), "Mistakes")
    assert len(listed) > 10
    for written, refused in listed:
        (line,), message = words(written), words(refused)[0]
        key = line.partition(":")[0]
        text, count = re.subn(rf"^( *){key}: .*$", rf"\g<1>{line}", examples()[0], flags=re.MULTILINE)
        path.write_text(text if count else f"{text}    {line}\n", encoding="utf-8")
        with pytest.raises(UsageError) as caught:
            load([path])
        assert caught.value.message == message


def upstream() -> list[Path]:
    return sorted((ROOT / "cases" / "upstream").glob("*.yaml"))


def test_every_case_from_upstream_is_in_its_table_with_its_link() -> None:
    page = read("docs/upstream.md")
    cases = [case for suite in load(upstream()) for case in suite.cases]
    written = {"/".join(case.id.split("/")[:2]): case.link for case in cases}
    listed = dict(re.findall(r"^\| (.+) \| `(\w+/\S+)` \|$", page, re.MULTILINE))
    assert sorted(listed.values()) == sorted(written)
    assert [name for row, name in listed.items() if f"]({written[name]})" not in row] == []
