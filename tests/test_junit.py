"""JUnit XML: what the schemas of CI systems take, every verdict as what it is, and no larger than what they read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

import record_factory as factory
from lossparity.errors import UsageError
from lossparity.record import Footer, NotTested, Record, Result, Worst
from lossparity_reports import junit

# What junit-10.xsd of Jenkins' xUnit plugin requires and allows of what we write: attributes, children, text.
_OUTCOME: tuple[set[str], set[str], set[str], bool] = ({"message", "type"}, set(), set(), True)
RULES: dict[str, tuple[set[str], set[str], set[str], bool]] = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}, False),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "timestamp"},
        {"name", "tests", "failures", "errors"},
        {"properties", "testcase"},
        False,
    ),
    "properties": (set(), set(), {"property"}, False),
    "property": ({"name", "value"}, {"name", "value"}, set(), False),
    "testcase": ({"name", "classname"}, {"name"}, {"skipped", "error", "failure", "system-out"}, False),
    "skipped": _OUTCOME,
    "error": _OUTCOME,
    "failure": _OUTCOME,
    "system-out": (set(), set(), set(), True),
}
NASTY = "a\x00b\x1b[31m]]>&<\"'\u202e\ufffe\n\r\t%|`"


def against_the_rules(element: ET.Element) -> list[str]:
    """Return what a validating reader would refuse."""
    allowed, required, children, text = RULES[element.tag]
    wrong = [f"{element.tag}@{name}" for name in element.attrib.keys() - allowed]
    wrong += [f"{element.tag} without {name}" for name in required - element.attrib.keys()]
    wrong += [f"{element.tag} in {element.tag}" for child in element if child.tag not in children]
    wrong += [f"text in {element.tag}"] if (element.text or "").strip() and not text else []
    if element.tag == "testsuites" and not re.fullmatch(r"\d*(\.\d*)?", element.get("time", "")):
        wrong.append("time")  # SUREFIRE_TIME
    return wrong + [one for child in element for one in against_the_rules(child)]


def parsed(record: Record, limit: int = junit.LIMIT) -> ET.Element:
    """Return the XML of a record as CI systems read it; its counts are true and its names unique."""
    root = ET.fromstring(junit.render(record, limit).encode())
    assert against_the_rules(root) == []
    for suite in root:
        found = Counter(child.tag for case in suite.iter("testcase") for child in case)
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == found[tag]
    for attribute in ("tests", "failures", "errors"):
        assert int(root.attrib[attribute]) == sum(int(suite.attrib[attribute]) for suite in root)
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(names) == len(set(names))
    return root


def cases(root: ET.Element) -> dict[str, ET.Element]:
    return {case.attrib["name"]: case for case in root.iter("testcase")}


def of(record: Record, verdict: str) -> Result:
    return next(result for result in record.results if result.verdict == verdict)


@pytest.mark.parametrize("made", [factory.everything, factory.passing, factory.empty])
def test_it_is_what_the_schema_takes(made: Callable[[], Record]) -> None:
    parsed(made())


def test_every_result_is_a_test_case_of_its_backend_and_suite() -> None:
    record = factory.everything()
    root = parsed(record)
    assert [suite.attrib["name"] for suite in root] == ["lossparity", *dict.fromkeys(r.backend for r in record.results)]
    for result in record.results:
        suite = next(suite for suite in root if suite.get("name") == result.backend)
        case = next(case for case in suite.iter("testcase") if case.get("name") == result.key)
        group = case.attrib["classname"]
        assert group.startswith(f"lossparity.{result.backend}."), "Jenkins' package is what is before the last dot"
        assert "." not in group.removeprefix(f"lossparity.{result.backend}.")


@pytest.mark.parametrize(
    ("verdict", "tag", "said"),
    [
        ("fail", "failure", "off by 900 ulp of binary32, 180 times the bound 2.38e-06"),
        ("error", "error", "</script><!--"),
        ("crash", "error", "killed by signal 11 (SIGSEGV)"),
        ("timeout", "error", "stopped after 30 s"),
        ("unsupported", "skipped", f"no {factory.HOSTILE} here"),
        ("unavailable", "skipped", "no such device"),
        ("known", "skipped", "manual-exp-overflow"),
        ("stale", "skipped", "jax-all-masked is gone"),
        ("undecided", "skipped", "neither a pass nor a failure"),
    ],
)
def test_a_verdict_is_what_ci_systems_know_it_as(verdict: str, tag: str, said: str) -> None:
    record = factory.everything()
    case = cases(parsed(record))[of(record, verdict).key]
    assert [child.tag for child in case if child.tag != "system-out"] == [tag]
    assert said in case[0].attrib["message"]
    assert case[0].attrib["type"] == ("finite-wrong" if verdict == "fail" else verdict)


def test_a_pass_has_its_numbers_and_nothing_else() -> None:
    record = factory.everything()
    result = of(record, "pass")
    (out,) = cases(parsed(record))[result.key]
    assert out.tag == "system-out"
    named = dict(re.findall(r"^\[\[PROPERTY\|(\w+)=(.*)\]\]$", out.text or "", re.MULTILINE))
    assert named == {
        "grade": result.grade,
        "ulp": f"{result.ulp:.3g}",
        "bound_used": f"{result.bound_used:.3g}",
        "clause": result.clause,
        "origin": result.origin,
    }


def test_a_failure_says_all_that_there_is_to_know() -> None:
    record = factory.everything()
    text = cases(parsed(record))[of(record, "fail").key][0].text or ""
    for said in (
        "clause C1 (convention): ",
        "native: torch.nn.functional.cross_entropy",
        "got 4.65151882, exact 4.651089882787 at [0]",
        "off by 900 ulp of binary32, 180 times the bound 2.38e-06",
        "cause: smoothing=K-1, 1 result: ",
        "--convention smoothing=K-1",
        "case: cases/label-smoothing.yaml:109:5",
        "again: lossparity show label-smoothing/c1-99/reduction=none/float32@torch",
    ):
        assert said in text


def test_the_properties_of_a_backend_are_its_counts_its_worst_result_and_its_versions() -> None:
    suite = next(suite for suite in parsed(factory.everything()) if suite.get("name") == "torch.manual")
    named = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert named["verdict pass"] == "80"
    assert (named["worst grade"], named["worst bound_used"]) == ("wrong", "180")
    assert named["version"] == "1.13.0", "the environment of its framework"


def test_what_was_not_tested_is_skipped_with_the_reason() -> None:
    record = factory.everything()
    assert record.footer is not None
    record.footer = msgspec.structs.replace(record.footer, not_tested=[NotTested("jax", "no room", 2)] * 2)
    skipped = [case for case in parsed(record)[0].iter("testcase") if case.find("skipped") is not None]
    assert [case.attrib["name"] for case in skipped] == ["not tested: jax", "not tested: jax (2)"]
    assert skipped[0][0].attrib["message"] == "2 checks: no room"


@pytest.mark.parametrize("broken", ["", "line 7 is cut off or damaged"])
def test_an_incomplete_record_is_a_failing_test_case(broken: str) -> None:
    record = factory.passing()
    record.footer, record.broken = record.footer if broken else None, broken
    case = cases(parsed(record))["the run is incomplete"]
    assert case[0].tag == "failure"
    assert (broken or "the record has no last line") in case[0].attrib["message"]


def ended(record: Record, status: int) -> Record:
    assert record.footer is not None
    record.footer = msgspec.structs.replace(record.footer, exit_code=status)
    return record


def test_a_status_that_no_failure_explains_is_a_failing_test_case() -> None:
    for status, record in ((1, factory.passing()), (3, factory.empty()), (3, factory.everything())):
        (failure, _) = cases(parsed(ended(record, status)))["the run"]
        assert failure.attrib["message"].startswith(f"the run ended with status {status}: ")
    (out,) = cases(parsed(ended(factory.everything(), 1)))["the run"]
    assert out.tag == "system-out", "its failures are why"


def test_what_is_hostile_is_text_and_what_xml_forbids_is_written_out() -> None:
    record = factory.passing()
    wrong = Worst([1], NASTY, NASTY, 1.0, 2.0)
    changes = {"message": NASTY, "api": NASTY, "origin": "native", "cause": NASTY, "deviation": NASTY, "worst": wrong}
    for at, verdict in enumerate(("fail", "error", "known", "undecided", "unheard of")):
        result = msgspec.structs.replace(record.results[at], verdict=verdict, **changes)
        record.results[at] = msgspec.structs.replace(
            result, check=NASTY, case=NASTY, backend=NASTY, clause=NASTY, format=NASTY, grade=NASTY
        )
    record.footer = Footer({}, [NotTested(NASTY, NASTY, 1)], 1.0, 3)
    record.header = msgspec.structs.replace(record.header, command=NASTY, started=NASTY)
    found = cases(parsed(record))
    key = "a\\x00b\\x1b[31m]]>&<\"'\\u202e\\ufffe \\x0d %|`#"
    assert [name for name in found if name.startswith(key)] == [
        f"{key}value",
        f"{key}gradient",
        *(f"{key}{word}" for word in ("value (2)", "gradient (2)", "value (3)")),
    ]


def test_two_results_of_one_key_are_two_test_cases() -> None:
    record = factory.passing()
    record.results += [record.results[0]] * 2
    key = record.results[0].key
    assert {key, f"{key} (2)", f"{key} (3)"} <= cases(parsed(record)).keys()


def failing(count: int, characters: int) -> Record:
    """Make a record whose results all fail, each with a message of so many characters."""
    record = factory.many(count)
    record.results = [
        msgspec.structs.replace(one, verdict="fail", grade="wrong", bound_used=float(n), message="\u20ac" * characters)
        for n, one in enumerate(record.results, start=2)
    ]
    record.footer = Footer({"fail": len(record.results)}, [], 1.0, 1)
    return record


def test_what_would_be_too_large_is_told_in_short_but_the_worst_in_full() -> None:
    record = failing(200, 900)
    whole = len(junit.render(record).encode())
    limit = whole // 2
    text = junit.render(record, limit)
    assert 0.9 * limit < len(text.encode()) <= limit
    root = parsed(record, limit)
    told = {name: bool(case[0].text) for name, case in cases(root).items() if name != "the run"}
    assert len(told) == len(record.results)
    by_badness = sorted(record.results, key=lambda r: (r.origin not in ("native", "target"), -(r.bound_used or 0)))
    full = sum(told.values())
    # What takes a little less room than the first that has none may still find some.
    assert all(told[one.key] for one in by_badness[: full - 5])
    said = cases(root)["the run"].find("system-out")
    assert said is not None
    assert f"{len(told) - full} results are told in short" in (said.text or "")


def test_passes_are_left_out_last_and_counted() -> None:
    record = factory.everything()
    limit = len(junit.render(record).encode()) // 4
    text = junit.render(record, limit)
    assert len(text.encode()) <= limit
    root = parsed(record, limit)
    said = cases(root)["the run"][0].text or ""
    found = re.search(r"(\d+) passes are left out", said)
    assert found
    assert int(found[1]) == len(record.results) + 3 - int(root.attrib["tests"]) > 0
    assert {one.key for one in record.results if one.verdict != "pass"} <= cases(root).keys()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the JUnit XML cannot be written"):
        junit.write(factory.empty(), tmp_path / "file" / "junit.xml")
    junit.write(factory.empty(), tmp_path / "new" / "junit.xml")
    assert ET.parse(tmp_path / "new" / "junit.xml").getroot().tag == "testsuites"
