"""Inputs as Python: what is written gives the very same bits, and stays short."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.inputs import GENERATORS, build
from lossparity.model import Case, Recipe
from lossparity.reproducing.literals import ROUND_BFLOAT16, array_code, inputs_code, number, values_comment
from lossparity.suite import built_in, load

PARAMETERS: dict[str, dict[str, int | float]] = {
    "constant": {"value": 0.1},
    "normal": {"seed": 7, "scale": 3.3, "offset": -0.7},
    "integers": {"below": 9, "seed": 3},
    "peak": {"value": 11.7, "rest": -1e-3, "at": 2},
}


def evaluated(code: str) -> np.ndarray[Any, Any]:
    space: dict[str, object] = {"np": np}
    exec(ROUND_BFLOAT16, space)
    found = eval(code, space)
    assert isinstance(found, np.ndarray)
    return found


def same(array: Array, code: str) -> bool:
    found = evaluated(code)
    return found.shape == array.shape and found.dtype == array.data.dtype and found.tobytes() == array.data.tobytes()


def recipe_case(generate: str, shape: tuple[int, ...]) -> Case:
    return Case(
        id="a/b",
        suite="a",
        about="",
        clause="S1",
        operation="softmax",
        inputs={"logits": Recipe(generate, shape, PARAMETERS[generate])},
        keywords={},
        formats=tuple(FORMATS),
        gradient=True,
        one_of=(),
        published=None,
        source="",
    )


def test_every_input_of_the_built_in_cases_is_written_bit_for_bit() -> None:
    for suite in load([built_in()]):
        for case in suite.cases:
            for fmt in case.formats:
                arrays = build(case, fmt)
                codes = inputs_code(case, arrays)
                assert codes.keys() == arrays.keys()
                for name, array in arrays.items():
                    assert same(array, codes[name]), (case.id, fmt, name, codes[name])
                    assert len(codes[name]) < 2000


@pytest.mark.parametrize("generate", GENERATORS)
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("shape", [(100,), (13, 9), (4, 5, 7)])
def test_what_a_generator_makes_is_written_as_the_generator(generate: str, fmt: str, shape: tuple[int, ...]) -> None:
    case = recipe_case(generate, shape)
    arrays = build(case, fmt)
    for name, code in inputs_code(case, arrays).items():
        assert same(arrays[name], code), code
        assert len(code) < 200


def test_generated_numbers_are_rounded_once_where_they_are_subnormal_too() -> None:
    case = recipe_case("normal", (500,))
    tiny = Recipe("normal", (500,), {"seed": 3, "scale": 3e-39, "offset": 0.0})
    case = replace(case, inputs={"logits": tiny})
    arrays = build(case, "bfloat16")
    assert len(set(arrays["logits"].data.tolist())) > 50
    assert same(arrays["logits"], inputs_code(case, arrays)["logits"])


def test_every_generator_is_tried() -> None:
    assert PARAMETERS.keys() == GENERATORS.keys()


@pytest.mark.parametrize("fmt", FORMATS)
def test_numbers_of_all_magnitudes_are_written_bit_for_bit(fmt: str) -> None:
    drawn = np.random.RandomState(5)
    values = drawn.standard_normal(2000) * 2.0 ** drawn.uniform(-150, 15, 2000)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, FORMATS[fmt].largest, FORMATS[fmt].half_smallest_subnormal * 2]
    array = Array.of([*values, *special], fmt)
    assert same(array, array_code(array))


@pytest.mark.parametrize("fmt", INTEGERS)
def test_integers_keep_their_type(fmt: str) -> None:
    array = Array.of([[0, 3], [7, 200]], fmt)
    assert same(array, array_code(array))


def test_a_scalar_and_an_empty_array_are_written() -> None:
    empty = (Array.of(np.zeros(shape), fmt) for shape in ((0,), (0, 4), (2, 0, 3)) for fmt in (*FORMATS, *INTEGERS))
    for array in (Array.of(0.1, "float32"), Array.of(-1.5, "bfloat16"), *empty):
        assert same(array, array_code(array))


def test_every_binary16_number_is_written_bit_for_bit() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    array = Array("float16", bits.view("<f2")[np.isfinite(bits.view("<f2"))])
    assert same(array, array_code(array))


def test_the_bits_of_bfloat16_are_explained_where_they_are_few() -> None:
    assert values_comment("w", Array.of([1.5, -2.0], "bfloat16")) == ["# w = [1.5, -2]"]
    assert values_comment("w", Array.of(np.zeros(17), "bfloat16")) == []
    assert values_comment("w", Array.of([1.5], "float16")) == []


def test_numbers_that_are_none_are_python_too() -> None:
    for value in (0.1, -0.0, 5e-324, np.inf, -np.inf, np.nan):
        assert np.array_equal(eval(number(value)), value, equal_nan=True)
