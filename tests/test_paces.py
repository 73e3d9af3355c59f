"""Times of two records: compared where one job has both, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import record_factory as factory
from lossparity.changes import compare, kinds_named
from lossparity.changes.marking import marked
from lossparity.changes.paces import APART
from lossparity.changes.scope import Scope
from lossparity.changes.structured import structured
from lossparity.errors import UsageError
from lossparity.marked import Paces
from lossparity.record import Interval, Job, Ratio, Record, Speed
from lossparity_reports import html
from lossparity_reports.against import section
from record_factory import speed
from test_compare import lossparity
from test_html import Page
from test_record import write

JOB = Job("one", {}, 0.03)


def record(*speeds: Speed, ratios: tuple[Ratio, ...] = (), jobs: tuple[Job, ...] = (JOB,)) -> Record:
    return replace(factory.empty(), speeds=[*speeds], ratios=[*ratios], jobs=[*jobs])


def paces(base: Record, new: Record, **mapped: str) -> Paces:
    return compare(base, new, mapped).paces


def test_times_of_one_job_are_compared_round_by_round() -> None:
    both = record(
        speed("torch@old/python", 1e-3), speed("torch", 1.2e-3), speed("jax", 0.8e-3), speed("numpy", 1.01e-3)
    )
    old = {"torch@old/python": "torch"}
    (pace,) = compare(both, both, old).paces.changes
    assert pace.kind == "inconclusive"
    assert pace.ratio is not None
    assert pace.ratio.ratio == pytest.approx(1.2)
    assert "not timed again" in pace.reason
    (pace,) = compare(both, both, {"torch@old/python": "jax"}).paces.changes
    assert pace.kind == "inconclusive"
    same = compare(both, both, {"torch@old/python": "numpy"}).paces
    assert (same.changes, same.compared, same.unchanged) == ((), 1, 1)


def test_only_the_rounds_that_both_have_are_compared() -> None:
    slow = speed("jax", 3e-3, rounds=5)
    late = msgspec.structs.replace(speed("torch", 1e-3, rounds=5), rounds=[2, 3, 4, 5, 6])
    (pace,) = paces(record(late, slow), record(late, slow), torch="jax").changes
    assert pace.kind == "inconclusive", "three rounds are too few"
    apart = msgspec.structs.replace(late, rounds=[10, 11, 12, 13, 14])
    (pace,) = paces(record(apart, slow), record(apart, slow), torch="jax").changes
    assert (pace.kind, pace.ratio) == ("inconclusive", None)
    assert "no round" in pace.reason


def test_what_the_job_itself_concluded_goes_first() -> None:
    line = Ratio("one", "speed/small/float32@torch", "both", "numpy", "inconclusive", Interval(2.0, 1.6, 2.5))
    both = record(speed("numpy", 1e-3), speed("torch", 2e-3), ratios=(line,))
    (pace,) = paces(both, both, numpy="torch").changes
    assert (pace.kind, pace.ratio) == ("inconclusive", line.first)
    slower = msgspec.structs.replace(line, verdict="slower")
    both = record(speed("numpy", 1e-3), speed("torch", 2e-3), ratios=(slower,))
    (pace,) = paces(both, both, torch="numpy").changes
    assert (pace.kind, pace.ratio, pace.reason) == ("faster", Interval(0.5, 0.4, 0.625), "")


def test_times_of_two_jobs_are_never_compared_and_the_reason_is_said_once() -> None:
    base, new = factory.timed("one"), factory.timed("two")
    new.speeds = [msgspec.structs.replace(s, seconds=[9 * t for t in s.seconds]) for s in new.speeds]
    found = compare(base, new)
    assert found.paces == Paces((), 0, 0, len(base.speeds), APART)
    assert found.exit_code(kinds_named("default")) == 3, "nothing could be compared"
    assert found.exit_code(kinds_named("incomparable")) == 1
    told = json.loads(structured(found, kinds_named("default"), "a", "b"))["times"]
    assert told == {"compared": 0, "unchanged": 0, "not_comparable": 32, "reason": APART, "changes": []}


def test_a_record_beside_itself_has_no_other_times() -> None:
    one = factory.timed(refused="the value is wrong")
    found = compare(one, one)
    assert (found.paces.changes, found.paces.unchanged) == ((), len(one.speeds))
    assert found.exit_code(kinds_named("default")) == 0


def test_what_is_refused_now_is_told_and_a_regression() -> None:
    base, new = record(speed("torch")), record(speed("torch", refused=f"wrong {factory.HOSTILE}"))
    found = compare(base, new)
    assert [(one.kind, one.reason) for one in found.paces.changes] == [("refused", f"wrong {factory.HOSTILE}")]
    assert found.exit_code(kinds_named("default")) == 1
    assert compare(new, base).paces.changes == ()


def test_a_case_or_a_format_narrows_the_times_too() -> None:
    base = factory.timed()
    assert len(Scope(["speed/small"]).of(base).speeds) == len(base.speeds) // 2
    assert {one.format for one in Scope(formats=["bfloat16"]).of(base).speeds} == {"bfloat16"}


def test_a_time_that_is_there_twice_in_a_job_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="twice in one job"):
        compare(record(speed("torch"), speed("torch", 2e-3)), record(speed("torch")))


def test_the_command_says_what_is_slower_and_ends_with_1(tmp_path: Path) -> None:
    path = str(write(tmp_path / "speed.jsonl", factory.timed()))
    slower = lossparity("compare", path, path, "--map", "numpy=tensorflow")
    assert slower.exit_code == 1
    assert "8 slower (regression)" in slower.output
    assert "1.00 ms \N{RIGHTWARDS ARROW} 2.00 ms: 2.00 (1.98 to 2.02)" in slower.output
    assert "regression: 8 slower" in slower.output
    assert lossparity("compare", path, path, "--map", "numpy=tensorflow", "--fail-on", "none").exit_code == 0
    assert lossparity("compare", path, path, "--map", "numpy=torch").exit_code == 0
    other = str(write(tmp_path / "other.jsonl", factory.timed("two")))
    apart = lossparity("compare", path, other)
    assert apart.exit_code == 3
    assert " ".join(apart.output.split()).count("timed in two jobs") == 1


def test_the_page_shows_the_times_that_changed_and_why_others_have_none() -> None:
    one = factory.timed()
    found = compare(one, one, {"numpy": "tensorflow"})
    page = Page(html.render(marked(one, found, kinds_named("default"), "base.jsonl")))
    assert "slower yes speed/large/bfloat16@tensorflow#both 1.00 ms 2.00 ms 2.00 1.98 to 2.02" in page.by_id["paces"]
    assert "Against base.jsonl: Of 8 times 8 slower, 0 the same." in " ".join(page.by_class["blame"])
    said = section(marked(one, compare(factory.timed("two"), one), kinds_named("default"), "base.jsonl"))
    assert said is not None
    assert said.state == "empty"
    assert said.sentence == f"Against base.jsonl: 32 times cannot be compared, {APART}."
