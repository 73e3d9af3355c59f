"""`import lossparity`: functions of every form are sent to a child and judged, and what cannot be is told why."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossparity
from lossparity import record
from lossparity.checking import Checked
from lossparity.errors import LossparityError, UnavailableError, UsageError

Tensor = np.ndarray[Any, Any]
ONE: dict[str, Any] = {
    "operation": "softmax",
    "case": "worked-example/softmax",
    "format": "float64",
    "min_coverage": 0.5,
}


def softmax(logits: Tensor) -> Tensor:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def backward(logits: Tensor, upstream: Tensor) -> Tensor:
    p = softmax(logits)
    return np.asarray(p * (upstream - (p * upstream).sum(axis=1, keepdims=True)))


def turned(logits: Tensor) -> Tensor:
    return -softmax(logits)


class Whole:
    """An instance that is called, and has its gradient with it."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, logits: Tensor) -> Tensor:
        return softmax(logits) * self.scale

    def gradient(self, logits: Tensor, upstream: Tensor) -> Tensor:
        return backward(logits, upstream * self.scale)


def scaled(scale: float, logits: Tensor) -> Tensor:
    return softmax(logits) * scale


def closure(scale: float) -> Callable[[Tensor], Tensor]:
    def inside(logits: Tensor) -> Tensor:
        return softmax(logits) * scale

    return inside


def check(function: Callable[..., Any] | str, **more: Any) -> Checked:
    return lossparity.check(function, **{**ONE, **more})


FORMS: dict[str, Callable[[float], Callable[..., Any]]] = {
    "a function of a module": lambda scale: softmax if scale == 1 else turned,
    "a closure": closure,
    "a lambda": lambda scale: lambda logits: softmax(logits) * scale,
    "a partial": lambda scale: functools.partial(scaled, scale),
    "an instance": Whole,
    "a method": lambda scale: Whole(scale).__call__,
}


@pytest.mark.parametrize("made", FORMS.values(), ids=FORMS)
def test_a_function_of_any_form_is_judged(made: Callable[[float], Callable[..., Any]]) -> None:
    """Right with the scale 1, and wrong with -1: what it holds is sent along."""
    right, wrong = check(made(1.0)), check(made(-1.0))
    assert right.conforms, str(right)
    assert not wrong.conforms
    assert wrong.summary.causes[0].id == "negated"
    assert set(wrong.failures) >= {"worked-example/softmax/float64@numpy.target#value"}


def test_the_gradient_of_an_instance_is_judged_with_it() -> None:
    assert check(Whole(1.0), min_coverage=1).summary.judged == 2
    assert check(softmax).summary.judged == 1


