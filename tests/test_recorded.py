"""The scripts that a record holds: whose they are, that they run as they are, and why there is none."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest

from lossparity.checking import Wanted, plan
from lossparity.formats import Array
from lossparity.known import Deviation
from lossparity.model import Backend, Grade, Produced, Verdict
from lossparity.plans import EXACT, Question
from lossparity.record import Cause, Result, Script, Writer, read
from lossparity.reference.conventions import convention
from lossparity.reproducing import recorded
from lossparity.reproducing.recorded import LONGEST, MOST, Recorded, fewest
from lossparity.runner import Run, run
from lossparity.suite import built_in, load, select
from lossparity.target import Target
from lossparity.workers import Worker, WorkerStopped
from lossparity_backends.on_numpy import Numpy
from lossparity_reports import html

NUMPY = Backend("numpy")
WRITTEN: dict[str, Any] = {
    "phrases": asdict(Numpy("cpu").phrases),
    "imports": [],
    "code": [],
    "call": "np.negative(logits)",
    "function": "np.negative",
    "arguments": "",
    "api": "np.negative",
    "origin": "native",
}
WRONG = """
import numpy as np

def softmax(logits):
    shifted = logits {minus}
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)
"""
SHIFT = "- logits.max(axis=1, keepdims=True)"


def asked(case: str = "worked-example/softmax", fmt: str = "float32", **changes: Any) -> Question:
    (found,) = select([case for one in load([built_in()]) for case in one.cases], [case])
    return Question(found, fmt, **changes)


class Child:
    """A worker that says how a call is written, or refuses to."""

    def __init__(self, refused: str = "", **changes: Any) -> None:
        self.refused, self.answer = refused, {**WRITTEN, **changes}
        self.details: dict[str, str] = {}

    def written(self, _request: object) -> dict[str, Any]:
        if self.refused:
            raise WorkerStopped(self.refused)
        return self.answer


def keep(
    kept: Recorded,
    question: Question,
    *,
    backend: Backend = NUMPY,
    child: Child | None = None,
    by: float = -1.0,
    threshold: Grade = Grade.LOOSE,
    known: str = "",
    size: int = 0,
) -> str:
    """Keep the value of a result that is `by` times what is right, known where an id is given; return its key."""
    value = Array.of(question.answer(EXACT, "value").whole() * by, question.format)
    found = question.findings([Produced(value, value, "f", "native", True)], flushed=False, threshold=threshold)[0]
    verdict = Verdict.KNOWN if known else found.verdict
    finding = replace(found, verdict=verdict)
    check = question.check_id(backend)
    line = Result(
        *(check, "value", question.case.id, "S1", "mathematics", "softmax", str(backend), question.format),
        verdict=verdict.value,
        outcome="produced",
        origin="native",
        deviation=known,
    )
    kept.keep(question, backend, cast(Worker, child or Child()), finding, line, (size,))
    return line.key


def executed(text: str, folder: Path) -> int:
    (folder / "reproduce.py").write_text(text)
    return subprocess.run([sys.executable, "-I", folder / "reproduce.py"], capture_output=True, check=False).returncode


def on_the_page(path: Path) -> list[dict[str, str]]:
    found = re.search(r'id="payload">([^<]*)<', html.render(read(path)))
    assert found
    scripts: list[dict[str, str]] = json.loads(gzip.decompress(base64.b64decode(found[1])))["scripts"]
    return scripts


def test_the_script_of_every_cause_is_on_the_page_and_exits_with_1_until_the_function_is_mended(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(WRONG.format(minus=""))
    cases = select([case for one in load([built_in()]) for case in one.cases], ["softmax/o*", "softmax/t*"])
    planned = plan(Wanted(Target(f"{tmp_path / 'mine.py'}:softmax", "softmax"), cases))
    with Writer(tmp_path / "run.jsonl") as writer:
        summary = run(planned, writer, lambda *_: None)
    failing = [cause for cause in summary.causes if cause.failing]
    scripts = on_the_page(tmp_path / "run.jsonl")
    assert [one["of"] for one in scripts] == [cause.id for cause in failing] and "not-shifted" in scripts[0]["of"]
    assert f"{scripts[0]['check']}#{scripts[0]['quantity']}" == failing[0].results[0]
    assert [executed(one["text"], tmp_path) for one in scripts] == [1] * len(failing)
    (tmp_path / "mine.py").write_text(WRONG.format(minus=SHIFT))
    assert executed(scripts[0]["text"], tmp_path) == 0


def test_known_deviations_have_scripts_that_exit_with_1(tmp_path: Path) -> None:
    cases = select([case for one in load([built_in()]) for case in one.cases], ["half-precision/exp-overflow"])
    declared = Deviation(
        "by-hand/nan", ("numpy.manual",), ("half-precision/exp-overflow/*",), "nan", ">=1", "it is not shifted"
    )
    planned = Run([NUMPY, Backend("numpy", "manual")], cases, ["float32"], known=[declared])
    with Writer(tmp_path / "run.jsonl") as writer:
        run(planned, writer, lambda *_: None)
    (one,) = read(tmp_path / "run.jsonl").scripts
    assert (one.of, one.backend, one.why) == ("by-hand/nan", "numpy.manual", "")
    assert executed(one.text, tmp_path) == 1


def test_it_is_the_script_of_the_simplest_result_alone() -> None:
    kept, question = Recorded(), asked()
    first, other = keep(kept, question), keep(kept, asked(fmt="float64"))
    (one,) = kept.scripts([Cause("negated", "", [first, other]), Cause("weak", "", [other], failing=False)])
    assert (one.key, one.of, one.why) == (first, "negated", "")
    assert "np.float32" in one.text and "gradient" not in one.text


def test_of_a_known_deviation_the_simplest_is_kept_on_each_backend() -> None:
    kept, other = Recorded(), Backend("numpy", "manual")
    for size, fmt in ((3, "float64"), (1, "float32"), (2, "float16")):
        keep(kept, asked(fmt=fmt), known="declared", size=size)
    keep(kept, asked(fmt="bfloat16"), backend=other, known="declared")
    assert [(one.backend, one.key.split("/")[2]) for one in kept.scripts([])] == [
        ("numpy", "float32@numpy#value"),
        ("numpy.manual", "bfloat16@numpy.manual#value"),
    ]


def test_another_result_of_the_cause_is_written_where_the_simplest_cannot_be() -> None:
    kept = Recorded()
    first = keep(kept, asked(), child=Child("no source"))
    second = keep(kept, asked(fmt="float64"))
    (one,) = kept.scripts([Cause("negated", "", [first, second])])
    assert (one.key, bool(one.text)) == (second, True)


@pytest.mark.parametrize(
    ("changes", "kept", "why"),
    [
        ({"backend": Backend("numpy", mode="fast")}, {}, "the call is compiled"),
        ({"child": Child("a pickled function")}, {}, "a pickled function"),
        ({"by": 1 + 2e-7, "threshold": Grade.EXACT}, {}, "its grade is"),
        ({}, {"convention": convention("axis=last")}, "another convention"),
        ({"child": Child(code=["#" * LONGEST])}, {}, "32,768 of one at most"),
    ],
)
def test_where_there_is_none_the_record_says_why(changes: dict[str, Any], kept: dict[str, Any], why: str) -> None:
    all_of_it = Recorded()
    key = keep(all_of_it, asked(**kept), **changes)
    (one,) = all_of_it.scripts([Cause("negated", "", [key])])
    assert (one.key, one.text) == (key, "") and why in one.why


def test_what_is_more_than_a_plain_call_says_so() -> None:
    kept = Recorded()
    key = keep(kept, asked("layouts/softmax/layout=strided"))
    (one,) = kept.scripts([Cause("negated", "", [key])])
    assert (one.text, one.why) == ("", "the inputs are arranged before the call: that is not written as a script")


def test_a_run_does_not_wait_for_scripts_of_large_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, question = Recorded(), asked()
    keys = [keep(kept, asked(fmt=fmt)) for fmt in ("float32", "float64", "float16")]
    monkeypatch.setattr(recorded, "_ELEMENTS", 2 * question.first.data.size)
    found = kept.scripts([Cause(f"cause {key}", "", [key]) for key in keys])
    assert [bool(one.text) for one in found] == [True, True, False]
    assert "takes longer than a run waits for" in found[2].why


def test_there_are_so_many_at_most_and_failures_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MOST", 2)
    kept = Recorded()
    keep(kept, asked(fmt="float64"), known="declared")
    keys = [keep(kept, asked(fmt=fmt)) for fmt in ("float32", "float16", "bfloat16")]
    found = kept.scripts([Cause(f"cause {key}", "", [key]) for key in keys])
    assert [one.of for one in found] == [f"cause {key}" for key in keys[:2]]


def test_of_several_runs_one_is_kept_whatever_their_order() -> None:
    causes = [Cause("bug", "", [])]
    given = [
        Script("a/float32@torch", "value", "bug", why="several calls are compared"),
        Script("long/float32@torch", "value", "bug", "print(1)"),
        Script("longer/float32@torch", "value", "bug", "print(2)"),
        Script("a/float32@jax", "value", "bug", "print(3)"),
        Script("b/float32@jax", "value", "a known one", "print(4)"),
    ]
    expected = [given[3], given[1], given[4]]
    for seed in range(20):
        random.Random(seed).shuffle(given)
        assert fewest(given, causes) == expected
    many = [Script(f"{n}/float32@torch", "value", f"cause {n}", "print()") for n in range(2 * MOST)]
    assert len(fewest([*many, *given], causes)) == MOST
    assert fewest([*many, *given], causes)[:2] == expected[:2]
