"""The probe measures what an adapter's arithmetic is, whatever it declares, and doctor holds both together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from conftest import FRAMEWORKS, need
from lossparity import doctor
from lossparity.call import call
from lossparity.cli import main
from lossparity.formats import FORMATS, Array
from lossparity.framework import COMPOSED, Entry
from lossparity.model import Crashed, Declined, Outcome, Produced, Raised, Request, TimedOut
from lossparity.probe import Assumed, Trait, probe
from lossparity.registry import registered
from lossparity.workers import Worker, WorkerStopped
from lossparity_backends.on_numpy import Numpy
from test_registry import distribution

K = 1 << 20
ULPS = {"float64": 2.0, "float32": 4.0, "bfloat16": 1.0, "float16": 1.0}
ASSUMED = Assumed(ULPS, ULPS, {"float64": 4, "float32": 8})
GRADUAL, FLUSHED = {"subnormals": "gradual"}, {"subnormals": "flushed"}
SUBNORMALS, SUM, EXP, LOG = "subnormals", "sum of 2^20 terms", "exp, worst ulp", "log, worst ulp"

Ask = Callable[[Request], Outcome]
Function = Callable[..., Any]


def measured(ask: Ask, declared: Mapping[str, str] = GRADUAL) -> dict[str, Trait]:
    return {trait.name: trait for trait in probe(ask, declared, ASSUMED)}


def wrong(traits: Mapping[str, Trait]) -> dict[str, list[str]]:
    return {name: trait.wrong for name, trait in traits.items() if trait.wrong}


def numpy_with(variant: str = "", **functions: Function) -> Ask:
    """Answer as the NumPy adapter, some of its functions replaced."""
    framework = Numpy("cpu")
    tables = {name: dict(table) for name, table in framework.implementations.items()}
    tables[variant].update({name: (Entry(f, "", COMPOSED),) for name, f in functions.items()})
    return lambda request: call(framework, tables[request.variant], request)


def library(operation: str) -> Function:
    return Numpy("cpu").implementations[""][operation][0].function


def unanswered(_request: Request) -> Outcome:
    return Declined("not asked here")


def summing(ask: Ask) -> Ask:
    """Pass on what the sums are measured by, and nothing else: it is what takes long."""
    return lambda request: ask(request) if request.arrays["logits"].shape == (1, K) else unanswered(request)


def without_sums(ask: Ask) -> Ask:
    return lambda request: unanswered(request) if request.arrays["logits"].shape == (1, K) else ask(request)


@pytest.fixture(params=FRAMEWORKS)
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """A worker of each framework."""
    need(request.param)
    one = Worker(registered()[request.param].adapter, "cpu", 120.0)
    assert one.wait_ready(), one.unavailable
    yield one
    one.close()


def test_every_framework_is_as_it_declares_and_as_bounds_assume(worker: Worker) -> None:
    traits = measured(worker.ask, worker.details)
    assert wrong(traits) == {}
    assert list(traits) == [SUBNORMALS, SUM, EXP, LOG]
    said = "; ".join(entry for trait in traits.values() for entry in trait.found)
    assert "not measured" not in said
    for trait in (EXP, LOG):
        assert [entry.split()[0] for entry in traits[trait].found] == list(FORMATS)
    assert traits[SUBNORMALS].found[-1] == f"{worker.details['subnormals']} declared"


def test_what_numpy_is_seen_to_do() -> None:
    traits = measured(numpy_with())
    assert traits[SUBNORMALS].found == [f"{fmt} gradual" for fmt in FORMATS] + ["gradual declared"]
    # Blocks of 128 in 8 serial sums of 16, and then halving: NumPy's pairwise summation.
    for entry in traits[SUM].found:
        assert "height about 2" in entry or "height about 3" in entry
        assert "then a tree" in entry
    # Without an accuracy of its own, a 16-bit format shows half an ulp: computed in binary32, rounded once.
    assert traits[EXP].found[2:] == [
        "bfloat16 0.50 alone, 0.50 in softmax, 1 assumed",
        "float16 0.50 alone, 1 assumed",
    ]


# Subnormals.


def flushing(*formats: str) -> Ask:
    def softmax(x: Any) -> Any:
        p = library("softmax")(x)
        fmt = Numpy("cpu").to_numpy(p).format
        return np.where(np.abs(p) < FORMATS[fmt].smallest_normal, p.dtype.type(0), p) if fmt in formats else p

    return without_sums(numpy_with(softmax=softmax))


@pytest.mark.parametrize("fmt", ["float64", "float32", "bfloat16"])
def test_flushing_that_is_not_declared_is_found(fmt: str) -> None:
    traits = measured(flushing(fmt))
    assert f"{fmt} flushed" in traits[SUBNORMALS].found
    assert wrong(traits) == {SUBNORMALS: [f"{fmt} is flushed, gradual is declared"]}
    assert traits[SUBNORMALS].basis == "declared"
    assert wrong(measured(flushing(fmt), FLUSHED)) == {}, "some formats may be gradual where flushed is declared"


def test_flushing_in_one_place_of_a_row_is_enough() -> None:
    def softmax(x: Any) -> Any:
        p = library("softmax")(x)
        p[:, -1] = np.where(p[:, -1] < np.finfo(np.float32).tiny, 0, p[:, -1]) if p.dtype == np.float32 else p[:, -1]
        return p

    assert wrong(measured(without_sums(numpy_with(softmax=softmax)))) == {
        SUBNORMALS: ["float32 is flushed, gradual is declared"]
    }


def test_flushing_of_binary16_is_covered_by_no_declaration() -> None:
    said = {SUBNORMALS: ["float16 is flushed; whatever is declared, bounds take it to be gradual"]}
    assert wrong(measured(flushing(*FORMATS), FLUSHED)) == said


def test_flushing_that_is_declared_and_does_not_occur_is_found() -> None:
    (said,) = wrong(measured(without_sums(numpy_with()), FLUSHED))[SUBNORMALS]
    assert said.startswith("nothing is flushed, flushed is declared")


@pytest.mark.parametrize("declared", [{}, {"subnormals": "perhaps"}])
def test_an_adapter_has_to_declare_one_or_the_other(declared: Mapping[str, str]) -> None:
    (said,) = wrong(measured(without_sums(numpy_with()), declared))[SUBNORMALS]
    assert said == f"{declared.get('subnormals', 'nothing')} is declared, where `gradual` or `flushed` is to be"


def test_a_result_that_is_neither_is_found() -> None:
    ask = without_sums(numpy_with(softmax=lambda x: np.maximum(library("softmax")(x), x.dtype.type(2.0**-14))))
    assert "float32 is neither, gradual is declared" in wrong(measured(ask))[SUBNORMALS]


# Sums: each is given exponentials of one row, and adds them up in its own order.


def one_by_one(e: Any) -> Any:
    return np.add.accumulate(e)[-1]


def in_lanes(n: int) -> Function:
    return lambda e: one_by_one(np.add.accumulate(e.reshape(-1, n), axis=0)[-1])


def in_runs(n: int, then: Function) -> Function:
    return lambda e: then(np.add.accumulate(e.reshape(-1, n), axis=1)[:, -1])


def halving(e: Any) -> Any:
    while e.size > 1:
        e = e[0::2] + e[1::2]
    return e[0]


def wider(e: Any) -> Any:
    return np.sum(e, dtype=np.longdouble).astype(e.dtype)


def in_three_levels(e: Any) -> Any:
    return in_runs(128, in_runs(128, one_by_one))(e)


TREES: dict[str, tuple[Function, int, str]] = {
    "one by one": (one_by_one, K - 1, "one by one"),
    "4 lanes": (in_lanes(4), K // 4 + 2, "4 lanes"),
    "8 lanes": (in_lanes(8), K // 8 + 6, "8 lanes"),
    "64 lanes": (in_lanes(64), K // 64 + 62, "64 lanes"),
    "halving": (halving, 20, "then a tree"),
    "runs": (in_runs(1024, halving), 1023 + 10, "then a tree"),
    "runs of runs": (in_runs(1024, one_by_one), 2 * 1023, "runs of runs"),
    "three levels": (in_three_levels, 2 * 127 + 63, "runs of runs"),
}
SERIAL = {"float32": ("one by one", "4 lanes"), "float64": ("one by one",)}


def by(total: Function, fmt: str) -> Ask:
    """Answer what sums are measured by in one format, with log-softmaxes whose sums are `total`'s."""

    def log_softmax(x: Any) -> Any:
        d = x - np.max(x)
        return d - np.log(total(np.exp(d[0])))

    ask = numpy_with(log_softmax=log_softmax)
    return summing(lambda request: ask(request) if request.format == fmt else unanswered(request))


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("fmt", SERIAL)
def test_the_height_of_a_sum_is_seen_and_too_high_a_one_is_found(fmt: str, name: str) -> None:
    total, height, shape = TREES[name]
    trait = measured(by(total, fmt))[SUM]
    (entry,) = [e for e in trait.found if "not asked here" not in e]
    assert entry.startswith(f"{fmt} height about ") and shape in entry
    assert abs(int(entry.split()[3]) - height) <= max(12, height // 10), entry
    if name in SERIAL[fmt]:
        (said,) = trait.wrong
        assert said.startswith(f"{fmt} is summed at a height of about ")
        assert said.endswith(f"({shape}), tight assumes {K // 8 + 3 if fmt == 'float32' else K // 4 + 2}")
        assert trait.basis == "assumed"
    else:
        assert trait.wrong == []


def test_a_sum_in_a_wider_format_has_no_height() -> None:
    found = measured(by(wider, "float32"))[SUM].found
    assert "float32 height about 0 (summed in a wider format), tight assumes 131075" in found


# exp and log.


def off(function: str, factor: float, dtype: type[Any], *, below: float = np.inf) -> Function:
    def altered(x: Any) -> Any:
        y = library(function)(x)
        return y * y.dtype.type(factor) if x.dtype == dtype and np.min(x) < below else y

    return altered


def test_an_exp_that_is_far_off_is_found() -> None:
    ask = without_sums(numpy_with(exp=off("exp", 1 + 2.0**-18, np.float32)))
    (said,) = wrong(measured(ask))[EXP]
    assert said.startswith("float32 exp is 6") and said.endswith(" ulp off alone, at most 4 is assumed"), said


def test_an_exp_that_is_far_off_only_within_softmax_is_found() -> None:
    ask = without_sums(numpy_with(softmax=off("softmax", 1 + 2.0**-48, np.float64)))
    (said,) = wrong(measured(ask))[EXP]
    assert said.startswith("float64 exp is 3") and said.endswith(" ulp off in softmax, at most 2 is assumed"), said


def test_an_exp_of_a_16_bit_format_that_is_off_in_one_number_is_found() -> None:
    def exp(x: Any) -> Any:
        y = library("exp")(x)
        return np.where(x == 5.5, y * x.dtype.type(1.01), y) if x.dtype == np.float16 else y

    (said,) = wrong(measured(without_sums(numpy_with(exp=exp))))[EXP]
    assert said.startswith("float16 exp is ") and "alone" in said


def test_a_log_that_is_far_off_is_found_by_hand_and_in_the_library() -> None:
    in_library = without_sums(numpy_with(log_softmax=off("log_softmax", 1 + 2.0**-20, np.float32)))
    (said,) = wrong(measured(in_library))[LOG]
    assert said.startswith("float32 log is 1") and "in log_softmax" in said, said
    hand = Numpy("cpu").implementations["manual"]["log_softmax"][0].function

    def log(x: Any) -> Any:
        return hand(x) * (1 - 2.0**-50) if x.dtype == np.float64 else hand(x)

    (said,) = wrong(measured(without_sums(numpy_with("manual", log_softmax=log))))[LOG]
    assert said.startswith("float64 log is ") and "alone" in said, said


def test_nan_is_infinitely_far_off() -> None:
    ask = without_sums(numpy_with(exp=lambda x: np.where(x == np.max(x), x.dtype.type(np.nan), library("exp")(x))))
    assert [said.split(" off")[0] for said in wrong(measured(ask))[EXP]] == [f"{fmt} exp is inf ulp" for fmt in FORMATS]


# What cannot be measured is said, and is not held against anyone.

ANSWERS: dict[str, tuple[Outcome, str]] = {
    "declined": (Declined("no such format"), "no such format"),
    "raised": (Raised("ValueError", "no"), "raised ValueError: no"),
    "crashed": (Crashed("killed by SIGSEGV"), "crashed: killed by SIGSEGV"),
    "timed out": (TimedOut(60.0), "gave no answer in 60 s"),
    "of another shape": (Produced(Array.of([1.0], "float64"), None, "", "", True), "gave the shape [1] for ["),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_format_that_is_not_answered_is_named_with_the_reason(name: str) -> None:
    outcome, reason = ANSWERS[name]
    real = numpy_with()

    def ask(request: Request) -> Outcome:
        return outcome if request.format == "bfloat16" else real(request)

    traits = measured(without_sums(ask))
    assert [t for t in (SUBNORMALS, EXP, LOG) if wrong(traits).get(t)] == []
    for trait in (SUBNORMALS, EXP, LOG):
        (entry,) = [e for e in traits[trait].found if e.startswith("bfloat16 ")]
        assert "not measured" in entry and reason in entry
        assert all("not measured" not in e for e in traits[trait].found if not e.startswith("bfloat16 "))


def test_a_worker_that_is_not_asked_any_more_is_named_with_the_reason() -> None:
    def ask(_request: Request) -> Outcome:
        raise WorkerStopped("stopped after 5 like deaths in a row: exit status 7")

    traits = measured(ask)
    assert wrong(traits) == {}
    for trait in traits.values():
        entries = [entry for entry in trait.found if entry != "gradual declared"]
        assert entries and all("not measured" in e and "like deaths in a row" in e for e in entries)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -5.0, 0.5])
