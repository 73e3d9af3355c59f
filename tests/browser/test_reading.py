"""The page is opened from disk, filtered, followed and gone back through, and its address repeats what it shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from playwright.sync_api import expect

import record_factory as factory
from browser.visiting import Visitor, fragment, said
from lossparity.record import Cause, Record
from lossparity_reports.address import address
from lossparity_reports.choices import tabulate
from lossparity_reports.figures import decimal
from lossparity_reports.groups import gather
from record_factory import failed, keys, record, result


def test_a_page_from_disk_lists_the_results(visitor: Visitor, everything: Record, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything)
    every = len(everything.results)
    assert said(page, "#shown") == f"{every} of {every} results"
    rows = page.locator("#results tbody a")
    assert rows.evaluate_all("all => all.map(a => a.title)") == [r.check for r in everything.results[:200]]
    assert said(page, "#more") == f"Show 200 more of {every - 200}"
    page.locator("#more").click()
    expect(rows).to_have_count(400)
    assert page.title().startswith("5 failures")


def test_without_a_script_the_answer_and_the_tables_are_there(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything, java_script_enabled=False)
    for there in ("h1", "#causes", "#matrix", "#untested", "noscript"):
        expect(page.locator(there)).to_be_visible()
    for gone in ("#filters", "#shown", "#theme", "#unfold", "#check"):
        expect(page.locator(gone)).to_be_hidden()
    assert "need JavaScript" in said(page, "noscript")
    expect(page.locator("#matrix tr.clause").first).to_be_visible()


def test_filters_narrow_the_list_and_stand_in_the_address(
    visitor: Visitor, everything: Record, page_of_everything: Path
) -> None:
    page = visitor.open(page_of_everything)
    every, failing = len(everything.results), [r for r in everything.results if r.verdict in factory.FAILING]
    page.get_by_role("combobox", name="Verdict").select_option("failing")
    assert said(page, "#shown") == f"{len(failing)} of {every} results"
    page.get_by_role("search").get_by_role("combobox", name="Backend").select_option("numpy")
    assert fragment(page) == "#verdict=failing&backend=numpy"
    numpy = [r for r in failing if r.backend == "numpy"]
    assert said(page, "#shown") == f"{len(numpy)} of {every} results"
    again = visitor.open(page_of_everything, fragment(page))
    assert said(again, "#results") == said(page, "#results")
    assert again.get_by_role("search").get_by_role("combobox", name="Backend").input_value() == "numpy"
    page.get_by_role("button", name="Failures", exact=True).click()
    assert fragment(page) == "#verdict=failing"
    assert page.locator("[data-preset][aria-pressed=true]").all_inner_texts() == ["Failures"]
    page.get_by_role("button", name="All", exact=True).click()
    assert said(page, "#shown") == f"{every} of {every} results"


def test_searching_filters_while_typing_and_leaves_no_trail(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything)
    steps = page.evaluate("history.length")
    page.get_by_role("searchbox", name="Search").press_sequentially("sigsegv")
    expect(page.locator("#shown")).to_contain_text("1 of ")
    assert "killed by signal 11" in said(page, "#results")
    assert fragment(page) == "#q=sigsegv"
    assert page.evaluate("history.length") == steps
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.get_by_role("searchbox", name="Search").fill("no such text")
    expect(page.locator("#shown")).to_contain_text("No result matches; ")


def test_a_column_sorts_the_worst_first_then_the_other_way(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything, "#verdict=fail")
    head = page.locator("#results th").filter(has_text="ulp")
    expect(head).to_have_attribute("aria-sort", "none")
    # What is of another class has no distance, and is worse than any.
    for order, distances in (("descending", ["–", "900"]), ("ascending", ["900", "–"])):
        head.get_by_role("link").click()
        expect(head).to_have_attribute("aria-sort", order)
        rows = page.locator("#results tbody tr")
        shown = [rows.nth(n).locator("td.num").first.inner_text() for n in range(rows.count())]
        assert list(dict.fromkeys(shown)) == distances
        expect(head.get_by_role("link")).to_be_focused()


def test_back_and_forward_walk_through_what_was_shown(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything)
    page.get_by_role("combobox", name="Verdict").select_option("fail")
    link = page.locator("#results tbody a").nth(1)
    check = link.get_attribute("title")
    link.click()
    expect(page.locator("#check-title")).to_be_focused()
    assert said(page, "#check-title") == check
    assert page.title().startswith(str(check))
    expect(page.locator("#overview")).to_be_hidden()
    page.go_back()
    expect(page.locator("#check")).to_be_hidden()
    assert fragment(page) == "#verdict=fail"
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.go_back()
    expect(page.get_by_role("combobox", name="Verdict")).to_have_value("")
    page.go_forward()
    page.go_forward()
    expect(page.locator("#check-title")).to_have_text(str(check))


def test_a_link_inside_the_page_keeps_the_filter(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything, "#verdict=fail")
    page.get_by_role("link", name="Environments").click()
    expect(page.get_by_role("heading", name="Environments")).to_be_in_viewport()
    assert fragment(page) == "#verdict=fail"
    page.locator("#causes td.num a").first.click()
    expect(page.locator("#list")).to_be_in_viewport()


def test_a_matrix_unfolds_and_its_cells_open_their_results(visitor: Visitor, page_of_everything: Path) -> None:
    page = visitor.open(page_of_everything)
    clauses = page.locator("#matrix tr.clause")
    expect(clauses.first).to_be_hidden()
    fold = page.locator("#matrix .fold").first
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(clauses.first).to_be_visible()
    page.get_by_role("button", name="Show all clauses").click()
    expect(clauses.last).to_be_visible()
    cell = clauses.last.locator("a").first
    wanted = cell.get_attribute("href")
    cell.click()
    assert fragment(page) == wanted
    expect(page.locator("#list")).to_be_in_viewport()


def test_a_link_to_a_check_shows_it(visitor: Visitor, everything: Record, page_of_everything: Path) -> None:
    failing = next(r for r in everything.results if r.explained and r.explained[0].id == "smoothing=K-1")
    assert failing.worst is not None
    page = visitor.open(page_of_everything, address(check=failing.check))
    assert said(page, "#check-title") == failing.check
    shown = said(page, "#check")
    for text in (
        "the smoothing mass is e/K on every class",
        "torch.nn.functional.cross_entropy",
        "a failure is the framework's own",
        "smoothing=K-1 q' = (1 - e) q + e / (K - 1) (1 - q): nothing of the mass on the target explained to 0.75 ulp",
        f"also fits another {factory.HOSTILE}, to 2.5 ulp",
        "intended? judge by it: --convention smoothing=K-1",
        "kind of failure finite-wrong",
        "recipe: normal, seed 99, scale 2",
        f"printed from rounded numbers {factory.HOSTILE}",
        "The same case on every backend",
    ):
        assert text in shown
    got, exact = decimal(failing.worst.got, "float32"), decimal(failing.worst.exact, "float32", exact=True)
    assert f"[0] worst {exact} {got} 900 4.6511" in said(page, "tr.worst >> nth=0")
    expect(page.locator("#overview")).to_be_hidden()
    page.get_by_role("link", name="numpy").click()
    expect(page.locator("#check-title")).to_have_text(f"{failing.case}/float32@numpy")


def test_a_check_shows_explanations_without_a_cause_and_what_the_framework_fails_too(visitor: Visitor) -> None:
    raised = {"message": "no such axis", "origin": "target", "api": "mine.py:my loss"}
    made = record(
        failed(1, "not-shifted", "log-of-softmax", shared=True),
        failed(2, "raises", **raised),
        causes=[Cause("raises", "no such axis", keys(2))],
    )
    shown = said(visitor.open(made, "#check=s/c1/float32@torch"), "#check")
    assert "explained by not-shifted, to 0.75 ulp log-of-softmax, to 0.75 ulp" in shown
    assert "the framework\N{RIGHT SINGLE QUOTATION MARK}s own function fails there too" in shown
    shown = said(visitor.open(made, "#check=s/c2/float32@torch"), "#check")
    assert shown.count("no such axis") == 2
    assert "also fits" not in shown
    assert "own function fails" not in shown
    assert "lossparity show s/c2/float32@torch --target 'mine.py:my loss'" in shown


@pytest.mark.parametrize("name", ["smoothing=K-1", factory.HOSTILE, "__proto__", "a&b=c#d%41"])
def test_a_cause_links_to_its_results(visitor: Visitor, name: str) -> None:
    hostile = f"$(rm) {factory.HOSTILE}"
    made = record(
        *(failed(n, name) for n in (1, 2)),
        failed(3, "other"),
        causes=[Cause(name, hostile, keys(1, 2), convention=hostile), Cause("other", "", keys(3))],
    )
    page = visitor.open(made)
    assert f"{name} {hostile} intended? judge by it: --convention '{hostile}'" in said(page, "#causes")
    page.locator("#causes td.num a").first.click()
    assert fragment(page) == gather(made).causes[0].address
    expect(page.locator("#shown")).to_have_text("2 of 3 results")
    assert said(page, "#chips") == f"cause: {name} \N{MULTIPLICATION SIGN}"
    page.locator("#results tbody a").first.click()
    shown = said(page, "#check")
    assert f"cause {name} {hostile} explained to 0.75 ulp intended? judge by it: --convention '{hostile}'" in shown
    page.locator("#back").click()
    page.locator("#chips a").click()
    expect(page.locator("#shown")).to_have_text("3 of 3 results")


def test_a_choice_links_to_its_results(visitor: Visitor) -> None:
    choosing = [result(n, clause="S5", choice="nan" if n < 3 else "limit") for n in range(5)]
    made = record(*choosing, result(9))
    row = tabulate(made.results).rows[0]
    assert row.cells[0] is not None
    page = visitor.open(made, row.cells[0].taken[0].address)
    assert said(page, "#shown") == "3 of 6 results"
    assert "choice: nan" in said(page, "#chips")


@pytest.mark.parametrize("backend", ["torch+compile", "a&b=c#d%41"])
def test_links_keep_ids_with_every_character(visitor: Visitor, backend: str) -> None:
    check = f"s/é {factory.HOSTILE}/float32@{backend}"
    made = record(result(1), result(2, check=check, backend=backend, verdict="fail"))
    page = visitor.open(made)
    page.locator("#failures a").click()
    assert fragment(page) == address(check=check)
    assert said(page, "#check-title") == check
    assert page.locator("#back").get_attribute("href") == "#list"
    page = visitor.open(made, "#check=s/gone@nowhere")
    assert "No such check in this record" in said(page, "#check")


def test_an_id_may_be_typed_into_the_address_as_it_is(visitor: Visitor) -> None:
    check = "s/c1/reduction=mean/float32@torch:cuda+compile"
    page = visitor.open(record(result(1, check=check, backend="torch:cuda+compile")))
    for typed in (check, f"{check}#value"):
        page.evaluate("typed => { location.hash = '#check=' + typed; }", typed)
        expect(page.locator("#check-title")).to_have_text(check)
        page.evaluate("location.hash = ''")
        expect(page.locator("#check")).to_be_hidden()


def test_an_empty_and_an_incomplete_record_open_without_complaint(visitor: Visitor, everything: Record) -> None:
    page = visitor.open(factory.empty())
    assert said(page, "#shown").startswith("No result matches; 0 are there.")
    page = visitor.open(dataclasses.replace(everything, footer=None))
    assert said(page, "#shown") == f"{len(everything.results)} of {len(everything.results)} results"


def test_a_payload_that_is_damaged_says_so_and_leaves_the_rest(visitor: Visitor, page_of_everything: Path) -> None:
    text = page_of_everything.read_text(encoding="utf-8")
    start = text.index('id="payload">') + len('id="payload">')
    path = page_of_everything.with_name("damaged.html")
    path.write_text(text[:start] + text[start + 400 :], encoding="utf-8")
    page = visitor.open(path)
    assert said(page, "#shown").startswith("The results cannot be read by this browser: ")
    expect(page.locator("#matrix")).to_be_visible()


def test_the_list_draws_a_part_of_fifty_thousand_results_wherever_it_stands(visitor: Visitor) -> None:
    made = record(*(result(n) for n in range(50_000)))
    page = visitor.open(made)
    rows = page.locator("#results tbody tr")
    assert rows.count() == 200
    page.evaluate("location.hash = '#check=s/c49900/float32@torch'")
    expect(page.locator("#check-title")).to_contain_text("c49900")
    page.keyboard.press("Escape")
    focused = page.locator("#results tbody a:focus")
    expect(focused).to_have_attribute("title", "s/c49900/float32@torch")
    expect(focused).to_be_in_viewport()
    assert rows.count() <= 400


def test_a_browser_that_cannot_inflate_says_so(visitor: Visitor, page_of_few: Path) -> None:
    page = visitor.open(page_of_few, before="delete window.DecompressionStream")
    assert "The results cannot be read by this browser: " in said(page, "#shown")
