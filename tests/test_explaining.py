"""Numbers of every convention are explained by it; known facts; and what nothing explains is said to be so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import lossparity
import oracle
from enclosed import question
from lossparity.cli import main
from lossparity.errors import UsageError
from lossparity.explaining import explain, givens
from lossparity.explaining.explanations import Explained, Explanation
from lossparity.reference import Problem
from lossparity.reference.conventions import CONVENTIONS, SPEC, Convention
from test_conventions import Oracle

ROWS = [[1, 2, 3], [1, 2, 3]]
VALUES = {
    field: [name for name in choices if (field, name) != ("mean", "sum")]
    for field, choices in CONVENTIONS.items()
    if field not in ("gradient", "axis")
}


def named(found: Explanation) -> list[set[str]]:
    """Return reduction and departures of everything that explains a number, as sets of words."""
    texts = [text for m in found.matches for text in (f"{m.reduction}, {m.convention}", *m.alike)]
    return [{word for word in text.replace(" ", "").split(",") if word} for text in texts]


def only(found: Explained) -> list[str]:
    """Return the convention of the first match of each number."""
    return [one.matches[0].convention for one in found.explanations]


@pytest.mark.parametrize(
    ("number", "convention"),
    [("0.724438", ""), ("0.761938", "smoothing=K-1"), ("0.298226", "smoothing=K-1,entropy=subtracted")],
)
def test_the_three_smoothings_are_told_apart(number: str, convention: str) -> None:
    found = explain([[2, 1, 0, -1, 0.5]], [0], number, label_smoothing=0.1)
    assert only(found) == [convention]
    (match, *_) = found.explanations[0].matches
    assert match.departures == (0 if convention == "" else 1)
    assert match.all_digits and match.digits == 6


def test_weights_and_smoothing_of_torch_and_paddle_are_told_apart() -> None:
    found = explain(
        ROWS, [0, 2], "0.81822", "0.91834", [2.3953, 1.6958], [2.6153, 1.9458], weight=[1, 2, 4], label_smoothing=0.1
    )
    assert only(found) == ["", "weights=averaged", "", "weights=averaged"]
    assert [one.matches[0].reduction for one in found.explanations] == ["mean", "mean", "none", "none"]
    assert "Paddle" in found.explanations[1].matches[0].users
    assert found.complete


def test_a_row_that_is_ignored_but_counted_is_named_with_its_ratio() -> None:
    found = explain(np.array(ROWS, np.float32), np.array([0, -100]), "2.40760596", "1.20380298")
    assert only(found) == ["", "mean=all"]
    assert found.explanations[0].matches[0].alike == ("sum",), "one position: the mean and the sum are the same"
    (apart,) = found.separations
    assert apart.ratio == pytest.approx(2, rel=1e-8)
    assert "the same sum: the first divides it by 1, the second by 2" in apart.reasons


@pytest.mark.parametrize(
    ("number", "convention", "reduction"),
    [
        (1.407605964444380, "", "mean"),
        (2.815211928888760, "", "sum"),
        (1.407605964444380 / math.log(2), "base=2", "mean"),
        (1.407605964444380 / math.log(10), "base=10", "mean"),
        (-1.407605964444380, "form=negated", "mean"),
        (math.exp(1.407605964444380), "form=exp", "mean"),
        (1.407605964444380 / 3, "mean=elements", "mean"),
        (-2.0, "logits=log-probabilities", "mean"),
    ],
)
def test_other_forms_of_a_loss_are_recognised(number: float, convention: str, reduction: str) -> None:
    found = explain(np.array(ROWS, np.float64), [0, 2], number)
    match = found.explanations[0].matches[0]
    assert (match.convention, match.reduction) == (convention, reduction)


def test_positions_of_samples_are_reduced_in_the_ways_of_sequences() -> None:
    x = np.random.RandomState(1).standard_normal((3, 4, 2)).astype(np.float32)
    y = np.array([[0, 1], [2, 9], [3, 3]])
    rows = np.array(oracle.value("cross_entropy", x, y, ignore_index=9, reduction="none"), dtype=np.float64)
    batch = math.fsum(rows.ravel()) / 3
    samples = (rows[0].mean() + rows[1, 0] + rows[2].mean()) / 3
    found = explain(x, y, f"{batch:.9g}", f"{samples:.9g}", ignore_index=9)
    assert only(found) == ["mean=batch", "mean=samples"]


def test_an_index_that_wraps_around_is_recognised() -> None:
    x = np.array([[0.5, 1.5, -2], [1, -1, 0.25]], np.float32)
    number = float(oracle.value("cross_entropy", x, np.array([0, 2])))
    assert only(explain(x, [0, -1], number, ignore_index=-1, format="float64")) == ["ignored=wrapped"]


def test_logits_that_are_probabilities_are_recognised() -> None:
    p = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    assert only(explain(p, [0, 2], -(math.log(0.5) + math.log(0.7)) / 2)) == ["logits=probabilities"]


def test_dropped_options_are_recognised() -> None:
    x = np.random.RandomState(2).standard_normal((4, 5))
    y, w = np.array([0, 4, 2, 2]), np.array([1, 2, 0.5, 3, 1.25])
    without = [oracle.value("cross_entropy", x, y, weight=w), oracle.value("cross_entropy", x, y, label_smoothing=0.2)]
    found = explain(x, y, *map(float, without), weight=w, label_smoothing=0.2)
    assert only(found) == ["smoothing=none", "weights=none"]


def test_what_nothing_explains_comes_with_the_nearest() -> None:
    found = explain(np.array(ROWS, np.float32), [0, 2], "1.40761596")
    assert not found.complete
    (one,) = found.explanations
    assert one.matches == ()
    assert any(near.convention == "" and 80 < near.ulp < 90 for near in one.nearest)
    assert "no convention explains it; the nearest:" in str(found)


def test_an_unexplained_ratio_is_still_named() -> None:
    found = explain(np.array(ROWS, np.float32), [0, 2], "1.407605964", "56.30423858")
    assert found.separations[0].reasons == ("the ratio is 1/40",)


def test_few_digits_are_said_to_match_by_chance() -> None:
    x = np.random.RandomState(3).standard_normal((4, 5))
    few, many = explain(x, [0, 4, 2, 2], "1.5", "1.543212345", weight=[1, 2, 3, 4, 5]).explanations
    assert few.chance > 1
    assert many.chance < 0.01
    assert few.tried == many.tried > few.distinct > 50


def test_the_simplest_match_comes_first_and_not_the_nearest() -> None:
    x, y = np.random.RandomState(2).standard_normal((4, 5)), np.array([0, 4, 2, 2])
    number = f"{float(oracle.value('cross_entropy', x, y, weight=[1, 2, 3, 4, 5])):.1f}"
    (one,) = explain(x, y, number, weight=[1, 2, 3, 4, 5]).explanations
    steps = [match.departures for match in one.matches]
    assert steps == sorted(steps)
    assert steps[0] == 0 < steps[-1]
    assert one.matches[0].ulp > min(match.ulp for match in one.matches)


def test_numbers_of_binary32_are_explained_on_logits_of_binary64() -> None:
    x = np.random.RandomState(4).standard_normal((4, 5))
    number = np.float32(float(oracle.value("cross_entropy", x, np.array([0, 1, 2, 3]))) * (1 + 3e-8))
    found = explain(x, [0, 1, 2, 3], number.item())
    assert (found.format, found.explanations[0].format) == ("float64", "float32")
    assert only(found) == [""]
    assert not explain(x, [0, 1, 2, 3], number.item(), format="float64").complete


def test_many_logits_take_one_departure_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.RandomState(5).standard_normal((6, 7)).astype(np.float32)
    y = np.array([0, 6, -100, 1, 1, 2])
    small = explain(x, y, "1", label_smoothing=0.1)
    monkeypatch.setattr(givens, "LARGE", 4)
    large = explain(x, y, "1", label_smoothing=0.1)
    assert (small.most, large.most) == (3, 1)
    assert small.explanations[0].tried > 5 * large.explanations[0].tried


def test_entropy_is_the_same_number_where_it_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.RandomState(5).standard_normal((6, 7))
    y = np.array([0, 6, -100, 1, 1, 2])
    asked = Problem(
        "cross_entropy",
        *question("cross_entropy", "float64", x, target=y, label_smoothing=0.1),
        convention=Convention(smoothing="K-1", entropy="subtracted"),
    )
    monkeypatch.setattr(givens, "LARGE", 4)
    number = float(Oracle(asked).value())
    assert only(explain(x, y, number, label_smoothing=0.1)) == ["smoothing=K-1,entropy=subtracted"]


@st.composite
def inputs(draw: st.DrawFn) -> tuple[Any, dict[str, Any], Convention]:
    """Draw logits, the parameters of a loss and a convention of up to two departures."""
    n, k = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    x = np.random.RandomState(draw(st.integers(0, 999))).standard_normal((n, k)).astype(np.float32)
    target = draw(st.lists(st.integers(-1, k - 1), min_size=n, max_size=n).filter(lambda y: max(y) >= 0))
    more: dict[str, Any] = {"target": np.array(target), "ignore_index": -1}
    more["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 0.5]))
    more["reduction"] = draw(st.sampled_from(["mean", "sum"]))
    if draw(st.booleans()):
        more["weight"] = draw(st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=k, max_size=k))
    fields = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True))
    chosen = {field: draw(st.sampled_from(VALUES[field])) for field in fields}
    if {"softmax", "clip"} <= set(chosen):  # nobody does both, and it is not tried
        del chosen["clip"]
    return x, more, Convention(**chosen)


@settings(max_examples=150)
@given(inputs())
def test_every_conventions_own_number_is_explained_by_it(drawn: tuple[Any, dict[str, Any], Convention]) -> None:
    x, more, convention = drawn
    arrays, keywords = question("cross_entropy", "float32", x, **more)
    exact = Oracle(Problem("cross_entropy", arrays, keywords, convention=convention)).value()
    number = mpmath.nstr(exact.item(), 9, strip_zeros=False)
    options: dict[str, Any] = {name: more.get(name) for name in ("weight", "label_smoothing", "ignore_index")}
    (one,) = explain(x, more["target"], number, **options).explanations
    own = {more["reduction"], *str(convention).split(",")} - {""}
    assert any(words <= own for words in named(one)), (own, one)


@settings(max_examples=30)
@given(inputs())
def test_the_specs_own_number_has_no_departures_and_comes_first(drawn: tuple[Any, dict[str, Any], Convention]) -> None:
    x, more, _ = drawn
    number = float(oracle.value("cross_entropy", x, **more))
    options: dict[str, Any] = {name: more.get(name) for name in ("weight", "label_smoothing", "ignore_index")}
    first = explain(x, more["target"], number, format="float64", **options).explanations[0].matches[0]
    assert first.convention == str(SPEC)
    assert first.value == pytest.approx(number, rel=1e-15)


def test_it_is_a_public_name() -> None:
    assert lossparity.explain is explain
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        _ = lossparity.explian


def test_an_array_needs_one_loss_for_each_position() -> None:
    with pytest.raises(UsageError, match="not one loss for each of 2 positions"):
        explain(ROWS, [0, 2], [1.0, 2.0, 3.0])
    with pytest.raises(UsageError, match="no number to explain"):
        explain(ROWS, [0, 2])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with logits and targets."""
    monkeypatch.chdir(tmp_path)
    np.save("logits.npy", np.array(ROWS, np.float32))
    np.save("target.npy", np.array([0, -100]))
    np.save("both.npy", np.array([0, 2]))
    return tmp_path


