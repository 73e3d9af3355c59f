"""The judge at its borders: half an ulp, one ulp, the bound; classes; formats; enclosures that do not settle it.

Most tests give the judge its enclosures and bounds, number by number, and each of them is made in four ways: all
elements worked out in full or only those that may decide, in one block or in a block for each row. The last ones judge
real answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf, nan
from typing import Any, cast

import numpy as np
import pytest

from lossparity import inspection
from lossparity import judge as judging
from lossparity.formats import FORMATS, Array, ulp
from lossparity.judge import BINS, Judgement, judge
from lossparity.model import Grade
from lossparity.reference import Answer, Certified, Flags, Floats, Problem
from lossparity.reference import problem as problems

CLOSE = 1e-20  # beyond binary64 beside 1, within it beside half an ulp of binary32
LEAST = 2.0**-1074  # a bound of 0 asks for the exact value
HALF = 2.0**-24  # half an ulp of binary32 at 1.5
Places = np.ndarray[Any, np.dtype[np.intp]]


@dataclass
class Given:
    """An answer whose enclosures are given, tier by tier, with its bounds; `asked` collects (tier, rows) looked at."""

    tiers: Sequence[Certified]
    format: str
    shape: tuple[int, ...]
    tight: Floats
    loose: Floats
    a_block: int = 10**6
    first_tier: int = 0
    asked: list[tuple[str, list[int]]] = field(default_factory=list)

    def blocks(self) -> Iterator[GivenBlock]:
        rows = np.arange(len(self.tiers[0].high))
        for start in range(0, len(rows), self.a_block):
            yield GivenBlock(self, rows[start : start + self.a_block], 0)

    def rows_of(self, array: Array, rows: Places) -> Floats:
        got: Floats = array.exact().reshape(len(self.tight), -1)[rows]
        return got

    def flat(self, rows: Places, row: int, cls: int) -> int:
        return int(rows[row]) * self.tight.shape[1] + cls

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@dataclass
class GivenBlock:
    """Some rows of it in one tier."""

    answer: Given
    rows: Places
    tier: int

    @cached_property
    def certified(self) -> Certified:
        one = self.answer.tiers[self.tier]
        self.answer.asked.append((one.tier, self.rows.tolist()))
        parts: dict[str, Any] = {name: part[self.rows] for name, part in vars(one).items() if np.ndim(part)}
        return replace(one, **parts)

    @property
    def last(self) -> bool:
        return self.tier == len(self.answer.tiers) - 1

    def some(self, chosen: Flags) -> GivenBlock:
        return replace(self, rows=self.rows[chosen])

    def narrowed(self, chosen: Flags) -> GivenBlock:
        return replace(self.some(chosen), tier=self.tier + 1)


@dataclass
class GivenTerms:
    """The bounds themselves."""

    tight: Floats
    loose: Floats

    def at(self, rows: Places, classes: Places) -> GivenTerms:
        return GivenTerms(self.tight[rows, classes][:, None], self.loose[rows, classes][:, None])


class GivenBounds:
    """Bounds that are given; those below them are smaller, and not alike."""

    def __init__(self, answer: Given, flushed: bool) -> None:
        assert not flushed
        self.answer = answer

    def terms(self, block: GivenBlock) -> GivenTerms:
        return GivenTerms(self.answer.tight[block.rows], self.answer.loose[block.rows])

    def both(self, parts: GivenTerms, exact: Floats) -> tuple[Floats, Floats]:
        assert exact.shape == parts.tight.shape and np.isfinite(exact).all()
        return parts.tight, parts.loose

    def of_block(self, block: GivenBlock, exact: Floats) -> tuple[Floats, Floats]:
        return self.both(self.terms(block), exact)

    def below(self, which: str, parts: GivenTerms, exact: Floats) -> Floats:
        assert exact.shape == parts.tight.shape and np.isfinite(exact).all()
        below: Floats = getattr(parts, which) * np.where(np.arange(exact.shape[1]) % 2, 0.5, 0.9)
        return below

    def line(self, _which: str, _parts: GivenTerms) -> tuple[Floats, Floats] | None:
        return None


class BoundsInLine(GivenBounds):
    """The same with a line below them, and that a level one."""

    def line(self, _which: str, _parts: GivenTerms) -> tuple[Floats, Floats] | None:
        least: Floats = 0.7 * getattr(_parts, _which).min(axis=1, keepdims=True)
        return least, np.zeros(least.shape)


@pytest.fixture(
    params=["in full", "in full, by rows", "chosen", "chosen, by rows", "chosen in line", "chosen in line, by rows"]
)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Six ways through the judge, whose outcome must be one."""
    monkeypatch.setattr(judging, "Bounds", BoundsInLine if "in line" in request.param else GivenBounds)
    monkeypatch.setattr(inspection, "_FEW", 10**6 if request.param.startswith("in full") else 0)
    return str(request.param)


