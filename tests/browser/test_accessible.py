"""axe finds nothing against WCAG 2.1, levels A and AA, in any view, theme or width."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.accessible import violations
from browser.visiting import Visitor
from lossparity.record import Record
from lossparity_reports.address import address
from record_factory import record, result


@pytest.mark.parametrize(("wide", "theme"), [(1280, "light"), (1280, "dark"), (360, "dark")])
def test_axe_finds_nothing(visitor: Visitor, everything: Record, page_of_few: Path, wide: int, theme: str) -> None:
    failing = next(r for r in everything.results if r.explained and r.worst)
    page = visitor.open(page_of_few, "#q=label", wide=wide, color_scheme=theme)
    page.get_by_role("button", name="Show all clauses").click()
    for details in page.locator("summary").all():
        details.click()
    assert violations(page) == [], "the overview and a filtered list"
    page.keyboard.press("?")
    assert violations(page, "#help") == []
    page.keyboard.press("Escape")
    for check in (failing.check, "no such check"):
        page.evaluate("where => { location.hash = where; }", address(check=check))
        expect(page.locator("#check")).to_be_visible()
        assert violations(page) == [], check


def test_axe_would_find_something(visitor: Visitor) -> None:
    page = visitor.open(record(result(1)))
    page.evaluate("document.getElementById('theme').replaceChildren()")
    assert [line.partition(":")[0] for line in violations(page)] == ["button-name"]
