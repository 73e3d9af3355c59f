"""How a user's function is written in a script that stands alone: imported, and called by the spec's contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping

from lossparity.framework import Unsupported
from lossparity.spec import OPERATIONS
from lossparity.target import Target
from lossparity.target.binding import Binding, bind
from lossparity.target.loading import load

__all__ = ["scripted"]


def scripted(target: Target, stated: Mapping[str, Any]) -> tuple[list[str], list[str], str, dict[str, Any]]:
    """Return the imports, the code, the name to call, and those of the stated keywords that are passed.

    Raises Unsupported for a pickled function, which is not found under any name.
    """
    where, _, name = target.where.rpartition(":")
    if where == "pickle":
        raise Unsupported("a pickled function is not imported from anywhere: put it into a file of its own")
    if where.endswith(".py"):
        file = Path(where).resolve()
        imports, found = ["import importlib.util", "import sys"], f"module.{name}"
        lines = [
            f"sys.path.insert(0, {str(file.parent)!r})",
            f"spec = importlib.util.spec_from_file_location({f'target_{file.stem}'!r}, {str(file)!r})",
            "module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)",
            "spec.loader.exec_module(module)",
        ]
    else:
        imports, found = ["import sys"], f"{where}.{name}"
        lines = [f"sys.path.insert(0, {str(Path.cwd())!r})", f"import {where}"]
    bound = bind(load(target.where), OPERATIONS[target.operation], target.map, target.where)
    passed = bound.passed(stated)
    function = name.rpartition(".")[2]
    if not (bound.by_name or bound.names or target.returns):
        return imports, [*lines, f"{function} = {found}"], function, passed
    return imports, [*lines, f"theirs = {found}", *_wrapper(target, bound)], target.operation, passed


def _wrapper(target: Target, bound: Binding) -> Iterator[str]:
    """Write a function of the spec's contract around `theirs`."""
    given = [f"{bound.by_name[name]}={name}" if name in bound.by_name else name for name in bound.positional]
    given.sort(key=lambda text: "=" in text)
    which = target.returns
    if which.lstrip("-").isdigit():
        part = f"result[{which}]"
    else:
        part = f"result[{which!r}] if isinstance(result, dict) else result.{which}" if which else "result"
    yield from ("", "", "def named(keywords):")
    yield f"    names = {dict(bound.names)!r}"
    yield "    return {names.get(name, name): value for name, value in keywords.items()}"
    yield from ("", "", f"def {target.operation}({', '.join(bound.positional)}, **keywords):")
    yield f"    result = theirs({', '.join(given)}, **named(keywords))"
    yield f"    return {part}"
    if hasattr(bound.function, "gradient"):
        yield from ("", "", "def gradient(*arrays, **keywords):")
        yield "    return theirs.gradient(*arrays, **named(keywords))"
        yield from ("", "", f"{target.operation}.gradient = gradient")
