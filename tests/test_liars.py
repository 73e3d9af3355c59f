"""The built-in cases catch every liar, for the right reason, and flag no correct implementation.

The share of lies caught is the mutation score; docs/mutation.md says what it is, `liars` what they are. By default
all NumPy liars are judged and the fixed set of the others, those of JAX by a sample of the questions; what is left is
marked long.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pkgutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import liars
from conftest import FRAMEWORKS, need
from liars import __main__ as score
from liars import judging
from liars.catalogue import ALL, CORRECT, FIXED, HONEST, LIARS, fixed
from liars.entries import CATEGORIES, Correct, Liar
from liars.judging import Trial, alone, flagged, judged, text, tried
from lossparity.model import Verdict
from lossparity.reference.conventions import ALTERNATIVES
from lossparity.spec import CLAUSES

TESTS = Path(__file__).parent


def default(one: Liar | Correct) -> bool:
    return not isinstance(one, Liar) or one.ci or one.framework == "numpy"


def sampled(one: Liar | Correct) -> bool:
    """Whether only a sample is asked by default: JAX compiles for each shape and format, and large cases are slow."""
    return one.framework == "jax" or (isinstance(one, Correct) and one.name != HONEST)


def each(those: list[tuple[Any, str]]) -> list[Any]:
    """Return parameters (implementation, operation, sampled): the default ones, then in full what those leave out."""
    quick = [(one, operation, sampled(one)) for one, operation in those if default(one)]
    full = [(one, operation, False) for one, operation in those if not default(one) or sampled(one)]
    name = "{0.name}.{1}".format
    return [
        *(pytest.param(*given, id=name(*given)) for given in quick),
        *(pytest.param(*given, id=f"{name(*given)}-in-full", marks=pytest.mark.long) for given in full),
    ]


LIES = [(liar, operation) for liar in LIARS for operation in liar.clauses]
RIGHT = [(one, operation) for one in CORRECT for operation in one.operations]


@pytest.mark.parametrize(("one", "operation", "few"), each(RIGHT))
def test_no_correct_implementation_is_flagged(one: Correct, operation: str, few: bool) -> None:
    """Neither failed nor left undecided, in any format, value and gradient; what the honest base fails is no lie."""
    need(one.framework)
    assert judged(one, operation, few)
    false = flagged(one, operation, few)
    assert not false, "\n".join(text(one, found) for found in false)


@pytest.mark.parametrize(("liar", "operation", "few"), each(LIES))
def test_a_liar_is_caught_for_its_lie(liar: Liar, operation: str, few: bool) -> None:
    """Under the clauses that it breaks, and nowhere else."""
    need(liar.framework)
    trial = tried(liar, operation, few)
    assert not trial.missing, f"not caught under {trial.missing}; nearest: {trial.nearest}"
    assert not trial.stray, "\n".join(text(liar, found) for found in trial.stray)


def test_every_implementation_written_is_judged() -> None:
    """A liar left out of the table would raise the score."""
    listed = {one.name for one in ALL}
    modules = []
    for name in sorted(one.name for one in pkgutil.walk_packages(liars.__path__, "liars.")):
        # A module of a framework that is not installed cannot be looked into.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            modules.append(name.removeprefix("liars."))
    written = {
        f"{module}:{name}"
        for module in modules
        for name, value in vars(importlib.import_module(f"liars.{module}")).items()
        if type(value).__name__ in ("Losses", "Kernels") and (name == "honest") == (module == "honest")
    }
    assert {name for name in listed if name.partition(":")[0] in modules} == written


def test_every_liar_names_what_is_known() -> None:
    """Categories, frameworks and clauses; what looks like a convention is one, and each stands in the table once."""
    for liar in LIARS:
        assert liar.category in CATEGORIES
        assert liar.framework in FRAMEWORKS
        assert {clause for clauses in liar.clauses.values() for clause in clauses.split()} <= set(CLAUSES)
        assert liar.cause
        assert not {cause for cause in liar.cause if "=" in cause} - set(ALTERNATIVES)
    assert max(Counter(one.name for one in ALL).values()) == 1


def test_the_fixed_set_is_of_all_kinds() -> None:
    assert 45 <= len(FIXED) <= 60
    assert {liar.category for liar in FIXED} == set(CATEGORIES)
    assert {liar.framework for liar in FIXED} == {liar.framework for liar in LIARS}
    assert fixed(LIARS, len(FIXED)) == FIXED
    assert fixed(LIARS, len(LIARS)) != LIARS
    assert set(fixed(LIARS, len(LIARS))) == set(LIARS)


def test_judging_leaves_the_process_as_it_was() -> None:
    before = [*sys.path]
    with alone():
        sys.path.insert(0, "")
    assert sys.path == before


def test_a_sample_is_the_same_every_time_and_of_every_format() -> None:
    one = next(one for one in CORRECT if one.framework == "numpy")
    asked = [question for question, _ in judged(one, "cross_entropy", True)]
    assert [question for question, _ in judged.__wrapped__(one, "cross_entropy", True)] == asked
    assert {question.format for question in asked} == {"float64", "float32", "bfloat16", "float16"}
    assert len(set(asked)) < len(judging.questions("cross_entropy"))


class TestScore:
    """`python -m liars`, on liars that are and are not what the table says."""

    @pytest.fixture
    def table(self, monkeypatch: pytest.MonkeyPatch) -> list[Liar]:
        two = [liar for liar in LIARS if liar.name in ("conventions:sum_for_mean", "conventions:clamped")]
        monkeypatch.setattr(score, "LIARS", tuple(two))
        monkeypatch.setattr(score, "CORRECT", tuple(one for one in CORRECT if one.name == HONEST))
        return two

    @pytest.mark.usefixtures("table")
    def test_all_caught_is_100_percent_and_status_0(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert score.main([]) == 0
        said = capsys.readouterr().out
        assert "semantics              2     2  100.0%" in said
        assert "robustness             2     2  100.0%" in said
        assert "together               4     4  100.0%" in said
        assert "1 correct implementations, 0 flagged" in said

    def test_a_survivor_is_named_with_what_it_was_nearest_to(
        self, table: list[Liar], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        honest = Liar(HONEST, "values", ("negated",), {"softmax": "S1"}, lambda _: True)
        monkeypatch.setattr(score, "LIARS", (*table, honest))
        assert score.main(["--framework", "numpy"]) == 1
        said = capsys.readouterr().out
        assert "together               4     5   80.0%" in said
        assert f"survivor {HONEST}.softmax: not caught under S1; nearest: " in said
        assert "times the bound" in said

    def test_a_liar_that_fails_elsewhere_is_named(
        self, table: list[Liar], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        liar = Liar(table[0].name, "values", ("mean=sum",), {"nll_loss": "N1"}, lambda _: True, ("gradient",))
        monkeypatch.setattr(score, "LIARS", (liar,))
        assert score.main(["--category", "values"]) == 1
        said = capsys.readouterr().out
        assert f"elsewhere {liar.name}.nll_loss: fails what is not its lie: " in said
        assert "#value: fail" in said

    def test_a_false_alarm_is_named_with_the_simplest_check(
        self, table: list[Liar], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(score, "CORRECT", (Correct(table[0].name, ("nll_loss",)),))
        assert score.main([]) == 1
        said = capsys.readouterr().out
        assert "1 correct implementations, 1 flagged" in said
        assert f"false alarm {table[0].name}.nll_loss: " in said

    @pytest.mark.usefixtures("table")
    def test_nothing_judged_is_status_3(self) -> None:
        assert score.main(["--category", "state"]) == 3

    def test_jax_answers_a_sample_unless_all_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def noted(one: Liar, operation: str, sampled: bool) -> Trial:
            asked.append((one.framework, sampled))
            return Trial(one, operation, (), (), None)

        monkeypatch.setattr(score, "tried", noted)
        monkeypatch.setattr(score, "CORRECT", ())
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
        assert score.main([]) == 0
        assert set(asked) == {(name, name == "jax") for name in score.FRAMEWORKS}
        asked.clear()
        assert score.main(["--in-full"]) == 0
        assert set(asked) == {(name, False) for name in score.FRAMEWORKS}

    @pytest.mark.usefixtures("table")
    def test_an_absent_framework_asked_for_by_name_is_status_3(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
        assert score.main(["--framework", "torch"]) == 3
        assert score.main([]) == 3


def check(target: str, operation: str, record: Path, *more: str) -> subprocess.Popen[str]:
    command = ["check", target, "--operation", operation, "--record", str(record), *more]
    return subprocess.Popen(
        [sys.executable, "-c", "from lossparity.cli import main; main()", *command],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_check_condemns_a_liar(tmp_path: Path) -> None:
    """It exits with 1 and names clause, result and exact value."""
    target = "liars.conventions:mean_over_rows.nll_loss"
    process = check(target, "nll_loss", tmp_path / "run.jsonl", "--format", "float64")
    said, error = process.communicate(timeout=120)
    assert process.returncode == 1, error
    assert "FAIL nll-loss/weighted/reduction=mean/float64@numpy.target#value" in said
    assert "clause N1" in said
    assert "got 1.375, exact 0.61111111111111" in said
    assert f'"{Verdict.FAIL.value}"' in (tmp_path / "run.jsonl").read_text(encoding="utf-8")


def test_check_acquits_the_honest_in_a_process_of_its_own(tmp_path: Path) -> None:
    """It exits with 0, and the target's file is imported once, by the child alone."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import os, pathlib\n"
        "from liars.honest import honest\n"
        "with pathlib.Path(__file__).with_suffix('.pids').open('a') as pids:\n"
        "    print(os.getpid(), file=pids)\n"
        "softmax = honest.softmax\n",
        encoding="utf-8",
    )
    process = check(f"{file}:softmax", "softmax", tmp_path / "run.jsonl", "--case", "worked-example")
    said, error = process.communicate(timeout=120)
    assert process.returncode == 0, said + error
    (child,) = file.with_suffix(".pids").read_text(encoding="utf-8").split()
    assert int(child) not in (process.pid, os.getpid())
