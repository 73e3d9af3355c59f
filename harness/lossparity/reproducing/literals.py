"""A check's inputs as Python: NumPy expressions that give the very same bits.

Numbers are written as the shortest decimal that NumPy reads back as they are; bfloat16, which NumPy lacks, as its bits.
What a case generates, and an upstream gradient that repeats, is written as the code that makes it once it is long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossparity.formats import FORMATS, Array
from lossparity.inputs import GENERATORS, UPSTREAM
from lossparity.model import Case, Recipe
from lossparity.shapes import class_axis
from lossparity.spec import OPERATIONS

__all__ = ["ROUND_BFLOAT16", "array_code", "inputs_code", "number", "values_comment"]

MOST = 64
"""Elements of an array that are written out; above, those that are generated are written as their generator."""

_MOST_COMMENT = 16

ROUND_BFLOAT16 = '''def bfloat16_bits(x):
    """Round binary64 numbers to bfloat16, to nearest even; return the bits."""
    _, exponent = np.frexp(x)
    spacing = np.ldexp(1.0, np.maximum(exponent - 8, -133))
    return ((np.rint(x / spacing) * spacing).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
'''
"""What scripts need that generate bfloat16 numbers which are not numbers of the format yet."""


def number(value: float) -> str:
    """Write a binary64 number so that Python reads the same one."""
    return repr(float(value)) if np.isfinite(value) else f"float({str(float(value))!r})"


def inputs_code(case: Case, arrays: dict[str, Array]) -> dict[str, str]:
    """Return the expression of every array of a case by its name; `np` and, where it is used, `bfloat16_bits` apart."""
    stated: dict[str, Any] = dict(case.inputs)
    if "probabilities" in stated:
        stated["target"] = stated.pop("probabilities")
    return {name: _input(array, stated.get(name)) for name, array in arrays.items() if name in _used(case, arrays)}


def _used(case: Case, arrays: dict[str, Array]) -> set[str]:
    operation = OPERATIONS[case.operation]
    return {operation.first, *(["target"] if operation.target else []), *({"weight", "upstream"} & arrays.keys())}


def _input(array: Array, stated: object) -> str:
    if array.data.size <= MOST:
        return array_code(array)
    if isinstance(stated, Recipe):
        parameters = {**GENERATORS[stated.generate].defaults, **stated.parameters}
        if stated.generate in ("constant", "peak") and array.format in FORMATS:
            # Rounded now: the format's own numbers need no rounding.
            parameters |= {
                name: float(FORMATS[array.format].round(parameters[name]))
                for name in GENERATORS[stated.generate].numbers
            }
        words = {name: number(v) if isinstance(v, float) else repr(v) for name, v in parameters.items()}
        made = GENERATORS[stated.generate].code.format(shape=repr(stated.shape), axis=class_axis(stated.shape), **words)
        return _in_format(made, array.format)
    if stated is None:
        return _in_format(f"np.resize({list(UPSTREAM)}, {array.shape!r})", array.format)
    return array_code(array)


def _in_format(made: str, fmt: str) -> str:
    if fmt == "bfloat16":
        return f"bfloat16_bits({made})"
    return f"({made}).astype(np.{fmt})"


def array_code(array: Array) -> str:
    """Write an array out, number by number; one without any by its shape, which no nested lists have."""
    if array.data.size == 0:
        return f"np.zeros({array.shape!r}, np.{'uint16' if array.format == 'bfloat16' else array.format})"
    if array.format == "bfloat16":
        return f"np.array({_nested(array.data, lambda bits: f'0x{int(bits):04x}')}, np.uint16)"
    if array.format not in FORMATS:
        return f"np.array({_nested(array.data, lambda n: str(int(n)))}, np.{array.format})"
    return f"np.array({_nested(array.data, _shortest)}, np.{array.format})"


def values_comment(name: str, array: Array) -> list[str]:
    """Say what the bits of bfloat16 mean, in a line of comment where there are few; else nothing."""
    if array.format != "bfloat16" or not 0 < array.data.size <= _MOST_COMMENT:
        return []
    return [f"# {name} = {_nested(array.exact(), lambda value: f'{value:.9g}')}"]


def _shortest(value: Any) -> str:
    if not np.isfinite(value):
        return "np.nan" if np.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    text = str(value)
    # A decimal goes through binary64 when it is read: where that ends at another number, all its digits are needed.
    same = type(value)(float(text)) == value
    return text if same else repr(float(value))


def _nested(data: np.ndarray[Any, Any], written: Any) -> str:
    if data.ndim == 0:
        return str(written(data[()]))
    return "[" + ", ".join(_nested(part, written) for part in map(np.asarray, data)) + "]"
