"""What several records hold together: one of each, and an error that names both where two disagree."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lossparity.errors import UsageError
from lossparity.record import CaseLine, Environment, Excerpt, Header, Record, Result
from lossparity.united import Given, alike, cases, environments, results

HEADER = Header(1, "0", "hash", "now", "lossparity run", "loose")
CASE = CaseLine("s/a", "float32", "S1", "softmax", "s.yaml:1:1", "aaaa", "about", {}, {}, {})
RESULT = Result(
    "s/a/float32@torch", "value", "s/a", "S1", "mathematics", "softmax", "torch", "float32", "pass", "produced"
)


def given(name: str, *lines: Environment | CaseLine | Result, **header: Any) -> Given:
    record = Record(msgspec.structs.replace(HEADER, **header))
    record.environments = [line for line in lines if isinstance(line, Environment)]
    record.cases = [line for line in lines if isinstance(line, CaseLine)]
    record.results = [line for line in lines if isinstance(line, Result)]
    return Given.of(name, record)


def case(name: str, **changes: Any) -> CaseLine:
    return msgspec.structs.replace(CASE, id=name, **changes)


def torch(**details: str) -> Environment:
    return Environment("torch", True, {"torch": "2.13.0", "device": "x86_64", "simd": "AVX2", **details})


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ([CASE], [case("s/a", input_hash="bbbb")], "A and B have different numbers in s/a"),
        (
            [case(f"s/{n}") for n in range(6)],
            [case(f"s/{n}", input_hash="bbbb") for n in range(6)],
            "A and B have different numbers in s/0, s/1, s/2 and 3 more",
        ),
        ([CASE, case("s/b")], [CASE, case("s/c")], "A and B differ: s/b only in A; s/c only in B"),
        ([CASE, case("s/b")], [CASE], "A and B differ: s/b only in A"),
        ([CASE], [CASE], "A and B differ in what they test, not in their numbers"),
    ],
)
def test_records_of_other_cases_are_refused_and_the_cases_named(
    one: list[CaseLine], other: list[CaseLine], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        alike([given("A", *one), given("B", *other, suite_hash="other")])
    assert caught.value.message == f"the records are not of the same cases: {said}"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lossparity": "0.2"}, "A and B were written by different versions of lossparity, 0 and 0.2"),
        ({"threshold": "tight"}, "A and B were judged by different thresholds, loose and tight"),
    ],
)
def test_records_that_were_judged_otherwise_are_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        alike([given("A"), given("B", **changes)])
    assert caught.value.message == said
    alike([given("A"), given("B", started="later", command="lossparity run --shard 1/2")])


def test_an_environment_is_there_once() -> None:
    jax = Environment("jax", True, {"jax": "0.10.2"})
    assert environments([given("A", torch()), given("B", jax, torch())]) == ([jax, torch()], [])


def test_machines_may_differ_and_are_all_named() -> None:
    found, notes = environments(
        [given("A", torch(simd="AVX512")), given("B", torch()), given("C", torch(simd="AVX512"))]
    )
    assert found == [torch(simd="AVX2, AVX512")]
    assert notes == ["torch was not run on machines of one kind: simd is AVX2, AVX512"]


@pytest.mark.parametrize(
    ("other", "said", "versions"),
    [
        ({"torch": "2.4.0"}, "torch is 2.13.0 in A, 2.4.0 in B", True),
        ({"torch": "2.4.0", "numpy": "1.26.4"}, "numpy is none in A, 1.26.4 in B", True),
        ({"python": "3.12.0"}, "python is none in A, 3.12.0 in B", False),
        ({"subnormals": "flushed"}, "subnormals is none in A, flushed in B", False),
        ({"pinned threads": "4"}, "pinned threads is none in A, 4 in B", False),
    ],
)
def test_other_software_or_settings_are_refused_with_the_difference_and_what_to_do(
    other: dict[str, str], said: str, versions: bool
) -> None:
    with pytest.raises(UsageError) as caught:
        environments([given("A", torch()), given("B", torch(**other))])
    assert caught.value.message == f"torch is not the same in all records: {said}"
    assert ("--versions names each" in caught.value.hint) is versions
    assert ("the version of torch is the same" in caught.value.hint) is not versions
    assert "compare" in caught.value.hint


def test_versions_of_a_library_on_a_framework_are_told_apart_by_its_own() -> None:
    one, other = (
        Environment("torch.keras", True, {"torch": "2.13.0", "keras": keras, "python": python})
        for keras, python in (("3.11.0", "3.11.7"), ("3.15.1", "3.12.0"))
    )
    with pytest.raises(UsageError, match=r"keras is 3\.11\.0 in A, 3\.15\.1 in B") as caught:
        environments([given("A", one), given("B", other)])
    assert "--versions names each" in caught.value.hint


def test_an_environment_that_is_missing_somewhere_is_there() -> None:
    missing = Environment("torch", False, reason="no torch")
    assert environments([given("A", missing), given("B", torch())]) == ([torch()], [])
    other = Environment("torch", False, reason="a broken one")
    both = Environment("torch", False, reason="a broken one; no torch")
    assert environments([given("A", missing), given("B", other), given("C", missing)]) == ([both], [])


def test_a_case_is_there_once_and_cases_are_in_order() -> None:
    there = [case("s/b"), case("s/a", format="float16"), case("s/a"), case("s/a", format="float64")]
    got = cases([given("A", *there), given("B", *there[::-1])])
    assert [(one.id, one.format) for one in got] == [
        ("s/a", "float64"),
        ("s/a", "float32"),
        ("s/a", "float16"),
        ("s/b", "float32"),
    ]


def test_of_a_case_that_is_worded_otherwise_the_same_one_is_taken_in_any_order() -> None:
    worded = given("A", case("s/a", about="one")), given("B", case("s/a", about="another"))
    assert cases(worded) == cases(worded[::-1])


@pytest.mark.parametrize(
    "changes", [{"input_hash": "bbbb"}, {"exact": {"value": {"exact": Excerpt("float64", [], ["0x1p+0"])}}}]
)
def test_a_case_with_other_numbers_or_another_answer_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="s/a in float32 is not the same in A and B"):
        cases([given("A", CASE), given("B", case("s/a", **changes))])


def test_a_result_is_there_once() -> None:
    other = msgspec.structs.replace(RESULT, quantity="gradient")
    assert results([given("A", RESULT, other), given("B", RESULT)]) == [RESULT, other]


def test_two_results_of_one_check_are_refused_and_both_named() -> None:
    failing = msgspec.structs.replace(RESULT, verdict="fail", grade="wrong", ulp=900.0)
    with pytest.raises(UsageError) as caught:
        results([given("A", RESULT), given("B", failing)])
    assert caught.value.message == "s/a/float32@torch#value is pass in A, and fail (wrong, 900 ulp) in B"
    assert "compared, not merged" in caught.value.hint


@pytest.mark.parametrize("changes", [{"clause": "Z9"}, {"verdict": "joy"}])
def test_a_result_of_a_later_version_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is known") as caught:
        results([given("A", msgspec.structs.replace(RESULT, **changes))])
    assert (caught.value.where, caught.value.hint) == ("A", "install the lossparity that wrote it")


def test_a_record_is_known_by_all_that_it_says() -> None:
    same = given("A", CASE, RESULT, torch())
    assert same.digest == given("B", CASE, RESULT, torch()).digest
    different = [given("A", CASE), given("A", RESULT, torch()), given("A", CASE, RESULT, torch(), started="later")]
    assert same.digest not in {one.digest for one in different}
