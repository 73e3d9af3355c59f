"""A run: every verdict's exit status, a record that accounts for every check, and nothing lost when a worker dies."""

from __future__ import annotations

import dataclasses
import gc
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from lossparity.errors import UsageError
from lossparity.judge import BINS
from lossparity.judged import Summary
from lossparity.known import Deviation
from lossparity.model import Backend, Case, Grade, Outcome, Request, Verdict
from lossparity.plans import Question
from lossparity.record import Choice, NotTested, Record, Result, Writer, read
from lossparity.runner import UNTAGGED, Run, run, workers_for
from lossparity.sharding import Shard
from lossparity.target import Target
from lossparity.target.supports import NOT_DECLARED
from lossparity.workers import Worker
from test_registry import distribution

# What the target does is chosen by the first logit.
TARGET = r"""
import os, time
import numpy as np

def right(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

def softmax(x):
    fate = x.flat[0]
    if fate == 1: return right(x) + 0.1
    if fate == 2: raise ValueError("no")
    if fate == 3: os._exit(7)
    if fate == 4: time.sleep(1000)
    if fate == 5: return right(x) * np.nan
    if fate == 6: raise NotImplementedError("not yet")
    if fate == 7: x[0, 1] = 5
    if fate == 8: return right(x).astype(np.float32)
    return right(x)
"""
RIGHT, WRONG, RAISES, DIES, HANGS, NAN, DECLINES, MODIFIES, NARROWS = range(9)


def case(name: str, first: float, **changes: Any) -> Case:
    fields: dict[str, Any] = {
        "id": f"fates/{name}",
        "suite": "fates",
        "about": "",
        "clause": "S1",
        "operation": "softmax",
        "inputs": {"logits": ((first, 0.5),)},
        "keywords": {},
        "formats": ("float64",),
        "gradient": False,
        "one_of": (),
        "published": None,
        "source": "fates.yaml:1:1",
    }
    return Case(**{**fields, **changes})


def cases(*fates: float) -> list[Case]:
    return [case(f"{number}-{fate}", fate) for number, fate in enumerate(fates)]


@dataclasses.dataclass
class Ran:
    """A run that is over: its summary, and its record as it was read again."""

    summary: Summary
    record: Record
    progress: list[tuple[int, int]]

    @property
    def verdicts(self) -> list[str]:
        return [result.verdict for result in self.record.results]


