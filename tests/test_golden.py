"""Golden files: what is in them is certified, complete and repeatable, and a short reader can judge by them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossparity.cli import main
from lossparity.errors import UsageError
from lossparity.expected import whole
from lossparity.model import Case
from lossparity.plans import Question
from lossparity.reproducing import golden
from lossparity.suite import built_in, load

READER = Path(__file__).resolve().parents[1] / "examples" / "read_golden.py"
CHOSEN = (
    "softmax/images",
    "special-values/plus-infinity",
    "invalid-targets/negative/reduction=none",
    "weights/weighted/reduction=mean",
    "ignore-index/not-a-number/reduction=none",
    "worked-example/softmax",
)


def lossparity(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for suite in load([built_in()]) for case in suite.cases]


def questions(cases: list[Case]) -> list[Question]:
    return [Question(case, fmt) for case in cases if case.id in CHOSEN for fmt in case.formats]


@pytest.fixture(scope="module")
def folder(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden")
    assert len(list(golden.export(questions(cases), path))) == 4 * len(CHOSEN)
    return path


def index(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / golden.INDEX).read_text(encoding="utf-8"))
    return found


def test_what_is_in_the_files_is_certified_and_bounded_as_the_judge_has_it(folder: Path, cases: list[Case]) -> None:
    found = index(folder)
    assert found["format_version"] == golden.VERSION == 1
    asked = questions(cases)
    assert [(entry["id"], entry["format"]) for entry in found["cases"]] == [(q.case.id, q.format) for q in asked]
    for entry, question in zip(found["cases"], asked, strict=True):
        packed = folder / entry["file"]
        assert hashlib.sha256(packed.read_bytes()).hexdigest() == entry["sha256"]
        assert entry["input_hash"] == question.hash
        assert entry["keywords"] == question.case.keywords
        assert entry["permitted"] == list(question.alternatives)
        with np.load(packed) as arrays:
            for name, array in question.arrays.items():
                assert arrays[name].tobytes() == array.data.tobytes()
                stored = {"format": array.format, "stored": arrays[name].dtype.name, "shape": list(array.shape)}
                assert entry["inputs"][name] == stored
            kept = {(r["quantity"], r["choice"]): r for r in entry["results"]}
            choices = [choice for choice in question.alternatives if choice != "raises"]
            assert list(kept) == [(quantity, choice) for quantity in question.quantities for choice in choices]
            for (quantity, choice), result in kept.items():
                right = whole(question.answer(choice, quantity), flushed=False)
                for name in ("high", "low", "ulp", "tight", "loose"):
                    array = arrays[result["arrays"][name]]
                    assert array.dtype == np.float64 and list(array.shape) == result["shape"]
                    assert array.ravel().tobytes() == getattr(right, name).tobytes()
                for name in ("open", "blank"):
                    marked = arrays[result["arrays"][name]].ravel() if name in result["arrays"] else 0
                    assert np.array_equal(getattr(right, name), np.broadcast_to(marked, right.open.shape) == 1)


def test_choices_exceptions_and_bfloat16_are_noted(folder: Path) -> None:
    by = {(entry["id"], entry["format"]): entry for entry in index(folder)["cases"]}
    infinite = by["special-values/plus-infinity", "bfloat16"]
    assert infinite["permitted"] == ["nan", "limit"] and not infinite["raises"]
    assert {result["choice"] for result in infinite["results"]} == {"nan", "limit"}
    assert infinite["inputs"]["logits"] == {"format": "bfloat16", "stored": "uint16", "shape": [2, 4]}
    invalid = by["invalid-targets/negative/reduction=none", "float32"]
    assert invalid["raises"] and {result["choice"] for result in invalid["results"]} == {"nan"}
    ignored = by["ignore-index/not-a-number/reduction=none", "float32"]
    (gradient,) = [result for result in ignored["results"] if result["quantity"] == "gradient"]
    assert {"open", "blank"} <= gradient["arrays"].keys()


def test_the_index_is_json_that_any_reader_takes(folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = (folder / golden.INDEX).read_text(encoding="utf-8")
    formats = json.loads(text, parse_constant=refuse)["formats"]
    assert formats["float16"]["rounds_to_infinity"] == 65520
    assert formats["bfloat16"]["results"] == ["bfloat16", "float32"]
    assert formats["float64"]["rounds_to_infinity"] is None


def test_the_same_cases_make_the_same_bytes(folder: Path, cases: list[Case], tmp_path: Path) -> None:
    list(golden.export(questions(cases), tmp_path))
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(files) == 4 * len(CHOSEN) + 1
    for file in files:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes(), file
        if file.suffix == ".npz":
            with zipfile.ZipFile(folder / file) as archive:
                assert {member.date_time[0] for member in archive.infolist()} == {1980}, "the time would differ"


def test_the_estimate_is_what_the_arrays_have(folder: Path, cases: list[Case]) -> None:
    size = 0
    for entry in index(folder)["cases"]:
        with np.load(folder / entry["file"]) as arrays:
            size += sum(arrays[name].nbytes for name in arrays if arrays[name].dtype != np.uint8)
    assert golden.estimate(questions(cases)) == size


def reader(folder: Path, *, code: str = "") -> subprocess.CompletedProcess[str]:
    source = READER.read_text(encoding="utf-8")
    if code:
        source = source.replace("return e / np.sum(e, axis=axis, keepdims=True)", code)
        assert code in source
    return subprocess.run(
        [sys.executable, "-I", "-c", source, str(folder)], capture_output=True, text=True, check=False
    )


def test_the_example_passes_a_softmax_that_is_right(folder: Path) -> None:
    ended = reader(folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("right ") == 3 * 3


@pytest.mark.parametrize(
    "code",
    [
        "return e / np.sum(e, axis=-1, keepdims=True)",
        "return e / (np.sum(e, axis=axis, keepdims=True) * (1 + 2**-6))",
        "return np.where(x == np.inf, 1, e)",
    ],
)
def test_the_example_catches_a_softmax_that_is_wrong(folder: Path, code: str) -> None:
    ended = reader(folder, code=code)
    assert ended.returncode == 1, ended.stderr
    assert "WRONG" in ended.stdout


def test_the_example_is_short() -> None:
    body = [line for line in READER.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(body) < 40


def test_export_says_what_it_writes_and_where(tmp_path: Path) -> None:
    to = tmp_path / "new" / "golden"
    ended = lossparity("export", "--golden", str(to), "--case", "worked-example/softmax", "--dtype", "fp16")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith("1 files, about ")
    assert (to / "worked-example" / "softmax" / "float16.npz").is_file()
    assert str(to / "index.json") in ended.stdout


def test_a_folder_that_is_not_empty_is_refused_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    command = ("export", "--golden", str(tmp_path), "--case", "worked-example/softmax", "--format", "float16")
    ended = lossparity(*command)
    assert ended.exit_code == 2
    assert "the folder is not empty" in ended.stderr and "--force" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert lossparity(*command, "--force").exit_code == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = lossparity("export", "--golden", str(tmp_path / "file" / "in"), "--case", "worked-example/softmax")
    assert ended.exit_code == 2
    assert "golden files cannot be written" in ended.stderr
    with pytest.raises(UsageError, match="cannot be written"):
        golden.empty(tmp_path / "file" / "in", force=True)
