"""The named conventions against formulas of their own: 60 digits in mpmath, and gradients as differences of values."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import inf, nan
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enclosed import disagreements, misses, quantities, question, whole
from lossparity.errors import UsageError
from lossparity.formats import FORMATS, Array
from lossparity.judge import judge
from lossparity.model import Grade
from lossparity.reference import Answer, Problem, problem
from lossparity.reference.arbs import Arbs
from lossparity.reference.conventions import ALTERNATIVES, CONVENTIONS, SPEC, Convention, convention
from lossparity.spec import OPERATIONS, REDUCTIONS

settings.register_profile(
    "conventions",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("conventions")

DIGITS = 90
# f(x + h) - f(x - h) over 2h is off by h^2 / 6 of the third derivative; both values have twice the digits of 1 / h.
STEP, STEP_DIGITS = mpmath.mpf(10) ** -45, 190
TIERS = (0, 1, 2)
SOFTMAXED = ("softmax", "log_softmax", "log_softmax_row_sum", "cross_entropy", "smoothing_term")
LOSSES = ("nll_loss", "cross_entropy", "smoothing_term")
# 1e-7 and 1 - 1e-7 as numbers of each format.
ENDS = {
    "float64": (1e-7, 1 - 1e-7),
    "float32": (float(np.float32(1e-7)), float(np.float32(1 - 1e-7))),
    "bfloat16": (215 * 2.0**-31, 1.0),
    "float16": (2.0**-23, 1.0),
}

Rows = npt.NDArray[Any]  # of mpmath.mpf


def logarithms(c: Convention, fmt: str, row: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return p and log p of one row of logits, by the textbook."""
    for _ in range({"once": 1, "twice": 2}[c.softmax]):
        e = [mpmath.exp(x) for x in row]
        row = [one / mpmath.fsum(e) for one in e]
    base = mpmath.e if c.base == "e" else mpmath.mpf(int(c.base))
    low, high = (mpmath.mpf(0), mpmath.mpf(1)) if c.clip == "none" else map(mpmath.mpf, ENDS[fmt])
    return row, [mpmath.log(min(max(p, low), high)) / mpmath.log(base) if p or low else mpmath.ninf for p in row]


def sample(c: Convention, z: list[Any], q: list[Any], weight: list[Any], smoothing: Any) -> tuple[Any, Any, Any]:
    """Return a row's loss, the weight that it counts with in a mean, and that of its target."""
    k = len(z)
    if c.smoothing == "K":
        smoothed = [(1 - smoothing) * one + smoothing / k for one in q]
    else:
        smoothed = [(1 - smoothing) * one + (smoothing * (1 - one) / (k - 1) if k > 1 else 0) for one in q]
    target, average = (mpmath.fsum(w * one for w, one in zip(weight, of, strict=True)) for of in (q, smoothed))
    each = {"class": weight, "target": [target] * k, "none": [mpmath.mpf(1)] * k, "averaged": [average] * k}[c.weights]
    base = mpmath.e if c.base == "e" else mpmath.mpf(int(c.base))
    loss = mpmath.mpf(0)
    for a, mass, one in zip(each, smoothed, z, strict=True):
        if a * mass:
            loss -= a * mass * one
        if a * mass and c.entropy == "subtracted":
            loss += a * mass * mpmath.log(mass) / mpmath.log(base)
    return (
        loss,
        {"class": target, "target": target, "none": mpmath.mpf(1), "averaged": average}[c.weights],
        mpmath.mpf(1),
    )


