"""Which results of two records belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lossparity.errors import UsageError, suggest
from lossparity.record import Record, Result

__all__ = ["Key", "Pair", "backends_of", "by_backend", "mapping", "paired", "without_path"]

Key = tuple[str, str]
"""What is asked of any backend: `case/format` and the quantity."""


@dataclass(frozen=True)
class Pair:
    """The names of a backend in BASE and in NEW; one of them is empty where the other record has no such backend."""

    base: str
    new: str


def by_backend(record: Record) -> dict[str, dict[Key, Result]]:
    """Return the results of each backend by their keys; UsageError where a record holds one twice."""
    found: dict[str, dict[Key, Result]] = {}
    for result in record.results:
        theirs = found.setdefault(result.backend, {})
        key = result.check.removesuffix(f"@{result.backend}"), result.quantity
        if key in theirs:
            raise UsageError(
                f"the record holds {result.key} twice", hint="is it of one run, or of two that were strung together?"
            )
        theirs[key] = result
    return found


def backends_of(record: Record) -> list[str]:
    """Return the backends that a record has results or times of, those with results first."""
    return list(dict.fromkeys([one.backend for one in record.results] + [one.backend for one in record.speeds]))


def mapping(texts: Sequence[str], base: Record) -> dict[str, str]:
    """Read OLD=NEW, the names of a backend in BASE and in NEW, each OLD once; UsageError for what is none."""
    backends, found = set(backends_of(base)), dict[str, str]()
    for text in texts:
        # A name may end in a path, which may hold any character.
        places = [place for place, letter in enumerate(text) if letter == "="]
        place = next((place for place in places if text[:place] in backends), places[0] if places else 0)
        old, new = text[:place], text[place + 1 :]
        if not old or not new:
            raise UsageError(f"--map {text!r} names no two backends", hint="OLD=NEW, as in jax@old/bin/python=jax")
        if old in found:
            raise UsageError(f"--map names {old!r} twice", hint="a backend of BASE is compared with one of NEW")
        found[old] = new
    return found


def paired(base: Collection[str], new: Collection[str], wanted: Mapping[str, str]) -> list[Pair]:
    """Return which backend of BASE is which of NEW.

    `wanted` says it where it is given, and then nothing else is compared. Otherwise names are the same, or the same
    without `@PATH` where each record has one such backend left: the place of an environment is nothing that changed.
    UsageError for a wanted name that is not there.
    """
    if wanted:
        for names, there, said in ((wanted.keys(), base, "BASE"), (wanted.values(), new, "NEW")):
            for name in names:
                if name not in there:
                    hint = suggest(name, there, "backend") if there else "it holds no results"
                    raise UsageError(f"{said} has no results of a backend {name!r}", hint=hint)
        return [Pair(*both) for both in wanted.items()]
    same = [name for name in base if name in new]
    left, right = _alone(base, same), _alone(new, same)
    elsewhere = {left[name]: right[name] for name in left if name in right}
    found = [Pair(name, name if name in same else elsewhere.get(name, "")) for name in base]
    placed = {pair.new for pair in found}
    return [*found, *(Pair("", name) for name in new if name not in placed)]


def without_path(name: str) -> str:
    """Return the name of a backend without the `@PATH` of its environment."""
    return name.partition("@")[0]


def _alone(names: Collection[str], same: Collection[str]) -> dict[str, str]:
    """Return the names that are left, by their name without a path, where that is one backend's."""
    left = [name for name in names if name not in same]
    counted = Counter(map(without_path, left))
    return {without_path(name): name for name in left if counted[without_path(name)] == 1}
