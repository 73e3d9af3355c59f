"""Every declared deviation of a real framework is true: 60-digit arithmetic that shares nothing with the judge agrees.

The backends are run by the real runner. For each result that came out as `known` (or `fail`, of which there must be
none) the inputs are built again, the exact value of the worst element is computed by `oracle`, and the recorded number
must deviate from it: another class, or an error that no rounding explains (`deviates`), or more than careful
arithmetic of that one result can lose (`careless`). Neither the certified reference nor the error bounds take part.
"""

from __future__ import annotations

import ast
import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from math import inf, isfinite, isinf, isnan
from pathlib import Path
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest

import oracle
from conftest import FRAMEWORKS, need
from lossparity import known, record, registry, runner, suite
from lossparity.formats import FORMATS, Array
from lossparity.inputs import build
from lossparity.model import Backend, Case
from lossparity.record import Result
from lossparity.shapes import class_axis, value_shape
from lossparity.spec import OPERATIONS

LARGE = 4096  # elements from which on only the worst one's row is computed, classes of equal logits at once
ULPS = 8
PARTS = 64


@cache
def cases() -> dict[str, Case]:
    """Return the unselected catalogue by id."""
    return {case.id: case for one in suite.load([suite.built_in()]) for case in one.cases}


def declared(framework: str) -> list[known.Deviation]:
    return registry.known_deviations([framework])


