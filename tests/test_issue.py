"""Issues: true in every figure, complete, polite, and none where nothing deviates."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import mpmath  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner, Result

import oracle
from conftest import need
from lossparity.cli import main

HEADINGS = ["What is wrong", "To reproduce", "Expected", "Versions and platform"]

TARGETS = """
import numpy as np


def late(logits):
    e = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def right(logits):
    axis = min(1, logits.ndim - 1)
    e = np.exp(logits - np.max(logits, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def inplace(logits):
    result = right(logits)
    logits[...] = 0
    return result


def flat(logits):
    return right(logits).ravel()


def narrow(logits):
    return right(logits).astype(np.float32)


def failing(logits):
    raise RuntimeError("the kernel did not launch")


def broken_gradient(logits):
    return right(logits)


def _raise(logits, upstream):
    raise RuntimeError("no backward kernel")


broken_gradient.gradient = _raise
"""


def lossparity(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(TARGETS)
    return path


def fenced(text: str) -> str:
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return str(code)


def run(code: str) -> subprocess.CompletedProcess[str]:
    blocked = "import sys; sys.modules['lossparity'] = None\n" + "exec(compile(sys.stdin.read(), 'script.py', 'exec'))"
    return subprocess.run(
        [sys.executable, "-I", "-c", blocked], input=code, capture_output=True, text=True, check=False
    )


def test_an_issue_about_a_framework_is_complete_and_its_figures_are_true() -> None:
    need("torch")
    found = lossparity("show", "probability-targets/masked-without-mass/float16@torch", "--issue")
    assert found.exit_code == 0, found.output
    text = found.stdout
    assert text.startswith("# `torch.nn.functional.cross_entropy` returns NaN in float16, where 1.90761 is right\n")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == HEADINGS
    assert "This is not a report" not in text
    inf = float("inf")
    x, q = [[-inf, 1, 2, 3], [0.5, -inf, 0, -inf]], [[0, 0.5, 0.5, 0], [0.25, 0, 0.75, 0]]
    with mpmath.workdps(oracle.DIGITS):
        right = oracle.value("cross_entropy", x, q, reduction="none")[0]
        assert f"| exact, 60 digits | `{mpmath.nstr(right, 60)}` |" in text
    assert "Clause Q2 of the loss spec (must; basis: mathematics): 0 * (-inf) = 0" in text
    assert re.search(r"^\| loose bound \| \S+ = (\w+ \S+ \+ )+rounding \S+ \(constants: ", text, flags=re.MULTILINE)
    assert "Already known to lossparity as `torch/probability-times-minus-infinity/nan`" in text
    assert re.search(r"^- torch: 2\.", text, flags=re.MULTILINE) and "- platform: " in text
    assert run(fenced(text)).returncode == 1


def test_an_issue_about_a_chain_by_hand_says_that_it_is_none_of_the_frameworks() -> None:
    found = lossparity("show", "special-values/plus-infinity/float16@numpy.manual", "--issue")
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0] == "# The softmax chain by hand on numpy returns 0 in float16, which is not permitted"
    assert lines[2].startswith("> **This is not a report about numpy:** this is the textbook's chain")
    assert "Permitted here: nan, limit; it is none of these." in lines
    assert "- value: one of nan, limit, the whole result alike" in lines
    assert run(fenced(found.stdout)).returncode == 1


def test_both_quantities_are_in_one_issue_unless_one_is_named() -> None:
    check = "half-precision/exp-overflow/float32@numpy.manual"
    both, one = lossparity("show", check, "--issue").stdout, lossparity("show", f"{check}#gradient", "--issue").stdout
    assert re.findall(r"^- (value|gradient):", both, flags=re.MULTILINE) == ["value", "gradient"]
    assert re.findall(r"^- (value|gradient):", one, flags=re.MULTILINE) == ["gradient"]
    assert one.startswith("# The gradient of the softmax chain by hand on numpy returns NaN in float32")
    assert f"# {check}#gradient" in fenced(one) and 'conforms("value"' not in fenced(one)


def test_there_is_no_issue_about_what_conforms() -> None:
    for name in ("worked-example/softmax/float64@numpy", "worked-example/softmax/float64@numpy#gradient"):
        found = lossparity("show", name, "--issue")
        assert found.exit_code == 2 and not found.stdout
        assert "it conforms; there is nothing to report" in found.stderr


def test_there_is_neither_about_what_is_not_offered() -> None:
    for form in ("--issue", "--script"):
        found = lossparity("show", "softmax/images/float64@numpy.manual", form)
        assert found.exit_code == 2 and not found.stdout
        assert "there is nothing to reproduce: softmax with rank 3 is not offered" in found.stderr


@pytest.mark.parametrize(
    ("name", "symptom", "said"),
    [
        ("late", "is off by", "outside the bounds"),
        ("inplace", "modifies its input in float64", "the inputs were modified"),
        ("flat", "has the wrong shape in float64", "float64 of shape (16,) instead of float64 of shape (2, 4, 2)"),
        ("narrow", "has the wrong format in float64", "float32 of shape (2, 4, 2) instead of float64"),
        ("failing", "raises RuntimeError in float64", "raised RuntimeError: the kernel did not launch"),
    ],
)
def test_a_users_function_is_reported_and_reproduced_by_its_path(
    name: str, symptom: str, said: str, file: Path
) -> None:
    found = lossparity("show", "softmax/images/float64@numpy.target#value", "--target", f"{file}:{name}", "--issue")
    assert found.exit_code == 0, found.output
    title, _, note = found.stdout.splitlines()[:3]
    assert title.startswith(f"# `{file}:{name}` ") and symptom in title
    assert note.startswith("> **This is not a report about numpy:** this is a user's own function")
    ended = run(fenced(found.stdout))
    assert ended.returncode == 1, ended.stderr
    assert said in ended.stdout


def test_a_gradient_that_raises_is_reported_and_the_value_beside_it_is_not(file: Path) -> None:
    check = ("show", "softmax/images/float64@numpy.target")
    found = lossparity(*check, "--target", f"{file}:broken_gradient", "--issue")
    assert found.stdout.startswith(f"# The gradient of `{file}:broken_gradient` raises RuntimeError in float64")
    assert run(fenced(found.stdout)).returncode == 1
    value = lossparity(f"{check[0]}", f"{check[1]}#value", "--target", f"{file}:broken_gradient", "--script")
    assert run(value.stdout).returncode == 0, value.output


def test_a_users_function_that_is_right_has_a_script_and_no_issue(file: Path) -> None:
    check = ("show", "softmax/images/float64@numpy.target", "--target", f"{file}:right")
    assert lossparity(*check, "--issue").exit_code == 2
    ended = run(lossparity(*check, "--script").stdout)
    assert ended.returncode == 0, ended.stderr
    plain = lossparity(*check)
    assert plain.exit_code == 0 and "  value: pass" in plain.stdout


BAD: dict[str, tuple[list[str], str]] = {
    "no check": (["worked-example", "--script"], "--script is for one check"),
    "no check for a target": (["worked-example", "--target", "mine.py:f"], "--target is for one check"),
    "target of a library": (["worked-example/softmax/float64@numpy", "--target", "m.py:f"], "FRAMEWORK.target"),
    "no target": (["worked-example/softmax/float64@numpy.target", "--script"], "--target FUNCTION"),
    "missing file": (
        ["worked-example/softmax/float64@numpy.target", "--target", "none.py:f", "--script"],
        "no such file: none.py",
    ),
    "several backends": (["worked-example/softmax/float64@numpy*", "--script"], "one backend at a time, not "),
    "no device": (["worked-example/softmax/float64@numpy:cuda", "--script"], "NumPy has no device 'cuda'"),
    "no quantity": (["worked-example/one-hot/float64@numpy#gradient", "--script"], "the check has no gradient"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_wrong_use_is_one_message(arguments: list[str], said: str) -> None:
    found = lossparity("show", *arguments)
    assert found.exit_code == (3 if "device" in said else 2), found.output
    assert said in found.stderr and not found.stdout
