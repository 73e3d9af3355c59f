"""Double-double arithmetic against Arb at high precision, and against mpmath: every error within the stated bound."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import flint
import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest

from lossparity.reference import doubledouble
from lossparity.reference.doubledouble import (
    FUNCTION,
    TINY,
    UNIT,
    Pair,
    add,
    divide,
    exact,
    exp,
    log1p,
    multiply,
    total,
    two_product,
    two_sum,
)

Floats = npt.NDArray[np.float64]
Reals = npt.NDArray[Any]

COUNT = 3000
MOST = np.finfo(np.float64).max
# Binary exponents of operands whose products and quotients stay in the normal range with both their words.
RANGES = ((-2, 2), (-40, 40), (-450, 450))
_arb = np.frompyfunc(flint.arb, 1, 1)
_exp = np.frompyfunc(lambda a: a.exp(), 1, 1)
_log1p = np.frompyfunc(lambda a: a.log1p(), 1, 1)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """As the module's callers do; and 2400 bits, which hold the sum of any two pairs."""
    with np.errstate(all="ignore"), flint.ctx.workprec(2400):
        yield


def real(pair: Pair) -> Reals:
    """Return the numbers that pairs stand for."""
    return np.asarray(_arb(pair[0]) + _arb(pair[1]), dtype=object)


def normalised(high: Floats, low: Floats) -> Pair:
    """Return high + low, |low| <= |high|, as pairs."""
    words = high + low
    return words, (high - words) + low


def significands(rng: np.random.Generator, count: int) -> Floats:
    """Return numbers in [1, 2), many of them with few bits set, or few not set."""
    few = np.ldexp(1.0, -rng.integers(0, 53, count).astype(np.int32))
    last = rng.integers(0, 4, count) * 2.0**-52
    choices = [rng.random(count) + 1, np.ones(count), 1 + last, 2 - 2.0**-52 - last, np.minimum(1 + few, 1.5), 2 - few]
    return np.asarray(np.clip(np.choose(rng.integers(0, len(choices), count), choices), 1.0, 2 - 2.0**-52))


def lows(rng: np.random.Generator, high: Floats) -> Floats:
    """Return low words of any size: none, nearly half a last place of high, random, and much smaller."""
    random = rng.uniform(-0.5, 0.5, high.size)
    small = random * np.ldexp(1.0, -rng.integers(0, 60, high.size).astype(np.int32))
    nearly = rng.choice([-1, 1], high.size) * (0.5 - 2.0**-54)
    parts = np.choose(rng.integers(0, 4, high.size), [np.zeros(high.size), nearly, random, small])
    return np.asarray(parts * np.spacing(np.abs(high)))


def pairs(seed: int, least: int, most: int, *, signed: bool = True, count: int = COUNT) -> Pair:
    """Return pairs with binary exponents in a range."""
    rng = np.random.default_rng(seed)
    exponents = rng.integers(least, most + 1, count).astype(np.int32)
    high = np.ldexp(significands(rng, count), exponents) * (rng.choice([-1, 1], count) if signed else 1)
    return normalised(high, lows(rng, high))


def check(got: Pair, want: Reals, relative: float, absolute: float = TINY) -> None:
    """Check that pairs are normalised and within relative |want| + absolute of what is wanted."""
    high, low = got
    assert high.shape == low.shape == want.shape
    assert np.all(np.isfinite(high))
    normal = np.abs(high) > 2.0**-960
    assert np.array_equal((high + low)[normal], high[normal])
    errors = np.abs(real(got) - want)
    wrong = errors > np.abs(want) * flint.arb(relative) + flint.arb(absolute)
    assert not np.any(wrong), [word[np.asarray(wrong, dtype=bool)][0].hex() for word in got]


def of_two_sum(x: Floats, y: Floats) -> Pair:
    s, e, t = (np.empty(x.shape) for _ in range(3))
    two_sum(x, y, s, e, t)
    return s, e


