"""Where a case is timed: on the processors with the least to do, and the same ones for all who take part."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lossparity.processors import allowed, stay
from lossparity.speed import places
from lossparity.speed.places import held, idlest

pytestmark = pytest.mark.skipif(not allowed(), reason="the system does not let a process stay on a processor")


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processors, of which 1 is idle most of the time, then 2 and 3, and 0 the least."""
    counts = iter([(100, 100, 100, 100), (101, 120, 110, 110)] * 2)

    class Statistics:
        def read_text(self, encoding: str) -> str:  # noqa: ARG002
            found = next(counts)
            return "\n".join(["cpu  9 9 9 9", *(f"cpu{k} 5 0 5 {idle} 0" for k, idle in enumerate(found)), "intr 1"])

    monkeypatch.setattr(places, "allowed", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(places, "_STATISTICS", Statistics())
    monkeypatch.setattr(places, "_LOOKED", 0.0)


@pytest.mark.usefixtures("four")
def test_those_with_the_least_to_do_are_taken() -> None:
    assert idlest(1) == [1]
    assert idlest(2) == [1, 3]  # of 2 and 3, which are alike, the last


@pytest.mark.usefixtures("four")
def test_the_second_look_is_on_others_where_there_are_enough() -> None:
    assert idlest(1, apart=[1]) == [3]
    assert idlest(3, apart=[1, 3]) == [1, 2, 3]


def test_nothing_is_chosen_where_all_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "allowed", lambda: [0, 1])
    assert idlest(2) == []


def test_without_the_systems_counts_some_are_taken_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(places, "allowed", lambda: [4, 5, 6])
    monkeypatch.setattr(places, "_STATISTICS", tmp_path / "none")
    assert idlest(1) == [6]


def test_all_threads_stay_and_are_let_go_again() -> None:
    before, ended = allowed(), threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    assert thread.native_id is not None
    try:
        with held(before[:1]):
            assert allowed() == before[:1]
            assert os.sched_getaffinity(thread.native_id) == set(before[:1])
        assert os.sched_getaffinity(thread.native_id) == set(before)
        with held([]):
            assert allowed() == before
    finally:
        stay(before)
        ended.set()
        thread.join()
