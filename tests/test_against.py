"""What the page says against another record: sentence, tables, matrix, and what the script is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import payloads
import record_factory as factory
from lossparity.changes import compare, kinds_named
from lossparity.changes.marking import marked
from lossparity.changes.scope import Scope
from lossparity.marked import Marked
from lossparity.record import Part, Record, Result
from lossparity_reports import html
from lossparity_reports.against import Section, section
from lossparity_reports.charts.bundle import bundle
from lossparity_reports.marks import marks
from lossparity_reports.summary import summarise
from test_html import Page

FAILS: dict[str, Any] = {"verdict": "fail", "grade": "wrong", "cause": "nan", "message": f"now {factory.HOSTILE}"}
GRADE = {"verdict": "pass", "grade": "tight", "ulp": 2.5}


def beside(base: Record, new: Record, fail_on: str = "default", name: str = "base.jsonl", **mapped: str) -> Marked:
    return marked(new, compare(base, new, mapped), kinds_named(fail_on), name)


def said(record: Record) -> Section:
    found = section(record)
    assert found is not None
    return found


def places(record: Record, grade: str = "faithful") -> list[int]:
    """Return where the native values of a grade stand."""
    results = enumerate(record.results)
    return [at for at, r in results if (r.backend, r.quantity, r.grade) == ("torch", "value", grade)]


def changed(*changes: dict[str, Any] | None) -> tuple[Record, Record]:
    """Return two records, in the second of which some values of torch are otherwise, or gone for None."""
    base = factory.passing()
    at = dict(zip(places(base), changes, strict=False))
    assert len(at) == len(changes)
    kept = [(at.get(n, {}), r) for n, r in enumerate(base.results)]
    return base, replace(base, results=[msgspec.structs.replace(r, **c) for c, r in kept if c is not None])


def payload(record: Record) -> dict[str, Any]:
    return payloads.payload(html.render(record))


def test_a_record_that_stands_beside_none_has_no_section() -> None:
    record = factory.everything()
    assert section(record) is None and marks(record) is None
    page = Page(html.render(record))
    assert "Against another record" not in page.by_tag["h2"]
    names = {given.get("data-preset", given.get("name")) for _, given in page.elements}
    assert not {"change", "change=failing", "change=regression"} & names
    content = payload(record)
    assert content["against"] is None
    assert not any({"change", "before", "apart"} & set(result) for result in content["results"])


def test_the_sentence_counts_results_once_under_the_gravest_of_their_signs() -> None:
    base, new = changed(FAILS, None, GRADE, GRADE, GRADE)
    found = said(beside(base, new))
    assert found.sentence == (
        "Against base.jsonl: 2 regressed, 0 fixed, 3 changed otherwise; 195 of 199 compared results did not change."
    )
    assert found.state == "regressed"
    assert said(beside(new, base)).sentence == (
        "Against base.jsonl: no regression, 1 fixed, 4 changed otherwise; 195 of 199 compared results did not change."
    )
    assert said(beside(base, base)).sentence == (
        "Against base.jsonl: no regression, 0 fixed; 200 of 200 compared results did not change."
    )


def test_a_result_that_regressed_and_chose_otherwise_is_one_that_regressed() -> None:
    base = factory.passing()
    at = places(base)[0]
    sides = []
    for changes in ({"choice": "nan"}, {"choice": "limit", "grade": "loose"}):
        results = list(base.results)
        results[at] = msgspec.structs.replace(results[at], **changes)
        sides.append(replace(base, results=results))
    record = beside(sides[0], sides[1])
    assert [one.kind for one in record.against.changes] == ["weak", "choice"]
    found = said(record)
    assert found.sentence.startswith("Against base.jsonl: 1 regressed, 0 fixed; ")
    result = record.results[at]
    suite = result.case.partition("/")[0]
    for clause in ("", result.clause):
        assert found.cells[suite, clause, "torch"] == [("regressed", "1 regressed")]
    (packed,) = [r for r in payload(record)["results"] if r.get("change")]
    assert packed["change"] == ["weak", "choice"]
    assert said(beside(sides[0], sides[1], fail_on="choice")).sentence.startswith(
        "Against base.jsonl: 1 regressed, 0 fixed; "
    )


def test_nothing_compared_is_said_and_is_not_said_to_be_without_regression() -> None:
    record = factory.passing()
    found = marked(record, compare(Scope(["none"]).of(record), Scope(["none"]).of(record)), frozenset(), "b")
    assert (said(found).sentence, said(found).state) == ("Nothing could be compared with b.", "empty")
    assert said(found).notes == ("200 of the 200 results on this page were left out of the comparison.",)


def test_where_nothing_was_compared_what_was_added_is_told_and_is_no_lack_of_regressions() -> None:
    base = factory.passing()
    none = replace(base, results=[])
    found = said(beside(none, base))
    assert (found.sentence, found.state) == ("Nothing could be compared with base.jsonl: 200 added.", "empty")
    other = [msgspec.structs.replace(one, input_hash=f"not {one.input_hash}") for one in base.results[:3]]
    found = said(beside(base, replace(base, results=other), fail_on="none"))
    told = "Nothing could be compared with base.jsonl: 197 removed, 3 no longer comparable."
    assert (found.sentence, found.state) == (told, "empty")
    found = said(beside(base, none))
    assert (found.sentence, found.state) == (
        "Against base.jsonl: 200 regressed, 0 fixed; 0 of 0 compared results did not change.",
        "regressed",
    )


def test_each_kind_links_to_its_results_and_to_the_worst() -> None:
    base, new = changed(GRADE, FAILS, {**FAILS, "verdict": "crash", "message": "killed"})
    found = said(beside(base, new))
    assert (found.removed, found.gone, found.removed_address) == (0, (), "")
    failing, grade = found.sorts
    worst = new.results[places(base)[2]]
    assert (failing.sign, failing.said, failing.regression, failing.count) == ("regressed", "newly failing", True, 2)
    assert (failing.address, failing.worst_address) == ("#change=failing", f"#check={worst.check}")
    assert failing.before.startswith("pass, faithful, 0.")
    assert failing.after.startswith("crash, nan, wrong, ")
    assert failing.why == "killed"
    assert (grade.sign, grade.said, grade.regression, grade.count) == ("changed", "of a worse grade", False, 1)
    assert [one.sign for one in said(beside(new, base)).sorts] == ["changed", "fixed"]


def test_the_kinds_that_are_regressions_are_those_asked_for() -> None:
    base, new = changed(FAILS, GRADE)
    signs = {one.said: one.sign for one in said(beside(base, new, "grade")).sorts}
    assert signs == {"newly failing": "changed", "of a worse grade": "regressed"}


def test_what_only_the_other_record_holds_is_listed_with_its_reason_and_at_most_fifty() -> None:
    base = factory.passing()
    new = replace(base, results=[r for r in base.results if r.backend != "jax"])
    found = said(beside(base, new))
    gone = [r for r in base.results if r.backend == "jax"]
    assert found.removed == len(gone) < 50 and len(found.gone) == found.removed
    assert {one.key for one in found.gone} == {r.key for r in gone}
    assert found.gone[0].address.startswith("#check=")
    assert found.removed_address == "#change=removed"
    assert [(side.before, side.after, side.said) for side in found.backends if side.before == "jax"] == [
        ("jax", "none", "only there")
    ]
    many = said(beside(factory.many(400), replace(base, results=[], footer=None)))
    assert (many.removed, len(many.gone), many.removed_address) == (400, 50, "#change=missing")
    page = Page(html.render(beside(factory.many(400), replace(base, results=[], footer=None))))
    assert "The worst 50 of 400 results that only base.jsonl holds" in page.by_tag["summary"]
    assert "All 400 in the list of checks" in page.by_tag["a"]


def test_what_is_gone_is_counted_in_the_column_of_the_backend_that_took_its_place() -> None:
    base = factory.passing()
    elsewhere = [
        msgspec.structs.replace(r, backend="torch@old", check=r.check.replace("@torch", "@torch@old"))
        for r in base.results
        if r.backend == "torch"
    ]
    new = replace(base, results=[r for r in base.results if r.backend == "torch"][1:])
    found = said(beside(replace(base, results=elsewhere), new))
    suite = elsewhere[0].case.partition("/")[0]
    assert found.cells[suite, "", "torch"] == [("regressed", "1 regressed")]
    assert [(side.before, side.after) for side in found.backends] == [("torch@old", "torch")]


def test_a_key_of_the_other_record_that_is_another_backends_here_is_not_mixed_up_with_it() -> None:
    base = factory.passing()
    one, other = (next(r for r in base.results if r.backend == name) for name in ("torch", "jax"))
    new = replace(base, results=[r for r in base.results if r.key != other.key])
    found = beside(base, new, torch="jax", jax="torch")
    gone = [change for change in found.against.changes if change.after is None]
    assert [change.before for change in gone] == [one]
    signs = marks(found)
    assert signs is not None
    assert signs.signs[one.key, True] == "regressed"
    assert all(after is False or key == one.key for key, after in signs.signs)


def test_the_two_records_stand_beside_each_other_and_what_differs_is_marked() -> None:
    base, new = factory.passing(), factory.passing()
    new.header = msgspec.structs.replace(
        new.header, lossparity="0.2.0", started="later", shard=Part(2, 4, "abc", ["torch"])
    )
    base.footer = None
    found = said(beside(base, new))
    facts = {one.name: (one.before, one.after, one.differs) for one in found.facts}
    assert facts["lossparity"] == ("0.1.0", "0.2.0", True)
    assert facts["suite"][2] is facts["started"][2] is False
    assert facts["complete"] == ("no", "yes", False)
    assert facts["part"] == ("all", "shard 2 of 4", False)
    assert found.notes == ("base.jsonl is incomplete: it has no last line, so the run was stopped.",)
    new.footer = None
    assert "This record is incomplete: what it does not hold is missing, not removed." in said(beside(base, new)).notes
    page = Page(html.render(beside(base, new)))
    assert "lossparity differs 0.1.0 0.2.0" in page.by_id["records"]


def test_versions_that_differ_stand_beside_their_backend() -> None:
    base, new = factory.passing(), factory.passing()
    place = next(n for n, one in enumerate(new.environments) if one.name == "jax")
    details = {**new.environments[place].details, "version": "9.9"}
    new.environments[place] = msgspec.structs.replace(new.environments[place], details=details)
    found = {side.before: side.said for side in said(beside(base, new)).backends}
    assert found["jax"] == "version 3.13.0 \N{RIGHTWARDS ARROW} 9.9"
    assert found["torch"] == "the same environment"


def test_the_page_says_it_in_its_head_its_section_and_its_matrix_as_text() -> None:
    base, new = changed(FAILS, GRADE)
    record = beside(base, new, name=factory.HOSTILE)
    text = html.render(record)
    page = Page(text)
    sentence = said(record).sentence
    assert sentence in page.by_class["blame"]
    assert "Against another record" in page.by_tag["h2"]
    assert factory.HOSTILE in sentence and factory.HOSTILE not in text
    table = page.by_id["changes"]
    assert "newly failing 1 yes" in table and f"now {factory.HOSTILE}" in table
    assert "1 regressed" in page.by_id["matrix"] and "1 changed" in page.by_id["matrix"]
    links = {given.get("href") for _, given in page.elements}
    assert {"#change=failing", "#change=grade", "#against-title"} <= links
    presets = [given["data-preset"] for _, given in page.elements if "data-preset" in given]
    assert {"change=failing", "change=regression"} <= {*presets}


@pytest.mark.parametrize("sign", ["regressed", "fixed", "changed"])
def test_every_sign_has_an_icon(sign: str) -> None:
    assert any(given.get("id") == f"i-{sign}" for _, given in Page(html.render(factory.passing())).elements)


def test_the_script_is_given_each_result_as_it_was_and_which_were_not_looked_at() -> None:
    base, new = changed(FAILS, None, GRADE)
    new.results[-1] = msgspec.structs.replace(new.results[-1], input_hash="other")
    scope = Scope(backends=["torch"])
    found = marked(new, compare(scope.of(base), scope.of(new)), kinds_named("default"), "base.jsonl")
    content = payload(found)
    before = {r.key: r for r in base.results}
    for packed, result in zip(content["results"], new.results, strict=True):
        apart = result.backend != "torch"
        assert packed.get("apart", False) is apart
        was = before[result.key]
        assert ("before" in packed) is ("change" in packed and was.input_hash == result.input_hash)
        if "before" in packed:
            assert packed["before"] == {k: v for k, v in as_json(was).items() if k in packed["before"]}
            assert {"verdict", "grade", "ulp", "bound_used"} <= set(packed["before"])
    kinds = [r["change"] for r in content["results"] if "change" in r]
    assert sorted(kinds) == [["failing"], ["grade"]]
    against = content["against"]
    assert (against["name"], len(against["kinds"])) == ("base.jsonl", len(found.against.kinds))
    assert {k["name"]: k["sign"] for k in against["kinds"]}["passing"] == "fixed"
    (gone,) = against["gone"]
    assert (gone["change"], gone["gone"], gone["suite"]) == (["removed"], "", gone["case"].split("/")[0])
    assert gone["check"] == base.results[places(base)[1]].check


def test_why_a_result_cannot_be_compared_is_told() -> None:
    base, new = changed({"input_hash": "other"})
    (packed,) = [r for r in payload(beside(base, new))["results"] if "change" in r]
    assert (packed["change"], packed["reason"]) == (["incomparable"], "the inputs differ")


def test_ten_thousand_results_beside_others_are_small_and_quick() -> None:
    import time

    record = factory.many(10_000)
    found = beside(record, record)
    bundle()  # is kept between runs
    start = time.process_time()
    text = html.render(found)
    assert time.process_time() - start < 3
    assert len(text.encode()) < 1_500_000


def test_a_shard_is_said_to_be_one_in_the_head() -> None:
    record = factory.passing()
    record.header = msgspec.structs.replace(record.header, shard=Part(2, 4, "abc", ["torch"]))
    warning = "This is shard 2 of 4: what the others hold is not counted here. `lossparity merge` joins them."
    assert summarise(record).warnings == (warning,)
    page = Page(html.render(record))
    assert page.by_class["warning"][0] == warning
    assert "part shard 2 of 4" in page.by_class["facts"][0]


def as_json(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(result)
    return found


def test_the_file_of_the_page_is_written(tmp_path: Path) -> None:
    record = factory.passing()
    html.write(beside(record, record), tmp_path / "page.html")
    assert "Against base.jsonl" in (tmp_path / "page.html").read_text(encoding="utf-8")
