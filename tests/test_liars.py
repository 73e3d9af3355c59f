"""The built-in cases catch every liar, for the right reason, and flag no correct implementation.

The share of liars caught is the mutation score; `liars` says what they are.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liars.honest import Losses
from lossparity import suite
from lossparity.call import call
from lossparity.formats import FORMATS
from lossparity.model import Backend, Grade, Verdict
from lossparity.plans import Finding, Question
from lossparity.spec import OPERATIONS
from lossparity.target import Target, implementation
from lossparity_backends.on_numpy import Numpy

TESTS = Path(__file__).parent
BACKEND = Backend("numpy", "target")
OFFERED = ("softmax", "log_softmax", "nll_loss", "cross_entropy")
# Elements of the first argument: cases beyond are slow, and only who errs in long sums needs them to be caught.
SMALL = 1000
BOTH, VALUE, GRADIENT = ("value", "gradient"), ("value",), ("gradient",)

Found = tuple[Question, Finding]


@dataclass(frozen=True)
class Liar:
    """A liar, `module:name` in the package `liars`, and what it must be caught for.

    `clauses`: operation -> the clauses under each of which some result must fail. Nothing may fail but the
    `quantities`, `where` the lie can show, deviating in one of the `kinds` where they are stated.
    """

    name: str
    clauses: Mapping[str, str]
    where: Callable[[Question], bool]
    quantities: tuple[str, ...] = BOTH
    kinds: tuple[str, ...] = ()
    large: bool = False


def everywhere(_question: Question) -> bool:
    return True


def logits(question: Question) -> np.ndarray:
    x: np.ndarray = question.arrays[OPERATIONS[question.case.operation].first].exact()
    return x


def finite(question: Question) -> np.ndarray:
    x = logits(question)
    return x[np.isfinite(x)]


def classes(question: Question) -> int:
    x = logits(question)
    return x.shape[min(1, x.ndim - 1)]


def beyond(question: Question, size: float) -> bool:
    return bool(np.any(np.abs(finite(question)) > size))


def spread(question: Question) -> float:
    return float(np.ptp(finite(question)))


def smoothed(question: Question) -> bool:
    return float(question.case.keywords.get("label_smoothing", 0)) > 0


def weighted(question: Question) -> bool:
    return "weight" in question.arrays


def indexed(question: Question) -> bool:
    return question.arrays["target"].format not in FORMATS


def averaged(question: Question) -> bool:
    return question.case.keywords.get("reduction", "mean") == "mean"


def ignoring(question: Question) -> bool:
    return bool(np.any(question.arrays["target"].exact() == question.case.keywords.get("ignore_index", -100)))


def outside(question: Question) -> bool:
    """Whether an index is outside [0, K) and not ignored."""
    index = question.arrays["target"].exact()
    index = index[index != question.case.keywords.get("ignore_index", -100)]
    return indexed(question) and bool(np.any((index < 0) | (index >= classes(question))))


def wide(question: Question) -> bool:
    return FORMATS[question.format].bits > 16


def in_softmaxes(clauses: str) -> Mapping[str, str]:
    return dict.fromkeys(("softmax", "log_softmax", "cross_entropy"), clauses)


def in_logarithms(clauses: str) -> Mapping[str, str]:
    return dict.fromkeys(("log_softmax", "cross_entropy"), clauses)


def in_losses(clauses: str) -> Mapping[str, str]:
    return dict.fromkeys(("nll_loss", "cross_entropy"), clauses)


LIARS = [
    Liar("arithmetic:unshifted", in_softmaxes("S2 D2"), lambda q: beyond(q, 80) or bool(np.isposinf(logits(q)).any())),
    Liar("arithmetic:log_sum_exp_subtracted", in_logarithms("S9"), lambda q: beyond(q, 80), VALUE),
    Liar("arithmetic:last_class_dropped", in_softmaxes("S1 S2"), lambda q: classes(q) > 1),
    Liar(
        "arithmetic:tail_dropped",
        {"softmax": "S1", "log_softmax": "S1", "cross_entropy": "C1"},
        lambda q: classes(q) % 4 > 0,
    ),
    Liar("arithmetic:small_flushed", {"softmax": "S1", "cross_entropy": "S1"}, lambda q: spread(q) > 14),
    Liar("arithmetic:clipped", in_logarithms("S2"), everywhere, VALUE, ("finite-wrong",)),
    Liar("arithmetic:epsilon_in_logarithm", in_logarithms("S1"), everywhere, VALUE, ("finite-wrong",)),
    Liar(
        "arithmetic:summed_in_format",
        in_softmaxes("D2"),
        lambda q: not wide(q) and classes(q) > SMALL,
        large=True,
    ),
    # Below exp(-9) binary16 has fewer bits than bfloat16.
    Liar("arithmetic:coarse_exponentials", in_softmaxes("S1 S3"), lambda q: wide(q) or spread(q) > 9),
    Liar("arithmetic:computed_in_binary32", in_softmaxes("S1"), lambda q: q.format == "float64"),
    Liar(
        "arithmetic:masked_as_least",
        {"softmax": "S6", "log_softmax": "S3", "cross_entropy": "C4 C5"},
        lambda q: bool(np.isneginf(logits(q)).any()),
        VALUE,
        ("finite-wrong",),
    ),
    Liar("arithmetic:nan_replaced", in_softmaxes("S4"), lambda q: bool(np.isnan(logits(q)).any()), VALUE),
    Liar("arithmetic:twice", in_logarithms("S1 S2"), lambda q: classes(q) > 1, VALUE),
    Liar("arithmetic:mixed_at_infinity", {"log_softmax": "S5"}, lambda q: bool(np.isposinf(logits(q)).any()), VALUE),
    Liar("arithmetic:in_place", in_softmaxes("S2 S3"), wide, kinds=("modified",)),
    Liar(
        "arithmetic:classes_last",
        {"softmax": "S1", "log_softmax": "S1", "cross_entropy": "N1"},
        lambda q: logits(q).ndim > 2,
    ),
    Liar("arithmetic:logarithm_of_softmax", in_logarithms("S2"), lambda q: spread(q) > 80, VALUE, ("inf",)),
    Liar("conventions:smoothing_over_others", {"cross_entropy": "C1 C2"}, smoothed),
    Liar("conventions:smoothing_by_target_weight", {"cross_entropy": "C2"}, lambda q: smoothed(q) and weighted(q)),
    Liar("conventions:ignored_smoothed", {"cross_entropy": "N2"}, lambda q: smoothed(q) and ignoring(q)),
    Liar("conventions:smoothing_dropped", {"cross_entropy": "C1 C2"}, smoothed),
    Liar("conventions:epsilon_in_binary32", {"cross_entropy": "C1"}, lambda q: smoothed(q) and q.format == "float64"),
    Liar("conventions:weights_dropped", in_losses("N1"), weighted),
    Liar("conventions:wrapped_around", in_losses("N4"), outside, kinds=("finite-wrong", "no-raise")),
    Liar("conventions:clamped", in_losses("N4"), outside, kinds=("finite-wrong", "no-raise")),
    Liar("conventions:mean_over_rows", in_losses("N1"), lambda q: weighted(q) and averaged(q) and indexed(q)),
    Liar("conventions:ignored_counted", in_losses("N2"), lambda q: ignoring(q) and averaged(q)),
    Liar("conventions:sum_for_mean", in_losses("N1"), lambda q: averaged(q) and indexed(q)),
    Liar("conventions:gradient_undivided", in_losses("N1"), averaged, GRADIENT),
    Liar("conventions:upstream_ignored", in_losses("N1"), everywhere, GRADIENT),
    Liar(
        "conventions:zero_times_infinity", {"cross_entropy": "S3 Q2"}, lambda q: not np.isfinite(logits(q)).all(), VALUE
    ),
    Liar(
        "conventions:ignored_read",
        {"cross_entropy": "N2"},
        lambda q: ignoring(q) and not np.isfinite(logits(q)).all(),
        VALUE,
        ("nan",),
    ),
    Liar("conventions:mass_taken_for_one", {"cross_entropy": "Q1"}, lambda q: weighted(q) or not indexed(q), GRADIENT),
]
LIES = [(liar, operation) for liar in LIARS for operation in liar.clauses]
CORRECT = [
    "widened",
    "one_after_another",
    "backwards",
    "halving",
    "online",
    "rest_apart",
    "reciprocal",
    "saved",
    "own_format",
    "saved_in_format",
]


@pytest.fixture(autouse=True)
def _as_in_a_child(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a target's child may do to its own process: the import path, and NumPy's warnings switched off."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    with np.errstate(all="ignore"):
        yield


@functools.cache
def questions(operation: str) -> tuple[Question, ...]:
    """Return the built-in cases of an operation in all their formats; the reference is computed once for all."""
    cases = [case for one in suite.load([suite.built_in()]) for case in one.cases if case.operation == operation]
    return tuple(Question(case, fmt) for case in cases for fmt in case.formats)


@functools.cache
def judged(target: str, operation: str, large: bool = True) -> tuple[Found, ...]:
    """Judge a target's operation as `lossparity check` does, in this process."""
    framework: Any = Numpy("cpu")
    table = implementation(Target(f"liars.{target}.{operation}", operation))
    found: list[Found] = []
    for question in questions(operation):
        if large or logits(question).size <= SMALL:
            outcome = call(framework, table, question.request(BACKEND))
            findings = question.findings(outcome, flushed=False, threshold=Grade.LOOSE)
            found += [(question, finding) for finding in findings]
    return tuple(found)


