"""The adapters, each in a worker as in a run: bits survive both ways, gradients, guards, ε, origins, traits."""

from __future__ import annotations

import importlib
import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest

from conftest import FRAMEWORKS, need
from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.model import Declined, Outcome, Produced, Raised, Request
from lossparity.registry import registered
from lossparity.spec import LAYOUTS
from lossparity.target import Target
from lossparity.workers import Worker, WorkerStopped

# A target that gives back what the adapter made of its arguments; `reduction` says which.
ECHO = """
def cross_entropy(logits, target, reduction):
    if reduction == "logits":
        return logits
    if reduction == "target":
        return target
    if reduction == "cube":
        return logits * logits * logits
    return {widened}

def gradient(logits, target, upstream, reduction):
    return 3 * logits * logits * upstream

cross_entropy.gradient = gradient
"""
WIDENED = {
    "numpy": "logits.astype('float32')",
    "torch": "logits.float()",
    "tensorflow": "__import__('tensorflow').cast(logits, 'float32')",
    "jax": "logits.astype('float32')",
}


@pytest.fixture(scope="module", params=FRAMEWORKS)
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker a framework for all tests: they differ in what they ask."""
    name: str = request.param
    need(name)
    path = tmp_path_factory.mktemp(name) / f"echo_{name}.py"
    path.write_text(ECHO.format(widened=WIDENED[name]))
    one = Worker(registered()[name].adapter, "cpu", 120.0, Target(f"{path}:cross_entropy", "cross_entropy"))
    assert one.wait_ready(), one.unavailable
    yield one
    one.close()


def framework(worker: Worker) -> str:
    return next(name for name in FRAMEWORKS if name in worker.details)


def ask(worker: Worker, operation: str, variant: str = "", keywords: Any = None, **arrays: Array) -> Outcome:
    return worker.ask(Request(variant, operation, arrays, keywords or {}))


def echo(worker: Worker, what: str, logits: Array, target: Array | None = None, **more: Array) -> Produced:
    target = target or Array.of([0], "int64")
    outcome = ask(worker, "cross_entropy", "target", {"reduction": what}, logits=logits, target=target, **more)
    assert isinstance(outcome, Produced), outcome
    return outcome


def value(outcome: Outcome) -> np.ndarray[Any, Any]:
    assert isinstance(outcome, Produced), outcome
    return outcome.value.exact()


def test_it_describes_itself_in_text(worker: Worker) -> None:
    assert all(isinstance(k, str) and isinstance(v, str) and v for k, v in worker.details.items())
    assert worker.details["subnormals"] in ("gradual", "flushed")
    assert worker.details["device"]


def specials(fmt: str, shape: tuple[int, ...]) -> Array:
    f = FORMATS[fmt]
    values = [math.nan, -0.0, math.inf, -math.inf, 0.1, f.largest, -f.largest, f.smallest_normal, f.smallest_normal / 2]
    return Array.of(np.resize([*values, f.smallest_normal * 2.0 ** (1 - f.precision), 1.0], shape), fmt)


SHAPES = [(), (0,), (11,), (2, 0), (4, 3), (2, 3, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fmt", FORMATS)
def test_numbers_go_in_and_out_bit_for_bit(worker: Worker, fmt: str, shape: tuple[int, ...]) -> None:
    given = specials(fmt, shape)
    got = echo(worker, "logits", given)
    assert got.unmodified
    assert (got.value.format, got.value.shape) == (fmt, shape)
    assert got.value.data.tobytes() == given.data.tobytes()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fmt", INTEGERS)
def test_integers_go_in_and_out_unchanged(worker: Worker, fmt: str, shape: tuple[int, ...]) -> None:
    most = np.iinfo(INTEGERS[fmt])
    given = Array.of(np.resize(np.array([0, most.max, most.min, 7], dtype=INTEGERS[fmt]), shape), fmt)
    got = echo(worker, "target", Array.of([1.0], "float32"), given)
    assert got.unmodified
    assert (got.value.format, got.value.shape) == (fmt, shape)
    assert got.value.data.tolist() == given.data.tolist()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_gradient_is_that_of_the_function_for_any_upstream(worker: Worker, fmt: str) -> None:
    x, v = Array.of([[1, -2], [0.5, 4]], fmt), Array.of([[1, 0.25], [-2, 0]], fmt)
    got = echo(worker, "cube", x, upstream=v)
    assert got.value.exact().tolist() == [[1, -8], [0.125, 64]]
    assert isinstance(got.gradient, Array)
    assert got.gradient.format == fmt
    assert got.gradient.exact().tolist() == [[3, 3], [-1.5, 0]]


@pytest.mark.parametrize("fmt", ["bfloat16", "float16"])
def test_a_result_in_binary32_of_16_bit_logits_has_a_gradient_too(worker: Worker, fmt: str) -> None:
    if framework(worker) == "numpy":
        pytest.skip("NumPy does not differentiate")
    got = echo(worker, "widened", Array.of([1, 2], fmt), upstream=Array.of([0.5, -1], fmt))
    assert got.value.format == "float32"
    assert isinstance(got.gradient, Array), got.gradient
    assert got.gradient.exact().tolist() == [0.5, -1]


LOSSES = {"cross_entropy": "logits", "nll_loss": "log_probs"}


def loss(worker: Worker, operation: str, x: Array, target: Array, keywords: Any = None, **more: Array) -> Outcome:
    return ask(worker, operation, "", keywords, **{LOSSES[operation]: x}, target=target, **more)


@pytest.mark.parametrize("index", [-1, 3, 4, -3, 10**6, -(10**6)])
@pytest.mark.parametrize("operation", LOSSES)
def test_an_index_out_of_range_raises_and_is_never_wrapped_or_clamped(
    worker: Worker, operation: str, index: int
) -> None:
    rows, images = Array.of([[-1, -2, -3]] * 2, "float32"), Array.of([[[-1], [-2], [-3]]] * 2, "float32")
    weight = Array.of([1, 2, 4], "float32")
    for reduction in ("none", "mean", "sum"):
        keywords = {"reduction": reduction}
        one, other = Array.of([0, index], "int64"), Array.of([[0], [index]], "int64")
        outcomes = [
            loss(worker, operation, rows, one, keywords),
            loss(worker, operation, rows, one, {**keywords, "ignore_index": 0}),
            loss(worker, operation, rows, one, keywords, weight=weight),
            loss(worker, operation, images, other, keywords),
            loss(
                worker,
                operation,
                rows,
                one,
                keywords,
                upstream=Array.of([1, 1] if reduction == "none" else 1, "float32"),
            ),
        ]
        if operation == "cross_entropy":
            outcomes.append(loss(worker, operation, rows, one, {**keywords, "label_smoothing": 0.1}))
        assert [type(outcome) for outcome in outcomes] == [Raised] * len(outcomes), outcomes


@pytest.mark.parametrize("fmt", ["int32", "uint8"])
@pytest.mark.parametrize("operation", LOSSES)
def test_narrow_index_types_are_right_or_refused(worker: Worker, operation: str, fmt: str) -> None:
    k, index = 200, 156  # what -100, the default ignore_index, is in 8 bits
    x = Array.of([[-math.log(k)] * k] * 2, "float64")
    for keywords in ({"reduction": "none"}, {"reduction": "none", "ignore_index": -100}):
        outcome = loss(worker, operation, x, Array.of([index, 3], fmt), keywords)
        if isinstance(outcome, Raised | Declined):
            continue
        assert value(outcome).tolist() == pytest.approx([math.log(k)] * 2, rel=1e-14)


def smoothed(target: list[float], e: float) -> mpmath.mpf:
    """The loss of logits (0, -80, -80, -80) for a row of target probabilities, at 60 digits."""
    with mpmath.workdps(60):
        log_sum = mpmath.log(1 + 3 * mpmath.exp(-80))
        z = [-log_sum] + [-80 - log_sum] * 3
        q = [(1 - mpmath.mpf(e)) * mpmath.mpf(t) + mpmath.mpf(e) / 4 for t in target]
        return -mpmath.fsum(a * b for a, b in zip(q, z, strict=True))


@pytest.mark.parametrize("kind", ["index", "probabilities"])
@pytest.mark.parametrize("e", [0.1, 0.3, 1e-3])
def test_smoothing_is_the_binary64_number_and_not_rounded_through_binary32(worker: Worker, kind: str, e: float) -> None:
    x = Array.of([[0, -80, -80, -80]], "float64")
    target = Array.of([0], "int64") if kind == "index" else Array.of([[1, 0, 0, 0]], "float64")
    got = float(value(loss(worker, "cross_entropy", x, target, {"label_smoothing": e, "reduction": "sum"})))
    exact = smoothed([1, 0, 0, 0], e)
    assert abs(got - exact) <= 2 * math.ulp(float(exact))
    through_binary32 = smoothed([1, 0, 0, 0], float(np.float32(e)))
    assert abs(exact - through_binary32) > 1000 * math.ulp(float(exact)), "the two can be told apart here"


def test_the_trait_subnormals_is_true(worker: Worker) -> None:
    p = value(ask(worker, "softmax", logits=Array.of([[0, -90]], "float32")))
    if worker.details["subnormals"] == "flushed":
        assert p.tolist() == [[1, 0]]
    else:
        assert p[0, 1] == pytest.approx(math.exp(-90), abs=2 * 2.0**-149)


COMPILED = """
{imports}

