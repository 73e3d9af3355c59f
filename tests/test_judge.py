"""The judge at its borders: half an ulp, one ulp, the bound; classes; formats; enclosures that do not settle it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from lossparity.bounds import Bounds
from lossparity.formats import FORMATS, Array, ulp
from lossparity.judge import Judgement, judge
from lossparity.model import Grade
from lossparity.reference import Certified

CLOSE = 1e-20  # beyond binary64 beside 1, within it beside half an ulp of binary32


def tier(exact: Any, radius: Any = 0.0, *, low: Any = 0.0, open_at: Any = False, name: str = "float64") -> Certified:
    """Return an enclosure; `open_at` marks elements that the spec leaves open."""
    high = np.asarray(exact, dtype=np.float64)
    parts = [np.broadcast_to(np.asarray(part, dtype=np.float64), high.shape) for part in (low, radius)]
    return Certified(high, parts[0], parts[1], np.broadcast_to(~np.asarray(open_at, dtype=bool), high.shape), name)


LEAST = 2.0**-1074  # a bound of 0 asks for the exact value


def within(tight: Any, loose: Any) -> Callable[[Any], Bounds]:
    """Return bounds of the exact value's shape."""

    def made(exact: Any) -> Bounds:
        shape = np.shape(exact)
        return Bounds(np.broadcast_to(np.float64(tight), shape), np.broadcast_to(np.float64(loose), shape))

    return made


def judged(
    got: Any, exact: Any, tight: Any = LEAST, loose: Any = LEAST, fmt: str = "float32", result: str = "", **more: Any
) -> Judgement:
    """Judge against one enclosure without a radius, and with bounds that admit next to nothing, unless given."""
    return judge(Array.of(got, result or fmt), fmt, iter([tier(exact, **more)]), within(tight, loose))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_grades_change_at_half_an_ulp_one_ulp_and_the_bounds(fmt: str, sign: float) -> None:
    spacing = float(ulp(1.25, FORMATS[fmt]))
    scale = 2.0**-20
    # The result stays where it is and the exact value moves: its rest is in `low`.
    for distance, grade in (
        (0.0, Grade.EXACT),
        (0.5, Grade.EXACT),
        (0.5 + scale, Grade.FAITHFUL),
        (1 - scale, Grade.FAITHFUL),
        (1.0, Grade.TIGHT),
        (2.0, Grade.TIGHT),
        (2 + scale, Grade.LOOSE),
        (3.0, Grade.LOOSE),
        (3 + scale, Grade.WRONG),
        (1000.0, Grade.WRONG),
    ):
        found = judged(sign * 1.25, sign * 1.25, 2 * spacing, 3 * spacing, fmt, low=-sign * distance * spacing)
        assert found.grade is grade, distance
        assert found.kind == ("finite-wrong" if grade is Grade.WRONG else "")
        assert found.ulp == distance and found.bound_used == pytest.approx(distance / 3)


def test_the_spacing_is_that_at_the_exact_value() -> None:
    """Just below 1 an ulp is half of that at 1: 0.75 of the upper one is 1.5 of the lower."""
    spacing = 2.0**-23
    assert judged(1.0, 1.0, low=0.75 * spacing).grade is Grade.FAITHFUL
    assert judged(1.0, 1.0, low=-0.75 * spacing).grade is Grade.WRONG
    assert judged(1.0, 1.0 - 0.75 * spacing).grade is Grade.WRONG


