"""Known deviations: what they excuse, and everything near it that they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossparity.answers import catalogue, pairs
from lossparity.known import KINDS, Deviation, apply, unmatched
from lossparity.model import Verdict
from lossparity.plans import Finding
from lossparity.registry import known_deviations, registered
from lossparity.suite import built_in, load

CHECK = "suite/a/reduction=mean/float16@torch"


def deviation(
    kind: str = "nan",
    versions: str = ">=2.1,<2.3",
    backends: tuple[str, ...] = ("torch", "torch:cuda"),
    checks: tuple[str, ...] = ("suite/a/*/float16#value",),
    name: str = "torch/a",
) -> Deviation:
    return Deviation(name, backends, checks, kind, versions, "It overflows.", "https://example.org/1")


def found(verdict: Verdict = Verdict.FAIL, kind: str = "nan", quantity: str = "value") -> Finding:
    return Finding(quantity, verdict, "produced", kind, message="as the judge says")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_as_declared_is_known(kind: str) -> None:
    verdict = Verdict.ERROR if kind == "raises" else Verdict.FAIL
    finding, declared = apply(found(verdict, kind), CHECK, {"torch": "2.2.1"}, [deviation(kind)])
    assert finding.verdict is Verdict.KNOWN
    assert declared == deviation(kind)


@pytest.mark.parametrize("kind", ["inf", "zero", "finite-wrong", "shape", "format", "modified", "raises", "crash"])
def test_a_failure_of_another_kind_is_new_and_says_so(kind: str) -> None:
    finding, declared = apply(found(kind=kind), CHECK, {"torch": "2.2.1"}, [deviation("nan")])
    assert finding.verdict is Verdict.FAIL
    assert declared is None
    assert finding.message == f"torch/a declares kind nan, this is {kind}. as the judge says"


def test_of_two_declarations_the_one_of_the_same_kind_counts() -> None:
    both = [deviation("inf", name="torch/b"), deviation("nan")]
    assert apply(found(), CHECK, {"torch": "2.2.1"}, both)[1] == both[1]


@pytest.mark.parametrize(
    ("check", "quantity", "version"),
    [
        (CHECK, "gradient", "2.2.1"),
        (CHECK.replace("float16", "float32"), "value", "2.2.1"),
        (CHECK.replace("suite/a", "suite/b"), "value", "2.2.1"),
        (CHECK.replace("@torch", "@torch.manual"), "value", "2.2.1"),
        (CHECK.replace("@torch", "@torch.target"), "value", "2.2.1"),
        (CHECK, "value", "2.0.9"),
        (CHECK, "value", "2.3"),
        (CHECK, "value", ""),
        (CHECK, "value", "a build of my own"),
    ],
)
def test_what_is_not_declared_is_not_excused(check: str, quantity: str, version: str) -> None:
    finding, declared = apply(found(quantity=quantity), check, {"torch": version}, [deviation()])
    assert (finding.verdict, declared) == (Verdict.FAIL, None)


@pytest.mark.parametrize("version", ["2.1", "2.2.0+cpu", "2.2.0.dev20260101", "2.3.0rc1"])
def test_local_and_development_builds_are_within_the_range(version: str) -> None:
    inside = version != "2.3.0rc1"  # a candidate of the excluded version is of that version, not before it
    assert (apply(found(), CHECK, {"torch": version}, [deviation()])[1] is not None) == inside


@pytest.mark.parametrize(("package", "is_known"), [("", True), ("torch", True), ("keras", False), ("jax", False)])
def test_the_range_is_that_of_the_package_or_else_of_the_framework(package: str, is_known: bool) -> None:
    declared = replace(deviation(backends=("torch.keras",)), package=package)
    details = {"torch": "2.2.1", "keras": "3.15.1", "device": "x86_64"}
    finding, _ = apply(found(), f"{CHECK}.keras", details, [declared])
    assert (finding.verdict is Verdict.KNOWN) == is_known
    of_keras = replace(declared, package="keras", versions=">=3.15,<3.16")
    assert apply(found(), f"{CHECK}.keras", details, [of_keras])[1] == of_keras


def test_another_device_that_is_listed_is_covered() -> None:
    assert apply(found(), f"{CHECK}:cuda", {"torch": "2.2"}, [deviation()])[0].verdict is Verdict.KNOWN


def test_in_another_environment_the_version_tells_and_not_the_path() -> None:
    elsewhere = f"{CHECK}@/opt/a@b+c:d/bin/python"
    assert apply(found(), elsewhere, {"torch": "2.2"}, [deviation()])[0].verdict is Verdict.KNOWN
    assert apply(found(), elsewhere, {"torch": "2.3"}, [deviation()])[0].verdict is Verdict.FAIL
    assert unmatched([deviation()], [(elsewhere, "value")]) == []


@pytest.mark.parametrize(
    ("backend", "whether"),
    [("torch", True), ("torch@/some/python", True), ("torch:cuda", False), ("torch.manual", False), ("jax", False)],
)
def test_a_declaration_concerns_the_backends_of_its_globs(backend: str, whether: bool) -> None:
    assert replace(deviation(), backends=("torch",)).concerns(backend) is whether


def test_a_pass_where_a_deviation_is_declared_is_stale() -> None:
    finding, declared = apply(found(Verdict.PASS, ""), CHECK, {"torch": "2.2.1"}, [deviation()])
    assert (finding.verdict, declared) == (Verdict.STALE, deviation())
    assert finding.message == "torch/a declares kind nan for >=2.1,<2.3, but it conforms"


@pytest.mark.parametrize("version", ["2.3", "2.0"])
def test_a_pass_in_another_version_is_a_pass(version: str) -> None:
    assert apply(found(Verdict.PASS, ""), CHECK, {"torch": version}, [deviation()])[0].verdict is Verdict.PASS


@pytest.mark.parametrize("verdict", [Verdict.UNSUPPORTED, Verdict.UNDECIDED, Verdict.UNAVAILABLE])
def test_what_was_not_decided_stays_as_it_is(verdict: Verdict) -> None:
    before = found(verdict, "")
    finding, declared = apply(before, CHECK, {"torch": "2.2.1"}, [deviation()])
    assert finding is before
    assert declared is None


def test_a_declaration_that_matches_no_check_is_found() -> None:
    pairs = [(CHECK, "value"), (CHECK, "gradient")]
    wrong = [
        deviation(checks=("suite/a/*/float61#value",)),
        deviation(backends=("trch",)),
        deviation(checks=("suite/a/*/float16",)),
    ]
    assert unmatched([deviation(), *wrong], pairs) == wrong


def test_every_declared_deviation_matches_a_built_in_check() -> None:
    every = catalogue([case for suite in load([built_in()]) for case in suite.cases])
    known = known_deviations({"numpy", "torch", "tensorflow", "jax"})
    assert known, "there are some"
    assert unmatched(known, pairs(every, known, list(registered()))) == []
