"""However a command ends, what was measured is in the record, which says that it is incomplete, and nobody is left."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from faults import NUMBERS
from lossparity.record import Record, Writer, read
from test_faults import alive, registered, vanished

CASE = """\
  - id: {name}
    clause: S1
    operation: softmax
    formats: [float64]
    gradient: false
    logits: [[{first}, 0.5]]
"""
# A shell that starts pytest in the background, or nohup, has it and its children ignore a signal.
HEARING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from lossparity.cli import main
main()
"""

TIMED = """\
suite: mine
about: Two that are timed.
cases:
  - id: first
    clause: P1
    operation: softmax
    formats: [float64]
    logits: {generate: normal, shape: [4, 8], seed: 1, scale: 1, offset: 0}
  - id: second
    clause: P1
    operation: softmax
    formats: [float64]
    logits: {generate: normal, shape: [4, 9], seed: 1, scale: 1, offset: 0}
"""

Start = Callable[..., subprocess.Popen[str]]


def suite(*fates: str) -> str:
    cases = (CASE.format(name=f"c{at}", first=NUMBERS[fate]) for at, fate in enumerate(fates))
    return "suite: mine\nabout: Faults.\ncases:\n" + "".join(cases)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder of one's own, where the adapter of faults is registered, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path / "cache"))
    return registered(tmp_path, monkeypatch)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start commands as a shell does, each in a session of its own; none outlives the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **how: object) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        running.append(subprocess.Popen([sys.executable, "-c", HEARING, *arguments], **{**pipes, **how}))  # type: ignore[call-overload]
        return running[-1]

    yield begin
    for one in running:
        if one.poll() is None:
            one.kill()
        one.communicate()


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while process.poll() is None and not reached() and time.monotonic() < end:
        time.sleep(0.01)
    assert reached(), process.communicate()


def results(path: Path) -> int:
    return path.read_text().count('"kind":"result"') if path.exists() else 0


RUN = ("run", "-b", "numpy", "-b", "math", "--cases", "mine.yaml", "--timeout", "300")
RECORD = Path("lossparity-results/run.jsonl")


def hanging(start: Start, started: Path, *more: str, **how: object) -> subprocess.Popen[str]:
    """Start a run that judges two cases and hangs in the third."""
    Path("mine.yaml").write_text(suite("none", "forks", "hangs"))
    process = start(*RUN, *more, **how)
    until(process, lambda: results(RECORD) >= 4 and bool(list(started.iterdir())))
    return process


def incomplete() -> Record:
    got = read(RECORD)
    assert not got.complete
    assert [one.verdict for one in got.results][:4] == ["pass"] * 4
    return got


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, ""), (signal.SIGTERM, " by SIGTERM"), (signal.SIGHUP, " by SIGHUP")]
)
def test_a_signal_ends_a_run_with_its_own_status_and_keeps_what_was_judged(
    start: Start, started: Path, number: signal.Signals, said: str
) -> None:
    process = hanging(start, started)
    process.send_signal(number)
    told, complaint = process.communicate(timeout=60)
    assert (process.returncode, told) == (128 + number, "")
    assert complaint == (
        f"lossparity: interrupted{said}; what was judged until now is in {RECORD}\n"
        f"  `lossparity report {RECORD}` makes its page\n"
    )
    incomplete()
    assert vanished(started)


