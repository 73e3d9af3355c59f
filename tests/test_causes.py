"""Failures grouped by their cause: as few as explain them, the most telling first, each with its simplest example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from lossparity.diagnosis import Cause, Explained, Failed, causes
from lossparity.diagnosis.candidates import UNDIAGNOSED
from lossparity.diagnosis.causes import Contradicted


def failed(key: str, *names: str, kind: str = "finite-wrong", clause: str = "S1", shared: bool = False) -> Failed:
    """Return a failure that some names explain; its key says how simple it is."""
    return Failed(key, clause, kind, tuple(Explained(name, 0.5) for name in names), (len(key),), shared)


def against(counts: Mapping[str, int]) -> Contradicted:
    """Return what counts the contradictions by name."""

    def counted(explained: Iterable[Explained], kinds: Iterable[tuple[str, str]] = ()) -> int:  # noqa: ARG001
        (name,) = {one.id for one in explained}
        return counts.get(name, 0)

    return counted


def grouped(*failures: Failed, **counts: int) -> list[tuple[str, list[str]]]:
    return [(one.id, [m.key for m in one.members]) for one in causes(failures, against(counts))]


def test_nothing_that_failed_has_no_cause() -> None:
    assert causes([], against({})) == []


def test_as_few_causes_as_explain_all() -> None:
    """The one that explains most is taken first, and what it explains counts for no other."""
    found = grouped(failed("1", "a", "b"), failed("2", "a", "c"), failed("3", "a"), failed("4", "b", "c"))
    assert found == [("a", ["1", "2", "3"]), ("b", ["4"])]


def test_a_tie_goes_to_what_the_passes_contradict_least() -> None:
    both = [failed("1", "a", "b"), failed("2", "a", "b")]
    assert grouped(*both, a=1) == [("b", ["1", "2"])]
    assert grouped(*both, b=1) == [("a", ["1", "2"])]


def test_a_tie_of_those_too_goes_to_the_more_definite_one() -> None:
    """It stands first among what explains a result."""
    assert grouped(failed("1", "b", "a"))[0][0] == "b"
    assert grouped(failed("1", "b", "a"), a=2, b=2)[0][0] == "b"


def test_what_explains_more_wins_however_much_contradicts_it() -> None:
    assert grouped(failed("1", "a", "b"), failed("2", "b"), b=3) == [("b", ["1", "2"])]


def test_a_cause_says_what_contradicts_it_among_results_of_its_quantities_and_formats() -> None:
    asked: list[set[tuple[str, str]]] = []

    def counted(explained: Iterable[Explained], kinds: Iterable[tuple[str, str]] = ()) -> int:
        asked.append(set(kinds))
        return len(list(explained))

    members = [failed("s/a/float32@numpy#value", "a"), failed("s/a/float16@numpy#gradient", "a")]
    (cause,) = causes(members, counted)
    assert cause.contradicted == 2
    assert asked == [{("value", "float32"), ("gradient", "float16")}]


def test_what_nobody_looked_for_is_not_named_and_comes_after_what_is() -> None:
    found = causes([failed("1", UNDIAGNOSED), failed("2", UNDIAGNOSED), failed("3", "a")], against({}))
    assert [(one.id, one.named) for one in found] == [("a", True), (UNDIAGNOSED, False)]


def test_all_ways_of_a_mistake_are_weighed_together() -> None:
    seen: list[tuple[Explained, ...]] = []

    def counted(explained: Iterable[Explained], kinds: Iterable[tuple[str, str]] = ()) -> int:  # noqa: ARG001
        seen.append(tuple(explained))
        return 0

    one, other = Explained("a", 1.0, (0,)), Explained("a", 2.0, (3,))
    rival = Explained("b")
    causes([Failed("1", "S1", "nan", (one, rival)), Failed("2", "S1", "nan", (other, rival))], counted)
    assert (one, other) in seen


def test_less_precise_arithmetic_has_to_explain_nearly_all_that_nothing_else_does() -> None:
    """It admits whatever is wrong by little, so some of the results of any mistake."""
    vague = [failed(str(n), "computed-in-16-bits") for n in range(9)]
    beside = [failed("x" * 9, "axis=last"), failed("x" * 8, kind="nan")]
    assert grouped(*vague, failed("10"), *beside)[0] == ("computed-in-16-bits", [str(n) for n in range(9)])
    found = grouped(*vague, failed("10"), failed("11"), *beside)
    assert [name for name, _ in found] == ["axis=last", "unexplained finite-wrong (S1)", "unexplained nan (S1)"]


def test_where_it_does_not_the_rest_of_what_explains_a_result_stays() -> None:
    found = grouped(failed("1", "fast-exp"), failed("2"), failed("3", "fast-exp", "negated"))
    assert found == [("negated", ["3"]), ("unexplained finite-wrong (S1)", ["1", "2"])]


def test_what_nothing_explains_is_grouped_by_kind_and_clause() -> None:
    found = causes(
        [failed("1"), failed("22", kind="nan"), failed("3"), failed("4", clause="S2")],
        against({}),
    )
    assert [(one.id, len(one.members)) for one in found] == [
        ("unexplained finite-wrong (S1)", 2),
        ("unexplained nan (S1)", 1),
        ("unexplained finite-wrong (S2)", 1),
    ]
    assert {one.said for one in found} == {"no convention or mistake of the catalogue gives these numbers"}
    assert not any(one.named for one in found)
    assert {one.ulp for one in found} == {None}


def test_the_order_is_named_then_frequent_and_what_the_framework_does_too_last() -> None:
    found = grouped(
        failed("1", "shared", shared=True),
        failed("2", "shared", shared=True),
        failed("3", "shared", shared=True),
        failed("4"),
        failed("5"),
        failed("6", "rare"),
        failed("7", "frequent"),
        failed("8", "frequent"),
    )
    assert [name for name, _ in found] == ["frequent", "rare", "unexplained finite-wrong (S1)", "shared"]


def test_a_cause_is_shared_where_every_one_of_its_failures_is() -> None:
    (one,) = causes([failed("1", "a", shared=True), failed("2", "a")], against({}))
    assert not one.shared
    (one,) = causes([failed("1", "a", shared=True)], against({}))
    assert one.shared


def test_the_simplest_failure_stands_first_and_says_how_near() -> None:
    near, far = Explained("a", 0.25, convention="mean=sum"), Explained("a", 40.0)
    small = Failed("z/small", "S1", "nan", (near,), (2, 1, 0))
    large = Failed("large", "S1", "nan", (far,), (90, 0, 0))
    (one,) = causes([large, small], against({}))
    assert one.members == (small, large)
    assert one.ulp == 0.25
    assert one.convention == "mean=sum"
    (one,) = causes([Failed("b", "S1", "nan", (far,)), Failed("aa", "S1", "nan", (far,))], against({}))
    assert [m.key for m in one.members] == ["b", "aa"], "as simple: the shorter name first"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mean=sum", "D = 1: the sum where the mean was asked for (fairseq's criteria)"),
        ("negated", "the sign is reversed"),
        ("inputs-modified", "the inputs were modified (clause M6)"),
    ],
)
def test_a_cause_is_said_in_words(name: str, said: str) -> None:
    (one,) = causes([failed("1", name)], against({}))
    assert isinstance(one, Cause)
    assert one.said == said
    assert one.named


def test_the_format_is_that_of_the_key_whatever_the_path_of_the_backends_python_holds() -> None:
    failed = Failed("suite/a/reduction=mean/float16@torch@/opt/a@b/bin/python#value", "S1", "nan", ())
    assert (failed.format, failed.quantity) == ("float16", "value")
