"""The commands that repeat a check: to be copied from the page, and to be read in what CI systems show."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
    can name.
    """

    options: str = ""
    functions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record) -> Commands:
        """Read them from a record: of a function that crashed, its other results say how it is called."""
        functions = {r.backend: r.api for r in record.results if r.origin == "target" and r.api}
        return cls(_options(record.header.command), functions)

    @classmethod
    def alone(cls, result: Result) -> Commands:
        """Read what one result says of itself."""
        return cls("", {result.backend: result.api} if result.origin == "target" and result.api else {})

    def again(self, result: Result) -> str:
        """Return the command that shows a check again; of a pickled function, the call."""
        function = self.functions.get(result.backend, "")
        if function.startswith("pickle:"):
            return f"lossparity.check(…, case={result.case!r}, format={result.format!r})"
        return self._show(result, result.check)

    def script(self, result: Result) -> str:
        """Return the command that prints a result as a script; empty where none can be written of such a call."""
        function = self.functions.get(result.backend, "")
        if function.startswith("pickle:") or Backend.parse(result.backend).mode:
            return ""
        return self._show(result, result.key, "--script")

    def _show(self, result: Result, name: str, *more: str) -> str:
        function, target = self.functions.get(result.backend, ""), ""
        if function:
            # In a session of pytest a function has a name of its own; the command knows it by its file.
            case, _, rest = name.partition("@")
            backend = replace(Backend.parse(result.backend), variant="target")
            name, target = f"{case}@{backend}{rest.removeprefix(result.backend)}", f"--target {shlex.quote(function)}"
        return " ".join(part for part in ("lossparity show", shlex.quote(name), target, self.options, *more) if part)


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
