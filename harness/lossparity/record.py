"""The record of a run: JSON Lines, one tagged object a line, appended as the run goes.

A record without a footer is *incomplete*: the run was cut off, and everything that reads it says so. Numbers are hex
floats (`float.hex`), so nothing is lost in print. The format is versioned; a reader ignores keys that it does not know.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Protocol

import msgspec

from lossparity.errors import UsageError, suggest_file
from lossparity.model import Backend, Grade, Verdict

__all__ = [
    "VERSION",
    "Agreement",
    "Appends",
    "CaseLine",
    "Cause",
    "Choice",
    "Environment",
    "Excerpt",
    "Explained",
    "Footer",
    "Header",
    "Interval",
    "Job",
    "Line",
    "NotTested",
    "Part",
    "Ratio",
    "Record",
    "Result",
    "Script",
    "Span",
    "Speed",
    "Triad",
    "Window",
    "Worst",
    "Writer",
    "decode",
    "encode",
    "read",
]

VERSION = 1

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


class Job(msgspec.Struct, frozen=True, tag_field="kind", tag="job", omit_defaults=True):
    """One job of timing: times of one `id` were taken side by side, and no others can be compared.

    `settings` are words: the processor, its caches, threads, allocator, and how much else the machine had to do.
    `margin` is the share by which two times have to differ to be called different.
    """

    id: str
    settings: dict[str, str]
    margin: float


class Triad(msgspec.Struct, frozen=True, tag_field="kind", tag="triad", omit_defaults=True):
    """The bandwidth of a triad of as many bytes as a case's arrays, in bytes a second, one figure a round."""

    job: str
    case: str
    format: str
    bytes: int
    rates: list[float]

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates)


class Speed(msgspec.Struct, frozen=True, tag_field="kind", tag="speed", omit_defaults=True):
    """The times of one pass (forward, backward or both) of one check.

    `seconds` are of a call, one figure a round, each the mean of `calls` calls; `rounds` says which rounds of the job's
    they are, so that two backends are paired. `first` is the first call of all, with what is compiled for it. `moved`
    are the bytes that the pass has to move at least, `peak` those that a call took at most beyond what was there
    before, none where that cannot be told. `cold` are the seconds of a call on a GPU whose L2 cache was emptied before.
    `ulp` is the largest error that was seen in the results of timed calls. `refused` says why there is no time, or none
    that counts; `doubts` what makes it doubtful.
    """

    job: str
    check: str
    timed: str
    case: str
    operation: str
    backend: str
    format: str
    shape: list[int]
    api: str = ""
    origin: str = ""
    seconds: list[float] = []
    rounds: list[int] = []
    calls: int = 0
    first: float | None = None
    moved: int = 0
    regime: str = ""
    peak: int | None = None
    cold: float | None = None
    ulp: float | None = None
    refused: str = ""
    doubts: list[str] = []

    @property
    def key(self) -> str:
        """The key `check#pass`."""
        return f"{self.check}#{self.timed}"

    @property
    def median(self) -> float | None:
        """The median of the rounds, in seconds; none where there is no time that counts."""
        return statistics.median(self.seconds) if self.seconds and not self.refused else None


class Interval(msgspec.Struct, frozen=True):
    """A median ratio of times with its interval; above 1 is slower."""

    ratio: float
    low: float
    high: float


class Ratio(msgspec.Struct, frozen=True, tag_field="kind", tag="ratio", omit_defaults=True):
    """A pass of a check against the same pass of another backend, timed in the same rounds.

    `verdict` is faster, slower, same or inconclusive; faster and slower were seen in `first` and in `again`.
    """

    job: str
    check: str
    timed: str
    against: str
    verdict: str
    first: Interval
    again: Interval | None = None

    @property
    def key(self) -> str:
        """The key `check#pass`."""
        return f"{self.check}#{self.timed}"


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


Line = Header | Environment | CaseLine | Result | Agreement | Script | Job | Triad | Speed | Ratio | Footer


