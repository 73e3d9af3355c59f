"""Opening a page as a person does, from disk and without a network, and noting what it does beside what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossparity.record import Record
from lossparity_reports import html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

__all__ = ["READING", "Visitor", "fragment", "program", "said"]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READING = "Reading the results…"  # what stands there until the script has read the payload


def program() -> str:
    """Return the path of the system's Chromium; LookupError, which says what was looked for, where there is none."""
    if found := next(filter(None, map(shutil.which, _BROWSERS)), None):
        return found
    raise LookupError(f"no Chromium is installed (looked for {', '.join(_BROWSERS)})")


class Visitor:
    """A person with a browser: every page opened is watched until the test ends."""

    def __init__(self, chromium: Browser, folder: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._chromium = chromium
        self._folder = folder
        self._contexts: list[BrowserContext] = []

    def open(
        self, what: Path | Record, fragment: str = "", *, wide: int = 1280, before: str = "", **options: Any
    ) -> Page:
        """Open a page, or that of a record, at an address; return it when its list of results is drawn.

        `wide` is the width of the window in pixels, `before` a script that runs before any other, `options` are those
        of Playwright's `new_context`.
        """
        from playwright.sync_api import expect  # the folder is looked at where Playwright is not installed

        if isinstance(what, Record):
            path = self._folder / f"{len(self._contexts)}.html"
            html.write(what, path)
            what = path
        context = self._chromium.new_context(viewport={"width": wide, "height": 800}, offline=True, **options)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        if before:
            page.add_init_script(before)
        context.on("page", lambda other: self.complaints.append(f"a window: {other.url}"))
        page.on("console", lambda line: self.complaints.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self._dismiss)
        context.on("request", self._requested)
        page.goto(what.as_uri() + fragment)
        if options.get("java_script_enabled", True) and page.locator("#shown").count():
            expect(page.locator("#shown")).not_to_have_text(READING)
        return page

    def leave(self) -> None:
        """Close everything."""
        for context in self._contexts:
            context.close()

    def _dismiss(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        saved = request.url.startswith("blob:")  # what the page made itself
        if not saved and not (request.is_navigation_request() and request.url.startswith("file:")):
            self.requests.append(request.url)


def said(page: Page, selector: str) -> str:
    """Return the text of an element as it is shown, blanks and breaks as one blank."""
    return " ".join(page.locator(selector).inner_text().split())


def fragment(page: Page) -> str:
    """Return the # of the address and what stands behind it; the page is asked, since `page.url` hears of it later."""
    return str(page.evaluate("location.hash"))
