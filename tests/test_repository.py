"""The repository around the code keeps its word: commands, links, clauses, pins, and nothing of anyone's machine."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import lossparity
from lossparity.spec import CLAUSES

ROOT = Path(__file__).resolve().parents[1]
SETUP = "python3 -m venv .venv && .venv/bin/python -m pip install tox && "
CONFORMANCE = SETUP + ".venv/bin/tox run -e conformance"
TESTS = SETUP + ".venv/bin/tox run"
OUTPUTS = {"__pycache__", "build", "dist", "lossparity-results"}

TEXTS = sorted(
    path
    for path in ROOT.rglob("*")
    if path.is_file()
    and not any(part in OUTPUTS or part.endswith(".egg-info") for part in path.relative_to(ROOT).parts)
    and not any(part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts[:-1])
)
DOCUMENTS = [path for path in TEXTS if path.suffix == ".md"]


def named(path: Path) -> str:
    """Name a file in a test's id as people do, from the checkout's root."""
    return path.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_lines(document: str) -> list[str]:
    """Return the lines inside fenced code blocks, as a person would copy them."""
    blocks = re.findall(r"^ *```.*?\n(.*?)^ *```", document, flags=re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()]


def tox() -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(read("tox.ini"))
    return config


def pins(file: str = "ci.txt") -> dict[str, Version]:
    """Return the pins of a file in requirements, and of those that it names."""
    lines = [line for line in read(f"requirements/{file}").splitlines() if line and not line.startswith("#")]
    found: dict[str, Version] = {}
    for line in lines:
        if line.startswith("-c "):
            more = pins(line.removeprefix("-c "))
        else:
            requirement = Requirement(line)
            (only,) = requirement.specifier
            assert only.operator == "==", f"{requirement} is no pin"
            more = {canonical(requirement.name): Version(only.version)}
        assert not found.keys() & more.keys(), f"{file}: {line} is pinned twice"
        found |= more
    return found


VERSIONS = sorted(path.name for path in (ROOT / "requirements").glob("versions-*.txt"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
    return found


def ranges() -> list[Requirement]:
    extras = [r for name, listed in project()["optional-dependencies"].items() if name != "all" for r in listed]
    return [Requirement(r) for r in (*project()["dependencies"], *extras)]


@pytest.mark.parametrize("command", [CONFORMANCE, TESTS])
def test_the_readme_shows_each_command_once_on_a_line_of_its_own(command: str) -> None:
    assert code_lines(read("README.md")).count(command) == 1


def test_ci_calls_the_readmes_test_command_and_no_other() -> None:
    script = read(".ci/run")
    (pattern,) = re.findall(r"^command=\$\(grep -xE '(.+)' README\.md\)$", script, flags=re.MULTILINE)
    assert [line for line in read("README.md").splitlines() if re.fullmatch(pattern, line)] == [TESTS]
    assert script.rstrip().endswith('"$command" </dev/null'), "its status has to be the last command's"
    assert "set -euo pipefail" in script


def test_ci_is_executable() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111 == 0o111


def test_tox_runs_both_jobs_of_the_readme() -> None:
    config = tox()
    assert config["testenv:conformance"]["commands"].strip().startswith("lossparity run ")
    assert "tests" in config["tox"]["env_list"].split(", ")
    first, second = config["testenv:tests"]["commands"].split("\n")[1:]
    assert (first, second[: second.index("}") + 1]) == (
        "{[testenv:conformance]commands}",
        "{[testenv]commands}",
    ), "the default run has to do the conformance job too, since nothing else in CI does"


def test_every_environment_takes_its_versions_from_the_pins() -> None:
    config, known = tox(), pins()
    for section in config.sections():
        for line in config[section].get("deps", "").split("\n"):
            if line and not line.startswith(("-c ", "{")):
                assert canonical(Requirement(line).name) in known, f"{section}: {line} is not pinned"
                assert not Requirement(line).specifier, f"{section}: versions belong in requirements: {line}"


@pytest.mark.parametrize("requirement", ranges(), ids=str)
def test_each_range_of_the_project_admits_its_pin(requirement: Requirement) -> None:
    assert pins()[canonical(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("file", VERSIONS)
def test_a_version_of_a_framework_pins_all_that_the_project_needs_within_its_ranges(file: str) -> None:
    found, framework = pins(file), re.split(r"[-\d]", file)[1].removesuffix(".txt")
    needed = {canonical(one.name): one.specifier for one in ranges()}
    wanted = {canonical(Requirement(one).name) for one in project()["dependencies"]} | {framework}
    assert wanted <= found.keys(), "these would be whatever is newest on the day"
    assert [name for name in needed.keys() & found.keys() if found[name] not in needed[name]] == []
    version = file.removeprefix(f"versions-{framework}").removesuffix(".txt")
    assert found[framework] == (Version(version) if version else pins()[framework])


def test_the_range_of_a_framework_begins_at_its_oldest_version_in_tox() -> None:
    admitted = {canonical(one.name): one.specifier for one in ranges()}
    for name in ("tensorflow", "jax"):
        oldest = min(pins(file)[name] for file in VERSIONS if file.startswith(f"versions-{name}"))
        assert f">={oldest}" == str(admitted[name])


def test_each_version_of_a_framework_is_an_environment() -> None:
    names: set[str] = set()
    for section in tox().sections():
        if found := re.fullmatch(r"testenv:(versions-\w+)\{(.*)\}", section):
            names |= {f"{found[1]}{version}.txt" for version in found[2].split(",")}
    assert names == set(VERSIONS)


@pytest.mark.parametrize("file", ["ci.txt", *VERSIONS])
def test_both_names_of_tensorflow_are_pinned_alike(file: str) -> None:
    assert pins(file).get("tensorflow") == pins(file).get("tensorflow-cpu")


def anchors(document: str) -> set[str]:
    """Return the anchors of a document's headings, as code hosts form them."""
    headings = re.findall(r"^#+ (.+)$", document, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (document.parent / place).resolve() if place else document
        assert target.is_relative_to(ROOT) and target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{link}: no such heading"


def links(document: Path) -> set[Path]:
    """Return what a document links to within the checkout."""
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s#]+)[)#]", text)
    return {(document.parent / link).resolve() for link in found if not re.match(r"[a-z]+:", link)}


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), {ROOT / "README.md"}
    while ahead:
        reached |= ahead
        ahead = {link for each in ahead for link in links(each) if link.suffix == ".md"} - reached
    assert [named(one) for one in (ROOT / "docs").rglob("*.md") if one not in reached] == []