def ran(tmp_path: Path, chosen: Sequence[Case], backends: Sequence[str] = ("numpy.target",), **changes: Any) -> Ran:
    target = tmp_path / "target.py"
    if not target.exists():
        target.write_text(TARGET)
    told: list[tuple[int, int]] = []
    plan = Run([Backend.parse(name) for name in backends], chosen, **changes)
    if "numpy.target" in backends:
        plan = dataclasses.replace(plan, target=Target(f"{target}:softmax", "softmax"))
    with Writer(tmp_path / "run.jsonl") as writer:
        summary = run(plan, writer, lambda done, total, _: told.append((done, total)))
    return Ran(summary, read(tmp_path / "run.jsonl"), told)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run through every fate, on three backends."""
    chosen = cases(RIGHT, WRONG, RAISES, DIES, NAN, DECLINES, MODIFIES, NARROWS, HANGS, RIGHT)
    backends = ("numpy", "numpy.target", "numpy.manual")
    return ran(tmp_path_factory.mktemp("every"), chosen, backends, timeout=2.0, command="lossparity check 'it'")


def test_every_fate_has_its_verdict_and_the_others_are_judged_all_the_same(every: Ran) -> None:
    of = {
        b: [r.verdict for r in every.record.results if r.backend == b]
        for b in ("numpy", "numpy.target", "numpy.manual")
    }
    assert of["numpy"] == ["pass"] * 10
    assert of["numpy.manual"] == ["pass"] * 10
    fates = ["pass", "fail", "error", "crash", "fail", "unsupported", "fail", "fail", "timeout", "pass"]
    assert of["numpy.target"] == fates


def test_the_cause_of_every_failure_is_recorded(every: Ran) -> None:
    said = [(r.cause, r.message) for r in every.record.results if r.backend == "numpy.target"]
    assert re.fullmatch(r"ValueError: no \(\S*target\.py:12\)", said[2][1])
    assert said[3] == ("crash", "exit status 7")
    assert said[4][0] == "nan"
    assert said[5] == ("", "not yet")
    assert said[6] == ("modified", "the inputs were modified (clause M6)")
    assert said[7] == ("format", "format float32 instead of float64: it was narrowed on the way")
    assert said[8][0] == "timeout"
    assert "no answer in 2 s" in said[8][1]


def test_the_record_has_its_header_first_and_its_footer_last(every: Ran) -> None:
    record = every.record
    assert record.complete
    assert record.header.command == "lossparity check 'it'"
    assert record.header.threshold == "loose"
    assert len(record.header.suite_hash) == 64
    assert [e.name for e in record.environments] == ["numpy"]
    assert record.environments[0].details["numpy"] == np.__version__
    assert record.footer is not None
    assert record.footer.exit_code == every.summary.exit_code == 1


def test_choices_are_in_the_footer_by_clause_and_backend(tmp_path: Path) -> None:
    inf, masked = ((np.inf, 0.0),), ((-np.inf, -np.inf),)
    open_ = [
        case("inf", 0, clause="S5", inputs={"logits": inf}, one_of=("limit", "nan"), gradient=True),
        case("log", 0, clause="S5", operation="log_softmax", inputs={"logits": inf}, one_of=("nan", "limit")),
        case("masked", 0, clause="S6", inputs={"logits": masked}, one_of=("nan", "masked")),
        case("plain", 0),
    ]
    got = ran(tmp_path, open_, ("numpy", "numpy.target"))
    assert got.record.footer is not None
    assert got.record.footer.choices == [
        Choice("S5", "numpy", {"nan": 2}),
        Choice("S5", "numpy.target", {"nan": 1}),
        Choice("S6", "numpy", {"nan": 1}),
        Choice("S6", "numpy.target", {"nan": 1}),
    ], [(r.check, r.verdict, r.choice, r.message) for r in got.record.results]


def test_check_and_quantity_are_the_key_of_a_result(every: Ran) -> None:
    keys = Counter((r.check, r.quantity) for r in every.record.results)
    assert set(keys.values()) == {1}
    assert len(keys) == 30


def test_the_counts_are_those_of_the_results(every: Ran) -> None:
    assert every.record.footer is not None
    assert every.record.footer.results == Counter(every.verdicts)
    assert {v.value: n for v, n in every.summary.counts.items()} == Counter(every.verdicts)
    assert [r.check for r in every.summary.failures] == [
        r.check for r in every.record.results if r.verdict in ("fail", "error", "crash", "timeout")
    ]
    assert every.summary.judged == 29
    assert every.summary.unsupported == {"not yet": 1}
    assert [*every.summary.must.values()] == [(10, 10), (10, 9), (10, 10)]
    assert every.summary.origins["target", Verdict.PASS] == 2


def test_every_result_has_its_case_line(every: Ran) -> None:
    described = [(c.id, c.format) for c in every.record.cases]
    assert len(described) == len(set(described)) == 10
    assert {(r.case, r.format) for r in every.record.results} == set(described)
    assert {r.input_hash for r in every.record.results} == {c.input_hash for c in every.record.cases}


def test_a_failure_carries_what_it_got_and_what_is_exact(every: Ran) -> None:
    wrong = next(r for r in every.record.results if r.check.startswith("fates/1-1") and r.backend == "numpy.target")
    assert wrong.got is not None
    assert wrong.worst is not None
    got, exact = ([float.fromhex(v) for v in values] for values in (wrong.got.got, wrong.got.exact))
    assert np.allclose(np.array(got) - np.array(exact), 0.1, atol=1e-15)
    assert float.fromhex(wrong.worst.got) == got[wrong.worst.index[1]]


def test_a_judged_result_counts_its_elements_by_their_error_and_no_other_has_any(every: Ran) -> None:
    counted = {r.check.split("/")[1].split("-")[1]: r for r in every.record.results if r.backend == "numpy.target"}
    bins = len(BINS) + 1
    assert counted[str(RIGHT)].histogram == [2] + [0] * (bins - 1)
    for fate in (WRONG, NAN):  # 0.1 of 0.5, and another class
        assert counted[str(fate)].histogram == [0] * (bins - 1) + [2]
    for fate in (RAISES, DIES, HANGS, DECLINES, MODIFIES, NARROWS):
        assert counted[str(fate)].histogram == []


def test_progress_is_told_to_the_end(every: Ran) -> None:
    assert every.progress == [(3 * n, 30) for n in range(1, 11)]


@pytest.mark.parametrize("beside", [("numpy",), ()])
def test_five_like_deaths_stop_the_backend_and_the_rest_is_not_tested(tmp_path: Path, beside: tuple[str, ...]) -> None:
    got = ran(tmp_path, cases(RIGHT, *[DIES] * 6, RIGHT, RIGHT), (*beside, "numpy.target"))
    assert [r.verdict for r in got.record.results if r.backend == "numpy.target"] == ["pass", *["crash"] * 5]
    assert [r.verdict for r in got.record.results if r.backend == "numpy"] == ["pass"] * 9 * len(beside)
    assert got.record.footer is not None
    reason = "stopped after 5 like deaths in a row: exit status 7"
    assert got.record.footer.not_tested == [NotTested("numpy.target", reason, 3)]
    assert got.summary.exit_code == 1


def test_a_worker_that_does_not_start_again_leaves_the_rest_not_tested(tmp_path: Path) -> None:
    once = (
        "import pathlib\nflag = pathlib.Path(__file__ + '.flag')\nassert not flag.exists(), 'once only'\nflag.touch()\n"
    )
    (tmp_path / "target.py").write_text(once + TARGET)
    got = ran(tmp_path, cases(RIGHT, DIES, RIGHT, RIGHT))
    assert got.verdicts == ["pass", "crash"]
    assert got.record.footer is not None
    (left,) = got.record.footer.not_tested
    assert (left.what, left.checks) == ("numpy.target", 2)
    assert "fails when it is imported: AssertionError: once only" in left.reason


KNOWN = Deviation("numpy.target/a", ("numpy.target",), ("fates/*#value",), "nan", ">=1", "It divides by zero.", "a:b")


@pytest.mark.parametrize(
    ("fate", "changes", "verdict", "code"),
    [
        (RIGHT, {}, "pass", 0),
        (RIGHT, {"threshold": Grade.EXACT}, "pass", 0),
        (WRONG, {}, "fail", 1),
        (RAISES, {}, "error", 1),
        (DIES, {}, "crash", 1),
        (NARROWS, {}, "fail", 1),
        (MODIFIES, {}, "fail", 1),
        (DECLINES, {}, "unsupported", 3),
        (NAN, {"known": [KNOWN]}, "known", 0),
        (NAN, {"known": [KNOWN], "strict_known": True}, "known", 0),
        (WRONG, {"known": [KNOWN]}, "fail", 1),
        (RIGHT, {"known": [KNOWN]}, "stale", 0),
        (RIGHT, {"known": [KNOWN], "strict_known": True}, "stale", 1),
        (NAN, {"known": [dataclasses.replace(KNOWN, versions="<1")]}, "fail", 1),
    ],
)
def test_a_verdict_has_its_exit_status(tmp_path: Path, fate: int, changes: Any, verdict: str, code: int) -> None:
    got = ran(tmp_path, cases(fate), **changes)
    assert (got.verdicts, got.summary.exit_code) == ([verdict], code)
    assert got.record.footer is not None
    assert got.record.footer.exit_code == code


def test_a_known_deviation_speaks_by_its_reason(tmp_path: Path) -> None:
    (result,) = ran(tmp_path, cases(NAN), known=[KNOWN]).record.results
    assert (result.deviation, result.message) == ("numpy.target/a", "It divides by zero. (a:b)")


def test_min_grade_raises_the_threshold(tmp_path: Path) -> None:
    # Three roundings where one is possible: some element of these is not the nearest number.
    logits = tuple(tuple(0.1 * (i * 7 + j) for j in range(7)) for i in range(7))
    chosen = [case("rounding", 0, inputs={"logits": logits})]
    assert ran(tmp_path, chosen).summary.exit_code == 0
    got = ran(tmp_path, chosen, threshold=Grade.EXACT)
    assert got.summary.exit_code == 1
    assert got.record.header.threshold == "exact"
    assert "is below the threshold exact" in got.record.results[0].message


def result(verdict: Verdict, clause: str = "S1", grade: str = "") -> Result:
    return Result("c/f@b", "value", "c", clause, "", "softmax", "b", "float64", verdict.value, "produced", grade=grade)


@pytest.mark.parametrize(
    ("verdicts", "missing", "changes", "code"),
    [
        ([Verdict.PASS], [], {}, 0),
        ([Verdict.PASS, Verdict.UNSUPPORTED], [], {}, 0),
        ([Verdict.PASS, Verdict.UNDECIDED], [], {}, 0),
        ([Verdict.PASS, Verdict.UNDECIDED], [], {"strict_undecided": True}, 1),
        ([Verdict.PASS, Verdict.STALE], [], {}, 0),
        ([Verdict.PASS, Verdict.STALE], [], {"strict_known": True}, 1),
        ([Verdict.PASS, Verdict.KNOWN], [], {"strict_known": True, "strict_undecided": True}, 0),
        ([Verdict.PASS, Verdict.FAIL], [], {}, 1),
        ([Verdict.PASS, Verdict.ERROR], [], {}, 1),
        ([Verdict.PASS, Verdict.CRASH], [], {}, 1),
        ([Verdict.PASS, Verdict.TIMEOUT], [], {}, 1),
        ([Verdict.PASS], ["torch:cuda"], {}, 0),
        ([Verdict.PASS], ["torch:cuda"], {"named": frozenset({"torch:cuda"})}, 3),
        ([Verdict.FAIL], ["torch:cuda"], {"named": frozenset({"torch:cuda"})}, 3),
        ([], [], {}, 3),
        ([Verdict.UNSUPPORTED, Verdict.UNAVAILABLE], [], {}, 3),
        ([Verdict.UNDECIDED], [], {}, 0),
    ],
)
def test_the_exit_status_of_a_run(verdicts: list[Verdict], missing: list[str], changes: Any, code: int) -> None:
    summary = Summary(missing=missing)
    for verdict in verdicts:
        summary.add(result(verdict))
    summary.finish(**{"named": frozenset(), "strict_known": False, "strict_undecided": False, **changes})
    assert summary.exit_code == code


def test_coverage_counts_must_clauses_alone() -> None:
    summary = Summary()
    for verdict, clause in ((Verdict.PASS, "S1"), (Verdict.UNSUPPORTED, "S1"), (Verdict.UNSUPPORTED, "C3")):
        summary.add(result(verdict, clause))
    assert [*summary.must.values()] == [(2, 1)]


def test_coverage_does_not_count_what_a_function_is_not_declared_for() -> None:
    summary = Summary()
    for message in ("no such keyword", NOT_DECLARED):
        summary.add(msgspec.structs.replace(result(Verdict.UNSUPPORTED), message=message))
    summary.add(result(Verdict.PASS))
    assert [*summary.must.values()] == [(2, 1)]


def test_weak_passes_are_counted() -> None:
    summary = Summary()
    for verdict, grade in ((Verdict.PASS, "loose"), (Verdict.PASS, "tight"), (Verdict.FAIL, "loose")):
        summary.add(result(verdict, grade=grade))
    assert summary.weak == 1


@pytest.mark.parametrize(
    ("backends", "named", "code"),
    [
        (("numpy", "numpy:cuda"), {"numpy:cuda"}, 3),
        (("numpy", "numpy:cuda"), set(), 0),
        (("numpy:cuda",), set(), 3),
    ],
)
def test_a_device_that_is_absent_is_not_tested_and_the_others_are(
    tmp_path: Path, backends: tuple[str, ...], named: set[str], code: int
) -> None:
    got = ran(tmp_path, cases(RIGHT, RIGHT), backends, named=frozenset(named))
    assert got.summary.exit_code == code
    assert got.verdicts == ["pass"] * (2 * (len(backends) - 1))
    assert got.record.footer is not None
    assert got.record.footer.not_tested == [NotTested("numpy:cuda", "NumPy has no device 'cuda'", 2)]
    absent = got.record.environments[-1]
    assert (absent.name, absent.available, absent.reason) == ("numpy:cuda", False, "NumPy has no device 'cuda'")


def test_compiled_modes_get_the_tagged_cases_and_the_rest_is_not_tested(tmp_path: Path) -> None:
    chosen = [case("plain", RIGHT), case("tagged", RIGHT, compiled=True, formats=("float64", "float32"))]
    got = ran(tmp_path, chosen, ("numpy", "numpy+fast"))
    assert [r.check for r in got.record.results] == [
        *("fates/plain/float64@numpy", "fates/tagged/float64@numpy", "fates/tagged/float32@numpy")
    ]
    assert got.progress == [(1, 5), (3, 5), (5, 5)]
    assert got.summary.missing == ["numpy+fast"], "there is no such compiler"
    assert got.summary.exit_code == 0
    assert got.summary.not_tested == [
        NotTested("numpy+fast", UNTAGGED, 1),
        NotTested("numpy+fast", "numpy has no compiler", 2),
    ]
    asked = ran(tmp_path, chosen, ("numpy", "numpy+fast"), named=frozenset({"numpy+fast"}))
    assert asked.summary.exit_code == 3
    alone = ran(tmp_path, chosen, ("numpy+fast",))
    assert [line.id for line in alone.record.cases] == ["fates/tagged"] * 2, "nobody is asked the other"


def test_what_is_known_beforehand_to_be_left_out_is_listed(tmp_path: Path) -> None:
    left = NotTested("numpy", "clause M6", 1)
    got = ran(tmp_path, cases(RIGHT), ("numpy",), left_out=[left])
    assert got.record.footer is not None
    assert got.record.footer.not_tested == [left]


def test_each_python_is_a_worker_of_its_own_and_what_is_missing_is_not_tested(tmp_path: Path) -> None:
    there = tmp_path / "a@b+c:d #e" / "python"
    there.parent.mkdir()
    there.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    there.chmod(0o755)
    names = ("numpy", f"numpy@{there}", f"numpy.manual@{there}", f"numpy@{sys.executable}", "numpy@/nowhere/python")
    known = Deviation("numpy/a", ("numpy", "numpy.manual"), ("fates/*#value",), "nan", ">=1", "It divides by zero.")
    got = ran(tmp_path, cases(RIGHT), names, named=frozenset(names), known=[known])
    assert [r.check for r in got.record.results] == [f"fates/0-0/float64@{name}" for name in names[:4]]
    assert got.verdicts == ["stale"] * 4, "what is known of a framework is known of it elsewhere too"
    assert [(e.name, e.available) for e in got.record.environments] == [
        *((names[0], True), (names[1], True), (names[3], True), (names[4], False))
    ]
    assert [e.details.get("interpreter") for e in got.record.environments] == [
        *(None, str(there), sys.executable, None)
    ]
    reason = "its Python cannot be started: No such file or directory"
    assert got.summary.not_tested == [NotTested(names[4], reason, 1)]
    assert got.summary.exit_code == 3
    assert ran(tmp_path, cases(RIGHT), names).summary.exit_code == 0, "nobody asked for it by its name"


def test_only_what_is_to_be_compiled_looks_for_a_compiler() -> None:
    with workers_for(Run([Backend("numpy", device="cpu"), Backend("numpy", "", "cuda", "fast")], [])) as workers:
        assert [worker.compiled for worker in workers] == [False, True]


ADAPTER = """
from lossparity_backends.on_numpy import Numpy

