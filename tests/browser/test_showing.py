"""The page in narrow windows, in both themes and on paper; with nothing of it cut off, and what is hostile is text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

import record_factory as factory
from browser.visiting import Visitor
from lossparity.record import Record
from lossparity_reports.address import address, suite_of

# Each would make an element, run a script, load a file or end a string if it were read as markup, code or an address.
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(2)>",
    "</script><script>alert(3)</script>",
    "javascript:alert(4)",
    "</style></title></textarea><!--",
    "{{ 7 * 7 }}${alert(5)}",
    "\N{RIGHT-TO-LEFT OVERRIDE}&lt;b&gt;\\u003cb\\u003e%3Cb%3E",
)
_KEPT = {"got", "exact", "values", "published", "index", "verdict", "kind", "format", "quantity", "outcome", "grade"}
_NAMING = {"details", "inputs", "keywords", "recipes"}  # whose keys are texts as well


def spoilt(what: Any, key: str = "") -> Any:
    """Return a record's parts with something hostile behind every text but numbers and the format's own words."""
    if isinstance(what, dict):
        return {spoilt(name) if key in _NAMING else name: spoilt(part, name) for name, part in what.items()}
    if isinstance(what, list):
        return [spoilt(part, key) for part in what]
    if not isinstance(what, str) or key in _KEPT:
        return what
    text, mark, quantity = what.partition("#")  # the key of a result holds its check
    return text + HOSTILE[len(text) % len(HOSTILE)] + mark + quantity


def wider_than_the_window(page: Page) -> list[str]:
    """Return what reaches beyond the right edge of the window and is in no box that scrolls."""
    if page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"):
        return []
    beyond: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('main *')]
            .filter(e => !e.parentElement.closest('.scroll, .array') && e.getBoundingClientRect().right > innerWidth)
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    return beyond or ["the page itself"]


@pytest.mark.parametrize("wide", [320, 360, 420, 768])
def test_nothing_is_wider_than_a_narrow_window(
    visitor: Visitor, everything: Record, page_of_everything: Path, wide: int
) -> None:
    failing = next(r for r in everything.results if r.explained and r.worst)
    page = visitor.open(page_of_everything, wide=wide)
    page.get_by_role("button", name="Show all clauses").click()
    for details in page.locator("summary").all():
        details.click()
    assert wider_than_the_window(page) == []
    page.get_by_role("combobox", name="Verdict").select_option("error")
    assert wider_than_the_window(page) == []
    page.keyboard.press("?")
    box = page.locator("#help").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= wide
    page.keyboard.press("Escape")
    for check in (failing.check, "no such check"):
        page.evaluate("where => { location.hash = where; }", address(check=check))
        expect(page.locator("#check")).to_be_visible()
        assert wider_than_the_window(page) == []


def test_a_table_wider_than_the_window_scrolls_with_the_keyboard(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything, wide=360)
    box = page.locator(".scroll", has=page.locator("#matrix"))
    box.focus()
    page.keyboard.press("ArrowRight")
    box.evaluate("e => e.scrollLeft || new Promise(done => e.addEventListener('scroll', done, {once: true}))")
    assert box.evaluate("e => e.scrollLeft") > 0
    head = page.locator("#matrix tr.suite th").first.bounding_box()
    place = box.bounding_box()
    assert head and place and abs(head["x"] - place["x"]) < 2, "the first column stays in view"


def ground(page: Page) -> Any:
    return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def test_the_theme_follows_the_system_until_it_is_chosen_and_is_remembered(
    visitor: Visitor, page_of_everything: Path
) -> None:
    light, dark = "rgb(255, 255, 255)", "rgb(21, 24, 27)"
    assert ground(visitor.open(page_of_everything, color_scheme="light")) == light
    page = visitor.open(page_of_everything, color_scheme="dark")
    assert ground(page) == dark
    for label, colour in (("light", light), ("dark", dark), ("auto", dark), ("light", light)):
        page.locator("#theme").click()
        assert page.locator("#theme").inner_text() == f"Theme: {label}"
        assert ground(page) == colour
    page.reload()
    assert ground(page) == light
    assert page.locator("#theme").inner_text() == "Theme: light"


@pytest.mark.parametrize("view", ["", "check"])
def test_on_paper_it_is_light_whole_and_without_buttons(
    visitor: Visitor, everything: Record, page_of_everything: Path, view: str
) -> None:
    failing = next(r for r in everything.results if r.explained and r.worst)
    page = visitor.open(page_of_everything, address(check=failing.check) if view else "", color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert ground(page) == "rgb(255, 255, 255)"
    suites = {suite_of(r.case) for r in everything.results}  # each the button that unfolds it
    assert page.locator("input:visible, select:visible, nav:visible").count() == 0
    assert [name for name in page.locator("button:visible").all_inner_texts() if name not in suites] == []
    boxes = page.locator(".scroll:visible")
    assert boxes.count() > 1
    assert set(boxes.evaluate_all("all => all.map(e => getComputedStyle(e).overflow)")) == {"visible"}
    expect(page.locator("#check-title" if view else "#matrix")).to_be_visible()
    assert page.pdf().startswith(b"%PDF")


def test_what_a_record_says_is_never_read_as_markup(visitor: Visitor, everything: Record) -> None:
    made = msgspec.convert(spoilt(msgspec.to_builtins(everything)), Record)
    failing = [r for r in made.results if r.verdict in factory.FAILING]
    page = visitor.open(made)

    def only_text() -> None:
        # The theme's, the payload, the charts' two and the page's; and Vega's, in the head, where a chart was seen.
        assert page.locator("script:not(head > script ~ script)").count() == 5
        assert page.locator("img, iframe, object, base, textarea, svg:not(.icon, .sprite, .drawing svg)").count() == 0
        names = page.locator("*").evaluate_all("all => [...new Set(all.flatMap(e => e.getAttributeNames()))]")
        assert [name for name in names if name.startswith("on") or name == "style"] == []
        links = page.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert {link[:1] for link in links} == {"#"}

    only_text()
    shown = page.locator("#overview").text_content() or ""
    assert [text for text in HOSTILE[:5] if text not in shown] == []
    for result in failing:
        page.evaluate("where => { location.hash = where; }", address(check=result.check))
        expect(page.locator("#check-title")).to_have_text(result.check)
        only_text()
    page.evaluate("where => { location.hash = where; }", address(cause=HOSTILE[0], q=HOSTILE[1]))
    expect(page.locator("#chips a")).to_have_text([f"kind: {HOSTILE[0]} \N{MULTIPLICATION SIGN}"])
    only_text()
