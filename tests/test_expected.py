"""What is written down as right is what the judge judges by: exact values to half an ulp of a double-double, bounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lossparity.bounds import Bounds
from lossparity.distance import spacing_at
from lossparity.expected import HALF_ULP, elements, whole
from lossparity.formats import FORMATS
from lossparity.model import Case
from lossparity.plans import Question
from lossparity.reference import Answer
from lossparity.reference.arbs import Arbs
from lossparity.suite import built_in, load

SMALL = 4096


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for suite in load([built_in()]) for case in suite.cases]


def small(cases: list[Case]) -> list[Answer]:
    """Return every answer of the built-in cases, in one wide and one narrow format, that Arb has soon."""
    found = []
    for case in cases:
        for fmt in {case.formats[0], case.formats[-1]}:
            question = Question(case, fmt)
            if next(iter(question.arrays.values())).data.size <= SMALL:
                found += [
                    question.answer(choice, quantity)
                    for quantity in question.quantities
                    for choice in question.alternatives
                    if choice != "raises"
                ]
    return found


def fraction(ball: object) -> Fraction:
    mantissa, exponent = (int(part) for part in ball.mid().man_exp())  # type: ignore[attr-defined]
    # exp(-2^1023) written out would take all of the memory; it is far below anything that is compared.
    return Fraction(mantissa) * Fraction(2) ** exponent if exponent > -(2**16) else Fraction(0)


def test_the_half_ulp_is_that_of_two_binary64_numbers() -> None:
    assert HALF_ULP == 2.0**-106


def test_high_and_low_are_the_exact_value_to_half_an_ulp_of_a_double_double(cases: list[Case]) -> None:
    compared = 0
    for answer in small(cases)[::6]:
        found = whole(answer, flushed=False)
        block, rows, classes = answer.located(found.places)
        with np.errstate(all="ignore"):
            exact = answer.exact(block, Arbs.of(0.0, 640)).finite
        assert isinstance(exact, Arbs)
        for n, place in enumerate(found.places.tolist()):
            if not np.isfinite(found.high[n]) or found.open[n]:
                continue
            right = fraction(exact.values[rows[n], classes[n]])
            error = abs(Fraction(float(found.high[n])) + Fraction(float(found.low[n])) - right)
            # Below binary64's smallest number nothing can be written down.
            assert error <= max(abs(right) * Fraction(HALF_ULP), Fraction(2.0**-1074)), (
                answer.problem.operation,
                place,
            )
            compared += 1
    assert compared > 1000


def test_bounds_and_spacing_are_those_that_the_judge_asks_for(cases: list[Case]) -> None:
    for answer in small(cases)[::12]:
        for flushed in (False, True):
            found = whole(answer, flushed=flushed)
            bounds = Bounds(answer, flushed)
            for n, place in list(enumerate(found.places.tolist()))[:12]:
                block, cls = answer.around(place)
                exact = np.where(np.isfinite(block.certified.high), block.certified.high, 0.0)
                tight, loose = (
                    np.broadcast_to(b, exact.shape)[0, cls] for b in bounds.both(bounds.terms(block), exact)
                )
                assert found.tight[n] == pytest.approx(tight, rel=1e-12, abs=0)
                assert found.loose[n] == pytest.approx(loose, rel=1e-12, abs=0)
                near = block.within(HALF_ULP).certified
                exact = np.where(np.isfinite(near.high), near.high, 0.0)
                ulp = spacing_at(exact, near.low, FORMATS[answer.format])[0, cls]
                assert found.ulp[n] == ulp


def test_some_elements_are_those_of_the_whole(cases: list[Case]) -> None:
    for case in cases:
        if case.id in ("softmax/images", "half-precision/many-rows/reduction=none"):
            for quantity in ("value", "gradient"):
                answer = Question(case, "float32").answer("exact", quantity)
                size = int(np.prod(answer.shape))
                places = np.unique(np.array([0, 1, size // 3, size - 1], dtype=np.intp))
                some, every = elements(answer, places, flushed=False), whole(answer, flushed=False)
                assert np.array_equal(every.places, np.arange(size))
                assert np.array_equal(some.places, places)
                assert np.array_equal(some.high, every.high[places])
                assert np.allclose(some.loose, every.loose[places], rtol=1e-12, atol=0)


def test_whole_rows_that_the_spec_leaves_open_are_marked(cases: list[Case]) -> None:
    case = next(case for case in cases if case.id == "ignore-index/not-a-number/reduction=none")
    found = whole(Question(case, "float32").answer("exact", "gradient"), flushed=False)
    assert found.blank.any() and found.open[found.blank].all()
    assert not found.open.all()


def test_of_an_empty_batch_nothing_is_worked_out_but_its_sum(cases: list[Case]) -> None:
    case = next(case for case in cases if case.id == "reductions/no-row/reduction=sum")
    question = Question(case, "float32")
    assert whole(question.answer("zero", "gradient"), flushed=False).high.size == 0
    assert whole(question.answer("zero", "value"), flushed=False).high.tolist() == [0.0]
