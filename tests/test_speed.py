"""A job of timing: side by side, verified, compared; what is no time of a right result never counts."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import hasty
from lossparity import registry
from lossparity.errors import UsageError
from lossparity.formats import Array
from lossparity.model import Backend, Case, Produced
from lossparity.processors import allowed
from lossparity.ratios import INCONCLUSIVE, SAME, SLOWER, paired
from lossparity.record import Footer, Record, Speed, Writer, decode, encode, read
from lossparity.reference import Block
from lossparity.registry import registered
from lossparity.speed import export, table
from lossparity.speed.bench import Bench, bench, participants
from lossparity.speed.job import Timing, seen
from lossparity.speed.participant import Participant
from lossparity.speed.rounds import Limits
from lossparity.speed.traffic import Caches, made, moved, regime, working_set
from lossparity.speed.triad import Triad
from lossparity.speed.verified import Verifier
from lossparity.suite import built_in, load
from lossparity.target import Target
from lossparity.workers import Worker

MINE = Path(hasty.__file__).parent
FEW = Limits(9, 8, 60.0)


class Done(NamedTuple):
    record: Record
    footer: Footer

    def speed(self, backend: str, timed: str = "both") -> Speed:
        return next(one for one in self.record.speeds if (one.backend, one.timed) == (backend, timed))


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Return what times adapters of `hasty` by the names of their classes, in small letters."""
    numpy = registered()["numpy"]
    liars = [name for name, made in vars(hasty).items() if isinstance(made, type) and issubclass(made, hasty.Honest)]
    entries = {f"numpy.{name.lower()}": replace(numpy, adapter=f"hasty:{name}") for name in liars}
    monkeypatch.setattr(registry, "registered", lambda: {**registered(), **entries})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(MINE), os.environ.get("PYTHONPATH", "")]))

    def go(*names: str, case: Case = hasty.CASE, limits: Limits = FEW, **options: object) -> Done:
        backends = [Backend("numpy", name) for name in names]
        plan = Bench(backends, [case], backends[0], limits=limits, seed=1, **options)  # type: ignore[arg-type]
        path = tmp_path / "speed.jsonl"
        with Writer(path) as writer:
            footer = bench(plan, writer, lambda *_: None)
        return Done(read(path), footer)

    return go


def test_every_pass_of_every_backend_is_timed_in_every_round(timed: Callable[..., Done]) -> None:
    done = timed("honest", "slower")
    assert done.record.complete and done.footer.exit_code == 0
    assert [(s.backend, s.timed) for s in done.record.speeds] == [
        (f"numpy.{name}", pass_) for name in ("honest", "slower") for pass_ in ("both", "forward", "backward")
    ]
    for speed in done.record.speeds:
        assert len(speed.seconds) >= FEW.least and speed.rounds == list(range(len(speed.seconds)))
        assert speed.refused == "" and speed.ulp is not None and speed.first is not None and speed.calls > 0
    assert {s.job for s in done.record.speeds} == {done.record.jobs[0].id}
    assert len(done.record.triads[0].rates) == len(done.record.speeds[0].seconds)
    assert {e.details["pinned threads"] for e in done.record.environments} == {"1"}
    assert {(r.check, r.against) for r in done.record.ratios} == {
        (f"{hasty.CASE.id}/float32@numpy.slower", "numpy.honest")
    }


WRONG = {
    "lazy": "before its result is there",
    "unsynchronised": "before its result is there",
    "remembering": "results are kept",
    "prepared": "not the results of the inputs that were timed",
    "broken": "RuntimeError: it is worn out",
}


