"""What backends can be asked: every quantity of the cases; of a compiled mode, the tagged ones."""

from __future__ import annotations

from lossparity.answers import answered, catalogue, pairs
from lossparity.known import unmatched
from lossparity.suite import built_in, load
from test_declaring import entry, record, result


def test_the_answers_of_a_record_are_told_apart_by_backend_and_verdict() -> None:
    every = {f"s/{name}/float16#value": name == "d" for name in "abcde"}
    given = {"a": "pass", "b": "known", "c": "error", "d": "unsupported"}
    results = [
        result(f"s/{name}/float16#value", verdict, backend=backend)
        for backend in ("torch.manual:cuda", "torch+compile", "jax")
        for name, verdict in given.items()
    ]
    packages = {"torch": "torch", "torch.manual": "torch", "jax": "jax"}
    made = record(*results, versions={"torch": "2.13", "torch:cuda": "2.14"})
    manual, compiled, jax = answered(made, packages, every)
    assert [(one.backend, one.version) for one in (manual, compiled, jax)] == [
        *(("torch.manual:cuda", "2.14"), ("torch+compile", "2.13"), ("jax", ""))
    ]
    assert manual.judged == {f"s/{name}/float16#value" for name in "abc"}
    assert set(manual.deviating) == {f"s/{name}/float16#value" for name in "bc"}
    assert manual.unasked == {"s/e/float16#value"} and not compiled.unasked
    assert set(manual.keys.matching("*")) == set(every)
    assert manual.concerns(entry("*", backends=("torch*cuda",), versions=">=2.14"))
    assert not manual.concerns(entry("*", backends=("torch*cuda",), versions=">=2.15"))
    assert not manual.concerns(entry("*", backends=("torch.keras",), versions=">=2.14"))


def test_the_catalogue_has_the_quantities_that_a_question_has() -> None:
    every = catalogue([case for suite in load([built_in()]) for case in suite.cases])
    assert len(every) > 500 and {key.rpartition("#")[2] for key in every} == {"value", "gradient"}
    assert any(every.values()) and not all(every.values())


def test_a_declared_device_or_mode_is_a_backend_too_and_an_unknown_name_is_none() -> None:
    every = {"s/a/float16#value": False, "s/b/float16#value": True}
    known = [
        entry("s/*", backends=("torch:cuda",), name="device"),
        entry("s/b/*", backends=("torch+compile",), name="mode"),
        entry("s/a/*", backends=("torch+compile",), name="untagged"),
        entry("s/*", backends=("trch",), name="misspelt"),
        entry("s/*", backends=("torch.m*",), name="glob"),
    ]
    asked = pairs(every, known, ["torch", "torch.manual"])
    assert [d.id for d in unmatched(known, asked)] == ["untagged", "misspelt"]
    assert len(asked) == 2 * 3 + 1
