"""A user's own function as an implementation: what it is, how it is called, and what it is for.

A `Target` is plain data and travels to the child; only there is the user's file imported (`implementation`).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping

from lossparity.errors import UsageError, suggest
from lossparity.framework import TARGET, Entry, Implementation, Unsupported
from lossparity.model import Request
from lossparity.spec import OPERATIONS
from lossparity.target.binding import arguments_of, bind
from lossparity.target.loading import load, source_file
from lossparity.target.returned import taken
from lossparity.target.supports import NOT_DECLARED, WORDS, declared, gradient_declared

__all__ = ["Target", "implementation"]


@dataclass(frozen=True)
class Target:
    """A user's function: where it is, the operation it does, and how its contract differs from the spec's.

    `where` is `package.module:name`, `path/file.py:name` or `pickle:PATH`. `map` takes the spec's names of arguments to
    the function's own; `returns` is the index, key or attribute of the result in what it returns; `inplace_ok` waives
    clause M6; `supports` are words of `lossparity.target.supports` that it is declared for, all of them when empty;
    `places` are folders beside those of the child in which its modules are found.
    """

    where: str
    operation: str
    map: Mapping[str, str] = field(default_factory=dict)
    returns: str = ""
    inplace_ok: bool = False
    supports: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise UsageError for a word that nobody knows; nothing of the user's is imported for it."""
        if self.operation not in OPERATIONS:
            raise UsageError(
                f"unknown operation {self.operation!r}", hint=suggest(self.operation, OPERATIONS, "operation")
            )
        _known(self.map, arguments_of(OPERATIONS[self.operation]), "argument", f"of {self.operation}")
        _known(self.supports, WORDS, "word", "of --supports")

    def to_json(self) -> str:
        """Return it as text, for the command line of a child."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Target:
        """Read what `to_json` wrote."""
        entries = json.loads(text)
        return cls(**{**entries, **{name: tuple(entries[name]) for name in ("supports", "places")}})


def _known(words: Iterable[str], known: Iterable[str], noun: str, where: str) -> None:
    for word in words:
        if word not in known:
            raise UsageError(f"unknown {noun} {word!r} {where}", hint=suggest(word, known, noun))


def _named(where: str, function: Callable[..., Any]) -> str:
    """Name a function in messages: as it was asked for, or, of a pickled one, as it was called."""
    return getattr(function, "__qualname__", type(function).__name__) if where.startswith("pickle:") else where


def implementation(target: Target) -> Implementation:
    """Import a user's function and make its table of one entry; ImportError says why it cannot be used.

    A check with a keyword that the function does not have, or outside of what it is declared for, is unsupported.
    """
    function = load(target.where, target.places)
    bound = bind(function, OPERATIONS[target.operation], target.map, target.where)

    def accepts(request: Request) -> bool:
        if not declared(request, target.supports):
            raise Unsupported(NOT_DECLARED)
        weight = {name: array for name, array in request.arrays.items() if name == "weight"}
        if missing := bound.missing({**request.keywords, **weight}):
            raise Unsupported(f"no parameter {', '.join(missing)}")
        return True

    def result(returned: Any) -> Any:
        return taken(returned, target.returns)

    entry = Entry(
        bound.arranged(copying=target.inplace_ok),
        _named(target.where, function),
        TARGET,
        accepts,
        result,
        "" if gradient_declared(target.supports) else NOT_DECLARED,
        source_file(function),
    )
    return {target.operation: (entry,)}
