"""Real kernels, each in a worker as in a run, on inputs that find bugs: what is wrong is expected, and confirmed.

The inputs are made here and owe nothing to the built-in cases. A result that is judged wrong, or cannot be certified,
has to stand in the table of deviations, and what stands there has to occur. Each is confirmed by mpmath at 60 digits:
the worst element is off by more than any correct arithmetic of its format could be.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest

import oracle
from conftest import FRAMEWORKS, need
from lossparity.formats import FORMATS, Array, ulp
from lossparity.judge import judge
from lossparity.model import Grade, Produced, Request
from lossparity.reference import Answer, Problem
from lossparity.registry import registered
from lossparity.workers import Worker

pytestmark = pytest.mark.long

Floats = npt.NDArray[np.float64]
Key = tuple[str, str, str, str, str]
QUANTITIES = ("value", "gradient")
ROWS, CLASSES = 16, 17
COMPILING = ("tensorflow", "jax")
SEEDS = 3


@dataclass(frozen=True, eq=False)
class Posed:
    """One call: a family of inputs, an operation with its keywords under a name, and the arrays of a format."""

    family: str
    operation: str
    form: str
    format: str
    arrays: dict[str, Array]
    keywords: dict[str, Any]

    @property
    def request(self) -> Request:
        return Request("", self.operation, self.arrays, self.keywords)


def logits(family: str, fmt: str, seed: int) -> Floats:
    """Return the logits of a family, before they are rounded to the format."""
    f, rng = FORMATS[fmt], np.random.default_rng([seed, *map(ord, family)])
    shape, row, cls = (ROWS, CLASSES), np.arange(ROWS)[:, None], np.arange(CLASSES)
    normal = rng.standard_normal(shape)
    if family == "common offset":
        # +-2^k, up to the end of the format; beyond 2^precision neighbours collapse into ties.
        p = f.precision
        powers = np.array([0, 3, p // 2, p - 4, p - 2, p, (p + f.emax) // 2, f.emax - 1])
        return np.where(row % 2, -1.0, 1.0) * np.ldexp(1.0, powers[row // 2]) + 2 * normal
    if family == "rising certainty":  # R = 2^0, 2^-4, ..., 2^-60
        return np.where(cls == 3, 0.0, -np.log(CLASSES - 1) - 4 * np.log(2) * row + 1e-3 * normal)
    if family == "masked":
        return np.where((rng.random(shape) < 0.4) & (cls != 5), -inf, 3 * normal)
    if family == "one finite":
        return np.where(cls == row, 2.0, -inf)
    return {
        "tame": 3 * normal,
        "wide": 30 * normal,
        "underflowing": -rng.uniform(0.9, 1.1, shape) * np.where(cls == 0, 0.0, -np.log(f.smallest_normal)),
        "widest": rng.uniform(-0.24, 0.24, shape) * f.largest,
        "equal": np.broadcast_to(np.ldexp(0.7, row - 12), shape),
        "ties": np.where(rng.random(shape) < 0.3, 2.5, -np.abs(3 * normal)),
        "subnormal": normal * f.smallest_normal,
    }[family]


FAMILIES = (
    "tame",
    "common offset",
    "wide",
    "underflowing",
    "widest",
    "rising certainty",
    "equal",
    "ties",
    "masked",
    "one finite",
    "subnormal",
)
# Around the lengths at which kernels change their way of adding up; the frameworks that compile for each take a few.
SIZES = (1, 2, 3, *(2**power + n for power in (3, 4, 5, 7, 10, 12, 16) for n in (-1, 0, 1)))
FEW_SIZES = (1, 2, 1025)
MANY = 70000  # past 65504, the end of binary16


_NONE = {"reduction": "none"}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("softmax", {}),
    "log_softmax": ("log_softmax", {}),
    "index": ("cross_entropy", _NONE),
    "probabilities": ("cross_entropy", _NONE),
    "smoothed": ("cross_entropy", {**_NONE, "label_smoothing": 0.1}),
    "sum": ("cross_entropy", {"reduction": "sum"}),
    "mean": ("cross_entropy", {"reduction": "mean"}),
    "weighted": ("cross_entropy", {"reduction": "mean", "label_smoothing": 0.1}),  # a fourth of the rows ignored
}
SIMPLE = ("softmax", "log_softmax", "index")


def pose(family: str, form: str, fmt: str, x: Floats) -> Posed:
    """Pose one form of call on logits."""
    operation, keywords = FORMS[form]
    first = Array.of(x, fmt)
    n, k = first.shape
    arrays = {"logits": first}
    if operation == "cross_entropy":
        target = np.arange(n) * 5 % k
        arrays["target"] = Array.of(
            np.where(np.arange(n) % 4 == 1, -100, target) if form == "weighted" else target, "int64"
        )
    if form == "probabilities":
        arrays["target"] = Array.of(np.random.default_rng(k).dirichlet(np.ones(k), n), fmt)
    if form == "weighted":
        arrays["weight"] = Array.of(np.resize([1.0, 0.5, 3.0, 0.25], k), fmt)
    shape = (n, k) if operation != "cross_entropy" else (n,) if keywords["reduction"] == "none" else ()
    # Not uniform, and of both signs.
    arrays["upstream"] = Array.of(np.resize([1.0, -0.3, 2.5, 0.125, -1.7, 0.0, 3.0], shape) if shape else 1.7, fmt)
    return Posed(family, operation, form, fmt, arrays, keywords)


def calls(fmt: str, compiled: bool) -> Iterator[Posed]:
    """Yield every call in one format."""

    def posed(family: str, x: Floats, which: tuple[str, ...]) -> Iterator[Posed]:
        return (pose(family, form, fmt, x) for form in which)

    for family, seed in itertools.product(FAMILIES, range(SEEDS)):
        # A sum of losses that nears the end of the format may overflow on the way (D2).
        which = SIMPLE if family == "widest" else (*SIMPLE, "probabilities", "sum", "weighted")
        yield from posed(family, logits(family, fmt, seed), which)
    for k in FEW_SIZES if compiled else SIZES:
        x = np.random.default_rng(k).standard_normal((3, k)) * np.array([[0.0], [2.0], [10.0]])
        yield from posed(f"K = {k}", x, SIMPLE)
    if fmt in ("float16", "float32") or not compiled:
        x = np.random.default_rng(1).standard_normal((3, MANY)) * np.array([[0.0], [0.5], [2.0]])
        x[2, :65536] = -inf
        yield from posed(f"K = {MANY}", x, (*SIMPLE, "smoothed"))
    if fmt == "float16":
        x = np.resize([[0.0, 0.25], [0.5, -0.5], [0.0, 0.0]], (65600, 2))
        yield from posed("N = 65600", x, ("index", "mean", "sum"))


@pytest.fixture(scope="module", params=FRAMEWORKS)
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """One worker a framework."""
    need(request.param)
    one = Worker(registered()[request.param].adapter, "cpu", 300.0)
    assert one.wait_ready(), one.unavailable
    yield one
    one.close()


def framework(worker: Worker) -> str:
    return next(name for name in FRAMEWORKS if name in worker.details)


@dataclass(frozen=True)
class Deviation:
    """What a framework gets wrong: forms of call, quantities and families in one format, every one of them."""

    framework: str
    format: str
    forms: tuple[str, ...]
    quantities: tuple[str, ...]
    families: tuple[str, ...]
    reason: str

    def results(self) -> Iterator[Key]:
        """Yield each result that it stands for."""
        for form, quantity, family in itertools.product(self.forms, self.quantities, self.families):
            yield self.framework, self.format, form, quantity, family


_SUM = "the sum of the exponentials is stored in binary16, where it is inf; ln K and 1 / K are representable (D2)"
DEVIATIONS = (
    Deviation(
        "torch",
        "float16",
        ("log_softmax", "index"),
        QUANTITIES,
        ("K = 65535", "K = 65536", "K = 65537", f"K = {MANY}"),
        _SUM,
    ),
    Deviation("torch", "float16", ("smoothed",), QUANTITIES, (f"K = {MANY}",), _SUM),
    Deviation(
        "torch",
        "float16",
        ("mean",),
        QUANTITIES,
        ("N = 65600",),
        "the number of rows is stored in binary16, where it is inf; the mean is representable (D2)",
    ),
    Deviation("tensorflow", "float16", ("softmax", "log_softmax", "smoothed"), QUANTITIES, (f"K = {MANY}",), _SUM),
    Deviation("jax", "float16", ("softmax", "log_softmax", "index", "smoothed"), QUANTITIES, (f"K = {MANY}",), _SUM),
    Deviation(
        "jax",
        "float16",
        ("softmax",),
        ("gradient",),
        ("K = 1025",),
        "the square of the sum of the exponentials is inf in binary16 once the sum is 256, and sum p v is lost (D2)",
    ),
)


@pytest.fixture(scope="module")
def largest() -> Iterator[dict[tuple[str, str, str], dict[str, float]]]:
    """The largest share of the loose bound of what passed, by operation, quantity and framework, then by format."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    yield found
    print("\n" + " ".join(f"{word:>13}" for word in ("operation", "quantity", "framework", *FORMATS)))
    for key, row in sorted(found.items()):
        print(" ".join(f"{word:>13}" for word in (*key, *(f"{row[fmt]:.3f}" if fmt in row else "" for fmt in FORMATS))))


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_is_wrong_is_expected_and_true(
    worker: Worker, largest: dict[tuple[str, str, str], dict[str, float]], fmt: str
) -> None:
    name, flushed = framework(worker), worker.details["subnormals"] == "flushed"
    wrong, refuted, unexplained = set[Key](), [], []
    expected = {key: one.reason for one in DEVIATIONS for key in one.results() if key[:2] == (name, fmt)}
    for posed in calls(fmt, name in COMPILING):
        outcome = worker.ask(posed.request)
        assert isinstance(outcome, Produced), (posed.family, posed.form, outcome)
        for quantity, got in (("value", outcome.value), ("gradient", outcome.gradient)):
            assert isinstance(got, Array), (posed.family, posed.form, quantity, got)
            answer = Answer(Problem(posed.operation, posed.arrays, posed.keywords), quantity, fmt)
            found = judge(got, answer, flushed=flushed)
            said = f"{posed.family}, {posed.form}, {quantity}: {found}"
            if found.grade.rank <= Grade.LOOSE.rank:
                row = largest.setdefault((posed.operation, quantity, name), {})
                row[fmt] = max(row.get(fmt, 0.0), found.bound_used or 0.0)
                continue
            key = (name, fmt, posed.form, quantity, posed.family)
            wrong.add(key)
            if key not in expected:
                unexplained.append(said)
            elif found.worst is None or not deviates(found.got, truth(posed, quantity, found.worst), fmt):
                refuted.append(said)
    assert not unexplained, unexplained
    assert not refuted, refuted
    assert not expected.keys() - wrong, "what is expected does not occur any more"