def tier(exact: Any, radius: Any = 0.0, *, low: Any = 0.0, open_at: Any = False, name: str = "float64") -> Certified:
    """Return an enclosure; `open_at` marks elements that the spec leaves open."""
    high = np.asarray(exact, dtype=np.float64)
    rest, around, left = (np.broadcast_to(np.asarray(part), high.shape) for part in (low, radius, open_at))
    rows = high.shape[0] if high.ndim > 1 else 1
    high, rest, around, left = (part.reshape(rows, -1) for part in (high, rest, around, left))
    special = float(not np.isfinite(high).all())
    one_for_all = float(radius) if np.ndim(radius) == 0 else around
    return Certified(high, rest, 0.0, one_for_all, name, special, left.astype(np.bool_) if left.any() else None)


def given(way: str, exact: Any, tight: Any, loose: Any, fmt: str, *tiers: Certified) -> Given:
    """Return an answer of the exact value's shape."""
    bounds = (np.array(np.broadcast_to(np.float64(b), np.shape(exact))) for b in (tight, loose))
    tight, loose = (b.reshape(tiers[0].high.shape) for b in bounds)
    return Given(tiers, fmt, np.shape(exact), tight, loose, 1 if way.endswith("by rows") else 10**6)


def asked(got: Any, answer: Given, result: str = "") -> Judgement:
    """Judge against a given answer."""
    array = Array.of(got, result or answer.format)
    found = judge(array, cast(Answer, answer), flushed=False)
    assert not found.histogram or sum(found.histogram) == array.data.size  # each element once, however often it is seen
    return found


@dataclass
class Judged:
    """Judges against one enclosure without a radius, and with bounds that admit next to nothing, unless given."""

    way: str

    def __call__(
        self,
        got: Any,
        exact: Any,
        tight: Any = LEAST,
        loose: Any = LEAST,
        fmt: str = "float32",
        result: str = "",
        **more: Any,
    ) -> Judgement:
        return asked(got, given(self.way, exact, tight, loose, fmt, tier(exact, **more)), result)


@pytest.fixture
def judged(way: str) -> Judged:
    return Judged(way)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_grades_change_at_half_an_ulp_one_ulp_and_the_bounds(judged: Judged, fmt: str, sign: float) -> None:
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
        assert (found.got, found.exact) == (sign * 1.25, sign * 1.25)
        assert (found.tight, found.loose) == (2 * spacing, 3 * spacing)
    # Both models may bound it alike.
    for distance, grade in ((3.0, Grade.TIGHT), (3 + scale, Grade.WRONG)):
        found = judged(sign * 1.25, sign * 1.25, 3 * spacing, 3 * spacing, fmt, low=-sign * distance * spacing)
        assert found.grade is grade, distance


def test_the_spacing_is_that_at_the_exact_value(judged: Judged) -> None:
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
def test_kinds_of_wrong(judged: Judged, got: float, exact: float, kind: str) -> None:
    found = judged([[1.0, 1.0], [1.0, got]], [[1.0, 1.0], [1.0, exact]], 1e-7, 1e-6)
    assert (found.grade, found.kind, found.worst) == (Grade.WRONG, kind, 3)
    numbers = np.isfinite(got) and np.isfinite(exact)
    assert (found.ulp is not None) == (found.bound_used is not None) == numbers
    assert np.array_equal([found.got, found.exact], np.array([np.float32(got), exact]), equal_nan=True)


@pytest.mark.parametrize("special", [nan, inf, -inf])
@pytest.mark.parametrize("fmt", FORMATS)
def test_like_meets_like(judged: Judged, special: float, fmt: str) -> None:
    found = judged([special, 0.5], [special, 0.5], fmt=fmt)
    assert (found.grade, found.ulp, found.bound_used) == (Grade.EXACT, 0, 0)


def test_minus_zero_is_zero(judged: Judged) -> None:
    for got, exact in ((-0.0, 0.0), (0.0, -0.0)):
        found = judged([got], [exact])
        assert (found.grade, found.kind) == (Grade.EXACT, "")


