"""A long run in which a worker fails again and again: nothing may be lost or doubled, grow, or be left behind.

    PYTHONPATH=tests python benchmarks/soak.py [--checks 20000] [--every 50] [-j 4] [--seed 1]

Every so many checks one has a fault, drawn from those of tests/faults.py: it segfaults, hangs, eats memory, forks,
answers twice, and so on. The record is read again at the end: each check has to be there once, in its place, with what
its fault comes to (tests/test_faults.py), and every other one has to pass.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from faults import FAULTS, NUMBERS
from lossparity.judged import Summary
from lossparity.model import Backend
from lossparity.record import Writer, read
from lossparity.runner import Run, run
from test_faults import EXPECTED, MEMORY, alive
from test_registry import distribution
from test_runner import case


def here() -> tuple[float, int, int]:
    """Return the megabytes of this process, its open files, and its children."""
    me = psutil.Process()
    return me.memory_info().rss / 1e6, me.num_fds(), len(me.children())


def main() -> None:
    """Run it and print what came of it; status 1 where something is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("-j", "--jobs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    dice = random.Random(given.seed)
    names = [dice.choice([*FAULTS][1:]) if n % given.every == 0 else "none" for n in range(1, given.checks + 1)]
    seen: list[tuple[float, int, int]] = []

    def look(done: int, total: int, _summary: Summary) -> None:
        if done * 10 // total > (done - 1) * 10 // total:
            seen.append(here())
            megabytes, files, children = seen[-1]
            print(f"{done:6d} checks: {megabytes:.0f} MB, {files} files, {children} children", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        distribution(Path(folder), "math = faults:Faulty")
        started = Path(folder) / "started"
        started.mkdir()
        sys.path.insert(0, folder)
        os.environ |= {"PYTHONPATH": os.pathsep.join([folder, *sys.path]), "FAULTS": str(started)}
        cases = [case(f"{at:06d}", NUMBERS[name]) for at, name in enumerate(names)]
        plan = Run([Backend("math")], cases, timeout=5.0, memory=MEMORY, jobs=given.jobs)
        began = time.monotonic()
        with Writer(Path(folder) / "run.jsonl") as writer:
            run(plan, writer, look)
        seconds = time.monotonic() - began
        record = read(Path(folder) / "run.jsonl")
        left = [one.name for one in started.iterdir() if alive(int(one.name.rpartition("-")[2]))]
    wrong = [
        f"{one.case}: {name}: {one.verdict}, {one.message[:100]}"
        for one, name in zip(record.results, names, strict=False)
        if one.verdict != EXPECTED[name][0] or not re.search(EXPECTED[name][1], one.message)
    ]
    counted = Counter(one.case for one in record.results)
    lost, doubled = len(cases) - len(counted), sum(n > 1 for n in counted.values())
    moved = [one.case for one in record.results] != [one.id for one in cases]
    grown = seen[-1][0] - seen[1][0]
    injected = sum(name != "none" for name in names)
    print(f"{len(record.results)} results in {seconds:.0f} s, {given.jobs} workers; {injected} faults injected")
    print(f"{lost} lost, {doubled} doubled, {'not ' * (not moved)}out of order, {len(wrong)} not as expected")
    print(f"{grown:+.0f} MB from 20 % of the checks to the end, {seen[-1][1] - seen[1][1]:+d} files, {len(left)} left")
    print("\n".join(wrong[:20]))
    sys.exit(bool(lost or doubled or moved or wrong or left or not record.complete))


if __name__ == "__main__":
    main()
