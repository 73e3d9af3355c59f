"""The simplest example of a cause on the page: arguments, numbers and bound, in a few words."""

from __future__ import annotations

import pytest

from lossparity.record import CaseLine, Excerpt, Worst
from lossparity_reports.examples import bound, inputs, numbers
from record_factory import result


def case(shape: list[int], values: list[str]) -> CaseLine:
    return CaseLine(
        id="s/c",
        format="float32",
        clause="N2",
        operation="cross_entropy",
        source="",
        input_hash="",
        about="",
        inputs={
            "logits": Excerpt("float32", shape, values),
            "target": Excerpt("int64", [1], ["-100"]),
            "upstream": Excerpt("float32", [], ["0x1.8p+0"]),
        },
        keywords={"reduction": "none"},
        exact={},
    )


@pytest.mark.parametrize(
    ("shape", "values", "shown"),
    [
        ([1, 2], ["0x1.0p+0", "-inf"], "[[1, -inf]]"),
        ([2], ["0x1.999999999999ap-4", "nan"], "[0.1, nan]"),
        ([2, 1, 2], [(0.5 * n).hex() for n in range(4)], "[[[0, 0.5]], [[1, 1.5]]]"),
        ([0, 3], [], "[]"),
    ],
)
def test_arguments_are_written_as_a_call(shape: list[int], values: list[str], shown: str) -> None:
    said = inputs(case(shape, values))
    assert said.startswith("cross_entropy(logits=") and said.endswith(", target=[-100], reduction='none') in float32")
    assert shown.replace("0.1,", "") in said.replace("0.10000000000000001,", "").replace("0.1,", "")


def test_an_input_of_many_numbers_is_not_written_out_and_neither_is_one_that_is_not_there() -> None:
    assert inputs(case([4, 4], ["0x0p+0"] * 16)) == ""
    assert inputs(None) == ""


def test_numbers_and_bound_are_those_of_the_worst_element() -> None:
    worst = Worst([1, 0], "0x1.8p+0", "0x1.0p+0", 1e-7, 2e-7, "loose bound 2e-07 = exp 2e-07")
    failed = result(1, verdict="fail", worst=worst, bound_used=2500000.0)
    assert numbers(failed) == "got 1.5, exact 1 at [1, 0]: 2.5e+06 times what rounding allows"
    assert bound(failed) == "loose bound 2e-07 = exp 2e-07"


def test_where_no_two_numbers_were_compared_there_is_no_bound() -> None:
    worst = Worst([], "nan", "0x1.0p+0", 1e-7, 2e-7, "loose bound 2e-07 = exp 2e-07")
    failed = result(1, verdict="fail", worst=worst)
    assert numbers(failed) == "got nan, exact 1" and bound(failed) == ""
    assert numbers(result(1, verdict="error")) == "" == bound(result(1, verdict="error"))