# The exact value of one element, by the definitions at 60 digits; equal logits of a row, and equal rows, only once.


def deviates(got: float, exact: Any, fmt: str) -> bool:
    """Whether a number is off by more than 64 ulp and an eighth of the exact value, or is infinite or NaN for a number.

    Correct arithmetic, every operation rounded, stays well within that for the logits that stand in the table.
    """
    f = FORMATS[fmt]
    assert mpmath.isfinite(exact)
    if not np.isfinite(got):
        return bool(abs(exact) < f.largest)
    error = abs(mpmath.mpf(got) - exact)
    return bool(error > 64 * ulp(float(exact), f) and error > abs(exact) / 8)


def truth(posed: Posed, quantity: str, place: int) -> Any:
    """Return the exact element at a place of the flattened result."""
    x = posed.arrays["logits"].exact()
    row, cls = divmod(place, x.shape[1])
    with mpmath.workdps(60):
        if posed.operation == "cross_entropy":
            if quantity == "gradient":
                return _loss_gradient(posed, x, row, cls)
            reduction = posed.keywords["reduction"]
            if reduction == "none":
                return _loss(posed, x, place)
            alike = Counter((tuple(x[r].tolist()), int(t)) for r, t in enumerate(posed.arrays["target"].data))
            first = {(tuple(x[r].tolist()), int(t)): r for r, t in enumerate(posed.arrays["target"].data)}
            total = mpmath.fsum(count * _loss(posed, x, first[key]) for key, count in alike.items())
            return total / (len(x) if reduction == "mean" else 1)
        z = _z(x[row], float(x[row, cls]))
        if quantity == "value":
            return mpmath.exp(z) if posed.operation == "softmax" else z
        v = posed.arrays["upstream"].exact()[row]
        if posed.operation == "log_softmax":
            return float(v[cls]) - mpmath.exp(z) * mpmath.fsum(v.tolist())
        pairs = Counter(zip(x[row].tolist(), v.tolist(), strict=True))
        mean = mpmath.fsum(n * b * mpmath.exp(_z(x[row], a)) for (a, b), n in pairs.items() if b)
        return mpmath.exp(z) * (float(v[cls]) - mean)


