"""How often `lossparity bench` is wrong: the same function against itself, and against itself made a tenth slower.

    PYTHONPATH=tests python benchmarks/speed.py [--trials N] [--hogs N] [--allocator NAME]

Every trial is one case of a job, timed as `lossparity bench` does it: rounds in random order, intervals, and what
differs seen twice. Three backends take part, whose code is the same (tests/hasty.py): `honest` is what the others are
compared with, `again` is a second process of it, and `slower` takes a tenth more time for each call. *False slower*
counts the trials of `again` that are called slower, *false faster* those called faster, *found* those of `slower` that
are called slower. `--hogs` starts so many processes that do nothing but take a processor. The status is 1 where more
than 1 % are false, less than 90 % are found, or any time is refused.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import hasty
from lossparity import registry
from lossparity.model import Backend
from lossparity.ratios import FASTER, INCONCLUSIVE, LEAST, SAME, SLOWER
from lossparity.record import Record, Writer, read
from lossparity.registry import registered
from lossparity.speed.bench import ALLOCATORS, Bench, bench
from lossparity.speed.rounds import Limits

ADAPTERS = {"honest": "hasty:Honest", "again": "hasty:Again", "slower": "hasty:Slower"}


def _burn() -> None:
    while True:
        pass


@contextmanager
def hogs(number: int) -> Iterator[None]:
    """Have so many processes take a processor each."""
    processes = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(number)]
    for one in processes:
        one.start()
    try:
        yield
    finally:
        for one in processes:
            one.kill()
            one.join()


def timed(trials: int, allocator: str) -> Record:
    """Run a job of so many trials and return its record."""
    numpy = registered()["numpy"]
    entries = {f"numpy.{name}": replace(numpy, adapter=adapter) for name, adapter in ADAPTERS.items()}
    backends = [Backend("numpy", name) for name in ADAPTERS]
    cases = [replace(hasty.CASE, id=f"trial/{n}") for n in range(trials)]
    plan = Bench(backends, cases, backends[0], passes=["forward"], limits=Limits(40, LEAST, 20.0), allocator=allocator)
    began = time.monotonic()

    def told(done: int, total: int, doing: str, left: float | None) -> None:
        if doing.endswith("making the inputs") and done % 10 == 0:
            about = f", about {left / 60:.0f} min left" if left else ""
            print(f"{done} of {total} trials after {time.monotonic() - began:.0f} s{about}", file=sys.stderr)

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(registry, "registered", lambda: registered() | entries),
    ):
        path = Path(folder) / "speed.jsonl"
        with Writer(path) as writer:
            bench(plan, writer, told)
        return read(path)


def main() -> int:
    """Run the trials and print what they came to; return 1 where that is not good enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--hogs", type=int, default=0)
    parser.add_argument("--allocator", choices=sorted(ALLOCATORS), default="system")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(hasty.__file__).parent), os.environ.get("PYTHONPATH", "")])
    with hogs(given.hogs):
        record = timed(given.trials, given.allocator)
    print(f"{given.trials} trials, {given.hogs} hogs, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} after")
    print(f"{'':10}{SLOWER:>9}{FASTER:>9}{SAME:>9}{INCONCLUSIVE:>14}   median ratio   median interval")
    counts: dict[str, Counter[str]] = {}
    for name in ("again", "slower"):
        found = [one for one in record.ratios if one.check.endswith(f".{name}")]
        counts[name] = Counter(one.verdict for one in found)
        ratios = sorted(one.first.ratio for one in found)
        widths = sorted(one.first.high / one.first.low - 1 for one in found)
        said = "".join(f"{counts[name][v]:>{w}}" for v, w in ((SLOWER, 9), (FASTER, 9), (SAME, 9), (INCONCLUSIVE, 14)))
        print(f"{name:10}{said}   {ratios[len(ratios) // 2]:.3f}{widths[len(widths) // 2]:>18.1%}")
    refused = [one for one in record.speeds if one.refused]
    print(f"{len(refused)} refused", *(f"  {one.check}: {one.refused}" for one in refused), sep="\n")
    false = counts["again"][SLOWER] + counts["again"][FASTER]
    return int(bool(refused) or false > 0.01 * given.trials or counts["slower"][SLOWER] < 0.9 * given.trials)


if __name__ == "__main__":
    sys.exit(main())