def cross_entropy(logits, target, label_smoothing=None, reduction="cube"):
    if reduction == "decides":
        return logits if bool({total} > 0) else -logits
    if reduction == "tells":
        return logits * (2 if {told} else 1)
    if label_smoothing is not None:
        return logits * (2 if isinstance(label_smoothing, float) else 3)
    return logits * logits * logits
"""
IMPORTS = {"tensorflow": "import tensorflow as tf", "torch": "import torch"}


@pytest.fixture(scope="module", params=[name for name in FRAMEWORKS if name != "numpy"])
def compiling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker a framework that compiles."""
    name: str = request.param
    need(name)
    path = tmp_path_factory.mktemp(name) / f"compiled_{name}.py"
    total = "tf.reduce_sum(logits)" if name == "tensorflow" else "logits.sum()"
    told = "torch.compiler.is_compiling()" if name == "torch" else "False"
    path.write_text(COMPILED.format(imports=IMPORTS.get(name, ""), total=total, told=told))
    target = Target(f"{path}:cross_entropy", "cross_entropy")
    one = Worker(registered()[name].adapter, "cpu", 120.0, target, compiled=True)
    assert one.wait_ready(), one.unavailable
    if one.uncompiled:
        one.close()
        pytest.skip(one.uncompiled)
    yield one
    one.close()


