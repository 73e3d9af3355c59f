"""`lossparity check`'s options on what a function is like, and what it says of functions that go wrong."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossparity import record
from lossparity.cli import main

SOURCE = """\
import ctypes
import sys
import time

import numpy as np


def right(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def by_hand(logits, upstream):
    p = right(logits)
    return p * (upstream - (p * upstream).sum(axis=1, keepdims=True))


def named(temperature=1, *, scores):
    return right(scores)


def pair(logits):
    return right(logits), None


def overwriting(logits):
    logits[:] = right(logits)
    return logits.copy()


def raises(logits):
    raise ValueError("cannot broadcast")


def hangs(logits):
    time.sleep(100)


def prints(logits):
    print("x" * 3_000_000)
    return right(logits)


def column(logits):
    return right(logits)[..., None]


def scalar(logits):
    return right(logits).sum().astype(logits.dtype)


def wide(logits):
    return right(logits).astype(np.float64)


def number(logits):
    return 1.5


def nothing(logits):
    right(logits)


def nan(logits):
    return logits * np.nan


def listed(logits):
    return right(logits).tolist()


def leaves(logits):
    sys.exit(3)


def dies(logits):
    ctypes.string_at(0)


def two(logits, classes):
    return logits


async def later(logits):
    return logits


right.gradient = prints.gradient = by_hand
for function in (named, pair, overwriting):
    function.gradient = by_hand
"""
RAISED = next(n for n, line in enumerate(SOURCE.splitlines(), 1) if "cannot broadcast" in line)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "mine.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield


def check(name: str, *options: str) -> Result:
    tiny = ("--operation", "softmax", "--case", "worked-example/softmax", "--format", "float32")
    result = CliRunner().invoke(main, ["check", f"mine.py:{name}", *tiny, *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("right", ()),
        ("named", ("--map", "logits=scores")),
        ("pair", ("--returns", "0")),
        ("overwriting", ("--inplace-ok",)),
        ("prints", ()),
        ("right", ("--supports", "fp32, 2d", "--supports", "value")),
    ],
)
def test_a_function_of_another_form_conforms_with_its_option(name: str, options: tuple[str, ...]) -> None:
    result = check(name, *options)
    assert result.exit_code == 0, result.output
    assert "target: 0 of" not in result.output


def test_what_is_waived_or_not_declared_is_listed() -> None:
    said = check("overwriting", "--inplace-ok", "--record", "r.jsonl").stdout
    assert "not tested: numpy.target, 1 checks: clause M6, inputs are left unmodified (--inplace-ok)" in said
    footer = record.read(Path("r.jsonl")).footer
    assert footer is not None
    assert [left.checks for left in footer.not_tested] == [1]
    assert "not offered (1): not declared (--supports)" in check("right", "--supports", "value").stdout
    nothing = check("right", "--supports", "bf16")
    assert nothing.exit_code == 3
    assert "not offered (2): not declared (--supports)" in nothing.stdout


@pytest.mark.parametrize(
    ("name", "verdict", "said"),
    [
        ("raises", "ERROR", f"ValueError: cannot broadcast (mine.py:{RAISED})"),
        ("hangs", "TIMEOUT", "no answer in 2 s; the process was stopped (--timeout SECONDS gives it longer)"),
        ("pair", "ERROR", "returned a tuple of 2: `--returns 0` takes the first"),
        ("column", "FAIL", "shape [2, 4, 1] instead of [2, 4]: an axis of length 1 is left"),
        ("scalar", "FAIL", "shape [] instead of [2, 4]: it is reduced, where one result each is wanted"),
        ("wide", "FAIL", "format float64 instead of float32: it was promoted on the way"),
        ("number", "ERROR", "returned a Python float: wrap it as an array of the logits' format"),
        ("nothing", "ERROR", "returned None"),
        ("nan", "FAIL", "got nan, exact 0.2138"),
        ("listed", "ERROR", "returned a list of 2: wrap it as an array"),
        ("overwriting", "FAIL", "the inputs were modified (clause M6)"),
        ("leaves", "CRASH", "exit status 3: sys.exit(3) was called at "),
        ("dies", "CRASH", "killed by SIGSEGV"),
    ],
)
def test_a_function_that_goes_wrong_is_told_how(name: str, verdict: str, said: str) -> None:
    result = check(name, "--timeout", "2")
    assert result.exit_code == 1
    assert f"   {verdict} worked-example/softmax/float32@numpy.target#value\n" in result.stdout
    assert said in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("two", (), "wants classes, which nobody passes: the contract is softmax(logits)"),
        ("later", (), "is a coroutine function"),
        (
            "right",
            ("--map", "logits=scores"),
            "has no parameter that --map logits=scores names; its parameters: logits",
        ),
        ("right", ("--map", "logit=x"), "unknown argument 'logit' of softmax"),
        ("right", ("--map", "logits"), "--map logits is no pair of names"),
        ("right", ("--map", "logits=a,logits=b"), "--map names logits twice"),
        ("right", ("--map", "logits=a", "--map", "target=a"), "--map gives a two arguments"),
        ("right", ("--supports", "flaot32"), "did you mean 'float32'?"),
        ("right", ("--mode", "compiled"), "numpy has no compiler"),
        ("right", ("--mode", "both"), "numpy has no compiler"),
    ],
)
def test_what_cannot_be_checked_is_2_with_one_message(name: str, options: tuple[str, ...], said: str) -> None:
    result = check(name, *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert len(result.stderr.splitlines()) <= 2


TORCH = """
import torch

def softmax(logits):
    return torch.softmax(logits, dim=1)

def tensor(logits):
    return softmax(logits).item()

def pair(logits):
    return softmax(logits), 1

def breaks(logits):
    print(logits.sum().item())
    return softmax(logits)
"""


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_torch_both_modes_and_what_it_says_where_it_differs() -> None:
    Path("mine.py").write_text(TORCH)
    cases = ("--case", "tails/largest-in-the-rest", "--case", "softmax/one-class", "--format", "float32")
    both = check("softmax", "--framework", "torch", "--mode", "both", *cases)
    assert both.exit_code == 0, both.output
    assert "not tested: torch.target+compile, 2 checks: compiled modes run only" in both.stdout
    assert "8 of 8 judged results pass" in both.stdout
    assert "a Tensor with 8 elements" in check("tensor", "--framework", "torch").stdout
    assert "returned a tuple of 2: `--returns 0`" in check("pair", "--framework", "torch").stdout
    broken = check("breaks", "--framework", "torch", "--mode", "compiled", *cases[:2], "--format", "float32")
    assert broken.exit_code == 3
    assert "not offered (2): torch.compile: " in broken.stdout


def test_compiled_alone_needs_a_tagged_case() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    result = check("right", "--framework", "jax", "--mode", "compiled")
    assert result.exit_code == 2
    assert "no selected case is tagged `compiled: true`" in result.stderr
