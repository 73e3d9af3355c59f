"""What commands print: numbers that can be read back, failures with their distance, summaries with denominators."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from lossparity import console
from lossparity.formats import FORMATS
from lossparity.judged import Summary
from lossparity.model import Verdict
from lossparity.record import NotTested, Result, Worst


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_printed_number_is_read_back_as_the_same_number(fmt: str) -> None:
    drawn = np.random.RandomState(1).standard_normal(500) * 10.0 ** np.random.RandomState(2).randint(-4, 4, 500)
    for value in FORMATS[fmt].round(drawn):
        text = console.number(float(value).hex(), fmt)
        assert FORMATS[fmt].round(float(text)) == value, text


@pytest.mark.parametrize(("text", "printed"), [("inf", "inf"), ("-inf", "-inf"), ("nan", "nan"), ("-0x0.0p+0", "-0")])
def test_a_number_that_is_none_is_printed_as_it_is(text: str, printed: str) -> None:
    assert console.number(text, "float32") == printed


def result(check: str = "s/a/float32@torch", verdict: str = "fail", **more: object) -> Result:
    fields: dict[str, object] = {"ulp": 8.0, "bound_used": 1.25, "api": "torch.f", "origin": "native", **more}
    clause = ("C1", "convention", "cross_entropy")
    return Result(check, "value", "s/a", *clause, "torch", "float32", verdict, "produced", **fields)  # type: ignore[arg-type]


WORST = Worst([1, 2], (0.75).hex(), (0.5).hex(), 0.1, 0.2)


def test_a_failure_says_what_where_and_how_far() -> None:
    assert console.failure(result(worst=WORST, message="not as it should be")).splitlines() == [
        "FAIL s/a/float32@torch#value",
        "  clause C1 (convention): the smoothing mass is e/K on every class, the target's included",
        "  native: torch.f",
        "  got 0.75, exact 0.5 at [1, 2]",
        "  off by 8 ulp of binary32, 1.25 times the bound",
        "  not as it should be",
    ]


def test_a_failure_without_a_result_says_its_message_alone() -> None:
    text = console.failure(result(verdict="crash", api="", origin="", message="killed by SIGSEGV", ulp=None))
    assert text.splitlines()[0] == "CRASH s/a/float32@torch#value"
    assert text.splitlines()[2:] == ["  killed by SIGSEGV"]


def test_a_wrong_class_has_no_distance() -> None:
    worst = Worst([], math.nan.hex(), (0.5).hex(), None, None)
    text = console.failure(result(worst=worst, ulp=None, bound_used=None))
    assert "  got nan, exact 0.5" in text.splitlines()
    assert "ulp" not in text


def test_a_long_message_is_wrapped() -> None:
    text = console.failure(result(message="word " * 400))
    assert max(map(len, text.splitlines())) <= 110


def summary() -> Summary:
    return Summary(
        counts=Counter({Verdict.PASS: 3, Verdict.UNSUPPORTED: 2, Verdict.FAIL: 1}),
        origins=Counter({("native", Verdict.PASS): 3, ("native", Verdict.FAIL): 1, ("native", Verdict.UNSUPPORTED): 2}),
        weak=1,
        unsupported=Counter({"no bfloat16": 2}),
        not_tested=[NotTested("torch:cuda", "no CUDA device", 7)],
    )


def test_a_summary_shows_denominators_and_what_was_not_tested() -> None:
    assert console.summary(summary(), []).splitlines() == [
        "3 of 4 judged results pass, 1 of them weakly (grade loose)",
        "1 fail",
        "2 unsupported",
        "  native: 3 of 4 pass",
        "not offered (2): no bfloat16",
        "not tested: torch:cuda, 7 checks: no CUDA device",
    ]


def test_failures_come_first_and_are_cut_at_ten_with_their_number() -> None:
    failures = [result(f"s/{n}/float32@torch") for n in range(12)]
    text = console.summary(summary(), failures)
    assert text.startswith("FAIL s/0/float32@torch#value")
    assert text.count("FAIL ") == 10
    assert "… and 2 more in the record" in text


def test_no_progress_is_drawn_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as told:
        told(1, 2, summary())
    assert capsys.readouterr() == ("", "")


def test_known_deviations_of_a_framework_are_named_and_the_others_counted() -> None:
    summary = Summary()
    native = {"verdict": "known", "deviation": "torch/sum/inf", "message": "The sum overflows."}
    summary.add(result(**native))
    summary.add(result("s/b/float32@torch", **native))
    summary.add(result(**{**native, "deviation": "torch.manual/sum/inf", "origin": "manual"}))
    lines = console.summary(summary, []).splitlines()
    assert "known deviation torch/sum/inf (2): The sum overflows." in lines
    assert "known deviations of composed and manual implementations (1): see the page" in lines
