"""`lossparity check`: conventions, known deviations, what failed last time, coverage, and commands that repeat it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from conftest import need
from lossparity import record
from lossparity.cli import main

SOURCE = """\
import numpy as np
from liars.conventions import mean_over_rows
from liars.honest import honest

softmax, cross_entropy = honest.softmax, honest.cross_entropy
nll_loss, other = mean_over_rows.nll_loss, mean_over_rows.nll_loss


def bare(logits, target, *, reduction="mean"):
    return cross_entropy(logits, target, reduction=reduction)


bare.gradient = cross_entropy.gradient


def upside_down(logits):
    return 1 - softmax(logits)


upside_down.gradient = softmax.gradient
"""
BATCH = """\
from liars.honest import honest


def softmax(logits):
    return honest.softmax(logits) * (1.001 if logits.shape[0] > 1 else 1)
"""
TESTS = Path(__file__).parent
NLL = ("nll-loss/weighted", "ignore-index/nll-ignored", "ignore-index/nll-inside")
KINDS = ("--operation", "nll_loss", *(word for case in NLL for word in ("--case", case)), "--format", "float64")
# PyTorch counts rows in binary16 too, where 65600 is inf.
SHARED = (
    "--case",
    "half-precision/many-rows/reduction=mean",
    "--case",
    "worked-example/cross-entropy",
    "--format",
    "float16",
)
SMALL = ("--case", "worked-example", "--case", "probability-targets/weighted*", "--format", "float64")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in with functions of one's own; children find the liars too."""
    (tmp_path / "mine.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    given = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), *([given] if given else [])]))
    return tmp_path


def lossparity(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def check(target: str, *options: str) -> Result:
    return lossparity("check", target, *options)


def refused(*arguments: str) -> str:
    """Return the one message of a command that is refused."""
    result = check(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def said(result: Result) -> str:
    return " ".join(result.stdout.split())


class TestConvention:
    """`--convention` judges by another one, as strictly."""

    LIAR = "liars.conventions:smoothing_over_others.cross_entropy"

    def test_what_follows_it_conforms_and_what_follows_the_spec_does_not(self) -> None:
        theirs = check(self.LIAR, "--convention", "smoothing=K-1", *SMALL)
        assert theirs.exit_code == 0, theirs.stdout
        assert "not tested" not in theirs.stdout
        ours = check("mine.py:cross_entropy", "--convention", "smoothing=K-1", *SMALL)
        assert ours.exit_code == 1
        assert "1. smoothing=K, " in ours.stdout
        assert "2. " not in ours.stdout
        assert check(self.LIAR, *SMALL).exit_code == 1

    def test_it_is_named_with_the_option_that_judges_by_it(self) -> None:
        result = check(self.LIAR, "--case", "worked-example/smoothed", "--format", "float64")
        assert "1. smoothing=K-1, 2 results" in result.stdout
        advice = next(line for line in result.stdout.splitlines() if "intended?" in line)
        again = shlex.split(advice.partition("judge by it:")[2])
        assert check(self.LIAR, "--case", "worked-example/smoothed", "--format", "float64", *again).exit_code == 0

    def test_it_is_as_strict(self) -> None:
        """One unit too much in the last place but two of binary64 fails."""
        Path("off.py").write_text(
            "from liars.conventions import smoothing_over_others\n"
            "theirs = smoothing_over_others.cross_entropy\n"
            "def off(logits, target, *, label_smoothing=0.0, reduction='mean'):\n"
            "    found = theirs(logits, target, label_smoothing=label_smoothing, reduction=reduction)\n"
            "    return found * found.dtype.type(1 + 2.0**-44)\n",
            encoding="utf-8",
        )
        options = ("--convention", "smoothing=K-1", "--case", "worked-example/smoothed", "--format", "float64")
        assert check("off.py:off", *options).exit_code == 1

    def test_the_last_axis_takes_the_classes_along(self) -> None:
        images = ("--operation", "softmax", "--case", "softmax/images", "--format", "float32")
        moved = ("--convention", "axis=last")
        assert check("liars.arithmetic:classes_last.softmax", *images).exit_code == 1
        assert check("liars.arithmetic:classes_last.softmax", *images, *moved).exit_code == 0
        ours = check("mine.py:softmax", *images, *moved)
        assert ours.exit_code == 1
        assert "1. axis=1, 2 results" in ours.stdout

    def test_a_loss_on_the_last_axis_that_fails_is_explained(self) -> None:
        """Its targets fit no other axis."""
        Path("last.py").write_text(
            "import numpy as np\n"
            "def loss(logits, target, *, ignore_index=-100, reduction='mean'):\n"
            "    x = logits - logits.max(-1, keepdims=True)\n"
            "    z = x - np.log(np.exp(x).sum(-1, keepdims=True))\n"
            "    kept = target != ignore_index\n"
            "    picked = np.take_along_axis(z, np.where(kept, target, 0)[..., None], -1)[..., 0]\n"
            "    losses = np.where(kept, -picked, 0)\n"
            "    return losses if reduction == 'none' else losses.sum()\n",
            encoding="utf-8",
        )
        suite = (
            "suite: deep\nabout: Classes and two more positions.\ncases:\n"
            "  - {id: a, clause: N1, operation: cross_entropy, formats: [float64], gradient: false,\n"
            "     logits: [[[1, 2], [3, 5], [0, 1]], [[0, 1], [1, 0], [2, 2]]], target: [[0, 2], [1, 1]]}\n"
        )
        Path("deep.yaml").write_text(suite, encoding="utf-8")
        result = check("last.py:loss", "--convention", "axis=last", "--cases", "deep.yaml")
        assert result.exit_code == 1
        assert "1. mean=sum, 1 result" in result.stdout
        assert "--convention mean=sum,axis=last" in result.stdout

    def test_what_it_has_no_formula_for_is_listed_as_not_tested(self) -> None:
        suite = (
            "suite: own\nabout: Targets that are no distribution.\ncases:\n"
            "  - {id: a, clause: Q1, operation: cross_entropy, formats: [float64, float32], gradient: false,\n"
            "     logits: [[1, 2]], probabilities: [[2, 0.5]], label_smoothing: 0.1}\n"
            "  - {id: b, clause: C1, operation: cross_entropy, formats: [float64], gradient: false,\n"
            "     logits: [[1, 2]], target: [0], label_smoothing: 0.1}\n"
        )
        Path("own.yaml").write_text(suite, encoding="utf-8")
        result = check(self.LIAR, "--convention", "smoothing=K-1", "--cases", "own.yaml", "--record", "r.jsonl")
        assert result.exit_code == 0, result.stdout
        assert "not tested: under smoothing=K-1, 2 checks: smoothing=K-1 has no formula for" in said(result)
        footer = record.read(Path("r.jsonl")).footer
        assert footer is not None
        assert [left.checks for left in footer.not_tested] == [2]

    def test_a_script_is_not_advised_since_it_judges_by_the_spec(self) -> None:
        options = ("--case", "worked-example/smoothed", "--format", "float64")
        assert "     script: " in check(self.LIAR, *options).stdout
        assert "     script: " not in check("mine.py:cross_entropy", *options, "--convention", "smoothing=K-1").stdout

    def test_a_script_is_not_advised_where_calls_are_compared(self) -> None:
        Path("batch.py").write_text(BATCH, encoding="utf-8")
        options = ("--operation", "softmax", "--framework", "numpy", "--format", "float64")
        found = check("batch.py:softmax", "--case", "invariances/alone-softmax", *options).stdout
        assert "1. batch-dependent, 1 result" in found
        assert "bound allows" in found and "script: " not in found

    @pytest.mark.parametrize(
        ("text", "hint"), [("smothing=K-1", "did you mean 'smoothing'?"), ("smoothing=K-2", "did you mean 'K")]
    )
    def test_one_that_nobody_has_is_refused(self, text: str, hint: str) -> None:
        assert hint in refused("mine.py:cross_entropy", *SMALL, "--convention", text)


KNOWN = """\
framework: numpy
deviations:
  - id: mine
    kind: finite-wrong
    versions: ">=1"
    reason: rows are averaged, as everywhere in this project
    checks: ["nll-loss/weighted/reduction=mean/*", "ignore-index/nll-i*/reduction=mean/*"]
"""


class TestKnown:
    def test_deviations_of_ones_own_are_no_failures(self) -> None:
        failing = check("mine.py:nll_loss", *KINDS)
        assert failing.exit_code == 1
        Path("known.yaml").write_text(KNOWN, encoding="utf-8")
        result = check("mine.py:nll_loss", *KINDS, "--known", "known.yaml", "--record", "r.jsonl")
        assert result.exit_code == 0, result.stdout
        verdicts = {line.verdict for line in record.read(Path("r.jsonl")).results}
        assert "known" in verdicts
        assert "fail" not in verdicts

    def test_one_of_another_kind_stays_a_failure(self) -> None:
        Path("known.yaml").write_text(KNOWN.replace("finite-wrong", "nan"), encoding="utf-8")
        result = check("mine.py:nll_loss", *KINDS, "--known", "known.yaml")
        assert result.exit_code == 1
        assert "mine declares kind nan, this is finite-wrong" in said(result)

    @pytest.mark.parametrize(
        ("text", "message"),
        [("framework: numpy\ndeviations: 3\n", "not a file of known deviations"), (None, "cannot be read")],
    )
    def test_a_file_that_is_none_is_refused(self, text: str | None, message: str) -> None:
        if text is not None:
            Path("known.yaml").write_text(text, encoding="utf-8")
        assert message in refused("mine.py:nll_loss", *KINDS, "--known", "known.yaml")


class TestLastFailed:
    """`--last-failed` runs what failed the last time, and says so."""

    ALL = "nothing of this selection is remembered to have failed: everything was run"

    @pytest.fixture(autouse=True)
    def _memory(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(folder / "cache"))

    @staticmethod
    def ran(*options: str, target: str = "mine.py:nll_loss") -> tuple[Result, set[str]]:
        result = check(target, *KINDS, "--record", "r.jsonl", *options)
        return result, {line.check for line in record.read(Path("r.jsonl")).results}

    def test_first_all_then_what_failed_then_what_still_does(self, folder: Path) -> None:
        first, everything = self.ran("--last-failed")
        assert self.ALL in first.stdout
        failed = {line.check for line in record.read(Path("r.jsonl")).results if line.verdict == "fail"}
        assert 0 < len(failed) < len(everything)
        again, asked = self.ran("--last-failed")
        assert again.exit_code == 1
        assert asked == failed
        words = f"only the {len(failed)} checks that failed last time were run; leave out --last-failed for all"
        assert words in said(again)
        (folder / "mine.py").write_text(SOURCE.replace("mean_over_rows.nll_loss", "honest.nll_loss"), encoding="utf-8")
        mended, asked = self.ran("--last-failed")
        assert mended.exit_code == 0
        assert asked == failed
        assert self.ALL in self.ran("--last-failed")[0].stdout

    def test_what_is_not_asked_stays_remembered(self) -> None:
        _, everything = self.ran()
        failed = {line.check for line in record.read(Path("r.jsonl")).results if line.verdict == "fail"}
        one = sorted(failed)[0].rpartition("/")[0]
        passing = sorted(everything - failed)[0].rpartition("/")[0]
        check("mine.py:nll_loss", "--operation", "nll_loss", "--case", passing, "--format", "float64")
        _, asked = self.ran("--last-failed")
        assert asked == failed
        check("mine.py:nll_loss", "--operation", "nll_loss", "--case", one, "--format", "float32")
        assert {name for name in self.ran("--last-failed")[1] if name.endswith("float64@numpy.target")} == failed

    def test_the_memory_of_one_function_is_not_anothers(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran()
        assert self.ALL in self.ran("--last-failed", target="mine.py:other")[0].stdout
        (folder / "elsewhere").mkdir()
        (folder / "elsewhere" / "mine.py").write_text(SOURCE, encoding="utf-8")
        monkeypatch.chdir(folder / "elsewhere")
        assert self.ALL in self.ran("--last-failed")[0].stdout
        monkeypatch.chdir(folder)
        assert self.ALL not in self.ran("--last-failed", target="./mine.py:nll_loss")[0].stdout

    @pytest.mark.parametrize("content", ["{}", "no json", "[1, {}]"])
    def test_a_memory_that_is_damaged_is_none(self, folder: Path, content: str) -> None:
        self.ran()
        (file,) = (folder / "cache" / "last-failed").iterdir()
        file.write_text(content, encoding="utf-8")
        assert self.ALL in self.ran("--last-failed")[0].stdout

    def test_a_disk_that_refuses_it_is_no_reason_to_fail(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "file").write_text("", encoding="utf-8")
        monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(folder / "file"))
        assert self.ran("--no-cache")[0].exit_code == 1


class TestDump:
    def test_the_inputs_of_a_failure_are_kept_with_what_is_right_and_what_was_got(self) -> None:
        case = "nll-loss/weighted/reduction=mean"
        options = ("--operation", "nll_loss", "--case", case, "--format", "bfloat16", "--format", "float64")
        result = check("mine.py:nll_loss", *options, "--dump", "out/deep")
        assert result.exit_code == 1
        names = sorted(path.name for path in Path("out/deep").iterdir())
        start = "nll-loss__weighted__reduction=mean__"
        ends = [
            f"{fmt}__numpy.target__{quantity}.npz"
            for fmt in ("bfloat16", "float64")
            for quantity in ("gradient", "value")
        ]
        assert names == [start + end for end in ends]
        with np.load(Path("out/deep") / names[-1]) as kept:
            about = json.loads(str(kept["about"]))
            assert set(kept.files) == {"about", "log_probs", "target", "weight", "upstream", "exact_value", "got_value"}
            w, y = kept["weight"], kept["target"]
            losses = -kept["log_probs"][np.arange(len(y)), y] * w[y]
            assert kept["exact_value"] == pytest.approx(losses.sum() / w[y].sum(), rel=1e-15)
            assert kept["got_value"] == pytest.approx(losses.mean(), rel=1e-15)
            assert {kept[name].dtype.name for name in ("log_probs", "weight", "upstream", "got_value")} == {"float64"}
        assert about == {
            "check": f"{case}/float64@numpy.target",
            "quantity": "value",
            "operation": "nll_loss",
            "format": "float64",
            "keywords": about["keywords"],
            "clause": "N1",
        }
        assert about["keywords"]["reduction"] == "mean"
        with np.load(Path("out/deep") / names[0]) as kept:
            assert kept["log_probs"].dtype == np.float32
            assert {"exact_gradient", "got_gradient"} <= set(kept.files)

    def test_nothing_is_written_where_nothing_fails(self) -> None:
        assert check("mine.py:softmax", "--operation", "softmax", *SMALL[:2], "--dump", "out").exit_code == 0
        assert not Path("out").exists()

    def test_a_folder_that_cannot_be_written_is_2(self) -> None:
        Path("taken").write_text("", encoding="utf-8")
        result = check("mine.py:nll_loss", *KINDS, "--dump", "taken/out")
        assert result.exit_code == 2
        assert "the inputs cannot be written" in result.stderr


class TestCoverage:
    BARE = ("mine.py:bare", "--case", "worked-example", "--format", "float64")

    def test_it_may_be_lowered_and_is_a_share(self) -> None:
        least = check(*self.BARE)
        assert least.exit_code == 1
        words = said(least).partition("only ")[2].split()
        offered, wanted = int(words[0]), int(words[2])
        assert 0 < offered < wanted
        assert check(*self.BARE, "--min-coverage", str(offered / wanted)).exit_code == 0
        assert check(*self.BARE, "--min-coverage", str(offered / wanted + 1e-6)).exit_code == 1
        assert check(*self.BARE, "--min-coverage", "0").exit_code == 0
        assert check("mine.py:cross_entropy", *self.BARE[1:], "--min-coverage", "1").exit_code == 0

    @pytest.mark.parametrize("share", ["1.01", "-0.01", "nan", "inf"])
    def test_what_is_no_share_is_refused(self, share: str) -> None:
        assert f"--min-coverage {share} is no share" in refused(*self.BARE, "--min-coverage", share)


class TestRepeating:
    """The first failure is told at once; what is printed beside a cause repeats it."""

    def test_the_first_failure_is_printed_once_and_first(self) -> None:
        lines = check("mine.py:nll_loss", "--operation", "nll_loss", "--case", "nll-loss").stdout.splitlines()
        assert lines[0] == "the first failure; the rest follows, by cause"
        assert lines[1].startswith("FAIL nll-loss/")
        assert sum(line.startswith("the first failure") for line in lines) == 1

    def test_of_a_few_checks_the_first_failure_is_not_said_twice(self) -> None:
        said = check("mine.py:nll_loss", "--operation", "nll_loss", "--case", "nll-loss/weighted*").stdout
        assert said.startswith("1. ")
        assert "the first failure" not in said

    def test_both_commands_repeat_the_failure(self) -> None:
        options = ("--operation", "softmax", "--format", "float32", "--supports", "2d", "--case", "softmax/images")
        found = check("mine.py:upside_down", *options, "--case", "worked-example").stdout.splitlines()
        again, script = (
            next(line for line in found if f"     {word}: lossparity " in line) for word in ("again", "script")
        )
        key = next(line.split()[1] for line in found if line.lstrip().startswith("FAIL "))
        repeated = lossparity(*shlex.split(again.partition(": ")[2])[1:])
        assert repeated.exit_code == 1
        assert key in repeated.stdout
        assert "1 fail" in repeated.stdout
        written = lossparity(*shlex.split(script.partition(": ")[2])[1:])
        assert written.exit_code == 0, written.output
        done = subprocess.run([sys.executable, "-c", written.stdout], capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert "outside the bounds" in done.stdout

    @pytest.mark.parametrize(("variable", "coloured"), [("FORCE_COLOR", True), ("NO_COLOR", False), ("", False)])
    def test_colour_is_as_the_environment_asks(
        self, variable: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        if variable:
            monkeypatch.setenv(variable, "1")
        tiny = ("--operation", "nll_loss", "--case", "nll-loss/weighted/reduction=mean")
        assert ("\x1b[" in check("mine.py:nll_loss", *tiny, "--format", "float64").stdout) is coloured

    def test_no_colour_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b[" not in lossparity("list", "--case", "worked-example/smoothed").stdout


TORCH = """\
import torch

def wrapped(logits, target, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    return torch.nn.functional.cross_entropy(
        logits, target, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction)

def turned(logits, target, **keywords):
    return -wrapped(logits, target, **keywords)
"""


def test_what_the_framework_fails_too_is_said_and_comes_last() -> None:
    need("torch")
    Path("theirs.py").write_text(TORCH, encoding="utf-8")
    result = check("theirs.py:turned", "--framework", "torch", "--record", "r.jsonl", *SHARED)
    assert result.exit_code == 1
    shared = {line.case: line.shared for line in record.read(Path("r.jsonl")).results if line.quantity == "value"}
    assert shared == {"half-precision/many-rows/reduction=mean": True, "worked-example/cross-entropy": False}
    causes = [line for line in result.stdout.splitlines() if re.match(r"\d+\. ", line)]
    assert causes[0].startswith("1. negated, ")
    last = result.stdout.index(causes[-1])
    assert result.stdout.index("the framework's own function fails there too") > last
