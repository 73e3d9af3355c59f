"""How a call is written: one public call where it is one, else the real source of everything that it leads to."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lossparity.formats import Array
from lossparity.framework import COMPOSED, NATIVE, TARGET, Entry, Unsupported
from lossparity.model import Request
from lossparity.source import gathered, public_call, written
from lossparity.target import Target
from lossparity.target.scripted import scripted
from lossparity_backends.on_numpy import Numpy

ADAPTER = '''
"""An adapter's module."""

import math
from typing import Any, Callable

import numpy as np

from adapterpkg.parts import base

HALF = 0.5


def _axis(x: Any) -> int:
    return min(1, x.ndim - 1)


def unused(x: Any) -> Any:
    return x


def soft(x: Any, scale: float = 2.0) -> Any:
    """Drop what is not needed."""
    del scale
    return np.exp(x, axis=_axis(x), count=x.shape[_axis(x)], kind=x.dtype)


def twice(x: Any) -> Any:
    y = np.exp(x)
    return y


def _with(gradient: Callable[..., Any]) -> Callable[..., Any]:
    def attach(function: Any) -> Any:
        function.gradient = gradient
        return function

    return attach


# A comment that says why.
@_with(lambda x, up: up * base(x))
def composed(x: Any) -> Any:
    return HALF * base(np.exp(x)) + math.pi


def clashing(x: Any) -> Any:
    from adapterpkg.parts import other

    return other(_axis(x))


class Framework:
    """Nothing of it matters but its module and its phrases."""

    phrases = None

    def to_device(self, array: Any) -> Any:
        return array.data
'''

PARTS = '''
"""Parts."""

import math as m

DOUBLE = 2


def base(x):
    return DOUBLE * m.e * x
