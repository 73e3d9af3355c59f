"""Records as files: lines appended as a run goes, and all of them read into memory."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Protocol

import msgspec

from lossparity.errors import UsageError
from lossparity.model import Backend
from lossparity.reading import whole
from lossparity.record.results import Agreement, CaseLine, Environment, Footer, Header, Result, Script
from lossparity.record.times import Job, Ratio, Speed, Triad

__all__ = ["VERSION", "Appends", "Line", "Record", "Writer", "decode", "encode", "read"]

VERSION = 1
_LARGEST = 1 << 30  # bytes

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
        """Open the file anew, making its folder; UsageError when that is not possible, or another run writes to it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            if path.is_file():
                _claim(self._file, path)
                self._file.truncate(0)
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


def _claim(file: FileIO, path: Path) -> None:
    """Keep others from writing to a file as long as it is open: two runs would mix their lines."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hint = "wait for it, or choose another place"
        raise UsageError("another run is writing to this record", where=str(path), hint=hint) from None
    except OSError:  # some file systems lock nothing
        return


def _unwritable(path: Path, error: OSError) -> UsageError:
    reason = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
    return UsageError(f"the record cannot be written: {reason}", where=str(path), hint="choose another place for it")


def read(path: Path) -> Record:
    """Read a record, also one cut off in the middle; UsageError when it is not one at all."""
    text = whole(path, "the record", _LARGEST)
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