@dataclass(frozen=True)
class Outcome:
    """One framework's part of the run: its results, and how many there are of each verdict."""

    results: list[Result]
    counts: Counter[str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """Run every case on every backend that is here, its compiled mode too, as one run.

    In one run each exact answer is computed once for all of them, while their workers are busy. LOSSPARITY_RECORD names
    the record of such a run, where one was made already: `tox run -e tests` judges the backends once.
    """
    path = Path(os.environ.get("LOSSPARITY_RECORD") or tmp_path_factory.mktemp("known") / "run.jsonl")
    if "LOSSPARITY_RECORD" not in os.environ:
        backends = every_backend()
        known = registry.known_deviations({backend.framework for backend in backends})
        with record.Writer(path) as writer:
            summary = runner.run(runner.Run(backends, list(cases().values()), known=known), writer, lambda *_: None)
        assert not summary.missing, summary.not_tested
    made = record.read(path)
    assert made.complete and made.header.suite_hash == suite.digest(cases().values()), f"{path} is of other cases"
    # A compiled mode may lack its compiler.
    wanted = {str(backend) for backend in every_backend() if not backend.mode}
    assert wanted <= {r.backend for r in made.results}, path
    return made.results


def every_backend() -> list[Backend]:
    """Return all registered backends that are here, and the compiled modes of the libraries."""
    here = [Backend.parse(one.name) for one in registry.registered().values() if one.available]
    libraries = [backend for backend in here if backend.framework in FRAMEWORKS and not backend.variant]
    modes = [replace(backend, mode=registry.compiler(backend.framework)) for backend in libraries]
    return here + [backend for backend in modes if backend.mode]


@pytest.fixture(params=FRAMEWORKS)
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """Pick one framework's results."""
    framework: str = request.param
    need(framework)
    ran: list[Result] = request.getfixturevalue("ran")
    results = [result for result in ran if Backend.parse(result.backend).framework == framework]
    return Outcome(results, Counter(result.verdict for result in results))


def test_nothing_fails_but_what_is_declared(outcome: Outcome) -> None:
    left = [f"{r.check}#{r.quantity}: {r.verdict} {r.cause} {r.message}" for r in outcome.results if _left(r)]
    assert not left, left[:5]
    assert outcome.counts["known"] > 0 and outcome.counts["pass"] > 0


def _left(result: Result) -> bool:
    return result.verdict in ("fail", "error", "crash", "timeout", "stale")


def test_what_is_known_is_true(outcome: Outcome) -> None:
    confirmed, refuted = 0, []
    for result in outcome.results:
        if result.verdict in ("known", "fail"):
            said = objection(result)
            confirmed += not said
            if said:
                refuted.append(f"{result.check}#{result.quantity} ({result.deviation}): {said}")
    assert not refuted, (len(refuted), refuted[:5])
    assert confirmed == outcome.counts["known"]


def objection(result: Result) -> str:
    """Say why a result is no deviation after all, or nothing."""
    case = cases()[result.case]
    choices = [choice for choice in case.one_of or ("exact",) if choice != "raises"]
    if result.cause == "raises":
        return "" if "raises" not in case.one_of else "an exception is permitted"
    if result.cause == "format":
        permitted = {result.format} | ({"float32"} if FORMATS[result.format].bits <= 16 else set())
        return "" if result.returned and result.returned not in permitted else "the format is permitted"
    if result.cause == "shape":
        return "" if tuple(result.shape) != shape_of(case, result) else "the shape is right"
    if result.cause == "no-raise":
        return "" if case.one_of == ("raises",) else "a result is permitted"
    if result.worst is None or result.got is None:
        return f"the cause {result.cause} was not recorded with an element"
    arrays = build(case, result.format)
    size = int(np.prod(result.shape))
    # Under a choice of permitted results each of them must be missed, by whichever element.
    whole = list(np.ndindex(*result.shape)) if size <= len(result.got.got) else []
    places = [tuple(result.worst.index)] if len(choices) == 1 else whole
    if not places:
        return "several results are permitted, and the array was not recorded whole"
    for choice in choices:
        truths = {at: truth(case, arrays, result, choice, at) for at in places}
        got = {at: float.fromhex(result.worst.got) for at in places}
        if whole:
            flat = [float.fromhex(number) for number in result.got.got]
            got = dict(zip(whole, flat, strict=True))
        # In formats of more bits a logarithm near 0 may be a difference of numbers near 1.
        scale = max(map(_size, truths.values())) if result.quantity == "gradient" else 0.0
        if result.quantity == "value" and case.operation != "softmax" and FORMATS[result.format].bits > 16:
            scale = 1.0
        if not any(
            deviates(got[at], truths[at], result.format, float(scale), share_of(case, arrays, result))
            or careless(case, arrays, result, at, got[at], truths[at])
            for at in places
        ):
            return f"got {[got[at] for at in places][:4]}, exactly {list(truths.values())[:4]} ({choice})"
    return ""


def _size(number: Any) -> float:
    return 0.0 if number is None or not mpmath.isfinite(number) else abs(float(number))


def share_of(case: Case, arrays: dict[str, Array], result: Result) -> float:
    """Return the share of a result that careful arithmetic may lose: 1/64 of 16 bits, less of formats of more bits."""
    fmt, first = FORMATS[result.format], arrays[OPERATIONS[case.operation].first].exact()
    axis = class_axis(first.shape)
    if fmt.bits <= 16 or not first.size:
        return 1 / PARTS
    with np.errstate(over="ignore"):
        spread = np.max(first, axis, initial=-inf, where=first < inf) - np.min(
            first, axis, initial=inf, where=first > -inf
        )
        roundings = first.shape[axis] + max(float(np.max(spread)), 0.0) + PARTS
    return min(ULPS * fmt.unit * roundings, 1 / PARTS)


def deviates(got: float, exact: Any, fmt: str, scale: float = 0.0, share: float = 1 / PARTS) -> bool:
    """Whether a number is wrong beyond what correct arithmetic of the format could make of it.

    Another class always is, unless the exact value is near or beyond the format's range, or below its normal numbers
    where zero is got. A finite number is wrong when it is off by more than 8 ulp and by more than a share of the
    exact value, or of the largest gradient beside it. The share is 1/64 in 16 bits: the rounding of every operation to
    bfloat16 comes to less on the few classes of these cases, whose logits are apart by tens and whose sums are kept in
    binary32.
    """
    f = FORMATS[fmt]
    if exact is None:
        return False
    if mpmath.isnan(exact) or isnan(got):
        return bool(mpmath.isnan(exact)) != isnan(got)
    if isinf(got):
        return not (exact * (1 if got > 0 else -1) >= f.largest * 0.99)
    if mpmath.isinf(exact):
        return True
    error = abs(mpmath.mpf(got) - exact)
    smallest = 2.0 ** (f.emin - f.precision + 1)
    spacing = max(2 * f.unit * abs(float(exact)), smallest)
    return bool(error > ULPS * spacing and error > max(abs(exact), scale) * share)


def careless(case: Case, arrays: dict[str, Array], result: Result, at: tuple[int, ...], got: float, exact: Any) -> bool:
    """Whether a number is farther off than the steps of a careful computation can take it, counted by hand.

    For results of few steps: those of one class, the loss of one row or a log-probability, d + ln S with d the
    distance from the largest logit, and the mean of given log-probabilities.
    """
    if result.clause == "S7":  # one class: there is nothing to compute
        return bool(got != exact)
    if result.quantity != "value" or not isinstance(exact, mpmath.mpf) or not isfinite(got) or "weight" in arrays:
        return False
    if case.operation == "log_softmax":
        x = arrays["logits"].exact()
        return x.ndim == 2 and bool(np.isfinite(x).all()) and beyond_steps(x[at[0]], at[1], result.format, got, exact)
    if "target" not in arrays or arrays["target"].format in FORMATS or case.keywords.get("label_smoothing", 0):
        return False
    f = FORMATS[result.format]
    sums = FORMATS["float32"].unit if f.bits <= 16 else f.unit  # sums of 16-bit numbers are kept in binary32
    reduction = case.keywords.get("reduction", "mean")
    first, target = arrays[OPERATIONS[case.operation].first].exact(), arrays["target"].exact()
    error = abs(mpmath.mpf(got) - exact)
    if case.operation == "nll_loss" and reduction == "mean" and first.ndim == 2:
        n = len(target)
        total = abs(exact) * n
        lost = total * n * sums + spacing(total, result.format) / 2
        return bool(error > lost / n + spacing(exact, result.format) / 2)
    if case.operation != "cross_entropy" or reduction != "none" or first.ndim != 2:
        return False
    row, label = first[at[0]], int(target[at[0]])
    if not np.isfinite(row).all() or not 0 <= label < row.size:
        return False
    return beyond_steps(row, label, result.format, got, exact)


def beyond_steps(row: npt.NDArray[np.float64], label: int, fmt: str, got: float, exact: Any) -> bool:
    """Whether the loss of a row, or a log-probability, is farther off than d + ln S can be, added up step by step."""
    f = FORMATS[fmt]
    sums = FORMATS["float32"].unit if f.bits <= 16 else f.unit
    with mpmath.workdps(80):
        error = abs(mpmath.mpf(got) - exact)
        d = mpmath.mpf(float(row.max())) - float(row[label])
        log_sum = -_z(row, float(row.max()))
        ulps = 0.5 if f.bits <= 16 else 4  # of the logarithm
        lost = (
            spacing(d, fmt) / 2
            + ulps * spacing(log_sum, fmt)
            + spacing(abs(exact), fmt) / 2
            # S is off by the roundings of d, of the exponentials and of the sum; ln S by as much, absolutely.
            + f.unit * (mpmath.log(row.size) + 2 * ulps + 2)
            + row.size * sums
        )
        return bool(error > lost)


def spacing(number: Any, fmt: str) -> float:
    """Return the distance of a format's numbers at a positive real number, rounded up to a power of two."""
    f = FORMATS[fmt]
    exponent = mpmath.frexp(number)[1] if number else f.emin
    return float(mpmath.ldexp(1, max(int(exponent) - f.precision, f.emin + 1 - f.precision)))


def shape_of(case: Case, result: Result) -> tuple[int, ...]:
    """Return the shape that a result has to have."""
    first = build(case, result.format)[OPERATIONS[case.operation].first].shape
    return first if result.quantity == "gradient" else value_shape(case.operation, first, case.keywords)


def truth(case: Case, arrays: dict[str, Array], result: Result, choice: str, at: tuple[int, ...]) -> Any:
    """Return the exact element of a result under one permitted choice."""
    first = arrays[OPERATIONS[case.operation].first].exact()
    policy = choice if choice in ("limit", "masked", "zero") else "nan"
    if first.size < LARGE:
        return small_truth(case.id, result.format, result.quantity, policy)[at]
    return large_truth(case.id, result.format, result.quantity, at)


@cache
def small_truth(name: str, fmt: str, quantity: str, policy: str) -> npt.NDArray[Any]:
    """Return the oracle's whole answer; an index outside [0, K) makes its loss NaN (N4) and leaves gradients open."""
    case = cases()[name]
    arrays = build(case, fmt)
    first = arrays[OPERATIONS[case.operation].first].exact()
    target = arrays["target"].exact() if "target" in arrays else None
    keywords: dict[str, Any] = dict(case.keywords)
    if "weight" in arrays:
        keywords["weight"] = arrays["weight"].exact()
    outside = np.zeros(1, dtype=bool)
    if target is not None and target.dtype.kind == "i":
        ignored = keywords.get("ignore_index", -100)
        outside = (target != ignored) & ((target < 0) | (target >= first.shape[class_axis(first.shape)]))
        target = np.where(outside, 0, target)
    if quantity == "value":
        exact = oracle.value(case.operation, first, target, **keywords, policy=policy)
        return np.where(outside if exact.shape == outside.shape else outside.any(), mpmath.nan, exact)
    exact = oracle.gradient(case.operation, first, target, arrays["upstream"].exact(), **keywords, policy=policy)
    return np.full_like(exact, None) if outside.any() else exact


@cache
def large_truth(name: str, fmt: str, quantity: str, at: tuple[int, ...]) -> Any:
    """Return one element of a large result: softmax, log-softmax or cross-entropy, many logits of a row being equal."""
    case = cases()[name]
    arrays = build(case, fmt)
    first = arrays[OPERATIONS[case.operation].first].exact()
    assert first.ndim == 2 and set(case.keywords) <= {"label_smoothing", "reduction"} and "weight" not in arrays
    n, k = first.shape
    with mpmath.workdps(80):
        if case.operation in ("softmax", "log_softmax"):
            return _element(first[at[0]], arrays, case.operation, quantity, at)
        assert case.operation == "cross_entropy"
        labels, e = arrays["target"].exact(), mpmath.mpf(float(case.keywords.get("label_smoothing", 0)))
        reduction = case.keywords.get("reduction", "mean")
        if quantity == "gradient":
            x = first[at[0]]
            up = arrays["upstream"].exact().reshape(-1)[at[0] if reduction == "none" else 0]
            p = mpmath.exp(_z(x, float(x[at[1]])))
            q = (1 - e) * int(at[1] == labels[at[0]]) + e / k
            return mpmath.mpf(float(up)) / (n if reduction == "mean" else 1) * (p - q)
        chosen = [at[0]] if reduction == "none" else range(n)
        # Rows that differ by a common offset alone have one loss.
        alike: Counter[tuple[float, ...]] = Counter()
        for r in chosen:
            x = first[r]
            if k > 2:
                alike[(float(r), 1.0)] += 1
            else:
                alike[(float(x[1 - labels[r]] - x[labels[r]]),)] += 1
        total = mpmath.mpf(0)
        for key, times in alike.items():
            row = first[int(key[0])] if len(key) == 2 else np.array([0.0, key[0]])
            label = int(labels[int(key[0])]) if len(key) == 2 else 0
            loss = -(1 - e) * _z(row, float(row[label]))
            if e:
                loss -= e / k * mpmath.fsum(c * _z(row, a) for a, c in _distinct(row))
            total += times * loss
        return total / n if reduction == "mean" else total


def _distinct(row: npt.NDArray[np.float64]) -> list[tuple[float, int]]:
    numbers, counts = np.unique(row, return_counts=True)
    return list(zip(numbers.tolist(), counts.tolist(), strict=True))


def _z(row: npt.NDArray[np.float64], x: float) -> Any:
    """Return x - log Σ exp for a logit of a row without NaN and +inf."""
    if x == -inf:
        return mpmath.ninf
    return -mpmath.log(mpmath.fsum(c * mpmath.exp(mpmath.mpf(a) - x) for a, c in _distinct(row)))


def _element(x: npt.NDArray[np.float64], arrays: dict[str, Array], operation: str, quantity: str, at: Any) -> Any:
    z = _z(x, float(x[at[1]]))
    p = mpmath.exp(z)
    if quantity == "value":
        return p if operation == "softmax" else z
    v = [mpmath.mpf(a) for a in arrays["upstream"].exact()[at[0]].tolist()]
    if operation == "log_softmax":
        return v[at[1]] - p * mpmath.fsum(v)
    each = {a: mpmath.exp(_z(x, a)) for a, _ in _distinct(x)}
    return p * (v[at[1]] - mpmath.fsum(each[a] * b for a, b in zip(x.tolist(), v, strict=True)))


# The instrument itself.


@pytest.mark.parametrize("fmt", FORMATS)
def test_correct_results_do_not_deviate_and_wrong_ones_do(fmt: str) -> None:
    f = FORMATS[fmt]
    one = mpmath.mpf(1) / 3
    assert not deviates(float(f.round(1 / 3)), one, fmt)
    assert not deviates(float(f.round(1 / 3)) * (1 + 4 * f.unit), one, fmt)
    assert not deviates(inf, mpmath.mpf(2) * f.largest, fmt) and not deviates(0.0, mpmath.mpf(2) ** -1200, fmt)
    assert deviates(0.0, one, fmt) and deviates(inf, one, fmt) and deviates(-inf, 2 * f.largest * one, fmt)
    assert deviates(float("nan"), one, fmt) and deviates(1.0, mpmath.nan, fmt) and deviates(1.0, mpmath.inf, fmt)
    assert deviates(0.36, one, fmt) and not deviates(0.36, one, fmt, scale=10.0)
    assert not deviates(float("nan"), mpmath.nan, fmt) and not deviates(5.0, None, fmt)
    assert not deviates(-inf, mpmath.ninf, fmt) and deviates(inf, mpmath.ninf, fmt)


def test_the_way_for_large_inputs_agrees_with_the_oracle() -> None:
    """The same element by both ways, on an input that each can do."""
    for name, fmt, at in (
        ("cross-entropy/rounding/label_smoothing=0.1/reduction=mean", "float32", ()),
        ("cross-entropy/rounding/label_smoothing=0/reduction=none", "float16", (3,)),
        ("softmax/rounding", "float16", (2, 5)),
        ("log-softmax/rounding", "float32", (2, 5)),
    ):
        for quantity in ("value", "gradient"):
            place = at if quantity == "value" else (2, 5)
            small, large = small_truth(name, fmt, quantity, "nan")[place], large_truth(name, fmt, quantity, place)
            with mpmath.workdps(80):
                assert abs(small - large) <= mpmath.mpf(10) ** -55 * abs(small), (name, quantity)


def test_this_file_sees_neither_the_reference_nor_the_bounds() -> None:
    """What confirms the judge must not be the judge."""
    for file in (Path(__file__), Path(oracle.__file__)):
        tree = ast.parse(file.read_text())
        modules = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules |= {f"{node.module}.{a.name}" for node in froms for a in node.names}
        seen = {m for m in modules if any(part in m.split(".") for part in ("reference", "bounds", "judge", "plans"))}
        assert not seen
    assert not any(module.startswith("lossparity") for module in modules)  # the oracle shares nothing at all