def failures(liar: Liar, operation: str) -> list[Found]:
    return [(q, f) for q, f in judged(liar.name, operation, liar.large) if f.verdict.failing]


def text(question: Question, finding: Finding) -> str:
    used = finding.judgement.bound_used if finding.judgement else None
    bound = f", {used:.3g} times the bound" if used is not None else ""
    return f"{question.check_id(BACKEND)}#{finding.quantity}: {finding.verdict.value} {finding.kind}{bound}"


@pytest.mark.parametrize("operation", OFFERED)
def test_the_honest_base_passes_everything(operation: str) -> None:
    """What a liar fails is then its lie."""
    flagged = [text(*found) for found in judged("honest:honest", operation) if found[1].verdict is not Verdict.PASS]
    assert not flagged, "\n".join(flagged)


@pytest.mark.parametrize("operation", [name for name in OFFERED if name != "nll_loss"])
@pytest.mark.parametrize("name", CORRECT)
def test_no_correct_implementation_is_flagged(name: str, operation: str) -> None:
    """Neither failed nor left undecided, in any format, value and gradient."""
    found = judged(f"correct:{name}", operation)
    flagged = [text(*one) for one in found if one[1].verdict is not Verdict.PASS]
    assert found
    assert not flagged, "\n".join(flagged)