def of_two_product(x: Floats, y: Floats) -> Pair:
    p, e, *scratch = (np.empty(x.shape) for _ in range(7))
    two_product(x, y, p, e, scratch)
    return p, e


@pytest.mark.parametrize("width", [1, 60, 1000])
def test_the_sum_of_two_numbers_is_exact(width: int) -> None:
    x, y = pairs(1, -width, width)[0], pairs(2, -width, width)[0]
    near = -x + np.random.default_rng(3).integers(-3, 4, x.size) * np.spacing(np.abs(x))
    for other in (y, near, np.spacing(np.abs(x)) / 2, -x, np.full(x.size, 5e-324)):
        s, e = of_two_sum(x, other)
        assert np.array_equal(s, x + other)
        assert np.all(real((s, e)) == _arb(x) + _arb(other))


@pytest.mark.parametrize("width", [1, 60, 430])
def test_the_product_of_two_numbers_is_exact(width: int) -> None:
    x, y = pairs(4, -width, width)[0], pairs(5, -width, width)[0]
    for other in (y, x, np.full(x.size, 2 - 2.0**-52), np.full(x.size, 1 + 2.0**-26), np.full(x.size, 1 + 2.0**-27)):
        p, e = of_two_product(x, other)
        assert np.array_equal(p, x * other)
        assert np.all(real((p, e)) == _arb(x) * _arb(other))


def test_exact_numbers_have_no_low_word_and_their_sum_is_exact() -> None:
    x, m = pairs(6, -30, 30)[0].reshape(30, 100), np.array([[3.7e9]])
    high, low = exact(x)
    assert np.array_equal(high, x) and low.shape == x.shape and not low.any()
    assert np.all(real(add(exact(m), exact(-x))) == _arb(m) - _arb(x))
    assert np.all(real(add((m, np.zeros((1, 1))), (-x, -low))) == _arb(m) - _arb(x))


@pytest.mark.parametrize("width", [2, 40, 990])
def test_addition_is_within_its_bound(width: int) -> None:
    a, b = pairs(7, -width, width), pairs(8, -width, width)
    check(add(a, b), real(a) + real(b), UNIT, 0.0)
    check(add(a, exact(b[0])), real(a) + _arb(b[0]), UNIT, 0.0)


def test_addition_is_within_its_bound_where_almost_everything_cancels() -> None:
    a = pairs(9, -3, 3)
    rng = np.random.default_rng(10)
    for high, low in itertools.product(range(-2, 3), (-1.0, -0.5, 0.0, 0.5, 1.0)):
        last = np.spacing(np.abs(a[1])) * rng.integers(-3, 4, COUNT)
        b = normalised(high * np.spacing(np.abs(a[0])) - a[0], low * a[1] + last)
        check(add(a, b), real(a) + real(b), UNIT, 0.0)


def test_addition_is_within_its_bound_at_both_ends_of_the_range() -> None:
    for least, most in ((-1074, -950), (1010, 1021)):
        a, b = pairs(11, least, most), pairs(12, least, most)
        check(add(a, b), real(a) + real(b), UNIT, 0.0)


@pytest.mark.parametrize(("least", "most"), RANGES)
@pytest.mark.parametrize(("operation", "arb"), [(multiply, np.multiply), (divide, np.divide)])
def test_multiplication_and_division_are_within_their_bound(
    operation: Callable[[Pair, Pair], Pair], arb: Any, least: int, most: int
) -> None:
    a, b = pairs(13, least, most), pairs(14, least, most)
    check(operation(a, b), arb(real(a), real(b)), UNIT, 0.0)
    check(operation(a, a), arb(real(a), real(a)), UNIT, 0.0)
    check(operation(exact(a[0]), b), arb(_arb(a[0]), real(b)), UNIT, 0.0)


