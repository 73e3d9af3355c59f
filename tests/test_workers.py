"""Workers: a child that dies, hangs or answers garbage costs one check, with the cause, and is started again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lossparity.formats import Array
from lossparity.model import Crashed, Declined, Outcome, Produced, Raised, Request, TimedOut
from lossparity.target import Target
from lossparity.workers import Worker, WorkerStopped

NUMPY = "lossparity_backends.on_numpy:Numpy"

# What the target does is chosen by the first logit, so that one process can be led through several fates.
MISBEHAVING = r"""
import ctypes, os, signal, struct, sys, threading, time
import numpy as np

REPLIES = int(sys.argv[2])


def say(text):
    os.write(2, text.encode())


def leave(x):
    say(f"about to leave {id(x)} {time.time()}\n")
    os._exit(7)


def flood(x):
    for _ in range(80):
        print("x" * 100_000)
    sys.stdout.flush()
    return np.exp(x)


def absurd(x):
    text = b'{"outcome": "produced", "arrays": [["value", "float64", [1000000000000000]]]}'
    os.write(REPLIES, struct.pack("<QQ", 1, len(text)) + text)
    os._exit(0)


def hang_up(x):
    os.close(REPLIES)
    time.sleep(1000)


def hang(x):
    open(__file__ + ".hanging", "w").close()
    time.sleep(1000)


def linger(x):
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return np.exp(x)


def noise(x):
    say("a warning that has nothing to do with it\n")
    return np.exp(x)


FATES = {
    1: leave,
    2: lambda x: ctypes.string_at(0),
    3: hang,
    4: flood,
    5: lambda x: os.write(REPLIES, b"\xff" * 64),
    6: absurd,
    7: hang_up,
    8: lambda x: sys.exit(3),
    9: lambda x: os.kill(os.getpid(), signal.SIGRTMIN + 1),
    10: noise,
    11: lambda x: os._exit(5),
    12: lambda x: np.full_like(x, os.getpid()),
    13: lambda x: int("\udce9"),
    14: lambda x: (say("Killed: out of memory\n"), os.kill(os.getpid(), signal.SIGKILL)),
    15: linger,
}


def softmax(logits):
    return FATES.get(int(logits.flat[0]), np.exp)(logits)
"""
LEAVE, SEGFAULT, HANG, FLOOD, GARBAGE, ABSURD, HANG_UP, EXIT, REAL_TIME, NOISE, SILENT, PID, ODD, KILLED, LINGER = (
    range(1, 16)
)

Make = Callable[..., Worker]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make workers on a target's source, and end them all afterwards."""
    made: list[Worker] = []

    def worker(source: str = MISBEHAVING, timeout: float = 60.0, name: str = "softmax") -> Worker:
        path = tmp_path / f"target{len(made)}.py"
        path.write_text(source)
        made.append(Worker(NUMPY, "cpu", timeout, Target(f"{path}:{name}", "softmax")))
        return made[-1]

    yield worker
    for one in made:
        one.close()


def ask(worker: Worker, fate: float) -> Outcome:
    return worker.ask(Request("target", "softmax", {"logits": Array.of([[fate, 0]], "float64")}))


def pid(worker: Worker) -> int:
    outcome = ask(worker, PID)
    assert isinstance(outcome, Produced)
    return int(outcome.value.data.flat[0])


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("fate", "cause"),
    [
        (LEAVE, "exit status 7: about to leave"),
        (SEGFAULT, "killed by SIGSEGV"),
        (KILLED, "killed by SIGKILL: Killed: out of memory"),
        (GARBAGE, "its reply is not a message"),
        (ABSURD, "its reply is not a message (an array of shape [1000000000000000] is announced)"),
        (HANG_UP, "it closed its pipes"),
        (EXIT, "exit status 3: sys.exit(3) was called at "),
        (REAL_TIME, "killed by signal 3"),
    ],
)
def test_a_death_costs_one_check_and_says_why(make: Make, fate: int, cause: str) -> None:
    worker = make()
    before = pid(worker)
    outcome = ask(worker, fate)
    assert isinstance(outcome, Crashed)
    assert outcome.cause.startswith(cause)
    assert gone(before)
    assert isinstance(ask(worker, 0), Produced), "it is started again"
    assert pid(worker) != before


def test_a_hang_costs_one_check(make: Make) -> None:
    worker = make(timeout=2.0)
    before = pid(worker)
    assert ask(worker, HANG) == TimedOut(2.0)
    assert gone(before)
    assert isinstance(ask(worker, 0), Produced)


