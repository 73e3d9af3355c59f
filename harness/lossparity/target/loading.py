"""Find a user's function: in a module, a file or a pickle. Runs in the child, and nowhere else."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterable

from lossparity.errors import suggest, suggest_file

__all__ = ["load", "source_file"]

_PICKLE = "pickle:"


def load(where: str, places: Iterable[str] = ()) -> Callable[..., Any]:
    """Import `package.module:name`, `path/file.py:name` or `pickle:PATH`; raise ImportError with the reason.

    Modules are looked for in `places` too, after all others.
    """
    sys.path += [one for one in places if one not in sys.path]
    if where.startswith(_PICKLE):
        found = _imported(where, _unpickled)
    else:
        place, _, name = where.rpartition(":")
        if not place or not name:
            raise ImportError(f"{where!r} is not package.module:name or path/file.py:name")
        found = _imported(place, _module)
        for part in name.split("."):
            if not hasattr(found, part):
                names = [one for one in dir(found) if not one.startswith("_")]
                raise ImportError(f"{place} has no {name!r}; {suggest(part, names, 'name')}")
            found = getattr(found, part)
    return _function(found, where)


def _imported(place: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(place)
    except ImportError:
        raise
    except (Exception, SystemExit) as error:  # a user's file may fail in any way while it is imported
        raise ImportError(f"{place} fails when it is imported: {type(error).__name__}: {error}") from error


def _function(found: Any, where: str) -> Callable[..., Any]:
    """Refuse what cannot be called, or gives something else than a result when it is."""
    if not callable(found):
        raise ImportError(f"{where} is not callable")
    if isinstance(found, type):
        raise ImportError(
            f"{where} is a class: give an instance or a function; `lossparity init --kind class` writes one around it"
        )
    body = getattr(found, "__call__", found) if not inspect.isroutine(found) else found  # noqa: B004 - for its code
    if any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in (found, body)):
        raise ImportError(f"{where} is a coroutine function (async def): wrap it in a function that returns the result")
    if any(inspect.isgeneratorfunction(one) for one in (found, body)):
        raise ImportError(f"{where} is a generator function (it yields): wrap it in a function that returns the result")
    function: Callable[..., Any] = found
    return function


def _unpickled(where: str) -> Any:
    path = Path(where[len(_PICKLE) :])
    if not path.is_file():
        raise ImportError(f"no such file: {path}")
    with path.open("rb") as stream:  # the user's own file, and the child is the process that may run its code
        found = pickle.load(stream)
        if isinstance(found, list):  # `lossparity.check` writes first where the function's modules are found
            sys.path += [one for one in found if one not in sys.path]
            found = pickle.load(stream)
        return found


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        sys.path.insert(0, "")
        return importlib.import_module(where)
    path = Path(where).resolve()
    if not path.is_file():
        raise ImportError(f"no such file: {where}; {suggest_file(where)}")
    sys.path.insert(0, str(path.parent))
    # A file that is called like a module in use must not take its place.
    name = f"target_{path.stem}" if path.stem in sys.modules else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def source_file(function: Callable[..., Any]) -> str:
    """Return the file that a function or the class of an object is written in, or nothing where that is not told."""
    whole = inspect.unwrap(function)
    try:
        return inspect.getsourcefile(whole if inspect.isroutine(whole) else type(whole)) or ""
    except TypeError:  # built in
        return ""
