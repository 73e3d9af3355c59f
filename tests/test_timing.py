"""Timing in the child: what is timed is the work, on inputs that are new, and what is not is found out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import hasty
from lossparity import timing
from lossparity.formats import Array
from lossparity.framework import Unsupported
from lossparity.model import Produced, Request
from lossparity.spec import PASSES
from lossparity.timing import Timed, resident
from lossparity_backends.on_numpy import Numpy


def request(rows: int = 512, classes: int = 1000, fmt: str = "float32", operation: str = "cross_entropy") -> Request:
    made = np.random.RandomState(0)
    arrays = {
        "logits": Array.of(made.standard_normal((rows, classes)), fmt),
        "target": Array("int64", made.randint(0, classes, size=rows)),
        "upstream": Array.of(np.asarray(1.5), fmt),
    }
    if operation == "softmax":
        arrays = {"logits": arrays["logits"], "upstream": arrays["logits"]}
    return Request("", operation, arrays, {} if operation == "softmax" else {"reduction": "mean"})


def timed(adapter: type[Numpy], asked: Request | None = None) -> Timed:
    framework = adapter("cpu")
    return Timed.of(framework, next(iter(framework.implementations.values())), asked or request())


@pytest.mark.parametrize("fmt", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("scale", [1.0, -1.0, 2.0, -2.0])
def test_inputs_are_the_prepared_ones_times_a_power_of_two_exactly(fmt: str, scale: float) -> None:
    asked = request(4, 9, fmt)
    made = timed(Numpy, asked)
    there = Numpy("cpu").to_numpy(made.input(scale))
    assert there.format == fmt
    assert np.array_equal(there.exact(), scale * asked.arrays["logits"].exact())


def test_no_two_samples_share_a_tensor() -> None:
    made = timed(Numpy, request(4, 9))
    first, second = made.input(1.0), made.input(1.0)
    assert not np.shares_memory(first, second) and not np.shares_memory(first, made.base)


def test_every_pass_has_a_first_call_and_so_many_calls_that_a_sample_can_be_timed() -> None:
    made = timed(Numpy, request(4, 9))
    done = made.prepare(list(PASSES))
    assert set(done["first"]) == set(done["calls"]) == set(PASSES)
    assert all(seconds > 0 for seconds in done["first"].values())
    for name, calls in done["calls"].items():
        assert calls * made.sample(name, 1.0, calls) > timing._TARGET / 10, name
    assert (done["api"], done["origin"]) == ("numpy.exp, numpy.log, numpy.sum", "composed")
    gc.unfreeze()


def test_without_an_upstream_only_the_value_is_timed() -> None:
    asked = request(4, 9)
    bare = Request("", asked.operation, {n: a for n, a in asked.arrays.items() if n != "upstream"}, asked.keywords)
    done = timed(Numpy, bare).prepare(list(PASSES))
    assert set(done["calls"]) == {"forward"}
    assert set(done["declined"]) == {"both", "backward"}
    gc.unfreeze()


def test_a_pass_that_raises_leaves_the_others_their_times() -> None:
    class NoGradient(Numpy):
        def vjp(self, *_: object) -> Any:
            raise RuntimeError("there is no way back")

    done = timed(NoGradient, request(4, 9)).prepare(list(PASSES))
    gc.unfreeze()
    assert set(done["calls"]) == {"forward"} and done["declined"] == {}
    assert done["raised"] == dict.fromkeys(("both", "backward"), "RuntimeError: there is no way back")


def test_what_is_kept_are_the_results_of_the_last_sample() -> None:
    asked = request(4, 9)
    made = timed(Numpy, asked)
    made.sample("both", 2.0, 3, keep=True)
    found = made.results()
    assert isinstance(found, Produced)
    wide = 2.0 * asked.arrays["logits"].exact()
    losses = np.log(np.exp(wide).sum(1)) - wide[np.arange(4), asked.arrays["target"].data]
    assert float(found.value.exact()) == pytest.approx(losses.mean(), rel=1e-6)
    assert isinstance(found.gradient, Array) and found.gradient.shape == (4, 9)
    made.sample("forward", 1.0, 1)
    assert not isinstance(made.results(), Produced)  # it was not asked to keep them


def test_garbage_is_not_collected_while_time_is_taken() -> None:
    seen: list[bool] = []

    class Watching(hasty.Honest):
        def called(self, *given: object) -> object:
            seen.append(gc.isenabled())
            return super().called(*given)  # type: ignore[arg-type]

    timed(Watching, request(4, 9)).sample("both", 1.0, 2)
    assert seen and not any(seen)
    assert gc.isenabled()


@pytest.mark.parametrize("name", PASSES)
def test_nothing_speaks_against_an_honest_time(name: str) -> None:
    made = timed(hasty.Honest)
    assert (made.doubts(name) and made.doubts(name)) == ""  # as a job does it


LIARS = {
    hasty.Lazy: "the call returns before its result is there",
    hasty.Unsynchronised: "the call returns before its result is there",
    hasty.Remembering: "results are kept",
}


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("liar", LIARS)
def test_a_time_that_is_none_of_the_work_is_found_out(liar: type[hasty.Honest], name: str) -> None:
    assert LIARS[liar] in timed(liar).doubts(name)


class Device(hasty.Honest):
    """As if a device had a clock of its own: one second a call, and three where its caches were emptied."""

    def device_clock(self, work: Callable[[], Any], cold: bool) -> tuple[float, Any]:
        return 3.0 if cold else 1.0, work()


@pytest.mark.parametrize("name", PASSES)
def test_where_a_device_has_a_clock_that_is_what_counts(name: str) -> None:
    made = timed(Device, request(4, 9))
    assert made.sample(name, 1.0, 5, keep=True) == 1.0
    assert isinstance(made.results(), Produced)
    assert made.cold(name, 1.0, 5) == 3.0
    assert timed(hasty.Honest, request(4, 9)).cold(name, 1.0, 5) is None


def test_a_pass_that_is_not_offered_says_so() -> None:
    framework = Numpy("cpu")
    with pytest.raises(Unsupported, match="softmax is not offered"):
        Timed.of(framework, {}, request(4, 9, operation="softmax"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is told by Linux alone")
def test_the_memory_of_some_work_is_what_it_takes_at_most() -> None:
    megabytes = 2**20

    def work() -> None:
        there = np.ones(32 * megabytes, dtype=np.uint8)
        there[::4096] += 1
        del there

    taken = resident(work)
    assert taken is not None and 30 * megabytes < taken < 40 * megabytes
    less = resident(lambda: None)
    assert less is not None and less < 4 * megabytes


def test_memory_is_that_of_one_call() -> None:
    made = timed(Numpy, request(2048, 2000))
    logits = 2048 * 2000 * 4
    taken = made.memory("both", host=True)
    assert taken is None or logits < taken < 8 * logits