'''


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    package = tmp_path / "adapterpkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "on_it.py").write_text(textwrap.dedent(ADAPTER))
    (package / "parts.py").write_text(textwrap.dedent(PARTS))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("adapterpkg.on_it")
    for name in [name for name in sys.modules if name.partition(".")[0] == "adapterpkg"]:
        del sys.modules[name]


def request(**keywords: Any) -> Request:
    return Request("", "softmax", {"logits": Array.of([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float64")}, keywords)


def call(adapter: ModuleType, function: Callable[..., Any], origin: str = NATIVE) -> str | None:
    return public_call(adapter.Framework(), Entry(function, "np.exp", origin), request())


def test_a_function_that_is_public_itself_is_called_by_its_name(adapter: ModuleType) -> None:
    assert call(adapter, np.exp) == "np.exp(logits)"
    assert call(adapter, np.exp, COMPOSED) == "np.exp(logits)"


def test_arguments_that_come_to_plain_numbers_are_written_as_these(adapter: ModuleType) -> None:
    assert call(adapter, adapter.soft) == "np.exp(logits, axis=1, count=3, kind=logits.dtype)"


def test_what_does_more_or_calls_something_else_is_no_public_call(adapter: ModuleType) -> None:
    assert call(adapter, adapter.twice) is None
    assert call(adapter, adapter.composed) is None
    assert call(adapter, adapter.soft, COMPOSED) is None
    assert public_call(adapter.Framework(), Entry(adapter.soft, "np.log", NATIVE), request()) is None
    assert public_call(adapter.Framework(), Entry(adapter.soft, "exp / sum", NATIVE), request()) is None


def test_everything_that_a_function_leads_to_is_gathered_and_runs(adapter: ModuleType) -> None:
    imports, code = gathered(adapter.composed, "adapterpkg")
    assert set(imports) == {
        "from typing import Any",
        "from typing import Callable",
        "import numpy as np",
        "import math",
        "import math as m",
    }
    space: dict[str, Any] = {}
    exec("\n".join(["from __future__ import annotations", *imports, *code]), space)
    x = np.array([0.5, -1.25])
    assert np.array_equal(space["composed"](x), adapter.composed(x))
    assert np.array_equal(space["composed"].gradient(x, 3.0), adapter.composed.gradient(x, 3.0))
    assert "unused" not in space and "soft" not in space
    assert any(text.startswith("# A comment that says why.\n@_with(") for text in code)


def test_the_text_is_the_files_own(adapter: ModuleType) -> None:
    _, code = gathered(adapter.composed, "adapterpkg")
    files = (Path(adapter.__file__ or "").read_text(), Path(sys.modules["adapterpkg.parts"].__file__ or "").read_text())
    assert all(any(text in file for file in files) for text in code)


def test_what_cannot_stand_alone_is_refused(adapter: ModuleType) -> None:
    def local(x: Any) -> Any:
        return x

    with pytest.raises(Unsupported, match="is not defined at the top"):
        gathered(local, "adapterpkg")
    source = Path(adapter.__file__ or "")
    source.write_text(
        source.read_text() + "\nfrom adapterpkg.parts import base as b\n\n\ndef renamed(x):\n    return b(x)\n"
    )
    importlib.invalidate_caches()
    again = importlib.reload(adapter)
    with pytest.raises(Unsupported, match="in a way that a script cannot repeat"):
        gathered(again.renamed, "adapterpkg")


def test_a_name_that_stands_for_two_things_is_refused(adapter: ModuleType) -> None:
    parts = Path(sys.modules["adapterpkg.parts"].__file__ or "")
    parts.write_text(parts.read_text() + "\n\ndef _axis(x):\n    return 7\n\n\ndef far(x):\n    return _axis(x)\n")
    source = Path(adapter.__file__ or "")
    source.write_text(
        source.read_text() + "\nfrom adapterpkg.parts import far\n\n\ndef both(x):\n    return far(_axis(x))\n"
    )
    importlib.reload(sys.modules["adapterpkg.parts"])
    again = importlib.reload(adapter)
    with pytest.raises(Unsupported, match="_axis stands for two things"):
        gathered(again.both, "adapterpkg")


def test_an_adapter_without_phrases_says_so(adapter: ModuleType) -> None:
    with pytest.raises(Unsupported, match="does not say how its calls are written"):
        written(adapter.Framework(), {"softmax": (Entry(adapter.soft, "np.exp", NATIVE),)}, request())


def test_keywords_and_weights_are_written_as_the_call_passes_them() -> None:
    numpy = Numpy("cpu")
    arrays = {
        "logits": Array.of([[1.0, 2.0]], "float64"),
        "target": Array.of([1], "int64"),
        "weight": Array.of([1.0, 2.0], "float64"),
        "upstream": Array.of(1.5, "float64"),
    }
    asked = Request("", "cross_entropy", arrays, {"reduction": "sum", "label_smoothing": 0.1})
    found = written(numpy, numpy.implementations[""], asked)
    assert found["call"] == "_cross_entropy(logits, target, reduction='sum', label_smoothing=0.1, weight=weight)"
    assert found["arguments"] == ", target, upstream, reduction='sum', label_smoothing=0.1, weight=weight"
    assert found["origin"] == COMPOSED
    with pytest.raises(Unsupported, match="not offered"):
        written(numpy, {}, asked)


@pytest.mark.parametrize("name", ["mine.py", "two words.py", "numpy.py"])
def test_a_users_function_is_imported_by_its_path(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text("class Loss:\n    @staticmethod\n    def soft(x):\n        return 2 * x\n")
    target = Target(f"{file}:Loss.soft", "softmax")
    entry = Entry(lambda x: x, target.where, TARGET)
    found = written(Numpy("cpu"), {"softmax": (entry,)}, request(), target)
    assert found["call"] == "soft(logits)"
    space: dict[str, Any] = {}
    before, modules = list(sys.path), set(sys.modules)
    try:
        exec("\n".join([*found["imports"], *found["code"]]), space)
    finally:
        sys.path[:] = before
        for added in set(sys.modules) - modules:
            del sys.modules[added]
    assert space["soft"](3) == 6


OTHERS = """
class Theirs:
    def __call__(self, *, scores, labels, eps=0.0):
        return {"loss": [scores, labels, eps]}

    def gradient(self, scores, labels, upstream, *, eps=0.0):
        return [scores, labels, upstream, eps]


own = Theirs()
"""


def test_a_users_function_of_another_form_is_called_by_its_own_contract(tmp_path: Path) -> None:
    """Mapped names, a part of what is returned, and no keyword that it lacks where the default holds anyway."""
    (tmp_path / "other.py").write_text(OTHERS)
    mapped = {"logits": "scores", "target": "labels", "label_smoothing": "eps"}
    target = Target(f"{tmp_path / 'other.py'}:own", "cross_entropy", mapped, "loss")
    stated = {"label_smoothing": 0.5, "reduction": "mean"}
    imports, code, function, passed = scripted(target, stated)
    assert passed == {"label_smoothing": 0.5}
    space: dict[str, Any] = {}
    before, modules = list(sys.path), set(sys.modules)
    try:
        exec("\n".join([*imports, *code]), space)
    finally:
        sys.path[:] = before
        for added in set(sys.modules) - modules:
            del sys.modules[added]
    assert space[function](1, 2, **passed) == [1, 2, 0.5]
    assert space[function].gradient(1, 2, 3, **passed) == [1, 2, 3, 0.5]
