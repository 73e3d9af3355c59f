"""Two records beside each other: every kind of change is found, and nothing else; wrong records are wrong use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lossparity.changes import KINDS, Change, Pair, compare, kinds_named, mapping, paired
from lossparity.changes.kinds import MUCH_MORE, OVER
from lossparity.changes.scope import Scope
from lossparity.errors import UsageError
from lossparity.record import Environment, Excerpt, NotTested, Record, Result
from record_factory import everything, passing
from test_record import write

PASSING = passing()
DEFAULT = ("failing", "unjudged", "removed", "missing", "weak", "refused", "slower")


def one(**changes: Any) -> Result:
    """Return a result of the record, a tight value, with some of its fields changed."""
    result = next(r for r in PASSING.results if r.grade == "tight" and r.quantity == "value")
    return msgspec.structs.replace(result, **changes)


def holding(*results: Result) -> Record:
    return replace(PASSING, results=[*results])


def changed(before: Result | None, after: Result | None) -> list[Change]:
    base, new = (holding(*([result] if result else [])) for result in (before, after))
    return compare(base, new).changes


def kinds(before: Result | None, after: Result | None) -> list[str]:
    return [change.kind for change in changed(before, after)]


def test_a_record_beside_itself_has_no_change_whatever_is_in_it() -> None:
    record = everything()
    found = compare(record, record)
    assert found.changes == []
    assert found.compared == found.unchanged == len(record.results)
    assert found.exit_code(KINDS) == 0


PASSES = {"pass": {}, "stale": {"verdict": "stale"}}
FAILS = {name: {"verdict": name, "grade": "wrong", "cause": name} for name in ("fail", "error", "crash", "timeout")}
KNOWN = {"known": {"verdict": "known", "grade": "wrong", "cause": "nan"}}
OPEN = {name: {"verdict": name, "grade": ""} for name in ("undecided", "unsupported", "unavailable")}

VERDICTS: list[tuple[dict[str, dict[str, str]], dict[str, dict[str, str]], str]] = [
    (PASSES, FAILS, "failing"),
    (KNOWN, FAILS, "failing"),
    (OPEN, FAILS, "failing"),
    (PASSES, OPEN, "unjudged"),
    (FAILS, OPEN, "unjudged"),
    (KNOWN, OPEN, "unjudged"),
    (PASSES, KNOWN, "deviating"),
    (FAILS, KNOWN, "declared"),
    (FAILS, PASSES, "passing"),
    (KNOWN, PASSES, "passing"),
    (OPEN, PASSES, "verdict"),
    (OPEN, KNOWN, "verdict"),
    (PASSES, PASSES, "verdict"),
    (FAILS, FAILS, "verdict"),
    (OPEN, OPEN, "verdict"),
]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        pytest.param(before, after, "" if was == now else kind, id=f"{was} to {now}")
        for many, others, kind in VERDICTS
        for was, before in many.items()
        for now, after in others.items()
    ],
)
def test_every_change_of_verdict_has_its_kind(before: dict[str, str], after: dict[str, str], kind: str) -> None:
    assert kinds(one(**before), one(**after)) == ([kind] if kind else [])


@pytest.mark.parametrize("verdict", ["fail", "known"])
def test_what_deviates_in_another_way_changed(verdict: str) -> None:
    assert kinds(one(verdict=verdict, cause="inf"), one(verdict=verdict, cause="nan")) == ["verdict"]
    assert kinds(one(verdict=verdict, cause="inf", ulp=9.0), one(verdict=verdict, cause="inf", ulp=99.0)) == []


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("exact", "faithful", "grade"),
        ("faithful", "tight", "grade"),
        ("exact", "loose", "weak"),
        ("tight", "loose", "weak"),
        ("faithful", "exact", "better"),
        ("loose", "tight", "better"),
    ],
)
def test_another_grade_of_a_pass_is_worse_weak_or_better(before: str, after: str, kind: str) -> None:
    assert kinds(one(grade=before), one(grade=after)) == [kind]
    assert kinds(one(grade=before, verdict="stale"), one(grade=after, verdict="stale")) == [kind]
    assert kinds(one(grade=before, verdict="undecided"), one(grade=after, verdict="undecided")) == []


@pytest.mark.parametrize("grade", ["exact", "tight", "loose"])
def test_where_there_is_no_number_there_is_no_grade_to_compare(grade: str) -> None:
    raises = one(grade="", choice="raises", ulp=None, bound_used=None)
    assert kinds(raises, one(grade=grade, choice="nan")) == ["choice"]
    assert kinds(one(grade=grade, choice="nan"), raises) == ["choice"]


def test_a_weak_pass_that_loses_its_gradient_is_newly_weak() -> None:
    assert kinds(one(grade="loose"), one(grade="loose", zeroed=True)) == ["weak"]
    assert kinds(one(grade="loose", zeroed=True), one(grade="loose")) == []


@pytest.mark.parametrize("grade", ["tight", "loose"])
def test_more_of_the_bound_is_told_where_it_is_much_more_and_much(grade: str) -> None:
    def more(before: float | None, after: float | None) -> list[str]:
        return kinds(one(grade=grade, bound_used=before), one(grade=grade, bound_used=after))

    assert (MUCH_MORE, OVER) == (2, 0.5)
    assert more(0.3, 0.61) == ["bound"]
    assert more(0.1, 0.51) == ["bound"]
    assert more(0.0, 0.9) == ["bound"]
    assert more(0.3, 0.59) == []
    assert more(0.1, 0.49) == []
    assert more(0.9, 0.3) == []
    assert more(None, 0.9) == more(0.9, None) == []


def test_within_an_ulp_the_bound_says_nothing() -> None:
    assert kinds(one(grade="faithful", bound_used=0.1), one(grade="faithful", bound_used=0.9)) == []


def test_another_choice_is_told_beside_the_rest_and_of_values_alone() -> None:
    assert kinds(one(choice="nan"), one(choice="zero")) == ["choice"]
    assert kinds(one(choice="nan"), one(choice="zero", grade="loose")) == ["weak", "choice"]
    assert kinds(one(choice="nan", quantity="gradient"), one(choice="zero", quantity="gradient")) == []
    assert kinds(one(choice="nan"), one()) == [], "the clause leaves it open no more, or nothing was chosen"


def test_what_only_one_record_holds_is_added_or_removed() -> None:
    assert kinds(None, one()) == ["added"]
    assert kinds(None, one(**KNOWN["known"])) == ["added"]
    assert kinds(None, one(**FAILS["crash"])) == ["added-failing"]
    assert kinds(one(), None) == ["removed"]
    assert kinds(one(**FAILS["fail"]), None) == ["removed"]


def test_what_an_incomplete_record_lacks_is_missing_and_not_removed() -> None:
    cut, damaged = replace(holding(), footer=None), replace(holding(), broken="line 7 is cut off or damaged")
    for new in (cut, damaged):
        found = compare(holding(one()), new)
        assert [change.kind for change in found.changes] == ["missing"]
        assert found.exit_code(DEFAULT) == 1
    whole = replace(holding(one()), footer=None)
    assert compare(holding(one()), whole).changes == [], "nothing is missing"
    assert [change.kind for change in compare(whole, holding()).changes] == ["removed"], "NEW is complete"


def test_other_inputs_are_not_compared() -> None:
    (change,) = changed(one(), one(input_hash="other", verdict="pass", grade="loose"))
    assert (change.kind, change.reason) == ("incomparable", "the inputs differ")
    assert kinds(one(), one(input_hash="other", **FAILS["fail"])) == ["added-failing"]
    assert kinds(one(**FAILS["fail"]), one(input_hash="other", **FAILS["fail"])) == ["incomparable"]


def test_another_exact_value_is_not_compared() -> None:
    result = one()
    base = holding(result, one(quantity="gradient"))
    cases = [
        msgspec.structs.replace(case, exact={**case.exact, "value": {"": Excerpt("float64", [2], ["0x0.0p+0"] * 2)}})
        for case in base.cases
    ]
    found = compare(base, replace(base, cases=cases))
    assert [(c.kind, c.key, c.reason) for c in found.changes] == [
        ("incomparable", result.key, "what is right differs")
    ], "the gradient is compared"
    assert (found.compared, found.unchanged) == (1, 1)
    assert compare(base, replace(base, cases=[])).changes == [], "the results themselves are of the same inputs"


def test_the_reason_why_a_backend_was_not_tested_stands_by_what_is_removed() -> None:
    new = holding(one(backend="jax", check="s/a/float32@jax"))
    assert new.footer
    new.footer = msgspec.structs.replace(new.footer, not_tested=[NotTested(one().backend, "no CUDA device", 1)])
    change = next(c for c in compare(holding(one()), new).changes if c.kind == "removed")
    assert change.reason == "no CUDA device"


def test_changes_are_by_kind_and_then_the_worst_first() -> None:
    def pair(name: str, after: dict[str, Any], before: dict[str, Any]) -> tuple[Result, Result]:
        keyed = {"check": f"{name}@{one().backend}"}
        return one(**keyed, **before), one(**keyed, **after)

    fail = FAILS["fail"]
    pairs = [
        pair("better", {"grade": "exact"}, {}),
        pair("grade-a", {"grade": "tight", "bound_used": 0.9}, {"grade": "faithful"}),
        pair("grade-b", {"grade": "tight", "bound_used": 0.1}, {"grade": "exact"}),
        pair("fail-3", {**fail, "bound_used": 3.0, "ulp": 1.0}, {}),
        pair("fail-9", {**fail, "bound_used": 9.0, "ulp": 1.0}, {}),
        pair("fail-nan", {**fail, "bound_used": None, "ulp": None}, {}),
        pair("crash", FAILS["crash"], {}),
        pair("unjudged", OPEN["unsupported"], {}),
    ]
    found = compare(holding(*(p[0] for p in pairs)), holding(*(p[1] for p in pairs)))
    names = [change.key.partition("@")[0] for change in found.changes]
    assert names == ["crash", "fail-nan", "fail-9", "fail-3", "unjudged", "grade-b", "grade-a", "better"]


def test_the_exit_code_is_that_of_the_kinds_asked_for() -> None:
    found = compare(holding(one(choice="nan")), holding(one(choice="zero")))
    assert found.exit_code(kinds_named("default")) == 0
    assert found.exit_code(kinds_named("default,choice")) == 1
    assert found.regressions(kinds_named("choice")) == found.changes
    assert found.exit_code(kinds_named("none")) == 0
    assert compare(holding(), holding(one())).exit_code(kinds_named("default")) == 3, "nothing was compared"
    assert compare(holding(one()), holding()).exit_code(kinds_named("default")) == 1, "all of it is gone"


def test_kinds_are_read_between_commas_and_misspelt_ones_refused() -> None:
    assert kinds_named("default") == {*DEFAULT}
    assert kinds_named("grade, bound") == {"grade", "bound"}
    assert kinds_named("none,grade") == {"grade"}
    with pytest.raises(UsageError, match="unknown kind of change 'grades'") as caught:
        kinds_named("grades")
    assert caught.value.hint == "did you mean 'grade'?"
    with pytest.raises(UsageError, match="unknown kind of change ''"):
        kinds_named("")


def named(base: list[str], new: list[str], **wanted: str) -> list[tuple[str, str]]:
    return [(pair.base, pair.new) for pair in paired(base, new, wanted)]


def test_backends_are_the_same_by_name() -> None:
    assert named(["torch", "jax"], ["jax", "numpy"]) == [("torch", ""), ("jax", "jax"), ("", "numpy")]
    assert named(["jax", "jax@old"], ["jax@old", "jax"]) == [("jax", "jax"), ("jax@old", "jax@old")]


def test_backends_of_other_environments_are_the_same_where_it_is_clear_which() -> None:
    assert named(["jax@old", "jax.manual@old"], ["jax", "jax.manual"]) == [
        ("jax@old", "jax"),
        ("jax.manual@old", "jax.manual"),
    ]
    assert named(["jax@a"], ["jax@b"]) == [("jax@a", "jax@b")]
    assert named(["jax@old"], ["jax", "jax@old"]) == [("jax@old", "jax@old"), ("", "jax")]
    assert named(["jax@a", "jax@b"], ["jax"]) == [("jax@a", ""), ("jax@b", ""), ("", "jax")]
    assert named(["jax:cuda@a"], ["jax"]) == [("jax:cuda@a", ""), ("", "jax")]


def test_backends_that_are_named_are_compared_and_no_others() -> None:
    assert named(["torch", "jax"], ["torch", "jax"], torch="jax") == [("torch", "jax")]
    with pytest.raises(UsageError, match="BASE has no results of a backend 'troch'") as caught:
        named(["torch"], ["torch"], troch="torch")
    assert caught.value.hint == "did you mean 'torch'?"
    with pytest.raises(UsageError, match="NEW has no results of a backend 'jax'"):
        named(["torch"], [], torch="jax")


def test_a_mapping_is_split_where_the_name_of_a_backend_ends() -> None:
    base = holding(one(backend="jax@/a=b/python"))
    assert mapping(["jax@/a=b/python=jax@/c=d"], base) == {"jax@/a=b/python": "jax@/c=d"}
    assert mapping(["torch=jax", "jax=torch"], base) == {"torch": "jax", "jax": "torch"}
    for text in ("torch", "=torch", "torch=", ""):
        with pytest.raises(UsageError, match="names no two backends"):
            mapping([text], base)
    with pytest.raises(UsageError, match="names 'torch' twice"):
        mapping(["torch=jax", "torch=numpy"], base)


def test_results_of_another_environment_are_aligned() -> None:
    result = one()
    elsewhere = msgspec.structs.replace(
        result, backend=f"{result.backend}@/old/bin/python", check=f"{result.check}@/old/bin/python"
    )
    found = compare(holding(elsewhere), holding(result))
    assert (found.compared, found.changes) == (1, [])


def test_what_differs_between_the_environments_is_told_apart_from_where_they_are() -> None:
    def described(version: str, **more: str) -> Record:
        details = {"torch": version, "device": "x86_64", **more}
        return replace(holding(one(backend="torch")), environments=[Environment("torch", True, details)])

    found = compare(described("2.12.0", interpreter="/a"), described("2.13.0", interpreter="/b", simd="AVX2"))
    assert found.settings == {Pair("torch", "torch"): {"torch": ("2.12.0", "2.13.0"), "simd": ("", "AVX2")}}


def test_what_differs_between_the_records_as_a_whole_is_told() -> None:
    base = holding(one())
    new = replace(base, header=msgspec.structs.replace(base.header, threshold="exact", suite_hash="0123456789abcdef"))
    assert compare(base, base).headers == {}
    assert compare(base, new).headers == {
        "suite": (base.header.suite_hash[:12], "0123456789ab"),
        "threshold": ("loose", "exact"),
    }


def test_a_result_twice_is_no_run() -> None:
    with pytest.raises(UsageError, match=r"holds .*#value twice"):
        compare(holding(one(), one()), holding(one()))


def test_a_scope_holds_what_every_restriction_of_it_holds() -> None:
    record = everything()
    for scope, holds in (
        (Scope(), lambda _: True),
        (Scope(["masks"]), lambda r: r.case.startswith("masks/")),
        (Scope(["masks", "targets/*"]), lambda r: r.case.startswith(("masks/", "targets/"))),
        (Scope(formats=["float16"]), lambda r: r.format == "float16"),
        (Scope(backends=["jax"]), lambda r: r.backend == "jax"),
        (Scope(suites=["label-smoothing"]), lambda r: r.case.startswith("label-smoothing/")),
        (Scope(["masks"], ["float16"]), lambda r: r.case.startswith("masks/") and r.format == "float16"),
    ):
        expected = [result for result in record.results if holds(result)]
        assert expected
        assert scope.of(record).results == expected
    assert Scope(backends=["jax"]).holds(one(backend="jax@/old/bin/python"))


def test_a_record_that_is_wrong_is_refused_with_its_file(tmp_path: Path) -> None:
    twice = write(tmp_path / "twice.jsonl", holding(one(), one()))
    with pytest.raises(UsageError, match="twice") as caught:
        Scope().read(twice)
    assert caught.value.where == str(twice)


def test_every_kind_is_found_by_these_tests() -> None:
    told = {kind for _, _, kind in VERDICTS}
    told |= {
        "added",
        "added-failing",
        "better",
        "bound",
        "choice",
        "grade",
        "incomparable",
        "missing",
        "removed",
        "weak",
    }
    assert told == {kind for kind, one in KINDS.items() if not one.timed}, "test_paces finds the others"
    assert {name for name, kind in KINDS.items() if kind.regression} == {*DEFAULT}