@pytest.mark.parametrize(
    ("got", "exact", "kind"),
    [
        (nan, 1.0, "nan"),
        (inf, 1.0, "inf"),
        (-inf, 1.0, "inf"),
        (0.0, 1.0, "zero"),
        (2.0, 1.0, "finite-wrong"),
        (-1.0, 1.0, "finite-wrong"),
        (1.0, nan, "finite-wrong"),
        (inf, nan, "inf"),
        (nan, inf, "nan"),
        (nan, -inf, "nan"),
        (-inf, inf, "inf"),
        (3e38, inf, "finite-wrong"),
        (0.0, nan, "zero"),
        (0.0, inf, "zero"),
        (1e-5, 0.0, "finite-wrong"),
    ],
)
def test_kinds_of_wrong(got: float, exact: float, kind: str) -> None:
    found = judged([1.0, got], [1.0, exact], 1e-7, 1e-6)
    assert (found.grade, found.kind, found.worst) == (Grade.WRONG, kind, 1)
    numbers = np.isfinite(got) and np.isfinite(exact)
    assert (found.ulp is not None) == (found.bound_used is not None) == numbers


@pytest.mark.parametrize("special", [nan, inf, -inf])
@pytest.mark.parametrize("fmt", FORMATS)
def test_like_meets_like(special: float, fmt: str) -> None:
    found = judged([special, 0.5], [special, 0.5], fmt=fmt)
    assert (found.grade, found.ulp, found.bound_used) == (Grade.EXACT, 0, 0)


def test_minus_zero_is_zero() -> None:
    for got, exact in ((-0.0, 0.0), (0.0, -0.0)):
        found = judged([got], [exact])
        assert (found.grade, found.kind) == (Grade.EXACT, "")


def test_shapes_must_be_equal() -> None:
    for got, exact in (([1.0], 1.0), (1.0, [1.0]), ([[1.0, 1.0]], [1.0, 1.0]), ([1.0] * 3, [1.0] * 2), ([], 1.0)):
        found = judged(got, exact)
        assert (found.grade, found.kind, found.worst, found.bounds) == (Grade.WRONG, "shape", None, None)
        assert str(list(np.shape(got))) in found.message and str(list(np.shape(exact))) in found.message


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("result", FORMATS)
def test_the_result_has_the_format_of_the_logits_or_binary32_for_sixteen_bits(fmt: str, result: str) -> None:
    found = judged(1.0, 1.0, fmt=fmt, result=result)
    allowed = result == fmt or (result == "float32" and FORMATS[fmt].bits == 16)
    assert (found.grade, found.kind) == ((Grade.EXACT, "") if allowed else (Grade.WRONG, "format"))


def test_an_integer_result_is_of_the_wrong_format() -> None:
    found = judge(Array.of([1], "int64"), "float32", iter([tier([1.0])]), within(0, 0))
    assert (found.grade, found.kind) == (Grade.WRONG, "format")


# Clause D3.


@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_beyond_the_range_of_the_result_is_infinite(fmt: str, sign: float) -> None:
    f = FORMATS[fmt]
    threshold = f.largest + float(ulp(f.largest, f)) / 2
    below = float(np.nextafter(threshold, 0.0))
    for exact in (threshold, 1.5 * threshold, 1e300):
        assert judged(sign * inf, sign * exact, fmt=fmt).grade is Grade.EXACT
        assert judged(-sign * inf, sign * exact, fmt=fmt).kind == "inf"
        assert judged(nan, sign * exact, fmt=fmt).kind == "nan"
    assert judged(sign * inf, sign * below, fmt=fmt).kind == "inf"
    # What the bound may carry over the threshold may be infinite.
    assert judged(sign * inf, sign * below, threshold / 1000, threshold / 1000, fmt=fmt).grade is Grade.EXACT
    assert judged(sign * f.largest, sign * 2 * f.largest, 1.0, 1.0, fmt=fmt).kind == "finite-wrong"


def test_a_sixteen_bit_case_answered_in_binary32_has_binary32s_range() -> None:
    assert judged(1e5, 1e5, fmt="float16", result="float32").grade is Grade.EXACT
    assert judged(inf, 1e5, fmt="float16", result="float32").kind == "inf"
    assert judged(inf, 1e5, fmt="float16").grade is Grade.EXACT
    assert judged(inf, 1e39, fmt="float16", result="float32").grade is Grade.EXACT
    # Judged by binary16's spacing, 64 at 1e5.
    assert judged(1e5 + 32, 1e5, fmt="float16", result="float32").grade is Grade.EXACT
    assert judged(1e5 + 63, 1e5, fmt="float16", result="float32").grade is Grade.FAITHFUL
    assert judged(1e5 + 64, 1e5, fmt="float16", result="float32").grade is Grade.WRONG


