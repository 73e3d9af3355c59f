"""The page of times in a browser: it opens from disk without a complaint, in both themes and in a narrow window."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

import record_factory as factory
from browser.accessible import violations
from browser.visiting import Visitor, said
from lossparity_reports import html

REFUSED = f"the value is wrong {factory.HOSTILE}"


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a record of times alone, of which some are refused."""
    path = tmp_path_factory.mktemp("timed") / "speed.html"
    html.write(factory.timed(refused=REFUSED), path)
    return path


@pytest.mark.parametrize("wide", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_times_and_they_fit(visitor: Visitor, timed: Path, theme: str, wide: int) -> None:
    page = visitor.open(timed, wide=wide, color_scheme=theme)
    for summary in page.locator("summary").all():
        if summary.locator("xpath=..").get_attribute("open") is None:
            summary.click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_its_tables_and_pictures_are_seen_and_its_links_lead_there(visitor: Visitor, timed: Path) -> None:
    page = visitor.open(timed)
    expect(page.locator("h1")).to_have_text("24 times of 4 backends, 8 refused.")
    page.get_by_role("link", name="Speed").click()
    expect(page.locator("#speed-title")).to_be_focused()
    row = page.locator("#speed-1-1 tbody tr", has_text="torch").first
    expect(row.locator(".interval circle")).to_be_visible()
    expect(row.locator(".v-faster svg")).to_be_visible()
    assert REFUSED in said(page, "#speed-1-1")
    assert page.locator(".drawing svg").count() == page.locator("figure").count() == 6
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Theme: light")


def test_an_axis_label_is_not_drawn_over_a_name(visitor: Visitor, timed: Path) -> None:
    page = visitor.open(timed)
    boxes = (
        page.locator("figure", has_text="First call against")
        .locator("svg text")
        .evaluate_all("texts => texts.map(t => [t.textContent, t.getBoundingClientRect().toJSON()])")
    )
    names = [box for text, box in boxes if text.startswith("speed/")]
    labels = [box for text, box in boxes if text in ("numpy", "torch", "jax+jit", "tensorflow")]
    assert len(names) == 4
    assert len(labels) == 12
    assert max(box["right"] for box in names) < min(box["left"] for box in labels)


def test_times_are_readable_without_a_script(visitor: Visitor, timed: Path) -> None:
    page = visitor.open(timed, java_script_enabled=False)
    expect(page.locator("#speed-1-1")).to_be_visible()
    expect(page.locator("figure svg").first).to_be_visible()


def test_results_and_times_are_on_one_page(visitor: Visitor) -> None:
    record, times = factory.passing(), factory.timed()
    record.jobs, record.triads, record.speeds, record.ratios = times.jobs, times.triads, times.speeds, times.ratios
    page = visitor.open(record)
    page.get_by_role("link", name="Speed", exact=True).click()
    expect(page.locator("#speed-title")).to_be_focused()
    expect(page.locator("#shown")).to_contain_text("200")
