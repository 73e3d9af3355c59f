"""The one function that makes a call: framework, implementation and request in, outcome out. Runs in the child.

Nothing is judged here and the expected value is not known here. An exception of the forward pass is the outcome;
one of the backward pass is the gradient's outcome alone, so that the value is still judged.
"""

from __future__ import annotations

import os
from functools import cache
from traceback import walk_tb
from typing import Any, Callable, Mapping, Optional, Union
from zlib import crc32

import numpy as np

from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.framework import NO_LAYOUTS, Entry, Framework, Implementation, Unsupported
from lossparity.model import Declined, Produced, Raised, Request
from lossparity.spec import OPERATIONS

__all__ = ["arguments", "call", "chosen", "function_of", "placed", "said"]

_MOST_MESSAGE = 2000


def call(framework: Framework, implementation: Implementation, request: Request) -> Union[Produced, Raised, Declined]:
    """Make one call of an implementation and say what came of it."""
    try:
        entry = chosen(implementation, request)
    except Unsupported as error:
        return Declined(said(error))
    except Exception as error:  # noqa: BLE001 - a stranger's adapter may fail where it is asked what it accepts
        return Raised(type(error).__name__, said(error))
    if entry is None:
        return Declined(f"{request.operation} with {_stated(request)} is not offered")
    before = {name: crc32(_bytes(a)) for name, a in request.arrays.items()}  # a tensor may share the request's memory
    try:
        tensors = {name: placed(framework, a, request.layout) for name, a in request.arrays.items()}
        value, pullback = framework.vjp(function_of(framework, entry, request), *arguments(request, tensors))
        produced = _result(framework, value)
    except (Unsupported, NotImplementedError) as error:
        return Declined(said(error))
    except Exception as error:  # noqa: BLE001 - whatever a framework raises is its outcome
        return Raised(type(error).__name__, said(error), entry.api, entry.origin, _where(error, entry.file))
    gradient = _gradient(framework, entry, pullback, tensors)
    return Produced(produced, gradient, entry.api, entry.origin, _unmodified(framework, request, tensors, before))


def chosen(implementation: Implementation, request: Request) -> Optional[Entry]:
    """Return the entry that makes a call, the first that accepts it; none where it is not offered."""
    return next((e for e in implementation.get(request.operation, ()) if e.accepts(request)), None)


def _stated(request: Request) -> str:
    """Name what the case states, so that a person sees which keyword is missing."""
    kind = "probabilities" if "target" in request.arrays and request.arrays["target"].format in FORMATS else ""
    weight = "weight" if "weight" in request.arrays else ""
    rank = f"rank {len(request.arrays[OPERATIONS[request.operation].first].shape)}"
    return ", ".join(word for word in (rank, kind, weight, *request.keywords) if word)


def placed(framework: Framework, array: Array, layout: str) -> Any:
    """Make a tensor, and let it lie in memory as the request says."""
    tensor = framework.to_device(array)
    if not layout or not array.shape:
        return tensor
    arranged: Optional[Callable[[Any, str], Any]] = getattr(framework, "arranged", None)
    if arranged is None:
        raise Unsupported(f"{framework.name} {NO_LAYOUTS}")
    return arranged(tensor, layout)


@cache  # a compiler keeps what it compiled by the function
def _scaling(function: Callable[..., Any], scale: float) -> Callable[..., Any]:
    """Return the function of what it is given times `scale`."""

    def scaled(first: Any, *arguments: Any, **keywords: Any) -> Any:
        return function(first * scale, *arguments, **keywords)

    def gradient(first: Any, *arguments: Any, **keywords: Any) -> Any:
        return function.gradient(first * scale, *arguments, **keywords) * scale  # type: ignore[attr-defined]

    if hasattr(function, "gradient"):
        scaled.gradient = gradient  # type: ignore[attr-defined]
    return scaled


def function_of(framework: Framework, entry: Entry, request: Request) -> Callable[..., Any]:
    """Return the entry's function, compiled where that is asked for; what makes a tensor of its result comes after."""
    function, result = entry.function, entry.result
    if request.scale != 1.0:
        function = _scaling(function, request.scale)
    if request.mode:
        function = framework.compile(function, request.keywords)
    if result is None:
        return function

    def finished(*arguments: Any, **keywords: Any) -> Any:
        return result(function(*arguments, **keywords))

    if hasattr(function, "gradient"):
        finished.gradient = function.gradient  # type: ignore[attr-defined]
    return finished


def arguments(request: Request, tensors: Mapping[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return a call's first argument, the other positional ones, and the keywords that the function has not bound."""
    operation = OPERATIONS[request.operation]
    rest = (tensors["target"],) if operation.target else ()
    keywords: dict[str, Any] = {} if request.mode else dict(request.keywords)  # a compiled function has them bound
    if "weight" in tensors:
        keywords["weight"] = tensors["weight"]
    return tensors[operation.first], rest, keywords


def _gradient(
    framework: Framework, entry: Entry, pullback: Any, tensors: Mapping[str, Any]
) -> Union[Array, Raised, Declined, None]:
    if "upstream" not in tensors:
        return None
    if entry.no_gradient:
        return Declined(entry.no_gradient)
    try:
        return _result(framework, pullback(tensors["upstream"]))
    except (Unsupported, NotImplementedError) as error:
        return Declined(said(error))
    except Exception as error:  # noqa: BLE001 - whatever a framework raises is its outcome
        return Raised(type(error).__name__, said(error), where=_where(error, entry.file))


def _result(framework: Framework, value: Any) -> Array:
    try:
        result = framework.to_numpy(value)
    except (AttributeError, KeyError, TypeError) as error:  # not a tensor at all, or of a type that no format is
        raise TypeError(f"the result, of type {type(value).__name__}, is not an array of numbers: {error}") from error
    if not isinstance(result, Array):
        raise TypeError(f"the adapter's to_numpy returned {type(result).__name__}, which is no Array")
    if result.format not in FORMATS and result.format not in INTEGERS:
        raise TypeError(f"the adapter's to_numpy returned an array of {result.format!r}, which is no format")
    return Array(result.format, result.data)  # whose dtype is looked at once more


def said(error: BaseException) -> str:
    """Return an exception's message, or its name where it has none; not more than is worth recording."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - the message of a broken exception cannot be had
        message = ""
    return (message or type(error).__name__)[:_MOST_MESSAGE]


def _where(error: BaseException, file: str) -> str:
    """Return the last line of a file that an exception came through, as `file:line`, seen from the current folder."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if file and frame.f_code.co_filename == file]
    if not lines:
        return ""
    near = os.path.relpath(file)
    return f"{file if near.startswith(os.pardir) else near}:{lines[-1]}"


def _unmodified(framework: Framework, request: Request, tensors: Mapping[str, Any], before: Mapping[str, int]) -> bool:
    try:
        return all(
            crc32(_bytes(given)) == before[name] and _bytes(framework.to_numpy(tensors[name])) == _bytes(given)
            for name, given in request.arrays.items()
        )
    except Exception:  # noqa: BLE001 - an input that cannot be read any more was given away or deleted
        return False


def _bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array.data).tobytes()
