"""Few globs that match some names and none of others: how a declaration says which results it is about.

The names are path-like keys `suite/case/axis=value/format#quantity`, the globs those of `fnmatch`, in which `*` also
crosses `/`.
"""

from __future__ import annotations

import bisect
import fnmatch
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

__all__ = ["Keys", "cover"]

# A key with more axes has these left as they are: each doubles the number of globs to try.
_MOST_AXES = 6


class Keys:
    """Some keys, in which a glob is looked up quickly."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Sort the keys."""
        self._sorted = sorted(set(keys))

    def matching(self, glob: str) -> Iterator[str]:
        """Yield the keys that a glob matches, in their order."""
        fixed = re.split(r"[*?[]", glob, maxsplit=1)[0]
        matches = re.compile(fnmatch.translate(glob)).match
        for key in itertools.islice(self._sorted, bisect.bisect_left(self._sorted, fixed), None):
            if not key.startswith(fixed):
                return
            if matches(key):
                yield key

    def matched(self, globs: Iterable[str]) -> set[str]:
        """Return the keys that any of some globs matches."""
        return {key for glob in globs for key in self.matching(glob)}


def cover(required: Collection[str], forbidden: Collection[str], present: Sequence[str] = ()) -> tuple[str, ...]:
    """Return few globs that match every required key and no forbidden one, in order; what is neither may be matched.

    Of as many, those that are `present` already are kept. The others are made of required keys: the suite stays, and
    an axis, the format and the quantity may each be any; the name of a case may be the beginning of other names.
    Greedy, so not always the fewest. ValueError where a key is both required and forbidden.
    """
    both = sorted(set(required) & set(forbidden))
    if both:
        raise ValueError(f"both required and forbidden: {both[0]}")
    wanted, refused = Keys(required), Keys(forbidden)

    def sound(globs: Iterable[str]) -> dict[str, frozenset[str]]:
        return {
            glob: found
            for glob in globs
            if (found := frozenset(wanted.matching(glob))) and next(refused.matching(glob), None) is None
        }

    old = sound(dict.fromkeys(present))
    new = sound(sorted({glob for key in required for glob in _generalised(key)} - old.keys()))
    missing = set(required).difference(*old.values())
    # Anew from everything, or what is there already and the rest: the first can be less, the second changes less.
    kept = _needed([*_greedy(set(required) - missing, old), *_greedy(missing, new)], old | new)
    anew = _needed(_greedy(set(required), old | new), old | new)
    return tuple(sorted(anew if len(anew) < len(kept) else kept))


def _greedy(required: set[str], found: Mapping[str, frozenset[str]]) -> list[str]:
    chosen: list[str] = []
    left, open_ = dict(found), set(required)
    while open_:
        # Of those that match as many the first is taken: one that is there already, else the narrowest.
        gains = {glob: len(keys & open_) for glob, keys in left.items()}
        best = max(left, key=lambda glob: (gains[glob], -glob.count("*"), len(glob)))
        chosen.append(best)
        open_ -= left[best]
        left = {glob: keys for glob, keys in left.items() if gains[glob] and glob != best}
    return chosen


def _needed(globs: Sequence[str], found: Mapping[str, frozenset[str]]) -> list[str]:
    """Leave out what the others match together; the last chosen was chosen for the least."""
    needed = list(globs)
    for glob in reversed(globs):
        others = [one for one in needed if one != glob]
        if found[glob] <= frozenset().union(*(found[one] for one in others)):
            needed = others
    return needed


def _generalised(key: str) -> Iterator[str]:
    """Yield the globs that a key suggests, itself among them."""
    path, _, quantity = key.rpartition("#")
    first, *parts = (re.sub(r"([*?[])", r"[\1]", part) for part in path.split("/"))
    if not parts:
        yield first + f"#{quantity}"
        return
    *middle, fmt = parts
    name, axes, fixed = middle[:1], middle[1 : 1 + _MOST_AXES], middle[1 + _MOST_AXES :]
    choices = [*((axis, "*") for axis in axes), *((axis,) for axis in fixed), (fmt, "*")]
    for beginning in (name, [f"{name[0]}*"]) if name else ([],):
        for tail in itertools.product(*choices):
            # One star is as good as several in a row, since it crosses `/`.
            segments = [first, *beginning]
            for part in tail:
                if not (part == "*" and segments[-1].endswith("*")):
                    segments.append(part)
            for last in (quantity, "*"):
                yield f"{'/'.join(segments)}#{last}"
