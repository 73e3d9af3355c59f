"""A search for inputs on which a kernel exceeds its bound: none for a correct one, soon for one made wrong on purpose.

CMA-ES (N. Hansen, *The CMA evolution strategy: a tutorial*, arXiv:1604.00772) climbs the logarithm of the largest share
of the bound over a common shift, a scale, a gap between the first class and the others, and the number of classes.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conftest import need
from lossparity.formats import FORMATS
from simulated import WRONG, Floats, Posed, machines, pose, results
from test_bounds import CAUGHT

pytestmark = pytest.mark.long

# Rows, most classes and most evaluations of a search that is to find nothing, and of one that is to find something.
CORRECT = (4, 120, 160)
INCORRECT = (16, 400, 80)
SEARCHES = (
    ("softmax", "value"),
    ("softmax", "gradient"),
    ("log_softmax", "value"),
    ("log_softmax", "gradient"),
    ("cross_entropy", "value"),
    ("cross_entropy", "gradient"),
)


@pytest.fixture(scope="module")
def cma() -> Any:
    need("cma")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses matplotlib, which nothing here draws with
        return importlib.import_module("cma")


def logits(at: Floats, fmt: str, seed: int, rows: int, most_classes: int) -> Floats:
    """Make logits of (shift, scale, gap, log K), each coordinate of the order of 1; shifts grow exponentially."""
    shift, scale, gap, log_k = at.tolist()
    k = int(np.clip(np.rint(np.exp(np.clip(log_k, 0, 6))), 2, most_classes))
    x = np.random.RandomState(seed).standard_normal((rows, k)) * np.exp(np.clip(scale, -20, 6))
    x[:, 0] += 10 * np.clip(gap, -30, 30)
    # The bounds speak of rounding: no sum over classes or rows is to overflow binary16.
    most = FORMATS[fmt].largest / 4
    return np.clip(x, -most / (rows * k), most / (rows * k)) + np.clip(np.sinh(3 * shift), -most, most)


def climb(
    cma: Any, share: Callable[[Floats], float], seed: int, evaluations: int, enough: float = np.inf
) -> tuple[float, int]:
    """Return the largest share found, and after how many evaluations; stop where it is more than enough."""
    start = np.array([0.0, 0.0, 0.0, np.log(8)])
    search = cma.CMAEvolutionStrategy(start, 1.0, {"seed": seed + 1, "verbose": -9})
    best, at, asked = 0.0, 0, 0
    while asked < evaluations and best <= enough:
        candidates = search.ask()
        shares = [share(np.asarray(one)) for one in candidates]
        search.tell(candidates, [-np.log(max(one, 1e-300)) for one in shares])
        for one in shares:
            asked += 1
            if one > best:
                best, at = one, asked
    return best, at


def largest(posed: Posed, quantity: str, of: str, seed: int) -> float:
    """Return the largest share that a fifth of the correct machines reach."""
    some = machines(posed.format, seed, of=of)[seed % 5 :: 5]
    found = results(posed, quantity, some, 4 if posed.problem.operation == "cross_entropy" else 2)
    return max(posed.share(quantity, got, of, flushed=machine.flush) for got, machine, _ in found)


@pytest.mark.parametrize("of", ["tight", "loose"])
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(("operation", "quantity"), SEARCHES)
def test_no_search_finds_a_correct_kernel_beyond_its_bound(
    cma: Any, operation: str, quantity: str, fmt: str, of: str
) -> None:
    seed = 7 * SEARCHES.index((operation, quantity)) + [*FORMATS].index(fmt)
    keywords: dict[str, Any] = {"reduction": "sum"} if operation == "cross_entropy" else {}
    if operation == "cross_entropy" and seed % 2:
        keywords["label_smoothing"] = 0.1

    rows, classes, evaluations = CORRECT

    def share(at: Floats) -> float:
        posed = pose(operation, fmt, logits(at, fmt, seed, rows, classes), seed=seed, **keywords)
        return largest(posed, quantity, of, seed)

    best, asked = climb(cma, share, seed, evaluations)
    print(f"{operation} {quantity}, {fmt}: {best:.3f} of the {of} bound, found by evaluation {asked}")
    assert 0.05 < best <= 1


@pytest.mark.parametrize(("name", "fmt"), [(name, fmt) for name, row in CAUGHT.items() for fmt in row if row[fmt]])
def test_a_search_finds_a_wrong_kernel_beyond_its_bound(cma: Any, name: str, fmt: str) -> None:
    kernel, caught = WRONG[name], CAUGHT[name][fmt]
    assert caught is not None
    bound, (rows, classes, evaluations) = caught[0], INCORRECT

    def share(at: Floats) -> float:
        posed = kernel.posed(fmt, logits(at, fmt, 5, rows, classes), 5)
        return posed.share(kernel.quantity, kernel.computed(posed), bound)

    best, asked = climb(cma, share, 5, evaluations, enough=1.0)
    print(f"{name}, {fmt}: {best:.3g} of the {bound} bound, found by evaluation {asked}")
    assert best > 1