class Stranger(Numpy):
    name = "math"

    def describe(self):
        return {"math": "7.1", "device": DEVICE, "subnormals": "gradual"}
"""


def test_variants_with_adapters_of_their_own_run_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "math = one_stranger:Stranger\nmath.manual = other_stranger:Stranger")
    for name in ("one", "other"):
        (tmp_path / f"{name}_stranger.py").write_text(f"DEVICE = {name!r}\n{ADAPTER}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    got = ran(tmp_path, cases(RIGHT), ("math", "math.manual"))
    assert [r.backend for r in got.record.results] == ["math", "math.manual"]
    assert [e.details["device"] for e in got.record.environments] == ["one", "other"]


def test_a_target_that_cannot_be_imported_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text("def softmax(x) return x\n")
    with pytest.raises(UsageError, match=r"the target cannot be checked: .*SyntaxError") as caught:
        ran(tmp_path, cases(RIGHT))
    assert caught.value.where.endswith("target.py:softmax")


def test_formats_restrict_those_of_the_cases(tmp_path: Path) -> None:
    chosen = [case("two", 0, formats=("float64", "float16")), case("one", 0, formats=("float32",))]
    assert [r.format for r in ran(tmp_path, chosen, ("numpy",)).record.results] == ["float64", "float16", "float32"]
    assert [r.format for r in ran(tmp_path, chosen, ("numpy",), formats=["float16"]).record.results] == ["float16"]


def test_lines_are_appended_as_the_run_goes(tmp_path: Path) -> None:
    seen: list[Counter[str]] = []

    def look(*_: object) -> None:
        seen.append(Counter(json.loads(line)["kind"] for line in (tmp_path / "run.jsonl").read_text().splitlines()))

    with Writer(tmp_path / "run.jsonl") as writer:
        run(Run([Backend("numpy")], cases(RIGHT, RIGHT)), writer, look)
    assert [(c["case"], c["result"], c["footer"]) for c in seen] == [(1, 1, 0), (2, 2, 0)]


def test_a_worker_is_some_questions_ahead_of_the_judging_and_never_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead, asked, plan = _counted(monkeypatch), Counter[str](), Run([Backend("numpy")], cases(*[RIGHT] * 40))
    monkeypatch.setattr("lossparity.runner._AHEAD", 16 * plan.questions()[0][0].elements)

    def look(done: int, total: int, _summary: Summary) -> None:
        asked["most"] = max(asked["most"], lead(min(done + 16, total)) - done)

    with Writer(tmp_path / "run.jsonl") as writer:
        run(plan, writer, look)
    assert asked["most"] == 16
    assert [r.case for r in read(tmp_path / "run.jsonl").results] == [c.id for c in cases(*[RIGHT] * 40)]


def test_nothing_is_put_ahead_where_failures_are_put_to_a_backend_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead, seen = _counted(monkeypatch), list[int]()
    with Writer(tmp_path / "run.jsonl") as writer:
        plan = Run([Backend("numpy")], cases(*[RIGHT] * 4), beside=Backend("numpy", "manual"))
        run(plan, writer, lambda done, *_: seen.append(lead(done)))
    assert seen == [1, 2, 3, 4]


def _counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], int]:
    """Return a function that waits until so many requests were put, as long as the others take, and counts them."""
    put, ask = [0], Worker.ask

    def counting(worker: Worker, request: Request, place: int | None = None) -> Outcome:
        put[0] += 1
        return ask(worker, request, place)

    def count(expected: int) -> int:
        end = time.monotonic() + 10
        while put[0] < expected and time.monotonic() < end:
            time.sleep(0.001)
        return put[0]

    monkeypatch.setattr(Worker, "ask", counting)
    return count


def test_a_question_is_let_go_when_it_is_judged(tmp_path: Path) -> None:
    """Of the questions that are in memory at most one was certified and not judged."""
    held: list[int] = []

    def look(*_: object) -> None:
        # type(): isinstance asks an object for its class, and a lazy one of another library answers with a warning.
        held.append(sum(type(one) is Question and bool(one._answers) for one in gc.get_objects()))

    gc.collect()
    with Writer(tmp_path / "run.jsonl") as writer:
        run(Run([Backend("numpy")], cases(*[RIGHT] * 40)), writer, look)
    assert max(held) - min(held) <= 1


def test_a_shard_does_not_say_what_only_the_whole_run_can_know(tmp_path: Path) -> None:
    chosen = [case("wrong", WRONG, formats=("float32",)), case("right", RIGHT)]
    said = {
        shard: [cause.said for cause in ran(tmp_path, chosen, shard=shard).summary.causes]
        for shard in (None, Shard(1, 1))
    }
    assert ["exactly where the format is float32" in one for one in said[None]] == [True]
    assert ["exactly where" in one for one in said[Shard(1, 1)]] == [False]
