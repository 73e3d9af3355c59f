"""A browser for the tests of the page, and what none of them may leave behind: requests, complaints, dialogs, windows.

Where Playwright is not installed the folder is passed over; `tox run -e browser` installs it and runs nothing else.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import record_factory as factory
from browser.visiting import Visitor, program
from lossparity.record import Record
from lossparity_reports import html

if TYPE_CHECKING:
    from playwright.sync_api import Browser

collect_ignore_glob = [] if importlib.util.find_spec("playwright") else ["test_*.py"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the Chromium of the system; without one the tests are skipped, or fail where it is asked for."""
    from playwright.sync_api import sync_playwright

    try:
        found = program()
    except LookupError as absent:
        if os.environ.get("LOSSPARITY_REQUIRE_BROWSER"):
            pytest.fail(f"{absent}, and LOSSPARITY_REQUIRE_BROWSER asks for it")
        pytest.skip(str(absent))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found)
        yield started
        started.close()


@pytest.fixture
def visitor(chromium: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """Open pages, and fail the test where one asked for anything or complained of anything."""
    visitor = Visitor(chromium, tmp_path)
    yield visitor
    visitor.leave()
    assert visitor.complaints == []
    assert visitor.requests == []


@pytest.fixture(scope="session")
def everything() -> Record:
    """Return a record with every verdict, a permitted choice, wrong classes and hostile text everywhere."""
    return factory.everything()


@pytest.fixture(scope="session")
def page_of_everything(everything: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of that record, written once."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    html.write(everything, path)
    return path


@pytest.fixture(scope="session")
def page_of_few(everything: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of the last of those results, with every verdict among them, written once."""
    path = tmp_path_factory.mktemp("page") / "few.html"
    html.write(dataclasses.replace(everything, results=everything.results[-50:]), path)
    return path
