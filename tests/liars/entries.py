"""What the tables say of an implementation: a liar with what it must be caught for, or a correct one.

Names only: no framework is imported. `cause` holds the ids by which a diagnosis must name the mistake: the
text of a convention of `lossparity.reference.conventions`, or the word for a mistake; more than one only where they
are the same by the mathematics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lossparity.plans import Question

__all__ = [
    "BOTH",
    "CATEGORIES",
    "FORMATS",
    "GRADIENT",
    "GRADIENTS",
    "LAYOUTS",
    "NAMELESS",
    "NO_ERROR",
    "ROBUSTNESS",
    "SEMANTICS",
    "SPECIAL",
    "STATE",
    "VALUE",
    "VALUES",
    "Correct",
    "Liar",
    "in_each",
    "in_logarithms",
    "in_loss",
    "in_losses",
    "in_softmaxes",
]

BOTH, VALUE, GRADIENT = ("value", "gradient"), ("value",), ("gradient",)
CATEGORIES = (
    "semantics",
    "values",
    "gradients",
    "special values",
    "formats",
    "layouts",
    "state",
    "robustness",
)
SEMANTICS, VALUES, GRADIENTS, SPECIAL, FORMATS, LAYOUTS, STATE, ROBUSTNESS = CATEGORIES


def framework_of(name: str) -> str:
    """Return the framework of an implementation, `module:name` in the package."""
    package = name.partition(".")[0]
    return package.removeprefix("in_") if package.startswith("in_") else "numpy"


@dataclass(frozen=True, eq=False)
class Liar:
    """A liar, `module:name` in the package `liars`, and what it must be caught for.

    `clauses`: operation -> the clauses under each of which some result must fail. Nothing may fail but the
    `quantities`, `where` the lie can show, deviating in one of the `kinds` where they are stated. `large`: only the
    large cases show it. `ci`: one of the fixed set that every run of the tests judges.
    """

    name: str
    category: str
    cause: tuple[str, ...]
    clauses: Mapping[str, str]
    where: Callable[[Question], bool]
    quantities: tuple[str, ...] = BOTH
    kinds: tuple[str, ...] = ()
    large: bool = False
    ci: bool = False

    @property
    def framework(self) -> str:
        """The framework that it is written for."""
        return framework_of(self.name)


@dataclass(frozen=True, eq=False)
class Correct:
    """A correct implementation and the operations that it offers."""

    name: str
    operations: tuple[str, ...]

    @property
    def framework(self) -> str:
        """The framework that it is written for."""
        return framework_of(self.name)


def in_softmaxes(clauses: str) -> Mapping[str, str]:
    return dict.fromkeys(("softmax", "log_softmax", "cross_entropy"), clauses)


def in_logarithms(clauses: str) -> Mapping[str, str]:
    return dict.fromkeys(("log_softmax", "cross_entropy"), clauses)


def in_losses(clauses: str) -> Mapping[str, str]:
    return dict.fromkeys(("nll_loss", "cross_entropy"), clauses)


def in_loss(clauses: str) -> Mapping[str, str]:
    return {"cross_entropy": clauses}


def in_each(softmax: str, log_softmax: str, cross_entropy: str) -> Mapping[str, str]:
    return {"softmax": softmax, "log_softmax": log_softmax, "cross_entropy": cross_entropy}


NO_ERROR = ("finite-wrong", "no-raise")
NAMELESS = ("nameless",)
"""The cause of a liar whose mistake the catalogue has no name for: a diagnosis must give it none, and not another."""