def compiled(worker: Worker, keywords: Any, logits: Array, **more: Array) -> Outcome:
    arrays = {"logits": logits, "target": Array.of([0], "int64"), **more}
    return worker.ask(Request("target", "cross_entropy", arrays, keywords, "compiled"))


def test_a_compiled_function_has_its_value_and_gradient(compiling: Worker) -> None:
    assert compiling.details["compiler"]
    for fmt in FORMATS:
        x = Array.of([[1, 2, -3]], fmt)
        outcome = compiled(compiling, {}, x, upstream=Array.of([[1, 0.5, 2]], fmt))
        assert value(outcome).tolist() == [[1, 8, -27]]
        assert isinstance(outcome, Produced)
        assert isinstance(outcome.gradient, Array), outcome.gradient
        assert outcome.gradient.exact().tolist() == [[3, 6, 54]]


def test_a_keyword_of_0_is_not_one_of_0_point_0(compiling: Worker) -> None:
    x = Array.of([[1, 2]], "float32")
    got = [value(compiled(compiling, {"label_smoothing": e}, x))[0, 0] for e in (0.0, 0, 0.0)]
    assert got == [2, 3, 2]


def test_python_that_depends_on_a_tensor_is_declined_where_it_is_compiled_and_only_there(compiling: Worker) -> None:
    x = Array.of([[1, 2]], "float32")
    outcome = compiled(compiling, {"reduction": "decides"}, x)
    assert isinstance(outcome, Declined), outcome
    assert outcome.reason.startswith(("torch.compile: ", "jax.jit: ", "tf.function: "))
    assert "\n" not in outcome.reason
    eager = Request(
        "target", "cross_entropy", {"logits": x, "target": Array.of([0], "int64")}, {"reduction": "decides"}
    )
    assert value(compiling.ask(eager)).tolist() == [[1, 2]]