def test_products_that_underflow_are_within_the_absolute_error() -> None:
    for least, most in ((-540, -440), (-1074, -1), (-1074, -900)):
        a, b = pairs(15, least, most), pairs(16, least, most)
        check(multiply(a, b), real(a) * real(b), UNIT)
    # Of every size about where the partial products underflow one after the other.
    for exponent in range(-1080, -890, 3):
        a, b = pairs(17, exponent // 2, exponent // 2 + 2, count=60), pairs(18, exponent // 2, exponent // 2, count=60)
        check(multiply(a, b), real(a) * real(b), UNIT)


def test_quotients_of_tiny_and_of_huge_numbers_are_as_good_as_others() -> None:
    ends = ((-1074, -900), (-3, 3), (1000, 1022))
    for one, two in itertools.product(ends, ends):
        a, b = pairs(19, *one), pairs(20, *two)
        want = real(a) / real(b)
        fits = np.asarray(np.abs(want) < flint.arb(MOST) / 2, dtype=bool)
        got = divide(a, b)
        check((got[0][fits], got[1][fits]), want[fits], UNIT)
        assert not np.any(np.isfinite(got[0][np.asarray(np.abs(want) > flint.arb(MOST) * 2, dtype=bool)]))
        check(divide(a, a), real(a) / real(a), UNIT, 0.0)
    assert np.array_equal(divide(exact(MOST), exact(MOST)), (1.0, 0.0))


def test_products_at_the_upper_end_are_within_their_bound_or_not_finite() -> None:
    a, b = pairs(21, 505, 512), pairs(22, 505, 511)
    want, got = real(a) * real(b), multiply(a, b)
    fits = np.asarray(np.abs(want) < flint.arb(2) ** 1023, dtype=bool)
    check((got[0][fits], got[1][fits]), want[fits], UNIT, 0.0)
    beyond = np.asarray(np.abs(want) > flint.arb(2) ** 1024, dtype=bool)
    assert beyond.any() and not np.any(np.isfinite(got[0][beyond]))
    assert not np.isfinite(multiply(exact(MOST), exact(0.5))[0])


def arguments(seed: int, high: Floats) -> Pair:
    """Return arguments with these high words, or their neighbours, and low words of any size."""
    rng = np.random.default_rng(seed)
    high = high + rng.integers(-2, 3, high.size) * np.spacing(np.abs(high))
    return normalised(high, lows(rng, high))


STEP = np.log(2) / 2**14


@pytest.mark.parametrize(
    "high",
    [
        pytest.param(np.linspace(-20.0, 0.0, COUNT), id="ordinary"),
        pytest.param(np.linspace(-634.0, 709.0, COUNT), id="everywhere"),
        pytest.param(-np.ldexp(1.3, -np.arange(1, 1070, dtype=np.int32)), id="ever smaller"),
        pytest.param(np.ldexp(1.7, -np.arange(1, 1070, dtype=np.int32)), id="ever smaller, positive"),
        pytest.param((np.arange(-COUNT, COUNT) + 0.5) * STEP, id="between steps, near 0"),
        pytest.param(np.arange(-COUNT, COUNT) * STEP, id="at steps, near 0"),
        pytest.param((np.arange(-(2**14), 0, 7) + 0.5) * STEP, id="between steps, one octave"),
        pytest.param((np.arange(-14_980_000, 16_700_000, 10_007) + 0.5) * STEP, id="between steps, everywhere"),
        pytest.param(np.arange(-14_980_000, 16_700_000, 10_007) * STEP, id="at steps, everywhere"),
        pytest.param(np.linspace(709.7, 709.782712893383, 1000), id="below overflow"),
    ],
)
def test_the_exponential_is_within_its_bound(high: Floats) -> None:
    for seed in (23, 24):
        a = arguments(seed, high)
        check(exp(a), _exp(real(a)), FUNCTION, 0.0 if high[0] > -635 else TINY)


def test_the_exponential_of_every_step_of_the_table_is_within_its_bound() -> None:
    high = np.arange(-(2**14), 0) * STEP
    middle = high + STEP / 2 - 1e-9
    for a in (exact(high), exact(middle)):
        with flint.ctx.workprec(400):
            check(exp(a), _exp(real(a)), FUNCTION, 0.0)


def test_the_exponential_fades_out_within_the_absolute_error_and_monotonically() -> None:
    high = np.linspace(-630.0, -750.0, 20_001)
    got = exp(exact(high))
    with flint.ctx.workprec(400):
        check(got, _exp(_arb(high)), FUNCTION)
        a = arguments(25, high)
        check(exp(a), _exp(real(a)), FUNCTION)
    assert np.all(np.diff(got[0]) <= 0) and got[0][-1] == got[1][-1] == 0
    assert np.count_nonzero((got[0] > 0) & (got[0] < 2.0**-1022)) > 1000


def test_the_exponential_takes_any_number() -> None:
    got, rest = exp(exact([0.0, -0.0, -746.0, -747.0, -1e4, -1e308, -MOST, -np.inf]))
    assert np.array_equal(got, [1, 1, 0, 0, 0, 0, 0, 0]) and not rest.any()
    assert np.array_equal(np.isinf(exp(exact([709.782712893384, 709.79, 710.0, 1e5, MOST]))[0]), [False] + [True] * 4)
    far = (np.array([-MOST, -1e300, 1e300]), np.array([9e291, 7e283, -7e283]))
    assert np.array_equal(exp(far)[0], [0, 0, np.inf]) and not exp(far)[1][:2].any()
    assert np.isnan(exp(exact([np.nan, -1.0]))[0][0])
    # One extreme argument leaves the others of its block alone.
    alone, among = exp(exact([-1.5, -700.0])), exp(exact([-1.5, -700.0, -1e300]))
    assert np.array_equal(alone, [word[:2] for word in among])


def test_the_reductions_constants_are_as_short_as_their_proof_needs() -> None:
    heads, first, second = doubledouble._tables()
    step = flint.arb.const_log2() / 2**14
    assert np.array_equal(heads * 2**20, np.rint(heads * 2**20)) and heads[0] == 1 and heads.max() < 2
    assert np.array_equal(first * 2.0**73, np.rint(first * 2.0**73)) and first[0] == second[0] == 0
    assert np.max(np.abs(first)) + 2.0**24.08 * abs(doubledouble._P2) < 2.0**-20
    assert np.max(np.abs(second)) <= 2.0**-73
    logs = _log1p(_arb(heads - 1)) - _arb(np.arange(2.0**14)) * step
    assert np.all(np.abs(logs - _arb(first) - _arb(second)) < flint.arb(2) ** -126)
    parts = [float(part) for part in (doubledouble._P1, doubledouble._P2, doubledouble._P3)]
    assert Fraction(parts[0]) * 2**43 < 2**28.9 and (Fraction(parts[0]) * 2**43).denominator == 1
    assert (Fraction(parts[1]) * 2**73).denominator == 1
    assert abs(step - sum(map(flint.arb, parts))) < flint.arb(2) ** -127
    assert 746 / STEP + 1 < 2**24.08 and 2**24.08 * abs(parts[2]) < 2.0**-50
    assert STEP / 2 + np.max(np.abs(first)) + 1e-12 < 2.164e-5


@pytest.mark.parametrize(("least", "most"), [(-3, 3), (-60, 60), (-900, 1000)])
def test_log1p_is_within_its_bound(least: int, most: int) -> None:
    a = pairs(26, least, most, signed=False)
    with flint.ctx.workprec(1200):
        check(log1p(a), _log1p(real(a)), FUNCTION, 0.0)


def test_log1p_takes_any_number_from_0_on() -> None:
    a = pairs(27, -1074, -960, signed=False)
    check(log1p(a), _log1p(real(a)), FUNCTION)
    got, rest = log1p(exact([0.0, 5e-324, np.inf, np.nan]))
    assert np.array_equal(got, [0.0, 5e-324, np.inf, np.nan], equal_nan=True) and not rest[:2].any()


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 7, 8, 9, 100, 1000, 4097, 32768])
@pytest.mark.parametrize("signed", [False, True])
def test_a_sum_is_within_its_bound_and_tells_the_height_of_its_tree(length: int, signed: bool) -> None:
    for width in (1, 60):
        rows = [pairs(28 + row, -width, width, signed=signed, count=length) for row in range(3)]
        a = np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
        (high, low), height = total(a)
        assert high.shape == low.shape == (3, 1)
        assert height == int(np.ceil(np.log2(length))) if length else height == 0
        values = real(a)
        want = np.add.reduce(values, axis=1, keepdims=True, initial=flint.arb(0))
        growth = (1 + flint.arb(UNIT)) ** height - 1
        spread = np.add.reduce(np.abs(values), axis=1, keepdims=True, initial=flint.arb(0))
        assert np.all(np.abs(real((high, low)) - want) <= growth * spread)
        assert np.array_equal(high + low, high)


