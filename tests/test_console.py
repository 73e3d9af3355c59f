"""What commands print: numbers that can be read back, failures with their distance, summaries with denominators."""

from __future__ import annotations

import math
from collections import Counter

import click
import numpy as np
import pytest

from lossparity import console
from lossparity.formats import FORMATS
from lossparity.judged import Summary
from lossparity.model import Verdict
from lossparity.plans import Question
from lossparity.record import Cause, NotTested, Result, Worst
from lossparity.suite import built_in, load


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
    assert click.unstyle(console.failure(result(worst=WORST, message="not as it should be"))).splitlines() == [
        "FAIL s/a/float32@torch#value",
        "  clause C1 (convention): the smoothing mass is e/K on every class, the target's included",
        "  native: torch.f",
        "  got 0.75, exact 0.5 at [1, 2]",
        "  off by 8 ulp of binary32, 1.25 times the bound",
        "  not as it should be",
    ]


def test_a_failure_without_a_result_says_its_message_alone() -> None:
    text = console.failure(result(verdict="crash", api="", origin="", message="killed by SIGSEGV", ulp=None))
    assert click.unstyle(text).splitlines()[0] == "CRASH s/a/float32@torch#value"
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
    assert console.summary(summary()).splitlines() == [
        "3 of 4 judged results pass, 1 of them weakly (grade loose)",
        "1 fail",
        "2 unsupported",
        "  native: 3 of 4 pass",
        "not offered (2): no bfloat16",
        "not tested: torch:cuda, 7 checks: no CUDA device",
    ]


def failing(*causes: Cause) -> Summary:
    """A summary of causes, each of one result; a stale one beside them."""
    found = summary()
    found.failures = [result(key.partition("#")[0]) for cause in causes for key in cause.results]
    found.causes = list(causes)
    return found


MISTAKE = Cause("not-shifted", "exp overflows", ["s/0/float32@torch#value"], ulp=0.25, convention="base=2", shared=True)


def test_a_cause_shows_its_name_its_simplest_result_and_what_to_do() -> None:
    text = click.unstyle(console.summary(failing(MISTAKE), advice=lambda r: (f"again: {r.check}",)))
    assert text.splitlines()[:11] == [
        "1. not-shifted, 1 result",
        "   exp overflows",
        "   the framework's own function fails there too",
        "   FAIL s/0/float32@torch#value",
        "     clause C1 (convention): the smoothing mass is e/K on every class, the target's included",
        "     native: torch.f",
        "     explained to 0.25 ulp",
        "     again: s/0/float32@torch",
        "     intended? judge by it: --convention base=2",
        "",
        "3 of 4 judged results pass, 1 of them weakly (grade loose)",
    ]


def test_small_inputs_are_printed_and_large_ones_described() -> None:
    case = next(c for s in load([built_in()]) for c in s.cases if c.id == "worked-example/nll-loss")
    text = console.summary(failing(MISTAKE), inputs={MISTAKE.results[0]: Question(case, "float32")})
    assert "inputs: log_probs [[" in " ".join(text.split())
    assert "reduction=mean" in text
    wide = next(c for s in load([built_in()]) for c in s.cases if c.id == "large-vocabulary/softmax")
    text = console.summary(failing(MISTAKE), inputs={MISTAKE.results[0]: Question(wide, "float16")})
    assert "inputs: logits float16[" in text


def test_causes_are_cut_at_ten_with_their_number() -> None:
    causes = [Cause(f"cause-{n}", "", [f"s/{n}/float32@torch#value"]) for n in range(12)]
    text = click.unstyle(console.summary(failing(*causes)))
    assert text.startswith("1. cause-0, 1 result")
    assert text.count("FAIL ") == 10
    assert "… and 2 more causes in the record" in text


def test_a_weak_cause_is_counted_and_not_listed_as_a_failure() -> None:
    found = summary()
    found.causes = [Cause("weak", "within the loose bound only", ["s/1/float16@torch#value"] * 3, failing=False)]
    text = console.summary(found)
    assert "within the loose bound only: 3, the simplest s/1/float16@torch#value" in text
    assert "FAIL" not in text


def test_stale_results_have_no_cause_and_are_listed() -> None:
    found = summary()
    found.failures = [result(verdict="stale", message="it conforms")]
    assert "STALE s/a/float32@torch#value" in click.unstyle(console.summary(found))


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_prose_is_wrapped_to_the_terminal_and_names_are_not_broken(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    name = "a/very/long/name/of/a/check/that/nobody/could/copy/if/it/was/broken/float32@torch"
    text = click.unstyle(console.failure(result(name, message="word " * 50)))
    assert name in text
    assert max(len(line) for line in text.splitlines() if name not in line) <= min(columns, 110)


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
    lines = console.summary(summary).splitlines()
    assert "known deviation torch/sum/inf (2): The sum overflows." in lines
    assert "known deviations of composed and manual implementations (1): see the page" in lines


def choosing(**chosen: dict[str, dict[str, int]]) -> list[str]:
    found = summary()
    found.choices = {
        clause: {name: Counter(choices) for name, choices in by_backend.items()}
        for clause, by_backend in chosen.items()
    }
    found.unsupported, found.not_tested = Counter(), []
    text = console.summary(found)
    return " ".join(text[text.index("choices: ") :].split()).removeprefix("choices: ").split("; ")


def test_choices_say_who_did_what_by_clause() -> None:
    nan, limit = {"nan": 4}, {"limit": 4}
    assert choosing(
        S5={"torch": nan, "numpy": limit, "jax": nan},
        S6={"torch": nan, "numpy": nan, "jax": nan},
        N4={"torch": {"raises": 8}, "jax": {"nan": 2, "clamped": 6}},
    ) == [
        "N4 raises (torch), clamped 6 and nan 2 (jax)",
        "S5 nan (torch, jax), limit (numpy)",
        "S6 nan (all)",
    ]


def test_the_choices_of_one_backend_need_no_name() -> None:
    assert choosing(S5={"torch": {"nan": 1}}, N4={"torch": {"nan": 1, "raises": 2}}) == [
        "N4 nan 1 and raises 2",
        "S5 nan",
    ]


def test_nothing_is_said_of_choices_where_there_are_none() -> None:
    assert "choices" not in console.summary(summary())