@pytest.mark.parametrize("more", [{}, {"weight": [1, 2, 4]}, {"label_smoothing": 0.1}, {"ignore_index": 1}], ids=str)
@pytest.mark.parametrize("operation", LOSSES)
def test_a_compiled_loss_cannot_raise_and_is_nan_where_the_index_is_out_of_range(
    compiling: Worker, operation: str, more: dict[str, Any]
) -> None:
    """Clause N4: at that position alone under none, and the whole of it under sum and mean; eagerly it raises."""
    if "torch" in compiling.details:
        pytest.skip("its losses are the framework's own: the cases judge them")
    if operation == "nll_loss" and "label_smoothing" in more:
        pytest.skip("nll_loss has no smoothing")
    keywords = {key: value for key, value in more.items() if key != "weight"}
    arrays = {LOSSES[operation]: Array.of([[-1, -2, -3]] * 3, "float32")}
    if "weight" in more:
        arrays["weight"] = Array.of(more["weight"], "float32")
    for index, reduction in itertools.product((-1, 3, 10**6), ("none", "sum", "mean")):
        asked = {**arrays, "target": Array.of([0, index, 2], "int64")}
        outcome = compiling.ask(Request("", operation, asked, {**keywords, "reduction": reduction}, "compiled"))
        nan = np.isnan(value(outcome)).tolist()
        assert nan == ([False, True, False] if reduction == "none" else True), (index, reduction)
        eager = compiling.ask(Request("", operation, asked, {**keywords, "reduction": reduction}))
        assert isinstance(eager, Raised), eager


@pytest.mark.parametrize("variant", ["", "manual"])
def test_a_compiled_loss_is_what_it_is_eagerly(compiling: Worker, variant: str) -> None:
    """What the adapter composes can be compiled, and gives the same but for roundings, and the same gradient."""
    # Torch compiles in seconds, and composes little.
    names = CALLS if "torch" not in compiling.details else ("row_sum", "smoothing_term", "index smoothed")
    for name in names:
        operation, keywords, arrays = CALLS[name]
        shape = value(compiling.ask(Request("", operation, arrays, keywords))).shape
        upstream = Array.of(np.linspace(1, 2, math.prod(shape)).reshape(shape), "float32")
        asked = {**arrays, "upstream": upstream} if operation != "one_hot" else arrays
        eager = compiling.ask(Request(variant, operation, asked, keywords))
        outcome = compiling.ask(Request(variant, operation, asked, keywords, "compiled"))
        if isinstance(eager, Declined):
            assert outcome == eager
            continue
        assert np.allclose(value(outcome), value(eager), rtol=1e-5), name
        assert isinstance(outcome, Produced) and isinstance(eager, Produced)
        if operation != "one_hot":
            assert isinstance(outcome.gradient, Array) and isinstance(eager.gradient, Array), (name, outcome.gradient)
            assert np.allclose(outcome.gradient.exact(), eager.gradient.exact(), rtol=1e-5, atol=1e-6), name


def test_more_shapes_than_dynamo_compiles_by_itself_are_never_run_eagerly(compiling: Worker) -> None:
    """Past 8 recompilations Dynamo gives up on a function; the others have no such limit."""
    if "torch" not in compiling.details:
        pytest.skip("only Dynamo has the limit")
    for n in range(1, 11):
        outcome = compiled(compiling, {"reduction": "tells"}, Array.of([[1] * n], "float32"))
        assert value(outcome).tolist() == [[2] * n]


def test_numpy_has_no_compiler() -> None:
    worker = Worker(registered()["numpy"].adapter, "cpu", compiled=True)
    assert worker.wait_ready()
    assert worker.uncompiled == "numpy has no compiler"
    with pytest.raises(WorkerStopped, match="numpy has no compiler"):
        worker.ask(Request("", "softmax", {"logits": X}, {}, "compiled"))
    assert isinstance(worker.ask(Request("", "softmax", {"logits": X})), Produced), "eager calls go on"
    worker.close()


X = Array.of([[0.1, 0.2, 0.3], [0.1, 0.1, 0.1]], "float32")
Z = Array.of([[-1, -2, -0.5], [-1, -1, -1]], "float32")
IMAGES = Array.of([[[0.1], [0.2], [0.3]]] * 2, "float32")
INDEX = Array.of([2, 0], "int64")
PROBABILITIES = Array.of([[0, 0.5, 0.5], [1, 0, 0]], "float32")
WEIGHT = Array.of([1, 2, 4], "float32")
NONE = {"reduction": "none"}

