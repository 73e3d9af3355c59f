"""The commands that repeat a check: to be copied from the page, and to be read in what CI systems show."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from lossparity.model import Backend
from lossparity.record import Record, Result

__all__ = ["Commands"]

# What a run was told that `lossparity show` has to be told too, by what it is called in a run and in pytest.
_GIVEN = {"--cases": "--cases", "--lossparity-cases": "--cases", "--map": "--map", "--returns": "--returns"}
_FLAGS = ("--inplace-ok",)


@dataclass(frozen=True)
class Commands:
    """How the checks of a record are repeated: `options` is what its run was told that `show` has to be told too.

    `functions` names, by backend, the user's function that it is: FILE:NAME, or one that was pickled, which no command
    can name. `names` are backends that a command calls otherwise than the record does. `convention` is what the run
    went by where that is not the spec's own, by which `show` goes.
    """

    options: str = ""
    functions: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    convention: str = ""

    @classmethod
    def of(cls, record: Record) -> Commands:
        """Read them from a record: of a function that crashed, its other results say how it is called."""
        functions = {r.backend: r.api for r in record.results if r.origin == "target" and r.api}
        called = {name: _called(record, name, name in functions) for name in {r.backend for r in record.results}}
        names = {name: other for name, other in sorted(called.items()) if other != name}
        return cls(_options(record.header.command), functions, names, _convention(record.header.command))

    @classmethod
    def alone(cls, result: Result) -> Commands:
        """Read what one result says of itself."""
        if result.origin != "target" or not result.api:
            return cls()
        return cls("", {result.backend: result.api}, {result.backend: str(_function(Backend.parse(result.backend)))})

    def again(self, result: Result) -> str:
        """Return the command that shows a check again; of a pickled function, the call."""
        function = self.functions.get(result.backend, "")
        if function.startswith("pickle:"):
            return f"lossparity.check(…, case={result.case!r}, format={result.format!r})"
        return self._show(result, result.check)

    def script(self, result: Result) -> str:
        """Return the command that prints a result as a script; empty where none can be written of such a call."""
        function = self.functions.get(result.backend, "")
        if function.startswith("pickle:") or Backend.parse(result.backend).mode or self.convention:
            return ""
        return self._show(result, result.key, "--script")

    def _show(self, result: Result, name: str, *more: str) -> str:
        function, (case, _, rest) = self.functions.get(result.backend, ""), name.partition("@")
        name = f"{case}@{self.names.get(result.backend, result.backend)}{rest.removeprefix(result.backend)}"
        target = f"--target {shlex.quote(function)}" if function else ""
        return " ".join(part for part in ("lossparity show", shlex.quote(name), target, self.options, *more) if part)


def _function(backend: Backend) -> Backend:
    """Return what a command calls a user's function: in a session of pytest each has a name of its own."""
    return replace(backend, variant="target") if backend.variant else backend


def _called(record: Record, name: str, function: bool) -> str:
    backend, environment = Backend.parse(name), record.environment(name)
    if function:
        backend = _function(backend)
    if backend.python and "/" not in backend.python:
        # Where versions were put side by side, one stands in the place of an interpreter.
        backend = replace(backend, python=environment.details.get("interpreter", "") if environment else "")
    return str(backend)


def _options(command: str) -> str:
    """Return options of a command, quoted for a shell; of several commands, joined by semicolons, those of all."""
    try:
        words = [word.rstrip(";") for word in shlex.split(command)]
    except ValueError:  # nobody's shell has split it
        return ""
    found: list[tuple[str, ...]] = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name in _GIVEN and (value or following):
            found.append((_GIVEN[name], value if equals else following))
        elif word in _FLAGS:
            found.append((word,))
    return shlex.join(word for one in dict.fromkeys(found) for word in one)


def _convention(command: str) -> str:
    """Return what `--convention` was given, several joined by commas; in a session of pytest it is no option."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    given = [after for word, after in pairwise(words) if word == "--convention"]
    given += [word.partition("=")[2] for word in words if word.startswith("--convention=")]
    return ",".join(dict.fromkeys(given))
