"""The certified reference against the 60-digit oracle: every enclosure of every tier holds the exact value."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import inf, nan
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import oracle
from enclosed import (
    TIERS,
    Floats,
    balls,
    disagreements,
    ends,
    misses,
    nearest,
    quantities,
    question,
    whole,
)
from lossparity.errors import UsageError
from lossparity.formats import FORMATS, Array
from lossparity.judge import judge
from lossparity.reference import Answer, Block, Problem, problem
from lossparity.shapes import class_axis, row_shape
from lossparity.spec import OPERATIONS, REDUCTIONS

settings.register_profile(
    "reference",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("reference")

LOSSES = ("nll_loss", "cross_entropy", "smoothing_term")
SHAPES = ((1,), (2,), (5,), (1, 1), (3, 4), (2, 7), (1, 2, 2), (2, 3, 2))
SHIFTED = tuple(name for name in OPERATIONS if name not in ("one_hot", "exp", "row_sum", "nll_loss"))
POLICIES = ("nan", "limit", "masked", "zero", "clamped")
OUTSIDE = (-1e-300, -0.1, -2.0, 1.0 + 2.0**-52, 1.25, 1.5, 3.0)
GREATEST = {"float64": 1e300, "float32": 1e38, "bfloat16": 1e38, "float16": 6e4}
SMALLEST = {name: 2.0 ** (f.emin - f.precision + 1) for name, f in FORMATS.items()}
# The first two are floating point; the oracle's 60 digits are as good as the third.
FLOATING, FIRST, ORACLE = (0, 1), (0, 1, 2), (0, 1, 2, 3)


def truth(
    operation: str, arrays: Mapping[str, Array], keywords: Mapping[str, Any], policy: str, quantity: str
) -> npt.NDArray[Any]:
    """Return the oracle's answer to the same question."""
    first = arrays[OPERATIONS[operation].first].exact()
    given: dict[str, Any] = {"weight": arrays["weight"].exact()} if "weight" in arrays else {}
    target = arrays["target"].exact() if "target" in arrays else None
    if quantity == "value":
        return oracle.value(operation, first, target, **given, **keywords, policy=policy)
    return oracle.gradient(operation, first, target, arrays["upstream"].exact(), **given, **keywords, policy=policy)


def answers(operation: str, fmt: str, x: Any, policy: str = "nan", **more: Any) -> Iterator[Answer]:
    """Yield the answers, value first, to one question."""
    arrays, keywords = question(operation, fmt, x, **more)
    asked = Problem(operation, arrays, keywords, policy)
    for quantity in quantities(arrays):
        yield Answer(asked, quantity, fmt)


def assert_enclosed(
    operation: str, fmt: str, x: Any, policy: str = "nan", tiers: tuple[int, ...] = ORACLE, **more: Any
) -> None:
    """Ask that value and gradient are enclosed by every tier, that tiers agree, and that the last one tells."""
    for answer in answers(operation, fmt, x, policy, **more):
        arrays, keywords = answer.problem.arrays, answer.problem.keywords
        found = [whole(answer, tier) for tier in tiers]
        exact = truth(operation, arrays, keywords, policy, answer.quantity)
        said = [miss for one in found for miss in misses(one, exact)] + disagreements(found)
        assert not said, (answer.quantity, said[:3])
        if answer.quantity == "gradient":
            assert np.array_equal(found[0].specified, specified(operation, arrays, keywords))
            assert np.array_equal(found[0].blank, blank(operation, arrays, keywords))
        assert np.all(found[-1].radius < inf), f"{found[-1].tier} leaves the {answer.quantity} open"