def test_a_sum_in_which_almost_everything_cancels_is_normalised_and_within_its_bound() -> None:
    a = pairs(31, -2, 2, count=3000)
    mixed = tuple(np.concatenate([word, -word, [2.0**-90 * n]]) for n, word in enumerate(a))
    order = np.random.default_rng(32).permutation(6001)
    (high, low), height = total((mixed[0][order], mixed[1][order]))
    want = np.add.reduce(real((mixed[0], mixed[1])))
    spread = np.add.reduce(np.abs(real((mixed[0], mixed[1]))))
    assert abs(real((high, low))[0] - want) <= ((1 + flint.arb(UNIT)) ** height - 1) * spread
    assert high.shape == (1,) and np.array_equal(high + low, high)


def test_a_sum_leaves_its_terms_alone_and_owns_its_result() -> None:
    for length in (1, 6):
        a = pairs(33, -5, 5, count=length)
        kept = [word.copy() for word in a]
        (high, low), _ = total(a)
        high[...] = low[...] = 7.0
        assert np.array_equal(a, kept)


def test_operands_are_broadcast_and_the_words_of_one_pair_too() -> None:
    a = pairs(34, -4, 4, count=12)
    matrix, column = (a[0].reshape(3, 4), a[1].reshape(3, 4)), (a[0][:3, None], a[1][:3, None])
    row, scalar = (a[0][:4], np.zeros(1)), (np.array(3.25), np.array(0.0))
    operations: tuple[Callable[[Pair, Pair], Pair], ...] = (add, multiply, divide)
    for operation in operations:
        for one, two in itertools.permutations((matrix, column, row, scalar), 2):
            shape = np.broadcast_shapes(one[0].shape, two[0].shape)
            full = [(np.broadcast_to(x[0], shape).copy(), np.broadcast_to(x[1], shape).copy()) for x in (one, two)]
            got, want = operation(one, two), operation(full[0], full[1])
            assert got[0].shape == shape and np.array_equal(got, want)
        assert operation(scalar, scalar)[0].shape == ()
    split = np.array([[-1.0], [-2.0]]), np.array([1e-20, -1e-20, 0.0])
    wide = np.broadcast_to(split[0], (2, 3)).copy(), np.broadcast_to(split[1], (2, 3)).copy()
    for function in (exp, log1p, lambda pair: total(pair)[0]):
        one = (-split[0], split[1]) if function is log1p else split
        two = (-wide[0], wide[1]) if function is log1p else wide
        assert np.array_equal(function(one), function(two))


