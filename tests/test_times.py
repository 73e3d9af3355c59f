"""The page of times: every figure of the record in its tables and charts, refusals with their reason, jobs apart."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

import record_factory as factory
from lossparity.record import Interval, Record, Speed
from lossparity_reports import badge, github, html, junit
from lossparity_reports.charts.classes import accuracy, by_classes
from lossparity_reports.charts.drawing import painter
from lossparity_reports.charts.figure import Figure, styled
from lossparity_reports.charts.speeds import first_calls, memory, ratios
from lossparity_reports.charts.strips import logarithmic
from lossparity_reports.legend import SPEED
from lossparity_reports.speed.jobs import jobs
from lossparity_reports.speed.section import timed
from lossparity_reports.speed.tables import SCALE, Row, tables
from lossparity_reports.summary import summarise
from record_factory import speed
from test_html import Page

REFUSED = f"the value at [3] is 1 where 2 is right {factory.HOSTILE}"


def rows(record: Record) -> dict[tuple[str, str, str], Row]:
    (job,) = jobs(record)
    return {(table.name, row.timed, row.backend): row for table in tables(job) for some in table.passes for row in some}


def of(record: Record, *speeds: Speed) -> Record:
    return replace(record, speeds=[*speeds])


def both() -> Record:
    """Return a record with results and times."""
    judged, times = factory.passing(), factory.timed()
    return replace(judged, jobs=times.jobs, triads=times.triads, speeds=times.speeds, ratios=times.ratios)


def test_a_row_has_the_figures_of_its_time() -> None:
    found = rows(factory.timed())
    assert len(found) == 32
    row = found["speed/small/float32", "both", "torch"]
    assert (row.time, row.first, row.rate, row.share, row.peak) == ("250 µs", "5.00 ms", "20.5", "102%", "3.00 MB")
    assert (row.ratio, row.interval, row.verdict, row.word) == ("0.25", "0.25 to 0.25", "faster", "faster")
    base = found["speed/small/float32", "both", "numpy"]
    assert (base.ratio, base.drawn, base.word) == ("", None, "compared with")


def test_a_refused_time_is_none_and_says_why() -> None:
    row = rows(factory.timed(refused=REFUSED))["speed/small/float32", "both", "tensorflow"]
    assert (row.time, row.rate, row.ratio, row.word, row.notes) == ("none", "", "", "refused", (REFUSED,))
    (unseen,) = rows(of(factory.timed(), speed("torch", seconds=1.0, rounds=0))).values()
    assert (unseen.time, unseen.word, unseen.notes) == ("none", "none", ("no round was timed",))


def test_doubts_are_told_and_what_a_second_look_found() -> None:
    record = factory.timed()
    record.speeds = [msgspec.structs.replace(s, doubts=["it drifts"], cold=2e-3) for s in record.speeds]
    second = Interval(0.97, 0.94, 1.05)
    record.ratios = [msgspec.structs.replace(r, verdict="inconclusive", again=second) for r in record.ratios]
    notes = rows(record)["speed/small/float32", "both", "torch"].notes
    assert notes == (
        "2.00 ms where the L2 cache was emptied before",
        "it drifts",
        "timed once more the ratio was 0.97, 0.94 to 1.05",
    )


@pytest.mark.parametrize("margin", [0.03, 0.0])
def test_the_picture_of_an_interval_is_in_its_place(margin: float) -> None:
    record = factory.timed()
    record.jobs = [msgspec.structs.replace(record.jobs[0], margin=margin)]
    small = [r for r in record.ratios if r.check.startswith("speed/small/float32@torch")]
    wide = msgspec.structs.replace(small[0], first=Interval(1.0, 0.0, math.inf))
    record.ratios = [wide if r is small[0] else r for r in record.ratios]
    found = rows(record)
    everything = found["speed/small/float32", small[0].timed, "torch"].drawn
    assert everything is not None
    assert (everything.low, everything.high) == (0, SCALE)
    twice = found["speed/small/float32", "both", "tensorflow"].drawn
    same = found["speed/small/float32", "both", "jax+jit"].drawn
    assert twice is not None
    assert same is not None
    assert twice.low < twice.middle < twice.high <= SCALE
    assert (same.margin[0] <= same.middle) == (margin > 0) or same.margin[0] <= same.margin[1]
    assert twice.margin[1] <= twice.low
    fast = found["speed/large/float32", "both", "torch"].drawn
    assert fast is not None
    assert 0 <= fast.low < fast.middle < fast.margin[0], "the picture reaches as far as its intervals"


def test_times_of_two_jobs_stay_apart() -> None:
    one, two = factory.timed("one"), factory.timed("two")
    record = replace(
        one,
        jobs=one.jobs + two.jobs,
        triads=one.triads + two.triads,
        speeds=one.speeds + two.speeds,
        ratios=one.ratios + two.ratios,
    )
    parts = timed(record).jobs
    assert [part.id for part in parts] == ["one", "two"]
    names = [figure.id for part in parts for figure in part.figures] + [t.id for part in parts for t in part.tables]
    assert len(names) == len({*names})
    page = Page(html.render(record))
    assert [text for text in page.by_tag["h3"] if text.startswith("Job")] == ["Job 1: one", "Job 2: two"]


def figures(record: Record) -> dict[str, Figure]:
    (job,) = jobs(record)
    found = [*by_classes(job), ratios(job), first_calls(job), memory(job), accuracy(job)]
    return {figure.id: figure for figure in found if figure is not None}


def values(figure: Figure, **wanted: object) -> list[dict[str, Any]]:
    every: list[dict[str, Any]] = figure.spec["data"]["values"]
    return [one for one in every if all(one.get(name) == value for name, value in wanted.items())]


def test_every_chart_shows_its_numbers_and_is_drawn() -> None:
    found = figures(factory.timed())
    assert [*found] == [f"speed-{name}" for name in ("time", "rate", "ratios", "first", "memory", "accuracy")]
    large = {"pass": "both", "backend": "tensorflow", "group": "softmax, float32", "kind": "time"}
    (point,) = values(found["speed-time"], **large)
    assert (point["x"], point["y"]) == (4096, pytest.approx(2.002e-3 / 8))
    (rate,) = values(found["speed-rate"], **large)
    assert rate["y"] == pytest.approx(8000 * 8 * 4096 / 2.002e-3 / 1e9)
    triads = values(found["speed-rate"], kind="triad", group="softmax, float32")
    assert [t["y"] for t in triads] == [pytest.approx(20.0)] * 2
    (ratio,) = values(found["speed-ratios"], place="speed/small/bfloat16", backend="jax+jit", **{"pass": "forward"})
    assert (ratio["low"], ratio["verdict"]) == (pytest.approx(1.01 * 0.99), "same")
    (first,) = values(
        found["speed-first"], place="speed/small/float32", backend="torch", kind="first", **{"pass": "both"}
    )
    assert first["x"] == pytest.approx(5e-3)
    assert {one["x"] for one in values(found["speed-memory"], kind="peak")} == {3_000_000}
    assert len(values(found["speed-accuracy"])) == 16, "the headline pass alone"
    drawn = painter().draw([styled(figure.spec) for figure in found.values()]).result()
    assert all(svg.startswith("<svg") for svg in drawn)
    for figure in found.values():
        assert all(len(heads) + len(cells) == len(figure.head) for heads, cells in figure.rows)


def test_what_has_no_time_is_in_no_chart() -> None:
    record = factory.timed(refused=REFUSED)
    for figure in figures(record).values():
        assert not values(figure, backend="tensorflow")
        assert "tensorflow" not in {heads[2] for heads, _ in figure.rows}
    refused = [msgspec.structs.replace(s, refused="no") for s in record.speeds]
    assert figures(replace(record, speeds=refused, ratios=[])) == {}


def test_memory_that_cannot_be_told_is_at_the_edge_and_the_argument_beside_it() -> None:
    speeds = [speed("torch", peak=10), speed("jax", peak=5_000_000), speed("numpy", peak=None, ulp=None, first=None)]
    large = msgspec.structs.replace(speeds[1], shape=[1024, 4096])
    found = figures(of(factory.timed(), speeds[0], large, speeds[2]))
    assert [one["x"] for one in values(found["speed-memory"], kind="below")] == [2_000_000]
    assert [one["x"] for one in values(found["speed-memory"], kind="input")] == [4 * 1024 * 4096]
    assert {heads[2] for heads, _ in found["speed-memory"].rows} == {"torch", "jax"}
    assert {heads[2] for heads, _ in found["speed-accuracy"].rows} == {"torch", "jax"}


def test_an_axis_holds_all_its_numbers_and_few_labels() -> None:
    for numbers in ([1.0], [0.97, 1.03], [1e-6, 3.0], [0.01, 1.0, 90.0]):
        axis = logarithmic("t", numbers)
        low, high = axis["scale"]["domain"]
        assert low < min(numbers) <= max(numbers) < high
        assert all(low <= place <= high for place in axis["axis"].get("values", []))
        assert len(axis["axis"].get("values", [])) <= 6


def test_the_header_says_what_was_timed_and_what_was_refused() -> None:
    summary = summarise(factory.timed())
    assert (summary.state, summary.sentence) == ("clean", "32 times of 4 backends, none refused.")
    assert summary.notes == ("Beside numpy: 8 faster, 8 same, 8 slower.",)
    summary = summarise(factory.timed(refused=REFUSED))
    assert (summary.state, summary.sentence) == ("failing", "24 times of 4 backends, 8 refused.")
    cut_off = factory.timed()
    cut_off.footer = None
    assert summarise(cut_off).sentence.endswith("Up to there: 32 times of 4 backends, none refused.")


def test_a_page_of_times_alone_has_no_part_about_results() -> None:
    page = Page(html.render(factory.timed()))
    assert page.by_tag["h1"] == ["32 times of 4 backends, none refused."]
    assert page.by_tag["h2"] == ["Speed", "Not timed", "Environments", "Reading this page"]
    assert "payload" not in page.by_id
    assert "check" not in page.by_id
    assert "9.0 GiB" in page.by_id["untested"]
    words = page.by_class["words"]
    assert len(words) == 1, "no grades, no origins"
    assert all(name in words[0] for name in SPEED)


def test_a_page_of_results_and_times_shows_both() -> None:
    record = both()
    page = Page(html.render(record))
    assert page.by_tag["h1"] == ["No failure: 200 of 200 results pass."]
    assert "32 times of 4 backends, none refused." in page.by_class["notes"][0]
    assert {"Counts", "Numerics", "Speed", "Checks"} <= {*page.by_tag["h2"]}
    assert "payload" in page.by_id


def test_a_page_without_times_has_nothing_of_them() -> None:
    text = html.render(factory.passing())
    for word in ("speed-title", "i-faster", ".times", "Times: what each figure is"):
        assert word not in text


def test_names_and_reasons_stay_text() -> None:
    record = factory.timed(refused=REFUSED)
    hostile = f"speed/{factory.HOSTILE}"
    named: dict[str, Any] = {"case": hostile, "check": f"{hostile}/float32@torch", "operation": factory.HOSTILE}
    record.speeds += [speed("torch", **named), speed(f"torch.{factory.HOSTILE}", timed=f"both{factory.HOSTILE}")]
    text = html.render(record)
    assert factory.HOSTILE not in text
    page = Page(text)
    assert REFUSED in page.by_id["speed-1-1"]
    assert hostile in page.by_id["speed-time"]


def test_ci_systems_are_told_of_times_and_of_those_refused() -> None:
    fine, bad = factory.timed(), factory.timed(refused=REFUSED)
    assert json.loads(badge.render(fine))["message"] == "32 times"
    assert json.loads(badge.render(bad)) == {
        "schemaVersion": 1,
        "label": "lossparity",
        "message": "8 times refused",
        "color": "red",
    }
    assert 'failures="0"' in junit.render(fine)
    failed = junit.render(bad)
    assert 'failures="1"' in failed
    assert "speed/small/float32@tensorflow#both: the value at [3] is 1" in failed
    assert factory.HOSTILE not in failed
    assert github.render(fine).startswith("## lossparity: 32 times of 4 backends, none refused.")
    assert "the timing ended with status 1" in github.render(bad)
    nothing = replace(factory.timed(), speeds=[speed("torch", rounds=0)], ratios=[])
    assert json.loads(badge.render(nothing))["message"] == "nothing timed"


def test_a_job_that_is_not_described_still_has_its_times() -> None:
    record = replace(factory.timed(), jobs=[], triads=[], ratios=[])
    page = Page(html.render(record))
    assert "250 µs" in page.by_id["speed-1-1"]
    assert re.search(r"torch both 250 µs 5.00 ms 20.5 – 3.00 MB – –", page.by_id["speed-1-1"])
