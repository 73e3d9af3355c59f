"""Several workers for a framework give what one gives, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from lossparity.formats import Array
from lossparity.model import Backend, Request
from lossparity.record import Line, read
from lossparity.teams import Team, started
from lossparity.workers import Worker, WorkerStopped
from test_runner import DIES, HANGS, NAN, RAISES, RIGHT, WRONG, cases, ran

NUMPY = "lossparity_backends.on_numpy:Numpy"


def lines(tmp_path: Path, fates: Sequence[float], jobs: int, **changes: float) -> list[Line]:
    """Return the lines of a run, without how long it took and when it began."""
    ran(tmp_path, cases(*fates), ("numpy", "numpy.target", "numpy.manual"), jobs=jobs, **changes)
    record = read(tmp_path / "run.jsonl")
    assert record.footer is not None
    footer = msgspec.structs.replace(record.footer, seconds=0.0)
    return [*record.environments, *record.cases, *record.results, *record.agreements, *record.scripts, footer]


@pytest.mark.parametrize("jobs", [2, 5])
def test_so_many_workers_give_what_one_gives(tmp_path: Path, jobs: int) -> None:
    fates = [RIGHT, WRONG, RAISES, DIES, NAN, RIGHT, HANGS, RIGHT, DIES, WRONG, RIGHT, RIGHT]
    assert lines(tmp_path, fates, jobs, timeout=2.0) == lines(tmp_path, fates, 1, timeout=2.0)


def test_they_stop_where_one_stops(tmp_path: Path) -> None:
    fates = [DIES, RIGHT, *[DIES] * 7, RIGHT, WRONG, RIGHT]
    several = lines(tmp_path, fates, 3)
    assert several == lines(tmp_path, fates, 1)
    verdicts = [one.verdict for one in read(tmp_path / "run.jsonl").results if one.backend == "numpy.target"]
    assert verdicts == ["crash", "pass", *["crash"] * 5], "what was asked ahead does not count"


@pytest.fixture
def three() -> list[Worker]:
    return [Worker(NUMPY, "cpu") for _ in range(3)]


CALL = Request("", "softmax", {"logits": Array.of([[1, 1]], "float64")})


def test_all_of_a_team_work(three: list[Worker]) -> None:
    team, backend = Team(three, [Backend("numpy")]), Backend("numpy")
    with started(dict.fromkeys(three, backend)):
        answers = [team.put([(backend, (CALL, CALL))]) for _ in range(30)]
        served = {id(worker) for worker, _ in (answered() for answered in answers)}
        assert served == {id(worker) for worker in three}
        team.close()


def test_a_worker_that_cannot_start_any_more_leaves_the_team(three: list[Worker]) -> None:
    team, backend = Team(three, [Backend("numpy")]), Backend("numpy")
    with started(dict.fromkeys(three, backend)):
        for one in three[:2]:
            one.stop("gone")
        got = [answered()[1] for answered in [team.put([(backend, (CALL,))]) for _ in range(6)]]
        assert all(isinstance(answers[0][1], list) for answers in got), "the third answers for all"
        three[2].stop("gone too")
        team.put([(backend, (CALL,))])()  # the one that is killed under it
        ((_, stopped),) = team.put([(backend, (CALL,))])()[1]
        assert isinstance(stopped, WorkerStopped)
        assert str(stopped) == "gone too"
        team.close()
