"""Misspelt names, each as somebody would type it: one message that says what is wrong, and the nearest name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lossparity.cli import main

SUITE = """\
suite: mine
about: A suite of my own.
defaults: {formats: [float64]}
cases:
  - id: first
    clause: S1
    operation: softmax
    gradient: false
    logits: [[1, 2], [3, 4]]
  - id: second
    clause: N1
    operation: cross_entropy
    logits: {generate: normal, shape: [2, 3], seed: 1}
    target: [0, 1]
    vary: {reduction: [sum, mean]}
"""
KNOWN = """\
deviations:
  - id: mine
    checks: ["*"]
    kind: nan
    versions: ">=1"
    reason: It is known.
"""
CHECK = "check mine.py:softmax --operation softmax --cases mine.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a folder of its own to be in, with one file of each kind."""
    (tmp_path / "mine.yaml").write_text(SUITE)
    (tmp_path / "known.yaml").write_text(KNOWN)
    (tmp_path / "run.jsonl").write_text("")
    (tmp_path / "mine.py").write_text("def softmax(logits): return logits\n")
    np.savez(tmp_path / "a.npz", logits=np.zeros((1, 3)))
    np.save(tmp_path / "t.npy", np.array([0]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(line: str) -> str:
    """Run a command that fails; return all that it prints."""
    result = CliRunner().invoke(main, line.split())
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert result.stdout == "", "nothing was done"
    return result.stderr


# The word that is wrong is in the message, and what to write instead.
MISSPELT = {
    # commands and options
    "rn": "run",
    "completin bash": "completion",
    "--verion": "--version",
    "run --formt float32": "--format",
    "check mine.py:softmax --opertion softmax": "--operation",
    "known --updte run.jsonl": "--update",
    "doctor --noprobe": "--no-probe",
    "explain a.npz:logits t.npy 1.0 --weigth w.npy": "--weight",
    # choices
    "run --format flaot32": "float32",
    "run --dtype b16": "bf16",
    "explain a.npz:logits t.npy 1.0 --format flaot32": "float32",
    "run --min-grade tihgt": "tight",
    f"{CHECK} --min-grade exat": "exact",
    f"{CHECK} --mode eagr": "eager",
    f"{CHECK} --framework nmpy": "numpy",
    f"{CHECK} --supports 1d,2dd": "2d",
    f"{CHECK} --supports reduction=men": "reduction=mean",
    f"{CHECK} --map lgits=x": "logits",
    f"{CHECK} --convention smothing=K-1": "smoothing",
    f"{CHECK} --convention mean=positons": "positions",
    "check mine.py:softmax --operation sofmax": "softmax",
    "completion bsh": "bash",
    "init --framework trch": "torch",
    "init --kind clas": "class",
    "init --operation sofmax": "softmax",
    # backends
    "run -b trch": "torch",
    "run -b torch.maual": "torch.manual",
    "run -b toch*": "torch",
    "run -b jax+jt": "jax+jit",
    "run -b numpyy:cpu": "numpy",
    "show worked-example -b nmpy": "numpy",
    # suites, cases and checks
    "run --case sofmax": "softmax",
    "run --case softmx/ten-thousand": "softmax/ten-thousand",
    "run --case softmax/ten-thousnd": "softmax/ten-thousand",
    "run --case reductions/one-row/reduction=nonne": "reductions/one-row/reduction=none",
    "run --case redctions/*/reduction=none": "reductions/*/reduction=none",
    "list --cases mine.yaml --case mine/fist": "mine/first",
    "list --cases mine.yaml --case min": "mine",
    "export --golden out --case worked-exmple": "worked-example",
    "show worked-exmple": "worked-example",
    "show --cases mine.yaml mine/fist/float64@numpy": "mine/first",
    "show --cases mine.yaml mine/first/flaot64@numpy": "float64",
    "show --cases mine.yaml mine/first/float64@nmpy": "numpy",
    "show --cases mine.yaml mine/first/float64@numpy#valu": "value",
    # files and what is in them
    "run --cases mien.yaml": "mine.yaml",
    "run --cases ./mine.yml": "mine.yaml",
    "report rn.jsonl": "run.jsonl",
    "report run.jsonl --format juint": "junit",
    "run --juint a.xml": "--junit",
    "known --update run.json": "run.jsonl",
    f"{CHECK} --known knwon.yaml": "known.yaml",
    "explain aa.npz t.npy 1.0": "a.npz",
    "explain a.npz:logts t.npy 1.0": "logits",
    "check mien.py:softmax --operation softmax --cases mine.yaml": "mine.py",
    "check mine.py:sofmax --operation softmax --cases mine.yaml": "softmax",
}


@pytest.mark.parametrize("line", MISSPELT)
def test_the_nearest_name_is_suggested(line: str) -> None:
    text = said(line)
    assert f"{MISSPELT[line]}'" in text or f"`{MISSPELT[line]}`" in text
    assert "id you mean" in text
    assert "Traceback" not in text


# What is replaced in a file of its kind, by what, and what is suggested.
IN_CASES = {
    "key of a file": ("about:", "abuot:", "about"),
    "key of the defaults": ("{formats:", "{formts:", "formats"),
    "format": ("[float64]", "[flaot64]", "float64"),
    "key of a case": ("clause: S1", "claus: S1", "clause"),
    "clause": ("clause: S1", "clause: S11", "S1"),
    "operation": ("operation: softmax", "operation: sofmax", "softmax"),
    "generator": ("generate: normal", "generate: nromal", "normal"),
    "key of a generator": ("seed: 1", "sed: 1", "seed"),
    "axis": ("{reduction:", "{reducton:", "reduction"),
    "value of an axis": ("[sum, mean]", "[sum, men]", "mean"),
    "argument": ("target: [0, 1]", "taget: [0, 1]", "target"),
    "choice": ("target: [0, 1]", "target: [0, 1]\n    one_of: [nann, zero]", "nan"),
    "layout": ("gradient: false", "layout: stridde", "strided"),
    "relation": ("gradient: false", "relation: permutd", "permuted"),
}
IN_KNOWN = {
    "key of a file": ("deviations:", "deviatons:", "deviations"),
    "key of an entry": ("checks:", "chekcs:", "checks"),
    "kind": ("kind: nan", "kind: nann", "nan"),
}


@pytest.mark.parametrize("what", IN_CASES)
def test_in_a_case_file_with_its_place(folder: Path, what: str) -> None:
    old, new, meant = IN_CASES[what]
    assert SUITE.count(old) == 1
    (folder / "mine.yaml").write_text(SUITE.replace(old, new))
    text = said("list --cases mine.yaml")
    line = next(n for n, text in enumerate(SUITE.replace(old, new).splitlines(), 1) if new.splitlines()[-1] in text)
    assert text.startswith(f"lossparity: mine.yaml:{line}:")
    assert f"did you mean {meant!r}?" in text


@pytest.mark.parametrize("what", IN_KNOWN)
def test_in_a_file_of_known_deviations(folder: Path, what: str) -> None:
    old, new, meant = IN_KNOWN[what]
    assert KNOWN.count(old) == 1
    (folder / "known.yaml").write_text(KNOWN.replace(old, new))
    text = said(f"{CHECK} --known known.yaml")
    assert text.startswith("lossparity: known.yaml:")
    assert f"did you mean {meant!r}?" in text


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("deviations: [", "known.yaml:", "not YAML"),
        ("deviations: a: b", "known.yaml:1:14: ", "not YAML: mapping values are not allowed"),
        ("[]", "known.yaml: ", "the file has deviations, framework"),
        (KNOWN.replace('["*"]', "'*'"), "known.yaml:2: ", "an entry has id, checks, kind"),
        (KNOWN.replace("    kind: nan\n", ""), "known.yaml:2: ", "missing required field `kind`"),
    ],
)
def test_what_is_no_file_of_known_deviations_says_what_one_is(
    folder: Path, text: str, place: str, message: str
) -> None:
    (folder / "known.yaml").write_text(text)
    found = said(f"{CHECK} --known known.yaml")
    assert found.startswith(f"lossparity: {place}")
    assert message in found
    assert len(found.splitlines()) <= 2


def test_what_resembles_nothing_is_answered_with_what_there_is() -> None:
    assert "known suites: mine" in said("list --cases mine.yaml --case zzz")
    assert "`lossparity list --case mine` lists those of mine" in said("list --cases mine.yaml --case mine/zzz")
    assert "known shells: bash, fish, zsh" in said("completion zzzzz")
    assert "known grades: exact, faithful, loose, tight" in said("run --min-grade zzz")


def test_a_file_that_resembles_none_is_answered_with_where_it_was_looked_for(folder: Path) -> None:
    assert f"looked for in {folder}" in said("report zzz")
    assert f"there is no folder {folder / 'none'}" in said("report none/run.jsonl")
    (folder / "there").mkdir()
    assert said("report there") == "lossparity: there: the record cannot be read: Is a directory\n"
