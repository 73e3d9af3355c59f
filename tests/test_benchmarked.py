"""Speed cases as tests of pytest-benchmark, as users see them: every test here runs pytest in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from test_plugin import Done, Pytest, run_pytest  # noqa: F401 - the fixture is found by its name

pytest.importorskip("pytest_benchmark")

CASES = """
suite: quick
about: two that are timed, and one that is judged
defaults: {formats: [float32], gradient: true}
cases:
  - {id: rows, clause: P1, about: two rows, operation: softmax, logits: [[1, 2, 3], [3, 2, 1]]}
  - {id: value, clause: P1, about: no gradient, operation: softmax, gradient: false, logits: [[1, 2], [2, 1]]}
  - {id: judged, clause: S1, about: two numbers, operation: softmax, logits: [[1, 2]]}
"""
FUNCTIONS = """
import os
import numpy as np
import lossparity

def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

class TestMine:
    right = lossparity.conforms("softmax", format="float32")(softmax)

@lossparity.conforms("softmax", format="float32", supports=["value"])
def wrong(logits):
    return softmax(logits) * 2

kept = {}

@lossparity.conforms("softmax", format="float32", supports=["value"])
def keeping(logits):
    if id(logits) not in kept:
        kept[id(logits)] = logits, softmax(logits)
    return kept[id(logits)][1]

def dying(logits):
    return softmax(logits)

dying.gradient = lambda logits, upstream: os._exit(7)
dying = lossparity.conforms("softmax", format="float32")(dying)
unlike = lossparity.conforms("softmax", format="float32", map={"logits": "x"})(softmax)
others = lossparity.conforms("softmax", format="float32", convention="axis=last")(softmax)

def test_of_my_own(benchmark):
    benchmark(sum, range(10))