def specified(operation: str, arrays: Mapping[str, Array], keywords: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Where the spec says what the gradient is: not in rows under S4 to S6, nor of a mean over nothing (N3)."""
    x = arrays[OPERATIONS[operation].first].exact()
    axis = class_axis(x.shape)
    left = np.ones(x.shape, dtype=np.bool_)
    if operation != "nll_loss":
        left &= ~(np.isnan(x).any(axis, keepdims=True) | np.isposinf(x).any(axis, keepdims=True))
    if operation not in ("nll_loss", "exp", "row_sum"):
        left &= ~np.isneginf(x).all(axis, keepdims=True)
    return left & (not averages_nothing(operation, arrays, keywords))


def blank(operation: str, arrays: Mapping[str, Array], keywords: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Where a gradient is 0 or NaN: in ignored rows holding anything not finite (G3), of a mean over nothing (N3)."""
    x = arrays[OPERATIONS[operation].first].exact()
    found = np.full(x.shape, averages_nothing(operation, arrays, keywords))
    if "target" in arrays and arrays["target"].format == "int64":
        ignored = arrays["target"].exact() == keywords.get("ignore_index", -100)
        found |= np.expand_dims(ignored, class_axis(x.shape)) & ~np.isfinite(x).all(class_axis(x.shape), keepdims=True)
    return found


def averages_nothing(operation: str, arrays: Mapping[str, Array], keywords: Mapping[str, Any]) -> bool:
    """Whether it is a mean whose divisor is 0."""
    if operation not in LOSSES or keywords.get("reduction", "mean") != "mean":
        return False
    x = arrays[OPERATIONS[operation].first].exact()
    if "target" not in arrays or arrays["target"].format != "int64":
        return x.size == 0
    target = arrays["target"].exact()
    weight = arrays["weight"].exact() if "weight" in arrays else np.ones(x.shape[class_axis(x.shape)])
    return not weight[target[target != keywords.get("ignore_index", -100)]].sum() > 0


def logits(family: str, shape: tuple[int, ...], fmt: str, seed: int) -> Floats:
    """Return logits of one of the families that find bugs, not yet rounded to the format."""
    rng = np.random.RandomState(seed)
    x = rng.standard_normal(shape)
    axis = class_axis(shape)
    first = np.moveaxis(np.zeros(shape), axis, 0)
    first[0] = 1
    one = np.moveaxis(first, 0, axis)
    greatest = GREATEST[fmt]
    if family == "tame":
        return 3 * x
    if family == "equal":
        return np.full(shape, rng.choice([0.0, -0.1, 7.25, greatest, -greatest]))
    if family == "ties":
        return np.asarray(np.round(2 * x), dtype=np.float64)
    if family == "offset":
        return x + rng.choice([-1.0, 1.0]) * 2.0 ** rng.randint(0, 15)
    if family == "certain":
        return x * 0.5 + one * rng.uniform(0, 200)
    if family == "spread":
        return np.asarray(rng.uniform(-1, 1, shape) * greatest / 10.0 ** rng.randint(0, 25))
    if family == "extreme":
        return np.asarray(rng.choice([-greatest, 0.0, greatest, 1.0], shape))
    if family == "vanishing":
        return -rng.uniform(80, 800) * rng.randint(0, 2, shape) + x
    if family == "subnormal":
        return np.asarray(rng.randint(-9, 10, shape) * SMALLEST[fmt])
    assert family == "masked"
    return np.where(rng.random_sample(shape) < 0.4, -inf, 3 * x)


FAMILIES = (
    "tame equal ties offset certain spread extreme vanishing subnormal masked".split()  # noqa: SIM905
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_enclosed_on_every_family(operation: str, family: str) -> None:
    for (n, fmt), reduction in itertools.product(enumerate(FORMATS), REDUCTIONS):
        if "reduction" not in OPERATIONS[operation].keywords and reduction != "none":
            continue
        more: dict[str, Any] = {"reduction": reduction} if "reduction" in OPERATIONS[operation].keywords else {}
        shape = SHAPES[(n + REDUCTIONS.index(reduction) + FAMILIES.index(family)) % len(SHAPES)]
        assert_enclosed(operation, fmt, logits(family, shape, fmt, seed=n), seed=n, **more)


def drawn_question(data: st.DataObject, fmt: str) -> tuple[str, Floats, dict[str, Any]]:
    """Draw a loss, its logits and its parameters."""
    operation = data.draw(st.sampled_from(["nll_loss", "cross_entropy", "cross_entropy", "cross_entropy"]))
    shape = data.draw(st.sampled_from(SHAPES), "shape")
    seed = data.draw(st.integers(0, 99), "seed")
    k, positions = shape[class_axis(shape)], row_shape(shape)
    more: dict[str, Any] = {"reduction": data.draw(st.sampled_from(REDUCTIONS))}
    if data.draw(st.booleans(), "weighted"):
        weights = st.sampled_from([0.0, 0.1, 1.0, 2.5, 7.0, SMALLEST[fmt], GREATEST[fmt] / 1e3])
        more["weight"] = data.draw(st.lists(weights, min_size=k, max_size=k))
    if operation == "cross_entropy":
        more["label_smoothing"] = data.draw(st.sampled_from([0.0, 1e-300, 1e-9, 0.1, 0.5, 1.0, *OUTSIDE]))
    if operation == "cross_entropy" and data.draw(st.booleans(), "probabilities"):
        drawn = np.random.RandomState(seed).choice([0.0, 0.0, 0.1, 0.5, 1.0, 2.0, SMALLEST[fmt]], shape)
        more["target"] = np.asarray(drawn, dtype=np.float64)
    else:
        ignored = data.draw(st.sampled_from([-100, -1, 0, k - 1, k]), "ignore_index")
        target = np.random.RandomState(seed).randint(0, k, positions)
        if data.draw(st.booleans(), "ignoring"):
            target = np.where(np.random.RandomState(seed + 1).randint(0, 2, positions) == 0, ignored, target)
        more.update(target=np.asarray(target, dtype=np.int64), ignore_index=ignored)
    return operation, drawn_logits(data, shape, fmt, seed), more


def drawn_logits(data: st.DataObject, shape: tuple[int, ...], fmt: str, seed: int) -> Floats:
    """Draw logits: of a family, or number by number."""
    family = data.draw(st.sampled_from([*FAMILIES, "any"]), "family")
    if family != "any":
        return logits(family, shape, fmt, seed)
    numbers = st.one_of(
        st.floats(allow_nan=False, width=64),
        st.floats(-30, 30),
        st.sampled_from([0.0, -0.0, 1.0, -inf, -inf, inf, nan, 709.7, 710.0, -745.0, -746.5, 2.0**-1074, 1.7e308]),
    )
    size = int(np.prod(shape))
    return np.asarray(data.draw(st.lists(numbers, min_size=size, max_size=size))).reshape(shape)


def ask_what_is_drawn(assertion: Callable[..., None], data: st.DataObject) -> None:
    """Put one drawn question in a drawn format, under a drawn choice."""
    fmt = data.draw(st.sampled_from(list(FORMATS)), "format")
    operation, x, more = drawn_question(data, fmt)
    policy = data.draw(st.sampled_from(POLICIES), "policy")
    beyond = more.get("label_smoothing", 0.0) in OUTSIDE and policy != "clamped"
    assume(not (beyond and np.isinf(FORMATS[fmt].round(x)).any()))  # such a question is refused
    assertion(operation, fmt, x, policy, **more)


@settings(max_examples=250)
@given(st.data())
def test_a_loss_is_enclosed_whatever_its_parameters(data: st.DataObject) -> None:
    ask_what_is_drawn(assert_enclosed, data)


@pytest.mark.long
@settings(max_examples=10000)
@given(st.data())
def test_a_loss_is_enclosed_whatever_its_parameters_at_length(data: st.DataObject) -> None:
    ask_what_is_drawn(assert_enclosed, data)


def assert_rounded_as_by_arb(operation: str, fmt: str, x: Any, policy: str = "nan", **more: Any) -> None:
    """Ask that where a floating-point tier leaves one number of a format, Arb at 768 bits leaves the same."""
    for answer in answers(operation, fmt, x, policy, **more):
        exact = balls(answer, 768)
        for tier in FLOATING:
            found = whole(answer, tier)
            for at in np.ndindex(exact.shape):
                if exact[at] is None or not found.radius[at] < inf:
                    continue
                middle, reach = found.middle(at), Fraction(float(found.radius[at]))
                least, most = ends(exact[at])
                assert middle - reach <= most and least <= middle + reach, (found.tier, answer.quantity, at)
                for name in FORMATS:
                    low, high = nearest(middle - reach, name), nearest(middle + reach, name)
                    if low == high:
                        assert nearest(least, name) == nearest(most, name) == low, (found.tier, answer.quantity, at)


@settings(max_examples=500)
@given(st.data())
def test_a_rounding_that_a_floating_point_tier_settles_is_arbs(data: st.DataObject) -> None:
    ask_what_is_drawn(assert_rounded_as_by_arb, data)


@pytest.mark.long
@settings(max_examples=10000)
@given(st.data())
def test_a_rounding_that_a_floating_point_tier_settles_is_arbs_at_length(data: st.DataObject) -> None:
    ask_what_is_drawn(assert_rounded_as_by_arb, data)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in ("nll_loss", "cross_entropy")])
