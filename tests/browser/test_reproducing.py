"""One check's stand-alone script on the page: where it is, where that of its cause is, and why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

import record_factory as factory
from browser.visiting import Visitor
from lossparity.record import Cause, Record, Script
from lossparity_reports.address import address
from record_factory import failed, keys, result

TEXT = f"# {factory.HOSTILE}\nimport sys\n\nsys.exit(1)\n"


def check(number: int, backend: str = "torch") -> str:
    return f"s/c{number}/float32@{backend}"


def scripted() -> Iterator[Script]:
    yield Script(check(1), "value", "negated", TEXT)
    yield Script(check(3), "value", "swapped", why=f"no source {factory.HOSTILE}")
    yield Script(check(5), "value", "declared", TEXT)


@pytest.fixture(scope="module")
def record() -> Record:
    made = factory.record(
        failed(1, "negated"),
        failed(2, "negated"),
        failed(3, "swapped"),
        failed(4, "other"),
        *(result(n, verdict="known", deviation="declared") for n in (5, 6)),
        failed(7, "negated", backend="jax"),
        result(8),
        causes=[Cause("negated", "", keys(1, 2)), Cause("swapped", "", keys(3)), Cause("other", "", keys(4))],
    )
    made.scripts = list(scripted())
    return made


@pytest.mark.parametrize("number", [1, 5])
def test_the_simplest_result_of_a_cause_or_a_known_deviation_has_its_script(
    visitor: Visitor, record: Record, number: int
) -> None:
    page = visitor.open(record, address(check=check(number)))
    page.get_by_text("The script of the value, 4 lines").click()
    expect(page.locator("#check pre")).to_be_visible()
    assert page.locator("#check pre").text_content() == TEXT
    assert TEXT in page.locator("#check [data-copies]").evaluate_all("all => all.map(e => e.dataset.copies)")


@pytest.mark.parametrize(("number", "of", "first"), [(2, "cause", 1), (6, "known deviation", 5)])
def test_another_result_links_to_the_one_that_has_the_script(
    visitor: Visitor, record: Record, number: int, of: str, first: int
) -> None:
    page = visitor.open(record, address(check=check(number)))
    assert page.locator("#check pre").count() == 0
    said = page.locator("#check").inner_text()
    assert f"simplest result of the same {of} on this backend: {check(first)}" in said
    page.get_by_role("link", name=check(first)).first.click()
    expect(page.locator("#check-title")).to_have_text(check(first))


@pytest.mark.parametrize(
    ("number", "backend", "said"),
    [
        (3, "torch", f"The record holds no script of the value: no source {factory.HOSTILE}."),
        (4, "torch", "The record holds no script of the value: it has those of some causes only."),
        (7, "jax", "it has those of some causes only"),
    ],
)
def test_where_there_is_no_script_it_says_why(
    visitor: Visitor, record: Record, number: int, backend: str, said: str
) -> None:
    page = visitor.open(record, address(check=check(number, backend)))
    expect(page.locator("#check")).to_contain_text(re.compile(re.escape(said).replace(r"\ ", r"\s+")))
    assert page.locator("#check pre").count() == 0


def test_what_passes_has_its_commands_alone(visitor: Visitor, record: Record) -> None:
    page = visitor.open(record, address(check=check(8)))
    expect(page.locator("#check")).to_contain_text(f"lossparity show {check(8)} --script")
    expect(page.locator("#check")).not_to_contain_text("script of the value")


def test_of_versions_side_by_side_it_says_which_environment_the_commands_are_for(visitor: Visitor) -> None:
    page = visitor.open(
        factory.record(failed(1, "negated", backend="torch@2.13.0")), address(check=check(1, "torch@2.13.0"))
    )
    expect(page.locator("#check")).to_contain_text("in an environment of the version 2.13.0")
    copies = page.locator("#check [data-copies]").evaluate_all("all => all.map(e => e.dataset.copies)")
    assert f"lossparity show {check(1)}" in copies


def test_what_is_said_of_value_and_gradient_alike_stands_once_and_each_script_has_its_buttons(visitor: Visitor) -> None:
    both = [failed(n, "negated", quantity=quantity) for n in (1, 2) for quantity in ("value", "gradient")]
    made = factory.record(*both, causes=[Cause("negated", "", [one.key for one in both])])
    made.scripts = [Script(check(1), "value", "negated", TEXT)]
    page = visitor.open(made, address(check=check(2)))
    expect(page.locator("#check").get_by_text("The record holds a script of the simplest result")).to_have_count(1)
    made.scripts.append(Script(check(1), "gradient", "slope", "pass\n"))
    page = visitor.open(made, address(check=check(1)))
    expect(page.locator("#check .copies")).to_have_count(2)
    copies = page.locator("#check .copies [data-copies]").evaluate_all("all => all.map(e => e.dataset.copies)")
    assert {TEXT, "pass\n"} <= set(copies)