def test_shapes_must_be_equal(judged: Judged) -> None:
    for got, exact in (([1.0], 1.0), (1.0, [1.0]), ([[1.0, 1.0]], [1.0, 1.0]), ([1.0] * 3, [1.0] * 2), ([], 1.0)):
        found = judged(got, exact)
        assert (found.grade, found.kind, found.worst, found.histogram) == (Grade.WRONG, "shape", None, ())
        assert found.message.startswith(f"shape {list(np.shape(got))} instead of {list(np.shape(exact))}")


@pytest.mark.parametrize(
    ("got", "exact", "said"),
    [
        (1.0, [1.0, 2.0], "it is reduced, where one result each is wanted"),
        ([1.0, 2.0], 1.0, "it is not reduced"),
        ([1.0], 1.0, "a scalar has no axis"),
        ([[1.0], [2.0]], [1.0, 2.0], "an axis of length 1 is left"),
        ([1.0] * 3, [1.0] * 2, ""),
    ],
)
def test_a_wrong_shape_says_what_it_looks_like(judged: Judged, got: Any, exact: Any, said: str) -> None:
    assert judged(got, exact).message.partition("]: ")[2] == said


@pytest.mark.parametrize(
    ("fmt", "result", "said"),
    [("float32", "float64", "promoted"), ("float64", "float32", "narrowed"), ("float16", "bfloat16", "")],
)
def test_a_wrong_format_says_which_way_it_went(judged: Judged, fmt: str, result: str, said: str) -> None:
    message = judged(1.0, 1.0, fmt=fmt, result=result).message
    assert said in message
    assert bool(said) == (": it was" in message)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("result", FORMATS)
def test_the_result_has_the_format_of_the_logits_or_binary32_for_sixteen_bits(
    judged: Judged, fmt: str, result: str
) -> None:
    found = judged(1.0, 1.0, fmt=fmt, result=result)
    allowed = result == fmt or (result == "float32" and FORMATS[fmt].bits == 16)
    assert (found.grade, found.kind) == ((Grade.EXACT, "") if allowed else (Grade.WRONG, "format"))


def test_an_integer_result_is_of_the_wrong_format(judged: Judged) -> None:
    found = judged([1], [1.0], result="int64")
    assert (found.grade, found.kind) == (Grade.WRONG, "format")
    assert found.message == "format int64 instead of float32"


# Clause D3.


@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_beyond_the_range_of_the_result_is_infinite(judged: Judged, fmt: str, sign: float) -> None:
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


def test_a_sixteen_bit_case_answered_in_binary32_has_binary32s_range(judged: Judged) -> None:
    assert judged(1e5, 1e5, fmt="float16", result="float32").grade is Grade.EXACT
    assert judged(inf, 1e5, fmt="float16", result="float32").kind == "inf"
    assert judged(inf, 1e5, fmt="float16").grade is Grade.EXACT
    assert judged(inf, 1e39, fmt="float16", result="float32").grade is Grade.EXACT
    # Judged by binary16's spacing, 64 at 1e5.
    assert judged(1e5 + 32, 1e5, fmt="float16", result="float32").grade is Grade.EXACT
    assert judged(1e5 + 63, 1e5, fmt="float16", result="float32").grade is Grade.FAITHFUL
    assert judged(1e5 + 64, 1e5, fmt="float16", result="float32").grade is Grade.WRONG


@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float16"])
def test_below_the_smallest_subnormal_is_zero_or_the_smallest_subnormal(judged: Judged, fmt: str) -> None:
    smallest = 2.0 ** (FORMATS[fmt].emin - FORMATS[fmt].precision + 1)
    for share in (0.1, 0.4, 0.6, 0.9):
        for got in (0.0, smallest):
            nearest = (got == 0) == (share < 0.5)
            assert judged(got, share * smallest, fmt=fmt).grade is (Grade.EXACT if nearest else Grade.FAITHFUL)
        assert judged(2 * smallest, share * smallest, fmt=fmt).grade is Grade.WRONG
        assert judged(-smallest, share * smallest, fmt=fmt).grade is Grade.WRONG
    assert judged(0.0, smallest, fmt=fmt).kind == "zero"


# Elements that the spec leaves open, and arrays without any.


