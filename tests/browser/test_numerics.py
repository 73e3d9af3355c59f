"""The charts: drawn again by Vega when they are seen, narrowed, and their marks open checks; a table says all of it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import record_factory as factory
from browser.accessible import violations
from browser.visiting import Visitor, fragment, said
from lossparity.record import Record
from lossparity_reports import html


@pytest.fixture(scope="module")
def charted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a record with two hundred passes."""
    path = tmp_path_factory.mktemp("charted") / "page.html"
    html.write(factory.passing(), path)
    return path


def drawn(page: Page, chart: str = "histogram") -> None:
    """Bring a chart into view and wait until Vega has drawn it."""
    drawing = page.locator(f"[data-chart={chart}]")
    drawing.scroll_into_view_if_needed()
    expect(drawing.locator("div svg").first).to_be_visible()


def test_a_chart_is_a_picture_until_it_is_seen_and_answers_then(visitor: Visitor, charted: Path) -> None:
    page = visitor.open(charted)
    assert page.locator(".drawing svg").count() == page.locator(".drawing").count() > 2
    drawn(page)
    bar = page.locator("[data-chart=histogram] .mark-rect path").first
    bar.hover()
    expect(page.locator("#pointed")).to_be_visible()
    assert said(page, "#pointed")
    bar.click()
    expect(page.locator("#list")).to_be_in_viewport()
    expect(page.locator("#pointed")).to_be_hidden()
    assert re.fullmatch("#backend=[^&]+&format=[^&]+&sort=-ulp", fragment(page))
    page.go_back()
    drawn(page, "agreement")
    page.locator("[data-chart=agreement] .mark-rect path").first.click(position={"x": 3, "y": 3})
    expect(page.locator("#check-title")).to_be_focused()


def test_the_worst_that_a_bar_opens_begin_with_those_that_have_no_distance(
    visitor: Visitor, everything: Record, page_of_everything: Path
) -> None:
    page = visitor.open(page_of_everything)
    expect(page.locator("#numerics > .lead")).to_contain_text("the worst first")
    page.locator("#numerics summary").first.click()
    page.locator("#histogram tr", has_text="numpy").filter(has_text="float32").locator("td a").click()
    assert fragment(page) == "#backend=numpy&format=float32&sort=-ulp"
    theirs = [r for r in everything.results if (r.backend, r.format) == ("numpy", "float32")]
    (nan,) = (r for r in theirs if r.grade == "wrong" and r.ulp is None)
    rows = page.locator("#results tbody tr")
    expect(rows.nth(0).locator("a")).to_have_attribute("title", nan.check)
    (furthest, *_) = sorted((r for r in theirs if r.ulp is not None), key=lambda r: -(r.ulp or 0.0))
    expect(rows.nth(1).locator("a")).to_have_attribute("title", furthest.check)


def test_a_choice_narrows_every_chart(visitor: Visitor, charted: Path) -> None:
    page = visitor.open(charted)
    drawn(page)
    before = said(page, "[data-chart=histogram]")
    page.locator("#numerics").get_by_role("combobox", name="Format").select_option("float16")
    expect(page.locator("[data-chart=histogram]")).not_to_have_text(before)
    expect(page.locator("[data-chart=histogram]")).not_to_contain_text("bfloat16")
    expect(page.locator("[data-chart=histogram]")).to_contain_text("float16")


def test_a_choice_of_which_there_is_nothing_says_so_instead_of_an_empty_panel(visitor: Visitor) -> None:
    record = factory.passing()
    kept = [r for r in record.results if (r.backend, r.format) != ("torch", "float16")]
    page = visitor.open(dataclasses.replace(record, results=kept))
    for chart in ("histogram", "error-largest"):
        drawn(page, chart)
        drawing = page.locator(f"[data-chart={chart}]")
        page.locator("#chart-backend").select_option("torch")
        page.locator("#chart-format").select_option("float16")
        expect(drawing).to_have_text("Nothing of this choice is in this chart.")
        page.locator("#chart-format").select_option("float32")
        expect(drawing.locator("svg")).to_be_visible()
        expect(drawing).to_contain_text("float32")


def test_every_chart_has_its_table_and_its_cells_open_checks(visitor: Visitor, charted: Path) -> None:
    page = visitor.open(charted)
    for figure in page.locator("#numerics figure").all():
        figure.locator("summary").click()
        expect(figure.locator("table")).to_be_visible()
        assert figure.locator("tbody tr").count() > 0
    page.locator("#numerics td a").first.click()
    expect(page.locator("#shown")).not_to_contain_text("No result")


def test_without_a_script_the_pictures_and_tables_are_there(visitor: Visitor, charted: Path) -> None:
    page = visitor.open(charted, java_script_enabled=False)
    expect(page.locator("[data-chart=histogram] svg")).to_be_visible()
    expect(page.locator("#chart-format")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_charts_and_they_fit(visitor: Visitor, charted: Path, theme: str) -> None:
    page = visitor.open(charted, wide=360, color_scheme=theme)
    drawn(page)
    for summary in page.locator("#numerics summary").all():
        summary.click()
    assert violations(page, "#numerics") == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