@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float16"])
def test_below_the_smallest_subnormal_is_zero_or_the_smallest_subnormal(fmt: str) -> None:
    smallest = 2.0 ** (FORMATS[fmt].emin - FORMATS[fmt].precision + 1)
    for share in (0.1, 0.4, 0.6, 0.9):
        for got in (0.0, smallest):
            nearest = (got == 0) == (share < 0.5)
            assert judged(got, share * smallest, fmt=fmt).grade is (Grade.EXACT if nearest else Grade.FAITHFUL)
        assert judged(2 * smallest, share * smallest, fmt=fmt).grade is Grade.WRONG
        assert judged(-smallest, share * smallest, fmt=fmt).grade is Grade.WRONG
    assert judged(0.0, smallest, fmt=fmt).kind == "zero"


# Elements that the spec leaves open, and arrays without any.


def test_what_is_unspecified_passes_whatever_it_is() -> None:
    for anything in (nan, inf, -inf, 1e30, 0.0):
        found = judged([anything, 0.5], [7.0, 0.5], open_at=[True, False])
        assert (found.grade, found.kind, found.bound_used) == (Grade.EXACT, "", 0)
        found = judged([anything, 0.75], [7.0, 0.5], open_at=[True, False])
        assert (found.grade, found.worst) == (Grade.WRONG, 1)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_an_empty_array_is_exact_and_its_shape_still_matters(shape: tuple[int, ...]) -> None:
    found = judged(np.zeros(shape), np.zeros(shape))
    assert (found.grade, found.worst, found.ulp) == (Grade.EXACT, None, 0)
    assert judged(np.zeros(shape), np.zeros((0, 7))).kind == "shape"


# Several tiers.


def counted(tiers: Sequence[Certified]) -> tuple[Iterator[Certified], list[str]]:
    """Return an iterator over tiers, and the list of those that were asked for."""
    asked: list[str] = []

    def each() -> Iterator[Certified]:
        for one in tiers:
            asked.append(one.tier)
            yield one

    return each(), asked


def test_a_settled_grade_asks_for_no_further_tier() -> None:
    tiers, asked = counted([tier([1.0, 0.25], 1e-12), tier([1.0, 0.25], CLOSE, name="arb 192")])
    found = judge(Array.of([1.0, 0.25], "float32"), "float32", tiers, within(1e-6, 1e-5))
    assert (found.grade, found.tier, asked) == (Grade.EXACT, "float64", ["float64"])


def test_a_torn_grade_is_settled_by_the_next_tier() -> None:
    half = 2.0**-24
    for low, grade in ((-CLOSE, Grade.EXACT), (CLOSE, Grade.FAITHFUL)):
        tiers, asked = counted(
            [tier(1 + half, 1e-12), tier(1 + half, CLOSE / 2, low=low, name="arb 192"), tier(1.0, name="arb 768")]
        )
        found = judge(Array.of(1.0, "float32"), "float32", tiers, within(1e-6, 1e-5))
        assert (found.grade, found.tier, asked) == (grade, "arb 192", ["float64", "arb 192"])


@pytest.mark.parametrize("radius", [0.5, inf, nan])
def test_pass_or_fail_left_open_by_the_last_tier_is_uncertified(radius: float) -> None:
    tiers, asked = counted([tier(1.0, radius), tier(1.0, radius, name="arb 192")])
    found = judge(Array.of(1.0, "float32"), "float32", tiers, within(1e-7, 1e-6))
    assert (found.grade, found.tier, asked) == (Grade.UNCERTIFIED, "arb 192", ["float64", "arb 192"])
    assert found.message


