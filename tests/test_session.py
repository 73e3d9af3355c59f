"""A run whose checks are asked for one by one."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from lossparity.checking import Wanted, plan
from lossparity.errors import UsageError
from lossparity.model import Backend, Case
from lossparity.plans import Question
from lossparity.record import CaseLine, Environment, NotTested, Writer, read
from lossparity.runner import Run, run
from lossparity.session import Session
from lossparity.suite import built_in, load, select
from lossparity.target import Target

NUMPY, MANUAL = Backend("numpy"), Backend("numpy", "manual")
WRONG = """
import os
def softmax(logits):
    if logits.shape[-1] == 4:
        os._exit(7)
    return logits * 2
"""


SLOW = """
import time
def softmax(logits):
    if logits.shape[-1] > 1:
        time.sleep(60)
    return logits * 2
"""


def cases(*globs: str) -> tuple[Case, ...]:
    return select([case for one in load([built_in()]) for case in one.cases], globs)


def asked(planned: Run) -> list[tuple[Question, Backend]]:
    return [(question, backend) for question in planned.questions()[0] for backend in planned.asked(question)]


@pytest.fixture
def wrong(tmp_path: Path) -> Run:
    (tmp_path / "wrong.py").write_text(WRONG)
    return plan(Wanted(Target(f"{tmp_path / 'wrong.py'}:softmax", "softmax"), cases("softmax/o*", "softmax/t*")))


def test_in_any_order_it_finds_what_a_run_finds(tmp_path: Path) -> None:
    planned = Run([NUMPY, MANUAL], cases("worked-example/softmax", "softmax/o*", "label-smoothing/five*"))
    with Writer(tmp_path / "run.jsonl") as writer:
        summary = run(planned, writer, lambda *_: None)
    record = read(tmp_path / "run.jsonl")
    checks = asked(planned)[::-1]
    session = Session(planned, {NUMPY: len(checks) // 2, MANUAL: len(checks) // 2})
    following = [*checks[1:], None]
    found = [session.judge(*check, ahead) for check, ahead in zip(checks, following, strict=True)]
    causes, left, _ = session.close()
    assert sorted((r for one in found for r in one.results), key=lambda r: r.key) == sorted(
        record.results, key=lambda r: r.key
    )
    lines = [line for one in found for line in one.lines]
    assert [line for line in lines if isinstance(line, Environment)] == record.environments
    assert len([line for line in lines if isinstance(line, CaseLine)]) == len(record.cases)
    assert [cause.results for cause in causes] == [cause.results for cause in summary.causes]
    assert left == []


def test_a_function_has_a_name_of_its_own_in_the_record(wrong: Run) -> None:
    (backend,) = wrong.backends
    session = Session(wrong, {backend: 1}, "test_loss.softmax")
    question = next(q for q, _ in asked(wrong) if q.first.shape[-1] != 4)
    found = session.judge(question, backend)
    causes, _, scripts = session.close()
    name = "numpy.test_loss.softmax"
    assert {one.check for one in found.results} == {f"{question.case.id}/{question.format}@{name}"}
    assert {one.backend for one in found.results} == {name}
    failed = {one.key for one in found.results if one.verdict == "fail"}
    assert failed and {key for cause in causes for key in cause.results} == failed
    assert {(one.key, bool(one.text)) for one in scripts} == {(cause.results[0], True) for cause in causes}


def test_five_like_deaths_stop_a_backend_and_the_rest_is_not_tested(wrong: Run) -> None:
    (backend,) = wrong.backends
    deadly = [q for q, _ in asked(wrong) if q.first.shape[-1] == 4][:7]
    assert len(deadly) == 7
    session = Session(wrong, {backend: 7}, "wrong")
    found = [session.judge(question, backend) for question in deadly]
    causes, left, scripts = session.close()
    assert [one.results[0].verdict if one.results else "" for one in found] == ["crash"] * 5 + ["", ""]
    assert "stopped after 5 like deaths in a row" in found[-1].stopped
    assert [(one.what, one.checks) for one in left] == [("numpy.wrong", 2)]
    assert causes and len(scripts) == 1 and scripts[0].text, (
        "a child that died is started again to say how it is called"
    )


def test_a_backend_that_is_not_there_is_not_tested() -> None:
    absent = Backend("numpy", device="cuda")
    planned = Run([absent], cases("softmax/one-row"))
    session = Session(planned, {absent: 4})
    found = [session.judge(*one) for one in asked(planned)]
    _, left, _ = session.close()
    assert [one.results for one in found] == [[]] * 4 and all("cuda" in one.stopped for one in found)
    assert left == [NotTested("numpy:cuda", found[0].stopped, 1)] * 4


def test_a_session_that_is_closed_does_not_wait_for_what_is_under_way(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    cases_of = cases("softmax/one-class", "softmax/ten-thousand")
    planned = replace(plan(Wanted(Target(f"{tmp_path / 'slow.py'}:softmax", "softmax"), cases_of)), beside=None)
    (backend,) = planned.backends
    questions = {question.first.shape[-1]: question for question, _ in asked(planned)}
    quick = questions.pop(1)
    session = Session(planned, {backend: 2}, "slow")
    found = session.judge(quick, backend, (next(iter(questions.values())), backend))
    began = time.monotonic()
    causes, _, scripts = session.close()
    assert time.monotonic() - began < 20, "the call under way takes a minute"
    assert found.results[0].verdict == "fail" and len(causes) == 1
    assert [(one.text, one.why) for one in scripts] == [("", "the session is over")]


def test_a_function_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    planned = plan(Wanted(Target(f"{tmp_path}/none.py:softmax", "softmax"), cases("softmax/one-row")))
    with pytest.raises(UsageError, match="no such file"):
        Session(planned, {planned.backends[0]: 1})
