"""The record: what is written is read again, and one that is cut off anywhere is never taken for a whole one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lossparity.errors import UsageError
from lossparity.record import VERSION, Environment, Header, Line, Part, Record, Window, Writer, read
from record_factory import everything, passing

FULL = Path("/dev/full")


def lines(record: Record) -> list[Line]:
    assert record.footer is not None
    times: list[Line] = [*record.jobs, *record.triads, *record.speeds, *record.ratios]
    judged: list[Line] = [*record.environments, *record.cases, *record.results, *record.scripts]
    return [record.header, *judged, *times, record.footer]


def write(path: Path, record: Record) -> Path:
    with Writer(path) as writer:
        for line in lines(record):
            writer.append(line)
    return path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write(tmp_path / "run.jsonl", passing())


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    record = everything()
    got = read(write(tmp_path / "run.jsonl", record))
    assert lines(got) == lines(record)
    assert got.complete


def test_every_line_is_one_object_with_its_kind(written: Path) -> None:
    kinds = [json.loads(line)["kind"] for line in written.read_text().splitlines()]
    assert kinds[0] == "header"
    assert kinds[-1] == "footer"
    assert set(kinds) == {"header", "environment", "case", "result", "footer"}


def test_hex_floats_keep_infinities_nan_and_every_bit(tmp_path: Path) -> None:
    values = [0.1, -0.0, math.inf, -math.inf, math.nan, 5e-324]
    record = passing()
    result = record.results[0]
    with Writer(tmp_path / "run.jsonl") as writer:
        writer.append(record.header)
        window = Window(0, [v.hex() for v in values], [v.hex() for v in values])
        writer.append(msgspec.structs.replace(result, got=window))
    (got,) = read(tmp_path / "run.jsonl").results
    assert got.got is not None
    assert [float.fromhex(text).hex() for text in got.got.got] == [v.hex() for v in values]


def test_every_append_is_in_the_file_when_it_returns(tmp_path: Path) -> None:
    record, path = passing(), tmp_path / "a" / "b" / "run.jsonl"
    with Writer(path) as writer:
        writer.append(record.header)
        assert len(path.read_bytes().splitlines()) == 1
        writer.append(*record.results)
        assert len(path.read_bytes().splitlines()) == 1 + len(record.results)


def test_a_record_that_is_still_being_written_is_incomplete(tmp_path: Path) -> None:
    with Writer(tmp_path / "run.jsonl") as writer:
        writer.append(passing().header, *passing().results)
        got = read(tmp_path / "run.jsonl")
    assert not got.complete
    assert got.broken == "", "nothing in it is damaged"
    assert got.results == passing().results


def test_a_record_cut_anywhere_is_incomplete_and_loses_only_what_was_cut(written: Path) -> None:
    text = written.read_bytes()
    first = text.index(b"\n")
    whole = text.count(b'"kind":"result"')
    for length in {*range(first, min(len(text), first + 600)), *range(first, len(text) - 1, 101), len(text) - 2}:
        written.write_bytes(text[:length])
        got = read(written)
        assert not got.complete
        assert len(got.results) <= whole
        assert len(got.results) >= text[:length].count(b'"kind":"result"') - 1
        cut_in_a_line = not text[:length].endswith(b"}") and not text[:length].endswith(b"\n")
        assert bool(got.broken) >= cut_in_a_line


def test_a_record_cut_in_its_header_is_none(written: Path) -> None:
    text = written.read_bytes()
    for length in range(1, text.index(b"\n"), 7):
        written.write_bytes(text[:length])
        with pytest.raises(UsageError, match="not a lossparity record") as caught:
            read(written)
        assert caught.value.where == f"{written}:1"


@pytest.mark.parametrize(
    "damage", [b"garbage", b"\xff\xfe\x00", b"[" * 100_000, b'{"kind":"result"}', b'{"kind":"joy"}']
)
def test_a_damaged_line_makes_it_incomplete_and_is_named(written: Path, damage: bytes) -> None:
    head, *rest = written.read_bytes().splitlines()
    written.write_bytes(b"\n".join([head, rest[0], damage, *rest[1:]]))
    got = read(written)
    assert not got.complete
    assert got.broken.startswith("line 3 is cut off or damaged")
    assert got.results == passing().results
    assert got.footer is not None


def test_results_without_a_histogram_are_read_as_those_of_older_records_are(written: Path) -> None:
    objects = [json.loads(line) for line in written.read_text().splitlines()]
    assert sum("histogram" in o for o in objects) == len(passing().results)
    written.write_text("".join(json.dumps({k: v for k, v in o.items() if k != "histogram"}) + "\n" for o in objects))
    got = read(written)
    assert got.complete
    assert got.results == [msgspec.structs.replace(result, histogram=[]) for result in passing().results]


@pytest.mark.parametrize("count", [-1, 2**40 + 1, 10**18])
def test_a_line_whose_histogram_counts_what_no_array_has_is_damaged(written: Path, count: int) -> None:
    whole = written.read_bytes().splitlines()
    at, line = next((n, line) for n, line in enumerate(whole) if b'"histogram":[' in line)
    damaged = json.loads(line)
    damaged["histogram"][0] = count
    written.write_bytes(b"\n".join([*whole[:at], json.dumps(damaged).encode(), *whole[at + 1 :]]))
    got = read(written)
    assert not got.complete
    assert got.broken.startswith(f"line {at + 1} is cut off or damaged")
    assert got.results == passing().results[1:]


def test_keys_that_are_not_known_are_ignored(written: Path) -> None:
    objects = [json.loads(line) | {"of_a_later_version": [1]} for line in written.read_text().splitlines()]
    written.write_text("".join(json.dumps(o) + "\n" for o in objects))
    assert lines(read(written)) == lines(passing())


def test_the_first_line_of_a_run_without_shards_is_that_of_older_records(written: Path) -> None:
    said = json.loads(written.read_text().splitlines()[0])
    assert list(said) == ["kind", "format_version", "lossparity", "suite_hash", "started", "command", "threshold"]


def test_a_record_that_lacks_parts_says_so_though_nothing_in_it_is_damaged(tmp_path: Path) -> None:
    record = passing()
    record.header = msgspec.structs.replace(record.header, incomplete="shard 3 of 4 is missing")
    got = read(write(tmp_path / "run.jsonl", record))
    assert (got.complete, got.broken) == (False, "shard 3 of 4 is missing")


def test_a_shard_is_read_again_and_is_complete_by_itself(tmp_path: Path) -> None:
    record = passing()
    record.header = msgspec.structs.replace(record.header, shard=Part(2, 4, "abc", ["torch", "jax"]))
    got = read(write(tmp_path / "run.jsonl", record))
    assert (got.complete, got.header, str(got.header.shard)) == (True, record.header, "shard 2 of 4")


def header(**changes: Any) -> bytes:
    return msgspec.json.encode({**msgspec.to_builtins(passing().header), **changes})


def test_a_newer_format_is_refused_by_its_number_whatever_its_header_looks_like(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    for newer in (
        header(format_version=VERSION + 1),
        b'{"kind":"header","format_version":2,"started":17}',
        b'{"kind":"preamble","format_version":2}',
    ):
        path.write_bytes(newer + b"\n")
        with pytest.raises(UsageError, match="format version 2; this lossparity reads up to 1") as caught:
            read(path)
        assert "install" in caught.value.hint


NO_RECORD = {
    "empty": (b"", "the record is empty"),
    "blank lines": (b"\n\n \n", "the record is empty"),
    "text": (b"hello\n", "not a lossparity record"),
    "HTML": (b"<!doctype html>\n", "not a lossparity record"),
    "bytes": (bytes(range(256)), "not a lossparity record"),
    "not UTF-8": (b'{"kind":"\xff"}\n', "not a lossparity record"),
    "deeply nested": (b"[" * 100_000, "not a lossparity record"),
    "another JSON": (b'{"a": 1}\n', "not a lossparity record"),
    "a list": (b"[1]\n", "not a lossparity record"),
    "no header first": (
        b'{"kind":"footer","results":{},"not_tested":[],"seconds":1,"exit_code":0}\n',
        "not a lossparity",
    ),
    "a header without": (b'{"kind":"header","format_version":1}\n', "not a lossparity record"),
    "a version of text": (header(format_version="1"), "not a lossparity record"),
}


@pytest.mark.parametrize("name", NO_RECORD)
def test_what_is_no_record_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    content, message = NO_RECORD[name]
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read(path)
    assert caught.value.where.startswith(str(path))
    assert caught.value.hint


def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_a_record_that_cannot_be_opened_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "run.jsonl"):
        with pytest.raises(UsageError, match="the record cannot be written") as caught:
            Writer(path)
        assert caught.value.where == str(path)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_message() -> None:
    with pytest.raises(UsageError, match="the record cannot be written: No space left"), Writer(FULL) as writer:
        writer.append(Header(VERSION, "", "", "", "", ""), Environment("numpy", True))