@pytest.mark.parametrize("radius", [inf, nan])
@pytest.mark.parametrize("got", [1.0, inf, nan])
def test_an_enclosure_that_tells_nothing_decides_nothing_not_even_the_class(got: float, radius: float) -> None:
    """A first tier may overflow on the way to a number, and an infinity may be no more than its ignorance."""
    for blank in (0.0, inf):
        tiers, asked = counted([tier(blank, radius), tier(1.0, CLOSE, name="arb 192")])
        found = judge(Array.of(got, "float32"), "float32", tiers, within(1e-7, 1e-6))
        assert found.grade is (Grade.EXACT if got == 1 else Grade.WRONG)
        assert asked == ["float64", "arb 192"]


def test_between_two_passing_grades_the_lower_one_stands() -> None:
    found = judge(Array.of(1.0, "float32"), "float32", iter([tier(1.0, 1e-6)]), within(1e-5, 1e-4))
    assert found.grade is Grade.TIGHT


def test_wrong_however_the_radius_falls_is_wrong_at_once() -> None:
    tiers, asked = counted([tier(1.0, 0.1), tier(1.0, name="arb 192")])
    found = judge(Array.of(2.0, "float32"), "float32", tiers, within(0.1, 0.2))
    assert (found.grade, asked) == (Grade.WRONG, ["float64"])


# The worst element speaks for the array.


def test_the_largest_share_of_the_bound_among_the_worst_grade_is_the_worst_element() -> None:
    found = judged([[1.0, 1.0], [1.25, 1.5]], [[1.0, 1.0], [1.0, 1.0]], 0.25, [[1.0, 1.0], [1.0, 1.0]])
    assert (found.grade, found.worst, found.bound_used) == (Grade.LOOSE, 3, 0.5)
    found = judged([3.0, nan, 2.0], [1.0, 1.0, 1.0], 0.25, 0.5)
    assert (found.grade, found.kind, found.worst) == (Grade.WRONG, "nan", 1)


def test_a_vacuous_bound_is_never_a_pass() -> None:
    found = judged([1.0], [1.0], 1.0, inf)
    assert (found.grade, found.kind) == (Grade.UNCERTIFIED, "")
    assert found.message


def test_what_is_wrong_in_one_place_is_wrong_however_vacuous_another() -> None:
    """Else a NaN in one row would hide behind a bound that is vacuous in the next one."""
    found = judged([1.0, nan], [1.0, 1.0], [1.0, 1e-7], [inf, 1e-6])
    assert (found.grade, found.kind, found.worst) == (Grade.WRONG, "nan", 1)
    found = judged([1.0, 2.0], [1.0, 1.0], [1.0, 1e-7], [inf, 1e-6])
    assert (found.grade, found.kind, found.worst) == (Grade.WRONG, "finite-wrong", 1)


def test_a_bound_of_zero_admits_nothing_but_the_exact_value() -> None:
    """A masked p, or one class: half an ulp of a 16-bit format is too much in a binary32 result."""
    for got, grade in ((0.0, Grade.EXACT), (-0.0, Grade.EXACT), (2e-8, Grade.WRONG)):
        assert judged(got, 0.0, 0.0, 0.0, "float16", "float32").grade is grade


@pytest.mark.parametrize(("got", "grade"), [(0.0, Grade.EXACT), (np.nan, Grade.EXACT), (5.0, Grade.WRONG)])
def test_what_is_blank_is_zero_or_nan(got: float, grade: Grade) -> None:
    """The gradient of an ignored row that is not finite (G3), and of a mean over nothing (N3)."""
    blank = replace(tier([1.0, 0.0], open_at=[False, True]), blank=np.array([False, True]))
    found = judge(Array.of([1.0, got], "float32"), "float32", iter([blank]), within(LEAST, LEAST))
    assert found.grade is grade


def test_an_infinity_is_no_pass_because_the_bound_is_vacuous() -> None:
    assert judged(np.inf, 1.0, np.inf, np.inf).grade is Grade.WRONG
