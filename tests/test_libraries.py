"""Keras, Optax and SciPy, each in a worker as in a run: what one call of theirs does, what is composed, what is not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import oracle
from conftest import need
from lossparity.formats import FORMATS, Array
from lossparity.framework import Unsupported
from lossparity.model import Backend, Case, Declined, Outcome, Produced, Raised, Request
from lossparity.record import Writer, read
from lossparity.registry import registered
from lossparity.runner import Run, run
from lossparity.workers import Worker

KERAS = ("torch.keras", "tensorflow.keras", "jax.keras")

X: Any = [[1.0, 2.0, 3.0, 0.0], [0.5, -1.0, 2.0, 1.0]]
IMAGES: Any = [[[1, 2], [3, 0], [0.5, -1], [2, 1]], [[0, 1], [-2, 0.5], [4, 1], [1, -1]]]
INDEX = [0, 2]
PROBABILITIES = [[0.5, 0.25, 0.25, 0.0], [0.0, 0.5, 0.25, 0.25]]
UPSTREAM: dict[str, Any] = {"none": [1.0, -0.5], "mean": 1.5, "sum": 1.5}


def started(name: str) -> Iterator[Worker]:
    for module in name.split("."):
        need(module)
    one = Worker(registered()[name].adapter, "cpu", 120.0)
    assert one.wait_ready(), one.unavailable
    yield one
    one.close()


@pytest.fixture(scope="module", params=KERAS)
def keras(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """One worker of Keras a framework."""
    yield from started(request.param)


@pytest.fixture(scope="module")
def optax() -> Iterator[Worker]:
    """A worker of Optax."""
    yield from started("jax.optax")


@pytest.fixture(scope="module")
def scipy() -> Iterator[Worker]:
    """A worker of SciPy."""
    yield from started("numpy.scipy")


def test_a_keras_before_3_is_said_not_to_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("keras")
    old.__version__ = "2.15.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", old)
    monkeypatch.delitem(sys.modules, "lossparity_backends.on_keras", raising=False)
    with pytest.raises(Unsupported, match=r"Keras 2\.15\.0 has no keras.ops: Keras 3 is judged"):
        importlib.import_module("lossparity_backends.on_keras")


def variant(worker: Worker) -> str:
    return next(name for name in ("keras", "optax", "scipy") if name in worker.details)


def framework(worker: Worker) -> str:
    return next(name for name in ("torch", "tensorflow", "jax", "numpy") if name in worker.details)


def ask(worker: Worker, operation: str, keywords: Any = None, **arrays: Array) -> Outcome:
    return worker.ask(Request(variant(worker), operation, arrays, keywords or {}))


def loss(worker: Worker, fmt: str = "float32", logits: Any = X, target: Any = INDEX, **keywords: Any) -> Outcome:
    target_format = "int64" if np.asarray(target).dtype.kind == "i" else fmt
    more = {}
    if "weight" in keywords:
        more["weight"] = Array.of(keywords.pop("weight"), fmt)
    if keywords.pop("gradient", False):
        more["upstream"] = Array.of(UPSTREAM[keywords["reduction"]], fmt)
    arrays = {"logits": Array.of(logits, fmt), "target": Array.of(target, target_format)}
    return ask(worker, "cross_entropy", keywords, **arrays, **more)


def produced(outcome: Outcome) -> Produced:
    assert isinstance(outcome, Produced), outcome
    return outcome


def declined(outcome: Outcome) -> str:
    assert isinstance(outcome, Declined), outcome
    return outcome.reason


def agrees(outcome: Outcome, fmt: str, target: Any = INDEX, logits: Any = X, **keywords: Any) -> Produced:
    """Compare value and gradient with the oracle, to a few units in the last place of the format."""
    got, least = produced(outcome), 16 * FORMATS[fmt].unit
    exact = oracle.value("cross_entropy", logits, target, **keywords).astype(float)
    np.testing.assert_allclose(got.value.exact(), exact, rtol=least, atol=least)
    if isinstance(got.gradient, Array):
        up = UPSTREAM[keywords["reduction"]]
        slope = oracle.gradient("cross_entropy", logits, target, up, **keywords).astype(float)
        np.testing.assert_allclose(got.gradient.exact(), slope, rtol=4 * least, atol=least)
    assert got.unmodified
    return got


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_the_losses_of_keras_are_native_and_right(keras: Worker, fmt: str, reduction: str) -> None:
    for keywords, target in (
        ({}, INDEX),
        ({"ignore_index": 2}, INDEX),
        ({"label_smoothing": 0.0, "ignore_index": -100}, [0, -100]),
        ({}, PROBABILITIES),
        ({"label_smoothing": 0.1}, PROBABILITIES),
    ):
        outcome = loss(keras, fmt, target=target, reduction=reduction, gradient=True, **keywords)
        narrowed = framework(keras) == "torch" and fmt == "float64" and reduction == "mean"
        got = agrees(outcome, "float32" if narrowed else fmt, target, reduction=reduction, **keywords)
        assert got.origin == "native"
        name = "Categorical" if target is PROBABILITIES else "SparseCategorical"
        assert got.api == f"keras.losses.{name}Crossentropy"
        # Left alone the loss of 16-bit logits is in floatx; a mean in binary64 is narrowed by Keras on PyTorch.
        assert got.value.format == ("float64" if fmt == "float64" and not narrowed else "float32")


def test_keras_ignores_the_default_index_where_nothing_is_said(keras: Worker) -> None:
    """Torch would drop -100 of itself, from the sum and not from the divisor; the others would not."""
    for reduction in ("none", "mean", "sum"):
        agrees(loss(keras, target=[0, -100], reduction=reduction), "float32", [0, -100], reduction=reduction)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_smoothed_indices_of_keras_are_composed_and_guarded(keras: Worker, reduction: str) -> None:
    keywords: dict[str, Any] = {"label_smoothing": 0.1, "reduction": reduction}
    got = agrees(loss(keras, gradient=True, **keywords), "float32", **keywords)
    assert (got.origin, got.api) == ("composed", "keras.ops.one_hot, keras.losses.CategoricalCrossentropy")
    for index in (-1, 4, -4, 10**6):
        outcome = loss(keras, target=[0, index], **keywords)
        assert isinstance(outcome, Raised) and "outside [0, 4)" in outcome.message, outcome


def test_what_keras_has_not_is_declined_with_the_reason(keras: Worker) -> None:
    assert "no class weights" in declined(loss(keras, weight=[1, 2, 4, 0.5], reduction="none"))
    assert "take a batch" in declined(loss(keras, logits=X[0], target=2, reduction="mean"))
    assert "both smooths and ignores" in declined(loss(keras, label_smoothing=0.1, ignore_index=2, reduction="mean"))
    assert "last axis" in declined(loss(keras, logits=IMAGES, target=[[0, 2], [1, 3]], label_smoothing=0.1))
    assert "not offered" in declined(loss(keras, target=PROBABILITIES, ignore_index=-1))
    z = {"log_probs": Array.of([[-1, -2]], "float32"), "target": Array.of([0], "int64")}
    assert "not offered" in declined(ask(keras, "nll_loss", **z))


def test_class_indices_of_images_are_as_keras_has_them(keras: Worker) -> None:
    target = [[0, 2], [1, 3]]
    outcome = loss(keras, logits=IMAGES, target=target, reduction="none")
    if framework(keras) == "torch":
        assert agrees(outcome, "float32", target, IMAGES, reduction="none").origin == "native"
    elif framework(keras) == "tensorflow":
        assert "on the last axis" in declined(outcome), "Keras says so itself"
    else:
        assert isinstance(outcome, Raised), "the argument `axis` is there, and JAX does not heed it"


@pytest.mark.parametrize("operation", ["softmax", "log_softmax", "exp", "one_hot"])
def test_functions_of_keras_keep_the_format_and_find_the_axis(keras: Worker, operation: str) -> None:
    for fmt in FORMATS:
        for shape, target in (((4,), 2), ((2, 4), [0, 3]), ((2, 4, 2), [[0, 2], [1, 3]])):
            x = np.resize([1.0, 2.0, 3.0, 0.5, -1.0], shape)
            more = {"target": Array.of(target, "int64")} if operation == "one_hot" else {}
            got = produced(ask(keras, operation, logits=Array.of(x, fmt), **more))
            exact = oracle.value(operation, x, target if more else None).astype(float)
            np.testing.assert_allclose(
                got.value.exact(), exact, rtol=16 * FORMATS[fmt].unit, atol=8 * FORMATS[fmt].unit
            )
            assert (got.origin, got.api, got.value.format) == ("native", f"keras.ops.{operation}", fmt)


def test_keras_computes_in_the_format_of_its_users_and_not_of_their_configuration(keras: Worker) -> None:
    assert keras.details["pinned floatx"] == "float32"
    assert keras.details["keras"]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_optax_is_native_for_single_rows_and_composed_for_the_rest(optax: Worker, fmt: str, reduction: str) -> None:
    for keywords, target, logits in (
        ({}, INDEX, X),
        ({"label_smoothing": 0.1}, INDEX, X),
        ({}, PROBABILITIES, X),
        ({"label_smoothing": 0.1}, PROBABILITIES, X),
    ):
        outcome = loss(optax, fmt, logits, target, reduction=reduction, gradient=True, **keywords)
        got = agrees(outcome, fmt, target, logits, reduction=reduction, **keywords)
        native = reduction == "none" and not keywords
        assert got.origin == ("native" if native else "composed")
        assert got.api.startswith("optax.") and ("," in got.api) == (not native)
        assert got.value.format == fmt


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_optax_finds_the_class_axis_of_images_and_of_one_row(optax: Worker, smoothing: float) -> None:
    target = [[0, 2], [1, 3]]
    for reduction in ("none", "mean"):
        keywords: dict[str, Any] = {"label_smoothing": smoothing, "reduction": reduction}
        agrees(loss(optax, logits=IMAGES, target=target, **keywords), "float32", target, IMAGES, **keywords)
        agrees(loss(optax, logits=X[0], target=2, **keywords), "float32", 2, X[0], **keywords)


@pytest.mark.parametrize("index", [-1, 4])
def test_only_what_is_composed_of_optax_is_guarded(optax: Worker, index: int) -> None:
    native = loss(optax, target=[0, index], reduction="none")
    assert produced(native).origin == "native", "what it makes of the index is its own"
    for keywords in ({"reduction": "mean"}, {"reduction": "none", "label_smoothing": 0.1}):
        outcome = loss(optax, target=[0, index], **keywords)
        assert isinstance(outcome, Raised) and "outside [0, 4)" in outcome.message, outcome


def test_what_optax_has_not_is_declined_with_the_reason(optax: Worker) -> None:
    assert "no class weights" in declined(loss(optax, weight=[1, 2, 4, 0.5], reduction="none"))
    assert "no ignored index" in declined(loss(optax, ignore_index=2, reduction="none"))
    assert "no ignored index" in declined(loss(optax, target=[0, -100], reduction="mean"))
    assert "not offered" in declined(ask(optax, "softmax", logits=Array.of(X, "float32")))


@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_scipy_has_values_of_numpys_own_formats_and_no_gradient(scipy: Worker, operation: str) -> None:
    for fmt in ("float64", "float32", "float16"):
        for x in (X, X[0], IMAGES):
            first = Array.of(x, fmt)
            got = produced(ask(scipy, operation, logits=first, upstream=first))
            exact = oracle.value(operation, x).astype(float)
            np.testing.assert_allclose(
                got.value.exact(), exact, rtol=16 * FORMATS[fmt].unit, atol=8 * FORMATS[fmt].unit
            )
            assert (got.origin, got.api, got.value.format) == ("native", f"scipy.special.{operation}", fmt)
            assert isinstance(got.gradient, Declined) and got.gradient.reason == "SciPy has no gradient of it"
    assert declined(ask(scipy, operation, logits=Array.of(X, "bfloat16"))) == "SciPy has no bfloat16"


def test_a_library_has_an_environment_of_its_own_in_the_record(tmp_path: Path) -> None:
    need("scipy")
    logits = ((1.0, 2.0),)
    case = Case("mine/a", "mine", "", "S1", "softmax", {"logits": logits}, {}, ("float64",), False, (), None, "")
    plan = Run([Backend("numpy"), Backend("numpy", "manual"), Backend("numpy", "scipy")], [case])
    with Writer(tmp_path / "run.jsonl") as writer:
        summary = run(plan, writer, lambda *_: None)
    found = read(tmp_path / "run.jsonl")
    assert [one.name for one in found.environments] == ["numpy", "numpy.scipy"]
    assert ["scipy" in one.details for one in found.environments] == [False, True]
    assert (summary.judged, summary.exit_code) == (3, 0)
