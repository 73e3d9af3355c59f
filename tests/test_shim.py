"""What `lossparity init` writes runs as it is, conforms, and is never written over a file that is there."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conftest import FRAMEWORKS, need
from lossparity.cli import main
from lossparity.shim import KINDS

# Every keyword, kind of target and format, and what overflows in 16 bits.
CASES = (
    "worked-example",
    "label-smoothing/weighted",
    "probability-targets/weighted",
    "ignore-index/ignored",
    "large-vocabulary/smoothing-sum",
    "cross-entropy/images",
    "cross-entropy/one-row",
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lossparity(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_shim_runs_as_it_is_and_conforms(framework: str, kind: str) -> None:
    need(framework)
    made = lossparity("init", f"{framework}_shim.py", "--framework", framework, "--kind", kind)
    assert made.exit_code == 0, made.output
    command = shlex.split(made.stdout.splitlines()[-1])
    assert command[:2] == ["lossparity", "check"]
    assert made.stdout.splitlines()[-1].strip() in Path(f"{framework}_shim.py").read_text()
    # Two formats only: JAX and TensorFlow take long over each new one.
    formats = ("--format", "float32", "--format", "float16")
    result = lossparity(*command[1:], *(a for case in CASES for a in ("--case", case)), *formats)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("operation", ["softmax", "log_softmax", "nll_loss"])
@pytest.mark.parametrize("kind", ["class", "tuple"])
def test_every_operation_has_a_shim(operation: str, kind: str) -> None:
    made = lossparity("init", "--kind", kind, "--operation", operation)
    command = shlex.split(made.stdout.splitlines()[-1])
    result = lossparity(*command[1:])
    assert result.exit_code == 0, result.output
    assert f"loss_shim.py:{operation}" in command


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_shim_is_python_in_lines_of_ordinary_length(framework: str, kind: str) -> None:
    lossparity("init", "--framework", framework, "--kind", kind)
    text = Path("loss_shim.py").read_text()
    compile(text, "loss_shim.py", "exec")
    assert max(len(line) for line in text.splitlines()) <= 120
    assert "{" not in text.replace("{classes}", "").replace("self.keywords = {", "")


def test_a_file_that_is_there_is_left_unless_forced() -> None:
    Path("loss_shim.py").write_text("mine")
    refused = lossparity("init")
    assert refused.exit_code == 2
    assert "loss_shim.py: the file is there already" in refused.stderr
    assert "--force" in refused.stderr
    assert Path("loss_shim.py").read_text() == "mine"
    assert lossparity("init", "--force").exit_code == 0
    assert "def cross_entropy" in Path("loss_shim.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--framework", "pytorch"], "did you mean 'torch'?"),
        (["--kind", "clas"], "did you mean 'class'?"),
        (["--operation", "sofmax"], "did you mean 'softmax'?"),
        (["--kind", "fused-linear", "--operation", "softmax"], "no fused linear form of softmax"),
        (["shim.txt"], "a shim is a file of Python"),
        (["none/shim.py"], "none/shim.py: the shim cannot be written: No such file or directory"),
    ],
)
def test_what_has_no_shim_is_refused(arguments: list[str], said: str) -> None:
    refused = lossparity("init", *arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr
