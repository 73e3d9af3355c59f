"""One call in the child: which outcome follows from what, and that the inputs are compared after it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossparity
from lossparity.call import call
from lossparity.formats import Array
from lossparity.framework import TARGET, Entry, Unsupported
from lossparity.model import Declined, Outcome, Produced, Raised, Request
from lossparity.target import Target, implementation
from lossparity_backends.on_numpy import Numpy

LOGITS = Array.of([[1, 2], [0, 3]], "float64")
NUMPY: Any = Numpy("cpu")
UPSTREAM = Array.of([[1, 0], [2, 1]], "float64")


def request(operation: str = "softmax", keywords: Mapping[str, Any] | None = None, **arrays: Array) -> Request:
    return Request("target", operation, {"logits": LOGITS, **arrays}, keywords or {})


def called(function: Callable[..., Any], asked: Request | None = None) -> Outcome:
    asked = asked or request()
    return call(NUMPY, {asked.operation: (Entry(function, "f", TARGET),)}, asked)


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function


def doubling() -> Any:
    def function(x: Any) -> Any:
        return 2 * x

    return function


def test_a_result_comes_with_its_entry() -> None:
    outcome = called(doubling())
    assert isinstance(outcome, Produced)
    assert outcome.value.data.tolist() == [[2, 4], [0, 6]]
    assert (outcome.gradient, outcome.api, outcome.origin, outcome.unmodified) == (None, "f", TARGET, True)


def test_only_what_the_case_states_is_passed() -> None:
    seen: list[Any] = []

    def function(*arguments: Any, **keywords: Any) -> Any:
        seen.append((len(arguments), keywords))
        return arguments[0]

    called(function, request("cross_entropy", target=Array.of([0, 1], "int64")))
    weight = Array.of([1, 2], "float64")
    called(function, request("cross_entropy", {"reduction": "sum"}, target=Array.of([0, 1], "int64"), weight=weight))
    assert seen[0] == (2, {})
    assert seen[1][0] == 2
    assert seen[1][1].keys() == {"reduction", "weight"}
    assert seen[1][1]["weight"].tolist() == [1, 2]


def test_the_first_entry_that_accepts_is_called() -> None:
    def never(_: Request) -> bool:
        return False

    entries = (Entry(raising(ValueError()), "first", TARGET, never), Entry(doubling(), "second", TARGET))
    outcome = call(NUMPY, {"softmax": entries}, request())
    assert isinstance(outcome, Produced)
    assert outcome.api == "second"


@pytest.mark.parametrize("table", [{}, {"softmax": ()}, {"softmax": (Entry(len, "", TARGET, lambda _: False),)}])
def test_what_no_entry_does_is_declined(table: Any) -> None:
    assert isinstance(call(NUMPY, table, request()), Declined)


@pytest.mark.parametrize("error", [Unsupported("no such thing"), NotImplementedError("no such thing")])
def test_what_is_not_offered_is_declined_with_its_reason(error: Exception) -> None:
    assert called(raising(error)) == Declined("no such thing")


def test_an_exception_is_the_outcome_with_its_type_and_a_message_of_bounded_length() -> None:
    assert called(raising(ValueError("x" * 10_000))) == Raised("ValueError", "x" * 2000)
    assert called(raising(MemoryError())) == Raised("MemoryError", "MemoryError")


def test_an_exit_is_no_outcome() -> None:
    with pytest.raises(SystemExit):  # it ends the process, which the parent sees
        called(raising(SystemExit(3)))


@pytest.mark.parametrize(
    "value",
    [None, "text", object(), np.array([[1j, 2], [0, 3]]), np.array([[True, False]]), {"loss": 1.0}, [[1], [2, 3]]],
    ids=lambda v: type(v).__name__,
)
def test_a_result_that_is_no_array_of_numbers_is_an_error_that_says_what_it_is(value: Any) -> None:
    outcome = called(lambda _: value)
    assert isinstance(outcome, Raised)
    assert type(value).__name__ in outcome.message or "inhomogeneous" in outcome.message


def with_gradient(gradient: Callable[..., Any]) -> Any:
    function = doubling()
    function.gradient = gradient
    return function


def test_a_gradient_comes_from_the_upstream_gradient() -> None:
    outcome = called(with_gradient(lambda _x, upstream: 2 * upstream), request(upstream=UPSTREAM))
    assert isinstance(outcome, Produced)
    assert isinstance(outcome.gradient, Array)
    assert outcome.gradient.data.tolist() == [[2, 0], [4, 2]]


@pytest.mark.parametrize(
    ("gradient", "expected"),
    [
        (raising(ValueError("no way back")), Raised("ValueError", "no way back")),
        (raising(Unsupported("no gradient")), Declined("no gradient")),
    ],
)
def test_a_failing_gradient_leaves_the_value(gradient: Callable[..., Any], expected: Outcome) -> None:
    outcome = called(with_gradient(gradient), request(upstream=UPSTREAM))
    assert isinstance(outcome, Produced)
    assert outcome.value.data.tolist() == [[2, 4], [0, 6]]
    assert outcome.gradient == expected


def test_a_gradient_that_is_not_asked_for_is_not_computed() -> None:
    outcome = called(with_gradient(raising(ValueError())))
    assert isinstance(outcome, Produced)
    assert outcome.gradient is None


def overwriting(x: Any) -> Any:
    x -= x.max()
    return x.copy()


def overwriting_upstream(_x: Any, upstream: Any) -> Any:
    upstream *= 2
    return upstream.copy()


@pytest.mark.parametrize("function", [overwriting, with_gradient(overwriting_upstream)], ids=["logits", "upstream"])
def test_a_modified_input_is_noticed(function: Any) -> None:
    outcome = called(function, request(upstream=UPSTREAM))
    assert isinstance(outcome, Produced)
    assert not outcome.unmodified
    assert UPSTREAM.data.tolist() == [[1, 0], [2, 1]], "the request itself is a copy"


class Deleting(Numpy):
    """A framework that gives its inputs away, as JAX does with donated buffers."""

    def to_numpy(self, tensor: Any) -> Array:
        if tensor.shape == (2, 2) and tensor[0, 0] == 1.0:
            raise RuntimeError("Array has been deleted")
        return super().to_numpy(tensor)


DELETING: Any = Deleting("cpu")


def test_an_input_that_is_gone_after_the_call_is_modified() -> None:
    outcome = call(DELETING, {"softmax": (Entry(doubling(), "", TARGET),)}, request())
    assert isinstance(outcome, Produced)
    assert not outcome.unmodified


TARGETS = """
def some(logits, target, reduction="mean"): ...
def anything(logits, target, **keywords): ...
def by_place(logits, target, reduction="mean", /): ...
class Loss:
    def __call__(self, logits, target, *, weight=None): ...
