"""Records over versions and dates: their order, what is counted, what changed, what is left out, and the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from lossparity.cli import main
from lossparity.errors import UnavailableError, UsageError
from lossparity.history import history
from lossparity.record import Environment, Job, Line, Part, Record, Result, Speed, Writer, encode
from lossparity.series import Point, Series, Used
from lossparity_reports.charts.courses import courses, labels
from lossparity_reports.history import render
from test_versions import record, result

HOSTILE = "<img src=x onerror=alert(1)>"


def graded(grade: str, used: float, backend: str = "jax", case: str = "x") -> Result:
    return msgspec.structs.replace(result(backend, case=case), grade=grade, bound_used=used)


def dated(found: Record, started: str, **more: str) -> Record:
    return replace(found, header=msgspec.structs.replace(found.header, started=f"{started}T01:02:03+00:00", **more))


def put(path: Path, found: Record) -> Path:
    judged: tuple[Line, ...] = (found.header, *found.environments, *found.cases, *found.results)
    with Writer(path) as writer:
        writer.append(*judged, *found.jobs, *found.speeds, *([found.footer] if found.footer else []))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three runs of JAX; the oldest version was run last."""
    put(tmp_path / "b/run.jsonl", dated(record("0.10.2", result(verdict="fail"), result(case="y")), "2026-02-01"))
    put(tmp_path / "a/run.jsonl", dated(record("0.7.2", result(), result(case="y", choice="nan")), "2026-03-01"))
    put(tmp_path / "c/run.jsonl", dated(record("0.4.30", result(), result(case="y", choice="inf")), "2026-04-01"))
    return tmp_path


def test_points_are_by_version_as_people_count_or_by_date(folder: Path) -> None:
    (series,) = history([folder], "version").series
    assert (series.name, [one.version for one in series.points]) == ("jax", ["0.4.30", "0.7.2", "0.10.2"])
    (series,) = history([folder], "date").series
    assert [one.version for one in series.points] == ["0.10.2", "0.7.2", "0.4.30"]


def test_each_says_what_changed_since_the_one_before(folder: Path) -> None:
    first, second, third = history([folder], "version").series[0].points
    assert first.since is None
    assert second.since and third.since
    assert [(one.said, one.count, one.results) for one in second.since] == [
        ("choosing otherwise", 1, ("y/float32@jax#value",))
    ]
    assert [(one.said, one.count, one.results) for one in third.since] == [
        ("newly failing", 1, ("x/float32@jax#value",))
    ]
    assert (second.choices, third.others) == ({"S1": {"nan": 1}}, {"fail": 1})


def test_another_lossparity_or_suite_is_said(folder: Path) -> None:
    put(folder / "d/run.jsonl", dated(record("0.11.0", result()), "2026-05-01", suite_hash="other", lossparity="9"))
    last = history([folder], "version").series[0].points[-1]
    assert last.apart == ("lossparity 0 → 9", "suite hash → other")
    assert last.since
    assert (last.lossparity, last.since[0].said, last.since[0].count) == ("9", "removed", 1)


def test_passes_are_counted_by_grade_and_by_what_they_use(tmp_path: Path) -> None:
    results = [graded("tight", number / 100, case=f"c{number}") for number in range(101)]
    beyond = msgspec.structs.replace(graded("wrong", 70.0), verdict="known")
    put(tmp_path / "run.jsonl", record("1", *results, graded("loose", 0.5, case="weak"), beyond))
    (point,) = history([tmp_path], "version").series[0].points
    assert (point.passing, point.others) == ({"tight": 101, "loose": 1}, {"known": 1})
    assert point.used is not None
    assert (point.used.half, point.used.largest) == (0.5, 1.0), "of what passes alone"
    assert point.used.most == pytest.approx(0.99, abs=1e-3)


def test_a_single_share_is_all_three(tmp_path: Path) -> None:
    put(tmp_path / "run.jsonl", record("1", graded("tight", 0.25)))
    assert history([tmp_path], "version").series[0].points[0].used == Used(0.25, 0.25, 0.25)


