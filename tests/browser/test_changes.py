"""The page beside another record: what changed is listed, opened and gone back from, and what is gone has a place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

import record_factory as factory
from browser.visiting import Visitor, fragment
from lossparity.changes import compare, kinds_named
from lossparity.changes.marking import marked
from lossparity.changes.scope import Scope
from lossparity.marked import Marked
from lossparity.record import Result
from lossparity_reports import html
from lossparity_reports.address import address
from lossparity_reports.alone import alone
from lossparity_reports.choices import left_open

FAILS: dict[str, Any] = {"verdict": "fail", "grade": "wrong", "cause": "nan", "message": f"now {factory.HOSTILE}"}


@pytest.fixture(scope="session")
def beside() -> Marked:
    """Return a record of 199 results, beside one of 200: two fail newly, one has a worse grade, one is gone."""
    base = factory.passing()
    at = [n for n, r in enumerate(base.results) if (r.backend, r.quantity, r.grade) == ("torch", "value", "faithful")]
    changes = dict(zip(at, (FAILS, FAILS, {"grade": "tight", "ulp": 2.5}), strict=False))
    results = [msgspec.structs.replace(r, **changes.get(n, {})) for n, r in enumerate(base.results) if n != at[3]]
    new = replace(base, results=results)
    scope = Scope(backends=["torch", "jax"])
    return marked(new, compare(scope.of(base), scope.of(new)), kinds_named("default"), "base.jsonl")


@pytest.fixture(scope="session")
def page_beside(beside: Marked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return its page, written once."""
    path = tmp_path_factory.mktemp("page") / "beside.html"
    html.write(beside, path)
    return path


def of(record: Marked, kind: str) -> list[Result]:
    """Return the results of a kind of change, those that are gone as they were."""
    return [r for one in record.against.changes if one.kind == kind and (r := one.after or one.before)]


def shown(page: Page) -> str:
    """Return what stands above the list."""
    return page.locator("#shown").inner_text()


def rows(page: Page) -> list[str]:
    """Return the checks of the list."""
    checks: list[str] = page.locator("#results tbody a").evaluate_all("all => all.map(a => a.title)")
    return checks


def test_changes_are_chosen_by_name_and_stand_in_the_address(
    visitor: Visitor, beside: Marked, page_beside: Path
) -> None:
    page = visitor.open(page_beside)
    assert shown(page) == "199 of 199 results"
    chooser = page.get_by_role("combobox", name="Change")
    assert chooser.locator("option").all_inner_texts() == [
        "all",
        "any change (4)",
        "regression (3)",
        "newly failing (2)",
        "removed (1)",
        "of a worse grade (1)",
        "unchanged (76)",
    ]
    chooser.select_option("failing")
    assert fragment(page) == "#change=failing"
    assert shown(page) == "2 of 199 results"
    assert {*rows(page)} == {r.check for r in of(beside, "failing")}
    assert "newly failing" in page.locator("#results tbody tr").first.inner_text()
    chooser.select_option("none")
    assert shown(page) == "76 of 199 results"
    page.go_back()
    expect(page.locator("#shown")).to_have_text("2 of 199 results")


def test_every_preset_has_an_address_that_presses_its_button(visitor: Visitor, page_beside: Path) -> None:
    page = visitor.open(page_beside)
    seen = {}
    for button in page.locator("[data-preset]").all():
        button.click()
        seen[button.inner_text()] = fragment(page)
        expect(page.locator("[data-preset][aria-pressed=true]")).to_have_text(button.inner_text())
    assert seen == {
        "All": "#list",
        "Failures": "#verdict=failing",
        "New failures": "#change=failing",
        "Regressions": "#change=regression",
        "Known": "#verdict=known",
        "Weak passes": "#verdict=weak",
        "Only one backend differs": "#only=alone",
        "Choices": "#only=open",
    }
    page = visitor.open(page_beside, "#only=alone&sort=-ulp")
    expect(page.locator("[data-preset][aria-pressed=true]")).to_have_text("Only one backend differs")
    assert "one backend differs" in page.locator("#chips").inner_text()
    page = visitor.open(page_beside, "#only=alone&backend=torch")
    expect(page.locator("[data-preset][aria-pressed=true]")).to_have_count(0)


