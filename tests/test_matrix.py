"""A matrix: cells from a strict file, environments built once, a record a cell, one page; what is finished stays."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossparity.cli import main
from lossparity.errors import UnavailableError, UsageError
from lossparity.matrix import environments
from lossparity.matrix.cells import Cell, read
from lossparity.matrix.commands import Commands
from lossparity.record import read as record
from test_endings import HEARING, TIMED, suite, until
from test_faults import registered, vanished
from test_registry import distribution

HEAD = "matrix: mine\nabout: It.\nenvironments:\n"
TINY = ("--case", "worked-example/softmax", "--format", "float64")


def written(folder: Path, *entries: str) -> Path:
    path = folder / "matrix.yaml"
    path.write_text(HEAD + "".join(f"  - {{{entry}}}\n" for entry in entries))
    return path


def lossparity(*words: str) -> Result:
    result = CliRunner().invoke(main, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


def test_an_entry_is_multiplied_out_in_the_order_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "framework: jax, versions: ['0.4.30', '0.7.2'], with: [scipy], threads: [1, 2]",
        "framework: torch, versions: ['2.13.0'], device: [cpu, cuda], backends: [torch, torch+*]",
        "framework: numpy, versions: ['2.0.2'], python: ['3.9', '3.12'], package: numpy-other, with: [SciPy>=1.14]",
    )
    cells = read(path).cells
    assert [cell.name for cell in cells] == [
        *("jax@0.4.30,threads-1", "jax@0.4.30,threads-2", "jax@0.7.2,threads-1", "jax@0.7.2,threads-2"),
        *("torch@2.13.0", "torch@2.13.0,cuda", "numpy@2.0.2,python-3.9", "numpy@2.0.2,python-3.12"),
    ]
    assert cells[0].requirements == ("jax==0.4.30", "scipy")
    assert cells[0].backends == ("jax", "jax.manual"), "nothing that needs more than what is installed"
    assert cells[5].backends == ("torch", "torch+*")
    assert cells[6].requirements == ("numpy-other==2.0.2", "SciPy>=1.14")
    assert cells[6].backends == ("numpy", "numpy.manual", "numpy.scipy")
    assert cells[0].environment == cells[1].environment != cells[2].environment
    assert cells[6].environment != cells[7].environment
    assert len({cell.digest for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("framework: jaxx, versions: ['1']", "unknown framework 'jaxx'"),
        ("framework: jax", "an environment lacks 'versions'"),
        ("framework: jax, versions: []", "versions is empty"),
        ("framework: jax, versions: ['1'], wiht: [scipy]", "an environment has no key 'wiht'"),
        ("framework: jax, versions: ['../../x']", "a version must be of letters"),
        ("framework: jax, versions: ['--index-url=x']", "a version must be of letters"),
        ("framework: jax, versions: ['1'], package: -e", "package must be of letters"),
        ("framework: jax, versions: ['1'], with: ['x @ https://evil/x.whl']", "is an address"),
        ("framework: jax, versions: ['1'], with: ['--pre']", "is no requirement"),
        ("framework: jax, versions: ['1'], with: ['/tmp/x']", "is no requirement"),
        ("framework: jax, versions: ['1'], python: [/bin/sh]", "python must be a version"),
        ("framework: jax, versions: ['1'], device: ['cpu/..']", "a device must be of letters"),
        ("framework: jax, versions: ['1'], threads: [0]", "threads must be between 1 and 1024"),
        ("framework: jax, versions: ['1'], backends: [torch]", "'torch' is no backend of jax"),
        ("framework: jax, versions: ['1'], backends: ['jax@/bin/sh']", "is no backend of jax"),
        ("framework: jax, versions: ['1', '1']", "the cell jax@1 is there twice"),
        (f"framework: jax, versions: {json.dumps([str(n) for n in range(300)])}", "300 cells; 256 are the most"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_with_its_place(tmp_path: Path, entry: str, said: str) -> None:
    path = written(tmp_path, entry)
    with pytest.raises(UsageError) as caught:
        read(path)
    assert said in caught.value.message
    assert caught.value.where.startswith(f"{path}:")


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let environments be built in no time, of this Python; return the names of the cells they were built for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path / "cache"))
    names: list[str] = []

    def make(command: list[str], cell: Cell, _commands: Commands) -> None:
        if "venv" not in command:
            return
        names.append(cell.name)
        if cell.version == "0.0.1":
            raise UnavailableError(f"{cell.name} cannot be installed: ERROR: no matching distribution")
        program = Path(command[-1]) / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nRELEASE={cell.version} exec {sys.executable} "$@"\n')
        program.chmod(0o755)

    monkeypatch.setattr(environments, "_run", make)
    return names


NUMPY = f"framework: numpy, versions: ['{np.__version__}'], backends: [numpy], threads: [1, 2]"


def test_one_command_makes_a_record_a_cell_one_of_all_and_the_page(tmp_path: Path, built: list[str]) -> None:
    path = written(tmp_path, NUMPY, "framework: numpy, versions: ['0.0.1'], backends: [numpy]")
    result = lossparity("matrix", "run", str(path), *TINY, "-o", "out")
    assert result.exit_code == 3, "one is unavailable"
    names = [f"numpy@{np.__version__},threads-1", f"numpy@{np.__version__},threads-2", "numpy@0.0.1"]
    assert built == [names[0], names[2]], "two cells share an environment"
    assert "3 of 3: numpy@0.0.1: unavailable: numpy@0.0.1 cannot be installed: ERROR" in result.stderr
    merged = record(Path("out/matrix.jsonl"))
    assert merged.complete
    assert {one.backend for one in merged.results} == set(names[:2])
    assert {one.verdict for one in merged.results} == {"pass"}
    assert merged.footer is not None
    (left,) = merged.footer.not_tested
    assert (left.what, left.checks) == (names[2], 1)
    assert [one.name for one in merged.environments if not one.available] == [names[2]]
    for name in names:
        assert record(Path("out/cells") / name / "run.jsonl").complete
    assert names[1] in Path("out/matrix.html").read_text()


def test_what_was_finished_is_not_run_again_unless_something_changed(tmp_path: Path, built: list[str]) -> None:
    path = written(tmp_path, NUMPY)
    words = ("matrix", "run", str(path), "-o", "out")
    assert lossparity(*words, *TINY).exit_code == 0
    first = Path("out/matrix.jsonl").read_text().splitlines()[1:-1]
    again = lossparity(*words, *TINY)
    assert again.stderr.count("finished before") == 2
    assert Path("out/matrix.jsonl").read_text().splitlines()[1:-1] == first
    dry = lossparity(*words, *TINY, "--dry-run").stdout
    assert dry.count(": finished ") == 2
    assert "0 of 2 cells to run; 0 environments to build" in dry
    other = lossparity(*words, "--case", "worked-example/softmax", "--format", "float32")
    assert "finished before" not in other.stderr
    (tmp_path / "out/cells" / f"numpy@{np.__version__},threads-2" / "run.jsonl").write_text("")
    assert lossparity(*words, "--case", "worked-example/softmax", "--format", "float32").stderr.count("finished") == 1
    assert len(built) == 1


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(tmp_path: Path, built: list[str]) -> None:
    said = lossparity("matrix", "run", str(written(tmp_path, NUMPY)), "--dry-run", "-o", "out").stdout
    assert f"numpy@{np.__version__},threads-1: to build and run  (numpy=={np.__version__})" in said
    assert "2 of 2 cells to run; 1 environments to build, by " in said
    assert built == []
    assert not Path("out").exists()


def test_environments_that_nobody_used_for_long_are_removed(tmp_path: Path, built: list[str]) -> None:
    lossparity("matrix", "run", str(written(tmp_path, NUMPY)), *TINY, "-o", "out")
    (one,) = environments.kept()
    assert "kept" in lossparity("matrix", "prune").stdout
    assert "would be removed" in lossparity("matrix", "prune", "--days", "0", "--dry-run").stdout
    os.utime(one.folder / "lossparity.json", (1e9, 1e9))
    assert ": removed" in lossparity("matrix", "prune").stdout
    assert not one.folder.exists()
    assert environments.kept() == []
    assert len(built) == 1


def test_half_an_environment_is_built_anew(tmp_path: Path, built: list[str]) -> None:
    (cell,) = read(written(tmp_path, NUMPY.replace("[1, 2]", "[1]"))).cells
    one, new = environments.build(cell, Commands())
    assert new
    assert environments.build(cell, Commands())[1] is False
    (one.folder / "lossparity.json").unlink()
    assert environments.built(cell) is None
    assert environments.build(cell, Commands())[1] is True
    assert len(built) == 2


def test_an_interrupted_matrix_ends_what_is_under_way_and_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: list[str]
) -> None:
    started = registered(tmp_path, monkeypatch)
    entries = (NUMPY.replace("[1, 2]", "[1]"), "framework: math, versions: ['1.0'], backends: [math]")
    path = written(tmp_path, *entries)
    for cell in read(path).cells:
        environments.build(cell, Commands())
    mine = tmp_path / "mine.yaml"
    mine.write_text(suite("hangs"))
    command = [sys.executable, "-c", HEARING, "matrix", "run", str(path), "--cases", str(mine), "--timeout", "300"]
    process = subprocess.Popen([*command, "-o", "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until(process, lambda: bool(list(started.iterdir())))
        process.terminate()
        _, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    assert f"1 of 2: numpy@{np.__version__},threads-1: environment was there" in complaint
    assert "interrupted by SIGTERM; what was judged until now is in out/cells" in complaint
    assert vanished(started)
    assert record(Path("out/cells") / f"numpy@{np.__version__},threads-1" / "run.jsonl").complete
    assert len(built) == 2


def test_a_strangers_framework_may_be_in_a_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "math = one_stranger:Stranger")
    monkeypatch.syspath_prepend(str(tmp_path))
    (cell,) = read(written(tmp_path, "framework: math, versions: ['1.0']")).cells
    assert cell.requirements == ("math==1.0",)


def test_pip_builds_an_environment_from_where_it_was_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path / "wheels")]
    done = subprocess.run([*command, f"numpy=={np.__version__}"], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"NumPy cannot be fetched: {done.stderr}"
        pytest.fail(reason) if "LOSSPARITY_REQUIRE" in os.environ else pytest.skip(reason)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert environments.installer() == "pip", "uv does not read these"
    path = written(tmp_path, NUMPY.replace("[1, 2]", "[1]"), "framework: numpy, versions: ['1.0.0'], backends: [numpy]")
    result = lossparity("matrix", "run", str(path), *TINY, "-o", "out", "-j", "2")
    assert result.exit_code == 3
    merged = record(Path("out/matrix.jsonl"))
    assert [one.verdict for one in merged.results] == ["pass", "pass"]
    (lost,) = (one for one in merged.environments if not one.available)
    assert "No matching distribution found for numpy==1.0.0" in lost.reason
    (there,) = environments.kept()
    assert there.size > 10**7


def test_each_job_of_a_workflow_runs_its_cell_and_their_records_are_merged(tmp_path: Path, built: list[str]) -> None:
    path = str(written(tmp_path, NUMPY))
    said = lossparity("matrix", "run", path, "--executor", "github")
    jobs = json.loads(said.stdout)["include"]
    assert [job["cell"] for job in jobs] == [f"numpy@{np.__version__},threads-{n}" for n in (1, 2)]
    assert "lossparity matrix merge" in said.stderr
    assert built == []
    nothing = lossparity("matrix", "merge", path, "-o", "out")
    assert nothing.exit_code == 3
    assert "no cell of the matrix has left a record" in nothing.stderr
    for number, job in enumerate(jobs):
        assert lossparity("matrix", "run", path, *TINY, "--cell", job["cell"], "-o", "out").exit_code == 0
        merged = lossparity("matrix", "merge", path, "-o", "out")
        assert merged.exit_code == (0 if number else 3)
        assert ("the cell has left no record" in merged.stdout) == (number == 0)
    whole = lossparity("matrix", "run", path, *TINY, "-o", "whole")
    assert whole.exit_code == 0
    one, other = (record(Path(folder) / "matrix.jsonl") for folder in ("out", "whole"))
    assert one.results == other.results
    assert one.cases == other.cases
    assert "no cell 'numpy@1'" in lossparity("matrix", "run", path, "--cell", "numpy@1").stderr


def releases(folder: Path, patch: pytest.MonkeyPatch, *versions: str) -> None:
    """Let pip find so many releases of `math`, and no package of anybody else."""
    (folder / "wheels").mkdir()
    for version in versions:
        (folder / "wheels" / f"math-{version}-py3-none-any.whl").touch()
    patch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
    patch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def releasing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: list[str]) -> list[str]:
    """Release a framework whose softmax is wrong from 1.10 on, and of which 1.3 cannot be imported."""
    distribution(tmp_path, "math = releases:Releases")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(__file__).parent)]))
    releases(tmp_path, monkeypatch, "0.9", *(f"1.{n}" for n in range(16)), "2.0", "2.1rc1")
    return built


TIMES = ("framework: math, versions: ['1.0', '1.9'], backends: [math]",)


def timing(folder: Path, *entries: str) -> Path:
    """Write a matrix that times the releases of `math`, and cases of which two are timed."""
    path = written(folder, *entries)
    path.write_text(path.read_text().replace("about: It.\n", "about: It.\ntimes: [math]\n"))
    judged = "  - id: judged\n    clause: S1\n    operation: softmax\n    formats: [float64]\n    logits: [[1, 2, 3]]\n"
    (folder / "mine.yaml").write_text(TIMED + judged)
    return path


def test_versions_are_timed_side_by_side_in_one_cell(
    tmp_path: Path, releasing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # beside which nothing is timed
    words = ("matrix", "run", str(timing(tmp_path, *TIMES)), "--cases", "mine.yaml", "-o", "out")
    assert "math@times: to build and run  (side by side: 1.0, 1.9)" in lossparity(*words, "--dry-run").stdout
    result = lossparity(*words, "-j", "2")
    assert result.exit_code == 0, result.stderr
    assert "3 of 3: math@times: environment was there" in result.stderr, "when all others are over"
    assert sorted(releasing) == ["math@1.0", "math@1.9"]
    merged = record(Path("out/matrix.jsonl"))
    assert {one.backend for one in merged.speeds if one.median} == {"math@1.0", "math@1.9"}
    assert {one.case for one in merged.speeds} == {"mine/first", "mine/second"}
    assert {one.job for one in merged.speeds} == {one.id for one in merged.jobs} and len(merged.jobs) == 1
    assert {one.against for one in merged.ratios} == {"math@1.0"}, "the first release"
    assert lossparity(*words).stderr.count("finished before") == 3


def test_what_differs_in_more_than_its_version_is_timed_apart(tmp_path: Path) -> None:
    entry = "framework: jax, versions: ['0.4.30', '0.7.2'], threads: [1, 2], backends: [jax, 'jax+jit', 'jax.*']"
    path = timing(tmp_path, entry)
    path.write_text(path.read_text().replace("times: [math]", "times: [jax]"))
    *judged, one, two = read(path).cells
    assert (one.name, two.name) == ("jax@times,threads-1", "jax@times,threads-2")
    assert (len(judged), one.beside) == (4, tuple(cell for cell in judged if cell.threads == 1))
    assert one.backends == ("jax", "jax+jit"), "libraries on it have times of their own"


def test_times_without_a_release_of_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown framework 'math'"):
        read(timing(tmp_path, NUMPY))


def test_times_of_releases_one_of_which_is_unavailable_are_too(tmp_path: Path, releasing: list[str]) -> None:
    path = timing(tmp_path, TIMES[0].replace("1.9", "0.0.1"))
    result = lossparity("matrix", "run", str(path), "--cases", "mine.yaml", "-o", "out")
    assert (result.exit_code, len(releasing)) == (3, 3)
    assert "math@times: unavailable: math@0.0.1 cannot be installed" in result.stderr
    footer = record(Path("out/matrix.jsonl")).footer
    assert footer is not None
    assert [(one.what, one.checks) for one in footer.not_tested if "times" in one.what] == [("math@times", 2)]


BISECT = ("matrix", "bisect", "--framework", "math", "--check", "worked-example/softmax/float64@math", "-o", "out")


def test_the_release_with_which_a_check_changed_is_found(tmp_path: Path, releasing: list[str]) -> None:
    result = lossparity(*BISECT, "--good", "1.0", "--bad", "1.15")
    assert result.exit_code == 0, result.stderr
    assert "16 releases of math from 1.0 to 1.15" in result.stderr
    assert "math@1.10 is the first release that is newly failing (value); math@1.9 is not" in result.stdout
    assert re.search(r"pass \(.*ulp.*\) → fail \(", result.stdout), "both results, side by side"
    assert len(releasing) <= 2 + 4, "no more than it takes"
    assert len(set(releasing)) == len(releasing)
    merged = record(tmp_path / "out" / "matrix.jsonl")
    names = [f"math@1.{n}" for n in range(16)]
    assert list(dict.fromkeys(one.backend for one in merged.results)) == [
        name for name in names if name in set(releasing)
    ]
    again = lossparity(*BISECT, "--good", "1.0", "--bad", "1.15")
    assert again.stdout.splitlines()[-4:] == result.stdout.splitlines()[-4:]
    assert again.stderr.count("finished before") == len(releasing)


def test_a_release_that_cannot_be_judged_is_passed_over_and_named_where_it_may_be_the_one(
    releasing: list[str],
) -> None:
    result = lossparity(*BISECT, "--good", "1.1", "--bad", "1.5")
    assert result.exit_code == 1, "nothing has changed there"
    assert "math@1.1 and math@1.5 answer alike: there is nothing to look for" in result.stdout
    found = lossparity(*BISECT, "--good", "1.0", "--bad", "1.10", "--timeout", "61")
    assert "math@1.10 is the first release that is newly failing (value); math@1.9 is not" in found.stdout
    assert "math@1.5" in releasing
    beside = lossparity(*BISECT, "--good", "1.2", "--bad", "1.4", "--check", "worked-example/log-softmax/float64")
    assert beside.exit_code == 0, beside.stdout
    assert "math@1.4 is the first release that is newly failing (value); math@1.2 is not" in beside.stdout
    assert "or one between them: math@1.3 cannot be judged: ImportError: 1.3 is broken" in beside.stdout
    broken = lossparity(*BISECT, "--good", "1.2", "--bad", "1.3")
    assert broken.exit_code == 3
    assert "math@1.3 cannot be judged: ImportError: 1.3 is broken" in broken.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--good", "1.5", "--bad", "1.0"), "1.0 does not come after 1.5"),
        (("--good", "x y", "--bad", "1.0"), "'x y' is no version"),
        (("--good", "1.0", "--bad", "1.5", "--package", "absent"), "pip does not say which versions of absent"),
        (("--good", "1.0", "--bad", "1.5", "--with", "-e ."), "--with: '-e .' is no requirement"),
        (("--good", "1.0", "--bad", "1.5", "--framework", "jax"), "is no check of jax"),
        (("--good", "1.0", "--bad", "1.5", "--check", "worked-example/softmax"), "it names no format"),
    ],
)
def test_a_bisection_says_what_is_wrong_with_its_options(
    releasing: list[str], words: tuple[str, ...], said: str
) -> None:
    result = lossparity(*BISECT, *words)
    assert result.exit_code in (2, 3)
    assert said in result.stderr
    assert releasing == []
