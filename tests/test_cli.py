"""The command line: exit statuses, one clear message for every mistake, and a parent that imports no framework."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossparity import __version__ as lossparity_version
from lossparity import doctor, record, registry
from lossparity.checking import Wanted, plan
from lossparity.cli import main
from lossparity.errors import UnavailableError, UsageError
from lossparity.registry import known_deviations, known_files, read_known, registered
from lossparity.suite import built_in, load
from lossparity.target import Target
from test_registry import distribution

TINY = ("--case", "worked-example/softmax", "--format", "float64")

SUITE = """\
suite: mine
about: A suite of my own.
cases:
  - id: a
    clause: S1
    operation: softmax
    formats: [float64]
    gradient: false
    logits: [[1, 2], [3, 4]]
"""

TARGETS = """
import numpy as np

def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

def unshifted(logits):
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)

def by_hand(logits, upstream):
    p = softmax(logits)
    return p * (upstream - (p * upstream).sum(axis=1, keepdims=True))

def whole(logits):
    return softmax(logits)

whole.gradient = by_hand
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a folder of its own to be in, with a suite and targets."""
    (tmp_path / "mine.yaml").write_text(SUITE)
    (tmp_path / "mine.py").write_text(TARGETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lossparity(*arguments: str) -> Result:
    """Run a command in this process; no exception but its exit may leave it."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def test_a_run_writes_the_record_and_the_page() -> None:
    result = lossparity("run", "-b", "numpy", *TINY)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "2 of 2 judged results pass" in result.stdout
    got = record.read(Path("lossparity-results/run.jsonl"))
    assert got.complete
    assert [r.check for r in got.results] == ["worked-example/softmax/float64@numpy"] * 2
    assert Path("lossparity-results/report.html").read_text().rstrip().endswith("</html>")


def test_formats_have_short_names_and_cases_may_be_the_users_own() -> None:
    assert lossparity("run", "-b", "numpy", "--cases", "mine.yaml", "--dtype", "fp64", "-o", "out").exit_code == 0
    assert [r.check for r in record.read(Path("out/run.jsonl")).results] == ["mine/a/float64@numpy"]


def test_shards_are_run_apart_and_merged() -> None:
    some = ("run", "-b", "numpy", "--case", "worked-example/s*", "--format", "float64")
    for number in (1, 2):
        result = lossparity(*some, "--shard", f"{number}/2", "-o", f"part-{number}")
        assert result.exit_code == 0
        assert f"shard {number} of 2: `lossparity merge` joins the records of all" in result.stdout
    parts = [f"part-{number}/run.jsonl" for number in (2, 1)]
    result = lossparity("merge", *parts, "-o", "new/merged.jsonl", "--page", "new/page.html")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lossparity(*some, "-o", "whole").exit_code == 0
    got, whole = (record.read(Path(name)) for name in ("new/merged.jsonl", "whole/run.jsonl"))
    assert sorted(one.key for one in got.results) == sorted(one.key for one in whole.results)
    assert f"{len(got.results)} of {len(got.results)} judged results pass" in result.stdout
    assert "page:   new/page.html" in result.stdout
    assert Path("new/page.html").read_text().rstrip().endswith("</html>")


def test_a_merge_without_all_shards_is_incomplete_and_3() -> None:
    lossparity("run", "-b", "numpy", "--case", "worked-example/s*", "--format", "float64", "--shard", "1/2", "-o", "a")
    result = lossparity("merge", "a/run.jsonl", "-o", "merged.jsonl")
    said = "lossparity: merged.jsonl: the record is incomplete: shard 2 of 2 is missing\n"
    assert (result.exit_code, result.stderr) == (3, said)
    result = lossparity("merge", "a/run.jsonl", "-o", "merged.jsonl", "--page", "page.html")
    assert (result.exit_code, result.stderr) == (3, said)
    assert "This record is incomplete: shard 2 of 2 is missing." in Path("page.html").read_text()


