"""What is offered where a name is begun, through click's own protocol; nothing of it needs a framework."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lossparity.cli import main
from lossparity.spec import FORMAT_ALIASES
from lossparity.suite import built_in, load
from lossparity.target.supports import WORDS

MINE = """\
suite: mine
about: Mine.
cases:
  - id: a
    clause: S1
    operation: softmax
    formats: [float32]
    gradient: false
    logits: [[1, 2]]
  - id: b
    clause: N1
    operation: cross_entropy
    logits: [[1, 2]]
    target: [0]
    vary: {reduction: [sum, mean]}
"""

LOSS = """\
class Loss:
    def forward(self): ...

def ce(logits): ...

def _own(): ...
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a folder of its own to be in."""
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "loss.py").write_text(LOSS)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(line: str) -> list[str]:
    """Return what fish, which takes whole words as they are, is offered at the end of a line."""
    words, begun = f"lossparity {line}", line.rpartition(" ")[2]
    env = {"_LOSSPARITY_COMPLETE": "fish_complete", "COMP_WORDS": words, "COMP_CWORD": begun}
    result = CliRunner().invoke(main, [], env=env, prog_name="lossparity")
    assert result.stderr == ""
    return [text.partition(",")[2].partition("\t")[0] for text in result.stdout.split("\n") if text]


FORMATS = list(dict.fromkeys(FORMAT_ALIASES.values()))
OFFERED = {
    "ru": ["run"],
    "run --form": ["--format"],
    "run --strict": ["--strict-known"],
    "run -b numpy": ["numpy", "numpy.manual", "numpy.scipy"],
    "run -b jax.o": ["jax.optax", "jax.optax+jit"],
    "run --backend tensorflow+": ["tensorflow+xla"],
    "run -b torch:c": ["torch:cpu", "torch:cuda"],
    "run -b torch:cuda+": ["torch:cuda+compile"],
    "run -b numpy+": [],
    "run -b jax@": [],
    "run -b none": [],
    "run --format ": FORMATS,
    "report run.jsonl --format ": ["badge", "github", "html", "junit"],
    "run --format bf": ["bfloat16", "bf16"],
    "run --dtype=bf": ["--dtype=bfloat16", "--dtype=bf16"],
    "run --min-grade f": ["faithful"],
    "run --case work": ["worked-example/"],
    "run --cases mine.yaml --case ": ["mine/"],
    "run --cases mine.yaml --case mine/": ["mine/a", "mine/b/"],
    "run --cases mine.yaml --case mine/b/": ["mine/b/reduction=sum", "mine/b/reduction=mean"],
    "run --cases mine.yaml --case other/": [],
    "run --cases empty --case ": [],
    "run --cases none.yaml --case none/": [],
    "show --cases mine.yaml mine/": ["mine/a/", "mine/b/"],
    "show --cases mine.yaml mine/a/": ["mine/a/float32@"],
    "show --cases mine.yaml mine/b/reduction=m": ["mine/b/reduction=mean/"],
    "show --cases mine.yaml mine/a/float32@numpy.s": ["mine/a/float32@numpy.scipy"],
    "check loss.py:": ["loss.py:Loss", "loss.py:ce"],
    "check none.py:": [],
    "check loss.py:ce --operation soft": ["softmax"],
    "check loss.py:ce --framework j": ["jax"],
    "check loss.py:ce --device cu": ["cuda"],
    "check loss.py:ce --mode b": ["both"],
    "check loss.py:ce --convention smo": ["smoothing="],
    "check loss.py:ce --convention smoothing=": ["smoothing=K", "smoothing=K-1"],
    "check loss.py:ce --convention smoothing=K-1,mean=s": ["smoothing=K-1,mean=sum"],
    "check loss.py:ce --convention nothing=": [],
    "check loss.py:ce --supports ": list(WORDS),
    "check loss.py:ce --supports 1d,reduction=": [f"1d,reduction={name}" for name in ("none", "mean", "sum")],
    "check loss.py:ce --operation softmax --map ": ["logits="],
    "check loss.py:ce --map target=labels,w": ["target=labels,weight="],
    "init --kind f": ["function", "fused-linear"],
    "init --framework t": ["torch", "tensorflow"],
    "init --operation n": ["nll_loss"],
    "completion z": ["zsh"],
    "nothing --format ": [],
}


@pytest.mark.parametrize("line", OFFERED)
def test_what_is_offered(line: str) -> None:
    found = offered(line)
    if line.startswith("nothing"):
        found = [word for word in found if word in FORMATS]  # after a command that there is not, commands
    assert found == OFFERED[line]


def test_every_built_in_case_can_be_completed_step_by_step() -> None:
    case = next(case.id for suite in load([built_in()]) for case in suite.cases if case.id.count("/") == 3)
    line = ""
    for step in case.split("/"):
        found = offered(f"run --case {line}{step}")
        line += step + ("/" if f"{line}{step}/" in found else "")
        assert line in found
    assert line == case


def test_what_is_offered_with_a_slash_at_its_end_is_understood() -> None:
    for name in ("mine/", "mine/a/", "mine/b/"):
        result = CliRunner().invoke(main, ["list", "--cases", "mine.yaml", "--case", name])
        assert result.exit_code == 0
        assert result.stdout.startswith(name.rstrip("/"))


def test_options_of_another_record_are_offered() -> None:
    assert offered("compare --ht") == ["--html"]
    for command in ("run", "report mine.yaml"):
        assert offered(f"{command} --base") == ["--baseline"]
