"""The pictures of the documents, taken again: `python -m browser.pictures`, in the environment of `tox run -e browser`.

    lossparity run -b numpy -b torch -b tensorflow -b jax
    lossparity check loss.py:cross_entropy --framework torch --record check.jsonl
    PYTHONPATH=tests python -m browser.pictures lossparity-results/run.jsonl check.jsonl docs/images

`loss.py` is the function of the README.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from browser.visiting import program
from lossparity.record import read
from lossparity_reports import html
from lossparity_reports.address import address

CHECK = "cross-entropy/sixty-thousand/float32@torch.target"


def picture(
    browser: Browser, page: Path, to: Path, tall: int, theme: Literal["light", "dark"], fragment: str, section: str
) -> None:
    """Take one picture, 1080 pixels wide, from the top of a section on."""
    tab = browser.new_page(viewport={"width": 1080, "height": tall}, color_scheme=theme)
    tab.goto(page.as_uri() + fragment)
    tab.locator("#shown:not(:has-text('Reading'))").wait_for(state="attached")
    tab.locator(section).first.evaluate("e => e.scrollIntoView()")
    tab.wait_for_timeout(3000)  # charts are drawn again as they come into view
    tab.screenshot(path=to)
    tab.close()


def main(run: Path, check: Path, folder: Path) -> None:
    """Take all three."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as place:
        browser = playwright.chromium.launch(executable_path=program())
        whole, own = Path(place, "run.html"), Path(place, "check.html")
        html.write(read(run), whole)
        html.write(read(check), own)
        picture(browser, own, folder / "page.png", 480, "light", "", "body")
        picture(browser, own, folder / "check.png", 640, "dark", address(check=CHECK), ".quantity")
        picture(browser, whole, folder / "numerics.png", 800, "light", "", "#numerics")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
