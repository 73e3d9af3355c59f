"""The cache of references: what it serves is what was put, whatever the disk and other processes do to it."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lossparity
from lossparity import cache
from lossparity.cache import Cache, Packable, fingerprint, key, pack, unpack

PACKAGE = Path(lossparity.__file__).parent
BLOBS = {key("blob", n): random.Random(n).randbytes(97 * n % 5000) for n in range(60)}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Cache]:
    """A cache in a folder that is not there yet."""
    with Cache(tmp_path / "some" / "folder") as opened:
        yield opened


def file_of(folder: Path) -> Path:
    (path,) = folder.rglob("references-*.sqlite")
    return path


def filled(folder: Path) -> Path:
    """Fill a cache with BLOBS, close it, and return its file."""
    with Cache(folder) as opened:
        for name, blob in BLOBS.items():
            opened.put(name, blob)
    return file_of(folder)


def served(opened: Cache) -> int:
    """Count the blobs that a cache has; none of them may be wrong."""
    found = {name: opened.get(name) for name in BLOBS}
    assert all(blob is None or blob == BLOBS[name] for name, blob in found.items())
    return sum(blob is not None for blob in found.values())


def works(opened: Cache) -> bool:
    """Whether a cache keeps what is put."""
    opened.put(b"probe", b"content")
    return opened.get(b"probe") == b"content"


# What is put is served.


def test_what_was_put_is_served_and_nothing_else(kept: Cache) -> None:
    assert kept.get(key("a")) is None
    kept.put(key("a"), b"first")
    kept.put(key("b"), b"")
    assert (kept.get(key("a")), kept.get(key("b")), kept.get(key("c"))) == (b"first", b"", None)
    kept.put(key("a"), b"second")
    assert kept.get(key("a")) == b"second"


def test_another_run_is_served_too(tmp_path: Path) -> None:
    filled(tmp_path)
    with Cache(tmp_path) as later:
        assert served(later) == len(BLOBS)


def test_a_closed_cache_opens_again(kept: Cache) -> None:
    kept.put(key("a"), b"content")
    kept.close()
    kept.close()
    assert kept.get(key("a")) == b"content"


def test_a_process_that_is_killed_leaves_what_it_put(tmp_path: Path) -> None:
    program = "from lossparity.cache import *; c = Cache(Path({!r})); c.put(b'k', b'content'); os._exit(9)"
    done = child("import os\nfrom pathlib import Path\n" + program.format(str(tmp_path)))
    assert done.returncode == 9
    with Cache(tmp_path) as later:
        assert later.get(b"k") == b"content"


def test_a_blob_above_1_mib_is_not_kept(kept: Cache) -> None:
    kept.put(b"largest", bytes(2**20))
    kept.put(b"too large", bytes(2**20 + 1))
    assert kept.get(b"largest") == bytes(2**20)
    assert kept.get(b"too large") is None


def test_the_folder_is_the_environments_and_else_the_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "platform" / name))
    for value, folder in (("", "platform/lossparity"), (str(tmp_path / "chosen"), "chosen")):
        monkeypatch.setenv("LOSSPARITY_CACHE_DIR", value)
        with Cache() as opened:
            assert works(opened)
        assert file_of(tmp_path / folder).is_file()
    monkeypatch.delenv("LOSSPARITY_CACHE_DIR")
    shutil.rmtree(tmp_path / "platform")
    with Cache() as opened:
        assert works(opened)
    assert file_of(tmp_path / "platform" / "lossparity").is_file()


# Nothing happens before it is used.


def child(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_cache_that_is_not_used_makes_no_file_and_imports_no_database(tmp_path: Path) -> None:
    done = child(
        "import sys\nfrom pathlib import Path\nfrom lossparity.cache import Cache\n"
        f"folder = Path({str(tmp_path / 'new')!r})\nwith Cache(folder) as c: pass\n"
        "print(folder.exists(), 'sqlite3' in sys.modules, 'platformdirs' in sys.modules)\n"
        "c.get(b'k')\nprint(folder.exists(), 'sqlite3' in sys.modules)\n"
    )
    assert done.stdout.splitlines() == ["False False False", "True True"], done.stderr


def test_help_imports_neither_the_cache_nor_a_database() -> None:
    done = child(
        "import sys\nfrom lossparity.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'sqlite3', 'platformdirs', 'lossparity.cache'} & set(sys.modules))\n"
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


# Damage is never served.


def alter(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blobs SET blob = CAST('other' AS BLOB)",
        "UPDATE blobs SET checksum = checksum + 1",
        "UPDATE blobs SET checksum = 'text'",
        "UPDATE blobs SET blob = 7",
        "UPDATE blobs SET blob = 'text'",
        "UPDATE blobs SET blob = CAST(X'ff' AS TEXT)",
    ],
)
def test_a_blob_with_a_wrong_checksum_is_a_miss_until_it_is_put_again(tmp_path: Path, statement: str) -> None:
    path = filled(tmp_path)
    alter(path, statement)
    with Cache(tmp_path) as opened:
        assert served(opened) == 0
        for name, blob in BLOBS.items():
            opened.put(name, blob)
        assert served(opened) == len(BLOBS)


def test_a_blob_under_anothers_key_is_a_miss(tmp_path: Path) -> None:
    with Cache(tmp_path) as opened:
        opened.put(b"one", b"blob of one")
    alter(file_of(tmp_path), "UPDATE blobs SET key = CAST('two' AS BLOB)")
    with Cache(tmp_path) as opened:
        assert opened.get(b"two") is None


def scrambled(content: bytes, seed: int) -> bytes:
    """Overwrite bytes: one or many, anywhere or in the first pages, where the schema and the key's tree begin."""
    chosen = random.Random(seed)
    changed = bytearray(content)
    reach = chosen.choice([100, 2 * 4096, len(content)])
    for _ in range(chosen.choice([1, 3, 20, 300])):
        changed[chosen.randrange(reach)] = chosen.randrange(256)
    return bytes(changed)