loss = Loss()
"""


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "targets_of_test_call.py"
    path.write_text(TARGETS)
    yield path
    sys.modules.pop(path.stem, None)


@pytest.mark.parametrize(
    ("name", "keyword", "accepted"),
    [
        ("some", "reduction", True),
        ("some", "label_smoothing", False),
        ("some", "weight", False),
        ("anything", "label_smoothing", True),
        ("by_place", "reduction", False),
        ("loss", "weight", True),
        ("loss", "reduction", False),
    ],
)
def test_keywords_outside_the_signature_are_not_accepted(
    targets: Path, name: str, keyword: str, accepted: bool
) -> None:
    (entry,) = implementation(Target(f"{targets}:{name}", "cross_entropy"))["cross_entropy"]
    assert entry.accepts(request("cross_entropy", target=Array.of([0, 1], "int64")))
    stated = {"weight": Array.of([1, 2], "float64")} if keyword == "weight" else {}
    keywords = {} if stated else {keyword: 0.5}
    if accepted:
        assert entry.accepts(request("cross_entropy", keywords, **stated))
        return
    with pytest.raises(Unsupported, match=f"^no parameter {keyword}$"):
        entry.accepts(request("cross_entropy", keywords, **stated))


def test_a_file_called_like_a_module_in_use_does_not_take_its_place(targets: Path) -> None:
    import json

    path = targets.with_name("json.py")
    path.write_text("def f(x): return x\n")
    implementation(Target(f"{path}:f", "softmax"))
    assert sys.modules["json"] is json


HARNESS = Path(lossparity.__file__).parent
CHILD = (
    *(
        "errors",
        "formats",
        "spec",
        "shapes",
        "model",
        "framework",
        "processors",
        "wire",
        "call",
        "source",
        "timing",
        "worker",
    ),
    *(f"target/{path.stem}" for path in sorted((HARNESS / "target").glob("*.py"))),
)


@pytest.mark.parametrize("module", CHILD)
def test_the_childs_side_is_python_3_9(module: str) -> None:
    tree = ast.parse((HARNESS / f"{module}.py").read_text(), feature_version=(3, 9))
    nodes = list(ast.walk(tree))
    imported = [alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert "annotations" in imported, "X | Y in annotations is read as text only"
    annotations = {
        id(inner)
        for node in nodes
        for field in ("annotation", "returns")
        if isinstance(part := getattr(node, field, None), ast.AST)
        for inner in ast.walk(part)
    }
    for node in nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and id(node) not in annotations:
            operands = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            types = {"int", "float", "str", "bytes", "bool", "Array", "Any", "Path"}
            assert not operands & types, f"{module}.py:{node.lineno}: a union of types at run time"
            assert not any(isinstance(n, ast.Constant) and n.value is None for n in ast.walk(node)), node.lineno
        if isinstance(node, ast.Call):
            given = {keyword.arg for keyword in node.keywords}
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            assert not (name == "dataclass" and given & {"slots", "kw_only"}), f"{module}.py:{node.lineno}"
            assert not (name == "zip" and "strict" in given), f"{module}.py:{node.lineno}"
            assert not (name == "isinstance" and isinstance(node.args[1], ast.BinOp)), f"{module}.py:{node.lineno}"
        newer = {"StrEnum", "TypeAlias", "ParamSpec", "Self", "UTC", "pairwise", "Never", "assert_never"}
        if isinstance(node, ast.alias):
            assert node.name not in newer, f"{module}.py:{node.lineno}"