Call = tuple[str, dict[str, Any], dict[str, Array]]
CALLS: dict[str, Call] = {
    "softmax": ("softmax", {}, {"logits": X}),
    "log_softmax": ("log_softmax", {}, {"logits": X}),
    "exp": ("exp", {}, {"logits": X}),
    "one_hot": ("one_hot", {}, {"logits": X, "target": INDEX}),
    "row_sum": ("row_sum", {}, {"logits": X}),
    "log_softmax_row_sum": ("log_softmax_row_sum", {}, {"logits": X}),
    "smoothing_term": ("smoothing_term", {}, {"logits": X}),
    "nll": ("nll_loss", NONE, {"log_probs": Z, "target": INDEX}),
    "nll weighted": ("nll_loss", {}, {"log_probs": Z, "target": INDEX, "weight": WEIGHT}),
    "index": ("cross_entropy", NONE, {"logits": X, "target": INDEX}),
    "probabilities": ("cross_entropy", NONE, {"logits": X, "target": PROBABILITIES}),
    "index mean": ("cross_entropy", {}, {"logits": X, "target": INDEX}),
    "index of images": ("cross_entropy", NONE, {"logits": IMAGES, "target": Array.of([[2], [0]], "int64")}),
    "index ignored": ("cross_entropy", {**NONE, "ignore_index": 0}, {"logits": X, "target": INDEX}),
    "index smoothed": ("cross_entropy", {**NONE, "label_smoothing": 0.1}, {"logits": X, "target": INDEX}),
    "index weighted": ("cross_entropy", NONE, {"logits": X, "target": INDEX, "weight": WEIGHT}),
    "probabilities mean": ("cross_entropy", {}, {"logits": X, "target": PROBABILITIES}),
    "probabilities smoothed": (
        "cross_entropy",
        {**NONE, "label_smoothing": 0.1},
        {"logits": X, "target": PROBABILITIES},
    ),
}
# What one public call of each library does; everything else is composed by the adapter.
LOSSES_OF_TORCH = {name for name, (operation, _, _) in CALLS.items() if operation in LOSSES}
ONE_CALL = {
    "numpy": set[str](),
    "torch": {"softmax", "log_softmax", "exp"} | LOSSES_OF_TORCH,
    "tensorflow": {"softmax", "log_softmax", "exp", "one_hot", "index", "probabilities"},
    "jax": {"softmax", "log_softmax", "exp", "one_hot"},
}


@pytest.mark.parametrize("name", CALLS)
def test_native_is_only_what_one_public_call_does(worker: Worker, name: str) -> None:
    operation, keywords, arrays = CALLS[name]
    outcome = ask(worker, operation, "", keywords, **arrays)
    assert isinstance(outcome, Produced), outcome
    native = name in ONE_CALL[framework(worker)]
    assert outcome.origin == ("native" if native else "composed")
    prefix = {"tensorflow": "tf."}.get(framework(worker), f"{framework(worker)}.")
    if native:
        assert outcome.api.startswith(prefix)
        assert "," not in outcome.api
    assert outcome.unmodified