def test_what_is_unspecified_passes_whatever_it_is(judged: Judged) -> None:
    for anything in (nan, inf, -inf, 1e30, 0.0):
        for radius in (0.0, inf):  # what is left open needs no enclosure either
            found = judged([anything, 0.5], [7.0, 0.5], radius=[radius, 0.0], open_at=[True, False])
            assert (found.grade, found.kind, found.bound_used) == (Grade.EXACT, "", 0)
        found = judged([anything, 0.75], [7.0, 0.5], open_at=[True, False])
        assert (found.grade, found.worst) == (Grade.WRONG, 1)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_an_empty_array_is_exact_and_its_shape_still_matters(shape: tuple[int, ...]) -> None:
    problem = Problem("softmax", {"logits": Array.of(np.zeros(shape), "float32")}, {})
    found = judge(Array.of(np.zeros(shape), "float32"), Answer(problem, "value", "float32"), flushed=False)
    assert (found.grade, found.worst, found.ulp, found.bound_used) == (Grade.EXACT, None, 0, 0)
    assert found.histogram == (0,) * (len(BINS) + 1)
    found = judge(Array.of(np.zeros((0, 7)), "float32"), Answer(problem, "value", "float32"), flushed=False)
    assert found.kind == "shape"


@pytest.mark.parametrize(
    ("got", "grade"), [(0.0, Grade.EXACT), (nan, Grade.EXACT), (5.0, Grade.WRONG), (inf, Grade.WRONG)]
)
@pytest.mark.parametrize("exact", [0.0, 5.0])
def test_what_is_blank_is_zero_or_nan(way: str, got: float, grade: Grade, exact: float) -> None:
    """The gradient of an ignored row that is not finite (G3), and of a mean over nothing (N3)."""
    for left in (False, True):  # whatever else leaves it open
        blank = replace(tier([[1.0], [exact]], open_at=[[False], [left]]), blank=np.array([[False], [True]]))
        found = asked([[1.0], [got]], given(way, [[1.0], [exact]], LEAST, LEAST, "float32", blank))
        assert found.grade is grade
        assert found.bound_used == (0 if grade is Grade.EXACT else None)


# Several tiers.


def test_a_settled_grade_asks_for_no_further_tier(way: str) -> None:
    values = [[1.0], [0.25]]
    answer = given(way, values, 1e-6, 1e-5, "float32", tier(values, 1e-12), tier(values, CLOSE, name="double-double"))
    found = asked(values, answer)
    assert (found.grade, found.tier) == (Grade.EXACT, "float64")
    assert set(answer.names) == {"float64"}


def test_a_torn_grade_is_settled_by_the_next_tier(way: str) -> None:
    half = 2.0**-24
    for low, grade in ((-CLOSE, Grade.EXACT), (CLOSE, Grade.FAITHFUL)):
        tiers = (
            tier(1 + half, 1e-12),
            tier(1 + half, CLOSE / 2, low=low, name="double-double"),
            tier(1.0, name="arb 192"),
        )
        answer = given(way, 1.0, 1e-6, 1e-5, "float32", *tiers)
        found = asked(1.0, answer)
        assert (found.grade, found.tier, answer.names) == (grade, "double-double", ["float64", "double-double"])


@pytest.mark.parametrize("radius", [0.5, inf])
def test_pass_or_fail_left_open_by_the_last_tier_is_uncertified(way: str, radius: float) -> None:
    answer = given(way, 1.0, 1e-7, 1e-6, "float32", tier(1.0, radius), tier(1.0, radius, name="arb 192"))
    found = asked(1.0, answer)
    assert (found.grade, found.tier, answer.names) == (Grade.UNCERTIFIED, "arb 192", ["float64", "arb 192"])
    assert found.kind == ""
    assert found.message


@pytest.mark.parametrize(
    ("got", "exact", "right"),
    [(1.0, 1.0, True), (inf, 1.0, False), (nan, 1.0, False), (inf, inf, True), (nan, nan, True), (1.0, nan, False)],
)
def test_an_enclosure_that_tells_nothing_decides_nothing_not_even_the_class(
    way: str, got: float, exact: float, right: bool
) -> None:
    """A first tier may overflow on the way to a number."""
    low = [[HALF / 4], [0.0]]
    first = tier([[1.0], [0.0]], [[0.0], [inf]], low=low)
    answer = given(way, [[1.0], [1.0]], 1e-7, 1e-6, "float32", first, tier([[1.0], [exact]], low=low, name="arb 192"))
    found = asked([[1.0], [got]], answer)
    assert (found.grade, found.worst) == ((Grade.EXACT, 0) if right else (Grade.WRONG, 1))
    assert [rows for name, rows in answer.asked if name == "arb 192"] == [[1]]


def test_what_is_settled_beside_something_torn_counts(way: str) -> None:
    """The larger share may be that of an element that was never in doubt."""
    low = np.array([[-20 * HALF], [-4 * HALF]])
    exact, tight, loose = np.full((2, 1), 1.5), [[28 * HALF], [4 * HALF]], [[30 * HALF], [80 * HALF]]
    tiers = tier(exact, 1e-12, low=low), tier(exact, low=low + CLOSE, name="double-double")
    found = asked(exact, given(way, exact, tight, loose, "float32", *tiers))
    assert (found.grade, found.worst, found.tier) == (Grade.TIGHT, 0, "float64")
    assert found.bound_used == pytest.approx(2 / 3)