class Oracle:
    """The same question as a problem's, answered from the definitions."""

    def __init__(self, asked: Problem) -> None:
        """Take the question apart: class axis last."""
        self.c, self.operation, self.fmt = asked.convention, asked.operation, asked.first.format
        self.axis = -1 if self.c.axis == "last" else min(1, len(asked.shape) - 1)
        self.shape = np.moveaxis(np.empty(asked.shape), self.axis, -1).shape
        self.x = self.rows(asked.first.exact())
        self.weight = [mpmath.mpf(w) for w in asked.arrays["weight"].exact()] if "weight" in asked.arrays else None
        self.smoothing = mpmath.mpf(asked.keywords.get("label_smoothing", 0.0))
        self.reduction = str(asked.keywords.get("reduction", "mean"))
        self.hard = True
        self.targets: list[Any] = []
        k = self.shape[-1]
        if "target" in asked.arrays and asked.arrays["target"].format == "int64":
            ignored = int(asked.keywords.get("ignore_index", -100))
            for y in asked.arrays["target"].exact().reshape(-1).tolist():
                self.targets.append(None if y == ignored else [mpmath.mpf(c == y) for c in range(k)])
        elif "target" in asked.arrays:
            self.hard, self.targets = False, self.rows(asked.arrays["target"].exact())
        self.up = asked.arrays["upstream"].exact() if "upstream" in asked.arrays else np.ones(())

    def rows(self, array: npt.NDArray[Any]) -> list[list[Any]]:
        """Return an array of the logits' shape as rows of numbers."""
        return [[mpmath.mpf(x) for x in row] for row in np.moveaxis(array, self.axis, -1).reshape(-1, self.shape[-1])]

    def restored(self, rows: list[Any]) -> npt.NDArray[Any]:
        """Return rows, or one number a row, in the shape of the result."""
        if rows and isinstance(rows[0], list):
            return np.moveaxis(np.array(rows, dtype=object).reshape(self.shape), -1, self.axis)
        return np.array(rows, dtype=object).reshape(self.shape[:-1])

    def divisor(self) -> Any:
        """Return what a mean is divided by."""
        found = [None if q is None else self.loss(z, q)[1] for z, q in zip(self.x, self.targets, strict=True)]
        valid = [w for w in found if w is not None]
        single = self.weight is None or (not self.hard and self.c.weights in ("class", "none"))
        if self.c.mean == "all":
            return mpmath.mpf(len(found))
        return mpmath.mpf(len(valid)) if self.c.mean == "positions" or single else mpmath.fsum(valid)

    def loss(self, row: list[Any], q: list[Any]) -> tuple[Any, Any, Any]:
        """Return a row's loss and its weights."""
        c = self.c if self.weight is not None else replace(self.c, weights="none")
        weight = [mpmath.mpf(1)] * len(row) if self.weight is None else self.weight
        if self.operation == "nll_loss":
            return sample(replace(c, entropy="kept", base="e"), row, q, weight, mpmath.mpf(0))
        return sample(c, logarithms(c, self.fmt, row)[1], q, weight, self.smoothing)

    def outcome(self, x: list[list[Any]]) -> list[Any]:
        """Return the values at some logits, before their reduction: numbers or rows of numbers."""
        found: list[Any] = []
        for n, row in enumerate(x):
            if self.operation in ("exp", "row_sum"):
                e = [mpmath.exp(one) for one in row]
                found.append(e if self.operation == "exp" else mpmath.fsum(e))
            elif self.operation in ("softmax", "log_softmax"):
                found.append(logarithms(self.c, self.fmt, row)[self.operation == "log_softmax"])
            elif self.operation in ("log_softmax_row_sum", "smoothing_term"):
                total = mpmath.fsum(logarithms(self.c, self.fmt, row)[1])
                found.append(total if self.operation == "log_softmax_row_sum" else -total / len(row))
            else:
                q = self.targets[n]
                found.append(mpmath.mpf(0) if q is None else self.loss(row, q)[0])
        return found

    def value(self) -> npt.NDArray[Any]:
        """Return the value."""
        with mpmath.workdps(DIGITS):
            found = self.outcome(self.x)
            if self.operation not in LOSSES or self.reduction == "none":
                return self.restored(found)
            total = mpmath.fsum(found)
            if self.reduction == "mean" and self.c.mean != "sum":
                d = mpmath.mpf(len(found)) if self.operation == "smoothing_term" else self.divisor()
                total = total / d if d else mpmath.nan
            return np.array(total, dtype=object)

    def gradient(self) -> npt.NDArray[Any]:
        """Return the gradient as a difference of values, row by row."""
        with mpmath.workdps(STEP_DIGITS):
            averaged = self.operation in LOSSES and self.reduction == "mean" and self.c.mean != "sum"
            scale = mpmath.mpf(1)
            if averaged and self.c.gradient == "divided":
                d = mpmath.mpf(len(self.x)) if self.operation == "smoothing_term" else self.divisor()
                if not d:
                    return np.full(self.restored(self.x).shape, None, dtype=object)
                scale = 1 / d
            every = self.operation in ("softmax", "log_softmax", "exp")
            ups: Any = self.rows(self.up) if every else np.broadcast_to(self.up.reshape(-1), (len(self.x),)).tolist()
            result = []
            for n, row in enumerate(self.x):
                gradient = []
                for c in range(len(row)):
                    ends = []
                    for sign in (1, -1):
                        moved = [x + sign * STEP * (i == c) for i, x in enumerate(row)]
                        at = [*self.x[:n], moved, *self.x[n + 1 :]]
                        ends.append(self.outcome(at)[n])
                    both = zip(*ends, ups[n], strict=True) if every else [(*ends, mpmath.mpf(ups[n]))]
                    gradient.append(scale * mpmath.fsum(u * (a - b) for a, b, u in both) / (2 * STEP))
                result.append(gradient)
            return self.restored(result)


