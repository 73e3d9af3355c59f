"""The JSON Schema says what the reader says: the same keys, the same words, and no built-in case that it would mark."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

import test_suite
from lossparity.casefile.arguments import argument_names
from lossparity.casefile.nodes import Listing, Node, Table, compose
from lossparity.casefile.permitted import CHOICES
from lossparity.casefile.reader import Defaults
from lossparity.casefile.schema import case_file
from lossparity.cli import main
from lossparity.errors import UsageError
from lossparity.formats import FORMATS, INTEGERS
from lossparity.inputs import GENERATORS
from lossparity.relations import RELATIONS
from lossparity.spec import CLAUSES, LAYOUTS, OPERATIONS, REDUCTIONS
from lossparity.suite import built_in, load

SCHEMA: dict[str, Any] = json.loads(case_file())
DEFINED: dict[str, Any] = SCHEMA["definitions"]
IN_A_CASE: dict[str, Any] = DEFINED["Case"]["properties"]
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def plain(node: Node) -> Any:
    """Return what an editor makes of a node, by the core schema of YAML 1.2: `1e4` is a number, `-inf` is text."""
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    if isinstance(node, Table):
        return {name: plain(inner) for name, inner in node.entries.items()}
    text = node.text
    if not node.plain:
        return text
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    return None if text in ("", "~", "null") else text


def marked(text: str) -> list[str]:
    """Return what an editor would mark in a case file."""
    return [error.message for error in VALIDATOR.iter_errors(plain(compose(text)))]


def words(described: dict[str, Any]) -> list[str]:
    listed: list[str] = described.get("items", described)["enum"]
    return listed


def known_keys(folder: Path, text: str) -> set[str]:
    """Return the keys that the reader's hint lists, of a place where the text has an unknown one."""
    with pytest.raises(UsageError) as caught:
        load([test_suite.write(folder, text)])
    assert caught.value.hint.startswith("known keys: ")
    return set(caught.value.hint.removeprefix("known keys: ").split(", "))


def test_the_committed_schema_is_the_one_of_the_code() -> None:
    """Renew it with `lossparity list --schema > cases/schema.json`."""
    assert (built_in() / "schema.json").read_text(encoding="utf-8") == case_file()
    assert CliRunner().invoke(main, ["list", "--schema"]).output == case_file()
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_keys_of_a_case_are_those_that_the_reader_takes(tmp_path: Path) -> None:
    taken: set[str] = set()
    for operation in OPERATIONS:
        text = test_suite.one_case("clause: S1", f"operation: {operation}", "zzzzzzzz: 1")
        taken |= known_keys(tmp_path, text)
    assert set(IN_A_CASE) == taken


def test_the_keys_of_the_other_mappings_are_those_that_the_reader_takes(tmp_path: Path) -> None:
    assert set(SCHEMA["properties"]) == known_keys(tmp_path, test_suite.BASE + "zzzzzzzz: 1\n")
    assert set(DEFINED["Defaults"]["properties"]) == set(Defaults._fields)
    published = known_keys(tmp_path, test_suite.with_line("published: {zzzzzzzz: 1}"))
    assert set(DEFINED["Published"]["properties"]) == published
    arguments = {name for operation in OPERATIONS.values() for name in argument_names(operation)}
    assert set(DEFINED["Vary"]["properties"]) == arguments
    for name in GENERATORS:
        recipe = test_suite.instead(test_suite.LOGITS, f"logits: {{generate: {name}, zzzzzzzz: 1}}")
        assert set(DEFINED[name]["properties"]) == known_keys(tmp_path, recipe)


def test_the_words_are_those_of_the_tables() -> None:
    assert words(IN_A_CASE["operation"]) == list(OPERATIONS)
    assert words(IN_A_CASE["clause"]) == list(CLAUSES)
    assert words(IN_A_CASE["formats"]) == list(FORMATS)
    assert words(IN_A_CASE["relation"]) == list(RELATIONS)
    assert words(IN_A_CASE["layout"]) == list(LAYOUTS)
    assert words(IN_A_CASE["target_format"]) == list(INTEGERS)
    assert words(IN_A_CASE["reduction"]) == list(REDUCTIONS)
    assert words(IN_A_CASE["one_of"]) == list(CHOICES)


def test_every_key_has_help() -> None:
    for name, described in {**SCHEMA["properties"], **IN_A_CASE}.items():
        entry = DEFINED[described["$ref"].rpartition("/")[2]] if "$ref" in described else described
        entry = DEFINED["Case"] if name == "cases" else entry
        assert entry.get("description"), f"{name} has no description"
    for name in ("operation", "clause", "relation"):
        beside = IN_A_CASE[name]["enumDescriptions"]
        assert len(beside) == len(words(IN_A_CASE[name])) and all(isinstance(said, str) for said in beside)
    assert "enumDescriptions" not in IN_A_CASE["formats"]["items"]


@pytest.mark.parametrize("path", sorted(built_in().rglob("*.yaml")), ids=lambda path: path.stem)
def test_no_built_in_case_is_marked(path: Path) -> None:
    assert marked(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("lines", test_suite.ALLOWED.values(), ids=test_suite.ALLOWED.keys())
def test_what_the_reader_allows_is_not_marked(lines: str) -> None:
    assert marked(test_suite.instead(test_suite.TARGET, lines)) == []


@pytest.mark.parametrize("number", ["1e4", "-inf", ".inf", "nan", "0x1.8p3", "-0.5", "+3", ".5", "5."])
def test_every_spelling_of_a_number_is_allowed(number: str) -> None:
    assert marked(test_suite.instead("[[2, 1, 0]", f"[[2, {number}, 0]")) == []


SEEN = [
    "a list",
    "missing about",
    "missing suite",
    "no case",
    "unknown key of a file",
    "unknown default",
    "default format",
    "default gradient",
    "missing id",
    "missing clause",
    "id with a slash",
    "unknown clause",
    "unknown operation",
    "unknown key",
    "keyword of another operation",
    "target without need",
    "logits for log_probs",
    "text for a number",
    "an expression",
    "a link that is none",
    "unknown layout",
    "unknown relation",
    "vary of the wrong type",
]


@pytest.mark.parametrize("fault", SEEN)
def test_a_fault_of_form_is_marked(fault: str) -> None:
    text = test_suite.FAULTS[fault][0].replace("§", "")
    assert marked(text), f"an editor would not mark: {fault}"
    assert not marked(test_suite.BASE)