def test_what_is_enclosed_vaguely_is_asked_again_beside_larger_errors_within_their_bounds(way: str) -> None:
    """It is near the middle of its enclosure, and may yet be beyond its bound."""
    exact, tight, loose = [[1.5, 1.5]], [[60 * HALF, 4 * HALF]], [[80 * HALF, 5 * HALF]]
    first = tier(exact, [[0.0, 8 * HALF]], low=[[-20 * HALF, 0.0]])
    second = tier(exact, low=[[-20 * HALF, -6 * HALF]], name="double-double")
    found = asked(exact, given(way, exact, tight, loose, "float32", first, second))
    assert (found.grade, found.worst, found.tier) == (Grade.WRONG, 1, "double-double")


def test_between_two_passing_grades_the_lower_one_stands(way: str) -> None:
    assert asked(1.0, given(way, 1.0, 1e-5, 1e-4, "float32", tier(1.0, 1e-6))).grade is Grade.TIGHT


def test_wrong_however_the_radius_falls_is_wrong_at_once(way: str) -> None:
    answer = given(way, 1.0, 0.1, 0.2, "float32", tier(1.0, 0.1), tier(1.0, name="arb 192"))
    assert asked(2.0, answer).grade is Grade.WRONG
    assert answer.names == ["float64"]


@pytest.mark.parametrize(
    ("torn_at", "settled_at", "again"),
    [
        (HALF, 0.0, [0]),  # exact or faithful: the other is exact
        (HALF, 1.5 * HALF, []),  # the other is faithful already
        (2 * HALF, 1.5 * HALF, [0]),  # faithful or tight
        (2 * HALF, 3 * HALF, []),  # the other is tight
        (4 * HALF, 3 * HALF, [0]),  # tight or loose
        (4 * HALF, 6 * HALF, []),  # the other is loose
        (8 * HALF, 6 * HALF, [0]),  # loose or wrong
        (8 * HALF, 100 * HALF, []),  # the other is wrong
        (8 * HALF, nan, []),
    ],
)
def test_only_what_could_change_the_grade_of_the_array_is_asked_again(
    way: str, torn_at: float, settled_at: float, again: list[int]
) -> None:
    exact = np.full((3, 2), 1.5)
    low = np.array([[-torn_at, 0.0], [0.0, 0.0], [0.0, -settled_at]])
    first = tier(exact, 1e-12, low=np.nan_to_num(low))
    second = tier(exact, 0.0, low=np.nan_to_num(low) - CLOSE, name="double-double")
    got = np.where(np.isnan(low), nan, exact)
    answer = given(way, exact, 4 * HALF, 8 * HALF, "float32", first, second)
    asked(got, answer)
    assert [rows for name, rows in answer.asked if name == "double-double"] == ([again] if again else [])


def test_of_two_that_are_torn_only_the_one_that_may_be_worse_is_asked_again(way: str) -> None:
    """Torn between tight and loose is at least tight, and between exact and faithful no more than that."""
    low = np.array([[-HALF], [-4 * HALF], [0.0]])
    tiers = (
        tier(np.full((3, 1), 1.5), 1e-12, low=low),
        tier(np.full((3, 1), 1.5), 0.0, low=low - CLOSE, name="double-double"),
    )
    answer = given(way, np.full((3, 1), 1.5), 4 * HALF, 8 * HALF, "float32", *tiers)
    found = asked(np.full((3, 1), 1.5), answer)
    assert (found.grade, found.worst, found.tier) == (Grade.LOOSE, 1, "double-double")
    assert [rows for name, rows in answer.asked if name == "double-double"] == [[1]]


def test_what_a_vacuous_bound_leaves_open_does_not_hide_what_turns_out_wrong(way: str) -> None:
    """Uncertified comes before wrong: a row that may yet be wrong is asked again."""
    low = np.array([[0.0, 0.0], [-8 * HALF, 0.0]])
    tiers = (
        tier(np.full((2, 2), 1.5), 1e-12, low=low),
        tier(np.full((2, 2), 1.5), 0.0, low=low - CLOSE, name="double-double"),
    )
    loose = [[1.0, inf], [8 * HALF, 8 * HALF]]
    found = asked(np.full((2, 2), 1.5), given(way, np.full((2, 2), 1.5), 4 * HALF, loose, "float32", *tiers))
    assert (found.grade, found.worst, found.tier) == (Grade.WRONG, 2, "double-double")


