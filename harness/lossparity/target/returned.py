"""What a user's function returned: the result taken out of it, or said what it is and what to do about it."""

from __future__ import annotations

import inspect
from typing import Any, Mapping, Sequence

__all__ = ["taken"]

_MOST_NAMES = 8
_WRAP = "wrap it as an array of the logits' format"


def taken(returned: Any, which: str) -> Any:
    """Return the tensor at an index, key or attribute of what was returned, or itself; TypeError says what it is."""
    found = _part(returned, which) if which else returned
    if hasattr(found, "dtype") and hasattr(found, "shape"):  # as every framework's tensors have, and their tracers
        return found
    raise TypeError(f"returned {_described(found)}" if not which else f"--returns {which} is {_described(found)}")


def _part(returned: Any, which: str) -> Any:
    number = int(which) if which.lstrip("-").isdigit() else None
    if number is not None and isinstance(returned, (tuple, list)):
        if -len(returned) <= number < len(returned):
            return returned[number]
    elif isinstance(returned, Mapping):
        if which in returned:
            return returned[which]
    elif number is None and hasattr(returned, which):
        return getattr(returned, which)
    raise TypeError(f"--returns {which} finds nothing: returned {_described(returned)}")


def _described(value: Any) -> str:
    """Say what something is that is no tensor, and how it becomes one."""
    kind = type(value).__name__
    if value is None:
        return "None: does a `return` lack?"
    if isinstance(value, (bool, int, float, complex)):
        return f"a Python {kind}: {_WRAP}"
    if isinstance(value, str):
        return "a Python str"
    if isinstance(value, Mapping):
        return f"a {kind} with the keys {_names(value)}: `--returns {_first(value)}` takes one of them"
    if isinstance(value, (tuple, list)):
        return f"a {kind} of {len(value)}" + _of_sequence(value)
    if inspect.iscoroutine(value) or inspect.isgenerator(value):
        return f"a {kind}: give a function that returns the result itself"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"a {kind} of shape {list(value.shape)}"
    attributes = [name for name in getattr(value, "__dict__", {}) if not name.startswith("_")]
    if attributes:
        return f"an object of type {kind} with {_names(attributes)}: `--returns {attributes[0]}` takes one of them"
    return f"an object of type {kind}, which is no array"


def _of_sequence(value: Sequence[Any]) -> str:
    if not value or (isinstance(value, list) and isinstance(value[0], (bool, int, float, complex, list))):
        return f": {_WRAP}"
    # A named tuple is shown by its names, and both ways lead to its parts.
    names = getattr(value, "_fields", ())
    return (f" ({_names(names)})" if names else "") + ": `--returns 0` takes the first"


def _names(names: Any) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:_MOST_NAMES]) + (", …" if len(shown) > _MOST_NAMES else "")


def _first(names: Any) -> str:
    return next((str(name) for name in names), "KEY")