def test_versions_of_a_framework_are_merged_side_by_side_and_compared() -> None:
    lossparity("run", "-b", "numpy", *TINY)
    new = Path("lossparity-results/run.jsonl")
    text = new.read_text()
    (version,) = set(re.findall(r'"details":\{"numpy":"([^"]*)"', text))
    old = re.sub(r'"details":\{"numpy":"[^"]*"', '"details":{"numpy":"1.0"', text).replace('"pass"', '"fail"')
    Path("old.jsonl").write_text(old)
    result = lossparity("merge", "--versions", str(new), "old.jsonl", "-o", "both.jsonl", "--page", "both.html")
    assert (result.exit_code, result.stderr) == (1, "")
    assert {one.backend for one in record.read(Path("both.jsonl")).results} == {"numpy@1.0", f"numpy@{version}"}
    assert Path("both.html").read_text().index("numpy@1.0") < Path("both.html").read_text().index(f"numpy@{version}")
    result = lossparity("compare", "both.jsonl", "both.jsonl", "--map", f"numpy@1.0=numpy@{version}")
    assert (result.exit_code, f"numpy 1.0 → {version}" in result.stdout, "newly passing" in result.stdout) == (
        0,
        True,
        True,
    )
    result = lossparity("show", f"worked-example/softmax/float64@numpy@{version}")
    assert (result.exit_code, f"{version} is a version and no Python" in result.stderr) == (2, True)