def test_a_matrix_is_taken_apart_and_its_cells_are_not_counted_twice(tmp_path: Path) -> None:
    both = record("0.4.30", result("jax@0.4.30"), result("jax@0.10.2"))
    both.environments[:] = [Environment(f"jax@{one}", True, {"jax": one}) for one in ("0.10.2", "0.4.30")]
    put(tmp_path / "matrix.jsonl", both)
    put(tmp_path / "cells/jax@0.4.30/run.jsonl", record("0.4.30", result()))
    (series,) = history([tmp_path], "version").series
    assert (series.name, [one.version for one in series.points]) == ("jax", ["0.4.30", "0.10.2"])
    (tmp_path / "matrix.jsonl").unlink()
    assert len(history([tmp_path], "version").series[0].points) == 1, "an unmerged cell is a run like others"


def test_what_else_a_matrix_tells_apart_is_another_series(tmp_path: Path) -> None:
    name = "jax@0.4.30,python-3.12"
    found = replace(record("0.4.30", result(name)), environments=[Environment(name, True, {"jax": "0.4.30"})])
    put(tmp_path / "run.jsonl", found)
    elsewhere = Environment("jax@/opt/python", True, {"jax": "0.4.30"})
    put(tmp_path / "other.jsonl", record("0.4.30", result("jax@/opt/python"), others=[elsewhere]))
    assert [one.name for one in history([tmp_path], "version").series] == ["jax", "jax@python-3.12"]


def test_a_library_has_its_own_version(tmp_path: Path) -> None:
    keras = Environment("jax.keras", True, {"keras": "3.1", "jax": "0.4.30"})
    put(tmp_path / "run.jsonl", record("0.4.30", result("jax.keras"), others=[keras]))
    (series,) = history([tmp_path], "version", ["*.keras"]).series
    assert (series.name, series.points[0].version) == ("jax.keras", "0.4.30, keras 3.1")


def test_what_is_no_whole_run_is_left_out_and_named(folder: Path) -> None:
    put(folder / "cut.jsonl", replace(record("0.5.0", result()), footer=None))
    put(folder / "part.jsonl", record("0.6.0", result(), shard=Part(1, 4, "all", ["jax"])))
    (folder / "log.jsonl").write_text('{"level": "info"}\n')
    found = history([folder], "version")
    assert len(found.series[0].points) == 3
    cut, log, part = found.left_out
    assert cut == f"{folder / 'cut.jsonl'}: it is incomplete"
    assert log.startswith(f"{folder / 'log.jsonl'}:1: not a lossparity record")
    assert part == f"{folder / 'part.jsonl'}: it is shard 1 of 4 alone; `lossparity merge` joins them"