def test_every_page_of_the_site_is_in_its_navigation_or_among_the_decisions() -> None:
    nav = re.findall(r"^ +- .+: (\S+\.md)$", read("mkdocs.yml"), flags=re.MULTILINE)
    assert len(nav) == len(set(nav)), "a page is listed twice"
    pages = {one.relative_to(ROOT / "docs").as_posix() for one in (ROOT / "docs").glob("*.md")}
    added = {one for one in nav if one.startswith("repository/")}
    assert set(nav) - added == pages | {"decisions/README.md"}
    assert all((ROOT / one.removeprefix("repository/")).exists() for one in added)
    listed = links(ROOT / "docs" / "decisions" / "README.md")
    assert listed == set((ROOT / "docs" / "decisions").glob("0*.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_what_belongs_to_an_item_of_a_list_is_indented_by_four(document: Path) -> None:
    """Code hosts take two or three spaces; the site's Markdown would end the list there, or not begin its next item."""
    text = document.read_text(encoding="utf-8")
    lines = re.sub(r"^(```+).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL).splitlines()
    pairs = [*zip(["", *lines], lines, strict=False)]
    assert [line for before, line in pairs if not before.strip() and re.match(r" {1,3}\S", line)] == []
    assert [line for before, line in pairs if before.startswith("    ") and re.match(r"([-*]|\d+\.) ", line)] == []


def clause_rows() -> list[tuple[str, str, str]]:
    """Return id, kind and basis of each row of the clause tables of docs/spec.md."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in read("docs/spec.md").splitlines()]
    return [(row[0], row[2], row[3]) for row in rows if len(row) == 4 and re.fullmatch(r"[A-Z]\d+", row[0])]


def test_the_spec_states_every_clause_once_and_no_other() -> None:
    assert sorted(id_ for id_, _, _ in clause_rows()) == sorted(CLAUSES)


def test_the_spec_and_the_code_agree_on_kind_and_basis() -> None:
    stated = {id_: (kind.partition(";")[0], basis) for id_, kind, basis in clause_rows()}
    assert stated == {clause.id: (clause.kind, clause.basis) for clause in CLAUSES.values()}


@pytest.mark.parametrize(
    "pattern",
    [r"/(?:work|root|home/\w+|Users/\w+)/", r"pypi\.org|pythonhosted\.|download\.pytorch\.|npmjs\.|[-]extra-index"],
    ids=["a machine's paths", "a registry's host"],
)
def test_no_file_names(pattern: str) -> None:
    found = []
    for path in TEXTS:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        lines = enumerate(text.splitlines(), start=1)
        found += [f"{named(path)}:{number}: {line}" for number, line in lines if re.search(pattern, line)]
    assert found == []


def test_the_changelog_has_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    version = Version(lossparity.__version__)
    assert version.is_devrelease or lossparity.__version__ in headings


def test_the_license_is_the_one_that_is_declared() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    text = read("LICENSE")
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