def answers(c: Convention, operation: str, fmt: str, x: Any, **more: Any) -> list[Answer]:
    """Return the answers, value first, to one question under a convention."""
    arrays, keywords = question(operation, fmt, x, **more)
    asked = Problem(operation, arrays, keywords, convention=c)
    return [Answer(asked, quantity, fmt) for quantity in quantities(arrays)]


def assert_enclosed(c: Convention, operation: str, fmt: str, x: Any, **more: Any) -> None:
    """Ask that value and gradient are what the oracle says, in every tier, and known to 1e-25."""
    for answer in answers(c, operation, fmt, x, **more):
        found = [whole(answer, tier) for tier in TIERS]
        exact = getattr(Oracle(answer.problem), answer.quantity)()
        said = [miss for one in found for miss in missed(one, exact, answer.quantity)] + disagreements(found)
        assert not said, (str(c), operation, answer.quantity, said[:3])
        size = np.max(np.abs(found[-1].high[np.isfinite(found[-1].high)]), initial=1.0)
        assert np.all(found[-1].radius <= 1e-25 * size)


def missed(found: Any, exact: npt.NDArray[Any], quantity: str) -> list[str]:
    """Say where an enclosure misses; a difference of values is good to 1e-60, or that of the largest, not of each."""
    if quantity == "value":
        return misses(found, exact)
    numbers = [abs(one) for one in exact.ravel() if one is not None]
    wider = replace(found, radius=found.radius + float(max([1, *numbers])) * 1e-60)
    return misses(wider, exact)


def drawn(data: st.DataObject, operation: str, k: int, n: int) -> dict[str, Any]:
    """Draw the parameters of one operation, for n rows of k classes."""
    more: dict[str, Any] = {}
    if "reduction" in OPERATIONS[operation].keywords:
        more["reduction"] = data.draw(st.sampled_from(REDUCTIONS))
    if operation not in ("nll_loss", "cross_entropy"):
        return more
    if data.draw(st.booleans(), "weighted"):
        more["weight"] = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=k, max_size=k))
    target: Any = np.asarray(data.draw(st.lists(st.integers(-1, k - 1), min_size=n, max_size=n)), dtype=np.int64)
    if operation == "cross_entropy":
        more["label_smoothing"] = data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
        if data.draw(st.booleans(), "probabilities"):
            target = np.resize(
                data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=k, max_size=k + 3)), (n, k)
            )
    more["target"] = target
    return more if target.dtype == np.float64 else {**more, "ignore_index": -1}


def conventions() -> st.SearchStrategy[Convention]:
    """Conventions of any combination."""
    return st.builds(Convention, **{name: st.sampled_from(list(choices)) for name, choices in CONVENTIONS.items()})