@pytest.mark.parametrize("liar", WRONG)
def test_a_liar_has_no_time_and_harms_nobody_else(timed: Callable[..., Done], liar: str) -> None:
    done = timed("honest", liar)
    refused = [one for one in done.record.speeds if one.backend == f"numpy.{liar}" and one.refused]
    assert refused and all(WRONG[liar] in one.refused and one.median is None for one in refused)
    assert done.footer.exit_code == 1
    assert all(done.speed("numpy.honest", name).median for name in ("both", "forward", "backward"))
    assert not {(one.check, one.timed) for one in refused} & {(r.check, r.timed) for r in done.record.ratios}
    assert WRONG[liar].split()[-1] in table.text(done.record)


def test_a_backend_whose_process_dies_is_refused_with_the_cause_and_the_others_go_on(
    timed: Callable[..., Done],
) -> None:
    done = timed("honest", "mortal")
    assert all("exit status 7" in done.speed("numpy.mortal", name).refused for name in ("both", "forward"))
    assert done.speed("numpy.honest").median is not None


def test_what_differs_is_seen_twice(timed: Callable[..., Done]) -> None:
    done = timed("honest", "threefold", passes=["forward"])
    (ratio,) = done.record.ratios
    assert ratio.verdict == SLOWER
    assert ratio.again is not None and ratio.again.low > 1.5 and ratio.first.low > 1.5


def test_a_second_look_without_rounds_leaves_no_interval_and_no_verdict() -> None:
    one, other = (Participant(Backend("numpy", name), Worker("", "cpu")) for name in ("a", "b"))
    timing = Timing(
        "j", hasty.CASE, "float32", ["forward"], one.backend, FEW, 0.03, 1, random.Random(0), lambda _: None
    )
    timing.speeds[other, "forward"] = Speed("j", "c@numpy.b", "forward", "c", "softmax", "numpy.b", "float32", [1, 2])
    line = timing._line((other, "forward"), (one, "forward"), paired([2.0] * 9, [1.0] * 9), paired([], []))
    assert (line.verdict, line.again) == (INCONCLUSIVE, None)
    assert decode(encode(line)) == line


def test_what_does_not_differ_is_not_timed_again(timed: Callable[..., Done]) -> None:
    done = timed("honest", "honest", passes=["forward"], margin=0.9)
    assert all(r.verdict == SAME and r.again is None for r in done.record.ratios)


def test_a_format_that_is_not_offered_is_not_tested_and_no_failure(timed: Callable[..., Done]) -> None:
    done = timed("honest", "without16", case=replace(hasty.CASE, formats=("float32", "float16")))
    assert [(n.what, n.reason) for n in done.footer.not_tested] == [
        ("speed/small/float16@numpy.without16", "there is no float16 here")
    ]
    assert done.footer.exit_code == 0