class _Stamp(msgspec.Struct, frozen=True):
    """What the first line of a record of any version says of itself."""

    kind: str
    format_version: int


_decoder = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass
class Record:
    """A record in memory; `footer` is None when it is incomplete, and `broken` then says why, where that is known."""

    header: Header
    environments: list[Environment] = field(default_factory=list)
    cases: list[CaseLine] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    triads: list[Triad] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    footer: Footer | None = None
    broken: str = ""

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.footer is not None and not self.broken

    def environment(self, backend: str) -> Environment | None:
        """Return the account of the environment that a backend ran in, if there is one."""
        name, found = Backend.parse(backend), {one.name: one for one in self.environments}
        # A library whose adapter is its own has an environment of its own, and where it is timed a compiled mode too.
        return (
            found.get(backend)
            or found.get(str(replace(name, mode="")))
            or found.get(str(replace(name, variant="", mode="")))
        )


def encode(line: Line) -> str:
    """Return a line as text, without its end."""
    return _encoder.encode(line).decode()


def decode(text: str) -> Line:
    """Read what `encode` wrote."""
    return _decoder.decode(text)


class Appends(Protocol):
    """Takes lines of a record in their order: a file of them, or whoever passes them on."""

    def append(self, *lines: Line) -> None:
        """Take lines that belong together."""
        ...


class Writer:
    """Appends lines to a record file; every append reaches the operating system before it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file anew, making its folder; UsageError when that is not possible."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from None
        self._path = path

    def __enter__(self) -> Writer:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def append(self, *lines: Line) -> None:
        """Write lines as one append; UsageError when the disk refuses them."""
        rest = memoryview(b"".join(_encoder.encode(line) + b"\n" for line in lines))
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _unwritable(self._path, error) from None


def _unwritable(path: Path, error: OSError) -> UsageError:
    reason = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
    return UsageError(f"the record cannot be written: {reason}", where=str(path), hint="choose another place for it")


def read(path: Path) -> Record:
    """Read a record, also one cut off in the middle; UsageError when it is not one at all."""
    try:
        text = path.read_bytes()
    except OSError as error:
        hint = suggest_file(str(path))
        raise UsageError(f"the record cannot be read: {error.strerror}", where=str(path), hint=hint) from None
    if not text.strip():
        raise UsageError("the record is empty", where=str(path), hint="was the run stopped before it began?")
    first, *rest = text.split(b"\n")
    record = Record(_header(first, path))
    record.broken = record.header.incomplete
    for number, line in enumerate(rest, start=2):
        if not line.strip():
            continue
        try:
            _add(record, _decoder.decode(line))
        except _UNREADABLE as error:
            record.broken = record.broken or f"line {number} is cut off or damaged: {error}"
    return record


def _header(line: bytes, path: Path) -> Header:
    try:
        # Its version first: a header of a newer one may look otherwise.
        stamp = msgspec.json.decode(line, type=_Stamp)
        if stamp.format_version > VERSION:
            raise UsageError(
                f"the record has format version {stamp.format_version}; this lossparity reads up to {VERSION}",
                where=str(path),
                hint="install the lossparity that wrote it, or a newer one",
            )
        header = _decoder.decode(line)
        if isinstance(header, Header):
            return header
        reason = f"the first line is a {stamp.kind}"
    except _UNREADABLE as error:
        reason = str(error)
    raise UsageError(
        f"not a lossparity record: {reason}",
        where=f"{path}:1",
        hint="a record is the run.jsonl that `lossparity run` writes",
    )


def _add(record: Record, line: Line) -> None:
    match line:
        case Environment():
            record.environments.append(line)
        case CaseLine():
            record.cases.append(line)
        case Result():
            record.results.append(line)
        case Agreement():
            record.agreements.append(line)
        case Script():
            record.scripts.append(line)
        case Job():
            record.jobs.append(line)
        case Triad():
            record.triads.append(line)
        case Speed():
            record.speeds.append(line)
        case Ratio():
            record.ratios.append(line)
        case Footer():
            record.footer = line
        case Header():
            record.broken = record.broken or "it has a second header"
