"""`lossparity bench`: what it prints and leaves, its exit statuses, and a clear message for every mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossparity.cli import main
from lossparity.record import read

TIMED = """\
suite: mine
about: What is timed here.
cases:
  - id: a
    clause: P1
    operation: softmax
    formats: [float32]
    logits: {generate: normal, shape: [8, 100], seed: 1}
  - id: b
    clause: P1
    operation: cross_entropy
    formats: [float32]
    logits: {generate: normal, shape: [8, 100], seed: 1}
    target: {generate: integers, shape: [8], below: 100, seed: 2}
  - id: judged
    clause: S1
    operation: softmax
    formats: [float32]
    logits: [[1, 2]]
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.yaml").write_text(TIMED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", "--cases", "mine.yaml", "--rounds", "8", "--seconds", "1", *arguments])


def test_it_prints_a_table_and_leaves_a_record_a_page_and_json(here: Path) -> None:
    done = bench("-b", "numpy", "-b", "numpy.manual", "--json", "out/times.json")
    assert done.exit_code == 0, done.output
    assert "mine/a/float32: softmax, 8x100" in done.output
    assert "numpy.manual  both" in done.output
    record = read(here / "lossparity-results" / "speed.jsonl")
    assert record.complete and {one.case for one in record.speeds} == {"mine/a", "mine/b"}
    assert (here / "lossparity-results" / "speed.html").stat().st_size > 10_000
    assert len(json.loads((here / "out/times.json").read_text())["benchmarks"]) == 12
    assert "1 of 2: mine/a/float32" in done.stderr


def test_a_pass_a_case_and_whom_to_compare_with_may_be_chosen(here: Path) -> None:
    done = bench(
        "-b", "numpy", "-b", "numpy.manual", "--against", "numpy.manual", "--pass", "forward", "--case", "mine/b"
    )
    assert done.exit_code == 0, done.output
    record = read(here / "lossparity-results" / "speed.jsonl")
    assert [(s.check, s.timed) for s in record.speeds] == [
        ("mine/b/float32@numpy", "forward"),
        ("mine/b/float32@numpy.manual", "forward"),
    ]
    assert [(r.check, r.against) for r in record.ratios] == [("mine/b/float32@numpy", "numpy.manual")]


def test_a_function_of_ones_own_is_timed_beside_the_librarys(here: Path) -> None:
    (here / "loss.py").write_text(
        "import numpy as np\ndef softmax(x):\n    e = np.exp(x)\n    return e / e.sum(1)[:, None]\n"
    )
    done = bench("-b", "numpy", "--target", "loss.py:softmax", "--operation", "softmax", "--pass", "forward")
    assert done.exit_code == 0, done.output
    assert [s.backend for s in read(here / "lossparity-results/speed.jsonl").speeds] == ["numpy", "numpy.target"]


def test_a_wrong_result_has_no_time_and_the_status_says_so(here: Path) -> None:
    (here / "loss.py").write_text("import numpy as np\ndef softmax(x):\n    return np.exp(x)\n")
    done = bench("-b", "numpy", "--target", "loss.py:softmax", "--operation", "softmax", "--pass", "forward")
    assert done.exit_code == 1
    assert "not the results" in " ".join(done.output.split())
    assert re.search(r"numpy.target +forward +none", done.output)


MISTAKES = {
    "nobody of that name": (("-b", "nunpy"), 2, "did you mean"),
    "against nobody": (("-b", "numpy", "--against", "jax"), 2, "is not among the backends that are timed"),
    "no time": (("-b", "numpy", "--seconds", "0"), 2, "above 0"),
    "no pass": (("-b", "numpy", "--pass", "sideways"), 2, "unknown pass 'sideways'"),
    "few rounds": (("-b", "numpy", "--rounds", "2"), 2, "--rounds"),
    "no such operation": (("-b", "numpy", "--target", "x.py:f", "--operation", "nll"), 2, "unknown operation"),
    "a target that is nowhere": (("-b", "numpy", "--target", "x.py:f"), 2, "x.py"),
    "a judged case": (("-b", "numpy", "--case", "mine/judged"), 2, "no case matches"),
    "no such framework": (
        ("-b", "numpy", "--target", "x.py:f", "--framework", "torsch"),
        2,
        "unknown backend 'torsch'",
    ),
    "an operation without cases": (("-b", "numpy", "--target", "x.py:f", "--operation", "nll_loss"), 2, "nll_loss"),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.usefixtures("here")
def test_a_mistake_is_answered_by_one_message(name: str) -> None:
    arguments, status, said = MISTAKES[name]
    done = bench(*arguments)
    assert done.exit_code == status, done.output
    assert said in done.output and "Traceback" not in done.output


def test_beside_other_tests_nothing_is_timed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    done = bench("-b", "numpy")
    assert done.exit_code == 2 and "other tests run at the same time" in done.output
    assert not (here / "lossparity-results").exists()


def test_run_says_whose_cases_they_are(here: Path) -> None:
    (here / "only.yaml").write_text(TIMED[: TIMED.index("  - id: judged")].replace("suite: mine", "suite: only"))
    done = CliRunner().invoke(main, ["run", "-b", "numpy", "--cases", "only.yaml", "--case", "only/a"])
    assert done.exit_code == 2
    assert "lossparity bench" in done.output
