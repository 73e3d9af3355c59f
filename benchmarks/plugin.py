"""What the plugin costs pytest where nothing of lossparity is used: CPU time of its start with and without, in pairs.

    python benchmarks/plugin.py [--pairs N]

Each pair collects one test file in two new processes, with the plugin and without, in an order drawn by lot; no other
plugin is loaded, so that there is less to vary. pytest also reads which files every plugin's distribution has
installed, to rewrite their assertions: that is measured by itself.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def start(folder: str, *words: str) -> float:
    """Return the milliseconds of CPU, user and system, that pytest takes to collect a folder."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words, folder]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"pytest ended with {os.waitstatus_to_exitcode(status)}")
    return 1000 * (used.ru_utime + used.ru_stime)


def files() -> float:
    """Return the milliseconds that it takes to list the files that lossparity has installed."""
    began = time.perf_counter()
    for _ in range(20):
        list(importlib.metadata.distribution("lossparity").files or ())
    return 1000 * (time.perf_counter() - began) / 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        taken: dict[tuple[str, ...], list[float]] = {("-p", "lossparity.plugin"): [], (): []}
        for words in taken:
            start(folder, *words)  # what is compiled on first use is compiled now
        for _ in range(pairs):
            for words in random.sample(list(taken), 2):
                taken[words].append(start(folder, *words))
    with_it, without = taken.values()
    low, middle, high = statistics.quantiles([a - b for a, b in zip(with_it, without, strict=True)], n=4)
    print(f"pytest's start {statistics.median(with_it):.0f} ms of CPU, without {statistics.median(without):.0f} ms")
    print(f"the plugin costs {middle:.1f} ms (quartiles {low:.1f} and {high:.1f}, {pairs} pairs)")
    print(f"listing lossparity's files costs {files():.1f} ms")


if __name__ == "__main__":
    main()