def test_a_tier_is_asked_once_for_all_backends() -> None:
    """The certified numbers of a small problem are kept."""
    problem = Problem("softmax", {"logits": Array.of([[0.25, 0.5, 1.0]], "float64")}, {})
    answer = Answer(problem, "value", "float64")
    assert next(answer.blocks()).certified is next(answer.blocks()).certified


# The worst element speaks for the array.


def test_the_largest_share_of_the_bound_among_the_worst_grade_is_the_worst_element(judged: Judged) -> None:
    found = judged([[1.0, 1.0], [1.25, 1.5]], [[1.0, 1.0], [1.0, 1.0]], 0.25, [[1.0, 1.0], [1.0, 1.0]])
    assert (found.grade, found.worst, found.bound_used) == (Grade.LOOSE, 3, 0.5)
    assert (found.got, found.exact, found.tight, found.loose) == (1.5, 1.0, 0.25, 1.0)
    found = judged([[3.0], [nan], [2.0]], [[1.0], [1.0], [1.0]], 0.25, 0.5)
    assert (found.grade, found.kind, found.worst) == (Grade.WRONG, "nan", 1)


@pytest.mark.parametrize("grade", [Grade.EXACT, Grade.FAITHFUL, Grade.TIGHT, Grade.LOOSE, Grade.WRONG])
def test_in_every_grade_the_worst_element_is_the_one_nearest_to_its_bound(judged: Judged, grade: Grade) -> None:
    """Not the one with the largest error, nor with the most ulps; those of a better grade are left aside."""
    ulps = {Grade.EXACT: 0.25, Grade.FAITHFUL: 0.75, Grade.TIGHT: 1.0, Grade.LOOSE: 2.5, Grade.WRONG: 16.0}[grade]
    low = np.zeros((3, 4))
    low[0, 1], low[1, 2], low[2, 3] = ulps, 1.25 * ulps, 1.2 * ulps
    tight = np.full((3, 4), 2.0 if grade is not Grade.TIGHT else 3.0)
    loose = np.full((3, 4), 8.0)
    loose[1, 2] = 5.0  # 1.25 of 5 is more than 1.2 of 8
    loose[0, 0] = 2.0**-40 if grade is not Grade.EXACT else 8.0  # a better grade's share: its error is 0
    spacing = float(ulp(1.5, FORMATS["float32"]))
    exact = np.full((3, 4), 1.5)
    found = judged(exact, exact, tight * spacing, loose * spacing, low=-low * spacing)
    assert (found.grade, found.worst) == (grade, 6)
    assert (found.ulp, found.bound_used) == (1.25 * ulps, 0.25 * ulps)


def test_an_element_exactly_one_ulp_off_is_the_worst_of_a_tight_array(judged: Judged) -> None:
    exact = np.full((2, 3), 0.25)
    got = exact.copy()
    got[1, 1] += float(ulp(0.25, FORMATS["float32"]))
    found = judged(got, exact, 1e-6, 1e-6)
    assert (found.grade, found.worst, found.ulp) == (Grade.TIGHT, 4, 1.0)


def test_a_vacuous_bound_is_never_a_pass(judged: Judged) -> None:
    found = judged([1.0], [1.0], 1.0, inf)
    assert (found.grade, found.kind, found.bound_used) == (Grade.UNCERTIFIED, "", 0)
    assert found.message


def test_an_infinity_is_no_pass_because_the_bound_is_vacuous(judged: Judged) -> None:
    assert judged(np.inf, 1.0, np.inf, np.inf).grade is Grade.WRONG


@pytest.mark.parametrize("vacuous", [0, 1])
def test_what_is_wrong_in_one_place_is_wrong_however_vacuous_another(judged: Judged, vacuous: int) -> None:
    """Else a NaN in one row would hide behind a bound that is vacuous in the next one."""
    for wrong, kind in ((nan, "nan"), (2.0, "finite-wrong")):
        got, loose = np.array([[wrong], [wrong]]), np.full((2, 1), 1e-6)
        got[vacuous], loose[vacuous] = 1.0, inf
        found = judged(got, [[1.0], [1.0]], 1e-7, loose)
        assert (found.grade, found.kind, found.worst) == (Grade.WRONG, kind, 1 - vacuous)


