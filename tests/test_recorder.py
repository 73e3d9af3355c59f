"""The record of several processes: nothing twice, nothing lost, one cause where each found its part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossparity.errors import UsageError
from lossparity.record import Cause, Environment, Header, Line, NotTested, Result, Script, encode, read
from lossparity.recorder import Account, Recorder, merged

HEADER = Header(1, "0", "hash", "now", "pytest", "loose")


def result(case: str, verdict: str = "pass", backend: str = "torch", quantity: str = "value") -> Result:
    check = f"{case}/float32@{backend}"
    return Result(check, quantity, case, "S1", "mathematics", "softmax", backend, "float32", verdict, "returned")


def told(recorder: Recorder, *lines: Line) -> None:
    recorder.take([encode(line) for line in lines])


def account(causes: list[Cause] | None = None, planned: int = 0, least: float | None = None) -> str:
    wanted = {"torch": least} if least is not None else {}
    return Account(causes or [], [], {"torch": planned} if planned else {}, wanted).to_json()


def test_what_several_processes_tell_is_in_the_record_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.jsonl")
    here = Environment("torch", True, {"torch": "2"})
    told(recorder, HEADER, here, result("a"), result("a", quantity="gradient"))
    told(recorder, HEADER, here, result("b"))
    assert recorder.finish(0, complete=True) == []
    found = read(tmp_path / "run.jsonl")
    assert (found.complete, found.environments) == (True, [here])
    assert [one.key for one in found.results] == [
        "a/float32@torch#value",
        "a/float32@torch#gradient",
        "b/float32@torch#value",
    ]
    assert found.footer is not None and found.footer.results == {"pass": 3}


def test_a_record_that_is_not_complete_has_no_last_line(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.jsonl")
    told(recorder, HEADER, result("a"))
    recorder.finish(2, complete=False)
    found = read(tmp_path / "run.jsonl")
    assert not found.complete and len(found.results) == 1


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        Recorder(tmp_path / "file" / "run.jsonl")


def test_checks_that_were_planned_and_not_judged_are_not_tested() -> None:
    recorder = Recorder(None)
    told(recorder, result("a"), result("a", quantity="gradient"))
    left = NotTested("torch", "stopped", 2)
    recorder.account(Account([], [left], {"torch": 7}, {}).to_json())
    recorder.account(Account([], [NotTested("torch", "stopped", 1)], {"torch": 7}, {}).to_json())
    recorder.finish(0, complete=True)
    assert recorder.summary.not_tested == [
        NotTested("torch", "stopped", 3),
        NotTested("torch", "pytest deselected them, or ended before", 3),
    ]


@pytest.mark.parametrize(("unsupported", "planned", "said"), [(1, 5, False), (2, 5, True), (2, 6, False)])
def test_a_function_hardly_judged_is_said_and_fails_where_all_of_it_was_asked(
    unsupported: int, planned: int, said: bool
) -> None:
    recorder = Recorder(None)
    for n in range(5):
        told(recorder, result(str(n), "unsupported" if n < unsupported else "pass"))
    recorder.account(account(planned=planned, least=0.8))
    found = recorder.finish(0, complete=True)
    assert bool(found) is said and recorder.summary.exit_code == said
    if said:
        assert found[0].startswith("torch: only 3 of 5 must-results could be judged, below 80%")


def test_causes_that_several_processes_found_in_parts_are_one() -> None:
    parts = [
        [
            Cause("bug", "said", ["long/float32@torch#value"]),
            Cause("weak", "said", ["w/float32@torch#value"], False),
        ],
        [Cause("bug", "said", ["a/float32@torch#value"], shared=True), Cause("bug", "said", ["a/float32@jax#value"])],
    ]
    assert merged(parts, []) == [
        Cause("bug", "said", ["a/float32@torch#value", "long/float32@torch#value"]),
        Cause("bug", "said", ["a/float32@jax#value"]),
        Cause("weak", "said", ["w/float32@torch#value"], False),
    ]


def test_a_failure_whose_process_said_nothing_has_a_cause_too() -> None:
    failed = result("a", "fail")
    (cause,) = merged([], [failed, result("b", "stale")])
    assert (cause.id, cause.results, cause.failing) == ("not-grouped", [failed.key], True)


def test_of_the_scripts_of_several_processes_one_a_cause_is_in_the_record(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.jsonl")
    told(recorder, HEADER, result("a", "fail"), result("longer", "fail"))
    for case in ("longer", "a"):
        cause = Cause("bug", "said", [f"{case}/float32@torch#value"])
        script = Script(f"{case}/float32@torch", "value", "bug", f"print({case!r})")
        recorder.account(Account([cause], [], {}, {}, [script]).to_json())
    recorder.finish(1, complete=True)
    found = read(tmp_path / "run.jsonl")
    assert found.complete and found.scripts == [Script("a/float32@torch", "value", "bug", "print('a')")]