def with_a_schema(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) >= 1
    assert len(old) == len(new)
    return content.replace(old, new)


CORRUPT: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda _: b"not a database, and long enough to be read as one\n" * 100,
    "zeros": lambda content: bytes(len(content)),
    "cut in a page": lambda content: content[:5000],
    "header alone": lambda content: content[:100],
    "pages of noise": lambda content: content[:100] + random.Random(1).randbytes(len(content) - 100),
    "another schema": lambda content: with_a_schema(content, b"checksum INTEGER", b"checkers INTEGER"),
    "a schema that is no text": lambda content: with_a_schema(content, b"TABLE blobs", b"TAB\xc4E blobs"),
    "a later format": lambda content: content[:44] + (99).to_bytes(4, "big") + content[48:],
}


@pytest.mark.parametrize("damage", CORRUPT)
def test_a_corrupt_file_is_replaced(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path)
    path.write_bytes(CORRUPT[damage](path.read_bytes()))
    with Cache(tmp_path) as opened:
        assert served(opened) < len(BLOBS)
        assert works(opened)
    with Cache(tmp_path) as later:
        assert later.get(b"probe") == b"content"


def test_a_corrupt_file_is_replaced_by_a_put_too(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.write_bytes(CORRUPT["text"](b""))
    with Cache(tmp_path) as opened:
        assert works(opened)


def test_bytes_overwritten_at_random_are_never_served(tmp_path: Path) -> None:
    path = filled(tmp_path)
    content = path.read_bytes()
    losses = 0
    for seed in range(150):
        path.write_bytes(scrambled(content, seed))
        with Cache(tmp_path) as opened:
            losses += served(opened) < len(BLOBS)
            opened.put(b"probe", b"content")
    assert losses > 20, "the damage has to be some"


def test_a_journal_that_is_damaged_or_left_behind_is_never_served(tmp_path: Path) -> None:
    path = filled(tmp_path)
    journal = path.with_name(path.name + "-wal")
    with Cache(tmp_path) as opened:
        for name, blob in BLOBS.items():
            opened.put(name, blob)
        content, journalled = path.read_bytes(), journal.read_bytes()
    assert journalled
    for seed in range(30):
        journal.write_bytes(scrambled(journalled, seed))
        path.write_bytes(content if seed % 2 else b"")
        with Cache(tmp_path) as opened:
            served(opened)
            opened.put(b"probe", b"content")
            assert opened.get(b"probe") in (None, b"content")


# What the disk does wrong is a miss.


def test_a_folder_that_cannot_be_made_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with Cache(folder) as opened:
            assert not works(opened)
            assert opened.get(b"probe") is None


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc, which not even root can write")
def test_a_folder_that_nobody_can_write_is_a_miss() -> None:
    with Cache(Path("/proc/self")) as opened:
        assert not works(opened)
        assert opened.get(b"probe") is None


def test_a_folder_in_the_files_place_is_a_miss(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.unlink()
    path.mkdir()
    with Cache(tmp_path) as opened:
        assert not works(opened)


def test_a_file_that_cannot_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    monkeypatch.setattr(cache, "_SET_UP", (*cache._SET_UP, "PRAGMA query_only = ON"))  # as for a file of another user
    with Cache(tmp_path) as opened:
        assert not works(opened)
        assert served(opened) == len(BLOBS)


def locked(path: Path, *statements: str) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        other.execute(statement)
    return other


def test_a_lock_on_writing_ends_the_writing_and_not_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_PATIENCE", 0.01)
    other = locked(filled(tmp_path), "BEGIN IMMEDIATE")
    with Cache(tmp_path) as opened:
        assert not works(opened)
        assert served(opened) == len(BLOBS)
        other.close()
        assert not works(opened), "what failed once would cost its patience again and again"
    with Cache(tmp_path) as later:
        assert works(later)


def test_a_file_that_is_locked_altogether_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_PATIENCE", 0.01)
    other = locked(
        filled(tmp_path), "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "CREATE TABLE more (a)", "COMMIT"
    )
    with Cache(tmp_path) as opened:
        assert served(opened) == 0
        assert not works(opened)
        other.close()
        assert served(opened) == 0, "what failed once would cost its patience again and again"
    with Cache(tmp_path) as later:
        assert served(later) == len(BLOBS)


def test_a_new_file_that_another_run_is_making_is_waited_for(kept: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_PATIENCE", 60.0)
    kept._path.parent.mkdir(parents=True)
    other = sqlite3.connect(kept._path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.close)
    release.start()
    assert works(kept)
    release.join()


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited here")
def test_a_disk_that_takes_no_more_is_a_miss(tmp_path: Path) -> None:
    done = child(
        "import resource\nfrom pathlib import Path\nfrom lossparity.cache import Cache, key\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        f"with Cache(Path({str(tmp_path)!r})) as c:\n"
        "    for n in range(300):\n        c.put(key(n), bytes([n % 256]) * 2000)\n"
        "    found = [c.get(key(n)) for n in range(300)]\n"
        "    assert all(b in (None, bytes([n % 256]) * 2000) for n, b in enumerate(found))\n"
        "    print(0 < sum(b is not None for b in found) < 300)\n"
    )
    assert done.stdout.splitlines() == ["True"], done.stderr


def test_a_python_without_sqlite_has_no_cache(kept: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert not works(kept)


def test_sources_that_cannot_be_read_are_no_cache(kept: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_SOURCES", ("gone.py",))
    assert not works(kept)


# The file is bounded.


def test_a_full_file_drops_what_was_written_least_recently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_LARGEST_FILE", 2**20)
    names = [key(n) for n in range(2000)]
    rows = [1]
    with Cache(tmp_path) as opened:
        for name in names:
            opened.put(name, name * 100)
            opened.put(b"again and again", b"content")
            assert opened._connection is not None
            rows += opened._connection.execute("SELECT count(*) FROM blobs").fetchone()
        assert opened.get(b"again and again") == b"content"
        present = [opened.get(name) is not None for name in names]
    assert file_of(tmp_path).stat().st_size <= 2**20
    assert present[-1]
    assert present == sorted(present), "the oldest go first"
    left = [after / before for before, after in itertools.pairwise(rows)]
    assert 0.85 < min(left) < 0.95, "a tenth at once"


def test_a_large_blob_makes_room_among_small_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_LARGEST_FILE", 2**20)
    with Cache(tmp_path) as opened:
        for n in range(700):
            opened.put(key(n), bytes(1600))
        opened.put(b"large", bytes(50_000))
        assert opened.get(b"large") == bytes(50_000)
        opened.put(b"larger than the file", bytes(2**20))
        assert opened.get(b"larger than the file") is None


def test_the_bound_is_below_256_mib(kept: Cache) -> None:
    assert works(kept)
    assert kept._connection is not None
    ((pages,),) = kept._connection.execute("PRAGMA max_page_count")
    ((size,),) = kept._connection.execute("PRAGMA page_size")
    assert 200 << 20 <= pages * size <= 248 << 20, "the journal, of up to 8 MiB, comes on top"


# Runs side by side.

HAMMER = """
import random, sys
from pathlib import Path
from lossparity import cache

cache._PATIENCE = 60.0  # nothing may be lost to a slow machine
chosen = random.Random(int(sys.argv[2]))
names = [cache.key(n) for n in range(200)]
for _ in range(4):
    with cache.Cache(Path(sys.argv[1])) as opened:
        for _ in range(100):
            name = chosen.choice(names)
            opened.put(name, name * 50)
            assert opened.get(name) == name * 50, "its own"
            name = chosen.choice(names)
            assert opened.get(name) in (None, name * 50), "another's"
"""


def hammered(folder: Path, processes: int) -> list[str]:
    """Let processes put and get the same keys at once; return what they had to complain of."""
    running = [
        subprocess.Popen([sys.executable, "-c", HAMMER, str(folder), str(seed)], stderr=subprocess.PIPE, text=True)
        for seed in range(processes)
    ]
    return [said for process in running if (said := process.communicate(timeout=300)[1])]


def test_several_processes_may_share_a_file(tmp_path: Path) -> None:
    assert hammered(tmp_path, 5) == []
    with Cache(tmp_path) as opened:
        found = [(name, opened.get(name)) for name in map(key, range(200))]
    assert all(blob in (None, name * 50) for name, blob in found)
    assert sum(blob is not None for _, blob in found) > 190, "2000 draws of 200 leave out next to none"


def test_threads_may_share_a_cache(kept: Cache) -> None:
    wrong: list[bytes] = []

    def work(seed: int) -> None:
        chosen = random.Random(seed)
        for name in (key(chosen.randrange(50)) for _ in range(300)):
            kept.put(name, name * 50)
            if kept.get(name) != name * 50:
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_caches_opened_at_once_are_all_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_PATIENCE", 60.0)
    at_once = threading.Barrier(6)
    fine: list[bool] = []

    def work(folder: Path) -> None:
        with Cache(folder) as opened:
            at_once.wait()
            fine.append(works(opened))

    for attempt in range(20):
        threads = [threading.Thread(target=work, args=(tmp_path / str(attempt),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert fine == [True] * 120


def test_a_file_that_is_removed_meanwhile_is_no_harm(tmp_path: Path) -> None:
    filled(tmp_path)
    with Cache(tmp_path) as opened:
        served(opened)
        for path in tmp_path.iterdir():
            path.unlink()
        with Cache(tmp_path) as other:
            assert works(other)
            opened.put(b"probe", b"late")
            assert served(opened) in (0, len(BLOBS))
        opened.close()
        assert opened.get(b"probe") in (b"content", b"late")


# A changed reference has another file.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package's sources."""
    return shutil.copytree(PACKAGE, tmp_path / "lossparity", ignore=shutil.ignore_patterns("__pycache__"))


def test_a_changed_source_gives_another_name(copy: Path) -> None:
    names = {fingerprint(), fingerprint(copy)}
    assert len(names) == 1
    reference = sorted(copy.glob("reference/*.py"))
    sources = [*reference, *(copy / name for name in ("cache.py", "constants.py", "formats.py", "spec.py"))]
    for path in sources:
        path.write_bytes(path.read_bytes() + b"\n")
        names.add(fingerprint(copy))
    assert reference
    assert len(names) == 1 + len(sources)
    reference[-1].rename(reference[-1].with_stem(f"{reference[-1].stem}_"))
    assert fingerprint(copy) not in names


def test_what_no_reference_depends_on_changes_nothing(copy: Path) -> None:
    (copy / "judge.py").write_text("")
    assert fingerprint(copy) == fingerprint()


def test_other_libraries_and_machines_give_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [fingerprint()]
    for target in ("numpy.__version__", "importlib.metadata.version", "platform.machine"):
        with monkeypatch.context() as changed:
            changed.setattr(target, "0.0" if target.endswith("__") else lambda *_: "0.0")
            names.append(fingerprint())
    assert len(set(names)) == 4


def test_all_that_the_reference_imports_from_here_is_in_the_name() -> None:
    done = child("import sys, lossparity.reference; print(*(n for n in sys.modules if n.startswith('lossparity.')))")
    imported = {name.split(".")[1] for name in done.stdout.split()} - {"reference"}
    assert imported, done.stderr
    assert {f"{name}.py" for name in imported} <= set(cache._SOURCES), "add it to the sources in cache.py"


def test_an_old_reference_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    monkeypatch.setattr(cache, "fingerprint", lambda: "00")
    with Cache(tmp_path) as changed:
        assert served(changed) == 0
        assert works(changed)


# Files of other references are removed.


def aged(path: Path, days: float) -> Path:
    path.write_text("")
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def test_files_that_nobody_used_for_30_days_go_when_a_new_one_is_made(tmp_path: Path) -> None:
    old = [aged(tmp_path / f"references-0a.sqlite{suffix}", 31) for suffix in ("", "-wal", "-shm")]
    recent = [aged(tmp_path / f"references-0b.sqlite{suffix}", 29) for suffix in ("", "-wal")]
    strange = [aged(tmp_path / name, 400) for name in ("notes.sqlite", "references.txt", "references-1.sqlite.bak")]
    with Cache(tmp_path) as opened:
        assert works(opened)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in (*recent, *strange))


def test_no_file_goes_while_there_is_no_new_one(tmp_path: Path) -> None:
    filled(tmp_path)
    old = aged(tmp_path / "references-0a.sqlite", 31)
    with Cache(tmp_path) as opened:
        assert works(opened)
    assert old.exists()


def test_reading_alone_is_a_use(tmp_path: Path) -> None:
    path = filled(tmp_path)
    os.utime(path, (0, 0))
    with Cache(tmp_path) as opened:
        served(opened)
    assert time.time() - path.stat().st_mtime < 86_400


def test_an_old_file_that_cannot_be_removed_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "references-0a.sqlite").mkdir()
    os.utime(tmp_path / "references-0a.sqlite", (0, 0))
    old = aged(tmp_path / "references-0b.sqlite", 31)
    with Cache(tmp_path) as opened:
        assert works(opened)
    assert not old.exists()


# Keys.

DIFFERENT: list[tuple[object, ...]] = [
    (),
    ((),),
    ((), ()),
    ({},),
    ("",),
    (b"",),
    (0,),
    (0.0,),
    (-0.0,),
    (False,),
    (True,),
    (1,),
    (-1,),
    (255,),
    (-256,),
    (2**63,),
    (2**64,),
    (1.0,),
    (float("nan"),),
    ("1",),
    (b"1",),
    ("a", "b"),
    ("ab",),
    (("a", "b"),),
    ("a", ("b",)),
    (("a",), "b"),
    ({"a": "b"},),
    ((("a", "b"),),),
    ({"b": "a"},),
    ({"a": {"b": 1}},),
    ({"a": 1, "b": 2},),
    ({"a": 2, "b": 1},),
    ({"a": 1}, {"b": 2}),
    ("a\0b",),
    ("a\0", "b"),
    ("é",),
    ("é".encode(),),
    ("\udcff",),
]

parts = st.recursive(
    st.text(max_size=3) | st.integers() | st.booleans() | st.floats() | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


def told_apart(part: object) -> object:
    """Return a structure that equals another's where type, order and bits are the same."""
    if isinstance(part, tuple):
        return "tuple", [told_apart(one) for one in part]
    if isinstance(part, dict):
        return "dict", sorted(repr(told_apart(item)) for item in part.items())
    bits = np.float64(part).tobytes() if isinstance(part, float) else part
    return type(part).__name__, repr(bits)


def test_different_structures_have_different_keys() -> None:
    keys = [key(*one) for one in DIFFERENT]
    assert len(set(keys)) == len(DIFFERENT)
    assert {len(one) for one in keys} == {16}


@given(parts, parts)
def test_keys_are_equal_where_types_order_and_bits_are(one: object, other: object) -> None:
    assert (key(one) == key(other)) == (told_apart(one) == told_apart(other))


@given(st.dictionaries(st.text(max_size=2), st.integers(), max_size=5))
def test_the_order_of_a_dict_does_not_count(entries: dict[str, int]) -> None:
    assert key(entries) == key(dict(reversed(entries.items())))


def test_a_key_is_the_same_in_every_process() -> None:
    program = "from lossparity.cache import *; print(key('a', {'b': 1.5, 'c': (b'd', -7)}, fingerprint()).hex())"
    keys = {child(program, PYTHONHASHSEED=seed).stdout.strip() for seed in ("1", "2")}
    assert keys == {key("a", {"b": 1.5, "c": (b"d", -7)}, fingerprint()).hex()}


@pytest.mark.parametrize("part", [None, [1], {1}, np.zeros(1), np.int64(1), 1j, ("a", [1]), {"a": None}], ids=repr)
def test_a_part_of_another_type_is_refused(part: object) -> None:
    with pytest.raises(TypeError, match="a key has no part of type"):
        key("a", part)


# Packing.


def same(one: Packable, other: Packable) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, float) and isinstance(other, float):
        return np.float64(one).tobytes() == np.float64(other).tobytes()
    return type(one) is type(other) and one == other


def arrays() -> dict[str, Packable]:
    numbers = np.random.RandomState(1).standard_normal((4, 6))
    made = {
        f"{dtype} {shape}": np.resize(numbers, shape).astype(dtype)
        for dtype in ("<f8", ">f8", "<f4", "<f2", "<i8", "|u1", "|b1", "<c16")
        for shape in ((), (0,), (3, 0, 2), (1,), (2, 3, 4))
    }
    special = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324])
    views = {
        "transposed": numbers.T,
        "strided": numbers[::2, ::-1],
        "broadcast": np.broadcast_to(np.float64(7), (3, 2)),
    }
    return {**made, "special": special, **views}


def test_what_is_packed_is_unpacked_to_the_bit() -> None:
    values = {**arrays(), "float": -0.0, "NaN": float("nan"), "NumPy's": np.float64(0.1), "text": "é\0", "none": None}
    got = unpack(pack(values))
    assert list(got) == list(values)
    assert type(got["NumPy's"]) is float
    assert all(same(got[name], float(v) if isinstance(v, float) else v) for name, v in values.items())
    assert unpack(pack({})) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats() | st.text(max_size=5) | st.none(), max_size=4))
def test_scalars_are_unpacked_as_they_were(values: dict[str, Packable]) -> None:
    got = unpack(pack(values))
    assert got.keys() == values.keys()
    assert all(same(got[name], values[name]) for name in values)


def test_unpacked_arrays_are_read_only() -> None:
    (got,) = unpack(pack({"a": np.zeros(3)})).values()
    assert isinstance(got, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 1.0


@pytest.mark.parametrize(
    "array",
    [np.array([object()]), np.array(["a"]), np.array(["2020"], "M8[D]"), np.zeros(1, [("a", "<f8")])],
    ids=lambda a: str(a.dtype),
)
def test_an_array_without_numbers_is_refused(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(TypeError, match="cannot be packed"):
        pack({"a": array})


WHOLE = pack({"a": np.zeros(3), "b": 1.5, "c": "text"})


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x80\x80",
        b"text",
        WHOLE[:-1],
        WHOLE + b"\0",
        WHOLE.replace(b"<f8", b"<f9"),
        WHOLE.replace(b"<f8", b"|O8"),
        WHOLE.replace(b"<f8", b"<f4"),
        WHOLE.replace(b"\x91\x03", b"\x91\x04"),
    ],
)
def test_what_was_not_packed_is_refused(blob: bytes) -> None:
    assert blob != WHOLE
    with pytest.raises(ValueError, match="not a packed reference"):
        unpack(blob)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_refused_or_gives_values_and_nothing_else(at: int, byte: int) -> None:
    try:
        got = unpack(WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :])
    except ValueError:
        return
    assert all(isinstance(value, np.ndarray | float | str | None) for value in got.values())
