"""The outline of case files: the same ids and formats as the strict reader finds, and nothing of a broken file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossparity.casefile.outline import outline
from lossparity.casefile.places import built_in, files
from lossparity.suite import load


@pytest.mark.parametrize("path", list(files(built_in())), ids=lambda path: path.stem)
def test_it_is_what_the_strict_reader_finds(path: Path) -> None:
    cases = [case for timed in (False, True) for one in load([path], timed=timed) for case in one.cases]
    assert sorted(map(tuple, outline(path))) == sorted((case.id, case.formats) for case in cases)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cases: 3",
        "[1, 2]",
        "cases: [[",
        "cases: [{clause: S1}, 4, {id: [1]}]",
        "defaults: 4\ncases: {id: a}",
        "cases:\n  - id: \xe9".encode("latin-1"),
    ],
)
def test_of_a_file_that_is_none_there_are_no_cases(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert outline(path) == []


def test_of_a_file_that_is_not_there_there_are_none_either(tmp_path: Path) -> None:
    assert outline(tmp_path / "none.yaml") == []
