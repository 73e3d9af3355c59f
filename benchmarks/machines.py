"""What reports for machines take: bytes and seconds of CPU, of records in which all passes and in which all fails.

    PYTHONPATH=tests python benchmarks/machines.py [--results N]

The records are made in memory (tests/record_factory.py). Each failure has a cause of its own and a message of 2,000
characters, so that the limits are reached: 30 MB of JUnit XML, 900 KB of GitHub's summary.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import msgspec

import record_factory
from lossparity.record import Cause, Footer, Record
from lossparity_reports import annotating, badge, github, junit


def failing(record: Record) -> Record:
    """Return a record whose results all fail."""
    wrong = [msgspec.structs.replace(one, verdict="fail", grade="wrong", message="x " * 1000) for one in record.results]
    causes = [Cause(f"cause {number}", one.message, [one.key]) for number, one in enumerate(wrong)]
    footer = Footer({"fail": len(wrong)}, [], 1.0, 1, causes)
    return Record(record.header, record.environments, record.cases, wrong, footer=footer)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=50_000)
    passing = record_factory.many(parser.parse_args().results)
    made: dict[str, Callable[[Record], str]] = {
        "junit": junit.render,
        "github, summary": github.render,
        "github, annotations": lambda record: "\n".join(annotating.commands(record)),
        "badge": badge.render,
    }
    for what, record in (("pass", passing), ("fail", failing(passing))):
        print(f"{len(record.results)} results, all {what}")
        for name, render in made.items():
            began = time.process_time()
            size = len(render(record).encode())
            print(f"  {name:20} {size / 1e6:8.3f} MB {time.process_time() - began:7.2f} s")


if __name__ == "__main__":
    main()
