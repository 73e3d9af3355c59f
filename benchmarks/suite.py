"""How long the whole built-in suite takes: the wall, and the CPU time of the parent and of each worker.

    python benchmarks/suite.py [-b BACKEND]... [--cold] [-o FOLDER]

It runs `lossparity run -b BACKEND...`, by default the eager libraries of the four frameworks, and reads the CPU time of
every process twice a second. On a busy machine the wall says little; CPU seconds, which grow less, say what a quiet one
needs: with two cores at least their half, and at least the slowest worker's own. `--cold` begins with empty caches, of
references and of what JAX compiled; otherwise they are as the last run left them, so run it twice for warm figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

BACKENDS = ("numpy", "torch", "tensorflow", "jax")


def name(process: psutil.Process) -> str:
    """Return the adapter that a process serves, or `parent`."""
    words = process.cmdline()
    return next((word for word in words if word.startswith("lossparity_backends.")), "parent")


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, dict[str, float]]:
    """Return the wall and the CPU seconds of each process, user and system, up to half a second before its end."""
    began, cpu = time.monotonic(), dict[str, float]()
    running = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while running.poll() is None:
        for one in (running, *running.children()):
            try:
                times = one.cpu_times()
                cpu[name(one)] = max(cpu.get(name(one), 0.0), times.user + times.system)
            except psutil.Error:  # it ended meanwhile
                continue
        time.sleep(0.5)
    return time.monotonic() - began, cpu


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-b", "--backend", action="append", default=[])
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        output = given.output or Path(scratch) / "results"
        environment = dict(os.environ)
        if given.cold:
            environment |= {"LOSSPARITY_CACHE_DIR": f"{scratch}/references", "XDG_CACHE_HOME": f"{scratch}/caches"}
        asked = [word for backend in given.backend or BACKENDS for word in ("-b", backend)]
        lossparity = [sys.executable, "-P", "-c", "from lossparity.cli import main; main()"]
        wall, cpu = measure([*lossparity, "run", *asked, "-o", str(output)], environment)
        with (output / "run.jsonl").open() as record:
            results = json.loads(record.readlines()[-1])["results"]
    for process, seconds in cpu.items():
        print(f"{seconds:7.1f} s of CPU  {process}")
    print(
        f"{sum(cpu.values()):7.1f} s of CPU  together; "
        f"{wall:.1f} s of wall, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{sum(results.values())} results: {', '.join(f'{n} {verdict}' for verdict, n in results.items())}")


if __name__ == "__main__":
    main()