def test_a_sum_that_makes_no_sense_is_not_measured(value: float) -> None:
    traits = measured(summing(numpy_with(log_softmax=lambda x: np.full_like(x, value))))
    assert wrong(traits) == {}
    assert all("not measured (log_softmax gave " in entry for entry in traits[SUM].found)


# Doctor, with a lying adapter in a process of its own.

LIARS = """
import numpy as np
from lossparity.framework import COMPOSED, Entry
from lossparity_backends.on_numpy import Numpy

def serial(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return x - np.max(x, axis=1, keepdims=True) - np.log(np.add.accumulate(e, axis=1)[:, -1:])

def flushed(x):
    p = BASE["softmax"][0].function(x)
    return np.where(p < np.finfo(np.float32).tiny, np.float32(0), p) if x.dtype == np.float32 else p

def coarse(x):
    return np.exp(x) * x.dtype.type(1 + 2.0**-18) if x.dtype == np.float32 else np.exp(x)

def summed(x):
    return serial(x) if x.dtype == np.float32 and x.shape[1] > 4096 else BASE["log_softmax"][0].function(x)

BASE = Numpy("cpu").implementations[""]

class Liar(Numpy):
    name = "liar"

    @property
    def implementations(self):
        lies = {"softmax": flushed, "exp": coarse, "log_softmax": summed}
        return {**super().implementations, "": {**BASE, **{n: (Entry(f, n, COMPOSED),) for n, f in lies.items()}}}
"""


