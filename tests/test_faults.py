"""Whatever a worker does: its check says so, every other check has its result, and nothing is left behind."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import FAULTS, NUMBERS
from lossparity.record import Result
from test_registry import distribution
from test_runner import Ran, case, ran

MEMORY = 700 << 20

# What each fault comes to: the verdict, and what its message says.
EXPECTED = {
    "none": ("pass", ""),
    "segfault": ("crash", "killed by SIGSEGV"),
    "abort": ("crash", "killed by SIGABRT"),
    "leaves": ("crash", "exit status 7"),
    "leaves as if all were well": ("crash", "exit status 0"),
    "SystemExit": ("crash", r"exit status 3: sys\.exit\(3\) was called at .*faults\.py:\d+"),
    "KeyboardInterrupt": ("crash", r"killed by SIGINT: [\s\S]*KeyboardInterrupt"),
    "GeneratorExit": ("crash", r"exit status 1: [\s\S]*GeneratorExit"),
    "hangs": ("timeout", "no answer in 5 s"),
    "hangs and hears no signal": ("timeout", "no answer in 5 s"),
    "eats memory": ("crash", r"it took more than 700 MiB of memory \(--memory SIZE gives it more\)"),
    "eats memory in a child": ("crash", r"it took more than 700 MiB of memory"),
    "prints megabytes": ("pass", ""),
    "prints megabytes and dies": ("crash", r"exit status 9: [\s\S]*the last words"),
    "garbage": ("crash", "its reply is not a message"),
    "half a reply": ("crash", "its reply is not a message .*the stream ended after"),
    "another shape": ("fail", r"shape \[1, 1\] instead of \[1, 2\]"),
    "another number": ("crash", "it answers another request"),
    "twice": ("crash", "it answers twice"),
    "forks": ("pass", ""),
    "forks and dies": ("crash", "exit status 5"),
    "hangs up": ("crash", "it closed its pipes"),
    "raises": ("error", "ValueError: no"),
}


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return registered(tmp_path, monkeypatch)


def registered(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    distribution(folder, "math = faults:Faulty\ncmath = faults:DiesAtStart\nfractions = faults:HangsAtStart")
    started = folder / "started"
    started.mkdir()
    patch.syspath_prepend(str(folder))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(__file__).parent)]))
    patch.setenv("FAULTS", str(started))
    return started


@pytest.fixture(scope="module", params=[1, 3], ids=["one-worker", "three-workers"])
def every(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ran, Path]]:
    """One run through all faults, a check without any after each, beside NumPy."""
    folder = tmp_path_factory.mktemp("faults")
    chosen = [
        case(f"{number}-{part}", number if part == "fault" else 0)
        for number in NUMBERS.values()
        for part in ("fault", "after")
    ]
    with pytest.MonkeyPatch.context() as patch:
        started = registered(folder, patch)
        yield ran(folder, chosen, ("numpy", "math"), timeout=5.0, memory=MEMORY, jobs=request.param), started


def of(run: Ran, backend: str) -> list[Result]:
    return [one for one in run.record.results if one.backend == backend]


def test_every_fault_is_expected_to_come_to_something() -> None:
    assert EXPECTED.keys() == FAULTS.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_its_own_check_and_says_what_it_was(every: tuple[Ran, Path], name: str) -> None:
    fault, after = of(every[0], "math")[2 * NUMBERS[name] : 2 * NUMBERS[name] + 2]
    verdict, said = EXPECTED[name]
    assert fault.case == f"fates/{NUMBERS[name]}-fault"
    assert fault.verdict == verdict, fault.message
    assert re.search(said, fault.message), fault.message
    assert after.verdict == "pass", after.message


def test_no_check_is_lost_or_doubled_and_their_order_is_kept(every: tuple[Ran, Path]) -> None:
    names = [f"fates/{number}-{part}" for number in NUMBERS.values() for part in ("fault", "after")]
    for backend in ("numpy", "math"):
        assert [one.case for one in of(every[0], backend)] == names
    assert {one.verdict for one in of(every[0], "numpy")} == {"pass"}
    assert every[0].summary.not_tested == []


def test_nothing_that_was_started_is_left(every: tuple[Ran, Path]) -> None:
    assert vanished(every[1])


def vanished(started: Path, seconds: float = 20.0) -> bool:
    """Wait until all processes are gone that left word of themselves; at least one has."""
    pids = [int(one.name.rpartition("-")[2]) for one in started.iterdir()]
    assert pids
    end = time.monotonic() + seconds
    while any(alive(one) for one in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_three_deaths_at_start_make_a_backend_unavailable_with_the_cause(tmp_path: Path, faults: Path) -> None:
    got = ran(tmp_path, [case("one", 0)], ("cmath", "numpy"), named=frozenset(["cmath"]))
    assert len(list(faults.iterdir())) == 3
    assert [(one.what, one.reason, one.checks) for one in got.summary.not_tested] == [
        ("cmath", "the worker did not start: exit status 9: no licence", 1)
    ]
    assert [one.verdict for one in got.record.results] == ["pass"], "that of NumPy"
    assert got.summary.exit_code == 3


def test_who_hangs_at_start_is_waited_for_once(tmp_path: Path, faults: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossparity.workers._START_SECONDS", 2.0)
    got = ran(tmp_path, [case("one", 0)], ("fractions", "numpy"))
    assert [one.reason for one in got.summary.not_tested] == ["the worker did not start: no answer in 2 s"]
    assert len(list(faults.iterdir())) == 1
    assert vanished(faults)


@pytest.mark.usefixtures("faults")
def test_five_like_crashes_in_a_row_stop_a_backend(tmp_path: Path) -> None:
    got = ran(tmp_path, [case(str(n), NUMBERS["segfault"]) for n in range(7)], ("math", "numpy"))
    assert [one.verdict for one in of(got, "math")] == ["crash"] * 5
    assert [one.verdict for one in of(got, "numpy")] == ["pass"] * 7
    (left,) = got.summary.not_tested
    assert (left.what, left.checks) == ("math", 2)
    assert left.reason == "stopped after 5 like deaths in a row: killed by SIGSEGV"