def test_megabytes_on_standard_output_are_no_verdict(make: Make) -> None:
    worker = make()
    before = pid(worker)
    assert isinstance(ask(worker, FLOOD), Produced)
    assert pid(worker) == before


def test_last_words_are_those_of_the_request_that_killed_it(make: Make) -> None:
    worker = make()
    assert isinstance(ask(worker, NOISE), Produced)
    assert ask(worker, SILENT) == Crashed("exit status 5")


def test_last_words_are_of_bounded_length(make: Make) -> None:
    worker = make("import os\ndef softmax(x):\n    os.write(2, b'a' * 50_000 + b'z')\n    os._exit(1)\n")
    outcome = ask(worker, 0)
    assert isinstance(outcome, Crashed)
    assert outcome.cause == "exit status 1: " + "a" * 1999 + "z"


def test_five_like_deaths_in_a_row_stop_it_whatever_their_last_words(make: Make) -> None:
    worker = make()
    causes = [ask(worker, LEAVE) for _ in range(5)]
    assert len({str(cause) for cause in causes}) == 5, "each names another time"
    for _ in range(2):
        with pytest.raises(WorkerStopped, match=r"^stopped after 5 like deaths in a row: exit status 7$"):
            ask(worker, 0)


def test_deaths_that_are_not_alike_or_not_in_a_row_do_not_stop_it(make: Make) -> None:
    worker = make()
    for fate in (LEAVE, LEAVE, LEAVE, LEAVE, 0, LEAVE, LEAVE, LEAVE, LEAVE, SILENT, LEAVE):
        assert isinstance(ask(worker, fate), Crashed if fate else Produced)
    assert isinstance(ask(worker, 0), Produced)


def test_a_backend_that_is_stopped_leaves_the_others_of_its_worker(make: Make) -> None:
    worker = make()
    own = Request("", "softmax", {"logits": Array.of([[1, 2]], "float64")})
    for _ in range(5):
        assert isinstance(ask(worker, SILENT), Crashed)
        assert isinstance(worker.ask(own), Produced)
    with pytest.raises(WorkerStopped):
        ask(worker, 0)
    assert isinstance(worker.ask(own), Produced)


def test_five_time_outs_in_a_row_stop_it(make: Make) -> None:
    worker = make(timeout=0.5)
    assert [ask(worker, HANG) for _ in range(5)] == [TimedOut(0.5)] * 5
    with pytest.raises(WorkerStopped, match=r"no answer in 0\.5 s"):
        ask(worker, 0)


def test_the_message_of_an_exception_can_be_recorded_whatever_it_holds(make: Make) -> None:
    outcome = ask(make(), ODD)
    assert isinstance(outcome, Raised)
    assert outcome.type == "ValueError"
    outcome.message.encode()


def test_a_large_array_comes_back_bit_for_bit(make: Make) -> None:
    worker = make("def softmax(x):\n    return -x\n")
    values = np.random.RandomState(1).standard_normal((7, 100_003))
    outcome = worker.ask(Request("target", "softmax", {"logits": Array("float64", values)}))
    assert isinstance(outcome, Produced)
    assert np.array_equal(outcome.value.data, -values)


def test_a_variant_that_is_not_there_is_declined(make: Make) -> None:
    outcome = make().ask(Request("optax", "softmax", {"logits": Array.of([[1, 2]], "float64")}))
    assert outcome == Declined("numpy has no variant 'optax'")


REFUSED = {
    "a missing name": ("x = 1\n", "softmax", "has no 'softmax'"),
    "a missing attribute": ("class softmax: pass\n", "softmax.forward", "has no 'softmax.forward'"),
    "not callable": ("softmax = 1\n", "softmax", "is not callable"),
    "a syntax error": ("def softmax(x) return x\n", "softmax", "fails when it is imported: SyntaxError"),
    "an import error": ("import no_such_module_here\n", "softmax", "No module named 'no_such_module_here'"),
    "an exception": ("1 / 0\n", "softmax", "fails when it is imported: ZeroDivisionError: division by zero"),
    "an exit": ("import sys\nsys.exit('bye')\n", "softmax", "fails when it is imported: SystemExit: bye"),
    "a class": ("class softmax: pass\n", "softmax", "is a class: give an instance"),
    "a coroutine function": ("async def softmax(x): return x\n", "softmax", "is a coroutine function (async def)"),
    "a generator function": ("def softmax(x): yield x\n", "softmax", "is a generator function (it yields)"),
    "no signature": ("softmax = min\n", "softmax", "does not tell its keywords"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_target_that_cannot_be_used_is_refused_with_the_reason(make: Make, name: str) -> None:
    source, function, reason = REFUSED[name]
    worker = make(source, name=function)
    assert not worker.wait_ready()
    assert worker.refused
    assert reason in worker.unavailable
    assert "Traceback" not in worker.unavailable
    with pytest.raises(WorkerStopped):
        ask(worker, 0)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere.py:f", f"no such file: nowhere.py; looked for in {Path.cwd()}"),
        ("no_such_package.loss:f", "No module named 'no_such_package'"),
        ("loss.py", "'loss.py' is not package.module:name or path/file.py:name"),
        ("math:", "'math:' is not package.module:name or path/file.py:name"),
    ],
)
def test_a_target_that_is_nowhere_is_refused_with_the_reason(target: str, reason: str) -> None:
    worker = Worker(NUMPY, "cpu", target=Target(target, "softmax"))
    assert not worker.wait_ready()
    worker.close()
    assert (worker.refused, worker.unavailable) == (True, reason)