@pytest.mark.parametrize("shard", ["0/4", "5/4", "x", ""])
def test_what_is_no_shard_is_refused_before_anything_starts(shard: str) -> None:
    result = lossparity("run", "-b", "numpy", "--shard", shard)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--shard {shard} is no part of a run\n  I/N, from 1/N to N/N: --shard 2/4" in result.stderr
    assert not Path("lossparity-results").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("one.jsonl", "-o", "./one.jsonl"), "one.jsonl is one of the records\n  choose another --output"),
        (
            ("one.jsonl", "-o", "m.jsonl", "--page", "one.jsonl"),
            "one.jsonl is one of the records\n  choose another --page",
        ),
        (("one.jsonl", "-o", "m.jsonl", "--page", "linked.jsonl"), "linked.jsonl is one of the records"),
        (("one.jsonl", "-o", "m.jsonl", "--page", "./m.jsonl"), "m.jsonl is the --output too\n  choose another --page"),
        (("one.jsonl", "none.jsonl", "-o", "m.jsonl"), "none.jsonl: the record cannot be read"),
        (("one.jsonl", "mine.yaml", "-o", "m.jsonl"), "mine.yaml:1: not a lossparity record"),
        (("one.jsonl", "changed.jsonl", "-o", "m.jsonl"), "worked-example/softmax/float64@numpy#value is"),
        (("one.jsonl", "other.jsonl", "-o", "m.jsonl"), "numpy is not the same in all records: numpy is"),
    ],
)
def test_what_cannot_be_merged_is_refused_and_nothing_is_written(arguments: tuple[str, ...], said: str) -> None:
    lossparity("run", "-b", "numpy", *TINY)
    text = Path("lossparity-results/run.jsonl").read_text()
    Path("one.jsonl").write_text(text)
    Path("linked.jsonl").hardlink_to("one.jsonl")
    Path("changed.jsonl").write_text(text.replace('"verdict":"pass"', '"verdict":"fail"'))
    Path("other.jsonl").write_text(re.sub(r'"details":{"numpy":"[^"]*"', '"details":{"numpy":"1.0"', text))
    result = lossparity("merge", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert not Path("m.jsonl").exists() and Path("one.jsonl").read_text() == text


def test_min_grade_raises_the_threshold() -> None:
    rounding = ("run", "-b", "numpy", "--case", "log-softmax/rounding", "--format", "float64")
    assert lossparity(*rounding).exit_code == 0
    result = lossparity(*rounding, "--min-grade", "exact")
    assert result.exit_code == 1
    assert "is below the threshold exact" in result.stdout


def test_nothing_judged_is_3() -> None:
    result = lossparity("run", "-b", "numpy.manual", "--case", "weights/weighted")
    assert result.exit_code == 3
    assert "0 of 0 judged results pass" in result.stdout
    assert "not offered" in result.stdout


def test_a_device_that_is_absent_is_3_and_the_others_are_recorded() -> None:
    result = lossparity("run", "-b", "numpy", "-b", "numpy:cuda", *TINY)
    assert result.exit_code == 3
    assert "not tested: numpy:cuda, 1 checks: NumPy has no device 'cuda'" in result.stdout
    got = record.read(Path("lossparity-results/run.jsonl"))
    assert got.complete
    assert {r.backend for r in got.results} == {"numpy"}


@pytest.fixture
def ghost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered backend whose framework is not here, in this process and in its children."""
    distribution(folder / "site", "ghost = ghost_backend:Ghost")
    monkeypatch.syspath_prepend(str(folder / "site"))
    monkeypatch.setenv("PYTHONPATH", str(folder / "site"))


@pytest.mark.usefixtures("ghost")
def test_a_framework_that_is_absent_is_3_and_the_others_are_recorded() -> None:
    result = lossparity("run", "-b", "numpy", "-b", "ghost", *TINY)
    assert result.exit_code == 3
    got = record.read(Path("lossparity-results/run.jsonl"))
    assert got.complete
    assert {r.backend for r in got.results} == {"numpy"}
    assert got.footer is not None
    assert [(n.what, n.checks) for n in got.footer.not_tested] == [("ghost", 1)]
    assert "No module named 'ghost_backend'" in got.footer.not_tested[0].reason
    assert [(e.name, e.available) for e in got.environments] == [("numpy", True), ("ghost", False)]


@pytest.mark.parametrize("fate", ["import os; os._exit(4)", "raise OSError('a library is missing')"])
def test_a_framework_that_is_here_and_does_not_start_is_3_by_glob_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    distribution(folder / "site", "broken = broken_backend:Broken")
    (folder / "site" / "broken.py").write_text("")
    (folder / "site" / "broken_backend.py").write_text(fate)
    monkeypatch.syspath_prepend(str(folder / "site"))
    monkeypatch.setenv("PYTHONPATH", str(folder / "site"))
    result = lossparity("run", "-b", "numpy", "-b", "brok*", *TINY)
    assert result.exit_code == 3
    assert "not tested: broken, 1 checks: " in result.stdout
    assert ("exit status 4" in result.stdout) or ("a library is missing" in result.stdout)
    assert "1 of 1" in result.stdout or "2 of 2" in result.stdout


@pytest.mark.usefixtures("ghost")
def test_a_glob_of_absent_frameworks_alone_is_3() -> None:
    for command in (("run", *TINY), ("show", "worked-example"), ("show", "mine/a", "--cases", "mine.yaml")):
        result = lossparity(*command, "-b", "gh*")
        assert result.exit_code == 3
        assert "none of these backends is installed" in result.stderr


@pytest.mark.usefixtures("ghost")
def test_list_names_what_is_not_installed() -> None:
    result = lossparity("list")
    assert result.exit_code == 0
    assert "  ghost  (not installed)" in result.stdout
    assert "  torch+compile" in result.stdout
    assert "  numpy+" not in result.stdout, "it has no compiler"
    assert "  worked-example: " in result.stdout
    assert lossparity("list", "--case", "mine", "--cases", "mine.yaml").stdout == "mine/a  [S1]  float64\n"


@pytest.mark.usefixtures("ghost")
def test_doctor_says_what_starts_and_how_to_get_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {name: entry for name, entry in registered().items() if name in ("numpy", "numpy.manual", "ghost")}
    monkeypatch.setattr(doctor, "registered", lambda: chosen)
    result = lossparity("doctor")
    assert result.exit_code == 0
    assert "numpy: ready" in result.stdout
    assert "  subnormals: gradual" in result.stdout
    assert "ghost: not installed; get it with: pip install ghost" in result.stdout


@pytest.mark.usefixtures("ghost")
def test_a_library_that_is_absent_is_named_and_its_framework_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registered()
    chosen = {"numpy": found["numpy"], "numpy.scipy": replace(found["numpy.scipy"], missing=("scipy",))}
    for module in (doctor, registry):
        monkeypatch.setattr(module, "registered", lambda: chosen)
    assert "  numpy\n  numpy.scipy  (scipy not installed)\n" in lossparity("list").stdout
    said = lossparity("doctor", "--no-probe").stdout
    assert "numpy: ready" in said and "numpy: not installed" not in said
    assert "numpy.scipy: not installed; get it with: pip install scipy" in said


def changed(old: str, new: str) -> str:
    assert SUITE.count(old) == 1
    return SUITE.replace(old, new)


BAD_SUITES = {
    "unknown key": (changed("clause:", "claus: S1\n    clause:"), "mine.yaml:5:5", "did you mean 'clause'?"),
    "wrong type": (changed("gradient: false", "gradient: maybe"), "mine.yaml:8:15", "true or false"),
    "unknown clause": (changed("clause: S1", "clause: S11"), "mine.yaml:5:13", "did you mean 'S1'?"),
    "unknown operation": (changed("softmax", "sofmax"), "mine.yaml:6:16", "did you mean 'softmax'?"),
    "unknown format": (changed("float64", "float46"), "mine.yaml:7:15", "did you mean 'float64'?"),
    "duplicate key": (SUITE + "    clause: S2\n", "mine.yaml:10:5", "given twice"),
    "duplicate id": (SUITE + SUITE[SUITE.index("  - id") :], "mine.yaml:10:", "given twice"),
    "ragged array": (changed("[3, 4]", "[3, 4, 5]"), "mine.yaml:9:22", "logits is ragged"),
    "target of another shape": (
        changed("softmax", "cross_entropy") + "    target: [0, 1, 1]\n",
        "mine.yaml:10:13",
        "target has shape [3]; for logits of shape [2, 2] it is [2]",
    ),
    "broken YAML": (changed("[[1, 2], [3, 4]]", "[[1, 2]"), "mine.yaml:", "not YAML"),
    "not UTF-8": (SUITE.replace("my own", "m\udcff own"), "mine.yaml:2:", "UTF-8"),
}


@pytest.mark.parametrize("name", BAD_SUITES)
def test_a_bad_case_file_is_2_with_its_place(folder: Path, name: str) -> None:
    text, place, said = BAD_SUITES[name]
    (folder / "mine.yaml").write_bytes(text.encode(errors="surrogateescape"))
    for command in ("run", "list", "show"):
        result = lossparity(command, *(["mine/a"] if command == "show" else []), "--cases", "mine.yaml")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"lossparity: {place}")
        assert said in result.stderr
    assert not Path("lossparity-results").exists()


BAD_USE: dict[str, tuple[Sequence[str], str, str]] = {
    "format": (["run", "--format", "foo"], "unknown format 'foo'", "known formats: "),
    "format misspelt": (["run", "--format", "bfloat61"], "unknown format 'bfloat61'", "did you mean 'bfloat16'?"),
    "backend": (["run", "-b", "trch"], "unknown backend 'trch'", "did you mean 'torch'?"),
    "backend of show": (["show", "mine/a", "--cases", "mine.yaml", "-b", "trch"], "unknown backend", "'torch'?"),
    "mode": (["run", "-b", "torch+jit"], "torch has no mode +jit", "did you mean 'torch+compile'?"),
    "command": (["rn"], "no command 'rn'", "did you mean 'run'?"),
    "case": (["run", "--case", "nothing/**"], "no case matches 'nothing/**'", "known suites: "),
    "case misspelt": (["run", "--case", "worked-exmple/*"], "no case matches", "did you mean 'worked-example"),
    "no case in the format": (
        ["run", "--cases", "mine.yaml", "--format", "fp16"],
        "no case is left to run",
        "in float16",
    ),
    "missing case file": (["run", "--cases", "none.yaml"], "none.yaml: the case file cannot be read: No such", ""),
    "empty folder": (["run", "--cases", "empty"], "empty: no case file in this folder", "*.yaml"),
    "output below a file": (["run", *TINY, "-b", "numpy", "-o", "mine.py/out"], "cannot be written: Not a", "choose"),
    "time limit": (["run", "--timeout", "0"], "--timeout 0 is no time limit", "above 0"),
    "negative time limit": (["check", "mine.py:softmax", "--timeout", "-5"], "--timeout -5 is no", "above 0"),
    "no time limit": (["run", "--timeout", "inf"], "--timeout inf is no time limit", "86400"),
    "time limit that is none": (["run", "--timeout", "nan"], "--timeout nan is no time limit", ""),
    "check id": (["show", "worked-example/softmax@numpy"], "is no check id", "case/format@backend"),
    "show nothing": (["show", "nothing"], "no case matches 'nothing'", "known suites: "),
    "report of nothing": (["report", "none.jsonl"], "none.jsonl: the record cannot be read: No such file", ""),
    "report of no record": (["report", "mine.yaml"], "mine.yaml:1: not a lossparity record", "run.jsonl"),
    "report into a file": (["report", "good.jsonl", "-o", "mine.py/x.html"], "the page cannot be written", "choose"),
    "operation": (["check", "mine.py:f", "--operation", "sofmax"], "unknown operation", "did you mean 'softmax'?"),
    "framework": (["check", "mine.py:f", "--framework", "pytorch"], "unknown framework", "did you mean 'torch'?"),
    "no case of the operation": (
        ["check", "mine.py:f", "--operation", "nll_loss", "--cases", "mine.yaml"],
        "no selected case is about nll_loss",
        "leave out --case",
    ),
    "target": (
        ["check", "softmax", *TINY, "--operation", "softmax"],
        "is not package.module:name",
        "path/file.py:name",
    ),
    "missing target file": (["check", "none.py:f", *TINY, "--operation", "softmax"], "no such file: none.py", ""),
    "missing target name": (["check", "mine.py:f", *TINY, "--operation", "softmax"], "mine.py has no 'f'", ""),
    "record below a file": (
        ["check", "mine.py:softmax", *TINY, "--operation", "softmax", "--record", "mine.py/run.jsonl"],
        "cannot be written: its folder is a file",
        "choose",
    ),
}


@pytest.mark.parametrize("name", BAD_USE)
def test_wrong_use_is_2_with_one_message_and_what_to_do(folder: Path, name: str) -> None:
    (folder / "empty").mkdir()
    whole_record(folder / "good.jsonl")
    arguments, message, hint = BAD_USE[name]
    result = lossparity(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("lossparity: ")
    assert len(result.stderr.splitlines()) <= 2, "the message, and what to do next"
    assert message in result.stderr
    assert hint in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "-o", "mine.py"], "'mine.py' is a file"),
        (["run", "--bakend", "torch"], "No such option"),
        (["run", "--timeout", "soon"], "'soon' is not a valid float"),
        (["check"], "Missing argument 'TARGET'"),
        (["report"], "Missing argument 'RECORD'"),
    ],
)
def test_wrong_options_are_2_with_the_usage(arguments: list[str], said: str) -> None:
    result = lossparity(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("Usage: ")


def softmax_check(name: str, *more: str) -> Result:
    return lossparity("check", f"mine.py:{name}", "--operation", "softmax", *more)


def test_a_right_function_conforms() -> None:
    result = softmax_check("whole", "--case", "worked-example", "--case", "softmax/ten-thousand", "--report", "p.html")
    assert result.exit_code == 0, result.stdout
    assert "target: 16 of 16 pass" in result.stdout
    assert "numpy.target" in Path("p.html").read_text()


def test_a_wrong_function_fails_with_the_simplest_input_first_and_a_way_to_repeat_it() -> None:
    cases = ("--case", "softmax/ten-thousand", "--case", "softmax/one-class")
    result = softmax_check("unshifted", *cases, "--format", "float32", "--record", "r.jsonl")
    assert result.exit_code == 1
    failing = [line.strip() for line in result.stdout.splitlines() if "FAIL " in line]
    simplest = "softmax/one-class"
    assert result.stdout.startswith("1. not-shifted, 2 results\n")
    assert failing == [f"FAIL {simplest}/float32@numpy.target#value"]
    assert f"--case {simplest} --format float32" in result.stdout
    assert record.read(Path("r.jsonl")).complete


def test_coverage_below_80_percent_does_not_conform() -> None:
    result = softmax_check("softmax", *TINY)
    assert result.exit_code == 1
    assert "1 of 1 judged results pass" in result.stdout
    assert "only 1 of 2 must-results could be judged: below 80%" in result.stdout
    assert "no attribute `gradient`" in " ".join(result.stdout.split())


def test_a_function_for_an_absent_device_is_3() -> None:
    result = softmax_check("softmax", *TINY, "--device", "cuda")
    assert result.exit_code == 3
    assert result.stderr == "lossparity: numpy.target:cuda cannot be run: NumPy has no device 'cuda'\n"


@pytest.mark.usefixtures("ghost")
def test_a_function_for_an_absent_framework_is_3() -> None:
    result = softmax_check("softmax", *TINY, "--framework", "ghost")
    assert result.exit_code == 3
    assert "ghost is not installed" in result.stderr


def test_no_known_deviation_excuses_a_users_function() -> None:
    cases = [case for suite in load([built_in()]) for case in suite.cases]
    for framework in ("torch", "numpy"):
        try:
            planned = plan(Wanted(Target("m:f", "cross_entropy"), cases, framework))
        except UnavailableError:
            continue
        assert planned.known == ()


def test_show_repeats_a_check_as_a_failure_prints_it() -> None:
    for name in ("mine/a/float64@numpy", "mine/a/float64@numpy#value"):
        result = lossparity("show", name, "--cases", "mine.yaml")
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0] == "mine/a/float64   (mine.yaml:4)"
        assert "numpy" in lines
        (at,) = (n for n, line in enumerate(lines) if line.startswith("  value: pass"))
        assert re.fullmatch(
            r"    loose bound \S+ = (\w+ \S+ \+ )+\w+ \S+ \(constants: exp 2 ulp, measured\)", lines[at + 1]
        )
        assert lines[at + 2].startswith("    got [[")


@pytest.mark.parametrize("tail", ["", "#value"])
def test_show_repeats_a_check_of_another_environment(folder: Path, tail: str) -> None:
    there = folder / "a@b c#value" / "python#d"
    there.parent.mkdir()
    there.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    there.chmod(0o755)
    assert lossparity("run", "-b", f"numpy@{there}", "--cases", "mine.yaml").exit_code == 0
    (check,) = {r.check for r in record.read(Path("lossparity-results/run.jsonl")).results}
    result = lossparity("show", check + tail, "--cases", "mine.yaml")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert f"numpy@{there}" in lines
    assert any(line.startswith("  value: pass") for line in lines)
    script = lossparity("show", check + tail, "--cases", "mine.yaml", "--script")
    assert script.exit_code == 0
    assert f"# {check}" in script.stdout.splitlines()
    Path("script.py").write_text(script.stdout)
    done = subprocess.run([there, "script.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_compiled_mode_gets_the_tagged_cases_and_one_that_is_none_is_refused() -> None:
    result = lossparity("run", "-b", "numpy+jit", *TINY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "numpy has no compiler" in result.stderr
    if importlib.util.find_spec("jax") is None:
        return
    cases = ("--case", "cross-entropy/certain/**", "--case", "special-values/masked-log", "--format", "float32")
    result = lossparity("run", "-b", "jax*+*", *cases)
    got = record.read(Path("lossparity-results/run.jsonl"))
    assert {"jax+jit", "jax.manual+jit"} <= {r.backend for r in got.results}
    assert all("XLA" in e.details["compiler"] for e in got.environments)
    assert re.search(r"not tested: jax\+jit, \d+ checks: compiled modes run only the cases that are", result.stdout)


def test_show_of_a_backend_that_is_absent_says_why() -> None:
    result = lossparity("show", "mine/a/float64@numpy:cuda", "--cases", "mine.yaml")
    assert result.exit_code == 0
    assert "numpy:cuda: NumPy has no device 'cuda'" in result.stdout


def test_show_of_the_worked_example_sets_printed_by_hand_library_and_exact_side_by_side() -> None:
    result = lossparity("show", "worked-example", "-b", "numpy")
    assert result.exit_code == 0
    assert re.search(r"printed +by hand +library +exact", result.stdout)
    row = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["1.3669"])
    assert [round(float(figure), 4) for figure in row.split()] == [1.3669] * 4
    assert "the exact sum is" in " ".join(result.stdout.split())


def whole_record(path: Path) -> bytes:
    from record_factory import passing

    found = passing()
    assert found.footer is not None
    with record.Writer(path) as writer:
        writer.append(found.header, *found.environments, *found.cases, *found.results, found.footer)
    return path.read_bytes()


def test_a_whole_record_is_reported_without_a_word_on_standard_error() -> None:
    whole_record(Path("run.jsonl"))
    result = lossparity("report", "run.jsonl")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "page: report.html\n", "")


@pytest.mark.parametrize("cut", ["in a line", "between lines"])
def test_a_record_that_is_cut_off_is_reported_as_incomplete(cut: str) -> None:
    text = whole_record(Path("run.jsonl"))
    end = text.rindex(b'{"kind":"footer"')
    Path("run.jsonl").write_bytes(text[: end - 40 if cut == "in a line" else end])
    result = lossparity("report", "run.jsonl")
    assert result.exit_code == 0
    assert result.stderr.startswith("lossparity: run.jsonl: the record is incomplete: ")
    assert len(result.stderr.splitlines()) == 1
    assert "incomplete" in Path("report.html").read_text().lower()


@pytest.mark.parametrize(
    ("name", "what", "file"),
    [("junit", "junit", "junit.xml"), ("badge", "badge", "badge.json"), ("github", "summary", "summary.md")],
)
def test_a_record_is_written_for_machines_beside_it(
    name: str, what: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    whole_record(Path("run.jsonl"))
    result = lossparity("report", "run.jsonl", "--format", name)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{what}: {file}\n", "")
    assert Path(file).stat().st_size > 80
    assert lossparity("report", "run.jsonl", "--format", name, "-o", "new/it").exit_code == 0
    assert Path("new/it").read_bytes() == Path(file).read_bytes()


def test_in_github_actions_a_report_goes_to_the_steps_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    text = whole_record(Path("run.jsonl"))
    Path("cut.jsonl").write_bytes(text[: text.rindex(b'{"kind":"footer"')])
    Path("step.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(Path("step.md").absolute()))
    result = lossparity("report", "cut.jsonl", "--format", "github")
    assert result.stdout.startswith("::error title=the run is incomplete::")
    assert "the record is incomplete" in result.stderr
    assert Path("step.md").read_text().startswith("before\n## lossparity: This record is incomplete")


def test_a_run_writes_what_ci_systems_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(Path("step.md").absolute()))
    words = ("--junit", "ci/junit.xml", "--badge", "ci/badge.json", "--github")
    assert lossparity("run", "-b", "numpy", *TINY, *words).exit_code == 0
    assert 'tests="3" failures="0" errors="0"' in Path("ci/junit.xml").read_text()
    assert json.loads(Path("ci/badge.json").read_text())["message"] == "2 of 2"
    assert Path("step.md").read_text().startswith("## lossparity: No failure: 2 of 2 results pass.")


def test_without_github_actions_there_is_no_step_to_summarise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    result = lossparity("run", "-b", "numpy", *TINY, "--github")
    assert result.exit_code == 2
    assert "GITHUB_STEP_SUMMARY is not set" in result.stderr
    assert not Path("lossparity-results").exists(), "said before anything is run"


def test_a_record_of_a_newer_format_is_refused() -> None:
    text = whole_record(Path("run.jsonl"))
    Path("run.jsonl").write_bytes(text.replace(b'"format_version":1', b'"format_version":2'))
    result = lossparity("report", "run.jsonl")
    assert result.exit_code == 2
    assert "format version 2" in result.stderr
    assert not Path("report.html").exists()


LOADED = """
import sys
from lossparity.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    status = left.code
names = {name.partition(".")[0] for name in sys.modules}
print(sorted(names & {"numpy", "torch", "tensorflow", "jax", "lossparity_backends"}), file=sys.stderr)
sys.exit(status)
"""


def parent(*arguments: str) -> tuple[int, list[str]]:
    """Run a command in a process of its own; return its exit status and which frameworks and adapters it imported."""
    done = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stderr.splitlines()[-1].replace("'", '"'))


def test_the_version_says_which_python_it_runs_on() -> None:
    result = lossparity("--version")
    assert result.stdout.split()[1:4] == [f"{lossparity_version},", "Python", platform.python_version()]
    assert result.stdout.endswith(f"({sys.executable})\n")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "-h"], ["--version"]])
def test_help_imports_no_numpy(arguments: list[str]) -> None:
    assert parent(*arguments) == (0, [])


def test_the_parent_of_a_run_imports_no_framework_and_no_adapter() -> None:
    backends = ["numpy", *(["torch"] if importlib.util.find_spec("torch") else [])]
    assert parent("run", *(a for b in backends for a in ("-b", b)), *TINY) == (0, ["numpy"])
    got = record.read(Path("lossparity-results/run.jsonl"))
    assert {r.backend for r in got.results if r.verdict == "pass"} == set(backends)


def test_the_parent_of_the_other_commands_imports_no_framework_and_no_adapter() -> None:
    assert parent("list") == (0, ["numpy"])
    assert parent("show", "mine/a", "--cases", "mine.yaml", "-b", "numpy") == (0, ["numpy"])
    assert parent("check", "mine.py:whole", "--operation", "softmax", *TINY) == (0, ["numpy"])


HANGING = """
import os, time
from pathlib import Path
from lossparity_backends.on_numpy import Numpy

class Stranger(Numpy):
    name = "math"

    def vjp(self, function, first, rest, keywords):
        if first.flat[0] == 3:
            Path("pid").write_text(str(os.getpid()))
            os.rename("pid", "hanging")
            time.sleep(1000)
        return super().vjp(function, first, rest, keywords)
"""
# A shell that starts pytest in the background has it, and its children, ignore the signal.
HEARING = "import signal; signal.signal(2, signal.default_int_handler); from lossparity.cli import main; main()"


@pytest.mark.parametrize("whom", ["the parent", "all, as a terminal does"])
def test_an_interrupted_run_leaves_a_readable_record_and_no_worker(folder: Path, whom: str) -> None:
    distribution(folder / "site", "math = stranger:Stranger")
    (folder / "site" / "stranger.py").write_text(HANGING)
    (folder / "mine.yaml").write_text(
        SUITE + SUITE[SUITE.index("  - id") :].replace("id: a", "id: b").replace("1,", "3,")
    )
    command = ["run", "-b", "numpy", "-b", "math", "--cases", "mine.yaml", "--timeout", "300"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    process = subprocess.Popen(
        [sys.executable, "-c", HEARING, *command],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    written = Path("lossparity-results/run.jsonl")
    # Questions are put ahead of the judging: the second one hangs perhaps before the first is judged.
    while process.poll() is None and not (
        Path("hanging").exists() and written.exists() and written.read_text().count('"kind":"result"') >= 2
    ):
        time.sleep(0.01)
    if whom == "the parent":
        process.send_signal(signal.SIGINT)
    else:
        os.killpg(process.pid, signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == ""
    assert complaint == (
        "lossparity: interrupted; what was judged until now is in lossparity-results/run.jsonl\n"
        "  `lossparity report lossparity-results/run.jsonl` makes its page\n"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("hanging").read_text()), 0)
    got = record.read(Path("lossparity-results/run.jsonl"))
    assert not got.complete
    assert got.broken == ""
    assert [r.check for r in got.results[:2]] == ["mine/a/float64@numpy", "mine/a/float64@math"]
    assert {r.verdict for r in got.results} == {"pass"}, "the check that was cut off is no crash"


def recorded(**changes: str) -> Path:
    """Run a chain by hand on one case that it gets wrong; `changes` are made in the record's text."""
    arguments = ("run", "-b", "numpy.manual", "--case", "half-precision/exp-overflow", "--no-cache")
    lossparity(*arguments)
    path = Path("lossparity-results/run.jsonl")
    text = path.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_known_lists_what_is_declared_with_the_number_of_its_checks() -> None:
    got = lossparity("known")
    assert got.exit_code == 0, got.output
    lines = [line.split("  ") for line in got.output.splitlines()]
    declared = known_deviations(known_files())
    assert [line[0] for line in lines] == [d.id for d in declared] and len(declared) > 20
    assert all(int(line[4].split()[0]) > 0 for line in lines)


def test_known_fails_where_a_declaration_matches_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = dict(known_files())
    broken = tmp_path / "numpy.yaml"
    assert files["numpy"] is not None
    broken.write_text(files["numpy"].read_text().replace("half-precision/exp-overflow*", "half-precision/exp-ovrflow*"))
    monkeypatch.setattr("lossparity.registry.known_files", lambda: {"numpy": broken})
    assert lossparity("known").exit_code == 0, "the entry has other patterns"
    broken.write_text(
        "framework: numpy\ndeviations:\n"
        '  - {id: numpy/a/nan, kind: nan, versions: ">=1", reason: So it is, checks: ["half-precision/ex-over*"]}\n'
    )
    got = lossparity("known")
    assert (got.exit_code, got.stderr) == (
        1,
        "lossparity: numpy/a/nan matches no check: a mistake in the declaration\n",
    )


def test_known_update_of_a_record_in_which_all_is_as_declared_proposes_nothing(folder: Path) -> None:
    got = lossparity("known", "--update", str(recorded()), "--write", "-o", str(folder / "out"))
    assert got.exit_code == 0, got.output
    said = re.fullmatch(r"numpy\.yaml: nothing to change, \d+ patterns\n  written: (.+)\n", got.output)
    own = known_files()["numpy"]
    assert said and own is not None and Path(said[1]).read_bytes() == own.read_bytes()


def test_known_update_prints_a_diff_and_writes_only_when_told(folder: Path) -> None:
    own = known_files()["numpy"]
    assert own is not None
    before = own.read_bytes()
    # What was NaN comes out as inf.
    path = recorded(**{'"cause":"nan"': '"cause":"inf"', '"verdict":"known"': '"verdict":"fail"'})
    got = lossparity("known", "--update", str(path))
    assert got.exit_code == 0, got.output
    assert re.search(r'^-      - "half-precision/exp-overflow.*"$', got.output, flags=re.MULTILINE)
    assert "+    reason: >-\n+      TODO: say why." in got.output
    assert "  new, without a reason yet: numpy.manual/by-hand-nan-nan/inf\n" in got.output
    assert own.read_bytes() == before
    lossparity("known", "--update", str(path), "--write", "-o", str(folder / "out"))
    assert own.read_bytes() == before
    with pytest.raises(UsageError, match="no reason is given yet"):
        read_known(folder / "out" / "numpy.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--write",), "nothing would be written"),
        (("--update", "cut.jsonl", "-o", "out"), "nothing would be written"),
        (("--update", "none.jsonl"), "none.jsonl: the record cannot be read: No such file or directory"),
        (("--update", "mine.yaml"), "not a lossparity record"),
        (("--update", "cut.jsonl"), "the record is incomplete"),
        (("--update", "ghost.jsonl"), "nobody here registers the backend 'ghost.manual'"),
    ],
)
def test_known_refuses_what_it_cannot_use(arguments: tuple[str, ...], said: str) -> None:
    text = recorded().read_text()
    Path("cut.jsonl").write_text("\n".join(text.splitlines()[:-1]))
    Path("ghost.jsonl").write_text(text.replace("numpy.manual", "ghost.manual"))
    got = lossparity("known", *arguments)
    assert (got.exit_code, got.stdout) == (2, "")
    assert said in got.stderr
