"""The taking of outcomes: what is recorded, told, counted and grouped; what the framework itself fails too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from liars.judging import questions
from lossparity.formats import Array
from lossparity.framework import NO_LAYOUTS
from lossparity.judged import Judged, Summary, silent
from lossparity.known import Deviation
from lossparity.model import Backend, Declined, Grade, Outcome, Produced, Raised, Request, Verdict
from lossparity.plans import EXACT, Finding, Question
from lossparity.record import Cause, NotTested, Result, Writer
from lossparity.target.supports import NOT_DECLARED
from lossparity.workers import Worker, WorkerStopped

MINE, OWN = Backend("numpy", "target"), Backend("numpy")


def asked(case: str = "worked-example/softmax", fmt: str = "float32") -> Question:
    every = (q for name in ("softmax", "log_softmax", "cross_entropy") for q in questions(name))
    return next(Question(q.case, q.format) for q in every if (q.case.id, q.format) == (case, fmt))


def outcome(question: Question, value: float = 1.0, gradient: float = 1.0) -> Produced:
    """Return what is right, each part multiplied by a number."""
    by = {"value": value, "gradient": gradient}
    parts = [Array.of(question.answer(EXACT, q).whole() * by[q], question.format) for q in question.quantities]
    return Produced(parts[0], parts[1], "f", "target", True)


class Asked:
    """A worker that answers what it is told to, and keeps what it was asked."""

    def __init__(self, answer: Outcome | WorkerStopped | None = None, **details: str) -> None:
        self.answer, self.details = answer, details
        self.requests: list[Request] = []

    def ask(self, request: Request) -> Outcome:
        self.requests.append(request)
        if isinstance(self.answer, WorkerStopped):
            raise self.answer
        assert self.answer is not None
        return self.answer


class Bench:
    """A `Judged` whose record is a list."""

    def __init__(self, *known: Deviation, beside: Backend | None = None, threshold: Grade = Grade.LOOSE) -> None:
        self.lines: list[Result] = []
        self.told: list[str] = []
        writer = cast(Writer, SimpleNamespace(append=lambda *lines: self.lines.extend(lines)))
        self.judged = Judged(known, threshold, beside, writer, Summary(), self.tell)

    def tell(self, _question: Question, finding: Finding, result: Result) -> None:
        assert result.quantity == finding.quantity
        self.told.append(result.key)

    def take(self, question: Question, answer: Outcome | WorkerStopped, worker: Asked | None = None) -> list[Result]:
        before = len(self.lines)
        outcomes = answer if isinstance(answer, WorkerStopped) else [answer]
        self.judged.take(question, MINE, cast(Worker, worker or Asked()), outcomes)
        return self.lines[before:]

    def finish(self) -> list[Cause]:
        self.judged.finish()
        return self.judged.summary.causes


def test_a_pass_is_recorded_and_nobody_is_told() -> None:
    bench = Bench(beside=OWN)
    worker = Asked()
    lines = bench.take(asked(), outcome(asked()), worker)
    assert [(line.quantity, line.verdict) for line in lines] == [("value", "pass"), ("gradient", "pass")]
    assert (bench.told, worker.requests, bench.finish()) == ([], [], [])
    assert bench.judged.summary.counts == {Verdict.PASS: 2}


def test_the_format_that_came_back_is_recorded_where_it_is_another() -> None:
    question = asked(fmt="float16")
    right = [Array.of(question.answer(EXACT, q).whole(), "float32") for q in question.quantities]
    value, _ = Bench().take(question, Produced(right[0], right[1], "f", "target", True))
    assert (value.verdict, value.returned) == ("pass", "float32")
    value, _ = Bench().take(question, outcome(question))
    assert value.returned == ""


def test_a_failure_is_recorded_with_what_explains_it_told_and_grouped() -> None:
    bench = Bench()
    value, gradient = bench.take(asked(), outcome(asked(), value=-1.0))
    assert (value.verdict, gradient.verdict) == ("fail", "pass")
    assert value.explained[0].id == "negated"
    assert gradient.explained == []
    assert bench.told == ["worked-example/softmax/float32@numpy.target#value"]
    (cause,) = bench.finish()
    assert (cause.id, cause.results, cause.failing) == ("negated", bench.told, True)


def test_backends_are_grouped_apart() -> None:
    bench = Bench()
    bench.take(asked(), outcome(asked(), value=-1.0))
    bench.judged.take(asked(), OWN, cast(Worker, Asked()), [outcome(asked(), value=-1.0)])
    assert [cause.id for cause in bench.finish()] == ["negated", "negated"]
    assert [len(cause.results) for cause in bench.judged.summary.causes] == [1, 1]


@pytest.mark.parametrize(
    ("theirs", "shared"),
    [
        ({"value": -1.0}, True),
        ({"value": 3.0}, True),
        ({"value": np.nan}, False),
        ({"gradient": -1.0}, False),
        ({}, False),
    ],
)
def test_a_failure_is_shared_where_the_frameworks_own_fails_in_the_same_way(
    theirs: dict[str, float], shared: bool
) -> None:
    """In the same quantity, and deviating in the same kind."""
    bench, worker = Bench(beside=OWN), Asked(outcome(asked(), **theirs))
    value, gradient = bench.take(asked(), outcome(asked(), value=-1.0), worker)
    assert (value.shared, gradient.shared) == (shared, False)
    assert [request.variant for request in worker.requests] == [""]
    assert [cause.shared for cause in bench.finish()] == [shared]


def test_nobody_beside_is_asked_nothing_and_one_that_has_stopped_shares_nothing() -> None:
    worker = Asked()
    assert not Bench().take(asked(), outcome(asked(), value=-1.0), worker)[0].shared
    assert worker.requests == []
    stopped = Asked(WorkerStopped("gone"))
    assert not Bench(beside=OWN).take(asked(), outcome(asked(), value=-1.0), stopped)[0].shared
    assert len(stopped.requests) == 1


DECLARED = Deviation("mine", ("numpy.target",), ("worked-example/softmax/*#value",), "finite-wrong", ">=1", "it is so")


def test_a_declared_deviation_is_known_and_no_failure() -> None:
    bench = Bench(DECLARED)
    value, _ = bench.take(asked(), outcome(asked(), value=-1.0), Asked(numpy="2.0"))
    assert (value.verdict, value.deviation, value.message) == ("known", "mine", "it is so")
    assert (bench.told, bench.finish(), value.explained) == ([], [], [])
    assert bench.judged.summary.known == {"mine": [value]}


def test_a_declared_deviation_of_another_version_is_a_failure() -> None:
    (value, _) = Bench(DECLARED).take(asked(), outcome(asked(), value=-1.0), Asked(numpy="0.9"))
    assert value.verdict == "fail"


def test_a_deviation_that_is_gone_is_stale_and_has_no_cause() -> None:
    bench = Bench(DECLARED)
    value, _ = bench.take(asked(), outcome(asked()), Asked(numpy="2.0"))
    assert value.verdict == "stale"
    assert (bench.told, bench.finish()) == ([], [])
    assert bench.judged.summary.failures == [value]


def test_what_a_stopped_worker_leaves_undone_is_counted_by_its_reason() -> None:
    bench = Bench()
    for reason in ("died", "died", "late"):
        assert bench.take(asked(), WorkerStopped(reason)) == []
    bench.finish()
    assert bench.judged.summary.not_tested == [
        NotTested("numpy.target", "died", 2),
        NotTested("numpy.target", "late", 1),
    ]


def test_subnormals_are_judged_as_the_worker_declares() -> None:
    """Flushed to 0, which is right only where it is declared."""
    question = asked("softmax/vanishing")
    right = outcome(question)
    tiny = np.finfo(np.float32).tiny
    assert isinstance(right.gradient, Array)
    value, gradient = (np.where(np.abs(a.exact()) < tiny, 0.0, a.exact()) for a in (right.value, right.gradient))
    assert not np.array_equal(value, right.value.exact())
    flushed = Produced(Array.of(value, "float32"), Array.of(gradient, "float32"), "f", "target", True)
    verdicts = [Bench().take(question, flushed, Asked(subnormals=said))[0].verdict for said in ("flushed", "gradual")]
    assert verdicts == ["pass", "fail"]


class TestWeakPasses:
    """Within the loose bound only: listed after the failures, and no failures."""

    @staticmethod
    def loose(question: Question, gradient: np.ndarray[Any, Any]) -> tuple[Bench, Result]:
        """Take a gradient whose largest elements are so far off that its grade is loose."""
        value, large = outcome(question).value, np.abs(gradient) > 1e-3
        for off in np.linspace(1, 1.2, 200):
            bench, part = Bench(), Array.of(np.where(large, off * gradient, gradient), question.format)
            _, line = bench.take(question, Produced(value, part, "f", "target", True))
            if line.grade == "loose":
                assert line.verdict == "pass"
                return bench, line
        raise AssertionError("none is loose")

    def test_a_gradient_that_is_gone_is_told_apart_from_the_others(self) -> None:
        question = asked("softmax/certain/logits=gap-4-18", "bfloat16")
        exact = question.answer(EXACT, "gradient").whole()
        largest = np.abs(exact) == np.abs(exact[1]).max()
        for by, zeroed in ((0.0, True), (-1.0, True), (1.0, False)):
            bench, gradient = self.loose(question, np.where(largest, by * exact, exact))
            assert gradient.zeroed is zeroed
            (cause,) = bench.finish()
            assert (cause.id, cause.failing) == ("gradient-lost" if zeroed else "weak", False)
            assert cause.results == [gradient.key]

    @pytest.mark.parametrize("by", [0.0, np.nan])
    def test_a_gradient_that_the_spec_leaves_open_is_not_lost(self, by: float) -> None:
        """That of a row with NaN; the other row is within the loose bound only."""
        question = asked("special-values/not-a-number", "bfloat16")
        exact = question.answer(EXACT, "gradient").whole()
        _, gradient = self.loose(question, np.array([np.full(4, by), exact[1]]))
        assert not gradient.zeroed

    def test_a_loose_value_is_weak(self) -> None:
        question = asked("softmax/rounding", "bfloat16")
        for by in np.linspace(1, 1.1, 60):
            bench = Bench()
            value, _ = bench.take(question, outcome(question, value=float(by)))
            if value.grade == "loose":
                break
        assert not value.zeroed
        (cause,) = bench.finish()
        assert (cause.id, cause.results, cause.failing) == ("weak", [value.key], False)
        assert bench.judged.summary.weak == 1


def test_the_simplest_input_stands_first_then_the_fewest_keywords_then_the_best_known_format() -> None:
    bench = Bench()
    cases = ("softmax/rounding", "softmax/one-row")
    for case in cases:
        for fmt in ("float16", "float32"):
            bench.take(asked(case, fmt), outcome(asked(case, fmt), value=-1.0))
    (cause,) = bench.finish()
    assert [key.partition("@")[0] for key in cause.results] == [
        f"{case}/{fmt}" for case in cases[::-1] for fmt in ("float32", "float16")
    ]


def test_of_inputs_as_large_the_one_with_the_fewest_keywords_stands_first() -> None:
    bench = Bench()
    for case in ("worked-example/smoothed", "worked-example/cross-entropy"):
        bench.take(asked(case), outcome(asked(case), value=-1.0))
    (cause,) = bench.finish()
    assert [key.partition("/f")[0] for key in cause.results] == [
        "worked-example/cross-entropy",
        "worked-example/smoothed",
    ]


class TestSummary:
    @staticmethod
    def add(summary: Summary, answer: Outcome, case: str = "worked-example/softmax") -> None:
        bench = Bench()
        bench.judged.summary = summary
        bench.take(asked(case), answer)

    def test_must_results_count_what_is_offered_and_not_what_was_not_declared(self) -> None:
        summary = Summary()
        self.add(summary, outcome(asked()))
        assert [*summary.must.values()] == [(2, 2)]
        self.add(summary, Declined("no weight"))
        assert [*summary.must.values()] == [(4, 2)]
        self.add(summary, Declined(NOT_DECLARED))
        assert [*summary.must.values()] == [(4, 2)]
        self.add(summary, Declined(f"jax {NO_LAYOUTS}"))
        assert [*summary.must.values()] == [(4, 2)]
        assert summary.unsupported == {"no weight": 2, NOT_DECLARED: 2, f"jax {NO_LAYOUTS}": 2}
        assert summary.judged == 2

    def test_choices_are_counted_by_clause_and_backend(self) -> None:
        summary = Summary()
        for backend, choice in (("a", "nan"), ("a", "nan"), ("a", "limit"), ("b", "limit"), ("b", "")):
            known = ("S5", "IEEE 754", "softmax", backend, "float32", "pass", "produced")
            summary.add(Result("s/x/float32@a", "value", "s/x", *known, choice=choice))
            summary.add(Result("s/x/float32@a", "gradient", "s/x", *known, choice="nan"))
        assert summary.choices == {"S5": {"a": {"nan": 2, "limit": 1}, "b": {"limit": 1}}}

    @pytest.mark.parametrize(
        ("answer", "strict", "code"),
        [
            (outcome(asked()), False, 0),
            (outcome(asked(), value=-1.0), False, 1),
            (Raised("ValueError", "no"), False, 1),
            (Declined("not here"), False, 3),
        ],
    )
    def test_the_exit_status(self, answer: Outcome, strict: bool, code: int) -> None:
        summary = Summary()
        self.add(summary, answer)
        summary.finish(frozenset(), strict_known=strict, strict_undecided=strict)
        assert summary.exit_code == code

    @pytest.mark.parametrize("verdict", [Verdict.STALE, Verdict.UNDECIDED])
    def test_stale_and_undecided_fail_where_that_is_asked_for(self, verdict: Verdict) -> None:
        summary = Summary()
        summary.counts[verdict] = 1
        strict: dict[str, Any] = {
            "strict_known": verdict is Verdict.STALE,
            "strict_undecided": verdict is not Verdict.STALE,
        }
        summary.finish(frozenset(), **strict)
        assert summary.exit_code == 1
        summary.finish(frozenset(), **{name: not asked_for for name, asked_for in strict.items()})
        assert summary.exit_code == 0

    def test_a_backend_that_had_to_be_there_is_3(self) -> None:
        summary = Summary(missing=["torch"])
        self.add(summary, outcome(asked(), value=-1.0))
        summary.finish(frozenset({"torch"}), strict_known=False, strict_undecided=False)
        assert summary.exit_code == 3
        summary.finish(frozenset({"jax"}), strict_known=False, strict_undecided=False)
        assert summary.exit_code == 1


def test_silence_says_nothing() -> None:
    question = asked()
    (finding, _) = question.findings([outcome(question)], flushed=False, threshold=Grade.LOOSE)
    assert silent(question, finding, Bench().take(question, outcome(question))[0]) is None  # type: ignore[func-returns-value]