class Kernel:
    """A plain implementation of a convention in one NumPy format, every operation rounded to it."""

    def __init__(self, asked: Problem) -> None:
        """Take a question apart: two axes, classes last."""
        self.c, self.asked = asked.convention, asked
        self.x = asked.first.data
        self.f = self.x.dtype.type
        n, self.k = self.x.shape
        ones = np.ones(self.k, self.f)
        self.w = asked.arrays["weight"].data if "weight" in asked.arrays and self.c.weights != "none" else ones
        self.e = asked.keywords.get("label_smoothing", 0.0)
        given = asked.arrays["target"]
        self.hard = given.format == "int64"
        self.valid = given.data != -100 if self.hard else np.ones(n, np.bool_)
        self.q = (given.data[:, None] == np.arange(self.k)).astype(self.f) if self.hard else given.data

    def coefficients(self) -> tuple[Any, Any, Any]:
        """Return what multiplies -log p, q' and the weight of each row in a mean."""
        f, w = self.f, self.w
        if self.c.smoothing == "K":
            q = f(1 - self.e) * self.q + f(self.e / self.k)
        else:
            q = f(1 - self.e) * self.q + f(self.e / max(self.k - 1, 1)) * (1 - self.q)
        target, average = ((w * of).sum(axis=1, keepdims=True, dtype=f) for of in (self.q, q))
        a = {"class": w * q, "target": target * q, "none": q, "averaged": average * q}[self.c.weights] * self.valid[
            :, None
        ]
        own = average if self.c.weights == "averaged" else target
        return a, q, own if self.hard or self.c.weights in ("target", "averaged") else np.ones_like(own)

    def divisor(self, own: Any) -> Any:
        """Return the mean's."""
        if self.c.mean == "all":
            return self.f(len(self.x))
        return (own * self.valid[:, None]).sum(dtype=self.f) if self.c.mean == "weights" else self.f(self.valid.sum())

    def log_softmax(self) -> tuple[Any, Any]:
        """Return p and log p, in natural logarithms."""
        x = self.x
        for _ in range({"once": 1, "twice": 2}[self.c.softmax]):
            shifted = x - x.max(axis=1, keepdims=True)
            e = np.exp(shifted)
            total = e.sum(axis=1, keepdims=True, dtype=self.f)
            x = e / total
        return x, shifted - np.log(total)

    def logarithm(self) -> Any:
        """Return what a natural logarithm is divided by."""
        return self.f(np.log(float(self.c.base))) if self.c.base != "e" else self.f(1)

    def value(self) -> Any:
        """Return the loss."""
        a, q, own = self.coefficients()
        loss = -(a * self.log_softmax()[1]).sum(axis=1, dtype=self.f)
        if self.c.entropy == "subtracted":
            loss = loss + (a * np.log(np.where(q > 0, q, self.f(1)))).sum(axis=1, dtype=self.f)
        loss = loss / self.logarithm()
        if self.asked.keywords["reduction"] == "none":
            return loss
        total = loss.sum(dtype=self.f)
        return total if self.asked.reduction == "sum" else total / self.divisor(own)

    def gradient(self) -> Any:
        """Return its gradient, for one softmax."""
        a, _, own = self.coefficients()
        up = self.asked.arrays["upstream"].data
        up = up.reshape(-1, 1) if up.ndim else up
        averaged = self.asked.reduction == "mean" and self.c.gradient == "divided"
        scale = up / self.divisor(own) if averaged else up
        return (self.log_softmax()[0] * a.sum(axis=1, keepdims=True, dtype=self.f) - a) * scale / self.logarithm()


def judged(text: str, fmt: str, quantity: str, x: Any, **more: Any) -> tuple[Grade, Grade]:
    """Return the grades of a plain implementation of a convention: against the convention's result, and the spec's."""
    arrays, keywords = question("cross_entropy", fmt, x, **more)
    asked = Problem("cross_entropy", arrays, keywords, convention=convention(text) if text else SPEC)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        got = Array(fmt, np.asarray(getattr(Kernel(asked), quantity)(), dtype=FORMATS[fmt].storage))
    spec = Problem("cross_entropy", arrays, keywords)
    own, others = (judge(got, Answer(one, quantity, fmt), flushed=False).grade for one in (asked, spec))
    return own, others


ROUNDED = [text for text in ALTERNATIVES if text not in ("axis=last", "clip=1e-7")]
UNLIKE = {"value": set(ROUNDED) - {"gradient=undivided"}, "gradient": set(ROUNDED) - {"entropy=subtracted"}}


@pytest.mark.parametrize("fmt", ["float64", "float32", "float16"])
@pytest.mark.parametrize("text", ROUNDED)
def test_a_plain_implementation_of_a_convention_is_within_its_bounds_and_not_within_the_specs(
    text: str, fmt: str
) -> None:
    rng, unlike = np.random.RandomState(5), set()
    for k, spread, smoothing, reduction in itertools.product((2, 7, 1500), (1.0, 12.0), (0.1, 0.3), REDUCTIONS):
        x, weight = spread * rng.standard_normal((6, k)), rng.choice([0.25, 0.75, 1.5], k)
        probabilities = rng.uniform(0, 1, (6, k))
        labels = np.where(np.arange(6) == 3, -100, rng.randint(0, k, 6))
        for target in (labels, probabilities / probabilities.sum(axis=1, keepdims=True)):
            more = {"target": target, "weight": weight, "label_smoothing": smoothing, "reduction": reduction}
            for quantity in ("value", "gradient"):
                grade, others = judged(text, fmt, quantity, x, **more)
                soft = target is not labels and "K-1" in text
                vacuous = (
                    soft
                    or ("K-1" in text and smoothing * k > (k - 1) / 2)
                    or (quantity == "gradient" and text == "softmax=twice")
                )
                if vacuous:
                    assert grade is Grade.UNCERTIFIED, (k, spread, smoothing, reduction, quantity)
                else:
                    assert grade.rank <= Grade.LOOSE.rank, (k, spread, smoothing, reduction, quantity, grade)
                if others is Grade.WRONG:
                    unlike.add(quantity)
    assert unlike == {quantity for quantity, texts in UNLIKE.items() if text in texts}