def test_a_rounding_without_a_target_is_arbs(operation: str, fmt: str) -> None:
    for family in FAMILIES:
        assert_rounded_as_by_arb(operation, fmt, logits(family, (2, 3), fmt, seed=7), **_none(operation))


SPECIAL_ROWS = (
    [1.0, nan, 2.0],
    [nan, inf, -inf],
    [inf, 1.0, 2.0],
    [inf, -inf, inf],
    [-inf, -inf, -inf],
    [-inf, 0.5, -inf],
    [-inf, 1.0, 2.0],
    [0.5, 1.0, 0.0],
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_special_rows_have_the_class_that_the_spec_gives_them(operation: str, policy: str) -> None:
    for fmt in FORMATS:
        assert_enclosed(operation, fmt, SPECIAL_ROWS, policy, **_none(operation))
        for row in SPECIAL_ROWS:
            assert_enclosed(operation, fmt, row, policy, FIRST, **_none(operation))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("target", [0, 1, 2, -100])
def test_special_rows_in_a_loss(policy: str, target: int) -> None:
    for row, smoothing, reduction in itertools.product(SPECIAL_ROWS, (0.0, 0.25, 1.0), REDUCTIONS):
        for weight in ([1.0, 1.0, 1.0], [0.0, 2.0, 0.0]):
            more: dict[str, Any] = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
            x, labels = [row, [0.5, 1.0, 0.0]], [target, 1]
            assert_enclosed("cross_entropy", "float32", x, policy, FIRST, target=labels, **more)
        q = np.zeros((2, 3))
        q[:, target % 3] = 1
        more = {"label_smoothing": smoothing, "reduction": reduction}
        assert_enclosed("cross_entropy", "float32", [row, [0.5, 1.0, 0.0]], policy, FIRST, target=q, **more)
        more = {"reduction": reduction, "weight": [1.0, 0.0, 2.0]}
        assert_enclosed("nll_loss", "float32", [row, [-0.5, -1.0, 0.0]], policy, FIRST, target=[target, 1], **more)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("policy", ["nan", "zero"])
def test_a_mean_whose_weights_are_all_zero_is_nan_or_zero(policy: str, smoothing: float) -> None:
    """N3 by way of N1, also where the smoothing term of the other classes is not 0, or NaN, or infinite."""
    for row, target in itertools.product(([1.0, 2.0], [1.0, nan], [0.5, -inf]), ([0, 0], [0, -100], [-100, -100])):
        more: dict[str, Any] = {"weight": [0.0, 1.0], "label_smoothing": smoothing, "target": target}
        assert_enclosed("cross_entropy", "float32", [row, [0.5, 1.0]], policy, **more)


def _none(operation: str) -> dict[str, Any]:
    return {"reduction": "none"} if "reduction" in OPERATIONS[operation].keywords else {}


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("operation", SHIFTED)
def test_equal_logits(operation: str, fmt: str) -> None:
    for k in (1, 2, 3, 7, 1000):
        if k < 1000 or fmt == "float32":
            assert_enclosed(operation, fmt, np.full((1, k), 0.1), **_none(operation))


@pytest.mark.parametrize("gap", [1.0, 16.0, 40.0, 100.0, 200.0])
@pytest.mark.parametrize("fmt", FORMATS)
def test_near_certainty_a_further_tier_still_sees_the_other_classes(fmt: str, gap: float) -> None:
    """Where p -> 1 the target's gradient is far below u; no tier loses it in the rounding of p."""
    assert_enclosed("cross_entropy", fmt, [[gap, 0.0]], target=[0], tiers=(0, 1, 2, 3, 4))
    *_, gradient = answers("cross_entropy", fmt, [[gap, 0.0]], target=[0], upstream=1.0)
    for tier, limit in enumerate((1e-12, 1e-27, 1e-30, 1e-30, 1e-30)):
        found = whole(gradient, tier)
        assert np.all(found.radius <= limit * np.abs(found.high)), found.tier


@pytest.mark.parametrize("fmt", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("spread", [6.5e18, 1e25, 1e38])
@pytest.mark.parametrize("operation", SHIFTED)
def test_the_first_tiers_stay_useful_however_wide_the_spread(operation: str, fmt: str, spread: float) -> None:
    """Past 6.4e18 the radius of m - x alone is beyond exp's range; where exp(-d) is 0 that must not matter."""
    x = [[spread, -spread, 0.0], [0.0, 1.0, spread]]
    assert_enclosed(operation, fmt, x, **_none(operation))
    for answer in answers(operation, fmt, x, **_none(operation)):
        for tier in FLOATING:
            first = whole(answer, tier)
            assert np.all(first.radius[np.isfinite(first.high)] <= 1e-12 * np.max(np.abs(first.high), initial=1.0))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("operation", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("index", [-1, 3, 70000])
def test_an_index_outside_the_classes_makes_its_loss_nan(operation: str, index: int, reduction: str) -> None:
    """Clause N4: NaN at that position only under none, everywhere under sum and mean. Never a loss."""
    x = [[-1.0, -2.0, -0.5], [-1.0, -0.5, -3.0]]
    value, gradient = answers(operation, "float32", x, target=[index, 1], reduction=reduction)
    for tier in ORACLE:
        expected: Any = [True, False] if reduction == "none" else True
        assert np.array_equal(np.isnan(whole(value, tier).high), expected)
        # Its own gradient is left open, and through the divisor everybody's.
        assert whole(gradient, tier).specified.all(axis=1).tolist() == [False, reduction == "none"]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_radii_are_small_on_tame_input(operation: str, fmt: str) -> None:
    """Relative to the largest entry. Two binary64 numbers hold 106 bits of Arb's midpoint, and no radius is less."""
    for answer in answers(operation, fmt, logits("tame", (3, 4), fmt, 5), **_none(operation)):
        for tier, limit in enumerate((1e-13, 1e-27, 1e-30, 1e-30, 1e-30)):
            found = whole(answer, tier)
            assert np.max(found.radius) <= limit * np.max(np.abs(found.high)), (answer.quantity, found.tier)


@pytest.mark.parametrize(("tier", "limit"), [(0, 1e-12), (1, 1e-26)])
def test_radii_stay_small_over_many_classes(tier: int, limit: float) -> None:
    x = np.random.RandomState(1).standard_normal((1, 100000)) * 3
    for operation in ("softmax", "log_softmax"):
        value, _ = answers(operation, "float32", x)
        found = whole(value, tier)
        assert np.all(found.radius <= limit * np.abs(found.high))


@pytest.mark.parametrize("operation", ["exp", "row_sum"])
@pytest.mark.parametrize("fmt", ["float64", "float32"])
def test_exp_beyond_binary64_is_infinite_and_its_gradient_too(operation: str, fmt: str) -> None:
    assert_enclosed(operation, fmt, [[800.0, 1.0], [-800.0, 3.0], [709.0, 0.0]])


@pytest.mark.parametrize("policy", ["nan", "zero"])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("shape", [(0, 1), (0, 5), (0, 3, 2), (2, 3, 0)])
def test_an_empty_batch_is_laid_out_without_a_warning(operation: str, shape: tuple[int, ...], policy: str) -> None:
    for fmt, reduction in itertools.product(FORMATS, REDUCTIONS):
        more: dict[str, Any] = {"reduction": reduction} if "reduction" in OPERATIONS[operation].keywords else {}
        assert_enclosed(operation, fmt, np.zeros(shape), policy, **more)


@settings(max_examples=120)
@given(st.data())
def test_the_gradient_of_a_softmax_is_enclosed_for_any_upstream(data: st.DataObject) -> None:
    """Also for equal upstream gradients, where p (v - sum p v) cancels wholly."""
    fmt = data.draw(st.sampled_from(list(FORMATS)))
    operation = data.draw(st.sampled_from(["softmax", "log_softmax"]))
    k = data.draw(st.integers(1, 6))
    x = drawn_logits(data, (1, k), fmt, data.draw(st.integers(0, 50)))
    v = data.draw(st.lists(st.sampled_from([1.0, 1.0, -1.0, 0.0, 1e-3, 3e4, 0.1]), min_size=k, max_size=k))
    assert_enclosed(operation, fmt, x, upstream=np.array([v]))


BLOCKED: tuple[tuple[str, tuple[int, ...], dict[str, Any]], ...] = (
    ("softmax", (7, 5), {}),
    ("log_softmax", (3, 5, 2, 2), {}),
    ("log_softmax", (9,), {}),
    ("log_softmax_row_sum", (4, 3, 3), {}),
    ("exp", (2, 3, 4), {}),
    ("nll_loss", (8, 3), {"reduction": "sum"}),
    ("cross_entropy", (4, 5, 3), {"reduction": "none", "label_smoothing": 0.1}),
    ("cross_entropy", (4, 5, 3), {"label_smoothing": 0.1, "weight": [0.5, 2.0, 0.0, 1.0, 3.0]}),
    ("cross_entropy", (12, 5), {"weight": [0.5, 2.0, 0.0, 1.0, 3.0], "target": np.resize([0, 4, -100, 2], 12)}),
    ("cross_entropy", (12, 4), {"target": np.resize([0.0, 0.25, 0.5], (12, 4))}),
    ("cross_entropy", (6,), {"target": np.array(3)}),
    ("cross_entropy", (0, 4), {}),
    ("smoothing_term", (5, 2, 0), {"reduction": "none"}),
)


@pytest.mark.parametrize("kept", [0, 1 << 19], ids=["streamed", "kept"])
@pytest.mark.parametrize("size", [1, 4, 9, 10, 23])
@pytest.mark.parametrize("case", BLOCKED, ids=lambda case: f"{case[0]}-{'x'.join(map(str, case[1]))}")
def test_nothing_depends_on_how_the_positions_are_cut_into_blocks(
    case: tuple[str, tuple[int, ...], dict[str, Any]], size: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, shape, more = case
    x = logits("masked" if operation != "nll_loss" else "tame", shape, "float32", seed=3)
    for n, fmt in enumerate(("float32", "bfloat16", "float64")):
        for at_once, cut in zip(
            answers(operation, fmt, x, "masked", **more), answers(operation, fmt, x, "masked", **more), strict=True
        ):
            got = Array.of(at_once.whole() * (1 + 3 * FORMATS[fmt].unit), fmt)
            expected, judged = [whole(at_once, tier) for tier in ORACLE], judge(got, at_once, flushed=False)
            monkeypatch.setattr(problem, "_BLOCK", size)
            monkeypatch.setattr(problem, "_KEPT", kept)
            if x.size and not at_once.scalar and size < 10:
                assert len(list(cut.blocks())) > (1 if len(shape) > 1 else 0)
            assert (next(cut.blocks()) is next(cut.blocks())) == (x.size <= kept)
            for tier, one in zip(ORACLE, expected, strict=True):
                other = whole(cut, tier)
                assert not disagreements([one, other])
                if tier >= 2:
                    assert np.array_equal(one.high, other.high, equal_nan=True)
            assert np.array_equal(cut.whole(), at_once.whole(), equal_nan=True)
            some = np.arange(0, got.data.size, 3)
            assert np.array_equal(cut.at(some), at_once.whole().ravel()[some], equal_nan=True)
            again = judge(got, cut, flushed=False)
            monkeypatch.undo()
            assert (again.grade, again.kind, again.histogram) == (judged.grade, judged.kind, judged.histogram), n


def test_a_block_can_be_narrowed_to_some_of_its_rows() -> None:
    value, gradient = answers("cross_entropy", "float32", logits("tame", (6, 3, 2), "float32", 1), reduction="none")
    chosen = np.arange(12) % 5 == 2
    for answer in (value, gradient):
        (block,) = answer.blocks()
        narrowed = block.narrowed(chosen)
        closer = whole(answer, 1)
        assert (block.certified.tier, narrowed.certified.tier, narrowed.last) == ("float64", "double-double", False)
        rows, classes = narrowed.certified.high.shape
        assert rows == chosen.sum()
        for row, cls in np.ndindex(rows, classes):
            at = np.unravel_index(answer.flat(narrowed.rows, row, cls), answer.shape)
            assert narrowed.certified.high[row, cls] == closer.high[at]
        given = Array.of(closer.high, "float64")
        assert np.array_equal(answer.rows_of(given, narrowed.rows), narrowed.certified.high)
    assert Block(value, block.rows, len(TIERS) - 1).last


MEMORY = """
import resource, sys
import numpy as np
from lossparity.formats import Array
from lossparity.judge import judge
from lossparity.reference import Answer, Problem

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def inputs(n, k):
    rng, x = np.random.default_rng(1), np.empty((n, k), np.float16)
    for row in np.array_split(x, max(1, x.size // 100000)):  # whole, it would be made in a wider format
        row[:] = rng.standard_normal(row.shape, dtype=np.float32)
    got = np.full((n, k), 1e-5, np.float16)
    return {"logits": Array("float16", x), "target": Array("int64", rng.integers(0, k, n))}, Array("float16", got)

def ask(arrays, got):
    asked = Problem("cross_entropy", arrays, {"label_smoothing": 0.1})
    for quantity in ("value", "gradient"):
        answer = Answer(asked, quantity, "float16")
        print(judge(got if quantity == "gradient" else Array.of(1.0, "float16"), answer, flushed=False).grade)

ask(*inputs(4, 1000))
given = inputs(int(sys.argv[1]), int(sys.argv[2]))
before = peak()
ask(*given)
print((peak() - before) / 2**20)
"""


@pytest.mark.long
@pytest.mark.parametrize(("n", "k"), [(512, 131072), (1000000, 30)])
def test_a_large_problem_is_judged_in_less_memory_than_256_mb_beyond_its_inputs(n: int, k: int) -> None:
    said = subprocess.run([sys.executable, "-c", MEMORY, str(n), str(k)], capture_output=True, text=True, check=True)
    *grades, used = said.stdout.split()
    assert len(grades) == 4
    assert 0 <= float(used) < 256  # 0 where making the inputs took as much


def test_a_negative_weight_has_no_certified_value() -> None:
    """The reference takes terms for one sign's; another sum would be enclosed wrongly."""
    arrays = {"logits": Array.of([[0.0, 0.0, -1e20]], "float32"), "target": Array.of([2], "int64")}
    with pytest.raises(UsageError, match="no certified value"):
        Problem("cross_entropy", {**arrays, "weight": Array.of([1.0, -1.0, 1.0], "float32")}, {})


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", OUTSIDE)
@pytest.mark.parametrize("policy", ["formula", "clamped"])
def test_a_smoothing_outside_0_to_1_is_enclosed(policy: str, smoothing: float, reduction: str) -> None:
    """C3, where terms of both signs are added: the weighted sums, and every tier of them, hold the exact value."""
    more: dict[str, Any] = {"label_smoothing": smoothing, "reduction": reduction}
    for n, (fmt, family) in enumerate(itertools.product(FORMATS, ("tame", "equal", "ties", "certain", "spread"))):
        shape = ((3, 4), (2, 3, 2), (1, 1))[n % 3]
        x, weight = logits(family, shape, fmt, seed=n), np.resize([0.5, 0.0, 2.0, 4.0], shape[1])
        given_: dict[str, Any] = {"weight": weight} if n % 2 else {}
        if n % 4 > 1:
            given_["target"] = np.resize([0.5, 0.0, 0.25, 2.0, 0.125], shape)
        assert_enclosed("cross_entropy", fmt, x, policy, FIRST, seed=n, **given_, **more)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_a_loss_that_cancels_to_nothing_is_enclosed(seed: int, soft: bool) -> None:
    """A smoothing at which the loss is a rounding error: whoever takes its terms for one sign's misses it."""
    x = np.random.RandomState(seed).standard_normal((1, 3 + seed)) * 2
    x = FORMATS["float32"].round(x)
    k, z = x.shape[1], x[0] - np.log(np.exp(x[0]).sum())
    target: Any = np.eye(k)[[0]] if soft else [0]
    nll, mean = -z[0], -z.mean()
    more: dict[str, Any] = {"target": target, "label_smoothing": nll / (nll - mean), "reduction": "none"}
    assert not 0 <= more["label_smoothing"] <= 1
    assert_enclosed("cross_entropy", "float32", x, "formula", **more)
    value, _ = answers("cross_entropy", "float32", x, "formula", **more)
    assert abs(value.whole()) < 1e-12 * nll


def test_the_coefficient_of_the_target_may_vanish_by_cancellation() -> None:
    """With two classes and a smoothing of 2 the target's own two terms cancel, and z of the other class is left."""
    for policy, expected in (("formula", np.log1p(np.exp(3.0))), ("clamped", np.log1p(np.exp(3.0)) - 1.5)):
        (value, _) = answers("cross_entropy", "float64", [3.0, 0.0], policy, target=0, label_smoothing=2.0)
        assert value.whole() == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("infinite", [inf, -inf])
def test_a_smoothing_outside_0_to_1_is_refused_beside_an_infinite_logit(infinite: float) -> None:
    """Terms that are infinite, of both signs, have no sum; clamped they have one sign."""
    arrays = {"logits": Array.of([[0.0, 0.0, infinite]], "float32"), "target": Array.of([2], "int64")}
    for smoothing in (-0.1, 1.5):
        with pytest.raises(UsageError, match="where a logit is infinite"):
            Problem("cross_entropy", arrays, {"label_smoothing": smoothing}, "formula")
        assert not Problem("cross_entropy", arrays, {"label_smoothing": smoothing}, "clamped").mixed


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_nan_row_of_which_nothing_counts_is_nan_or_0(reduction: str) -> None:
    """S4's choice: all of z is NaN there, and so the loss, unless every coefficient of the row is 0."""
    x: Any = [[1.0, nan, 2.0], [0.5, 1.0, 0.0]]
    more: dict[str, Any] = {"reduction": reduction}
    none: Any = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    some: Any = [[0.25, 0.0, 0.5], [0.0, 0.5, 0.5]]
    for given_, free in (
        ({"target": np.asarray(none)}, True),
        ({"target": np.asarray(some)}, False),
        ({"target": [0, 1], "weight": [0.0, 1.0, 1.0]}, True),
        ({"target": [0, 1], "weight": [0.0, 1.0, 1.0], "label_smoothing": 0.1}, False),
        ({"target": [2, 1], "weight": [0.0, 1.0, 1.0]}, False),
    ):
        for policy in ("nan", "zero"):
            assert_enclosed("cross_entropy", "float32", x, policy, **given_, **more)
            value, _ = answers("cross_entropy", "float32", x, policy, **given_, **more)
            assert np.isnan(value.whole()).any() == (policy == "nan" or not free)
    # NLL reads its selected entry alone, and S4 is not about it.
    value, _ = answers("nll_loss", "float32", [[nan, 1.0]], "zero", target=[0], weight=[0.0, 1.0], **more)
    assert np.isnan(value.whole()).all()


@pytest.mark.parametrize("quantity", ["value", "gradient"])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2)])
def test_the_row_around_a_place_holds_that_place(quantity: str, shape: tuple[int, ...]) -> None:
    """Also of a small problem, whose rows are kept as one block."""
    x = np.random.RandomState(1).standard_normal(shape)
    arrays = {"logits": Array.of(x, "float32"), "upstream": Array.of(x[::-1], "float32")}
    found = Answer(Problem("softmax", arrays, {}), quantity, "float32")
    for place in range(x.size):
        block, cls = found.around(place)
        assert block.certified.high.shape[0] == 1
        assert block.certified.high[0, cls] == found.whole().reshape(-1)[place] == found.at(np.array([place]))[0]