@pytest.mark.parametrize("shape", [(50_000,), (3, 20_000), (20_000, 3), (2, 3, 9_000), (17, 1_001), (1, 1, 16_385)])
def test_what_is_worked_on_in_blocks_is_the_same_as_piece_by_piece(shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    a, b = pairs(35, -4, 4, count=size), pairs(36, -4, 4, count=size)
    whole = [(word[0].reshape(shape), word[1].reshape(shape)) for word in (a, b)]
    edge = (whole[1][0][..., :1], whole[1][1][..., :1])
    for operation in (add, multiply, divide):
        got = operation(whole[0], whole[1])
        for start in range(0, size, 5_000):
            cut = slice(start, start + 5_000)
            want = operation((a[0][cut], a[1][cut]), (b[0][cut], b[1][cut]))
            assert np.array_equal([word.reshape(-1)[cut] for word in got], want)
        full = np.broadcast_to(edge[0], shape).copy(), np.broadcast_to(edge[1], shape).copy()
        assert np.array_equal(operation(whole[0], edge), operation(whole[0], full))
    turned = (whole[0][0].T, whole[0][1].T)
    assert np.array_equal([word.T for word in exp(turned)], exp(whole[0]))


def test_nothing_is_computed_of_no_numbers() -> None:
    for shape in ((0,), (0, 5), (3, 0)):
        empty = exact(np.zeros(shape))
        for got in (add(empty, empty), multiply(empty, empty), divide(empty, empty), exp(empty), log1p(empty)):
            assert got[0].shape == got[1].shape == shape


def test_operands_are_left_alone() -> None:
    a, b = pairs(37, -4, 4), pairs(38, -4, 4)
    kept = [word.copy() for word in (*a, *b)]
    for got in (add(a, b), multiply(a, b), divide(a, b), exp(a), log1p((np.abs(a[0]), a[1])), total(a)[0]):
        got[0][...] = got[1][...] = 0.0
    assert np.array_equal([*a, *b], kept)


@pytest.mark.parametrize("word", [np.nan, np.inf, -np.inf, MOST])
def test_what_is_not_finite_shows_in_the_high_word(word: float) -> None:
    odd, one = (np.array([word, 1.0]), np.zeros(2)), exact(np.array([MOST, 1.0]))
    more = (np.array([MOST, 1.0]), np.array([0.0, 2.0**-60]))
    twice = exact(odd[0][:, None] * np.ones(2))
    for got in (add(odd, one), add(odd, more), multiply(odd, one), total(twice)[0]):
        assert np.array_equal(np.isfinite(got[0].reshape(2)), [False, True])


def test_division_by_zero_is_not_finite() -> None:
    assert not np.any(np.isfinite(divide(exact([1.0, 0.0, -2.0]), exact([0.0, 0.0, -0.0]))[0]))


def test_mpmath_agrees() -> None:
    a, b = pairs(39, -3, 3, signed=False, count=200), pairs(40, -3, 3, count=200)
    with mpmath.workprec(400):
        x, y = ([mpmath.mpf(h) + mpmath.mpf(low) for h, low in zip(*pair, strict=True)] for pair in (a, b))
        cases: list[tuple[Pair, list[Any], float]] = [
            (add(a, b), [p + q for p, q in zip(x, y, strict=True)], UNIT),
            (multiply(a, b), [p * q for p, q in zip(x, y, strict=True)], UNIT),
            (divide(a, b), [p / q for p, q in zip(x, y, strict=True)], UNIT),
            (exp(b), [mpmath.exp(q) for q in y], FUNCTION),
            (log1p(a), [mpmath.log1p(p) for p in x], FUNCTION),
        ]
        for got, want, bound in cases:
            for high, low, value in zip(*got, want, strict=True):
                assert abs(mpmath.mpf(high) + mpmath.mpf(low) - value) <= bound * abs(value)


def test_a_softmax_adds_up() -> None:
    """The use that all this is made for: the sum of a row of probabilities is 1."""
    x = np.random.default_rng(41).normal(size=(4, 500)) * 8
    e = exp(add(exact(x), exact(-x.max(axis=1, keepdims=True))))
    below, height = total(e)
    p = multiply(e, divide(exact(1.0), below))
    with flint.ctx.workprec(400):
        logits = _exp(_arb(x))
        check(p, logits / np.add.reduce(logits, axis=1, keepdims=True), 2 * FUNCTION + (height + 2) * UNIT)
