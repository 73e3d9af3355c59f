"""A user's own function as an implementation: imported in the child, called by the spec's contract.

Keywords that are not in its signature make their checks unsupported; keywords that a case does not state are not
passed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

from lossparity.framework import TARGET, Entry, Implementation
from lossparity.model import Request

__all__ = ["implementation", "load"]


def load(target: str) -> Callable[..., Any]:
    """Import `package.module:name` or `path/file.py:name`; raise ImportError with the reason."""
    where, _, name = target.rpartition(":")
    if not where or not name:
        raise ImportError(f"{target!r} is not package.module:name or path/file.py:name")
    try:
        found: Any = _module(where)
    except ImportError:
        raise
    except (Exception, SystemExit) as error:  # a user's file may fail in any way while it is imported
        raise ImportError(f"{where} fails when it is imported: {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ImportError(f"{where} has no {name!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ImportError(f"{target} is not callable")
    function: Callable[..., Any] = found
    return function


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        sys.path.insert(0, "")
        return importlib.import_module(where)
    path = Path(where).resolve()
    if not path.is_file():
        raise ImportError(f"no such file: {where}")
    sys.path.insert(0, str(path.parent))
    # A file that is called like a module in use must not take its place.
    name = f"target_{path.stem}" if path.stem in sys.modules else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def implementation(target: str, operation: str) -> Implementation:
    """Make the table of one entry for a user's function; its checks with unknown keywords are unsupported."""
    function = load(target)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise ImportError(f"{target} does not tell its keywords ({error}): wrap it in a function that does") from error
    names = {p.name for p in parameters if p.kind is not inspect.Parameter.POSITIONAL_ONLY}
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)

    def accepts(request: Request) -> bool:
        stated = {*request.keywords, *({"weight"} & request.arrays.keys())}
        return anything or stated <= names

    return {operation: (Entry(function, target, TARGET, accepts),)}