@settings(max_examples=150)
@given(st.data())
def test_a_plain_implementation_of_several_conventions_at_once_is_within_their_bounds(data: st.DataObject) -> None:
    c = replace(data.draw(conventions()), clip="none", axis="1")
    rng = np.random.RandomState(data.draw(st.integers(0, 999), "seed"))
    n, k = int(rng.choice([1, 4, 30])), int(rng.choice([2, 3, 33, 1000]))
    x = rng.choice([0.01, 1.0, 12.0, 60.0]) * rng.standard_normal((n, k))
    q = rng.uniform(0, 1, (n, k)) ** rng.choice([1, 8])
    labels = np.where(np.arange(n) % 5 == 4, -100, rng.randint(0, k, n))
    more = {
        "target": q / q.sum(axis=1, keepdims=True) if data.draw(st.booleans(), "probabilities") else labels,
        "label_smoothing": data.draw(st.sampled_from([0.0, 0.01, 0.1, 0.3])),
        "reduction": data.draw(st.sampled_from(REDUCTIONS)),
        "weight": rng.choice([0.1, 0.25, 1.0, 3.0], k),
    }
    fmt = data.draw(st.sampled_from(["float64", "float32", "float16"]), "format")
    for quantity in ("value", "gradient"):
        grade, _ = judged(str(c), fmt, quantity, x, **more)
        assert grade is not Grade.WRONG, quantity


def test_no_bound_is_derived_of_a_clipped_probability() -> None:
    for quantity in ("value", "gradient"):
        arrays, keywords = question("cross_entropy", "float32", [[1.0, 2.0]], target=[0])
        answer = Answer(
            Problem("cross_entropy", arrays, keywords, convention=convention("clip=1e-7")), quantity, "float32"
        )
        got = Array.of(answer.whole(), "float32")
        assert judge(got, answer, flushed=False).grade is Grade.UNCERTIFIED


