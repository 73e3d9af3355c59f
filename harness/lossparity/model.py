"""The values that travel between the parts: backend names, requests, outcomes, verdicts, grades.

All are frozen and know nothing of files, processes or frameworks.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Mapping, Optional, Union

from lossparity.formats import Array

__all__ = [
    "BINS",
    "Backend",
    "Case",
    "Crashed",
    "Declined",
    "Grade",
    "Keyword",
    "Numbers",
    "Outcome",
    "Produced",
    "Published",
    "Raised",
    "Recipe",
    "Request",
    "TimedOut",
    "Verdict",
]

Keyword = Union[int, float, str]
Numbers = Union[int, float, "tuple[Numbers, ...]"]
"""A number, or tuples of numbers nested to one depth."""

BINS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0, 65536.0)
"""Upper ends of the bins of a histogram of errors, in ulp; one more holds what is beyond them or of another class."""


class Verdict(str, enum.Enum):
    """What a result means for the run; `failing` ones make its exit status 1."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    CRASH = "crash"
    TIMEOUT = "timeout"
    KNOWN = "known"
    STALE = "stale"
    UNDECIDED = "undecided"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"

    @property
    def failing(self) -> bool:
        """Whether it is a finding that nobody has declared."""
        return self in (Verdict.FAIL, Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT)


class Grade(str, enum.Enum):
    """How near a result is to the exact one: models of arithmetic, not school marks (docs/numerics.md)."""

    EXACT = "exact"
    FAITHFUL = "faithful"
    TIGHT = "tight"
    LOOSE = "loose"
    WRONG = "wrong"
    UNCERTIFIED = "uncertified"

    @property
    def rank(self) -> int:
        """0 is best; a result gets the highest rank of its elements."""
        return list(Grade).index(self)


@dataclass(frozen=True)
class Backend:
    """A backend's name, `framework[.variant][:device][+mode][@PATH]`, in its parts.

    `python` is PATH, the interpreter of another environment, whose framework is judged; it may hold any character.
    """

    framework: str
    variant: str = ""
    device: str = "cpu"
    mode: str = ""
    python: str = ""

    @classmethod
    def parse(cls, name: str) -> Backend:
        """Read a name such as `torch.manual:cuda` or `jax+jit@/opt/old/bin/python`."""
        rest, _, python = name.partition("@")
        rest, _, mode = rest.partition("+")
        rest, _, device = rest.partition(":")
        framework, _, variant = rest.partition(".")
        return cls(framework, variant, device or "cpu", mode, python)

    @property
    def implementation(self) -> str:
        """Framework and variant, the name an adapter registers."""
        return f"{self.framework}.{self.variant}" if self.variant else self.framework

    def __str__(self) -> str:
        device = "" if self.device == "cpu" else f":{self.device}"
        mode = f"+{self.mode}" if self.mode else ""
        python = f"@{self.python}" if self.python else ""
        return f"{self.implementation}{device}{mode}{python}"


@dataclass(frozen=True)
class Recipe:
    """An input that is generated: a named generator of `lossparity.inputs`, a shape and its parameters."""

    generate: str
    shape: tuple[int, ...]
    parameters: Mapping[str, Union[int, float]]


@dataclass(frozen=True)
class Published:
    """Figures printed elsewhere, as printed; `exact` is what the exact value rounds to where they are wrong."""

    figures: Numbers
    exact: Numbers
    decimals: int
    remark: str = ""


@dataclass(frozen=True)
class Case:
    """One case, after `vary` was multiplied out: an operation, its inputs and keywords, and what is expected.

    `inputs` holds the first argument (`logits`, `log_probs`), and where given `target`, `probabilities`, `weight` and
    `upstream`, as nested tuples of numbers or a recipe. `one_of` names the permitted choices; when empty the
    certified reference is what is expected. `compiled`: compiled modes run it too. `target_format` is the integer
    format in which class indices come. `layout` is how the inputs lie in memory (empty: in C order). With a `scale`, a
    power of two, the logits are computed inside of what is called: it gets them divided by the scale and multiplies.
    `relation` names what several calls must have in common, in place of the value. `link` is where somebody reported
    it.
    """

    id: str
    suite: str
    about: str
    clause: str
    operation: str
    inputs: Mapping[str, Union[Numbers, Recipe]]
    keywords: Mapping[str, Keyword]
    formats: tuple[str, ...]
    gradient: bool
    one_of: tuple[str, ...]
    published: Optional[Published]
    source: str
    compiled: bool = False
    target_format: str = "int64"
    layout: str = ""
    scale: float = 1.0
    relation: str = ""
    link: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is one call, with the inputs as they are: what a script or a file of arrays can repeat."""
        return not self.relation and not self.layout and self.scale == 1.0


@dataclass(frozen=True, eq=False)
class Request:
    """One call to make: an operation of one implementation on given inputs.

    `arrays` holds the operation's first argument under its own name (`logits`, `log_probs`), and where they apply
    `target` (integers, or probabilities in the format of the logits), `weight`, and `upstream` when the gradient is
    wanted. `keywords` holds only what the case states. `mode` is empty, or `compiled` for a call through the
    framework's compiler. `layout` and `scale` are the case's. The expected value is never part of a request.
    """

    variant: str
    operation: str
    arrays: Mapping[str, Array]
    keywords: Mapping[str, Keyword] = field(default_factory=dict)
    mode: str = ""
    layout: str = ""
    scale: float = 1.0

    @property
    def format(self) -> str:
        """The format F of the first argument."""
        return next(iter(self.arrays.values())).format


@dataclass(frozen=True)
class Raised:
    """The call raised an exception; `api` and `origin` say whose it was, where that is known.

    `where` is the last line of a user's own file that it came through, as `file:line`.
    """

    type: str
    message: str
    api: str = field(default="", compare=False)
    origin: str = field(default="", compare=False)
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Declined:
    """The implementation does not offer what was asked: a gap, not a failure."""

    reason: str


@dataclass(frozen=True, eq=False)
class Produced:
    """The call returned: its value, the gradient where asked for, who made it, and whether the inputs are as before."""

    value: Array
    gradient: Union[Array, Raised, Declined, None]
    api: str
    origin: str
    unmodified: bool


@dataclass(frozen=True)
class Crashed:
    """The worker's process died; the parent says how."""

    cause: str


@dataclass(frozen=True)
class TimedOut:
    """The worker was stopped at the time limit."""

    seconds: float


Outcome = Union[Produced, Raised, Declined, Crashed, TimedOut]
