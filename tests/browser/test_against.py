"""A page against another record: its marks, presets and links, and the results that only the other one holds."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from playwright.sync_api import expect

import record_factory as factory
from browser.accessible import violations
from browser.visiting import Visitor, fragment, said
from lossparity.changes import compare, kinds_named
from lossparity.changes.marking import marked
from lossparity.record import Record
from record_factory import result

FAILS = {"verdict": "fail", "grade": "wrong", "cause": "nan", "message": f"now {factory.HOSTILE}"}


@pytest.fixture(scope="module")
def beside() -> Record:
    """Return a record in which the first result fails anew, the second passes again, and a third is gone."""
    new = factory.record(*(result(n) for n in range(1, 6)))
    changed = [msgspec.structs.replace(one) for one in new.results]
    changed[1] = msgspec.structs.replace(changed[1], **FAILS)
    base = replace(new, results=[*changed, result(9)])
    new = replace(new, results=[msgspec.structs.replace(new.results[0], **FAILS), *new.results[1:]])
    return marked(new, compare(base, new), kinds_named("default"), f"base {factory.HOSTILE}.jsonl")


def test_presets_and_links_lead_to_what_changed(visitor: Visitor, beside: Record) -> None:
    page = visitor.open(beside)
    assert f"Against base {factory.HOSTILE}.jsonl: " in said(page, "header")
    page.get_by_role("button", name="New failures").click()
    expect(page.locator("#shown")).to_have_text("1 of 5 results")
    assert page.locator("#results tbody a").get_attribute("title") == "s/c1/float32@torch"
    assert fragment(page) == "#change=failing"
    page.get_by_role("button", name="Regressions").click()
    assert fragment(page) == "#change=regression"
    again = visitor.open(beside, "#change=failing")
    expect(again.get_by_role("button", name="New failures")).to_have_attribute("aria-pressed", "true")
    expect(again.get_by_role("combobox", name="Change")).to_have_value("failing")
    for link in range(page.locator("#changes td.num a").count()):
        page.locator("#changes td.num a").nth(link).click()
        count = page.locator("#changes td.num a").nth(link).inner_text()
        expect(page.locator("#results tbody tr")).to_have_count(int(count))
        expect(page.locator("#list")).to_be_in_viewport()


def test_a_check_shows_what_it_was_before(visitor: Visitor, beside: Record) -> None:
    page = visitor.open(beside, "#check=s/c1/float32@torch")
    shown = said(page, "#check")
    assert f"Against base {factory.HOSTILE}.jsonl:" in shown
    assert "verdict pass fail differs" in shown
    assert f"message – now {factory.HOSTILE} differs" in shown


def test_a_result_that_only_the_other_record_holds_is_listed_and_opens(visitor: Visitor, beside: Record) -> None:
    page = visitor.open(beside)
    page.locator("#gone a").click()
    expect(page.locator("#check-title")).to_have_text("s/c9/float32@torch")
    assert "holds this result" in said(page, "#check")
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Change").select_option("any")
    expect(page.locator("#results tr.gone")).to_have_count(1)
    assert "1 that only the other record holds" in said(page, "#shown")


def test_it_fits_a_narrow_window(visitor: Visitor, beside: Record) -> None:
    page = visitor.open(beside, wide=360)
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(fits)
    for check in ("s/c1/float32@torch", "s/c9/float32@torch"):
        page.evaluate("check => { location.hash = '#check=' + check; }", check)
        expect(page.locator("#check-title")).to_have_text(check)
        assert page.evaluate(fits)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_what_changed(visitor: Visitor, beside: Record, theme: str) -> None:
    page = visitor.open(beside, "#change=any", color_scheme=theme)
    assert violations(page) == []
    page.evaluate("location.hash = '#check=s/c1/float32@torch'")
    expect(page.locator("#check")).to_be_visible()
    assert violations(page, "#check") == []