@pytest.mark.parametrize(("liar", "operation"), LIES, ids=lambda value: getattr(value, "name", value))
def test_a_liar_is_caught_for_its_lie(liar: Liar, operation: str) -> None:
    """Under the clauses that it breaks, and nowhere else."""
    failed = failures(liar, operation)
    expected = set(liar.clauses[operation].split())
    assert not expected - {q.case.clause for q, _ in failed}, f"{liar.name} is not caught under these clauses"
    stray = [
        text(q, f)
        for q, f in failed
        if not liar.where(q) or f.quantity not in liar.quantities or (liar.kinds and f.kind not in liar.kinds)
    ]
    assert not stray, "\n".join(stray)


def test_the_mutation_score_is_100_percent() -> None:
    survivors = [f"{liar.name}.{operation}" for liar, operation in LIES if not failures(liar, operation)]
    caught = len(LIES) - len(survivors)
    assert not survivors, f"mutation score {caught / len(LIES):.1%}; survivors: {', '.join(survivors)}"


def test_every_implementation_written_is_judged() -> None:
    """A liar left out of the table would raise the score."""
    listed = {liar.name for liar in LIARS} | {f"correct:{name}" for name in CORRECT} | {"honest:honest"}
    written = {
        f"{module}:{name}"
        for module in ("honest", "arithmetic", "conventions", "correct")
        for name, value in vars(importlib.import_module(f"liars.{module}")).items()
        if isinstance(value, Losses) and (name == "honest") == (module == "honest")
    }
    assert listed == written


def check(target: str, operation: str, record: Path, *more: str) -> subprocess.Popen[str]:
    command = ["check", target, "--operation", operation, "--record", str(record), *more]
    return subprocess.Popen(
        [sys.executable, "-c", "from lossparity.cli import main; main()", *command],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
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
    assert "FAIL weights-and-ignored/nll-weighted/reduction=mean/float64@numpy.target#value" in said
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
