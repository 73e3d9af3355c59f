"""A bound in its items: they add up to the bound that the judge used, and are said with what they rest on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossparity import itemise
from lossparity.constants import EXP_ULPS, Constant
from lossparity.formats import FORMATS, Array
from lossparity.judge import judge
from lossparity.model import Grade
from lossparity.reference import Answer, Problem

RNG = np.random.default_rng(1)
LOGITS = RNG.normal(size=(3, 5, 2)) * 3
LABELS = Array.of([[0, 1], [-100, 2], [3, 4]], "int64")
WEIGHT = [0.5, 1.0, 2.0, 0.0, 3.0]

PROBLEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("softmax", {}),
    "log-softmax": ("log_softmax", {}),
    "row sums": ("log_softmax_row_sum", {}),
    "losses": ("cross_entropy", {"reduction": "none", "label_smoothing": 0.1}),
    "mean": ("cross_entropy", {"reduction": "mean"}),
    "weighted sum": ("cross_entropy", {"reduction": "sum", "weight": WEIGHT}),
}


def answer(name: str, quantity: str, fmt: str, logits: Any = LOGITS) -> Answer:
    operation, given = PROBLEMS[name]
    arrays = {"logits": Array.of(logits, fmt)}
    if operation == "cross_entropy":
        arrays["target"] = LABELS
    if "weight" in given:
        arrays["weight"] = Array.of(given["weight"], fmt)
    keywords = {keyword: value for keyword, value in given.items() if keyword != "weight"}
    if quantity == "gradient":
        shape = Problem(operation, arrays, keywords).result_shape
        arrays["upstream"] = Array.of(np.random.default_rng(2).normal(size=shape), fmt)
    return Answer(Problem(operation, arrays, keywords), quantity, fmt)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("quantity", ["value", "gradient"])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("flushed", [False, True])
def test_the_items_add_up_to_the_loose_bound_of_the_judge(name: str, quantity: str, fmt: str, flushed: bool) -> None:
    """At whichever element is the worst."""
    exact = answer(name, quantity, fmt)
    for place in range(0, exact.whole().size, 4):
        got = exact.whole()
        got.flat[place] += 1000 * max(abs(got.flat[place]), 1.0)
        found = judge(Array.of(got, fmt), exact, flushed=flushed)
        assert found.worst == place
        which, added = itemise.items(exact, place, flushed=flushed)
        assert min(added.values()) >= 0
        assert sum(added.values()) == pytest.approx(found.loose, rel=1e-9)
        assert sum(added.values()) == pytest.approx(found.tight, rel=1e-9) or which == "loose"


@pytest.mark.parametrize(
    ("name", "quantity", "fmt", "sources"),
    [
        ("softmax", "value", "float32", ("shift", "exp", "sum", "divide")),
        ("log-softmax", "value", "float64", ("shift", "exp", "sum", "log", "rounding")),
        ("mean", "value", "float16", ("shift", "exp", "sum", "log", "divide", "rounding")),
        ("losses", "gradient", "bfloat16", ("shift", "exp", "sum", "log", "rounding")),
    ],
)
def test_every_source_of_the_computation_has_its_item(
    name: str, quantity: str, fmt: str, sources: tuple[str, ...]
) -> None:
    _, added = itemise.items(answer(name, quantity, fmt), 0, flushed=False)
    assert [source for source in sources if added[source] > 0] == list(sources)
    assert "log" in sources or added["log"] == 0


def test_a_bound_is_said_in_one_line_with_the_constants_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number is the constant that the bound was computed with, by format and model."""
    third = Answer(Problem("softmax", {"logits": Array.of([[0.25, 0.5, 0.75]], "float32")}, {}), "value", "float32")
    _, added = itemise.items(third, 0, flushed=False)
    assert itemise.itemised(third, 0, flushed=False) == (
        f"loose bound {sum(added.values()):.2g} = shift {added['shift']:.2g} + exp {added['exp']:.2g} + "
        f"sum {added['sum']:.2g} + divide {added['divide']:.2g} (constants: exp 4 ulp, measured)"
    )
    for fmt, constant in (("float64", 2), ("bfloat16", 1), ("float16", 1)):
        said = itemise.itemised(answer("log-softmax", "value", fmt), 0, flushed=False)
        assert said.endswith(f"(constants: exp {constant} ulp, measured; log {constant} ulp, measured)"), said
    monkeypatch.setitem(EXP_ULPS, "float32", Constant(7, "assumed", ""))
    assert itemise.itemised(third, 0, flushed=False).endswith("(constants: exp 7 ulp, assumed)")


def test_the_larger_model_is_itemised() -> None:
    """Both results may be flushed to 0 in binary32, and then again when they are rounded to bfloat16."""
    logits = Array.of([[-90.0, 0.0]], "bfloat16")
    tiny = Answer(Problem("exp", {"logits": logits}, {}), "value", "bfloat16")
    assert itemise.items(tiny, 0, flushed=True)[0] == "tight"
    assert itemise.items(tiny, 1, flushed=True)[0] == "loose"
    assert itemise.itemised(tiny, 0, flushed=True) == "loose bound 2.4e-38 = underflow 2.4e-38"
    found = judge(Array.of([[1.0, 1.0]], "bfloat16"), tiny, flushed=True)
    assert sum(itemise.items(tiny, 0, flushed=True)[1].values()) == pytest.approx(found.loose, rel=1e-9)


def test_no_bound_and_a_vacuous_one_are_named() -> None:
    single = Answer(Problem("softmax", {"logits": Array.of([[3.0]], "float32")}, {}), "value", "float32")
    assert itemise.itemised(single, 0, flushed=False) == "loose bound 0: the value is exact"
    arrays = {"logits": Array.of([[1.0, 2.0]], "float64"), "upstream": Array.of([[1e308, 1.5e308]], "float64")}
    vacuous = Answer(Problem("softmax", arrays, {}), "gradient", "float64")
    assert judge(Array.of([[0.0, 0.0]], "float64"), vacuous, flushed=False).grade is Grade.UNCERTIFIED
    assert itemise.itemised(vacuous, 0, flushed=False) == "loose bound vacuous: nothing can be certified"