def test_where_only_one_differs_and_what_is_left_open_are_lists(visitor: Visitor, beside: Marked) -> None:
    odd, choosing = alone(beside.results), left_open(factory.everything().results)
    page = visitor.open(beside, "#only=alone")
    assert shown(page) == f"{len(odd)} of 199 results"
    assert {*rows(page)} == {r.check for r in beside.results if r.key in odd}
    page = visitor.open(factory.everything(), "#only=open")
    assert {*rows(page)} == {r.check for r in choosing} != set()
    page.locator("#chips a").click()
    expect(page.locator("#chips a")).to_have_count(0)


def test_what_is_gone_stands_in_lists_of_changes_alone_and_opens(
    visitor: Visitor, beside: Marked, page_beside: Path
) -> None:
    (gone,) = of(beside, "removed")
    page = visitor.open(page_beside, "#change=regression&sort=-change")
    assert shown(page) == "2 of 199 results, and 1 that only the other record holds"
    row = page.locator("#results tbody tr.gone")
    assert "pass before" in row.inner_text() and "removed" in row.inner_text()
    assert rows(page)[-1] == gone.check
    row.locator("a").click()
    expect(page.locator("#check-title")).to_have_text(gone.check)
    said = page.locator("#check").inner_text()
    assert "value: removed" in said
    assert "Only base.jsonl holds this result" in said
    page.keyboard.press("Escape")
    assert shown(page) == "2 of 199 results, and 1 that only the other record holds"
    page.evaluate("location.hash = 'verdict=pass'")
    expect(page.locator("#shown")).to_have_text("197 of 199 results")
    assert gone.check not in [r.check for r in beside.results if r.quantity == "value"]


def test_a_check_of_which_all_is_gone_says_so(visitor: Visitor, beside: Marked) -> None:
    (gone,) = of(beside, "removed")
    without = replace(beside, results=[r for r in beside.results if r.check != gone.check])
    page = visitor.open(without, address(check=gone.check))
    expect(page.locator("#check-title")).to_have_text(gone.check)
    assert "Only base.jsonl holds this result" in page.locator("#check").inner_text()


def test_one_check_shows_what_it_was_beside_what_it_is(visitor: Visitor, beside: Marked, page_beside: Path) -> None:
    failing = of(beside, "failing")[0]
    page = visitor.open(page_beside, address(check=failing.check))
    value, gradient = page.locator("#check .quantity").all()[:2]
    assert "Against base.jsonl: newly failing" in " ".join(value.inner_text().split())
    lines = [line.split("\t") for line in value.locator("table.sides tbody").inner_text().split("\n")]
    told = {line[0]: line[1:] for line in lines}
    assert told["verdict"] == ["pass", "fail", "differs"]
    assert told["grade"] == ["faithful", "wrong", "differs"]
    assert told["kind of failure"] == ["–", "nan", "differs"]
    assert told["message"] == ["–", f"now {factory.HOSTILE}", "differs"]
    assert told["error / bound"][2] == "same"
    assert "Against base.jsonl: unchanged" in " ".join(gradient.inner_text().split())
    expect(gradient.locator("table.sides")).to_have_count(0)
    apart = next(r for r in beside.results if r.backend == "numpy")
    page = visitor.open(page_beside, address(check=apart.check))
    assert "Not compared with base.jsonl." in page.locator("#check").inner_text()


def test_the_table_of_changes_leads_to_their_list(visitor: Visitor, page_beside: Path) -> None:
    page = visitor.open(page_beside)
    page.locator("#changes a[href='#change=failing']").click()
    expect(page.locator("#shown")).to_have_text("2 of 199 results")
    expect(page.get_by_role("combobox", name="Change")).to_have_value("failing")


def test_a_page_beside_no_record_shows_the_filter_that_finds_nothing(visitor: Visitor) -> None:
    page = visitor.open(factory.passing(), "#change=failing")
    assert shown(page).startswith("No result matches")
    assert "change: failing" in page.locator("#chips").inner_text()
    page.locator("#chips a").click()
    expect(page.locator("#shown")).to_have_text("200 of 200 results")
    expect(page.get_by_role("combobox", name="Change")).to_have_count(0)


@pytest.mark.parametrize("wide", [360, 420])
def test_nothing_of_it_is_wider_than_a_narrow_window(
    visitor: Visitor, beside: Marked, page_beside: Path, wide: int
) -> None:
    page = visitor.open(page_beside, wide=wide)
    assert page.evaluate("document.documentElement.scrollWidth") <= wide
    (gone,) = of(beside, "removed")
    page = visitor.open(replace(beside, results=beside.results[:1]), address(check=gone.check), wide=wide)
    assert page.evaluate("document.documentElement.scrollWidth") <= wide
