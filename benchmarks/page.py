"""What the page costs: its size, the time to write it, and the time until a browser shows its first results.

    tox devenv -e browser .tox/page
    PYTHONPATH=tests .tox/page/bin/python benchmarks/page.py [--results N]... [--times N]

The records are made in memory (tests/record_factory.py), nearly all of them passes. *Cold* is the first page that a
process writes, with what it imports for that, *warm* the one after it. Both are seconds of wall, since that is what a
person waits for: a child process draws the charts beside the rest. It saves no work, so *CPU* is what both pages cost,
in both processes; with a single core that is what they take. The least of several processes counts.

What the browser takes is the least of several new tabs, from disk, in seconds of wall: *first rows* from the navigation
to the frame after the first rows are there; *search* from the letters (120 ms are waited for more) and *sort* from the
click to the frame with other rows; *back* from the last check to the list with its row in focus. *Rows* are those then
drawn. A budget that is missed is marked with an exclamation mark, and the status is 1: on a busy machine that says
nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

import record_factory
from browser.visiting import program
from lossparity_reports.address import address

BUDGETS = {"size, MB": 1.5, "cold, s": 2.0, "warm, s": 2.0, "first rows, s": 0.5}
BUDGETED = 10_000  # results

# Before anything of the page runs: note when the first rows are there and the frame with them is shown.
WATCH = """new MutationObserver((_, watch) => {
  if (!document.querySelector('#results tbody tr')) return;
  watch.disconnect();
  requestAnimationFrame(() => setTimeout(() => performance.mark('first rows')));
}).observe(document, {childList: true, subtree: true});"""

FIRST = """() => new Promise(done => {
  const look = () => {
    const mark = performance.getEntriesByName('first rows')[0];
    mark ? done(mark.startTime) : setTimeout(look, 10);
  };
  look();
})"""

# Do something and wait for the frame after the rows have changed.
CHANGED = """() => new Promise((done, fail) => {
  setTimeout(() => fail(new Error('the list is as it was')), 30000);
  const began = performance.now();
  new MutationObserver((_, watch) => {
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  }).observe(document.querySelector('#results tbody'), {childList: true});
  %s
})"""
SEARCH = (
    CHANGED
    % """const search = document.querySelector('#filters [name=q]');
  search.value = 'float16';
  search.dispatchEvent(new Event('input', {bubbles: true}));"""
)
SORT = CHANGED % "document.querySelector('#results th:nth-child(8) a').click();"
BACK = CHANGED % "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));"


def written(results: int, path: Path) -> tuple[dict[str, float], str]:
    """Write the page of so many results twice, the first of this process; return the figures and the last check."""
    record = record_factory.many(results)
    figures: dict[str, float] = {"results": len(record.results), "size, MB": 0.0}
    used = time.process_time()
    for name in ("cold, s", "warm, s"):
        began = time.perf_counter()
        from lossparity_reports import html  # part of the first page's cost

        html.write(record, path)
        figures[name] = time.perf_counter() - began
    from lossparity_reports.charts.drawing import painter

    painter().stop()  # what it used is known once it has ended
    children = os.times()
    figures["CPU of both, s"] = time.process_time() - used + children.children_user + children.children_system
    figures["size, MB"] = path.stat().st_size / 1e6
    return figures, record.results[-1].check


def opened(chromium: Browser, path: Path, last: str) -> dict[str, float]:
    """Open a page in a new tab and use it; return what each step took."""
    page = chromium.new_context(viewport={"width": 1280, "height": 800}, offline=True).new_page()
    page.add_init_script(WATCH)
    page.goto(path.as_uri(), wait_until="commit")

    def took(step: str) -> float:
        milliseconds: float = page.evaluate(step)
        return milliseconds / 1000

    figures = {"first rows, s": took(FIRST), "search, s": took(SEARCH), "sort, s": took(SORT)}
    page.evaluate("where => { location.hash = where; }", address(check=last))
    page.locator("#check").wait_for()
    figures["back, s"] = took(BACK)
    figures["rows"] = page.locator("#results tbody tr").count()
    page.context.close()
    return figures


def main() -> int:
    """Measure and print; return 1 where a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, action="append", default=[])
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    try:
        found = program()
    except LookupError as absent:
        parser.error(str(absent))
    rows: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=found)
        for results in given.results or [BUDGETED, 50_000]:
            path = Path(folder) / f"{results}.html"
            pages = [alone.submit(written, results, path).result() for _ in range(given.times)]
            tabs = [opened(chromium, path, pages[0][1]) for _ in range(given.times)]
            rows.append(least([figures for figures, _ in pages]) | least(tabs))
        print(f"Chromium {chromium.version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        chromium.close()
    return show(rows)


def least(found: list[dict[str, float]]) -> dict[str, float]:
    """Return the least of each figure."""
    return {name: min(one[name] for one in found) for name in found[0]}


def show(rows: list[dict[str, float]]) -> int:
    """Print a table of what was measured; return 1 where a budget is missed."""
    missed = 0
    for name in rows[0]:
        cells = []
        for row in rows:
            over = row["results"] <= 1.01 * BUDGETED and row[name] > BUDGETS.get(name, float("inf"))
            missed += over
            cells.append(
                f"{row[name]:,.0f}" if name in ("results", "rows") else f"{row[name]:.2f}{'!' if over else ''}"
            )
        budget = f"   budget {BUDGETS[name]}" if name in BUDGETS else ""
        print(f"{name:14} {' '.join(f'{cell:>9}' for cell in cells)}{budget}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