"""
QUICK = ("--benchmark-only", "--benchmark-max-time=0.05", "--benchmark-min-rounds=3", "-p", "no:cacheprovider")
BOTH = ("lossparity.plugin", "pytest_benchmark.plugin")
KEYS = {"quick/rows/float32@numpy#both", "quick/rows/float32@numpy#forward", "quick/rows/float32@numpy#backward"}
VALUE = "quick/value/float32@numpy#forward"


@pytest.fixture
def timed(run_pytest: Pytest, tmp_path: Path) -> Pytest:  # noqa: F811 - the one that is imported
    """Return what runs the plugin together with pytest-benchmark, for a short time; a warning is a failure."""
    (tmp_path / "quick.yaml").write_text(CASES)
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)

    def run(*words: str, plugins: tuple[str, ...] = BOTH) -> Done:
        return run_pytest("-v", "-W", "error", *words, plugins=plugins)

    return run


def suite(*more: str) -> list[str]:
    given = ["--pyargs", "lossparity.conformance", "--lossparity-backends", "numpy", "--lossparity-cases", "quick.yaml"]
    return [*given, *more]


def saved(path: Path) -> dict[str, dict[str, Any]]:
    """Return the benchmarks of a file by name."""
    return {one["name"]: one for one in json.loads(path.read_text())["benchmarks"]}


def test_each_pass_of_a_speed_case_is_a_benchmark_and_nothing_is_judged(timed: Pytest, tmp_path: Path) -> None:
    done = timed(*suite(*QUICK, "--benchmark-json=times.json"))
    assert done.status == 0, done.text
    assert done.outcomes == {f"lossparity.conformance::{key}": "PASSED" for key in (*KEYS, VALUE)}
    assert "== lossparity ==" not in done.text
    found = saved(tmp_path / "times.json")
    assert set(found) == {*KEYS, VALUE}
    one = found["quick/rows/float32@numpy#both"]
    assert one["group"] == "quick/rows/float32#both" and one["param"] == "numpy"
    assert one["params"] == {"backend": "numpy", "format": "float32", "pass": "both"}
    facts = one["extra_info"]
    # Two rows of three numbers are read twice, with the upstream gradient, and value and gradient are written.
    assert (facts["operation"], facts["shape"], facts["bytes_moved"]) == ("softmax", [2, 3], 4 * 24)
    assert facts["first_call"] > 0 and facts["environment"]["numpy"] and "peak_memory" in facts
    stats = one["stats"]
    assert stats["rounds"] == len(stats["data"]) >= 3
    # A call is microseconds and a sample some 10 ms of calls: neither the pipe's time nor a whole sample's is a call's.
    assert 0 < stats["median"] < 1e-3 < stats["median"] * stats["iterations"] < 1


def test_without_the_word_of_pytest_benchmark_nothing_is_timed(timed: Pytest) -> None:
    done = timed(*suite())
    assert done.status == 0 and done.outcomes == {"lossparity.conformance::quick/judged/float32@numpy": "PASSED"}
    assert "benchmark '" not in done.text


def test_passes_are_chosen_as_checks_are(timed: Pytest) -> None:
    assert set(timed(*suite(*QUICK, "-k", "forward and rows")).outcomes) == {
        "lossparity.conformance::quick/rows/float32@numpy#forward"
    }
    marked = timed(*suite(*QUICK, "--collect-only", "-q", "-m", "lossparity(case='quick/value', clause='P1')"))
    assert f"<Pass {VALUE}>" in marked.text and "quick/rows" not in marked.text
    alone = timed(*suite(*QUICK)[2:], "--pyargs", f"lossparity.conformance::{VALUE}")
    assert set(alone.outcomes) == {f"lossparity.conformance::{VALUE}"}
    assert "no case matches 'softmax/*'" in timed(*suite(*QUICK, "--lossparity-case", "softmax/*")).text


def test_a_users_function_is_timed_and_none_that_cheats(timed: Pytest, tmp_path: Path) -> None:
    done = timed(*QUICK, "-rs", "--benchmark-json=times.json", "test_mine.py", "-k", "attention or of_my_own")
    short = {name.removeprefix("test_mine.py::"): how for name, how in done.outcomes.items()}

    def outcomes(name: str) -> list[str]:
        where = f"{name}::speed/attention/float32@numpy.test_mine.{name.replace('::', '.')}"
        return [short[f"{where}#{timed}"] for timed in ("both", "forward", "backward")]

    assert outcomes("TestMine::right") == ["SKIPPED", "PASSED", "SKIPPED"]
    assert outcomes("wrong") == ["SKIPPED", "FAILED", "SKIPPED"]
    assert outcomes("keeping") == ["SKIPPED", "FAILED", "SKIPPED"]
    assert outcomes("dying") == ["FAILED", "PASSED", "FAILED"]
    assert outcomes("unlike") == ["FAILED", "SKIPPED", "SKIPPED"]
    assert outcomes("others") == ["SKIPPED", "SKIPPED", "SKIPPED"]
    assert short["test_of_my_own"] == "PASSED"
    for said in (
        "these are not the results of the inputs that were timed",
        "results are kept, and only a first call computes",
        "exit status 7",
        "has no parameter that --map logits=x names",
        "the function has no attribute `gradient`",
        "only what follows the spec's own conventions is timed",
        "--benchmark-only",
    ):
        assert said in done.text, said
    assert "Traceback" not in done.text and "benchmarked.py" not in done.text
    # Of what failed there is no time, neither in the file nor in the table.
    counted = {"TestMine.right", "dying"}
    keys = {f"speed/attention/float32@numpy.test_mine.{name}#forward" for name in counted}
    assert set(saved(tmp_path / "times.json")) == {*keys, "test_of_my_own"}
    assert f"benchmark 'speed/attention/float32#forward': {len(counted)} tests" in done.text


def test_a_saved_session_is_compared_with_the_next(timed: Pytest) -> None:
    # Of the first, pytest-benchmark says that there is no repository to name it by.
    words = suite(*QUICK, "-W", "default", "-k", "rows and forward", "--benchmark-autosave")
    assert timed(*words).status == 0
    again = timed(*words, "--benchmark-compare", "--benchmark-compare-fail=median:100000%")
    assert again.status == 0 and "(NOW)" in again.text and "(0001_unversi)" in again.text, again.text


def test_several_processes_are_refused(timed: Pytest) -> None:
    pytest.importorskip("xdist")
    done = timed(*suite(*QUICK, "-n2"), plugins=(*BOTH, "xdist.plugin"))
    assert done.status == 4 and "automatically activated if xdist is on" in done.errors


def test_the_times_of_bench_are_read_by_pytest_benchmark_beside_those_of_pytest(timed: Pytest, tmp_path: Path) -> None:
    assert timed(*suite(*QUICK, "--benchmark-json=pytest.json")).status == 0
    main = ["-c", "from lossparity.cli import main; main()", "bench", "-b", "numpy", "--cases", "quick.yaml"]
    bench = [*main, "--rounds", "8", "--seconds", "0.1", "--json", "bench.json"]
    compare = ["-m", "pytest_benchmark", "compare", "bench.json", "pytest.json", "--columns=median,rounds,iterations"]
    alone = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    for words in (bench, compare):
        command = [sys.executable, *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
    found, theirs = saved(tmp_path / "bench.json"), saved(tmp_path / "pytest.json")
    assert set(found) == set(theirs)
    for name, one in found.items():
        assert f"{name} (bench)" in done.stdout and f"{name} (pytest)" in done.stdout
        assert (one["fullname"], one["group"], one["params"]) == tuple(
            theirs[name][key] for key in ("fullname", "group", "params")
        )
    assert done.stdout.count(": 2 tests") == len(found) == 4
