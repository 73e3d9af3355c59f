"""A stranger's adapter that breaks the protocol is reported under its own name, and harms nobody else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import unruly
from lossparity.record import NotTested, Result
from test_registry import distribution
from test_runner import RIGHT, Ran, case, ran

# Each adapter needs the name of a framework: a module that can be imported. Those of the standard library are there.
FREE = [name for name in sorted(sys.stdlib_module_names) if re.fullmatch(r"[a-z]{4,}", name)]
NAMES = {
    cls: FREE[at]
    for at, cls in enumerate(
        one for one in vars(unruly).values() if isinstance(one, type) and issubclass(one, unruly.Right)
    )
}
NOT_THERE = {"no_import": FREE[-1], "leaves": FREE[-2]}


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run of NumPy and all of the unruly beside each other, some of whom cannot even be imported."""
    folder = tmp_path_factory.mktemp("unruly")
    points = [f"{name} = unruly:{cls.__name__}" for cls, name in NAMES.items()]
    points += [f"{name} = {module}:Adapter" for module, name in NOT_THERE.items()]
    distribution(folder, "\n".join(points))
    (folder / "no_import.py").write_text("import no_such_library\n")
    (folder / "leaves.py").write_text("raise SystemExit(0)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", ":".join([str(folder), str(Path(__file__).parent)]))
        backends = ("numpy", *NAMES.values(), *NOT_THERE.values(), "numpy.manual")
        return ran(folder, [case("one", RIGHT), case("two", 2, gradient=True)], backends)


def of(run: Ran, name: str) -> list[Result]:
    return [one for one in run.record.results if one.backend == name]


def test_they_harm_nobody_else(beside: Ran) -> None:
    for name in ("numpy", "numpy.manual"):
        assert [one.verdict for one in of(beside, name)] == ["pass", "pass", "pass"]
    assert [one.verdict for one in of(beside, NAMES[unruly.Right])] == ["pass", "pass", "unsupported"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (NOT_THERE["no_import"], "ModuleNotFoundError: No module named 'no_such_library'"),
        (NOT_THERE["leaves"], "SystemExit"),
        (NAMES[unruly.FailsWhenMade], "Mute"),
        (NAMES[unruly.DescribesNothing], "TypeError"),
    ],
)
def test_who_does_not_start_is_not_tested_and_why_is_said(beside: Ran, name: str, reason: str) -> None:
    assert of(beside, name) == []
    (left,) = (one for one in beside.summary.not_tested if one.what == name)
    assert reason in left.reason
    assert left == NotTested(name, left.reason, 2)
    assert beside.summary.exit_code == 3


@pytest.mark.parametrize(
    ("cls", "verdict", "said"),
    [
        (unruly.OffersWhatItHasNot, "error", "TypeError: .*missing 1 required positional argument"),
        (unruly.AcceptsWithAnError, "error", "KeyError: 'which call\\?'"),
        (unruly.ChangesTheInputs, "fail", "the inputs were modified"),
        (unruly.ReturnsItsInput, "fail", ""),
        (unruly.ReturnsBareNumbers, "error", "TypeError: .*ndarray.*is no Array"),
        (unruly.ReturnsNarrower, "fail", "format float32 instead of float64"),
        (unruly.ReturnsIntegers, "fail", "format int64 instead of float64"),
        (unruly.ReturnsOtherBytes, "error", "TypeError: float64 is stored as <f8, not >f4"),
        (unruly.ReturnsComplex, "error", "TypeError: .*complex128"),
        (unruly.ReturnsNothing, "error", "TypeError: cannot unpack"),
        (unruly.Lacks, "error", "TypeError: .*NoneType"),
        (unruly.Refuses, "unsupported", r"float64"),
    ],
)
def test_what_each_does_wrong_is_said_of_it(beside: Ran, cls: type, verdict: str, said: str) -> None:
    values = [one for one in of(beside, NAMES[cls]) if one.quantity == "value"]
    assert [one.verdict for one in values] == [verdict] * 2
    for one in values:
        assert re.search(said, one.message), one.message
        assert len(one.message) <= 2100


def test_descriptions_are_text_whatever_they_were(beside: Ran) -> None:
    (its,) = (one for one in beside.record.environments if one.name == NAMES[unruly.DescribesInNumbers])
    assert its.available
    assert its.details["version"] == "7"
    assert [one.verdict for one in of(beside, its.name)][:2] == ["pass", "pass"]


def test_results_that_share_memory_are_judged_as_they_were_returned(beside: Ran) -> None:
    assert [one.verdict for one in of(beside, NAMES[unruly.ReturnsOneArray])][:2] == ["pass", "pass"]
