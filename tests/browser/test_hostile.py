"""A record of a stranger with code in every text that it has: on the page all of it is text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

import record_factory as factory
from browser.visiting import Visitor
from lossparity.record import Line, Record, encode, read

HACK = (
    "\"'><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'></script><svg onload=window.hacked=1>"
    "{{7*7}}${7*7}`]]><!--\x1b[2J\u202ejavascript:window.hacked=1"
)
# What the record's reader admits as it is alone, and what would not be shown at all otherwise.
_AS_IT_IS = {
    *("kind", "verdict", "grade", "format", "quantity", "clause", "basis", "values", "got", "exact", "timed"),
    *("returned", "input_hash", "outcome", "origin", "operation", "worst"),
}


def hacked(given: Any, name: str = "") -> Any:
    """Put code behind every text of a line, the same wherever it stands, so that ids still meet."""
    if isinstance(given, dict):
        return {key: one if key in _AS_IT_IS else hacked(one, key) for key, one in given.items()}
    if isinstance(given, list):
        return [hacked(one, name) for one in given]
    return f"{given}{HACK}" if isinstance(given, str) and given else given


def lines(made: Record) -> Iterator[Line]:
    yield made.header
    for part in (made.environments, made.cases, made.results[-60:], made.agreements, made.scripts):
        yield from part
    for times in (made.jobs, made.triads, made.speeds, made.ratios):
        yield from times
    if made.footer:
        yield made.footer


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Record:
    path = tmp_path_factory.mktemp("hostile") / "run.jsonl"
    made = factory.everything()
    made.speeds, made.jobs, made.triads = factory.timed().speeds, factory.timed().jobs, factory.timed().triads
    made.ratios = factory.timed().ratios
    texts = (msgspec.json.encode(hacked(msgspec.json.decode(encode(one)))) for one in lines(made))
    path.write_bytes(b"\n".join(texts))
    found = read(path)
    assert not found.broken
    assert HACK in found.results[0].check
    assert HACK in found.environments[0].name
    return found


def unharmed(page: Page) -> bool:
    return bool(page.evaluate("window.hacked === undefined && !document.querySelector('img[src=x], svg[onload]')"))


def test_code_in_every_text_is_shown_and_never_run(visitor: Visitor, strangers: Record) -> None:
    page = visitor.open(strangers)
    assert unharmed(page)
    expect(page.locator("#results tbody a").first).to_contain_text("<script>window.hacked = 1</script>")
    for where in page.locator("summary").all()[:20]:
        if where.is_visible():
            where.click()
    page.locator("#results tbody a").last.click()  # what is known of one check
    expect(page.locator("#check")).to_contain_text("<img src=x onerror=")
    assert unharmed(page)
    addresses = page.eval_on_selector_all("a[href]", "all => all.map(a => a.protocol)")
    assert set(addresses) <= {"file:", "https:", "http:"}, "no address is code"


def test_without_a_script_it_is_text_too(visitor: Visitor, strangers: Record, tmp_path: Path) -> None:
    page = visitor.open(strangers, java_script_enabled=False)
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("svg[onload]").count() == 0
    expect(page.locator("body")).to_contain_text("window.hacked")
    assert not (tmp_path / "x").exists()
