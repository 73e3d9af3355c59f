"""Case files, records and declarations of strangers: refused with an error of ours, or harmless; in bounded time.

Real files are damaged in many ways, a few hundred of each kind here and 10,000 with `tox run -e fuzz`. What is read is
also put to use: selected and hashed, or shown, merged, compared and made into every report. Each input's number is the
seed that makes it again.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click
import pytest

from lossparity import console, record, suite
from lossparity.changes import compare
from lossparity.errors import LossparityError
from lossparity.merging import merge
from lossparity.plain import visible
from lossparity.record import Record, encode
from lossparity.registry import known_files, read_known
from lossparity.speed import table
from lossparity.speed.export import exported
from lossparity.versions import told_apart
from lossparity_reports import badge, github, html, junit
from record_factory import everything, timed

TRIES = int(os.environ.get("LOSSPARITY_FUZZ", "600"))
_BLOCKS = 20
_SECONDS = 60.0  # a hundred times what any takes
_DEEP = 50_000

NASTY = (
    *("1e400", "-1e400", "nan", ".inf", "-.inf", "NaN", "Infinity", "-0", "1_000", "0x10", "1e-400", "9" * 5000),
    *("18446744073709551616", "-1", "1" + "0" * 30, "0.5", "null", "true", '""', "[]", "{}", "~", "''", "[[]]"),
    *("&a [*a]", "*a", "!!python/object/apply:os.system [id]", "!!binary aGk=", "<<: {a: 1}", "? [a]", "- - -", "---"),
    *("[" * _DEEP, "{a: " * _DEEP, '{"a":' * _DEEP, "- " * _DEEP, "shape: [1000000, 1000000]", "[1000000, 1000000]"),
    *("{generate: constant, shape: [16384, 16384], value: 0}", "{generate: normal, shape: [0, 1000000000], seed: 1}"),
    *("../../etc/passwd", "/dev/zero", "C:\\\\x", "a/../../b", "\x00", "\x1b[2J", "\u202e", "\ufeff", "\ud800", "\x85"),
    *("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "javascript:alert(1)", "%n%s{0}{{", "${x}"),
    *("]]>", "<!--", "::error::x", "%0A::set-output", "|", "`", "](javascript:x)", "a" * 100_000, "\u2028", "\r\n"),
)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def damaged(text: bytes, others: list[bytes], dice: random.Random) -> bytes:
    """Return a text damaged once to four times."""
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        text = dice.choice(DAMAGES)(text, others, dice)
    return text


def _nasty(dice: random.Random) -> bytes:
    return dice.choice(NASTY).encode(errors="surrogatepass")


def _place(text: bytes, dice: random.Random) -> int:
    return dice.randrange(len(text) + 1)


def _flip(text: bytes, _others: list[bytes], dice: random.Random) -> bytes:
    made = bytearray(text)
    for _ in range(dice.choice([1, 3, 20])):
        if made:
            made[dice.randrange(len(made))] = dice.randrange(256)
    return bytes(made)


def _cut(text: bytes, _others: list[bytes], dice: random.Random) -> bytes:
    one, two = sorted([_place(text, dice), _place(text, dice)])
    return dice.choice([text[:one], text[one:two], text[:one] + text[two:]])


def _insert(text: bytes, _others: list[bytes], dice: random.Random) -> bytes:
    at = _place(text, dice)
    return text[:at] + _nasty(dice) + text[at:]


def _splice(text: bytes, others: list[bytes], dice: random.Random) -> bytes:
    other = dice.choice(others)
    one, two = sorted([_place(other, dice), _place(other, dice)])
    at = _place(text, dice)
    return text[:at] + other[one : min(two, one + 5000)] + text[at:]


def _replacing(pattern: bytes) -> Callable[[bytes, list[bytes], random.Random], bytes]:
    """Replace a few things that look alike by nasty ones, or by each other."""

    def replace(text: bytes, _others: list[bytes], dice: random.Random) -> bytes:
        found = list(re.finditer(pattern, text))
        for one in sorted(dice.sample(found, min(len(found), dice.choice([1, 1, 3]))), key=lambda m: -m.start()):
            new = dice.choice(found)[0] if dice.random() < 0.3 else _nasty(dice)
            text = text[: one.start()] + new + text[one.end() :]
        return text

    return replace


def _line(text: bytes, _others: list[bytes], dice: random.Random) -> bytes:
    """Double a line, leave one out, or move one."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    at = dice.randrange(len(lines))
    moved = lines[at]
    if dice.random() < 0.7:
        del lines[at]
    for _ in range(dice.choice([0, 1, 2])):
        lines.insert(dice.randrange(len(lines) + 1), moved)
    return b"".join(lines)


