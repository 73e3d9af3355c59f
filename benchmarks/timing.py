"""Whether times agree: one function timed by `lossparity bench`, by torch.utils.benchmark and by pytest-benchmark.

    [ALLOCATOR=system] python benchmarks/timing.py [--rounds N] [BACKEND ...]

It is the forward pass of speed/image-classes/float32, (256, 1000), by torch and by NumPy, on one thread. In each round
every way has its turn, in an order drawn by lot, in a process of its own and on the same processor; ratios are taken
round by round. The two that know nothing of lossparity call the very function that the adapter calls, on eight inputs
in turn, as bench does; of their samples the lower quartile is taken, as bench does within its own.

All processes keep freed memory, as under `lossparity bench --allocator reuse`. With glibc's own settings what an array
of a megabyte costs depends on what a process freed before, and NumPy's times differ several times over.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lossparity.speed.bench import ALLOCATORS
from lossparity.speed.places import held, idlest

CASE, FORMAT = "speed/image-classes", "float32"
KEY = f"{CASE}/{FORMAT}@{{}}#forward"
SAMPLE = 0.005  # seconds of a sample at least: an average over less is seldom hit by what else runs, and seems faster
ALLOCATOR = os.environ.get("ALLOCATOR", "reuse")
TESTS = "from timing import called\n\n\ndef test_forward(benchmark):\n    benchmark(called({!r}))\n"


def called(backend: str) -> Callable[[], Any]:
    """Return what calls a backend's function on inputs in turn; in the process of the caller, on one thread."""
    from lossparity.inputs import build
    from lossparity.model import Request
    from lossparity.registry import registered
    from lossparity.suite import built_in, load
    from lossparity.timing import Timed

    module, _, name = registered()[backend].adapter.partition(":")
    framework = getattr(__import__(module, fromlist=[name]), name)("cpu")
    framework.pin()
    if hasattr(framework, "use_threads"):
        framework.use_threads(1)
    (case,) = (one for suite in load([built_in()], timed=True) for one in suite.cases if one.id == CASE)
    request = Request("", case.operation, build(case, FORMAT), case.keywords)
    timed = Timed.of(framework, framework.implementations[""], request)
    inputs = itertools.cycle([timed.input(scale) for scale in (1.0, -1.0, 2.0, -2.0) * 2])
    forward = timed.passes.forward
    return lambda: forward(next(inputs))


def blocked(backend: str) -> None:
    """Print what torch.utils.benchmark finds."""
    from torch.utils.benchmark import Timer

    timer = Timer("call()", globals={"call": called(backend)}, num_threads=1)
    timer.timeit(20)
    times = timer.blocked_autorange(min_run_time=1000 * SAMPLE).times
    print(statistics.quantiles(times, n=4)[0] if len(times) > 1 else times[0])


def run(folder: str, *words: str) -> str:
    """Run Python with some words in a folder; return what it printed."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **ALLOCATORS[ALLOCATOR], "PYTHONPATH": path}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def seconds(way: str, backend: str, folder: str) -> float:
    """Return the time of a call that one way finds."""
    if way == "torch.utils.benchmark":
        return float(run(folder, __file__, "--blocked", backend).split()[-1])
    if way == "lossparity bench":
        main = "from lossparity.cli import main; main()"
        only = ("--case", CASE, "--format", FORMAT, "--pass", "forward")
        run(folder, "-c", main, "bench", "-b", backend, *only, "--seconds", "2", "--json", "times.json")
    else:
        words = ["test_forward.py", f"--benchmark-min-time={SAMPLE}"]
        if way == "the plugin":
            given = ["--lossparity-backends", backend, "--benchmark-only"]
            words = ["--pyargs", f"lossparity.conformance::{KEY.format(backend)}", *given]
        run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, "--benchmark-json=times.json")
    (one,) = json.loads(Path(folder, "times.json").read_text(encoding="utf-8"))["benchmarks"]
    return float(one["stats"]["q1" if way == "pytest-benchmark" else "median"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backends", nargs="*", default=["torch", "numpy"], metavar="BACKEND")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocked", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.blocked:
        blocked(*given.backends)
        return
    ways = ("lossparity bench", "torch.utils.benchmark", "pytest-benchmark", "the plugin")
    for backend in given.backends:
        found: dict[str, list[float]] = {way: [] for way in ways}
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test_forward.py").write_text(TESTS.format(backend), encoding="utf-8")
            for _ in range(given.rounds):
                with held(idlest(1)):
                    for way in random.sample(ways, len(ways)):
                        found[way].append(seconds(way, backend, folder))
        print(f"{KEY.format(backend)}, {given.rounds} rounds, allocator: {ALLOCATOR}")
        for way, times in found.items():
            ratios = [one / other for one, other in zip(times, found[ways[0]], strict=True)]
            told = f"{statistics.median(ratios):.3f} of bench, from {min(ratios):.3f} to {max(ratios):.3f}"
            middle, least = 1e6 * statistics.median(times), 1e6 * min(times)
            print(f"  {way:22} {middle:8.1f} µs, at best {least:8.1f} µs; {told}")


if __name__ == "__main__":
    main()
