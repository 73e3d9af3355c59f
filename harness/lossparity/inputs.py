"""A case's numbers as arrays of one format: what it states, what its recipes generate, the upstream gradient.

Decimals became binary64 when the case was read; here they are rounded once more, to the format. Random generators use
`numpy.random.RandomState`, whose stream NumPy guarantees (that of `Generator` may change between versions).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lossparity.formats import Array
from lossparity.model import Case, Keyword, Numbers, Recipe
from lossparity.shapes import class_axis, value_shape
from lossparity.spec import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["GENERATORS", "UPSTREAM", "Generator", "build", "input_hash"]

Shape = tuple[int, ...]
Values = np.ndarray[Any, Any]

# Exact in every format, none of them 1 (all ones would hide a gradient that ignores its upstream), of both signs, and
# seven in number, so that the rows of a matrix of 2 to 6 or 8 and more classes differ.
UPSTREAM = (1.5, -0.5, 2.0, 0.75, -1.25, 0.5, -2.0)
"""What an upstream gradient repeats where a case states none."""

# NumPy draws by the polar method, x * sqrt(-2 ln(r) / r) with |x| <= sqrt(r) and r >= 2**-104: never beyond 12.01.
_WIDEST = 13.0


def _constant(shape: Shape, value: float) -> Values:
    return np.full(shape, value)


def _normal(shape: Shape, seed: int, scale: float, offset: float) -> Values:
    drawn = np.random.RandomState(seed).standard_normal(shape)
    with np.errstate(over="ignore"):
        return drawn * scale + offset


def _integers(shape: Shape, below: int, seed: int) -> Values:
    return np.random.RandomState(seed).randint(0, below, size=shape, dtype=np.int64)


def _peak(shape: Shape, value: float, rest: float, at: int) -> Values:
    made = np.full(shape, rest)
    np.moveaxis(made, class_axis(shape), 0)[at] = value
    return made


@dataclass(frozen=True)
class Generator:
    """A named generator: its function of a shape and parameters, and what a case may state.

    `numbers` and `integers` name its parameters by their type; those in `defaults` may be left out. `extremes` returns
    the least and the greatest value that parameters can give. `code` is a NumPy expression of the same numbers, in
    which the parameters, `{shape}` and the class `{axis}` are to be filled in: for scripts that stand alone.
    """

    make: Callable[..., Values]
    numbers: tuple[str, ...]
    integers: tuple[str, ...]
    extremes: Callable[[Mapping[str, int | float]], tuple[float, float]]
    about: str
    code: str
    defaults: Mapping[str, float] = field(default_factory=dict)
    indices: bool = False  # whether it can make an index target


GENERATORS: dict[str, Generator] = {
    "constant": Generator(
        _constant,
        ("value",),
        (),
        lambda p: (p["value"], p["value"]),
        "the same number everywhere",
        "np.full({shape}, {value})",
        indices=True,
    ),
    "normal": Generator(
        _normal,
        ("scale", "offset"),
        ("seed",),
        lambda p: (p["offset"] - _WIDEST * abs(p["scale"]), p["offset"] + _WIDEST * abs(p["scale"])),
        "offset + scale * standard normal numbers",
        "np.random.RandomState({seed}).standard_normal({shape}) * {scale} + {offset}",
        defaults={"scale": 1.0, "offset": 0.0},
    ),
    "integers": Generator(
        _integers,
        (),
        ("below", "seed"),
        lambda p: (0, p["below"] - 1),
        "integers from 0 up, below `below`",
        "np.random.RandomState({seed}).randint(0, {below}, size={shape}, dtype=np.int64)",
        indices=True,
    ),
    "peak": Generator(
        _peak,
        ("value", "rest"),
        ("at",),
        lambda p: (min(p["value"], p["rest"]), max(p["value"], p["rest"])),
        "`value` in class `at` of every row, `rest` in the others",
        "np.where(np.indices({shape})[{axis}] == {at}, {value}, {rest})",
    ),
}


def build(case: Case, fmt: str) -> dict[str, Array]:
    """Return the arrays of a case in one format, in the order of a request: the first argument comes first.

    Keyed by the first argument's name, `target` (integers for indices; the format for probabilities), `weight` and
    `upstream`, which is there when the case wants a gradient and its operation has one.
    """
    operation = OPERATIONS[case.operation]
    arrays = {operation.first: _array(case.inputs[operation.first], fmt)}
    if "target" in case.inputs:
        arrays["target"] = _array(case.inputs["target"], case.target_format)
    elif "probabilities" in case.inputs:
        arrays["target"] = _array(case.inputs["probabilities"], fmt)
    if "weight" in case.inputs:
        arrays["weight"] = _array(case.inputs["weight"], fmt)
    if case.gradient and operation.differentiable:
        if "upstream" in case.inputs:
            arrays["upstream"] = _array(case.inputs["upstream"], fmt)
        else:
            shape = value_shape(case.operation, arrays[operation.first].shape, case.keywords)
            arrays["upstream"] = Array.of(np.resize(UPSTREAM, shape), fmt)
    return arrays


def _array(stated: Numbers | Recipe, fmt: str) -> Array:
    if not isinstance(stated, Recipe):
        return Array.of(stated, fmt)
    generator = GENERATORS[stated.generate]
    return Array.of(generator.make(stated.shape, **{**generator.defaults, **stated.parameters}), fmt)


def input_hash(arrays: Mapping[str, Array], keywords: Mapping[str, Keyword]) -> str:
    """Return 16 hex digits of the SHA-256 of names, formats, shapes, bits and keywords."""
    listed = [[name, arrays[name].format, list(arrays[name].shape)] for name in sorted(arrays)]
    digest = hashlib.sha256(json.dumps([listed, sorted(keywords.items())]).encode())
    for name in sorted(arrays):
        digest.update(arrays[name].data.tobytes())
    return digest.hexdigest()[:16]
