"""The commands that repeat a check: they name the check as `lossparity show` wants it, with what it has to be told."""

from __future__ import annotations

from typing import Any

import pytest

import record_factory as factory
from lossparity.record import Environment, Record, Result
from lossparity_reports.commands import Commands


def result(backend: str = "torch", **changes: Any) -> Result:
    base = {
        "check": f"s/c1/float32@{backend}",
        "quantity": "value",
        "case": "s/c1",
        "clause": "S1",
        "basis": "mathematics",
        "operation": "softmax",
        "backend": backend,
        "format": "float32",
        "verdict": "fail",
        "outcome": "produced",
        "origin": "native",
    }
    return Result(**{**base, **changes})


def record(command: str, *results: Result) -> Record:
    made = factory.empty()
    made.header = type(made.header)(1, "0", "hash", "now", command, "loose")
    made.results = list(results)
    return made


def test_a_check_is_shown_again_and_written_as_a_script_of_the_quantity() -> None:
    commands = Commands.of(record("lossparity run", result()))
    assert commands.again(result()) == "lossparity show s/c1/float32@torch"
    assert commands.script(result()) == "lossparity show 's/c1/float32@torch#value' --script"


def test_what_a_shell_would_read_otherwise_is_quoted() -> None:
    hostile = result(check="$(rm) `x`/float32@torch", case="$(rm) `x`")
    assert Commands().again(hostile) == "lossparity show '$(rm) `x`/float32@torch'"


def test_of_a_compiled_call_there_is_no_script() -> None:
    assert Commands().script(result("torch+compile")) == ""
    assert Commands().again(result("torch+compile")) == "lossparity show s/c1/float32@torch+compile"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("lossparity run -b torch", ""),
        ("lossparity run --cases 'my cases' --cases=b.yaml -o out", "--cases 'my cases' --cases b.yaml"),
        ("pytest --pyargs lossparity.conformance --lossparity-cases mine.yaml", "--cases mine.yaml"),
        ("lossparity check m.py:f --map x=logits --returns 0 --inplace-ok", "--map x=logits --returns 0 --inplace-ok"),
        ("lossparity run --cases a; lossparity run --cases b; lossparity run --cases a", "--cases a --cases b"),
        ("lossparity run --cases", ""),
        ("a quote ' that is not closed --cases a", ""),
    ],
)
def test_what_the_run_was_told_that_finding_a_check_takes_is_told_again(command: str, options: str) -> None:
    commands = Commands.of(record(command))
    assert commands.options == options
    said = f"lossparity show s/c1/float32@torch {options}".rstrip()
    assert commands.again(result()) == said


def test_a_function_is_named_by_its_file_also_where_it_crashed_and_where_pytest_calls_it_otherwise() -> None:
    named = result("numpy.test_loss.softmax", origin="target", api="tests/test_loss.py:softmax")
    crashed = result("numpy.test_loss.softmax", verdict="crash", outcome="crashed", origin="", api="")
    commands = Commands.of(record("pytest", named, crashed))
    expected = "lossparity show s/c1/float32@numpy.target --target tests/test_loss.py:softmax"
    assert commands.again(named) == commands.again(crashed) == expected
    assert commands.script(named) == (
        "lossparity show 's/c1/float32@numpy.target#value' --target tests/test_loss.py:softmax --script"
    )


def test_where_versions_stand_side_by_side_a_command_names_the_interpreter_or_none() -> None:
    plain, away = result("tensorflow.keras@2.15.1,keras-2.15.0"), result("torch@2.13.0")
    path = result("jax@old/bin/python")
    made = record("lossparity run", plain, away, path)
    made.environments = [
        Environment("tensorflow@2.15.1,keras-2.15.0", True, {"tensorflow": "2.15.1"}),
        Environment("torch@2.13.0", True, {"torch": "2.13.0", "interpreter": "/old/bin/python"}),
        Environment("jax@old/bin/python", True, {"jax": "0.4.30", "interpreter": "/here/old/bin/python"}),
    ]
    commands = Commands.of(made)
    assert commands.again(plain) == "lossparity show s/c1/float32@tensorflow.keras"
    assert commands.again(away) == "lossparity show s/c1/float32@torch@/old/bin/python"
    assert commands.again(path) == "lossparity show s/c1/float32@jax@old/bin/python"


@pytest.mark.parametrize("given", ["--convention smoothing=K-1", "--convention=smoothing=K-1"])
def test_under_another_convention_there_is_no_script_and_the_page_says_which(given: str) -> None:
    commands = Commands.of(record(f"lossparity check loss.py:f {given} --format float32"))
    assert commands.convention == "smoothing=K-1"
    assert commands.script(result()) == ""
    assert Commands.of(record("lossparity run")).convention == ""


def test_a_pickled_function_is_called_from_a_program() -> None:
    pickled = result("numpy.target", origin="target", api="pickle:/tmp/x/function.pickle")
    commands = Commands.of(record("lossparity.check", pickled))
    assert commands.again(pickled) == "lossparity.check(…, case='s/c1', format='float32')"
    assert commands.script(pickled) == ""