def _z(row: Floats, at: float) -> Any:
    """Return log-softmax of one logit."""
    values, counts = (part.tolist() for part in np.unique(row[np.isfinite(row)], return_counts=True))
    return -mpmath.log(mpmath.fsum(n * mpmath.exp(mpmath.mpf(a) - at) for a, n in zip(values, counts, strict=True)))


def _loss(posed: Posed, x: Floats, row: int) -> Any:
    e, target = mpmath.mpf(posed.keywords.get("label_smoothing", 0)), int(posed.arrays["target"].data[row])
    loss = -(1 - e) * _z(x[row], float(x[row, target]))
    if e:
        values, counts = (part.tolist() for part in np.unique(x[row], return_counts=True))
        loss -= e / x.shape[1] * mpmath.fsum(n * _z(x[row], a) for a, n in zip(values, counts, strict=True))
    return loss


def _loss_gradient(posed: Posed, x: Floats, row: int, cls: int) -> Any:
    n, k = x.shape
    e, reduction = mpmath.mpf(posed.keywords.get("label_smoothing", 0)), posed.keywords["reduction"]
    up = posed.arrays["upstream"].exact().reshape(-1)[row if reduction == "none" else 0]
    q = (1 - e) * int(posed.arrays["target"].data[row] == cls) + e / k
    return float(up) * (mpmath.exp(_z(x[row], float(x[row, cls]))) - q) / (n if reduction == "mean" else 1)


