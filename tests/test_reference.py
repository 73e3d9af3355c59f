"""The certified reference against the 60-digit oracle: every enclosure of every tier holds the exact value."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from math import inf, nan
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oracle
from lossparity import reference
from lossparity.formats import FORMATS, Array
from lossparity.reference import Certified
from lossparity.shapes import class_axis, row_shape, value_shape
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
DIFFERENTIABLE = tuple(name for name, operation in OPERATIONS.items() if operation.differentiable)
SHAPES = ((1,), (2,), (5,), (1, 1), (3, 4), (2, 7), (1, 2, 2), (2, 3, 2))
SHIFTED = tuple(name for name in OPERATIONS if name not in ("one_hot", "exp", "row_sum", "nll_loss"))
POLICIES = ("nan", "limit", "masked", "zero")
GREATEST = {"float64": 1e300, "float32": 1e38, "bfloat16": 1e38, "float16": 6e4}
SMALLEST = {name: 2.0 ** (f.emin - f.precision + 1) for name, f in FORMATS.items()}
UPSTREAMS = (1.5, -0.5, 2.0, 0.75, -1.25, 0.5, -2.0)
# What is left of the oracle's 60 digits after its own roundings.
DOUBT = mpmath.mpf(10) ** -60
TIERS = 2

Floats = npt.NDArray[np.float64]


def enclosures(
    operation: str,
    fmt: str,
    arrays: Mapping[str, Array],
    keywords: Mapping[str, Any],
    policy: str,
    quantity: str,
    tiers: int = TIERS,
) -> list[Certified]:
    """Return the first tiers of one quantity."""
    rows = reference.lay_out(operation, arrays, keywords, policy)
    return list(itertools.islice(reference.certify(rows, quantity, fmt), tiers))


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


def misses(certified: Certified, exact: npt.NDArray[Any]) -> list[str]:
    """Say where an enclosure does not hold the exact value, or is of another class."""
    assert certified.high.shape == exact.shape
    found = []
    for at in np.ndindex(exact.shape):
        high, low, radius = (float(part[at]) for part in (certified.high, certified.low, certified.radius))
        true = exact[at]
        if not certified.specified[at]:
            continue
        said = f"{certified.tier} {at}: {high!r} + {low!r} within {radius!r}, exactly {mpmath.nstr(true, 25)}"
        if true is None or not radius >= 0:
            found.append(said)
        elif radius == inf:  # nothing is claimed
            continue
        elif not mpmath.isfinite(true) or abs(true) >= mpmath.mpf(2) ** 1024:
            same = np.isnan(high) if mpmath.isnan(true) else high == (inf if true > 0 else -inf)
            if not same:
                found.append(said)
        else:
            with mpmath.workdps(400):
                reach = mpmath.mpf(radius) + DOUBT * abs(true) + SMALLEST["float64"]
                if not abs(true - mpmath.mpf(high) - mpmath.mpf(low)) <= reach:
                    found.append(said)
    return found


def disagreements(tiers: list[Certified]) -> list[str]:
    """Say where the enclosures of two tiers have no number in common."""
    found = []
    for one, other in itertools.pairwise(tiers):
        assert np.array_equal(one.specified, other.specified)
        told = one.specified & (one.radius < inf) & (other.radius < inf)
        finite = np.isfinite(one.high) & np.isfinite(other.high) & told
        with np.errstate(over="ignore", invalid="ignore"):
            apart = np.abs((one.high - other.high) + (one.low - other.low))
            together = (one.radius + other.radius) * (1 + 2**-50)
        if not np.all(apart[finite] <= together[finite]):
            found.append(f"{one.tier} and {other.tier}")
        unlike = ~finite & told & ~((one.high == other.high) | (np.isnan(one.high) & np.isnan(other.high)))
        if unlike.any():
            found.append(f"classes of {one.tier} and {other.tier}")
    return found


def problem(
    operation: str, fmt: str, x: Any, *, seed: int = 0, upstream: Any = None, **more: Any
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return arrays and keywords: targets drawn by seed unless given, the upstream gradient of both signs."""
    known = OPERATIONS[operation].keywords
    keywords = {name: more.pop(name) for name in tuple(more) if name in known and name != "weight"}
    first = Array.of(x, fmt)
    shape = first.shape
    arrays = {OPERATIONS[operation].first: first}
    if OPERATIONS[operation].target:
        drawn = np.random.RandomState(seed).randint(0, shape[class_axis(shape)], row_shape(shape))
        given = np.asarray(more.pop("target", drawn))
        arrays["target"] = Array.of(given, "int64" if given.dtype.kind in "iu" else fmt)
    if "weight" in more:
        arrays["weight"] = Array.of(more.pop("weight"), fmt)
    assert not more
    if OPERATIONS[operation].differentiable:
        made = np.resize(UPSTREAMS, value_shape(operation, shape, keywords))
        arrays["upstream"] = Array.of(made if upstream is None else upstream, fmt)
    return arrays, keywords