def test_a_case_that_needs_more_memory_than_there_is_is_not_started(
    timed: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossparity.speed.job.available", lambda: 10**6)
    done = timed("honest")
    assert "GiB of memory" in done.footer.not_tested[0].reason
    assert done.footer.exit_code == 3 and not done.record.speeds


def test_a_users_function_is_timed_beside(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import numpy as np\ndef softmax(x):\n    e = np.exp(x)\n    return e / e.sum(1, keepdims=True)\n")
    case = replace(hasty.CASE, operation="softmax", inputs={"logits": hasty.CASE.inputs["logits"]}, keywords={})
    backends = [Backend("numpy"), Backend("numpy", "target")]
    plan = Bench(backends, [case], backends[0], limits=FEW, target=Target(f"{file}:softmax", "softmax"))
    with Writer(tmp_path / "speed.jsonl") as writer:
        footer = bench(plan, writer, lambda *_: None)
    record = read(tmp_path / "speed.jsonl")
    own = {one.timed: one for one in record.speeds if one.backend == "numpy.target"}
    assert own["forward"].median is not None and own["forward"].origin == "target"
    assert [(n.what.partition("#")[2], "gradient" in n.reason) for n in footer.not_tested] == [
        ("both", True),
        ("backward", True),
    ]
    missing = replace(plan, target=Target(f"{file}:nowhere", "softmax"))
    with Writer(tmp_path / "other.jsonl") as writer, pytest.raises(UsageError, match="the target cannot be timed"):
        bench(missing, writer, lambda *_: None)


def outcome(value: object, gradient: object, fmt: str = "float32") -> Produced:
    made = None if gradient is None else Array.of(gradient, fmt)
    return Produced(Array.of(value, fmt), made, "", "", True)


def test_results_are_looked_at_and_not_believed() -> None:
    drawn = np.random.RandomState(0)
    arrays = {
        "logits": Array.of(drawn.standard_normal((40, 100)), "float32"),
        "target": Array("int64", drawn.randint(0, 100, size=40)),
        "upstream": Array.of(np.asarray(1.0), "float32"),
    }
    x = 2.0 * arrays["logits"].exact()
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    hot = np.eye(100)[arrays["target"].data]
    value, gradient = -np.log(p[hot == 1]).mean(), (p - hot) / 40
    right = Verifier("cross_entropy", arrays, {"reduction": "mean"}, 2.0)
    both = ("value", "gradient")
    fine = right.look(outcome(value, gradient), both, flushed=False)
    assert fine.wrong == "" and fine.ulp is not None and 0 <= fine.ulp <= 1
    assert "value is" in right.look(outcome(value * 1.001, gradient), both, flushed=False).wrong
    assert "gradient at [" in right.look(outcome(value, -gradient), both, flushed=False).wrong
    assert "shape" in right.look(outcome(value, gradient[:, :99]), both, flushed=False).wrong
    assert "format" in right.look(outcome(value, gradient, "float16"), both, flushed=False).wrong
    assert (
        "not the results"
        in Verifier("cross_entropy", arrays, {"reduction": "mean"}, -1.0)
        .look(outcome(value, gradient), both, flushed=False)
        .wrong
    )


def test_looking_asks_for_no_more_digits_than_tell_other_inputs_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last digits of the mean over a large vocabulary take minutes."""
    asked: list[float] = []
    within = Block.within

    def watched(block: Block, share: float) -> Block:
        asked.append(share)
        return within(block, share)

    monkeypatch.setattr(Block, "within", watched)
    arrays = {"logits": Array.of([[1.0, 2.0]], "float32")}
    Verifier("softmax", arrays, {}, 1.0).look(outcome([[0.26894143, 0.7310586]], None), ("value",), flushed=False)
    assert asked and min(asked) >= 2.0**-40


def test_what_has_to_be_moved_is_every_array_once() -> None:
    n, k = 128, 1000
    mean, none = {"reduction": "mean"}, {"reduction": "none"}
    whole = n * k * 4
    logits = {"logits": Array.of(np.zeros((n, k)), "float32")}
    target = {"target": Array("int64", np.zeros(n, dtype=np.int64))}
    weight = {"weight": Array.of(np.ones(k), "float32")}
    half = {"logits": Array.of(np.zeros((n, k)), "bfloat16")}
    assert moved("cross_entropy", "forward", logits | target, mean) == whole + 8 * n + 4
    assert moved("cross_entropy", "forward", logits | target | weight, mean) == whole + 8 * n + 4 * k + 4
    assert moved("cross_entropy", "forward", logits | {"target": logits["logits"]}, mean) == 2 * whole + 4
    assert moved("cross_entropy", "both", logits | target, none) == 2 * whole + 8 * n + 8 * n
    assert moved("softmax", "forward", half, {}) == whole
    assert moved("softmax", "backward", logits, {}) == 3 * whole
    assert moved("softmax", "both", logits, {}) == 4 * whole
    assert moved("nll_loss", "forward", logits | target, mean) == 4 * n + 8 * n + 4
    assert moved("nll_loss", "backward", logits | target, mean) == whole + 8 * n + 4


def test_the_regime_is_where_logits_and_gradient_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossparity.speed.traffic.caches", lambda: Caches(2**20, 2**24))
    assert [regime((n, 1024), "float32") for n in (128, 129, 2048, 2049)] == [
        "L2",
        "last-level cache",
        "last-level cache",
        "memory",
    ]
    assert working_set((128, 1024), "float32") == 2**20
    monkeypatch.setattr("lossparity.speed.traffic.caches", lambda: Caches(0, 0))
    assert regime((1, 1), "float32") == ""


@pytest.mark.parametrize("threads", [1, 2])
def test_the_triad_goes_through_three_arrays_of_the_size_asked_for(threads: int) -> None:
    triad = Triad(3_000_000, threads)
    assert triad.bytes == pytest.approx(3_000_000, rel=0.01)
    assert triad.sample() > 1e8
    triad.close()


def test_the_exported_times_are_those_of_the_record(timed: Callable[..., Done]) -> None:
    done = timed("honest", "lazy")
    found = json.loads(json.dumps(export.exported(done.record)))
    assert [one["name"] for one in found["benchmarks"]] == [s.key for s in done.record.speeds if not s.refused]
    one = next(b for b in found["benchmarks"] if b["params"]["backend"] == "numpy.honest")
    times = done.speed("numpy.honest", one["params"]["pass"]).seconds
    stats = one["stats"]
    assert stats["data"] == times and stats["median"] == pytest.approx(float(np.median(times)))
    assert (stats["min"], stats["max"]) == (min(times), max(times))
    assert stats["mean"] == pytest.approx(float(np.mean(times)))
    assert stats["stddev"] == pytest.approx(float(np.std(times, ddof=1)))
    assert stats["q1"] == pytest.approx(float(np.quantile(times, 0.25)))


def test_the_built_in_cases_go_from_a_cache_to_memory_and_from_few_classes_to_many() -> None:
    cases = [case for one in load([built_in()], timed=True) for case in one.cases]
    shapes = [case.inputs["log_probs" if case.operation == "nll_loss" else "logits"].shape for case in cases]  # type: ignore[union-attr]
    assert {case.operation for case in cases} == {"softmax", "log_softmax", "nll_loss", "cross_entropy"}
    assert (min(s[0] for s in shapes), max(s[0] for s in shapes)) == (1, 8192)
    assert min(s[1] for s in shapes) <= 10 and max(s[1] for s in shapes) == 128256
    sizes = [working_set(s, "float32") for s in shapes]
    assert min(sizes) <= 2**20 and max(sizes) >= 5 * 10**8
    assert not {case.id for case in cases} & {case.id for one in load([built_in()]) for case in one.cases}


@pytest.mark.usefixtures("timed")
@pytest.mark.skipif(not allowed(), reason="the system does not let a process stay on a processor")
def test_who_computes_on_the_processor_stays_where_it_is_told() -> None:
    backends = [Backend("numpy", "honest"), Backend("numpy", "honest", device="cuda")]
    with participants(Bench(backends[:1], [hasty.CASE], backends[0])) as found:
        worker = found[0].worker
        found[0].stay(allowed()[:1])
        assert worker._child is not None
        assert os.sched_getaffinity(worker._child.pid) == set(allowed()[:1])
        Participant(backends[1], worker).stay(allowed())  # what drives a device may run anywhere
        assert os.sched_getaffinity(worker._child.pid) == set(allowed()[:1])


def test_memory_that_an_allocator_kept_from_before_is_not_told_as_none_taken() -> None:
    logits = {"logits": Array("float32", np.zeros((512, 4096), np.float32))}
    assert made("softmax", "both", logits, {}) == 2 * made("softmax", "forward", logits, {}) == 2 << 23
    assert made("cross_entropy", "forward", logits, {"reduction": "mean"}) == 4
    assert seen(1 << 20, 1 << 23) is None
    assert seen((1 << 23) - 4096, 1 << 23) == (1 << 23) - 4096
    assert seen(0, 4) == 0
    assert seen(None, 4) is None
