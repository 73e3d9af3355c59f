"""The record of a run: JSON Lines, one tagged object a line, appended as the run goes.

A record without a footer is *incomplete*: the run was cut off, and everything that reads it says so. Numbers are hex
floats (`float.hex`), so nothing is lost in print. The format is versioned; a reader ignores keys that it does not know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Union

import msgspec

from lossparity.errors import UsageError

__all__ = [
    "VERSION",
    "CaseLine",
    "Environment",
    "Excerpt",
    "Footer",
    "Header",
    "Line",
    "NotTested",
    "Record",
    "Result",
    "Window",
    "Worst",
    "Writer",
    "read",
]

VERSION = 1


class Excerpt(msgspec.Struct, frozen=True):
    """An array, or its first 64 elements in C order: `values` are hex floats, or integers as decimal text."""

    format: str
    shape: list[int]
    values: list[str]


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="header"):
    """The first line: what was run, by which version, when."""

    format_version: int
    lossparity: str
    suite_hash: str
    started: str
    command: str
    threshold: str


class Environment(msgspec.Struct, frozen=True, tag_field="kind", tag="environment", omit_defaults=True):
    """One worker's own account of itself: versions, device, traits, pinned settings; or why it is not there."""

    name: str
    available: bool
    details: dict[str, str] = {}
    reason: str = ""


class CaseLine(msgspec.Struct, frozen=True, tag_field="kind", tag="case", omit_defaults=True):
    """One case in one format: what went in and what is right. `exact` has an entry a quantity and permitted choice."""

    id: str
    format: str
    clause: str
    operation: str
    source: str
    input_hash: str
    about: str
    inputs: dict[str, Excerpt]
    keywords: dict[str, Union[int, float, str]]
    exact: dict[str, dict[str, Excerpt]]
    recipes: dict[str, str] = {}
    published: list[str] = []
    remark: str = ""


class Worst(msgspec.Struct, frozen=True):
    """The element that decided the grade: its index, what was got, the exact value, error and both bounds."""

    index: list[int]
    got: str
    exact: str
    tight: Union[float, None]
    loose: Union[float, None]


class Window(msgspec.Struct, frozen=True):
    """Got beside exact, in C order from flat index `start`: the whole array, or 16 elements around the worst."""

    start: int
    got: list[str]
    exact: list[str]


class Result(msgspec.Struct, frozen=True, tag_field="kind", tag="result", omit_defaults=True):
    """One quantity (value or gradient) of one check: (check, quantity) is the key of everything that compares.

    `ulp` and `bound_used` are those of the worst element; none where its class is wrong (NaN for a number, say).
    """

    check: str
    quantity: str
    case: str
    clause: str
    basis: str
    operation: str
    backend: str
    format: str
    verdict: str
    outcome: str
    origin: str = ""
    api: str = ""
    grade: str = ""
    ulp: Union[float, None] = None
    bound_used: Union[float, None] = None
    tier: str = ""
    choice: str = ""
    deviation: str = ""
    cause: str = ""
    shape: list[int] = []
    got: Union[Window, None] = None
    worst: Union[Worst, None] = None
    input_hash: str = ""
    message: str = ""


class NotTested(msgspec.Struct, frozen=True):
    """Something that a run left out, with the reason and how many checks it is."""

    what: str
    reason: str
    checks: int


class Footer(msgspec.Struct, frozen=True, tag_field="kind", tag="footer"):
    """The last line of a complete record: results by verdict, what was not tested, how long it took."""

    results: dict[str, int]
    not_tested: list[NotTested]
    seconds: float
    exit_code: int


Line = Union[Header, Environment, CaseLine, Result, Footer]
_decoder = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()


@dataclass
class Record:
    """A record in memory; `footer` is None when it is incomplete, and `broken` then says where it broke off."""

    header: Header
    environments: list[Environment] = field(default_factory=list)
    cases: list[CaseLine] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    footer: Footer | None = None
    broken: str = ""

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.footer is not None and not self.broken


class Writer:
    """Appends lines to a record file; every append reaches the operating system before it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file anew, making its folder; UsageError when that is not possible."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("wb")
        except OSError as error:
            raise UsageError(
                f"the record cannot be written: {error.strerror}", where=str(path), hint="choose another --output"
            ) from None

    def __enter__(self) -> Writer:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def append(self, *lines: Line) -> None:
        """Write lines as one append."""
        self._file.write(b"".join(_encoder.encode(line) + b"\n" for line in lines))
        self._file.flush()


def read(path: Path) -> Record:
    """Read a record, also one cut off in the middle; UsageError when it is not one at all."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the record cannot be read: {error.strerror}", where=str(path)) from None
    record: Record | None = None
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            decoded: Any = _decoder.decode(line)
        except msgspec.MsgspecError as error:
            if record is None:
                raise UsageError(
                    f"not a lossparity record: {error}",
                    where=f"{os.fspath(path)}:{number}",
                    hint="a record is the run.jsonl that `lossparity run` writes",
                ) from None
            record.broken = f"line {number} is cut off or damaged: {error}"
            continue
        if record is None:
            record = _begin(decoded, path)
        else:
            _add(record, decoded)
    if record is None:
        raise UsageError("the record is empty", where=str(path), hint="was the run stopped before it began?")
    return record


def _begin(line: Line, path: Path) -> Record:
    if not isinstance(line, Header):
        raise UsageError("not a lossparity record: the first line is no header", where=f"{path}:1")
    if line.format_version > VERSION:
        raise UsageError(
            f"the record has format version {line.format_version}; this lossparity reads up to {VERSION}",
            where=str(path),
            hint="install the lossparity that wrote it, or a newer one",
        )
    return Record(line)


def _add(record: Record, line: Line) -> None:
    if isinstance(line, Environment):
        record.environments.append(line)
    elif isinstance(line, CaseLine):
        record.cases.append(line)
    elif isinstance(line, Result):
        record.results.append(line)
    elif isinstance(line, Footer):
        record.footer = line