def assert_enclosed(operation: str, fmt: str, x: Any, policy: str = "nan", tiers: int = TIERS, **more: Any) -> None:
    """Ask that value and gradient are enclosed, by tiers that agree."""
    arrays, keywords = problem(operation, fmt, x, **more)
    for quantity in ("value", "gradient") if "upstream" in arrays else ("value",):
        certified = enclosures(operation, fmt, arrays, keywords, policy, quantity, tiers)
        exact = truth(operation, arrays, keywords, policy, quantity)
        found = [said for one in certified for said in misses(one, exact)] + disagreements(certified)
        assert not found, (quantity, found[:3])
        if quantity == "gradient":
            assert np.array_equal(certified[0].specified, specified(operation, arrays, keywords))
        assert np.all(certified[-1].radius < inf), f"{certified[-1].tier} leaves the {quantity} open"


def specified(operation: str, arrays: Mapping[str, Array], keywords: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Where the spec says what the gradient is: not in rows under S4 to S6, nor of a mean over nothing (N3)."""
    x = arrays[OPERATIONS[operation].first].exact()
    axis = class_axis(x.shape)
    left = np.ones(x.shape, dtype=np.bool_)
    if operation != "nll_loss":
        left &= ~(np.isnan(x).any(axis, keepdims=True) | np.isposinf(x).any(axis, keepdims=True))
    if operation not in ("nll_loss", "exp", "row_sum"):
        left &= ~np.isneginf(x).all(axis, keepdims=True)
    if operation in LOSSES and keywords.get("reduction", "mean") == "mean" and "target" in arrays:
        target = arrays["target"].exact()
        if target.dtype.kind == "i":
            weight = arrays["weight"].exact() if "weight" in arrays else np.ones(x.shape[axis])
            counted = target[target != keywords.get("ignore_index", -100)]
            left &= bool(weight[counted].sum() > 0)
    return left


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


@settings(max_examples=250)
@given(st.data())
def test_a_loss_is_enclosed_whatever_its_parameters(data: st.DataObject) -> None:
    fmt = data.draw(st.sampled_from(list(FORMATS)), "format")
    operation = data.draw(st.sampled_from(["nll_loss", "cross_entropy", "cross_entropy", "cross_entropy"]))
    shape = data.draw(st.sampled_from(SHAPES), "shape")
    family = data.draw(st.sampled_from(FAMILIES), "family")
    seed = data.draw(st.integers(0, 99), "seed")
    k, positions = shape[class_axis(shape)], row_shape(shape)
    more: dict[str, Any] = {"reduction": data.draw(st.sampled_from(REDUCTIONS))}
    if data.draw(st.booleans(), "weighted"):
        weights = st.sampled_from([0.0, 0.1, 1.0, 2.5, 7.0])
        more["weight"] = data.draw(st.lists(weights, min_size=k, max_size=k))
    if operation == "cross_entropy":
        more["label_smoothing"] = data.draw(st.sampled_from([0.0, 1e-9, 0.1, 0.5, 1.0]))
    if operation == "cross_entropy" and data.draw(st.booleans(), "probabilities"):
        drawn = np.random.RandomState(seed).choice([0.0, 0.0, 0.1, 0.5, 1.0, 2.0], shape)
        more["target"] = np.asarray(drawn, dtype=np.float64)
    else:
        ignored = data.draw(st.sampled_from([-100, -1, 0, k - 1, k]), "ignore_index")
        target = np.random.RandomState(seed).randint(0, k, positions)
        if data.draw(st.booleans(), "ignoring"):
            target = np.where(np.random.RandomState(seed + 1).randint(0, 2, positions) == 0, ignored, target)
        more.update(target=np.asarray(target, dtype=np.int64), ignore_index=ignored)
    policy = data.draw(st.sampled_from(["nan", "zero"]), "policy")
    assert_enclosed(operation, fmt, logits(family, shape, fmt, seed), policy, **more)


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
            assert_enclosed(operation, fmt, row, policy, **_none(operation))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("target", [0, 1, 2, -100])
def test_special_rows_in_a_loss(policy: str, target: int) -> None:
    for row, smoothing, reduction in itertools.product(SPECIAL_ROWS, (0.0, 0.25, 1.0), REDUCTIONS):
        for weight in ([1.0, 1.0, 1.0], [0.0, 2.0, 0.0]):
            more: dict[str, Any] = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
            x, labels = [row, [0.5, 1.0, 0.0]], [target, 1]
            assert_enclosed("cross_entropy", "float32", x, policy, target=labels, **more)
        q = np.zeros((2, 3))
        q[:, target % 3] = 1
        more = {"label_smoothing": smoothing, "reduction": reduction}
        assert_enclosed("cross_entropy", "float32", [row, [0.5, 1.0, 0.0]], policy, target=q, **more)
        more = {"reduction": reduction, "weight": [1.0, 0.0, 2.0]}
        assert_enclosed("nll_loss", "float32", [row, [-0.5, -1.0, 0.0]], policy, target=[target, 1], **more)


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
    """Where p -> 1 the target's gradient is far below the first tier's radius; the last tier resolves it."""
    assert_enclosed("cross_entropy", fmt, [[gap, 0.0]], target=[0], tiers=4)
    arrays, keywords = problem("cross_entropy", fmt, [[gap, 0.0]], target=[0], upstream=1.0)
    last = enclosures("cross_entropy", fmt, arrays, keywords, "nan", "gradient", tiers=4)[-1]
    assert np.all(last.radius <= 1e-30 * np.abs(last.high))


@pytest.mark.parametrize("fmt", ["float32", "bfloat16"])
@pytest.mark.parametrize("spread", [6.5e18, 1e25, 1e38])
@pytest.mark.parametrize("operation", SHIFTED)
def test_the_first_tier_stays_useful_however_wide_the_spread(operation: str, fmt: str, spread: float) -> None:
    """Past 6.4e18 the radius of m - x alone is beyond exp's range; where exp(-d) is 0 that must not matter."""
    x = [[spread, -spread, 0.0], [0.0, 1.0, spread]]
    assert_enclosed(operation, fmt, x, **_none(operation))
    arrays, keywords = problem(operation, fmt, x, **_none(operation))
    for quantity in ("value", "gradient"):
        first = enclosures(operation, fmt, arrays, keywords, "nan", quantity, tiers=1)[0]
        assert np.all(first.radius[np.isfinite(first.high)] <= 1e-13 * (np.max(np.abs(first.high), initial=1.0)))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("operation", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("index", [-1, 3, 70000])
def test_an_index_outside_the_classes_makes_its_loss_nan(operation: str, index: int, reduction: str) -> None:
    """Clause N4: NaN at that position only under none, everywhere under sum and mean. Never a loss."""
    more: dict[str, Any] = {"target": [index, 1], "reduction": reduction}
    x = [[-1.0, -2.0, -0.5], [-1.0, -0.5, -3.0]]
    arrays, keywords = problem(operation, "float32", x, **more)
    for certified in enclosures(operation, "float32", arrays, keywords, "nan", "value"):
        expected: Any = [True, False] if reduction == "none" else True
        assert np.array_equal(np.isnan(certified.high), expected)
    arrays["upstream"] = Array.of(np.ones(2 if reduction == "none" else ()), "float32")
    for certified in enclosures(operation, "float32", arrays, keywords, "nan", "gradient"):
        # Its own gradient is left open, and through the divisor everybody's.
        assert certified.specified.all(axis=1).tolist() == [False, reduction == "none"]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_radii_are_small_on_tame_input(operation: str, fmt: str) -> None:
    """Relative to the largest entry: below 1e-13 in the first tier of the narrower formats, below 1e-30 in Arb's.

    Two binary64 numbers hold 106 bits of Arb's midpoint, so that is what its radius comes down to.
    """
    arrays, keywords = problem(operation, fmt, logits("tame", (3, 4), fmt, 5), **_none(operation))
    for quantity in ("value", "gradient") if "upstream" in arrays else ("value",):
        for certified in enclosures(operation, fmt, arrays, keywords, "nan", quantity):
            limit = 1e-30 if certified.tier.startswith("arb") else 1e-13
            assert np.max(certified.radius) <= limit * np.max(np.abs(certified.high)), (quantity, certified.tier)


def test_radii_stay_small_over_many_classes() -> None:
    x = np.random.RandomState(1).standard_normal((1, 1000)) * 3
    for operation in ("softmax", "log_softmax"):
        arrays, keywords = problem(operation, "float32", x)
        certified = enclosures(operation, "float32", arrays, keywords, "nan", "value", tiers=1)[0]
        assert np.all(certified.radius <= 1e-12 * np.abs(certified.high))


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
    family = data.draw(st.sampled_from(FAMILIES))
    x = logits(family, (1, k), fmt, data.draw(st.integers(0, 50)))
    v = data.draw(st.lists(st.sampled_from([1.0, 1.0, -1.0, 0.0, 1e-3, 3e4, 0.1]), min_size=k, max_size=k))
    assert_enclosed(operation, fmt, x, upstream=np.array([v]))
