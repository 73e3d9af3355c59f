"""Several records as one: what a run without shards would say, in whichever order they are given."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lossparity.errors import UsageError
from lossparity.merging import Merged, merge
from lossparity.model import Backend, Case, Grade
from lossparity.record import Cause, Environment, Footer, Header, NotTested, Part, Record, Result, Script, Writer, read
from lossparity.runner import Run, run
from lossparity.sharding import Shard
from lossparity.suite import built_in, load, select
from record_factory import everything, many, timed

HEADER = Header(1, "0", "hash", "2026-01-02T03:04:05+00:00", "lossparity run", "loose")
GLOBS = ("softmax/one-*", "softmax/v*", "label-smoothing/five*", "conventions/all-ignored-mean*")


def result(case: str, verdict: str = "pass", backend: str = "torch", **changes: Any) -> Result:
    check = f"{case}/float32@{backend}"
    given = Result(check, "value", case, "S1", "mathematics", "softmax", backend, "float32", verdict, "produced")
    return msgspec.structs.replace(given, **changes)


def record(
    *results: Result,
    shard: str = "",
    backends: Sequence[str] = ("torch",),
    left: Iterable[NotTested] = (),
    causes: Iterable[Cause] = (),
    exit_code: int = 0,
    questions: str = "q",
    **changes: Any,
) -> Record:
    which = Shard.parse(shard) if shard else None
    part = Part(which.number, which.of, questions, list(backends)) if which else None
    header = msgspec.structs.replace(HEADER, shard=part, **changes)
    footer = Footer({}, list(left), 1.5, exit_code, list(causes))
    return Record(header, results=list(results), footer=footer)


def joined(*records: Record) -> Merged:
    return merge((f"{number}.jsonl", one) for number, one in enumerate(records))


def written(folder: Path, merged: Merged) -> Path:
    path = folder / "merged.jsonl"
    with Writer(path) as writer:
        merged.write(writer)
    return path


def cases() -> tuple[Case, ...]:
    return select([case for one in load([built_in()]) for case in one.cases], GLOBS)


def ran(path: Path, planned: Run) -> Record:
    with Writer(path) as writer:
        run(planned, writer, lambda *_: None)
    return read(path)


@pytest.fixture(scope="module")
def plan() -> Run:
    """Return a plan of which much fails, for it wants a grade that 16 bits do not give."""
    backends = [Backend("numpy"), Backend("numpy", "manual"), Backend("numpy", device="cuda")]
    return Run(backends, cases(), threshold=Grade.TIGHT, named=frozenset(["numpy:cuda"]), command="lossparity run")


@pytest.fixture(scope="module")
def shards(plan: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    folder = tmp_path_factory.mktemp("shards")
    return [
        ran(folder / f"{n}.jsonl", replace(plan, shard=Shard(n, 3), command=f"lossparity run --shard {n}/3 -o {n}"))
        for n in (1, 2, 3)
    ]


def test_all_shards_together_are_the_run_without_shards(plan: Run, shards: list[Record], tmp_path: Path) -> None:
    whole = ran(tmp_path / "run.jsonl", plan)
    got = read(written(tmp_path, joined(*shards)))
    assert got.complete and got.footer and whole.footer
    assert {one.key: one for one in got.results} == {one.key: one for one in whole.results}
    assert len(got.results) == len(whole.results)
    assert {(one.id, one.format): one for one in got.cases} == {(one.id, one.format): one for one in whole.cases}
    assert len(got.cases) == len(whole.cases)
    assert sorted(got.environments, key=str) == sorted(whole.environments, key=str)
    assert got.footer.results == whole.footer.results
    assert got.footer.exit_code == whole.footer.exit_code == 3, "numpy:cuda was asked for by name"
    assert sorted(got.footer.choices, key=str) == sorted(whole.footer.choices, key=str)
    assert sorted(got.footer.not_tested, key=str) == sorted(whole.footer.not_tested, key=str)
    assert members(got.footer) == members(whole.footer)
    assert any(cause.failing for cause in got.footer.causes), "nothing failed, so this shows less than it says"
    assert [cause for cause in got.footer.causes if "exactly where" in cause.said] == []
    assert msgspec.structs.replace(got.header, started="") == msgspec.structs.replace(whole.header, started="")


def members(footer: Footer) -> list[tuple[str, bool, list[str]]]:
    return sorted((cause.id, cause.failing, sorted(cause.results)) for cause in footer.causes)


def test_a_shard_says_which_it_is_and_counts_its_own_alone(shards: list[Record]) -> None:
    assert [str(one.header.shard) for one in shards] == ["shard 1 of 3", "shard 2 of 3", "shard 3 of 3"]
    for one in shards:
        assert one.complete and one.footer
        asked = len({(r.case, r.format) for r in one.results})
        assert [(left.what, left.checks) for left in one.footer.not_tested] == [("numpy:cuda", asked)]


def test_in_any_order_the_same_bytes_come_out(shards: list[Record], tmp_path: Path) -> None:
    files = {written(tmp_path, joined(*some)).read_bytes() for some in itertools.permutations(shards)}
    assert len(files) == 1
    parts = [many(60), everything(), record(result("x", "fail"), suite_hash="5f2c9a" * 10, lossparity="0.1.0")]
    files = {written(tmp_path, joined(*some)).read_bytes() for some in itertools.permutations(parts)}
    assert len(files) == 1


def test_what_is_there_twice_counts_once(shards: list[Record], tmp_path: Path) -> None:
    once = written(tmp_path, joined(*shards)).read_bytes()
    assert written(tmp_path, joined(*shards, *shards)).read_bytes() == once


def test_a_shard_that_was_run_again_counts_once() -> None:
    one = record(result("a"), shard="1/2", left=[NotTested("jax", "absent", 5)])
    again = record(result("a"), shard="1/2", left=[NotTested("jax", "absent", 5)], started="2026-02-02T03:04:05+00:00")
    other = record(result("b"), shard="2/2", left=[NotTested("jax", "absent", 4), NotTested("jax", "hung", 1)])
    got = joined(one, other, again)
    assert [r.check for r in got.results] == ["a/float32@torch", "b/float32@torch"]
    assert got.summary.not_tested == [NotTested("jax", "absent", 9), NotTested("jax", "hung", 1)]
    assert got.complete


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("1/4", "2/4", "4/4"), "shard 3 of 4 is missing"),
        (("2/3",), "shard 1 of 3 is missing; shard 3 of 3 is missing"),
        (("1/2", "1/3", "2/3", "3/3"), "shard 2 of 2 is missing"),
        (("1/2", "2/2", "1/1"), ""),
    ],
)
def test_what_lacks_a_shard_is_incomplete_and_says_which(given: tuple[str, ...], said: str, tmp_path: Path) -> None:
    got = joined(*(record(result(f"{number}"), shard=shard) for number, shard in enumerate(given)))
    again = read(written(tmp_path, got))
    assert (again.broken, again.complete, again.footer is None) == (said, not said, bool(said))
    assert got.summary.exit_code == (3 if said else 0)


def test_a_shard_may_be_missing_for_one_backend_alone() -> None:
    torch = [record(result(f"{n}"), shard=f"{n}/2") for n in (1, 2)]
    jax = record(result("1", backend="jax"), shard="1/2", backends=["jax"])
    assert joined(*torch, jax).header.incomplete == "shard 2 of 2 is missing for jax"


def test_shards_of_other_formats_do_not_make_up_for_each_other() -> None:
    got = joined(record(result("1"), shard="1/2", questions="p"), record(result("2"), shard="2/2"))
    assert got.header.incomplete == "shard 2 of 2 is missing; shard 1 of 2 is missing"


def test_of_a_record_that_was_cut_off_comes_one_that_is_incomplete(shards: list[Record], tmp_path: Path) -> None:
    cut = replace(shards[1], footer=None)
    got = read(written(tmp_path, joined(shards[0], cut, shards[2])))
    assert not got.complete
    assert got.broken == "shard 2 of 3 is incomplete: it has no last line, so it was cut off"
    again = joined(got)
    assert (again.complete, again.header.incomplete) == (False, f"a record is incomplete: {got.broken}")
    assert again.summary.exit_code == 3


@pytest.mark.parametrize(
    ("verdicts", "theirs", "status"),
    [
        (("pass",), (0, 0), 0),
        (("pass", "fail"), (1, 0), 1),
        (("pass", "timeout"), (0, 0), 1),
        (("pass", "stale"), (0, 1), 1),
        (("pass", "fail"), (3, 0), 3),
        (("unsupported",), (0, 0), 3),
        ((), (0, 0), 3),
    ],
)
def test_the_exit_status_is_that_of_everything_together(
    verdicts: tuple[str, ...], theirs: tuple[int, int], status: int
) -> None:
    results = [result(f"{number}", verdict) for number, verdict in enumerate(verdicts)]
    one, other = record(*results[:1], shard="1/2", exit_code=theirs[0]), record(*results[1:], shard="2/2")
    assert other.footer
    other.footer = msgspec.structs.replace(other.footer, exit_code=theirs[1])
    assert joined(one, other).summary.exit_code == status


def test_a_shard_in_which_nothing_is_offered_is_no_failure(tmp_path: Path) -> None:
    planned = Run([Backend("numpy", "manual")], cases()[:1], shard=Shard(4, 4), formats=("float32",))
    got = ran(tmp_path / "run.jsonl", planned)
    assert got.complete and got.footer and (got.results, got.footer.exit_code) == ([], 0)
    assert joined(got).summary.exit_code == 3


WHERE = "it is shifted; exactly where the format is float16"
BESIDE = "; but results pass that this would have failed: it is in one branch only, or another mistake"


@pytest.mark.parametrize(
    ("backend", "said", "wanted"),
    [
        ("torch", WHERE, "it is shifted"),
        ("torch", WHERE + BESIDE, "it is shifted" + BESIDE),
        ("torch", "it is shifted" + BESIDE, "it is shifted" + BESIDE),
        ("jax", WHERE, WHERE),
    ],
)
def test_what_holds_of_all_of_a_backends_results_is_said_where_one_record_has_them_all(
    backend: str, said: str, wanted: str
) -> None:
    failed, other = result("a", "fail"), result("b", "pass", backend)
    got = joined(record(failed, causes=[Cause("shifted", said, [failed.key])]), record(other, left=()))
    assert [cause.said for cause in got.summary.causes] == [wanted]


def test_a_failure_has_one_cause_though_two_records_found_two() -> None:
    a, b = result("a", "fail"), result("b", "fail")
    one = record(a, b, causes=[Cause("first", "x", [a.key, b.key])])
    other = record(a, causes=[Cause("second", "y", [a.key, "gone/float32@torch#value"])])
    got = joined(one, other)
    assert [(cause.id, cause.results) for cause in got.summary.causes] == [("first", [a.key, b.key])]


def test_records_of_two_backends_are_one_with_both() -> None:
    one = record(result("a", "fail"), result("b"), command="lossparity run -b torch -o x", exit_code=1)
    other = record(
        result("a", backend="jax"), command="lossparity run -b 'jax*' --output=y", started="2026-01-01T00:00"
    )
    one.environments, other.environments = (
        [Environment("torch", True, {"torch": "2"})],
        [Environment("jax", False, {}, "no")],
    )
    got = joined(one, other)
    assert (got.complete, got.summary.exit_code) == (True, 1)
    assert got.header.command == "lossparity run -b 'jax*'; lossparity run -b torch"
    assert got.header.started == "2026-01-01T00:00"
    assert [environment.name for environment in got.environments] == ["jax", "torch"]
    assert got.seconds == 3.0


def test_of_scripts_of_the_same_cause_one_is_kept_and_written_before_the_last_line(tmp_path: Path) -> None:
    parts = []
    for number, case in ((1, "longer"), (2, "a")):
        cause = Cause("bug", "said", [f"{case}/float32@torch#value"])
        parts.append(record(result(case, "fail"), shard=f"{number}/2", causes=[cause], exit_code=1))
        parts[-1].scripts = [Script(f"{case}/float32@torch", "value", "bug", f"print({case!r})")]
    for given in (parts, parts[::-1]):
        found = read(written(tmp_path, joined(*given)))
        assert found.complete and found.scripts == [Script("a/float32@torch", "value", "bug", "print('a')")]


def test_times_are_kept_once_and_jobs_stay_two(tmp_path: Path) -> None:
    one, two = timed("one"), timed("two")
    merged = joined(one, two, timed("one"))
    got = read(written(tmp_path, merged))
    assert (len(got.jobs), len(got.triads), len(got.speeds), len(got.ratios)) == (2, 8, 64, 48)
    assert {speed.job for speed in got.speeds} == {"one", "two"}
    assert merged.summary.exit_code == 0
    assert joined(timed(refused="wrong")).summary.exit_code == 1


def test_times_of_other_cases_go_with_results(tmp_path: Path) -> None:
    judged, times = record(result("a")), timed()
    times.header = msgspec.structs.replace(times.header, suite_hash="another", threshold="")
    there = Environment("torch", True, {"version": "1"})
    judged.environments, times.environments = (
        [there],
        [Environment("torch", True, {"version": "1", "pinned threads": "2"})],
    )
    for order in ((judged, times), (times, judged)):
        merged = joined(*order)
        got = read(written(tmp_path, merged))
        assert (len(got.results), len(got.speeds), got.header.suite_hash) == (1, 32, "hash")
        assert got.environments == [there]
        assert merged.summary.exit_code == 0


def test_records_that_disagree_about_a_time_are_refused() -> None:
    one, two = timed(), timed()
    two.speeds = [msgspec.structs.replace(one.speeds[0], ulp=9.0), *one.speeds[1:]]
    with pytest.raises(UsageError, match=r"disagree about speed/small/float32@numpy#both"):
        joined(one, two)
