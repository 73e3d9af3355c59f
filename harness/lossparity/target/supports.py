"""What a user's function is declared to be for (`--supports`): words in groups, and which calls are outside of them.

A group of which no word is given is not restricted; of one that is, only the given words are supported.
"""

from __future__ import annotations

from typing import Iterable, Mapping

import numpy as np

from lossparity.formats import FORMATS
from lossparity.model import Request
from lossparity.spec import DEFAULTS, OPERATIONS, REDUCTIONS

__all__ = ["GROUPS", "NOT_DECLARED", "WORDS", "declared", "gradient_declared"]

NOT_DECLARED = "not declared (--supports)"
"""The reason of a check that the function is not declared for."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "formats": tuple(FORMATS),
    "targets": ("indices", "probabilities"),
    "ranks": ("1d", "2d", "nd"),
    "quantities": ("value", "gradient"),
    "keywords": tuple(DEFAULTS),
    "reductions": tuple(f"reduction={name}" for name in REDUCTIONS),
    "logits": ("finite",),
}
WORDS = tuple(word for words in GROUPS.values() for word in words)


def declared(request: Request, supports: Iterable[str]) -> bool:
    """Whether a call is within what the words declare; quantities are for `gradient_declared`."""
    given = set(supports)
    if any(word.startswith("reduction=") for word in given) and given & {*GROUPS["keywords"]}:
        given.add("reduction")  # whoever names a value has the keyword
    return all(not (given & {*GROUPS[group]}) or used <= given for group, used in _used(request).items())


def gradient_declared(supports: Iterable[str]) -> bool:
    """Whether the gradient is declared; the value always is, since no gradient comes without it."""
    given = {*supports} & {*GROUPS["quantities"]}
    return not given or "gradient" in given


def _used(request: Request) -> dict[str, set[str]]:
    """Return the words of each group that a call needs."""
    operation = OPERATIONS[request.operation]
    first = request.arrays[operation.first]
    target = request.arrays.get("target")
    rank = len(first.shape)
    keywords = {*request.keywords, *({"weight"} & request.arrays.keys())}
    used = {
        "formats": {first.format},
        "ranks": {f"{rank}d" if rank in (1, 2) else "nd"},
        "logits": set() if np.all(np.isfinite(first.exact())) else {"any"},
    }
    if target is not None:
        soft = target.format in FORMATS
        used["targets"] = {"probabilities" if soft else "indices"}
        if not soft and "ignore_index" in operation.keywords and np.any(target.data == DEFAULTS["ignore_index"]):
            keywords.add("ignore_index")
    if "reduction" in operation.keywords:
        used["reductions"] = {f"reduction={request.keywords.get('reduction', DEFAULTS['reduction'])}"}
    used["keywords"] = keywords
    return used