def test_a_child_that_dies_while_it_starts_did_not_start(make: Make) -> None:
    worker = make("import os\nos.write(2, b'no licence\\n')\nos._exit(9)\n")
    assert not worker.wait_ready()
    assert not worker.refused
    assert worker.unavailable == "the worker did not start: exit status 9: no licence"


@pytest.mark.parametrize(
    ("adapter", "device", "reason"),
    [
        (NUMPY, "cuda", "NumPy has no device 'cuda'"),
        ("no_such_adapter:Framework", "cpu", "ModuleNotFoundError: No module named 'no_such_adapter'"),
        ("math:Framework", "cpu", "AttributeError: module 'math' has no attribute 'Framework'"),
    ],
)
def test_a_framework_that_is_not_there_says_why(adapter: str, device: str, reason: str) -> None:
    worker = Worker(adapter, device)
    assert not worker.wait_ready()
    worker.close()
    assert (worker.refused, worker.unavailable) == (False, reason)


def test_close_ends_a_child_that_does_not_leave_by_itself(make: Make) -> None:
    worker = make()
    process = pid(worker)
    assert isinstance(ask(worker, LINGER), Produced)
    worker.close()
    worker.close()  # twice does no harm
    assert gone(process)


def test_a_child_that_is_dismissed_leaves_by_itself_and_can_be_closed_afterwards(make: Make) -> None:
    worker = make()
    process = pid(worker)
    assert isinstance(ask(worker, 0), Produced)
    worker.dismiss()
    worker.dismiss()  # twice does no harm
    end = time.monotonic() + 30
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < end:
        time.sleep(0.01)
    assert time.monotonic() < end, "it was not killed, and did not leave"
    worker.close()
    assert gone(process)


def test_stop_ends_what_is_under_way_and_nothing_is_started_again(make: Make, tmp_path: Path) -> None:
    worker = make(timeout=30.0)
    process = pid(worker)
    outcomes: list[Outcome] = []
    waiting = threading.Thread(target=lambda: outcomes.append(ask(worker, HANG)))
    waiting.start()
    while not list(tmp_path.glob("*.hanging")) and waiting.is_alive():
        time.sleep(0.01)
    worker.stop("the run was interrupted")
    waiting.join()
    assert outcomes == [Crashed("killed by SIGKILL")], "it did not wait for the time limit"
    assert gone(process)
    with pytest.raises(WorkerStopped, match="interrupted"):
        ask(worker, 0)


def test_details_are_the_childs_own_account() -> None:
    worker = Worker(NUMPY, "cpu")
    worker.start()
    assert worker.wait_ready()
    worker.close()
    assert worker.details["numpy"] == np.__version__
    assert worker.details["subnormals"] == "gradual"


def test_a_child_that_dies_at_start_is_started_three_times_in_all(make: Make, tmp_path: Path) -> None:
    """A passing trouble of the machine costs nothing; a lasting one is the reason shown."""
    for deaths, ready in ((2, True), (3, False)):
        count = tmp_path / f"starts{deaths}"
        worker = make(
            "import os, pathlib\nimport numpy as np\n"
            f"count = pathlib.Path({str(count)!r})\n"
            "started = int(count.read_text()) if count.exists() else 0\n"
            "count.write_text(str(started + 1))\n"
            f"if started < {deaths}:\n    os._exit(9)\n"
            "def softmax(logits):\n    return np.exp(logits)\n"
        )
        assert worker.wait_ready() is ready
        assert count.read_text() == "3"
        assert worker.broken is not ready
        assert ready or worker.unavailable == "the worker did not start: exit status 9"