def test_an_interrupted_job_keeps_the_times_of_the_cases_that_were_over(
    start: Start, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # beside which nothing is timed
    Path("mine.yaml").write_text(TIMED)
    record = Path("lossparity-results/speed.jsonl")
    process = start("bench", "-b", "numpy", "-b", "numpy.manual", "--cases", "mine.yaml", "--pass", "forward")
    until(process, lambda: record.exists() and '"kind":"speed"' in record.read_text())
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"interrupted by SIGTERM; what was timed until now is in {record}" in complaint
    got = read(record)
    assert not got.complete
    assert {one.case for one in got.speeds} == {"mine/first"}
    assert len(got.speeds) == 2
    assert not list(started.iterdir())


def test_a_run_that_is_killed_leaves_a_readable_record_and_no_worker(start: Start, started: Path) -> None:
    process = hanging(start, started, "-j", "2")
    assert any(alive(int(one.name.rpartition("-")[2])) for one in started.iterdir())
    process.kill()
    process.communicate(timeout=60)
    assert vanished(started), "nobody was left to end them but the reaper"
    incomplete()
    shown = start("report", str(RECORD))
    assert "the record is incomplete" in shown.communicate(timeout=60)[1]
    assert shown.returncode == 0
    assert "incomplete" in RECORD.with_name("report.html").read_text()


def test_half_a_line_at_the_end_is_no_reason_not_to_read_the_rest(start: Start, started: Path) -> None:
    hanging(start, started).kill()
    whole = RECORD.read_bytes()
    last = whole.rstrip(b"\n").rpartition(b"\n")[2]
    RECORD.write_bytes(whole + last[: len(last) // 2])
    assert "cut off" in incomplete().broken


def test_an_ignored_signal_stays_ignored(started: Path) -> None:
    ignoring = "import signal; signal.signal(1, signal.SIG_IGN); from lossparity.cli import main; main()"
    Path("mine.yaml").write_text(suite("none", "forks", "hangs"))
    process = subprocess.Popen([sys.executable, "-c", ignoring, *RUN], stderr=subprocess.PIPE, text=True)
    try:
        until(process, lambda: results(RECORD) >= 4 and bool(list(started.iterdir())))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert "by SIGTERM" in process.communicate(timeout=60)[1], "it is the second one that ended it"
    finally:
        process.kill()


def test_two_runs_do_not_write_to_one_record(start: Start, started: Path) -> None:
    process = hanging(start, started)
    before = RECORD.read_bytes()
    other = start(*RUN)
    _, complaint = other.communicate(timeout=60)
    assert other.returncode == 2
    assert complaint == (
        f"lossparity: {RECORD}: another run is writing to this record\n  wait for it, or choose another place\n"
    )
    assert RECORD.read_bytes().startswith(before), "and the first one went on"
    process.kill()
    process.communicate()
    with Writer(RECORD):
        assert RECORD.read_bytes() == b"", "who was killed holds nothing"


def test_two_runs_at_once_share_a_cache_and_agree(start: Start, started: Path) -> None:
    words = ("run", "-b", "numpy", "--case", "softmax/*", "--case", "worked-example/*")
    running = [start(*words, "-o", name) for name in ("one", "two")]
    for process in running:
        _, complaint = process.communicate(timeout=240)
        assert (process.returncode, complaint) == (0, "")

    def lines(name: str) -> list[str]:
        text = Path(name, "run.jsonl").read_text().splitlines()
        return [line for line in text if json.loads(line)["kind"] not in ("header", "footer")]

    assert lines("one") == lines("two")
    assert len(lines("one")) > 100
    assert not list(started.iterdir())


def small(size: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_ends_a_run_with_one_message_and_what_was_written_can_be_read(start: Start, started: Path) -> None:
    process = start("run", "-b", "numpy", "--case", "softmax/*", preexec_fn=small(100_000))
    told, complaint = process.communicate(timeout=120)
    assert (process.returncode, told) == (2, "")
    assert complaint == (
        f"lossparity: {RECORD}: the record cannot be written: File too large\n  choose another place for it\n"
    )
    got = read(RECORD)
    assert not got.complete
    assert len(got.results) > 10
    assert not list(started.iterdir())


@pytest.mark.parametrize("name", ["html", "junit", "badge", "github"])
def test_a_report_that_does_not_fit_leaves_the_older_one_in_its_place(start: Start, started: Path, name: str) -> None:
    Path("mine.yaml").write_text(suite("none", "none"))
    assert start(*RUN).wait(60) == 0
    place = Path("the report")
    place.write_text("the older one")
    process = start("report", str(RECORD), "--format", name, "-o", str(place), preexec_fn=small(20))
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert complaint.startswith(f"lossparity: {place}: ")
    assert "cannot be written: File too large" in complaint
    assert "Traceback" not in complaint
    if name != "github":  # which is appended to
        assert place.read_text() == "the older one"
    assert not list(Path().glob("*.tmp*"))
    assert not list(started.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_standard_output_on_a_full_disk_is_one_message(start: Start) -> None:
    with Path("/dev/full").open("w") as full:
        process = start("list", stdout=full)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert complaint == "lossparity: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("words", [("list",), ("--help",), ("run", "-b", "numpy", "--case", "worked-example/softmax")])
def test_nobody_has_to_read_what_is_printed(start: Start, started: Path, words: Sequence[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*words, stdout=writing)
    os.close(writing)
    _, complaint = process.communicate(timeout=120)
    assert (process.returncode, complaint) == (0, "")
    if words[0] == "run":
        assert read(RECORD).complete
        assert RECORD.with_name("report.html").exists()
    assert not list(started.iterdir())


def test_closed_outputs_disturb_nothing(started: Path) -> None:
    words = shlex.join([sys.executable, "-c", HEARING, "run", "-b", "numpy", "--case", "worked-example/softmax"])
    done = subprocess.run(f"{words} <&- >&- 2>&-", shell=True, check=False)
    assert done.returncode == 0
    assert read(RECORD).complete
    assert not list(started.iterdir())
