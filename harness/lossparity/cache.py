"""Certified references kept on disk between runs, because computing them is most of a run's work.

It is only a cache: what the disk does wrong is a miss, and a blob is served only when its checksum is right. The name
of the file carries a hash of all that a reference depends on, so a changed one begins with an empty file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType

__all__ = ["Cache", "Packable", "fingerprint", "folder", "key", "pack", "unpack"]

Packable = npt.NDArray[Any] | float | str | None
"""What `pack` takes: arrays of numbers, single floats, texts, nothing."""

_LARGEST_BLOB = 1 << 20  # bytes
_LARGEST_FILE = 240 << 20  # bytes; with its journals, at most 8 MiB when measured, it stays below 256 MiB
_KEPT = 30 * 86_400.0  # seconds for which the file of another reference is kept after its last use
_PATIENCE = 1.0  # seconds to wait for a lock, which others hold for microseconds, at times for milliseconds

# Beside the folder `reference`: the modules that it imports, and this one, which lays out the blobs.
_SOURCES = ("cache.py", "constants.py", "errors.py", "formats.py", "spec.py")

_JOURNALS = ("-wal", "-shm")
_SET_UP = (
    # Nothing waits for the disk. What a power failure spoils, the checksums find.
    "PRAGMA synchronous = OFF",
    # What is dropped need not be overwritten with zeros, as some builds of SQLite do.
    "PRAGMA secure_delete = OFF",
    "CREATE TABLE IF NOT EXISTS blobs (key BLOB NOT NULL UNIQUE, checksum INTEGER NOT NULL, blob BLOB NOT NULL)",
)
_GET = "SELECT checksum, blob FROM blobs WHERE key = ?"
# A row that is replaced gets the highest rowid too, so rowids are in the order of writing.
_PUT = "INSERT OR REPLACE INTO blobs (key, checksum, blob) VALUES (?, ?, ?)"
_DROP = (
    "DELETE FROM blobs WHERE rowid IN "
    "(SELECT rowid FROM blobs ORDER BY rowid LIMIT (SELECT count(*) / 10 + 1 FROM blobs))"
)


class Cache:
    """Blobs by key in one SQLite file, shared by all threads and all runs; it is opened on first use.

    The file lies in `folder`; by default in that of the environment variable LOSSPARITY_CACHE_DIR, or else in the
    platform's folder for caches. It is bounded (256 MiB): the tenth that was written least recently makes room. `get`
    and `put` never raise for reasons of the disk. A corrupt file is replaced; after any other failure this object
    stops writing or, when it cannot read, does nothing more. Do not carry it across a fork (SQLite forbids it).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._readable = self._writable = True

    def __enter__(self) -> Cache:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def get(self, key: bytes) -> bytes | None:
        """Return the blob that was put under a key, or None."""
        with self._lock:
            rows = self._execute(_GET, key) if self._readable else []
        for checksum, blob in rows:
            # Damage can change the type of what is stored, too.
            if isinstance(blob, bytes) and checksum == _checksum(key, blob):
                return blob
        return None

    def put(self, key: bytes, blob: bytes) -> None:
        """Keep a blob under a key, in the place of an earlier one; above 1 MiB it is not kept."""
        if len(blob) > _LARGEST_BLOB:
            return
        with self._lock:
            if self._readable and self._writable:
                self._execute(_PUT, key, _checksum(key, blob), blob)

    def remember(
        self, parts: tuple[object, ...], compute: Callable[[], Mapping[str, Packable]]
    ) -> Mapping[str, Packable]:
        """Return what `compute` gives for the parts that it depends on, from the file where it is there."""
        name = key(*parts)
        if (blob := self.get(name)) is not None:
            return unpack(blob)
        found = compute()
        self.put(name, pack(found))
        return found

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._disconnect()

    @cached_property
    def _path(self) -> Path:
        return (self._folder or folder()) / f"references-{fingerprint()}.sqlite"

    def _execute(self, statement: str, *values: bytes | int) -> list[tuple[Any, ...]]:
        try:
            import sqlite3
        except ImportError:  # some builds of Python are without
            self._readable = False
            return []
        try:
            try:
                return self._attempt(statement, values)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                self._mend(error)
            return self._attempt(statement, values)
        except (OSError, sqlite3.Error, UnicodeDecodeError):
            self._writable = False
            if statement is _GET:
                self._readable = False
                self._disconnect()
            return []

    def _attempt(self, statement: str, values: tuple[bytes | int, ...]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = _connect(self._path)
        return self._connection.execute(statement, values).fetchall()

    def _mend(self, error: sqlite3.Error | UnicodeDecodeError) -> None:
        """Remove a corrupt file, make room in a full one; raise any other error again."""
        import sqlite3

        code = _code(error)
        # SQLITE_ERROR is wrong SQL: ours is right, so the schema is not.
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            self._disconnect()
            _remove(self._path)
        elif code == sqlite3.SQLITE_FULL and self._connection is not None:
            self._connection.execute(_DROP)
        else:
            raise error

    def _disconnect(self) -> None:
        if self._connection is not None:
            import sqlite3

            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _remove_unused(path.parent)
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = bytes  # damage can make text of a blob, and no valid UTF-8
        _switch_to_wal(connection)
        for statement in _SET_UP:
            connection.execute(statement)
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {_LARGEST_FILE // page}")
    except BaseException:
        connection.close()
        raise
    with suppress(OSError):
        os.utime(path)  # used: reading alone would not tell
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Of several that do so to a new file at once, SQLite lets all but one fail without waiting.
    import sqlite3

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.001)


def _code(error: Exception) -> int:
    import sqlite3

    if isinstance(error, UnicodeDecodeError):  # of a message that quotes a corrupt schema
        return sqlite3.SQLITE_CORRUPT
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits are details


def _remove_unused(folder: Path) -> None:
    """Remove the files of other references that nothing has opened for 30 days."""
    for path in folder.glob("references-*.sqlite"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _KEPT:
                _remove(path)


def _remove(path: Path) -> None:
    # The journals first: one that outlived its file would be replayed into the next.
    for suffix in (*_JOURNALS, ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def folder() -> Path:
    """Return the folder for what is kept between runs: LOSSPARITY_CACHE_DIR, or the platform's folder for caches."""
    import platformdirs

    return Path(os.environ.get("LOSSPARITY_CACHE_DIR") or platformdirs.user_cache_dir("lossparity"))


def _checksum(key: bytes, blob: bytes) -> int:
    # With the key, for damage can also bring a row under another's.
    return zlib.crc32(blob, zlib.crc32(key))


def fingerprint(package: Path = Path(__file__).parent) -> str:
    """Return 32 hex digits that differ where references may: sources, libraries and the machine's architecture.

    `package` is the folder of the sources. OSError when one of them cannot be read.
    """
    paths = [*sorted(package.glob("reference/**/*.py")), *(package / name for name in _SOURCES)]
    sources = tuple((path.relative_to(package).as_posix(), path.read_bytes()) for path in paths)
    return key(sources, np.__version__, importlib.metadata.version("python-flint"), platform.machine()).hex()


def key(*parts: object) -> bytes:
    """Return a hash of 16 bytes (BLAKE2b) of values and their structure; no two structures are encoded alike.

    Parts are str, int, bool, float (by its 8 bytes: 0.0 and -0.0 differ), bytes, tuples, and dicts in any order;
    TypeError for others.
    """
    return hashlib.blake2b(_encoded(parts), digest_size=16).digest()


def _encoded(part: object) -> bytes:
    """Return a tag of the type, the length of what follows, and the content."""
    if isinstance(part, str):
        tag, content = b"s", part.encode("utf-8", "surrogatepass")
    elif isinstance(part, bytes):
        tag, content = b"b", part
    elif isinstance(part, bool):  # before int, of which it is one
        tag, content = b"?", bytes([part])
    elif isinstance(part, int):
        tag, content = b"i", part.to_bytes(part.bit_length() // 8 + 1, "little", signed=True)
    elif isinstance(part, float):
        tag, content = b"f", struct.pack("<d", part)
    elif isinstance(part, tuple):
        tag, content = b"t", b"".join(map(_encoded, part))
    elif isinstance(part, dict):
        tag, content = b"d", b"".join(sorted(_encoded(item) for item in part.items()))
    else:
        raise TypeError(f"a key has no part of type {type(part).__name__}")
    return tag + len(content).to_bytes(8, "little") + content


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, tuple[str, tuple[int, ...], bytes] | float | str | None])


def pack(values: Mapping[str, Packable]) -> bytes:
    """Return named arrays of numbers, floats, texts and None as bytes (MessagePack; nothing is pickled).

    TypeError for arrays that do not hold numbers or truth values.
    """
    return _encoder.encode({name: _plain(value) for name, value in values.items()})


def _plain(value: Packable) -> object:
    if not isinstance(value, np.ndarray):
        return float(value) if isinstance(value, float) else value  # one of NumPy's is no float to the encoder
    if value.dtype.kind not in "biufc":
        raise TypeError(f"an array of {value.dtype} cannot be packed")
    return value.dtype.str, value.shape, value.tobytes()


def unpack(blob: bytes) -> dict[str, Packable]:
    """Return what `pack` made bytes of, arrays in C order and read-only; ValueError when it was not `pack`."""
    try:
        return {name: _restored(value) for name, value in _decoder.decode(blob).items()}
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise ValueError(f"not a packed reference: {error}") from None


def _restored(value: tuple[str, tuple[int, ...], bytes] | float | str | None) -> Packable:
    if not isinstance(value, tuple):
        return value
    dtype, shape, content = value
    return np.frombuffer(content, dtype).reshape(shape)