def test_a_bound_of_zero_admits_nothing_but_the_exact_value(judged: Judged) -> None:
    """A masked p, or one class: half an ulp of a 16-bit format is too much in a binary32 result."""
    for got, grade in ((0.0, Grade.EXACT), (-0.0, Grade.EXACT), (2e-8, Grade.WRONG)):
        assert judged(got, 0.0, 0.0, 0.0, "float16", "float32").grade is grade
        found = judged([[1.0, 0.5], [got, 1.0]], [[1.0, 0.5], [0.0, 1.0]], 0.0, 0.0, "float16", "float32")
        assert (found.grade, found.bound_used) == (grade, 0 if grade is Grade.EXACT else inf)
        assert grade is Grade.EXACT or found.worst == 2


def test_the_histogram_counts_every_element_once_by_its_error_in_ulp(judged: Judged) -> None:
    distances = np.array([[0.0, 0.25, 0.5], [0.75, 1.0, 1.5], [2.0, 3.0, 64.0], [65536.0, 65537.0, 1e9]])
    exact = np.full((4, 3), 1.25)
    spacing = float(ulp(1.25, FORMATS["float64"]))
    found = judged(exact, exact, 1.0, 2.0, "float64", low=-distances * spacing)
    assert dict(zip([*BINS, inf], found.histogram, strict=True)) == {
        **{0.5: 3, 1.0: 2, 2.0: 2, 4.0: 1, 8.0: 0, 16.0: 0, 64.0: 1, 256.0: 0, 1024.0: 0, 65536.0: 1, inf: 2}
    }


def test_the_histogram_counts_another_class_beyond_all_bins(judged: Judged) -> None:
    found = judged([[nan, 1.0], [inf, 1.0]], [[1.0, 1.0], [1.0, nan]], 1e-7, 1e-6)
    assert found.histogram == (1,) + (0,) * (len(BINS) - 1) + (3,)


# Real answers: however they are cut into blocks, and whatever is worked out in full, the judgement is one.


def made(rng: np.random.Generator) -> tuple[str, str, dict[str, Array], dict[str, Any], str, str]:
    """Return an operation, a quantity, arrays, keywords, a policy and a format, special rows among them."""
    fmt = str(rng.choice(["float32", "bfloat16", "float16", "float32", "float64"]))
    operation = str(
        rng.choice(["softmax", "log_softmax", "cross_entropy", "nll_loss", "log_softmax_row_sum", "one_hot"])
    )
    shape = [(40,), (7, 9), (30, 4), (3, 5, 4), (6, 1), (2, 3, 2, 5)][rng.integers(6)]
    x = rng.normal(size=shape) * 10.0 ** rng.uniform(-2, 2)
    x = np.where(rng.random(shape) < rng.choice([0, 0, 0.1]), -inf, x)
    x = np.where(rng.random(shape) < rng.choice([0, 0, 0.02]), rng.choice([nan, inf]), x)
    name, x = ("log_probs", -np.abs(x)) if operation == "nll_loss" else ("logits", x)
    arrays, keywords = {name: Array.of(x, fmt)}, dict[str, Any]()
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if operation in ("cross_entropy", "nll_loss", "one_hot"):
        labels = rng.integers(0, shape[min(1, len(shape) - 1)], rows)
        if operation != "one_hot":
            labels = np.where(rng.random(rows) < 0.2, -100, labels)
            keywords["reduction"] = str(rng.choice(["none", "none", "mean", "sum"]))
        arrays["target"] = Array.of(labels, "int64")
    if operation == "cross_entropy":
        keywords["label_smoothing"] = float(rng.choice([0.0, 0.1]))
    quantity = str(rng.choice(["value", "gradient"])) if operation != "one_hot" else "value"
    policy = str(rng.choice(["nan", "limit", "masked", "zero"]))
    if quantity == "gradient":
        arrays["upstream"] = Array.of(rng.normal(size=Problem(operation, arrays, keywords).result_shape), fmt)
    return operation, quantity, arrays, keywords, policy, fmt


def returned(rng: np.random.Generator, exact: Floats, fmt: str) -> Array:
    """Return results: correct, off by ulps in few or all places, wildly wrong, of another class."""
    result = "float32" if FORMATS[fmt].bits == 16 and rng.random() < 0.4 else fmt
    spacing, some = ulp(exact, FORMATS[fmt]), rng.random(exact.shape) < 0.1
    with np.errstate(all="ignore"):
        got = [
            exact,
            exact + spacing * np.round(rng.normal(size=exact.shape)),
            exact + spacing * some * rng.choice([0.3, 0.5, 1, 2, 5]),
            exact + spacing * rng.normal(size=exact.shape) * 10 ** rng.uniform(-2, 4),
            np.where(some, rng.choice([nan, inf, -inf, 0, 1e30]), exact),
            np.where(some & (exact == 0), 1e-8, exact),
        ][rng.integers(6)]
        return Array.of(got, result)


