"""Arrays of a case: rounded once, generated the same everywhere, with an upstream gradient that is not all ones."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.inputs import GENERATORS, build, input_hash
from lossparity.model import Case, Keyword, Numbers, Recipe
from lossparity.shapes import class_axis, row_shape, value_shape
from lossparity.suite import built_in, load

if TYPE_CHECKING:
    from collections.abc import Mapping


def a_case(
    operation: str,
    inputs: Mapping[str, Numbers | Recipe],
    keywords: Mapping[str, Keyword] | None = None,
    *,
    gradient: bool = True,
) -> Case:
    return Case("s/a", "s", "", "S1", operation, inputs, keywords or {}, tuple(FORMATS), gradient, (), None, "s.yaml:1")


def generated(recipe: Recipe, fmt: str = "float64") -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(build(a_case("softmax", {"logits": recipe}), fmt)["logits"].exact())


LOSS: dict[str, Numbers | Recipe] = {"logits": ((0.1, 0.2, 0.3), (1.0, -math.inf, 1e5)), "target": (2, 0)}


def test_a_loss_in_the_order_of_a_request() -> None:
    inputs = {"weight": (1.0, 0.3, 2.0), "target": LOSS["target"], "logits": LOSS["logits"]}
    arrays = build(a_case("cross_entropy", inputs, {"reduction": "none"}), "float16")
    assert list(arrays) == ["logits", "target", "weight", "upstream"]
    assert [a.format for a in arrays.values()] == ["float16", "int64", "float16", "float16"]
    expected = np.array([[0.1, 0.2, 0.3], [1, -np.inf, np.inf]], dtype=np.float16)
    assert arrays["logits"].data.tobytes() == expected.tobytes()
    assert arrays["target"].data.tolist() == [2, 0]
    assert arrays["weight"].data.tobytes() == np.array([1, 0.3, 2], dtype=np.float16).tobytes()
    assert arrays["upstream"].shape == (2,)


def test_probabilities_are_the_target_in_the_format_of_the_logits() -> None:
    arrays = build(a_case("cross_entropy", {"logits": ((1.0, 2.0),), "probabilities": ((0.1, 0.9),)}), "bfloat16")
    assert arrays["target"].format == "bfloat16"
    assert arrays["target"].exact().tolist() == [[0.10009765625, 0.8984375]]


@pytest.mark.parametrize("fmt", INTEGERS)
def test_indices_come_in_the_integer_format_that_the_case_states(fmt: str) -> None:
    case = dataclasses.replace(a_case("cross_entropy", LOSS), target_format=fmt)
    target = build(case, "float16")["target"]
    assert (target.format, target.data.tolist()) == (fmt, [2, 0])


@pytest.mark.parametrize("fmt", FORMATS)
def test_numbers_keep_their_class_and_sign_in_every_format(fmt: str) -> None:
    row = (math.inf, -math.inf, math.nan, -0.0, 1.0)
    found = build(a_case("softmax", {"logits": row}), fmt)["logits"].exact()
    assert repr(found.tolist()) == "[inf, -inf, nan, -0.0, 1.0]"


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_target_for_one_row_is_a_scalar(fmt: str) -> None:
    arrays = build(a_case("cross_entropy", {"logits": (1.0, 2.0), "target": 1}), fmt)
    assert arrays["target"].shape == ()
    assert int(arrays["target"].data) == 1
    assert arrays["upstream"].shape == ()


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("shape", [(2, 3), (7, 7), (2, 5, 3), (1, 1), (4,), (0, 3), (64, 70)])
def test_the_upstream_is_exact_in_every_format_and_never_all_ones(shape: tuple[int, ...], fmt: str) -> None:
    case = a_case("softmax", {"logits": Recipe("constant", shape, {"value": 0.0})})
    upstream = build(case, fmt)["upstream"]
    assert upstream.shape == shape
    assert upstream.exact().tolist() == build(case, "float64")["upstream"].exact().tolist()
    assert not np.any(upstream.exact() == 1)
    assert not np.any(upstream.exact() == 0)
    assert upstream.exact().size < 2 or {-1.0, 1.0} == set(np.sign(upstream.exact()).flat)


def test_the_upstream_of_a_mean_and_of_a_single_row_is_not_one() -> None:
    for reduction in ("mean", "sum", "none"):
        arrays = build(
            a_case("cross_entropy", {"logits": ((1.0, 2.0),), "target": (1,)}, {"reduction": reduction}), "float32"
        )
        assert arrays["upstream"].exact().ravel().tolist() == [1.5]


def test_a_stated_upstream_is_taken() -> None:
    arrays = build(a_case("softmax", {"logits": (1.0, 2.0), "upstream": (0.1, 0.0)}), "float32")
    assert arrays["upstream"].data.tolist() == [float(np.float32(0.1)), 0.0]


def test_no_upstream_where_no_gradient_is_wanted_or_there_is_none() -> None:
    assert list(build(a_case("softmax", {"logits": (1.0,)}, gradient=False), "float64")) == ["logits"]
    assert list(build(a_case("one_hot", {"logits": (1.0, 2.0), "target": 0}), "float64")) == ["logits", "target"]


def test_nll_loss_has_log_probs_first() -> None:
    arrays = build(a_case("nll_loss", {"target": (0,), "log_probs": ((-1.0, -2.0),)}), "float32")
    assert list(arrays) == ["log_probs", "target", "upstream"]


SHAPES: list[tuple[str, tuple[int, ...], str, tuple[int, ...]]] = [
    ("softmax", (2, 5, 3), "", (2, 5, 3)),
    ("one_hot", (5,), "", (5,)),
    ("row_sum", (2, 5, 3), "", (2, 3)),
    ("log_softmax_row_sum", (5,), "", ()),
    ("cross_entropy", (2, 5, 3), "none", (2, 3)),
    ("cross_entropy", (2, 5), "sum", ()),
    ("cross_entropy", (2, 5), "", ()),
    ("nll_loss", (5,), "none", ()),
    ("smoothing_term", (2, 5), "none", (2,)),
]


@pytest.mark.parametrize(("operation", "shape", "reduction", "expected"), SHAPES)
def test_value_shapes(operation: str, shape: tuple[int, ...], reduction: str, expected: tuple[int, ...]) -> None:
    assert value_shape(operation, shape, {"reduction": reduction} if reduction else {}) == expected


def test_class_axis_and_rows() -> None:
    assert (class_axis((5,)), row_shape((5,))) == (0, ())
    assert (class_axis((2, 5)), row_shape((2, 5))) == (1, (2,))
    assert (class_axis((2, 5, 3)), row_shape((2, 5, 3))) == (1, (2, 3))


def test_constant() -> None:
    assert generated(Recipe("constant", (2, 3), {"value": -math.inf})).tolist() == [[-math.inf] * 3] * 2


def test_a_constant_target_is_exact() -> None:
    target = Recipe("constant", (2,), {"value": 2**53 + 1})
    arrays = build(a_case("nll_loss", {"log_probs": ((0.0,), (0.0,)), "target": target}), "float16")
    assert arrays["target"].data.tolist() == [2**53 + 1] * 2


def test_peak_is_along_the_classes() -> None:
    parameters = {"value": 9.0, "rest": -1.0, "at": 1}
    assert generated(Recipe("peak", (3,), parameters)).tolist() == [-1, 9, -1]
    assert generated(Recipe("peak", (2, 3), parameters)).tolist() == [[-1, 9, -1]] * 2
    deep = generated(Recipe("peak", (2, 3, 4), parameters))
    assert np.all(deep[:, 1] == 9)
    assert np.all(deep[:, [0, 2]] == -1)


def test_normal_has_the_guaranteed_stream() -> None:
    plain = generated(Recipe("normal", (2, 2), {"seed": 1}))
    # The first numbers of RandomState(1), as NumPy has given them since 2006.
    assert plain.ravel() == pytest.approx([1.62434536, -0.61175641, -0.52817175, -1.07296862], abs=1e-8)
    moved = generated(Recipe("normal", (2, 2), {"seed": 1, "scale": 4.0, "offset": 100.0}))
    assert moved.tolist() == (plain * 4 + 100).tolist()
    assert generated(Recipe("normal", (2, 2), {"seed": 2})).tolist() != plain.tolist()


def test_integers_have_the_guaranteed_stream() -> None:
    target = Recipe("integers", (6,), {"below": 10, "seed": 1})
    arrays = build(
        a_case("cross_entropy", {"logits": Recipe("constant", (6, 10), {"value": 0.0}), "target": target}), "float32"
    )
    assert arrays["target"].format == "int64"
    assert arrays["target"].data.tolist() == [5, 8, 9, 5, 0, 0]


PARAMETERS = st.fixed_dictionaries(
    {name: st.floats(-1e6, 1e6) for name in ("value", "rest", "scale", "offset")}
    | {"seed": st.integers(0, 2**32 - 1), "below": st.integers(1, 2**63 - 1), "at": st.integers(0, 4)}
)


@pytest.mark.parametrize("name", GENERATORS)
@given(PARAMETERS)
def test_generators_keep_within_their_extremes(name: str, drawn: dict[str, float]) -> None:
    generator = GENERATORS[name]
    parameters = {p: drawn[p] for p in (*generator.numbers, *generator.integers)}
    made = generator.make((3, 5), **parameters)
    least, greatest = generator.extremes(parameters)
    assert made.shape == (3, 5)
    assert least <= made.min()
    assert made.max() <= greatest
    assert set(generator.defaults) <= set(parameters)


def test_the_hash_is_of_everything_that_goes_in() -> None:
    arrays = build(a_case("cross_entropy", LOSS), "float32")
    keywords: dict[str, Keyword] = {"reduction": "mean", "label_smoothing": 0.1}
    before = input_hash(arrays, keywords)
    assert len(before) == 16
    assert int(before, 16) >= 0
    assert input_hash(dict(reversed(arrays.items())), dict(reversed(keywords.items()))) == before
    others: list[tuple[Mapping[str, Array], Mapping[str, Keyword]]] = [
        (arrays, {"reduction": "mean"}),
        (arrays, {**keywords, "label_smoothing": 0.2}),
        (arrays, {**keywords, "label_smoothing": 0}),
        (arrays, {**keywords, "label_smoothing": 0.0}),
        (arrays, {**keywords, "reduction": "sum"}),
        (build(a_case("cross_entropy", LOSS), "float64"), keywords),
        ({**arrays, "target": Array.of([2, 1], "int64")}, keywords),
        ({**arrays, "target": Array.of([[2, 0]], "int64")}, keywords),
        ({**arrays, "target": Array.of([2, 0], "int32")}, keywords),
        ({**arrays, "upstream": Array.of(-1.5, "float32")}, keywords),
        ({"logits": arrays["logits"], "target": arrays["target"]}, keywords),
        ({**{k: a for k, a in arrays.items() if k != "upstream"}, "weight": arrays["upstream"]}, keywords),
    ]
    assert len({input_hash(*other) for other in others} | {before}) == len(others) + 1


def test_the_hash_does_not_change_with_layout_or_release() -> None:
    array = Array.of(np.arange(6.0).reshape(2, 3), "float32")
    turned = Array("float32", np.asfortranarray(array.data))
    assert input_hash({"logits": turned}, {}) == input_hash({"logits": array}, {})
    assert input_hash({"logits": array}, {"ignore_index": -100}) == "0423d6e19e7aea9f"


def test_every_built_in_case_builds_in_every_format_of_it() -> None:
    for suite in load([built_in()]):
        for case in suite.cases:
            for fmt in case.formats:
                arrays = build(case, fmt)
                first = next(iter(arrays.values()))
                assert first.format == fmt, case.id
                assert ("upstream" in arrays) == case.gradient, case.id
                for name in {"weight", "upstream"} & set(arrays):
                    assert np.all(np.isfinite(arrays[name].exact())), case.id