@pytest.fixture
def liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed backend `liar` whose adapter declares NumPy's traits and has others; NumPy beside it."""
    distribution(tmp_path, "liar = liar:Liar", "liar-backends")
    (tmp_path / "liar.py").write_text(LIARS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def doctored(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], *arguments: str) -> tuple[int, list[str]]:
    chosen = {name: entry for name, entry in registered().items() if name in names}
    assert len(chosen) == len(names)
    monkeypatch.setattr(doctor, "registered", lambda: chosen)
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.stdout.splitlines()


@pytest.mark.usefixtures("liar")
def test_doctor_finds_out_an_adapter_that_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    status, lines = doctored(monkeypatch, ("numpy", "liar"))
    assert status == 1
    start = lines.index("liar: ready")
    assert not [line for line in lines[:start] if "NOT as" in line], "NumPy does not lie"
    declared, summed, exp = [line for line in lines[start:] if "NOT as" in line]
    assert declared == "  NOT as declared: float32 is flushed, gradual is declared"
    assert summed.startswith("  NOT as assumed: float32 is summed at a height of about 104857")
    assert summed.endswith("(one by one), tight assumes 131075")
    assert exp.startswith("  NOT as assumed: float32 exp is 6")
    assert sum(line.startswith("  measured ") for line in lines) == 8


@pytest.mark.usefixtures("liar")
def test_doctor_takes_its_word_without_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    status, lines = doctored(monkeypatch, ("liar",), "--no-probe")
    assert status == 0
    assert "liar: ready" in lines and "  subnormals: gradual" in lines
    assert not [line for line in lines if "measured" in line or "NOT as" in line]


def test_doctor_is_content_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    status, lines = doctored(monkeypatch, ("numpy",))
    assert status == 0
    assert [line.split(":")[0] for line in lines if line.startswith("  measured ")] == [
        f"  measured {name}" for name in (SUBNORMALS, SUM, EXP, LOG)
    ]