def command(*arguments: str) -> Result:
    """Run the command in this process; no exception but its exit may leave it."""
    result = CliRunner().invoke(main, ["explain", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.usefixtures("folder")
def test_the_command_explains_and_its_status_says_whether_all_is_explained() -> None:
    result = command("logits.npy", "target.npy", "2.40760596", "1.20380298")
    assert result.exit_code == 0
    assert "the loss spec, mean" in result.stdout and "mean, mean=all (1 departure)" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert command("logits.npy", "target.npy", "2.40760596", "7.7").exit_code == 1


@pytest.mark.usefixtures("folder")
def test_negative_numbers_are_arguments() -> None:
    result = command("logits.npy", "both.npy", "-1.40760596")
    assert result.exit_code == 0
    assert "form=negated" in result.stdout


@pytest.mark.usefixtures("folder")
def test_a_number_may_be_a_file_of_losses() -> None:
    Path("losses.csv").write_text("2.407606\n0.407606\n")
    Path("weight.json").write_text("[1, 1, 1]")
    result = command("logits.npy", "both.npy", "losses.csv", "--weight", "weight.json", "--format", "fp32")
    assert result.exit_code == 0
    assert "the loss spec, none" in result.stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.npy", "both.npy", "1"), "there is no such file"),
        (("logits.npy", "both.npy", "abc"), "'abc' is no finite number"),
        (("logits.npy", "both.npy", "nan"), "'nan' is no finite number"),
        (("logits.npy", "both.npy", "--wieght", "1"), "no option '--wieght'"),
        (("logits.npy", "target.npy", "1", "--ignore-index", "7"), "the target holds -100"),
        (("logits.npy", "both.npy", "1", "--format", "fp8"), "unknown format 'fp8'"),
    ],
)
def test_wrong_use_is_one_message_and_2(arguments: tuple[str, ...], message: str) -> None:
    result = command(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("lossparity: ") and message in result.stderr