@pytest.mark.parametrize("form", ["softmax", "log_softmax", "index", "smoothed", "mean", "sum"])
def test_the_confirmation_agrees_with_the_oracle(form: str) -> None:
    """The truth of every form that stands in the table, on logits that the other computation at 60 digits can do."""
    assert {form for one in DEVIATIONS for form in one.forms} <= {"softmax", "log_softmax", "index", "smoothed", "mean"}
    x = np.round(3 * np.random.default_rng(3).standard_normal((4, 5)))
    posed = pose("", form, "float32", x)
    target = posed.arrays["target"].data if "target" in posed.arrays else None
    value = oracle.value(posed.operation, x, target, **posed.keywords)
    gradient = oracle.gradient(posed.operation, x, target, posed.arrays["upstream"].exact(), **posed.keywords)
    for quantity, exact in (("value", value), ("gradient", gradient)):
        for place, number in enumerate(exact.reshape(-1)):
            with mpmath.workdps(60):
                assert abs(truth(posed, quantity, place) - number) <= mpmath.mpf(10) ** -50, quantity


@pytest.mark.parametrize("fmt", FORMATS)
def test_rounding_is_no_deviation(fmt: str) -> None:
    exact, f = mpmath.mpf("0.3"), FORMATS[fmt]
    assert not deviates(0.3 * (1 + 40 * f.unit), exact, fmt)
    assert not deviates(0.33, exact, fmt)
    assert deviates(0.0, exact, fmt) and deviates(inf, exact, fmt) and deviates(np.nan, exact, fmt)
    assert not deviates(inf, mpmath.mpf(f.largest) * 2, fmt)
    assert not deviates(0.0, mpmath.mpf(f.smallest_normal) * f.unit, fmt)
