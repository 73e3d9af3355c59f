"""How near two backends are: counted in the format's spacing, whatever is right, and the same from shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import record_factory
from lossparity import united
from lossparity.agreement import Agreements, both
from lossparity.formats import Array
from lossparity.merging import merge
from lossparity.model import Backend, Case, Declined, Grade, Outcome, Produced
from lossparity.plans import Question
from lossparity.record import Agreement, Part, Record, Writer, read
from lossparity.runner import Run, run
from lossparity.sharding import Shard
from lossparity.suite import built_in, load, select

ONE, TWO, THREE = (Backend(name) for name in ("numpy", "torch", "jax"))


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.id: case for one in load([built_in()]) for case in one.cases}


def question(cases: dict[str, Case]) -> Question:
    return Question(cases["worked-example/softmax"], "float32")


def gave(values: Any, fmt: str = "float32", gradient: Any = None) -> Outcome:
    slope = None if gradient is None else Array.of(np.array(gradient), fmt)
    return Produced(Array.of(np.array(values), fmt), slope, "f", "native", True)


def found(cases: dict[str, Case], *outcomes: Outcome) -> list[Agreement]:
    agreements = Agreements()
    agreements.take(question(cases), dict(zip((ONE, TWO, THREE), outcomes, strict=False)))
    return list(agreements.lines())


@pytest.mark.parametrize(
    ("one", "two", "equal", "unlike", "ulp"),
    [
        ([1.0, np.nan, np.inf, 0.0], [1.0, np.nan, np.inf, -0.0], 1, 0, 0.0),
        ([1.0, 2.0], [1.0 + 2.0**-23, 2.0], 0, 0, 1.0),
        ([1.0, -2.0], [1.0, 2.0], 0, 0, 2.0**24),
        ([1.0, 2.0**-149], [1.0, 0.0], 0, 0, 1.0),
        ([1.0, np.nan], [1.0, 2.0], 0, 1, 0.0),
        ([np.inf, 1.0], [-np.inf, 1.0], 0, 1, 0.0),
        ([np.inf, 1.0], [3.0, 1.0 + 2.0**-22], 0, 1, 2.0),
    ],
)
def test_distances_are_in_the_formats_spacing_at_the_larger_number(
    cases: dict[str, Case], one: list[float], two: list[float], equal: int, unlike: int, ulp: float
) -> None:
    (line,) = found(cases, gave(one), gave(two))
    check = "" if equal else "worked-example/softmax/float32@numpy#value"
    assert line == Agreement("numpy", "torch", "float32", 1, equal, unlike, ulp, check)
    (back,) = found(cases, gave(two), gave(one))
    assert (back.equal, back.unlike, back.ulp) == (equal, unlike, ulp)


def test_numbers_far_apart_in_binary64_have_a_finite_distance(cases: dict[str, Case]) -> None:
    large = float(np.finfo(np.float64).max)
    agreements = Agreements()
    asked = Question(cases["worked-example/softmax"], "float64")
    agreements.take(asked, {ONE: gave([large], "float64"), TWO: gave([-large], "float64")})
    (line,) = agreements.lines()
    assert line.ulp == 2.0**54 - 2


def test_a_result_in_a_wider_format_is_measured_in_the_format_of_the_case(cases: dict[str, Case]) -> None:
    agreements = Agreements()
    asked = Question(cases["worked-example/softmax"], "float16")
    agreements.take(asked, {ONE: gave([1.0], "float16"), TWO: gave([1.0 + 2.0**-11])})
    (line,) = agreements.lines()
    assert (line.format, line.ulp) == ("float16", 0.5)


def test_only_arrays_of_one_shape_are_compared(cases: dict[str, Case]) -> None:
    assert found(cases, gave([1.0]), gave([[1.0]]), Declined("no")) == []
    assert found(cases, gave([]), gave([])) == []


def test_every_two_backends_and_both_quantities_are_counted(cases: dict[str, Case]) -> None:
    up = 1.0 + 2.0**-23
    lines = found(cases, gave([1.0], gradient=[1.0]), gave([1.0], gradient=[up]), gave([up], gradient=[up + 2.0**-23]))
    quantities = question(cases).quantities
    assert quantities == ("value", "gradient")
    key = "worked-example/softmax/float32@{}#{}".format
    assert lines == [
        Agreement("numpy", "torch", "float32", 2, 1, 0, 1.0, key("numpy", "gradient")),
        Agreement("numpy", "jax", "float32", 2, 0, 0, 2.0, key("numpy", "gradient")),
        Agreement("torch", "jax", "float32", 2, 0, 0, 1.0, key("torch", "gradient")),
    ]


def test_two_parts_add_up_and_keep_the_larger_distance() -> None:
    one = Agreement("a", "b", "float32", 3, 3, 0, 0.0, "")
    two = Agreement("a", "b", "float32", 2, 0, 1, 0.0, "c#value")
    assert both(one, two) == both(two, one) == Agreement("a", "b", "float32", 5, 3, 1, 0.0, "c#value")
    far = Agreement("a", "b", "float32", 1, 0, 0, 7.5, "d#value")
    assert both(both(one, two), far) == Agreement("a", "b", "float32", 6, 3, 1, 7.5, "d#value")


def test_a_run_records_it_and_its_shards_add_up_to_the_same(cases: dict[str, Case], tmp_path: Path) -> None:
    backends = [Backend("numpy"), Backend("numpy", "manual")]
    chosen = select(list(cases.values()), ["worked-example/*", "softmax/v*"])

    def ran(name: str, shard: str = "") -> Path:
        path = tmp_path / f"{name}.jsonl"
        with Writer(path) as writer:
            plan = Run(backends, chosen, threshold=Grade.LOOSE, shard=Shard.parse(shard) if shard else None)
            run(plan, writer, lambda *_: None)
        return path

    whole = read(ran("whole"))
    assert {(one.first, one.second) for one in whole.agreements} == {("numpy", "numpy.manual")}
    assert {one.format for one in whole.agreements} == {"float64", "float32", "bfloat16", "float16"}
    both_gave = [r.check for r in whole.results if r.got and r.backend == "numpy" and r.format == "float32"]
    (line,) = [one for one in whole.agreements if one.format == "float32"]
    assert 0 < line.equal < line.compared <= len(both_gave)
    assert line.ulp > 0 and line.check.rpartition("#")[0] in both_gave
    parts = [ran(str(number), f"{number}/3") for number in (1, 2, 3)]
    merged = merge((str(path), read(path)) for path in [*parts, parts[1]])
    path = tmp_path / "merged.jsonl"
    with Writer(path) as writer:
        merged.write(writer)
    assert sorted(read(path).agreements, key=lambda one: one.format) == sorted(
        whole.agreements, key=lambda one: one.format
    )


def _given(tmp: str, *lines: Agreement, part: Part | None = None) -> tuple[str, Record]:
    made = record_factory.record(record_factory.result(1))
    made.header = msgspec.structs.replace(made.header, shard=part)
    made.agreements = list(lines)
    return tmp, made


def test_shards_that_name_backends_in_another_order_are_one_pair() -> None:
    key = record_factory.result(1).key
    one = Agreement("torch", "jax", "float32", 3, 2, 0, 4.0, key)
    two = Agreement("jax", "torch", "float32", 5, 1, 1, 2.0, "s/c2/float32@jax#value")
    parts = [_given(str(n), line, part=Part(n, 2, "q", ["jax", "torch"])) for n, line in ((1, one), (2, two))]
    (line,) = united.agreements([united.Given.of(*part) for part in parts])
    assert line == Agreement("jax", "torch", "float32", 8, 3, 1, 4.0, key)


def test_a_whole_run_beside_its_own_shards_counts_once() -> None:
    halves = [Agreement("jax", "torch", "float32", n, n, 0, 0.0, "") for n in (3, 5)]
    whole = _given("whole", Agreement("jax", "torch", "float32", 8, 8, 0, 0.0, ""))
    shards = [_given(str(n), half, part=Part(n, 2, "q", ["jax"])) for n, half in enumerate(halves, 1)]
    thirds = _given("third", halves[0], part=Part(1, 3, "q", ["jax"]))
    for parts in ([whole, *shards], [*shards, thirds, whole], shards):
        (line,) = united.agreements([united.Given.of(*part) for part in parts])
        assert (line.compared, line.equal) == (8, 8)


def test_a_case_says_how_large_and_wide_its_logits_are(cases: dict[str, Case], tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    chosen = select(list(cases.values()), ["worked-example/softmax", "special-values/**", "reductions/*"])
    with Writer(path) as writer:
        run(Run([Backend("numpy")], chosen), writer, lambda *_: None)
    lines = read(path).cases
    compared = 0
    for line in lines:
        shape, whole = line.inputs[next(iter(line.inputs))].shape, next(iter(line.inputs.values()))
        if 0 in shape or not shape:
            assert line.logits is None
            continue
        assert line.logits is not None
        assert line.logits.classes == (shape[1] if len(shape) > 1 else shape[0])
        if len(whole.values) == int(np.prod(shape)):
            numbers = np.array([float.fromhex(value) for value in whole.values]).reshape(shape)
            rows = np.moveaxis(numbers, min(1, len(shape) - 1), -1).reshape(-1, line.logits.classes)
            finite = [row[np.isfinite(row)] for row in rows]
            assert line.logits.largest == max((float(np.abs(row).max()) for row in finite if row.size), default=0.0)
            with np.errstate(over="ignore"):
                spread = max((float(row.max() - row.min()) for row in finite if row.size), default=0.0)
            assert line.logits.spread == min(spread, float(np.finfo(np.float64).max))
            compared += 1
    assert compared > 10
