"""Where a user's function may be, and what says which file it is written in; test_workers has what is refused."""

from __future__ import annotations

import functools
import os.path
import pickle
from pathlib import Path

import pytest

from lossparity.target.loading import load, source_file


def test_a_pickle_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "f.pickle"
    path.write_bytes(pickle.dumps(os.path.join))
    assert load(f"pickle:{path}") is os.path.join


def test_a_pickle_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    path = tmp_path / "f.pickle"
    for content, said in (
        (b"no pickle", "fails when it is imported: UnpicklingError"),
        (pickle.dumps(3), "not callable"),
    ):
        path.write_bytes(content)
        with pytest.raises(ImportError, match=said):
            load(f"pickle:{path}")
    with pytest.raises(ImportError, match="no such file"):
        load(f"pickle:{tmp_path / 'none'}")


def test_an_object_that_is_called_may_be_inside_of_others() -> None:
    assert load("os:path.join") is os.path.join


class Loss:
    def __call__(self) -> None: ...


def test_the_source_file_is_that_of_the_function_or_the_class() -> None:
    @functools.wraps(test_a_pickle_is_loaded)
    def wrapped() -> None: ...

    for one in (test_a_pickle_is_loaded, Loss(), wrapped):
        assert source_file(one) == __file__
    assert source_file(min) == ""