LOGITS = np.array([[2.0, 1.0, 0.0, -1.0, 0.5], [-3.0, 4.0, 0.25, 0.25, -20.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
LABELS: list[int] = [0, 4, 2]
SMOOTHED: dict[str, Any] = {"label_smoothing": 0.1, "weight": [1.0, 0.5, 2.0, 3.0, 0.25]}


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("text", ["", *ALTERNATIVES])
def test_every_convention_is_its_own_formula(text: str, fmt: str) -> None:
    c, reductions = ALTERNATIVES.get(text, SPEC), itertools.cycle(REDUCTIONS)
    for _ in range(1 + list(FORMATS).index(fmt)):
        reduction = next(reductions)
    assert_enclosed(c, "cross_entropy", fmt, LOGITS, target=LABELS, reduction=reduction, **SMOOTHED)
    more: dict[str, Any] = {"label_smoothing": 0.25, "reduction": next(reductions)}
    assert_enclosed(c, "cross_entropy", fmt, LOGITS, target=[0, -100, 2], **more)
    q = [[0.5, 0.25, 0.0, 0.25, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [0.125, 0.5, 0.0, 0.0, 0.0]]
    assert_enclosed(c, "cross_entropy", fmt, LOGITS, target=np.array(q), reduction=next(reductions), **SMOOTHED)
    more = {"weight": SMOOTHED["weight"], "reduction": next(reductions)}
    assert_enclosed(c, "nll_loss", fmt, -np.abs(LOGITS), target=[0, -100, 2], **more)
    assert_enclosed(c, "smoothing_term", fmt, LOGITS, reduction=next(reductions))
    for operation in ("softmax", "log_softmax", "log_softmax_row_sum", "exp"):
        assert_enclosed(c, operation, fmt, LOGITS)


def assert_drawn_is_enclosed(data: st.DataObject) -> None:
    c, fmt = data.draw(conventions()), data.draw(st.sampled_from(list(FORMATS)))
    operation = data.draw(st.sampled_from([*SOFTMAXED, "nll_loss", "cross_entropy", "cross_entropy"]))
    n, k = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    numbers = st.sampled_from([0.0, 0.5, -1.0, 2.25, 7.0, 16.0, 16.25, -17.0, 30.0])
    x = np.asarray(data.draw(st.lists(numbers, min_size=n * k, max_size=n * k))).reshape(n, k)
    more = drawn(data, operation, k, n)
    arrays, keywords = question(operation, fmt, x, **more)
    asked = Problem(operation, arrays, keywords, convention=c)
    if asked.reduction == "mean" and asked.nothing_counts:
        found = whole(Answer(asked, "value", fmt), 0)
        assert np.isnan(found.high)
        assert whole(Answer(asked, "gradient", fmt), 0).blank.all()
        return
    assert_enclosed(c, operation, fmt, x, **more)


@settings(max_examples=120)
@given(st.data())
def test_conventions_can_be_combined(data: st.DataObject) -> None:
    assert_drawn_is_enclosed(data)


@pytest.mark.long
@settings(max_examples=3000)
@given(st.data())
def test_conventions_can_be_combined_at_length(data: st.DataObject) -> None:
    assert_drawn_is_enclosed(data)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("smoothing=K", "0.724438"),
        ("smoothing=K-1", "0.761938"),
        ("smoothing=K-1,entropy=subtracted", "0.298226"),
    ],
)
def test_the_figures_of_the_three_ways_to_smooth(text: str, printed: str) -> None:
    for fmt in ("float64", "float32", "bfloat16", "float16"):
        more = {"target": [0], "label_smoothing": 0.1, "reduction": "sum"}
        value, _ = answers(convention(text), "cross_entropy", fmt, [[2.0, 1.0, 0.0, -1.0, 0.5]], **more)
        assert f"{whole(value, 0).high:.6f}" == printed


def test_paddles_figures_with_weights_and_smoothing() -> None:
    """What paddle 3.3.1 printed for this input."""
    more: dict[str, Any] = {"target": [0, 2], "weight": [1.0, 2.0, 4.0], "label_smoothing": 0.1}
    for reduction, printed in (("none", [2.6153, 1.9458]), ("mean", 0.91834)):
        given = answers(
            convention("weights=averaged"),
            "cross_entropy",
            "float64",
            [[1.0, 2.0, 3.0]] * 2,
            reduction=reduction,
            **more,
        )
        assert np.allclose(whole(given[0], 0).high, printed, rtol=0, atol=5e-5)


@pytest.mark.parametrize(("fmt", "printed"), [("float64", 16.118096), ("float32", 16.118096), ("float16", 15.942385)])
def test_a_probability_of_zero_is_clipped_and_not_infinite(fmt: str, printed: float) -> None:
    """Also where a logit is -inf, or all but one are; its gradient is 0. Keras prints 16.118."""
    for x in ([-60.0, 0.0, 0.0], [-inf, 0.0, 0.0], [-inf, -inf, 3.0]):
        value, gradient = answers(convention("clip=1e-7"), "cross_entropy", fmt, [x], target=[0], upstream=1.0)
        assert whole(value, 0).high == pytest.approx(printed, abs=1e-6)
        assert np.array_equal(whole(gradient, 0).high, [[0.0, 0.0, 0.0]])
        (value, _) = answers(convention("clip=1e-7"), "log_softmax", fmt, [x])
        assert whole(value, 1).high[0, 0] == pytest.approx(-printed, abs=1e-6)


def test_a_masked_logit_of_a_softmax_taken_twice_counts_as_a_probability_of_zero() -> None:
    exact = [[float(mpmath.exp(p) / (2 + mpmath.e)) for p in (0, 1, 0)]]
    value, _ = answers(convention("softmax=twice"), "softmax", "float64", [[-inf, 3.0, -inf]])
    assert np.allclose(whole(value, 0).high, exact, rtol=1e-15)
    value, _ = answers(convention("softmax=twice"), "cross_entropy", "float64", [[-inf, 3.0, -inf]], target=[0])
    assert np.allclose(float(whole(value, 0).high), -np.log(exact[0][0]), rtol=1e-15)


@pytest.mark.parametrize("text", ["softmax=twice", "clip=1e-7"])
@pytest.mark.parametrize("row", [[nan, 1.0, 2.0], [inf, 1.0, 2.0], [-inf, -inf, -inf]])
def test_a_row_without_a_softmax_stays_nan(text: str, row: list[float]) -> None:
    for operation in ("log_softmax", "cross_entropy", "log_softmax_row_sum"):
        more: dict[str, Any] = {"target": [1], "reduction": "none"} if operation == "cross_entropy" else {}
        value, gradient = answers(convention(text), operation, "float32", [row], **more)
        assert np.isnan(whole(value, 0).high).all()
        assert not whole(gradient, 0).specified.any()


def test_a_probability_near_an_end_is_left_to_a_tier_that_can_tell() -> None:
    """A third of three classes is near an end that is put there; half of two is the end itself, and not clipped."""
    c = convention("clip=1e-7")
    value, gradient = answers(c, "log_softmax", "float32", [[0.0, 0.0, 0.0], [1.5, 2.5, 1.0]])
    vars(value.problem)["clip"] = (float(np.nextafter(1 / 3, 0)), 1.0)
    for answer in (value, gradient):
        first, second, third = (whole(answer, tier) for tier in TIERS)
        assert np.isinf(first.radius[0]).all()
        assert not np.isinf(first.radius[1]).any()
        assert not np.isinf(second.radius).any()
        assert not disagreements([first, second, third])
    value, gradient = answers(c, "log_softmax", "float32", [[0.0, 0.0]], upstream=[[1.0, 3.0]])
    vars(value.problem)["clip"] = (0.5, 1.0)
    assert np.isinf(whole(value, 1).radius).all()
    assert np.allclose(whole(value, 2).high, -np.log(2.0), rtol=1e-15)
    assert np.array_equal(whole(gradient, 2).high, [[-1.0, 1.0]])


def test_nothing_is_known_of_a_ball_that_is_no_number() -> None:
    found = (Arbs.of([[1.0, 2.0]], 192) + Arbs.of([[0.0, nan]], 192)).enclosed()
    assert np.array_equal(found.high, [[1.0, 0.0]])
    assert np.array_equal(found.radius, [[0.0, inf]])


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 5), (4,), (2, 0, 5)])
@pytest.mark.parametrize("operation", ["softmax", "log_softmax_row_sum", "cross_entropy"])
def test_the_last_axis_can_be_the_classes(operation: str, shape: tuple[int, ...]) -> None:
    x = np.random.RandomState(1).standard_normal(shape)
    more: dict[str, Any] = {}
    if operation == "cross_entropy":
        more = {"reduction": "none", "target": np.random.RandomState(2).randint(0, shape[-1], shape[:-1])}
    last = Problem(
        *_with_upstream(operation, x, shape if operation == "softmax" else shape[:-1], more),
        "",
        Convention(axis="last"),
    )
    moved = np.moveaxis(x, -1, 1) if x.ndim > 1 else x
    for quantity, value in itertools.product(("value", "gradient"), (0, 1)):
        found = whole(Answer(last, quantity, "float64"), value)
        spec = Problem(*_moved(last, moved))
        expected = whole(Answer(spec, quantity, "float64"), value).high
        whole_rows = expected.shape == moved.shape
        assert np.array_equal(found.high, np.moveaxis(expected, 1, -1) if whole_rows and x.ndim > 1 else expected)


