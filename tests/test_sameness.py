"""What is right in two records: the same where only the last bits of an enclosure moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import pytest

from lossparity.changes import compare
from lossparity.errors import UsageError
from lossparity.merging import merge
from lossparity.record import CaseLine, Environment, Excerpt, Header, Record, Result
from lossparity.sameness import same_answer

CASE = CaseLine("s/a", "float32", "S1", "softmax", "s.yaml:1:1", "aaaa", "about", {}, {}, {})
NEXT = math.nextafter(0.3, 1)


def case(*values: float, fmt: str = "float32", shape: Sequence[int] | None = None, choice: str = "exact") -> CaseLine:
    excerpt = Excerpt("float64", list(shape or [len(values)]), [value.hex() for value in values])
    return msgspec.structs.replace(CASE, format=fmt, exact={"value": {choice: excerpt}})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (case(0.3), case(0.3), True),
        (case(0.3), case(NEXT), True),
        (case(0.3, 2.0), case(NEXT, 2.0), True),
        (case(0.3), case(0.3 + 2.0**-32), False),
        (case(0.3), case(-0.3), False),
        (case(0.3, fmt="float64"), case(NEXT, fmt="float64"), False),
        (case(0.3, fmt="float16"), case(0.3 + 2.0**-21, fmt="float16"), True),
        (case(0.3, fmt="float16"), case(0.3 + 2.0**-18, fmt="float16"), False),
        (case(math.nan, math.inf), case(math.nan, math.inf), True),
        (case(math.inf), case(1e308), False),
        (case(0.0), case(5e-324), False),
        (case(0.3, 0.3), case(0.3), False),
        (case(0.3, 0.3), case(NEXT, 0.3, shape=[1, 2]), False),
        (case(0.3), case(0.3, choice="zero"), False),
        (case(0.3), CASE, False),
    ],
)
def test_answers_are_the_same_within_a_small_part_of_a_rounding(one: CaseLine, other: CaseLine, same: bool) -> None:
    assert same_answer(one, other) is same_answer(other, one) is same
    assert same_answer(one, other, "value") is same
    assert same_answer(one, other, "gradient")


@pytest.mark.parametrize("text", ["0,5", "0x1p99999", "-0x1p99999", ""])
def test_a_number_that_cannot_be_read_is_not_the_same_as_any_other(text: str) -> None:
    damaged = msgspec.structs.replace(CASE, exact={"value": {"exact": Excerpt("float64", [1], [text])}})
    for number in (0.5, math.inf, -math.inf, math.nan):
        assert not same_answer(damaged, case(number)) and not same_answer(case(number), damaged)
    assert same_answer(damaged, damaged)
    assert compare(record(case(0.5)), record(damaged)).compared == 0
    with pytest.raises(UsageError, match="s/a in float32 is not the same in"):
        merge([("A", record(case(0.5))), ("B", record(damaged))])


def record(given: CaseLine) -> Record:
    result = Result(
        "s/a/float32@torch", "value", "s/a", "S1", "mathematics", "softmax", "torch", "float32", "pass", "produced"
    )
    header = Header(1, "0", "hash", "now", "lossparity run", "loose")
    return Record(header, [Environment("torch", True, {"torch": "2"})], [given], [result])


@pytest.mark.parametrize(("value", "compared"), [(NEXT, 1), (0.4, 0)])
def test_records_with_the_same_answer_are_compared_and_merged(value: float, compared: int) -> None:
    one, other = record(case(0.3)), record(case(value))
    assert compare(one, other).compared == compared
    if compared:
        assert len(merge([("A", one), ("B", other)]).cases) == 1
    else:
        with pytest.raises(UsageError, match="s/a in float32 is not the same in") as caught:
            merge([("A", one), ("B", other)])
        assert caught.value.hint == "another answer is right to the same inputs"
