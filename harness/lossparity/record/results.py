"""What a run was, what went in, and what came of it, each kind a line of the record."""

from __future__ import annotations

from typing import Annotated

import msgspec

from lossparity.model import Grade, Verdict

__all__ = [
    "Agreement",
    "CaseLine",
    "Cause",
    "Choice",
    "Environment",
    "Excerpt",
    "Explained",
    "Footer",
    "Header",
    "NotTested",
    "Part",
    "Result",
    "Script",
    "Span",
    "Window",
    "Worst",
]

# What is read has these words and counts alone: a line with another one is damaged.
_VERDICT = msgspec.Meta(pattern=rf"^({'|'.join(one.value for one in Verdict)})\Z")
_GRADE = msgspec.Meta(pattern=rf"^({'|'.join(one.value for one in Grade)})?\Z")
_ELEMENTS = msgspec.Meta(ge=0, le=2**40)  # more than any array has; sums of so many fit into 64 bits


class Excerpt(msgspec.Struct, frozen=True):
    """An array, or its first 64 elements in C order: `values` are hex floats, or integers as decimal text."""

    format: str
    shape: list[int]
    values: list[str]


class Part(msgspec.Struct, frozen=True):
    """The part of a run that a record holds, `number` of so many, and what all parts together are.

    `questions` is the SHA-256 of which cases in which formats they are, `backends` whom they are put to.
    """

    number: int
    of: int
    questions: str
    backends: list[str]

    def __str__(self) -> str:
        """Return it in words."""
        return f"shard {self.number} of {self.of}"


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="header", omit_defaults=True):
    """The first line: what was run, by which version, when.

    `shard` is there where the record holds a part of a run; `incomplete` says what a record that was put together from
    several lacks.
    """

    format_version: int
    lossparity: str
    suite_hash: str
    started: str
    command: str
    threshold: str
    shard: Part | None = None
    incomplete: str = ""


class Environment(msgspec.Struct, frozen=True, tag_field="kind", tag="environment", omit_defaults=True):
    """One worker's own account of itself: versions, device, traits, pinned settings; or why it is not there."""

    name: str
    available: bool
    details: dict[str, str] = {}
    reason: str = ""


class Span(msgspec.Struct, frozen=True):
    """How hard the first argument of a case is: its classes, the largest finite magnitude, the widest finite row.

    `spread` is the largest difference between two finite elements of one row, at most the largest binary64 number.
    """

    classes: int
    largest: float
    spread: float


class CaseLine(msgspec.Struct, frozen=True, tag_field="kind", tag="case", omit_defaults=True):
    """One case in one format: what went in and what is right. `exact` has an entry a quantity and permitted choice.

    `how` says in words how the calls are made where that is more than passing the inputs on. `logits` is of all
    elements; it is none where there are none, and in records older than it.
    """

    id: str
    format: str
    clause: str
    operation: str
    source: str
    input_hash: str
    about: str
    inputs: dict[str, Excerpt]
    keywords: dict[str, int | float | str]
    exact: dict[str, dict[str, Excerpt]]
    recipes: dict[str, str] = {}
    published: list[str] = []
    remark: str = ""
    link: str = ""
    how: list[str] = []
    logits: Span | None = None


class Worst(msgspec.Struct, frozen=True, omit_defaults=True):
    """The element that decided the grade: its index, what was got, the exact value, error and both bounds.

    `made_of` says of a failure what each source of error adds to the bound.
    """

    index: list[int]
    got: str
    exact: str
    tight: float | None
    loose: float | None
    made_of: str = ""


class Window(msgspec.Struct, frozen=True):
    """Got beside exact, in C order from flat index `start`: the whole array, or 16 elements around the worst."""

    start: int
    got: list[str]
    exact: list[str]


class Explained(msgspec.Struct, frozen=True, omit_defaults=True):
    """What explains a failing result: a convention's text or a mistake's id, and how near it comes, in ulp."""

    id: str
    ulp: float | None = None