def _with_upstream(
    operation: str, x: Any, shape: tuple[int, ...], more: dict[str, Any]
) -> tuple[str, dict[str, Array], dict[str, Any]]:
    keywords = {name: value for name, value in more.items() if name != "target"}
    arrays = {
        "logits": Array.of(x, "float64"),
        "upstream": Array.of(np.random.RandomState(3).standard_normal(shape), "float64"),
    }
    if "target" in more:
        arrays["target"] = Array.of(more["target"], "int64")
    return operation, arrays, keywords


def _moved(last: Problem, moved: Any) -> tuple[str, dict[str, Array], Any]:
    arrays = dict(last.arrays)
    arrays["logits"] = Array.of(moved, "float64")
    up = arrays["upstream"].exact()
    if last.operation == "softmax" and up.ndim > 1:
        arrays["upstream"] = Array.of(np.moveaxis(up, -1, 1), "float64")
    return last.operation, arrays, last.keywords


@pytest.mark.parametrize("text", ["weights=averaged", "weights=target", "mean=all", "smoothing=K-1,entropy=subtracted"])
def test_a_divisor_adds_up_over_blocks(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.RandomState(1).standard_normal((9, 4))
    q = np.random.RandomState(2).randint(0, 5, (9, 4)) / 4
    for target in (q, np.resize([0, 3, -100, 1], 9)):
        more: dict[str, Any] = {"target": target, "label_smoothing": 0.1, "weight": [0.5, 0.0, 2.0, 1.0]}
        at_once = answers(convention(text), "cross_entropy", "float32", x, **more)
        expected = [whole(answer, 0) for answer in at_once]
        monkeypatch.setattr(problem, "_BLOCK", 8)
        monkeypatch.setattr(problem, "_KEPT", 0)
        for one, answer in zip(expected, answers(convention(text), "cross_entropy", "float32", x, **more), strict=True):
            assert not disagreements([one, whole(answer, 0)])
        monkeypatch.undo()


@pytest.mark.parametrize("text", ["mean=positions", "mean=all", "weights=none"])
def test_weights_of_zero_are_an_average_over_something(text: str) -> None:
    """Where the mean does not divide by the weights, those that add up to 0 are no mean over nothing (N3)."""
    more: dict[str, Any] = {"target": [1, 1], "weight": [1.0, 0.0]}
    value, _ = answers(convention(text), "cross_entropy", "float32", [[0.0, 0.0]] * 2, **more)
    assert float(whole(value, 0).high) == (0.0 if text != "weights=none" else pytest.approx(np.log(2.0)))
    value, _ = answers(convention(text), "cross_entropy", "float32", [[0.0, 0.0]], target=[-100])
    assert np.array_equal(whole(value, 0).high, 0.0 if text == "mean=all" else nan, equal_nan=True)


def test_a_weight_that_the_smoothing_brings_counts_in_the_mean() -> None:
    more: dict[str, Any] = {"target": [1], "weight": [1.0, 0.0]}
    value, _ = answers(
        convention("weights=averaged"), "cross_entropy", "float32", [[0.0, 0.0]], label_smoothing=0.5, **more
    )
    assert float(whole(value, 0).high) == pytest.approx(np.log(2.0))
    value, _ = answers(convention("weights=averaged"), "cross_entropy", "float32", [[0.0, 0.0]], **more)
    assert np.isnan(whole(value, 0).high)


def test_text_and_convention_are_each_others() -> None:
    for text, c in ALTERNATIVES.items():
        assert convention(text) == c
        assert str(c) == text
    assert convention(" mean = sum , smoothing=K-1") == Convention(smoothing="K-1", mean="sum")
    assert convention("smoothing=K") == SPEC
    assert str(SPEC) == ""
    assert {f"{name}={choice}" for name in CONVENTIONS for choice in list(CONVENTIONS[name])[1:]} < set(ALTERNATIVES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smooting=K-1", "did you mean 'smoothing'?"),
        ("smoothing=k-1", "did you mean 'K-1'?"),
        ("mean", "known choices: all, positions, sum, weights"),
        ("mean=", "known choices: all, positions, sum, weights"),
        ("", "known ones: axis, base, clip, entropy, gradient, mean, smoothing, softmax, weights"),
        ("base=2,base=10", "leave one of them out"),
    ],
)
def test_a_convention_that_there_is_not_is_refused_with_a_suggestion(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        convention(text)
    assert said in str(raised.value)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5])
