"""The process that draws the charts: that it is kept, that its end is not the page's, and that it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import record_factory as factory
from lossparity_reports import html
from lossparity_reports.charts import section
from lossparity_reports.charts.drawing import Painter, Undrawn, painter
from lossparity_reports.charts.painting import paint

SPEC: dict[str, Any] = {
    "data": {"values": [{"a": "<b>&\u2028\n"}]},
    "mark": "text",
    "encoding": {"text": {"field": "a"}},
}
CHILD = [sys.executable, "-P", "-m", "lossparity_reports.charts.painting"]

# What stands in for the child: it answers with its number, until it is asked to do something else.
ANSWERS = """
import json, os, sys, time
for line in sys.stdin:
    exec(json.loads(line).get("do", ""))
    print(json.dumps({"svg": str(os.getpid())}), flush=True)
"""

Making = Callable[..., Painter]


@pytest.fixture
def standing_in() -> Iterator[Making]:
    """Make painters of another child, which end with the test."""
    made: list[Painter] = []

    def make(*command: str, **options: Any) -> Painter:
        made.append(Painter(command or [sys.executable, "-c", ANSWERS], **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_child_draws_what_this_process_would() -> None:
    drawn = painter().draw([SPEC, SPEC]).result()
    assert drawn == [paint(SPEC)] * 2
    assert "&lt;b&gt;&amp;" in drawn[0]


def test_what_a_library_prints_is_no_answer_and_the_child_ends_when_nothing_more_is_asked() -> None:
    prints = f"import os; from {CHILD[-1]} import main, paint; p = paint; import {CHILD[-1]} as m\n"
    prints += "def noisy(spec):\n    os.write(1, b'noise'); print('noise'); return p(spec)\nm.paint = noisy; main()"
    asked = f"{json.dumps(SPEC)}\n"
    for command in (CHILD, [sys.executable, "-P", "-c", prints]):
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=60, check=True)
        assert [json.loads(answer) for answer in done.stdout.splitlines()] == [{"svg": paint(SPEC)}]


def test_the_child_is_kept_from_page_to_page_until_it_is_stopped(standing_in: Making) -> None:
    one = standing_in()
    first, again = one.draw([{}]).result(), one.draw([{}, {}]).result()
    assert first * 2 == again
    one.stop()
    assert ended(int(first[0]))
    assert one.draw([{}]).result() != first


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("sys.exit(3)", "the process that draws them ended with status 3"),
        ("os.kill(os.getpid(), 11)", "the process that draws them ended with status -11"),
        ("print(end='half', flush=True); sys.exit(3)", "the process that draws them ended with status 3"),
        ("time.sleep(60)", "the process that draws them did not answer in 1 s"),
    ],
)
def test_why_nothing_was_drawn_is_said_and_the_next_page_has_another_child(
    does: str, said: str, standing_in: Making
) -> None:
    one = standing_in(seconds=1.0)
    before = one.draw([{}]).result()
    with pytest.raises(Undrawn) as found:
        one.draw([{}, {"do": does}, {}]).result()
    assert str(found.value) == f"The charts were not drawn, so this page has their tables alone: {said}."
    after = one.draw([{}]).result()
    assert after != before and ended(int(before[0]))


def test_a_specification_that_vega_refuses_is_said_and_costs_the_next_page_nothing() -> None:
    with pytest.raises(Undrawn, match="vl-convert-python says"):
        painter().draw([{"mark": "no such mark"}, SPEC]).result()
    assert painter().draw([SPEC]).result() == [paint(SPEC)]


def test_a_child_that_cannot_be_started_is_said(standing_in: Making) -> None:
    one = standing_in("/no/such/python")
    one.start()
    with pytest.raises(Undrawn, match="cannot be started: No such file or directory"):
        one.draw([SPEC]).result()


def test_a_page_whose_charts_were_not_drawn_has_their_tables_and_says_so(
    standing_in: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = standing_in(sys.executable, "-c", "raise SystemExit(3)")
    monkeypatch.setattr(section, "painter", lambda: one)
    page = html.render(factory.passing())
    assert "so this page has their tables alone: the process that draws them ended with status 3.</p>" in page
    assert 'id="histogram"' in page and '<details class="block" open>' in page
    for gone in ('class="drawing"', 'id="chart-format"', 'id="vega"', 'id="charts"'):
        assert gone not in page


def test_the_child_ends_with_its_parent_also_where_that_fails() -> None:
    program = "from lossparity_reports.charts.drawing import painter; p = painter(); p.start(); "
    program += f"p.draw([{SPEC!r}]); p._beside.submit(lambda: print(p._process.pid, flush=True)).result(); 1 / 0"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "ZeroDivisionError" in done.stderr and done.returncode == 1
    assert ended(int(done.stdout))
