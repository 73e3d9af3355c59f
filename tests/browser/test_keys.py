"""Everything that the page does can be done with the keyboard, and the keys leave typing alone."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from browser.visiting import Visitor
from lossparity.record import Record
from record_factory import FAILING, record, result


def focused_check(page: Page) -> str:
    """Return the id of the check whose row is in focus."""
    return page.locator("#results tbody a:focus").get_attribute("title") or ""


def test_j_and_k_walk_through_the_list_and_enter_opens(
    visitor: Visitor, everything: Record, page_of_everything: Path
) -> None:
    checks = [r.check for r in everything.results]
    page = visitor.open(page_of_everything)
    for key, at in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0), ("j", 1), ("j", 2)):
        page.keyboard.press(key)
        assert focused_check(page) == checks[at]
        expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#check-title")).to_be_focused()
    expect(page.locator("#check-title")).to_have_text(checks[2])
    ids = list(dict.fromkeys(checks))
    here = ids.index(checks[2])
    for key, at in (("j", here + 1), ("k", here), ("k", here - 1)):
        page.keyboard.press(key)
        expect(page.locator("#check-title")).to_have_text(ids[at])
    page.keyboard.press("Escape")
    expect(page.locator("#check")).to_be_hidden()
    assert focused_check(page) == ids[here - 1]


def test_j_goes_on_beyond_the_rows_that_are_drawn(visitor: Visitor) -> None:
    page = visitor.open(record(*(result(n) for n in range(205))))
    page.locator("#results tbody a").nth(199).focus()
    page.keyboard.press("j")
    assert focused_check(page) == "s/c200/float32@torch"
    for _ in range(9):
        page.keyboard.press("j")
    assert focused_check(page) == "s/c204/float32@torch", "the last one stays"


def test_f_goes_from_failure_to_failure_and_round(
    visitor: Visitor, everything: Record, page_of_everything: Path
) -> None:
    failing = list(dict.fromkeys(r.check for r in everything.results if r.verdict in FAILING))
    page = visitor.open(page_of_everything)
    for check in [*failing, failing[0]]:
        page.keyboard.press("f")
        expect(page.locator("#check-title")).to_have_text(check)


def test_f_says_where_there_is_no_failure(visitor: Visitor) -> None:
    page = visitor.open(record(result(1)))
    page.keyboard.press("f")
    expect(page.locator("#shown")).to_have_text("There is no failure.")
    expect(page.locator("#check")).to_be_hidden()


def test_a_slash_searches_from_anywhere_and_typed_letters_are_text(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything, "#verdict=fail")
    search = page.get_by_role("searchbox", name="Search")
    page.keyboard.press("f")
    expect(page.locator("#check")).to_be_visible()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("fj?/k")
    expect(search).to_have_value("fj?/k")
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("#check")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(search).not_to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()


def test_a_question_mark_shows_the_keys_and_escape_gives_the_focus_back(
    visitor: Visitor, page_of_everything: Path
) -> None:
    page = visitor.open(page_of_everything)
    page.keyboard.press("j")
    before = focused_check(page)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button")).to_be_focused()
    page.keyboard.press("f")
    expect(page.locator("#check")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert focused_check(page) == before
    page.locator("#keys").click()
    dialog.get_by_role("button", name="Close").press("Enter")
    expect(dialog).to_be_hidden()


def test_a_key_with_a_modifier_is_the_browsers(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything)
    for key in ("Control+j", "Alt+f", "Meta+k"):
        page.keyboard.press(key)
    expect(page.locator("#check")).to_be_hidden()
    assert page.locator("#results tbody a:focus").count() == 0


def test_the_first_tab_leads_to_the_checks(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the checks")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#checks")).to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="All", exact=True)).to_be_focused()


def test_a_filter_and_a_fold_work_without_a_mouse(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything)
    fold = page.locator("#matrix .fold").first
    fold.focus()
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Weak passes").focus()
    page.keyboard.press("Space")
    expect(page.locator('[data-preset="verdict=weak"]')).to_have_attribute("aria-pressed", "true")
    page.get_by_role("combobox", name="Verdict").focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("combobox", name="Verdict")).to_have_value("failing")