DAMAGES = (
    *(_flip, _cut, _insert, _splice, _line, _line, _replacing(rb"-?\d+(\.\d+)?(e-?\d+)?"), _replacing(rb"-?\d+")),
    *(_replacing(rb'"[^"\n]*"'), _replacing(rb"[a-z_][a-z0-9_.-]+"), _replacing(rb"[\[\]{}:,]"), _replacing(rb"\n *")),
)


def tried(name: str, block: int, originals: list[bytes], use: Callable[[bytes, int], None]) -> int:
    """Put a block's share of damaged files to use; return how many were read."""
    taken = 0
    for seed in range(block, TRIES, _BLOCKS):
        dice = random.Random(f"{name} {seed}")
        text = damaged(dice.choice(originals), originals, dice)
        with suppress(LossparityError), within(_SECONDS):
            use(text, seed)
            taken += 1
    return taken


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_damaged_case_files(tmp_path: Path, block: int) -> None:
    originals = [path.read_bytes() for path in sorted(suite.built_in().rglob("*.yaml"))]
    path = tmp_path / "mine.yaml"

    def use(text: bytes, _seed: int) -> None:
        path.write_bytes(re.sub(rb"\Asuite: [a-z0-9-]+", b"suite: mine", text))
        for timed_ones in (False, True):
            for one in suite.load([path], timed=timed_ones):
                suite.digest(one.cases)
                assert all(re.fullmatch(r"[a-z0-9=./+_-]+", case.id, re.IGNORECASE) for case in one.cases)

    assert tried("cases", block, originals, use) or TRIES < 200


def lines(made: Record) -> bytes:
    """Return a record as the text of its file, of each kind of line no more than forty."""
    parts = (made.environments, made.cases, made.results, made.agreements, made.scripts)
    times = (made.jobs, made.triads, made.speeds, made.ratios)
    end = [made.footer] if made.footer else []
    kept = [made.header, *(line for part in (*parts, *times) for line in part[-40:]), *end]
    return b"".join(encode(line).encode() + b"\n" for line in kept)


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    return [lines(everything()), lines(timed(refused="it dies"))]


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_damaged_records(tmp_path: Path, records: list[bytes], block: int) -> None:
    path, whole = tmp_path / "run.jsonl", tmp_path / "whole.jsonl"
    whole.write_bytes(records[0])
    sound = record.read(whole)

    def use(text: bytes, seed: int) -> None:
        path.write_bytes(text)
        read = record.read(path)
        used: list[Callable[[], object]] = [
            lambda: click.unstyle(console.summary(merge([("one", read)]).summary)),
            lambda: table.text(read),
            lambda: exported(read),
            lambda: badge.render(read),
            lambda: junit.render(read),
            lambda: github.render(read),
            lambda: compare(sound, read),
            lambda: compare(read, sound),
            lambda: merge([("one", read), ("two", sound)]),
            lambda: merge(told_apart([("one", read), ("two", sound)])),
        ]
        if seed % 29 == 0:  # a page takes as long as all the others
            used.append(lambda: html.render(read))
        for one in used:
            with suppress(LossparityError):
                one()
        for told in (badge.render(read), junit.render(read), github.render(read)):
            assert visible(told) == told, "nothing that a terminal obeys"

    assert tried("records", block, records, use) or TRIES < 200


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_damaged_declarations(tmp_path: Path, block: int) -> None:
    originals = [path.read_bytes() for path in known_files().values() if path and path.is_file()]
    path = tmp_path / "known.yaml"

    def use(text: bytes, _seed: int) -> None:
        path.write_bytes(text)
        read_known(path)

    assert tried("known", block, originals, use) or TRIES < 200