def test_a_module_is_found_by_the_child_where_the_caller_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "import numpy as np\n\ndef softmax(logits):\n    e = np.exp(logits)\n    return e / e.sum(1, keepdims=True)\n"
    )
    (tmp_path / "found_by_path.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert check(importlib.import_module("found_by_path").softmax).conforms


def test_a_text_names_a_function_as_the_command_does(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def softmax(logits):\n    return logits\n", encoding="utf-8")
    found = check(f"{tmp_path}/mine.py:softmax")
    assert not found.conforms
    assert f"again: lossparity check {tmp_path}/mine.py:softmax" in str(found)


def test_a_function_at_hand_is_repeated_by_the_same_call() -> None:
    found = str(check(turned))
    assert "again: lossparity.check(…, case='worked-example/softmax', format='float64')" in found
    assert "script:" not in found
    assert "\x1b[" not in found
    assert "target: 0 of 1 pass" in found


def test_the_process_of_the_caller_never_calls_the_function() -> None:
    called = []

    def counted(logits: Tensor) -> Tensor:
        called.append(1)
        return softmax(logits)

    assert check(counted).conforms
    assert called == []


class TestOptions:
    def test_paths_and_texts_stand_for_lists_of_one(self, tmp_path: Path) -> None:
        suite = tmp_path / "mine.yaml"
        suite.write_text(
            "suite: mine\nabout: My own.\ncases:\n  - {id: a, clause: S1, operation: softmax, "
            "formats: [float64, float32], gradient: false, logits: [[1, 2]]}\n",
            encoding="utf-8",
        )
        found = lossparity.check(turned, "softmax", cases=suite, format="fp32")
        assert set(found.failures) == {"mine/a/float32@numpy.target#value"}
        both = lossparity.check(turned, "softmax", cases=[str(suite)], case=["mine/*"], format=["fp32", "float64"])
        assert len(both.failures) == 2

    def test_names_and_what_is_returned_are_told(self) -> None:
        def other(scores: Tensor) -> tuple[None, Tensor]:
            return None, softmax(scores)

        assert check(other, map={"logits": "scores"}, returns=1).conforms
        assert not check(other, map={"logits": "scores"}).conforms

    def test_a_convention_is_judged_by(self) -> None:
        def last(logits: Tensor) -> Tensor:
            e = np.exp(logits - logits.max(axis=-1, keepdims=True))
            return np.asarray(e / e.sum(axis=-1, keepdims=True))

        assert check(last, case="softmax/images", convention="axis=last").conforms
        assert not check(last, case="softmax/images").conforms

    def test_a_record_and_the_inputs_are_kept_where_asked(self, tmp_path: Path) -> None:
        check(turned, record=tmp_path / "r.jsonl", dump=tmp_path / "out")
        kept = record.read(tmp_path / "r.jsonl")
        assert kept.complete
        assert kept.header.command == "lossparity.check"
        assert [line.verdict for line in kept.results] == ["fail", "unsupported"]
        assert len(list((tmp_path / "out").iterdir())) == 1

    def test_a_better_grade_may_be_asked_for(self) -> None:
        def off(logits: Tensor) -> Tensor:
            return np.nextafter(softmax(logits), 1)

        assert check(off).conforms
        found = check(off, min_grade="exact")
        assert not found.conforms
        assert found.summary.causes[0].id == "below-min-grade"

    def test_nothing_is_kept_of_the_references_without_the_cache(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path / "cache"))
        check(softmax, cache=False)
        kept = {path.name for path in (tmp_path / "cache").iterdir()} if (tmp_path / "cache").exists() else set()
        assert kept <= {"last-failed"}


class TestAssertConforms:
    def test_what_conforms_raises_nothing(self) -> None:
        lossparity.assert_conforms(Whole(1.0), **ONE)

    def test_what_does_not_raises_with_its_causes(self) -> None:
        with pytest.raises(AssertionError) as raised:
            lossparity.assert_conforms(turned, **ONE)
        said = str(raised.value)
        assert said.startswith("softmax does not conform\n\n1. negated, 1 result\n")
        assert "got -0.2" in said

    def test_too_little_coverage_raises_too(self) -> None:
        with pytest.raises(AssertionError, match="only 1 of 2 must-results could be judged"):
            lossparity.assert_conforms(softmax, **{**ONE, "min_coverage": 0.8})


class TestRefused:
    def test_what_cannot_be_pickled(self) -> None:
        lock = threading.Lock()

        def locked(logits: Tensor) -> Tensor:
            with lock:
                return softmax(logits)

        with pytest.raises(UsageError, match="cannot be sent to another process: TypeError: cannot pickle") as raised:
            check(locked)
        assert "at the top of a module" in raised.value.hint

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"format": "fp31"}, "unknown format 'fp31'"),
            ({"format": "float16", "case": "half-precision/exp-*", "min_grade": "good"}, "unknown grade 'good'"),
            ({"operation": "sofmax"}, "unknown operation 'sofmax'"),
            ({"framework": "pytorch"}, "unknown framework 'pytorch'"),
            ({"case": "worked-example/sofmax"}, "no case matches"),
            ({"convention": "axis=second"}, "axis is not 'second' anywhere"),
            ({"supports": ["flaot32"]}, "unknown word"),
            ({"map": {"logit": "x"}}, "unknown argument 'logit' of softmax"),
            ({"map": {"logits": "x"}}, "has no parameter that --map logits=x names"),
            ({"mode": "compiled"}, "numpy has no compiler"),
        ],
    )
    def test_what_is_not_understood(self, more: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            check(softmax, **more)

    def test_a_device_that_is_absent(self) -> None:
        with pytest.raises(UnavailableError, match="NumPy has no device 'cuda'"):
            check(softmax, device="cuda")

    @pytest.mark.parametrize("function", [Whole, 3])
    def test_what_is_no_function(self, function: Any) -> None:
        with pytest.raises(LossparityError, match=r"is a class|is not callable"):
            check(function)

    def test_a_call_in_the_module_of_the_function_itself(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The child imports the module, and would start a child of its own."""
        call = "lossparity.check(mine, 'softmax', case='worked-example/softmax', format='float64', min_coverage=0)"
        text = f"import lossparity\n\ndef mine(logits):\n    return logits\n\nfound = {call}\n"
        (tmp_path / "calling.py").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(UsageError, match="is called while the function's own module is imported in a child"):
            importlib.import_module("calling")
        guarded = text.replace("found = ", "if __name__ == '__main__':\n    found = ") + "    print(found)\n"
        (tmp_path / "guarded.py").write_text(guarded, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "guarded.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
        )
        assert "target: 0 of 1 pass" in done.stdout, done.stderr


def test_what_is_exported_is_loaded_on_first_use() -> None:
    import lossparity.api
    import lossparity.conforming
    import lossparity.explaining

    assert set(lossparity.__all__) == {"assert_conforms", "check", "conforms", "explain"}
    assert lossparity.check is lossparity.api.check
    assert lossparity.assert_conforms is lossparity.api.assert_conforms
    assert lossparity.conforms is lossparity.conforming.conforms
    assert lossparity.explain is lossparity.explaining.explain
    with pytest.raises(AttributeError, match="has no attribute 'chek'"):
        _ = lossparity.chek
    program = "import sys, lossparity; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_explain_names_the_convention_of_a_number() -> None:
    found = lossparity.explain([[1.0, 2.0, 3.0]], [2], 0.4076059644443803)
    assert found.complete
