"""The catalogue of mistakes: without a mistake it gives the right numbers, and with any of them other ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
from enclosed import question
from liars.judging import questions
from liars.where import logits
from lossparity.formats import FORMATS, Array
from lossparity.judge import judge
from lossparity.mistakes import MISTAKES, Mistake
from lossparity.mistakes.evaluation import Evaluation, Values
from lossparity.model import Grade
from lossparity.plans import EXACT
from lossparity.reference import Answer, Problem
from lossparity.reference.conventions import ALTERNATIVES, CONVENTIONS

OPERATIONS = ("softmax", "log_softmax", "nll_loss", "cross_entropy")
SMALL = 64
NONE = Mistake("none", "no mistake", (Evaluation,), OPERATIONS)


def answers(operation: str, most: int = SMALL) -> Iterator[Answer]:
    """Yield the answers of the built-in cases, in all formats, both quantities."""
    for one in questions(operation):
        if logits(one).size <= most:
            for quantity in one.quantities:
                yield one.answer("nan" if one.case.one_of else EXACT, quantity)


def grade(answer: Answer, numbers: Values) -> Grade:
    """Judge numbers as if they came back, rounded to the format of the question."""
    if numbers.shape != answer.shape:
        return Grade.WRONG
    return judge(Array.of(numbers.astype(np.float64), answer.format), answer, flushed=False).grade


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_a_mistake_every_built_in_case_is_right(operation: str) -> None:
    for answer in answers(operation):
        found = grade(answer, NONE.result(0, answer.problem, answer.quantity))
        assert found.rank <= Grade.TIGHT.rank, (answer.problem.arrays, answer.problem.keywords, answer.quantity)


SHAPES = ((3,), (2, 3), (5, 1), (4, 5), (2, 3, 2), (2, 2, 2, 2))
REDUCTIONS = st.sampled_from(("none", "mean", "sum"))
NUMBERS = st.floats(-40, 40).map(lambda x: round(x, 3))


@st.composite
def posed(draw: st.DrawFn) -> tuple[str, dict[str, Array], dict[str, Any]]:
    """Draw an operation, its arrays in binary64 and its keywords; some position counts, for a mean to be a number."""
    operation, shape = draw(st.sampled_from(OPERATIONS)), draw(st.sampled_from(SHAPES))
    x = np.array(draw(st.lists(NUMBERS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))).reshape(shape)
    more: dict[str, Any] = {}
    if operation in ("nll_loss", "cross_entropy"):
        k = shape[min(1, len(shape) - 1)]
        more["reduction"] = draw(REDUCTIONS)
        if draw(st.booleans()):
            more["weight"] = draw(st.lists(st.sampled_from((0.25, 1.0, 3.0)), min_size=k, max_size=k))
        if operation == "cross_entropy":
            more["label_smoothing"] = draw(st.sampled_from((0.0, 0.1, 1.0)))
        if operation == "cross_entropy" and draw(st.booleans()):
            q = np.random.RandomState(draw(st.integers(0, 99))).random_sample(shape)
            more["target"] = q / 2
        else:
            positions = (*shape[:1], *shape[2:]) if len(shape) > 1 else ()
            target = np.random.RandomState(draw(st.integers(0, 99))).randint(0, k, positions)
            more["ignore_index"] = draw(st.sampled_from((-100, 0, k)))
            if target.ndim and target.size > 1:
                target.reshape(-1)[0] = more["ignore_index"]
                target.reshape(-1)[1] = k - 1
            if np.all(target == more["ignore_index"]):
                more["ignore_index"] = -100
            more["target"] = target
    return operation, *question(operation, "float64", x, **more)


@given(posed(), st.sampled_from(("value", "gradient")))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_without_a_mistake_it_agrees_with_the_oracle(
    asked: tuple[str, dict[str, Array], dict[str, Any]], quantity: str
) -> None:
    """Weights, ignored positions, smoothing, probabilities, one axis to four, all reductions."""
    operation, arrays, keywords = asked
    rest: dict[str, Any] = {name: arrays[name].data for name in ("target", "weight") if name in arrays}
    first, target = next(iter(arrays.values())).data, rest.pop("target", None)
    if quantity == "value":
        wanted = oracle.value(operation, first, target, **rest, **keywords)
    else:
        wanted = oracle.gradient(operation, first, target, arrays["upstream"].data, **rest, **keywords)
    got = NONE.result(0, Problem(operation, arrays, keywords), quantity)
    assert got.shape == wanted.shape
    # A sum of terms that cancel is as accurate as its terms, which are below 100 here.
    for one, other in zip(got.reshape(-1), wanted.reshape(-1), strict=True):
        assert mpmath.isfinite(other)
        assert abs(mpmath.mpf(float(one)) - other) <= 1e-14 * abs(other) + 1e-15 * 100, (operation, keywords)


def wide() -> Iterator[Answer]:
    """Yield the answers of a few long rows: what is lost in narrow indices, and in long sums, shows there alone."""
    for k, label in ((300, 130), (300, 257), (2100, 2049), (40000, 33000)):
        x = np.zeros((1, k))
        x[0, :label] = -3.0
        for fmt in ("float64", "float32", "float16"):
            for operation in ("nll_loss", "cross_entropy"):
                arrays, keywords = question(operation, fmt, x, target=[label], reduction="none")
                if operation == "nll_loss":
                    arrays["log_probs"].data[0, label] = -1.0
                yield from (Answer(Problem(operation, arrays, keywords), q, fmt) for q in ("value", "gradient"))


def heavy() -> Iterator[Answer]:
    """Yield the answers of losses whose sum is beyond binary16, which they and their mean are not."""
    for reduction, smoothing, rows in (("none", 0.1, [[3e4, -3e4, -3e4]]), ("mean", 0.0, [[3e4, -3e4, 0]] * 3)):
        more: dict[str, Any] = {"target": [1] * len(rows), "reduction": reduction, "label_smoothing": smoothing}
        arrays, keywords = question("cross_entropy", "float16", np.asarray(rows), **more)
        yield from (Answer(Problem("cross_entropy", arrays, keywords), q, "float16") for q in ("value", "gradient"))


@pytest.fixture(scope="module")
def telling() -> dict[str, list[Answer]]:
    """Return answers by operation, the small ones first: a way of a mistake is looked at until one tells it."""
    found = {operation: sorted(answers(operation, 5000), key=_size) for operation in OPERATIONS}
    for one in (*wide(), *heavy()):
        found[one.problem.operation].append(one)
    return found


def _size(answer: Answer) -> int:
    return answer.problem.first.data.size


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_every_way_of_a_mistake_fails_somewhere(mistake: Mistake, telling: dict[str, list[Answer]]) -> None:
    """On some problem it is further off than rounding leads; one that never is could only blame the innocent."""
    asked = sorted((one for operation in mistake.operations for one in telling[operation]), key=_size)
    for way in range(len(mistake.ways)):
        grades = (grade(one, mistake.result(way, one.problem, one.quantity)) for one in asked)
        assert Grade.WRONG in grades, f"way {way} is right everywhere"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_way_of_a_mistake_raises_or_warns_on_a_built_in_case(operation: str) -> None:
    """In one format of each case, and of every mistake of its operations, in the shape of some result."""
    asked = [one for one in questions(operation) if logits(one).size <= SMALL]
    by_case = [list(formats) for _, formats in itertools.groupby(asked, key=lambda one: one.case.id)]
    for n, formats in enumerate(by_case):
        one = formats[n % len(formats)]
        problem = one.answer("nan" if one.case.one_of else EXACT, "value").problem
        for mistake in (m for m in MISTAKES.values() if operation in m.operations):
            for way, quantity in itertools.product(range(len(mistake.ways)), one.quantities):
                found = mistake.result(way, problem, quantity)
                assert isinstance(found, np.ndarray)
                assert found.dtype.kind == "f", (mistake.id, way, one.case.id)
                if mistake.id != "reduction-ignored":
                    assert found.shape == one.answer("nan" if one.case.one_of else EXACT, quantity).shape


def test_a_mistake_is_told_in_words_under_an_id_of_its_own() -> None:
    """It is a convention's id where it is one too, and no sentence is said twice."""
    assert all(id_ == mistake.id for id_, mistake in MISTAKES.items())
    assert len({mistake.said for mistake in MISTAKES.values()}) == len(MISTAKES)
    for mistake in MISTAKES.values():
        assert mistake.ways
        assert set(mistake.operations) <= set(OPERATIONS)
        assert mistake.said.strip().endswith(mistake.said)
        assert len(mistake.said.split()) > 2
        assert not mistake.said.endswith(".")
        if "=" in mistake.id:
            assert mistake.id in ALTERNATIVES
        else:
            assert mistake.id not in CONVENTIONS
    ways = [way for mistake in MISTAKES.values() for way in mistake.ways]
    assert len(set(ways)) == len(ways), "one way stands twice"


def test_narrow_arithmetic_has_the_range_of_the_format_that_it_works_in() -> None:
    """exp(100) overflows binary32 and not binary64; exp(12) binary16, and not bfloat16 nor binary32."""

    def unshifted(x: float, fmt: str, way: int) -> bool:
        arrays, keywords = question("softmax", fmt, [[x, 0.0]])
        found = MISTAKES["not-shifted"].result(way, Problem("softmax", arrays, keywords), "value")
        return bool(np.isfinite(found).all())

    single, own = 0, 1
    assert [unshifted(100, fmt, single) for fmt in FORMATS] == [fmt == "float64" for fmt in FORMATS]
    assert [unshifted(12, fmt, own) for fmt in FORMATS] == [fmt != "float16" for fmt in FORMATS]
    assert all(unshifted(12, fmt, single) for fmt in FORMATS)