def same(a: float | None, b: float | None, within: float) -> bool:
    return a == b or (a is not None and b is not None and abs(a - b) <= within * abs(b))


@pytest.mark.parametrize("start", range(0, 200, 25))
def test_a_large_array_is_judged_like_a_small_one(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one block and in full, or in many of which only what decides is worked out: the judgement is the same."""
    grades, compared = set(), 0
    for seed in range(start, start + 25):
        rng = np.random.default_rng(seed)
        operation, quantity, arrays, keywords, policy, fmt = made(rng)
        exact = Answer(Problem(operation, arrays, keywords, policy), quantity, fmt).whole()
        got, flushed = returned(rng, exact, fmt), bool(rng.random() < 0.3)
        found = []
        for block, kept, few in (
            (1 << 15, 1 << 19, 10**9),
            (1, 0, 1),
            (20, 0, 4),
            (1 << 15, 1 << 19, 1),
            (8, 1 << 19, 1),
        ):
            monkeypatch.setattr(problems, "_BLOCK", block)
            monkeypatch.setattr(problems, "_KEPT", kept)
            monkeypatch.setattr(inspection, "_FEW", few)
            answer = Answer(Problem(operation, arrays, keywords, policy), quantity, fmt)
            found.append(judge(got, answer, flushed=flushed))
        one, *others = found
        grades.add(one.grade)
        for other in others:
            assert (other.grade, other.kind, other.message) == (one.grade, one.kind, one.message), seed
            assert other.histogram == one.histogram, seed
            # What is torn at a border is asked again with its whole row, and which rows are depends on the blocks.
            if other.tier == one.tier == ("double-double" if fmt == "float64" else "float64"):
                compared += 1
                assert same(other.bound_used, one.bound_used, 1e-12), seed
                if other.worst == one.worst:
                    assert same(other.ulp, one.ulp, 1e-9), seed
                    assert same(other.tight, one.tight, 1e-12) and same(other.loose, one.loose, 1e-12), seed
    assert len(grades) > 2
    assert compared > 75


@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float16"])
def test_exact_zeros_need_no_closer_tier(fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masked entries, ignored rows and one-hot rows are known exactly, and their bound is 0."""
    x = np.array([[0.0, -inf, 0.5], [1.0, 0.25, -inf]])
    labels = {"logits": Array.of(np.zeros((2, 3)), fmt), "target": Array.of([0, -100], "int64")}
    for few in (512, 1):
        monkeypatch.setattr(inspection, "_FEW", few)
        for operation, arrays, quantity in (
            ("softmax", {"logits": Array.of(x, fmt)}, "value"),
            ("one_hot", {**labels, "target": Array.of([0, 2], "int64")}, "value"),
            ("cross_entropy", {**labels, "upstream": Array.of(1.0, fmt)}, "gradient"),
        ):
            answer = Answer(Problem(operation, arrays, {}), quantity, fmt)
            found = judge(Array.of(answer.whole(), fmt), answer, flushed=False)
            assert (found.grade, found.tier) == (Grade.EXACT, "float64"), operation


def test_just_below_a_power_of_two_a_wider_result_is_measured_by_the_binade_below() -> None:
    """p = 1 - 8.8e-27, whose nearest binary64 number is 1: bfloat16's spacing there is 2^-8, not 2^-7."""
    answer = Answer(Problem("softmax", {"logits": Array.of([0.0, -60.0], "bfloat16")}, {}), "value", "bfloat16")
    small = float(answer.whole()[1])
    for off, grade in ((0.4, Grade.FAITHFUL), (0.9, Grade.LOOSE)):
        found = judge(Array.of([1 - off * 2.0**-7, small], "float32"), answer, flushed=False)
        assert (found.grade, found.tier) == (grade, "double-double")
        assert found.ulp == pytest.approx(2 * off, rel=1e-5)


def test_an_infinity_for_a_number_just_below_the_overflow_is_not_exact() -> None:
    """65491.8 rounds to 65504 in binary16; infinity is within the loose bound of it, 28.2 away at least."""
    logits = Array.of([10.390625, 10.390625, 5.953125], "float16")
    answer = Answer(Problem("row_sum", {"logits": logits}, {}), "value", "float16")
    exact = float(answer.whole())
    assert 65000 < exact < 65519
    found = judge(Array.of(np.inf, "float16"), answer, flushed=False)
    assert found.ulp == pytest.approx((65520 - exact) / 32)
    assert found.grade is not Grade.EXACT