def test_a_file_that_is_named_has_to_be_a_record(folder: Path) -> None:
    (folder / "log.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="not a lossparity record"):
        history([folder / "log.jsonl"], "version")


def test_nothing_is_an_error(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "none"
    empty.mkdir()
    with pytest.raises(UnavailableError, match="no runs"):
        history([empty], "version")
    with pytest.raises(UnavailableError, match="no runs"):
        history([folder], "version", ["torch"])


def timed(found: Record, job: str, *seconds: float) -> Record:
    speed = Speed(
        job,
        "x/float32@jax",
        "both",
        "x",
        "softmax",
        "jax",
        "float32",
        [2, 3],
        seconds=[*seconds],
        rounds=[0, 1, 2],
        calls=1,
    )
    return replace(found, jobs=[Job(job, {}, 0.03)], speeds=[speed])


def test_times_are_those_of_their_job(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", timed(dated(record("1", result()), "2026-01-01"), "one", 1.0, 2.0, 4.0))
    put(tmp_path / "b.jsonl", timed(dated(record("2", result()), "2026-01-02"), "two", 3.0, 3.0, 3.0))
    found = history([tmp_path], "version")
    assert [one.times for one in found.series[0].points] == [
        {"x/float32#both": ("one", 2.0)},
        {"x/float32#both": ("two", 3.0)},
    ]
    (figure,) = (one for one in courses(found.series, "version") if one.id == "history-times")
    (panel,) = figure.spec["concat"]
    assert len({value["one"] for value in panel["data"]["values"]}) == 2, "no line joins two jobs"
    assert [cells[1].text for _, cells in figure.rows] == ["2.00 s", "3.00 s"]


def test_a_record_of_times_alone_removes_nothing(folder: Path) -> None:
    alone = timed(dated(record("0.5.0"), "2026-05-01"), "one", 1.0)
    put(folder / "speed.jsonl", replace(alone, cases=[]))
    found = history([folder], "version")
    first, second, third, _ = found.series[0].points
    assert (second.version, second.since, second.passing) == ("0.5.0", None, {})
    assert first.version == "0.4.30" and [one.said for one in third.since or ()] == ["choosing otherwise"]
    (figure,) = (one for one in courses(found.series, "version") if one.id == "history-results")
    assert [names[1] for names, _ in figure.rows] == ["0.4.30", "0.7.2", "0.10.2"]


def point(version: str, started: str) -> Point:
    return Point(version, started, "run.jsonl", "0", {}, {}, None, {}, {})


def test_a_run_is_called_by_as_much_as_it_takes() -> None:
    first, second = point("1.0", "2026-01-02T03:04:05"), point("2.0", "2026-01-02T03:04:05")
    again, later = point("1.0", "2026-01-03T03:04:05"), point("1.0", "2026-01-02T04:00:00")
    assert labels(Series("jax", (first, second)), "version") == ["1.0", "2.0"]
    assert labels(Series("jax", (first, second)), "date") == ["2026-01-02, 1.0", "2026-01-02, 2.0"]
    assert labels(Series("jax", (first, again)), "version") == ["1.0, 2026-01-02", "1.0, 2026-01-03"]
    assert labels(Series("jax", (first, later)), "version") == ["1.0, 2026-01-02 03:04:05", "1.0, 2026-01-02 04:00:00"]
    assert labels(Series("jax", (first, first)), "date")[1] == "2026-01-02 03:04:05, 1.0 (2)"


def test_the_command_prints_a_line_a_run_and_writes_a_page(folder: Path) -> None:
    result = CliRunner().invoke(main, ["history", str(folder), "-o", str(folder / "history.html")])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "jax: 3 runs"
    assert re.search(r"0\.10\.2 +2026-02-01 01:02 +1 +0 +1 fail", lines[5])
    assert lines[6] == "    since the one before: 1 newly failing"
    page = (folder / "history.html").read_text()
    assert "3 runs of 1 backend, by version" in page
    assert "y/float32@jax#value" in page


def test_as_json(folder: Path) -> None:
    (folder / "bad.jsonl").write_text("{}\n")
    result = CliRunner().invoke(main, ["history", str(folder), "--by", "date", "--json"])
    found = json.loads(result.stdout)
    assert (found["by"], [one["version"] for one in found["series"][0]["points"]]) == (
        "date",
        ["0.10.2", "0.7.2", "0.4.30"],
    )
    assert result.stderr.startswith("lossparity: left out: ")


def test_a_record_is_not_written_over(folder: Path) -> None:
    path = folder / "a/run.jsonl"
    before = path.read_bytes()
    result = CliRunner().invoke(main, ["history", str(path), "-o", str(path)])
    assert (result.exit_code, path.read_bytes()) == (2, before)


def test_texts_of_records_are_texts(tmp_path: Path) -> None:
    hostile = msgspec.structs.replace(result(case=HOSTILE), clause=HOSTILE, choice=HOSTILE)
    put(tmp_path / "a.jsonl", record("1", hostile))
    put(tmp_path / "b.jsonl", record(HOSTILE, msgspec.structs.replace(hostile, verdict="fail", choice="nan")))
    page = render(history([tmp_path], "version"))
    assert "<img" not in page and "&lt;img" in page
    assert encode(hostile)
