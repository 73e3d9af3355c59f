"""Arrays come out of files as they went in; whatever else a file holds is one clear message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossparity.errors import UsageError
from lossparity.explaining import arrayfiles
from lossparity.explaining.arrayfiles import is_file, read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a folder of its own to be in."""
    monkeypatch.chdir(tmp_path)


def test_arrays_of_numpy_keep_their_type() -> None:
    x = np.array([[1.5, 2], [3, 4]], np.float16)
    np.save("x.npy", x)
    np.savez("both.npz", a=x, b=[1, 2])
    np.savez("one.npz", x)
    for name in ("x.npy", "both.npz:a", "one.npz"):
        found = read(name)
        assert found.dtype == np.float16
        assert np.array_equal(found, x)


def test_text_gives_the_numbers_that_were_typed() -> None:
    Path("x.csv").write_text("1, 2.5,-inf\n\n3e-2,4,5\n")
    Path("x.json").write_text("[[1, 2.5], [-3e2, 4]]")
    assert read("x.csv") == [[1, 2.5, -np.inf], [0.03, 4, 5]]
    assert isinstance(read("x.csv")[0][0], int), "indices are integers"
    assert read("x.json") == [[1, 2.5], [-300.0, 4]]


@pytest.mark.parametrize("text", ["0\n2\n-100\n", "0,2,-100\n"])
def test_one_row_or_column_is_a_list_where_one_is_wanted(text: str) -> None:
    Path("y.csv").write_text(text)
    assert read("y.csv", flat=True) == [0, 2, -100]


def test_a_table_stays_one() -> None:
    Path("q.csv").write_text("0.5,0.5\n1,0\n")
    assert read("q.csv", flat=True) == [[0.5, 0.5], [1, 0]]


@pytest.mark.parametrize("name", ["x.npy", "d/x.NPZ", "x.npz:a", "x.csv", "x.json"])
def test_files_are_told_from_numbers(name: str) -> None:
    assert is_file(name)
    assert not any(map(is_file, ("1.25", "-3e4", "nan", "--x")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"a,b\n1,2\n", "line 1: 'a' is no number"),
        ("x.csv", b"1,2\n1,\n", "line 2: '' is no number"),
        ("x.csv", b"\xff\xfe\x00", "no UTF-8"),
        ("x.json", b"[1, 2", "no JSON"),
        ("x.json", b'[1, "2"]', '"2" is no number'),
        ("x.json", b"[true]", "true is no number"),
        ("x.json", b'{"a": 1}', "is no number"),
        ("x.npy", b"nothing of the kind", "not an array|no array|objects"),
        ("x.npy", b"", "no array"),
        ("x.npz", b"PK\x03\x04cut off", "no array"),
        ("x.txt", b"1", "files .txt are not read"),
    ],
)
def test_what_is_no_array_is_one_message(name: str, content: bytes, message: str) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read(name)
    assert caught.value.where == name
    assert caught.value.hint


def test_objects_are_not_loaded() -> None:
    np.save("x.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez("x.npz", a=np.array([{}, 1], dtype=object))
    for name in ("x.npy", "x.npz:a"):
        with pytest.raises(UsageError, match="Python objects, which are not loaded"):
            read(name)


def test_arrays_of_an_archive_have_to_be_named() -> None:
    np.savez("x.npz", first=[1], second=[2])
    with pytest.raises(UsageError, match="it holds 2 arrays: first, second"):
        read("x.npz")
    with pytest.raises(UsageError, match="no array 'frist'") as caught:
        read("x.npz:frist")
    assert "did you mean 'first'?" in str(caught.value)


def test_what_is_not_there_or_too_long_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read("none.npy")
    Path("folder.npy").mkdir()
    with pytest.raises(UsageError, match="is no file"):
        read("folder.npy")
    Path("x.csv").write_text("1,2,3")
    monkeypatch.setattr(arrayfiles, "MOST_TEXT", 4)
    with pytest.raises(UsageError, match="5 bytes of text are too many"):
        read("x.csv")