@pytest.mark.parametrize("text", ["weights=target", "weights=averaged"])
def test_a_weight_of_the_row_is_refused_where_the_smoothing_is_outside_0_to_1(text: str, smoothing: float) -> None:
    """Nobody says what the one weight of a row is when some of its classes' shares are negative."""
    more: dict[str, Any] = {"target": [0], "weight": [1.0, 2.0, 3.0]}
    with pytest.raises(UsageError, match=r"no formula for .* outside \[0, 1\]"):
        answers(convention(text), "cross_entropy", "float32", [[1.0, 2.0, 3.0]], label_smoothing=smoothing, **more)


@pytest.mark.parametrize("text", ["smoothing=K-1", "entropy=subtracted"])
@pytest.mark.parametrize(
    "more",
    [
        {"target": [0], "label_smoothing": 1.5},
        {"target": [0], "label_smoothing": -0.1},
        {"target": np.array([[0.5, 1.5, 0.0]])},
        {"target": np.array([[0.5, nan, 0.0]])},
    ],
)
def test_what_a_convention_has_no_formula_for_is_refused(text: str, more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"no formula for .* outside \[0, 1\]"):
        answers(convention(text), "cross_entropy", "float32", [[1.0, 2.0, 3.0]], **more)
    assert answers(SPEC, "cross_entropy", "float32", [[1.0, 2.0, 3.0]], **more)
