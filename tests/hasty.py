"""Adapters whose times are worth nothing: NumPy's, made to return early, late, or what was worked out before.

`Honest` is NumPy's own, for comparison. The one variant that each has bears the name of its class, in small letters.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lossparity.formats import Array
from lossparity.framework import Implementation, Unsupported
from lossparity.model import Case, Recipe
from lossparity_backends.on_numpy import Numpy

Function = Callable[..., Any]

CASE = Case(
    id="speed/small",
    suite="speed",
    about="",
    clause="P1",
    operation="cross_entropy",
    inputs={
        "logits": Recipe("normal", (64, 1000), {"seed": 1, "scale": 3.0}),
        "target": Recipe("integers", (64,), {"below": 1000, "seed": 2}),
    },
    keywords={"reduction": "mean"},
    formats=("float32",),
    gradient=True,
    one_of=(),
    published=None,
    source="cases/speed.yaml:1",
)
"""What they are timed on: some 0.7 ms of NumPy's work."""


class Honest(Numpy):
    """NumPy's own functions."""

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        table = super().implementations[""]
        variant = type(self).__name__.lower()
        return {
            variant: {
                name: tuple(replace(entry, function=self._both(entry.function)) for entry in entries)
                for name, entries in table.items()
            }
        }

    def _both(self, function: Function) -> Function:
        def called(*given: Any, **more: Any) -> Any:
            return self.called(function, given, more)

        if hasattr(function, "gradient"):
            gradient = function.gradient
            called.gradient = lambda *given, **more: self.called(gradient, given, more)  # type: ignore[attr-defined]
        return called

    def called(self, function: Function, given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        """Call it."""
        return function(*given, **more)


class Promise:
    """A result that is not there yet."""

    def __init__(self, work: Callable[[], Any], *, early: bool) -> None:
        self._work, self._done = work, threading.Event()
        self._found: Any = None
        if early:
            threading.Thread(target=self._later).start()

    def _later(self) -> None:
        time.sleep(0.02)
        self.result()

    def result(self) -> Any:
        """Wait for it, or do it."""
        if not self._done.is_set():
            self._found = self._work()
            self._done.set()
        return self._found


class Lazy(Honest):
    """Works when somebody looks at the result."""

    early = False

    def called(self, function: Function, given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        return Promise(lambda: function(*given, **more), early=self.early)

    def to_numpy(self, tensor: Any) -> Array:
        return super().to_numpy(tensor.result() if isinstance(tensor, Promise) else tensor)


class Unsynchronised(Lazy):
    """Returns before its work is done, and does not wait for it where it is told to."""

    early = True

    def to_numpy(self, tensor: Any) -> Array:
        if isinstance(tensor, Promise):
            tensor._done.wait()
        return super().to_numpy(tensor)

    def synchronise(self, tensor: Any) -> None:
        """Do nothing."""


class Remembering(Honest):
    """Keeps results by the identity of the tensor."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self._kept: dict[Any, tuple[Any, Any]] = {}

    def key(self, function: Function, given: tuple[Any, ...]) -> Any:
        return function, id(given[0])

    def called(self, function: Function, given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        where = self.key(function, given)
        if where not in self._kept:
            self._kept[where] = given[0], function(*given, **more)  # what is kept alive keeps its identity
        return self._kept[where][1]


class Prepared(Remembering):
    """Works once for a shape, when it is made ready, and never again."""

    def key(self, function: Function, given: tuple[Any, ...]) -> Any:
        return function, given[0].shape


class Slower(Honest):
    """Takes a tenth more time."""

    share = 0.1

    def called(self, function: Function, given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        began = time.perf_counter()
        found = function(*given, **more)
        until = time.perf_counter() + self.share * (time.perf_counter() - began)
        while time.perf_counter() < until:
            pass
        return found


class Broken(Honest):
    """Works when it is made ready, and raises afterwards."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self._calls = 0

    def called(self, function: Function, given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        self._calls += 1
        if self._calls > 200:
            raise RuntimeError("it is worn out")
        return super().called(function, given, more)


class Threefold(Slower):
    """Takes three times as long."""

    share = 2.0


class Mortal(Honest):
    """Ends its process after a while."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self._calls = 0

    def called(self, function: Function, given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        self._calls += 1
        if self._calls > 50:
            os._exit(7)
        return super().called(function, given, more)


class Without16(Honest):
    """Has no binary16."""

    def to_device(self, array: Array) -> Any:
        if array.format == "float16":
            raise Unsupported("there is no float16 here")
        return super().to_device(array)


class Again(Honest):
    """The same once more."""
