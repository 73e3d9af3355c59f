"""Adapters that break the protocol, each in a way of its own; NumPy underneath, so what they don't break is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossparity.formats import Array
from lossparity.framework import NATIVE, Entry, Implementation, Unsupported
from lossparity_backends.on_numpy import Numpy


def softmax(x: Any) -> Any:
    """Return the right probabilities, unlike all that is below."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Right(Numpy):
    """The stranger that keeps the protocol: what each of the others differs from in one point."""

    name = "unruly"
    function = staticmethod(softmax)

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """One operation."""
        return {"": {"softmax": (Entry(self.function, "unruly.softmax", NATIVE),)}}


class FailsWhenMade(Right):
    """Cannot be constructed, and says so with an exception whose message cannot be had."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        raise Mute


class Mute(Exception):
    """Cannot be printed."""

    def __str__(self) -> str:
        """Raise, as broken exceptions do."""
        raise RuntimeError("no message")


class DescribesInNumbers(Right):
    """Describes itself in what is no text."""

    def describe(self) -> Any:
        """Return a number and a list."""
        return {"version": 7, "device": ["cpu"]}


class DescribesNothing(Right):
    """Describes itself as nothing."""

    def describe(self) -> Any:
        """Return no mapping."""
        return None


class OffersWhatItHasNot(Right):
    """Says that it accepts a call which it does not take."""

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """A function of two arguments."""
        return {"": {"softmax": (Entry(lambda x, more: x + more, "unruly.softmax", NATIVE),)}}


class AcceptsWithAnError(Right):
    """Fails where it is asked what it accepts."""

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """Accept by raising."""

        def accepts(_request: object) -> bool:
            raise KeyError("which call?")

        return {"": {"softmax": (Entry(self.function, "unruly.softmax", NATIVE, accepts),)}}


class Sharing(Right):
    """Computes on the very memory that the request came in."""

    def to_device(self, array: Array) -> Any:
        """Copy nothing."""
        return array.data


def _in_place(x: Any) -> Any:
    x -= x.max(axis=-1, keepdims=True)
    return softmax(x)


class ChangesTheInputs(Sharing):
    """Changes the request itself, so that tensor and request are alike afterwards."""

    function = staticmethod(_in_place)


class ReturnsItsInput(Sharing):
    """Returns a view of its input as the result."""

    function = staticmethod(lambda x: x[...])


_SHARED = np.zeros((1, 2))


def _shared(x: Any) -> Any:
    _SHARED[...] = softmax(x)
    return _SHARED


class ReturnsOneArray(Right):
    """Returns the same array each time, filled anew: every result is right while nobody asks for the next."""

    function = staticmethod(_shared)


class Returns(Right):
    """Returns what `made` makes of the right result."""

    def to_numpy(self, tensor: Any) -> Array:
        """Return a result in a form of its own; inputs are read as they should be."""
        return super().to_numpy(tensor) if tensor.base is None else self.made(tensor)

    @staticmethod
    def made(tensor: Any) -> Any:
        """Return the array itself, which is no `Array`."""
        return tensor

    def vjp(self, function: Any, first: Any, rest: Any, keywords: Any) -> Any:
        """Mark the value by giving it a base."""
        value, pullback = super().vjp(function, first, rest, keywords)
        return value[...], pullback


class ReturnsBareNumbers(Returns):
    """Returns the framework's array where an `Array` is due."""


class ReturnsNarrower(Returns):
    """Returns binary32 for binary64."""

    @staticmethod
    def made(tensor: Any) -> Any:
        """Narrow it."""
        return Array("float32", tensor.astype(np.float32))


class ReturnsIntegers(Returns):
    """Returns whole numbers."""

    @staticmethod
    def made(tensor: Any) -> Any:
        """Cut off the fraction."""
        return Array("int64", tensor.astype(np.int64))


class ReturnsOtherBytes(Returns):
    """Says binary64 and hands over numbers of the other byte order."""

    @staticmethod
    def made(tensor: Any) -> Any:
        """Swap the bytes behind the back of `Array`."""
        array = Array("float64", tensor)
        object.__setattr__(array, "data", tensor.astype(">f4"))
        return array


class ReturnsComplex(Returns):
    """Returns complex numbers under a name that is no format."""

    @staticmethod
    def made(tensor: Any) -> Any:
        """Name a format that there is not."""
        array = Array("float64", tensor)
        object.__setattr__(array, "format", "complex128")
        return array


class ReturnsNothing(Right):
    """Returns nothing where a value and a function are due."""

    def vjp(self, function: Any, first: Any, rest: Any, keywords: Any) -> Any:  # noqa: ARG002
        """Return no pair."""
        return None


class Lacks(Right):
    """Has no way to bring a result back."""

    to_numpy = None  # type: ignore[assignment]


class Refuses(Right):
    """Declines with words that no terminal should see as they are."""

    def to_device(self, array: Array) -> Any:
        """Decline, at great length."""
        raise Unsupported(f"\x1b[2J{array.format}\udcff" + "!" * 100_000)