@pytest.mark.parametrize("name", CALLS)
def test_the_chain_by_hand_agrees_with_the_library_or_declines(worker: Worker, name: str) -> None:
    operation, keywords, arrays = CALLS[name]
    outcome = ask(worker, operation, "manual", keywords, **arrays)
    if any(word in name for word in ("weighted", "ignored", "images", "probabilities")):
        assert isinstance(outcome, Declined)
        return
    assert isinstance(outcome, Produced), outcome
    assert outcome.origin == "manual"
    library = value(ask(worker, operation, "", keywords, **arrays))
    assert np.allclose(outcome.value.exact(), library, rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_inputs_lie_in_memory_as_asked_or_not_at_all(worker: Worker, fmt: str, layout: str) -> None:
    logits = Array.of(np.arange(24.0).reshape(2, 3, 4) - 12, fmt)
    arrays = {"logits": logits, "target": Array.of(np.ones((2, 4)), "int64"), "upstream": logits}
    outcome = worker.ask(Request("target", "cross_entropy", arrays, {"reduction": "logits"}, layout=layout))
    if framework(worker) in ("tensorflow", "jax"):
        assert isinstance(outcome, Declined) and "how a tensor lies in memory" in outcome.reason
        return
    assert isinstance(outcome, Produced), outcome
    assert outcome.unmodified and np.array_equal(outcome.value.exact(), logits.exact())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_layout_is_another_one_and_what_is_between_is_not_to_be_read(
    name: str, shape: tuple[int, ...], layout: str
) -> None:
    need(name)
    module, _, cls = registered()[name].adapter.partition(":")
    made = getattr(importlib.import_module(module), cls)("cpu")
    for values, fmt in ((np.ones(shape), "float32"), (np.ones(shape, np.int64), "int64")):
        tensor = made.arranged(made.to_device(Array.of(values, fmt)), layout)
        assert np.array_equal(np.asarray(tensor), values)
        strides = [n // np.asarray(tensor).itemsize for n in np.asarray(tensor).strides]
        if layout == "strided":
            assert strides[-1] == 2
        elif layout == "transposed":
            assert strides == sorted(strides)
        else:
            whole = tensor.base if name == "numpy" else tensor.untyped_storage()
            size = whole.nbytes if name == "numpy" else whole.nbytes()
            assert size == np.asarray(tensor).itemsize * (values.size + 3)


def test_logits_that_are_computed_inside_have_their_own_gradient(worker: Worker) -> None:
    arrays = {
        "logits": Array.of([0.5, 0.25], "float32"),
        "target": Array.of([0], "int64"),
        "upstream": Array.of([1.0, 1.0], "float32"),
    }
    outcome = worker.ask(Request("target", "cross_entropy", arrays, {"reduction": "cube"}, scale=4.0))
    assert isinstance(outcome, Produced) and isinstance(outcome.gradient, Array)
    assert outcome.value.exact().tolist() == [8.0, 1.0] and outcome.gradient.exact().tolist() == [48.0, 12.0]


@pytest.mark.parametrize("name", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_unavailable(name: str) -> None:
    worker = Worker(registered()["numpy"].adapter, name)
    assert not worker.wait_ready()
    worker.close()
    assert worker.unavailable == f"NumPy has no device {name!r}"


@pytest.mark.parametrize(
    ("framework", "name", "reason"),
    [
        ("torch", "cdua", "PyTorch is judged on cpu and cuda, not on 'cdua'"),
        ("torch", "gpu", "PyTorch is judged on cpu and cuda, not on 'gpu'"),
        ("torch", "cpu:1", "PyTorch has no device 'cpu:1'"),
        ("torch", "cpu:a", "PyTorch has no device 'cpu:a'"),
        ("torch", "cuda:99", "CUDA device|no device 'cuda:99'"),
        ("tensorflow", "cuda", "TensorFlow is judged on cpu and gpu, not on 'cuda'"),
        ("tensorflow", "gpuu", "TensorFlow is judged on cpu and gpu, not on 'gpuu'"),
        ("jax", "gpuu", "JAX has no device 'gpuu': "),
    ],
)
def test_a_device_that_nobody_has_is_absent_and_not_a_fault(framework: str, name: str, reason: str) -> None:
    need(framework)
    worker = Worker(registered()[framework].adapter, name)
    assert not worker.wait_ready()
    worker.close()
    assert re.search(reason, worker.unavailable), worker.unavailable
    assert "\n" not in worker.unavailable
    assert not worker.broken


def test_cuda_is_timed_by_its_events_with_its_cache_emptied_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No GPU is here: CUDA's functions are stood in for, and what is asked of them, in which order, is looked at."""
    need("torch")
    import torch

    from lossparity_backends.on_torch import Torch

    asked: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            asked.append("record")

        def synchronize(self) -> None:
            asked.append("synchronize")

        def elapsed_time(self, _ended: object) -> float:
            return 2.5  # milliseconds

    adapter = Torch("cpu")
    assert adapter.device_clock(lambda: asked.append("never"), False) is None and not asked
    monkeypatch.setattr(adapter, "_device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _device: asked.append("waited"))
    monkeypatch.setattr(adapter, "_over", type("Over", (), {"zero_": lambda _self: asked.append("emptied")})())
    assert adapter.device_clock(lambda: asked.append("work"), False) == (0.0025, None)
    assert asked == ["record", "work", "record", "synchronize"]
    asked.clear()
    adapter.device_clock(lambda: asked.append("work"), True)
    assert asked == ["emptied", "waited", "record", "work", "record", "synchronize"]
