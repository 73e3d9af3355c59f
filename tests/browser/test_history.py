"""The page of a history: it opens from disk, axe finds nothing, and it fits a narrow window."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.accessible import violations
from browser.visiting import Visitor
from lossparity.series import History, Point, Series, Since, Used
from lossparity_reports.history import write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a page of two backends, one of which fails, chooses otherwise and was timed."""
    since = (Since("newly failing", 21, tuple(f"case-{number}/float32@jax#value" for number in range(20))),)
    times = {"x/float32#both": ("job", 0.002)}
    points = (
        Point(
            "0.4.30", "2026-01-01T00:00:00", "a", "0.1", {"tight": 5}, {}, Used(0.1, 0.5, 0.9), {"S1": {"nan": 1}}, {}
        ),
        Point(
            "0.10.2", "2026-02-01T00:00:00", "b", "0.1", {"loose": 4}, {"fail": 1}, None, {}, times, since, ("suite",)
        ),
    )
    path = tmp_path / "history.html"
    write(History("version", (Series("jax", points), Series("torch", points[:1])), ("x.jsonl: it is cut off",)), path)
    return path


@pytest.mark.parametrize(("wide", "theme"), [(1280, "light"), (1280, "dark"), (360, "dark")])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    visitor: Visitor, path: Path, wide: int, theme: str
) -> None:
    page = visitor.open(path, wide=wide, color_scheme=theme)
    for details in page.locator("summary").all():
        details.click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= wide


def test_it_says_what_changed_and_how_much_more(visitor: Visitor, path: Path) -> None:
    page = visitor.open(path)
    assert page.get_by_role("heading", level=1).text_content() == "3 runs of 2 backends, by version"
    page.get_by_text("21 newly failing").click()
    assert page.get_by_text("case-0/float32@jax#value").is_visible()
    assert page.get_by_text("and 1 more").is_visible()
    assert page.locator(".drawing svg").count() == 3
    page.get_by_role("link", name="torch").click()
    assert page.evaluate("document.activeElement.id") == "series-2"
