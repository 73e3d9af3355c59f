"""The mutation score: `python -m liars`, with the folder `tests` on the path.

It judges every liar and every correct implementation by the built-in cases and prints, for each category, how many of
the lies are caught, then what was not as it should be, with the simplest evidence. Exits with 1 if a liar survives or
a correct implementation is flagged, with 3 if a framework that was asked for is not there, or nothing was judged.
Those over JAX, which compiles for every shape and format, answer a sample of the questions unless all is asked for.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from liars.catalogue import CORRECT, LIARS, fixed
from liars.entries import CATEGORIES, Correct, Liar
from liars.judging import Trial, flagged, text, tried

One = TypeVar("One", Liar, Correct)

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow")


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m liars", description="Print the mutation score of the cases.")
    parser.add_argument("--fixed", type=int, metavar="N", help="the same N liars every time; CI takes 30")
    parser.add_argument("--category", choices=CATEGORIES, help="the liars of one category, and no correct ones")
    parser.add_argument("--framework", choices=FRAMEWORKS, help="what is written for one framework")
    parser.add_argument("--in-full", action="store_true", help="ask those over JAX everything too, a matter of an hour")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, print, and return the exit status."""
    asked = _asked(arguments)
    here = [name for name in FRAMEWORKS if importlib.util.find_spec(name) is not None]
    if asked.framework and asked.framework not in here:
        print(f"{asked.framework} is not installed", file=sys.stderr)
        return 3
    wanted = [asked.framework] if asked.framework else FRAMEWORKS
    chosen = [one for one in LIARS if one.framework in wanted and asked.category in (None, one.category)]
    liars = chosen if asked.fixed is None else fixed(chosen, asked.fixed)
    correct = [] if asked.category else [one for one in CORRECT if one.framework in wanted]
    few = set() if asked.in_full else {"jax"}
    trials = [tried(one, operation, one.framework in few) for one in _present(liars, here) for operation in one.clauses]
    alarms = [line for one in _present(correct, here) for line in _alarms(one, one.framework in few)]
    _print_table(trials)
    print(f"{len(_present(correct, here))} correct implementations, {len(alarms)} flagged")
    absent = [one.name for one in (*liars, *correct) if one.framework not in here]
    if absent:
        print(f"not tested, the framework is not installed: {', '.join(absent)}")
    lines = [line for trial in trials if not trial.caught for line in _evidence(trial)] + alarms
    if lines:
        print("\n" + "\n".join(lines))
    return 1 if lines else 0 if trials else 3


def _present(those: Iterable[One], here: Sequence[str]) -> list[One]:
    return [one for one in those if one.framework in here]


def _print_table(trials: Sequence[Trial]) -> None:
    print(f"{'category':<16}{'caught':>8}{'all':>6}{'score':>8}")
    for name in (*CATEGORIES, "together"):
        those = [trial for trial in trials if name in (trial.liar.category, "together")]
        caught = sum(trial.caught for trial in those)
        if those:
            print(f"{name:<16}{caught:>8}{len(those):>6}{caught / len(those):>8.1%}")


def _evidence(trial: Trial) -> list[str]:
    """Say what a liar got away with, or was wrongly caught for."""
    liar, lines = trial.liar, []
    if trial.missing:
        near = f"; nearest: {text(liar, trial.nearest)}" if trial.nearest else ""
        lines.append(f"survivor {liar.name}.{trial.operation}: not caught under {' '.join(trial.missing)}{near}")
    if trial.stray:
        lines.append(
            f"elsewhere {liar.name}.{trial.operation}: fails what is not its lie: {text(liar, trial.stray[0])}"
        )
    return lines


def _alarms(one: Correct, sampled: bool) -> list[str]:
    found = [(operation, flagged(one, operation, sampled)) for operation in one.operations]
    return [f"false alarm {one.name}.{operation}: {text(one, those[0])}" for operation, those in found if those]


if __name__ == "__main__":
    sys.exit(main())