class Result(msgspec.Struct, frozen=True, tag_field="kind", tag="result", omit_defaults=True):
    """One quantity (value or gradient) of one check: (check, quantity) is the key of everything that compares.

    `ulp` and `bound_used` are those of the worst element; none where its class is wrong (NaN for a number, say).
    `histogram` counts the elements by their error in ulp: up to 0.5, 1, 2, 4, 8, 16, 64, 256, 1024 and 65536, beyond
    these or of another class. It is empty where no element was judged, and in records older than it.
    `explained` holds all that explains a failure, `shared` says that the framework's own function fails there too, and
    `zeroed` that a weak pass let a gradient be 0 or of the wrong sign. `returned` is the format of what came back where
    that is not the format of the logits.
    """

    check: str
    quantity: str
    case: str
    clause: str
    basis: str
    operation: str
    backend: str
    format: str
    verdict: Annotated[str, _VERDICT]
    outcome: str
    origin: str = ""
    api: str = ""
    grade: Annotated[str, _GRADE] = ""
    ulp: float | None = None
    bound_used: float | None = None
    tier: str = ""
    choice: str = ""
    deviation: str = ""
    cause: str = ""
    shape: list[int] = []
    got: Window | None = None
    worst: Worst | None = None
    input_hash: str = ""
    message: str = ""
    histogram: list[Annotated[int, _ELEMENTS]] = []
    explained: list[Explained] = []
    shared: bool = False
    zeroed: bool = False
    returned: str = ""

    @property
    def key(self) -> str:
        """The key `check#quantity`."""
        return f"{self.check}#{self.quantity}"


class Agreement(msgspec.Struct, frozen=True, tag_field="kind", tag="agreement"):
    """How near two backends are to each other in one format, whatever is right.

    `compared` counts results for which both gave an array of one shape: `equal` of them are the same in every element
    (NaN as NaN), `unlike` have an element that is NaN or an infinity on one side only. `ulp` is the largest distance
    between two numbers, in the format's spacing at the larger one, and `check` the key of the first backend's result
    where that is; empty where all are equal.
    """

    first: str
    second: str
    format: str
    compared: int
    equal: int
    unlike: int
    ulp: float
    check: str


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """Results of one cause: what it is in words, their keys with the simplest first, and how near it comes to that one.

    `failing` is false of weak passes. `convention` is what `--convention` takes to judge by what explains them.
    `shared` says that the framework's own function fails at every one of them too.
    """

    id: str
    said: str
    results: list[str]
    failing: bool = True
    ulp: float | None = None
    convention: str = ""
    shared: bool = False


class Choice(msgspec.Struct, frozen=True):
    """What values a backend gives where a clause leaves it open: the choices seen, and at how many checks each."""

    clause: str
    backend: str
    chosen: dict[str, int]


class Script(msgspec.Struct, frozen=True, tag_field="kind", tag="script", omit_defaults=True):
    """One result as a Python script that needs the framework and NumPy only; it exits with 1 where the result deviates.

    It is the simplest result of a backend that `of` is about, the id of a cause or of a known deviation, of which a
    script can be written. `text` is empty where there is none, and `why` then says the reason.
    """

    check: str
    quantity: str
    of: str
    text: str = ""
    why: str = ""

    @property
    def key(self) -> str:
        """The key `check#quantity` of its result."""
        return f"{self.check}#{self.quantity}"

    @property
    def backend(self) -> str:
        """The backend that the check is put to."""
        return self.check.partition("@")[2]


class NotTested(msgspec.Struct, frozen=True):
    """Something that a run left out, with the reason and how many checks it is."""

    what: str
    reason: str
    checks: int


class Footer(msgspec.Struct, frozen=True, tag_field="kind", tag="footer"):
    """The last line of a complete record: results by verdict, their causes, choices, what was not tested, how long."""

    results: dict[str, int]
    not_tested: list[NotTested]
    seconds: float
    exit_code: int
    causes: list[Cause] = []
    choices: list[Choice] = []
