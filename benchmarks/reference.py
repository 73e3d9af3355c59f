"""Speed of the certified reference, the bounds and the judging, side by side with numpy.exp and mpmath in one run.

    OMP_NUM_THREADS=1 python benchmarks/reference.py [--rows 4096] [--classes 32768] [--rounds 3]

One array of (rows, classes) logits, uniformly seeded. Every line is a rate on that array and its ratio to the rate of
numpy.exp in binary64 on the same array, block by block into memory that is already there (without the page faults that
would make numpy.exp look slow); the rounds are interleaved, and the best of each is taken, because the others measure
what else the machine did. The small check is 64 elements from Problem to Judgement, nothing cached, the median of many.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import mpmath
import numpy as np

from lossparity.formats import FORMATS, Array
from lossparity.judge import judge
from lossparity.reference import Answer, Problem

OPERATIONS = (
    ("softmax", "value"),
    ("log_softmax", "value"),
    ("cross_entropy", "value"),
    ("cross_entropy", "gradient"),
    ("softmax", "gradient"),
    ("log_softmax", "gradient"),
)
BLOCK = 1 << 16


def answer(operation: str, quantity: str, fmt: str, logits: Array) -> Answer:
    """Ask a question about the logits; nothing of it is computed yet."""
    arrays, rng, shape = {"logits": logits}, np.random.RandomState(1), logits.shape
    if operation == "cross_entropy":
        arrays["target"] = Array.of(rng.randint(0, shape[1], shape[0]), "int64")
    if quantity == "gradient":
        scalar = operation == "cross_entropy"
        arrays["upstream"] = Array.of(1.0, fmt) if scalar else logits
    return Answer(Problem(operation, arrays, {}), quantity, fmt)


def result(asked: Answer) -> Array:
    """Return a plausible result: the exact value, off by up to 1.5 ulp of the arithmetic, rounded to the format."""
    rng, rows = np.random.RandomState(2), []
    off = 3 * min(FORMATS[asked.format].unit, FORMATS["float32"].unit)
    for block in asked.blocks():
        high = block.certified.high
        rows.append(Array.of(high * (1 + off * rng.uniform(-1, 1, high.shape)), asked.format).data)
    return Array(asked.format, np.concatenate(rows).reshape(asked.shape))


def reference(asked: Answer) -> None:
    """Compute every block's certified values, and drop them."""
    for block in asked.blocks():
        _ = block.certified


def exponential(values: Array) -> Callable[[], object]:
    """Return numpy.exp in binary64 over the same array, by blocks into one buffer."""
    flat = values.data.reshape(-1)
    buffer = np.empty(BLOCK)

    def compute() -> None:
        for start in range(0, flat.size, BLOCK):
            part = flat[start : start + BLOCK]
            np.exp(part, out=buffer[: part.size], dtype=np.float64)

    return compute


def best(rounds: int, tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the shortest time of each task, the tasks taking turns."""
    seconds = dict.fromkeys(tasks, np.inf)
    for _ in range(rounds):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return seconds


def large(rows: int, classes: int, rounds: int) -> None:
    """Measure the rates on the large array."""
    drawn = 3 * np.random.RandomState(0).standard_normal((rows, classes)).astype(np.float32)
    for fmt in ("float32", "bfloat16", "float16", "float64"):
        # Binary64 is an order of magnitude dearer: fewer rows of the same array.
        logits = Array.of(drawn if fmt != "float64" else drawn[: max(rows // 16, 1)], fmt)
        wide = Array.of(drawn[: logits.shape[0]], "float64")
        for operation, quantity in OPERATIONS:

            def ask(operation: str = operation, quantity: str = quantity, logits: Array = logits) -> Answer:
                return answer(operation, quantity, logits.format, logits)

            got = result(ask())
            tasks: dict[str, Callable[[], object]] = {
                "exp": exponential(wide),
                "reference": lambda ask=ask: reference(ask()),  # type: ignore[misc]
                "all": lambda ask=ask, got=got: judge(got, ask(), flushed=False),  # type: ignore[misc]
            }
            seconds = best(rounds, tasks)
            rate = {name: logits.data.size / 1e6 / s for name, s in seconds.items()}
            print(
                f"{fmt:9} {operation:14}{quantity:9} reference {rate['reference']:7.1f} Melem/s "
                f"({rate['reference'] / rate['exp']:6.1%} of exp)   with bounds and judging {rate['all']:6.1f}",
                flush=True,
            )


def small(repeats: int = 400) -> None:
    """Measure a check of 64 elements."""
    for fmt in ("float32", "float64"):
        logits = Array.of(3 * np.random.RandomState(0).standard_normal((4, 16)), fmt)
        for operation, quantity in OPERATIONS:
            got, times = result(answer(operation, quantity, fmt, logits)), []
            for _ in range(repeats):
                asked = answer(operation, quantity, fmt, logits)
                began = time.perf_counter()
                judge(got, asked, flushed=False)
                times.append(time.perf_counter() - began)
            print(
                f"{fmt:9} {operation:14}{quantity:9} 64 elements: {statistics.median(times) * 1e3:.2f} ms", flush=True
            )


def against_mpmath(classes: int = 2000) -> None:
    """Compare the softmax of one row with mpmath at 60 digits."""
    row = Array.of(3 * np.random.RandomState(0).standard_normal((1, classes)), "float32")

    def precise() -> list[mpmath.mpf]:
        with mpmath.workdps(60):
            e = [mpmath.exp(mpmath.mpf(float(x))) for x in row.data[0]]
            total = mpmath.fsum(e)
            return [one / total for one in e]

    many = Array.of(np.tile(row.data, (2000, 1)), "float32")
    seconds = best(2, {"mpmath": precise, "reference": lambda: reference(answer("softmax", "value", "float32", many))})
    ratio = seconds["mpmath"] / classes / (seconds["reference"] / many.data.size)
    print(f"softmax, reference over mpmath at 60 digits: {ratio:.0f} times the rate")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--classes", type=int, default=32768)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    small()
    against_mpmath()
    large(given.rows, given.classes, given.rounds)
