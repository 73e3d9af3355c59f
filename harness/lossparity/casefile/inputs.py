"""The inputs of a case as written: arrays and recipes, and whether they fit together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lossparity.casefile.nodes import CaseError, Listing, Node, Table
from lossparity.casefile.values import LARGEST_INTEGER, array, choice, fields, integer, leaves, number, quantity
from lossparity.formats import FORMATS, INTEGERS
from lossparity.inputs import GENERATORS
from lossparity.model import Keyword, Numbers, Recipe
from lossparity.shapes import class_axis, row_shape, value_shape
from lossparity.spec import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Input", "check_fit", "check_target_format", "read_input"]

_MOST_ELEMENTS = 2**28
_MOST_AXES = 8
_MOST_SEED = 2**32 - 1
_IGNORED_BY_DEFAULT = -100


class Input(NamedTuple):
    """One input: what goes into the case, its shape, its least and greatest value (NaN aside), and where it stands."""

    value: Numbers | Recipe
    shape: tuple[int, ...]
    extremes: tuple[float, float]
    node: Node


def _finite(node: Node, what: str) -> float:
    value = number(node, what)
    if not math.isfinite(value):
        raise CaseError(node, f"{what} must be finite, not {value}")
    return value


# How the numbers of an input are read, also those that its recipe has for parameters; any number where not listed.
_READERS: Mapping[str, Callable[[Node, str], float]] = {
    "target": integer,
    "weight": quantity,
    "probabilities": quantity,
    "upstream": _finite,
}


def read_input(name: str, node: Node) -> Input:
    """Return an input by its name (`logits`, `target`, `weight`, ...): nested lists of numbers, or a recipe."""
    if isinstance(node, Table):
        return _recipe(name, node)
    value, shape = array(node, name, _READERS.get(name, number))
    if len(shape) > _MOST_AXES:
        raise CaseError(node, f"{name} has {len(shape)} axes; {_MOST_AXES} are the most")
    seen = [v for v in _flat(value) if not math.isnan(v)]
    return Input(value, shape, (min(seen, default=0), max(seen, default=0)), node)


def _flat(value: Numbers) -> list[float]:
    return [v for inner in value for v in _flat(inner)] if isinstance(value, tuple) else [value]


def _recipe(name: str, node: Table) -> Input:
    if "generate" not in node.entries:
        raise CaseError(
            node, f"{name} must be an array or a recipe, and a recipe names its generator", "add `generate:`"
        )
    generate = choice(node.entries["generate"], "generate", GENERATORS, "generator")
    generator = GENERATORS[generate]
    if name == "target" and not generator.indices:
        fitting = ", ".join(g for g, entry in GENERATORS.items() if entry.indices)
        raise CaseError(node.entries["generate"], f"the generator {generate} makes no indices", f"these do: {fitting}")
    needed = [p for p in (*generator.numbers, *generator.integers) if p not in generator.defaults]
    entries = fields(node, f"the recipe {generate}", ("generate", "shape", *needed), generator.defaults)
    shape = _shape(entries["shape"])
    parameters: dict[str, int | float] = {}
    for parameter, given in entries.items():
        if parameter in generator.integers:
            parameters[parameter] = _bounded(parameter, given, shape)
        elif parameter in generator.numbers:
            parameters[parameter] = _READERS.get(name, number)(given, parameter)
    extremes = generator.extremes({**generator.defaults, **parameters})
    if _READERS.get(name) is quantity and extremes[0] < 0:
        raise CaseError(node, f"{name} must not be negative", f"the recipe can make {extremes[0]}")
    return Input(Recipe(generate, shape, parameters), shape, extremes, node)


def _shape(node: Node) -> tuple[int, ...]:
    if not isinstance(node, Listing):
        raise CaseError(node, "shape must be a list of integers", "a scalar has the shape []")
    if len(node.items) > _MOST_AXES:
        raise CaseError(node, f"shape has {len(node.items)} axes; {_MOST_AXES} are the most")
    shape = tuple(integer(item, "shape") for item in node.items)
    for length, item in zip(shape, node.items, strict=True):
        if length < 0:
            raise CaseError(item, "a length must not be negative")
    # Empty axes are left out, so that no absurd length hides behind a 0.
    if math.prod(length for length in shape if length) > _MOST_ELEMENTS:
        raise CaseError(node, f"the shape {list(shape)} is absurd: 2^28 elements are the most")
    return shape


def _bounded(parameter: str, node: Node, shape: tuple[int, ...]) -> int:
    value = integer(node, parameter)
    classes = shape[class_axis(shape)] if shape else 0
    least, most = {"seed": (0, _MOST_SEED), "below": (1, LARGEST_INTEGER), "at": (0, classes - 1)}[parameter]
    if most < least:
        raise CaseError(node, f"the shape {list(shape)} has no class to be at")
    if not least <= value <= most:
        raise CaseError(node, f"{parameter} must be between {least} and {most}, not {value}")
    return value


def check_fit(
    operation: str,
    inputs: Mapping[str, Input],
    keywords: Mapping[str, Keyword],
    formats: tuple[str, ...],
    one_of: tuple[str, ...],
) -> None:
    """Raise CaseError where shapes, indices or the range of a format do not allow the inputs of one case."""
    first = inputs[OPERATIONS[operation].first]
    name, shape = OPERATIONS[operation].first, first.shape
    if not shape:
        raise CaseError(first.node, f"{name} must have a class axis", "write one row as [1, 2, 3]")
    classes = shape[class_axis(shape)]
    if math.isinf(max(map(abs, first.extremes))) and not 0 <= float(keywords.get("label_smoothing", 0)) <= 1:
        raise CaseError(
            first.node, f"{name} must be finite under a label_smoothing outside [0, 1]", "its terms have no sum there"
        )
    if classes == 0:
        raise CaseError(
            first.node, f"{name} has no class", "an empty batch is {generate: constant, shape: [0, 5], value: 0}"
        )
    expected = {
        "target": row_shape(shape),
        "probabilities": shape,
        "weight": (classes,),
        "upstream": value_shape(operation, shape, keywords),
    }
    for other, given in inputs.items():
        if given.shape != expected.get(other, given.shape):
            beside = f"for {name} of shape {list(shape)}"
            raise CaseError(
                given.node, f"{other} has shape {list(given.shape)}; {beside} it is {list(expected[other])}"
            )
    if "target" in inputs and not {"raises", "nan"} & set(one_of):
        ignores = "ignore_index" in OPERATIONS[operation].keywords
        ignored = keywords.get("ignore_index", _IGNORED_BY_DEFAULT) if ignores else None
        _check_indices(inputs["target"], classes, ignored)
    _check_range({n: given for n, given in inputs.items() if _READERS.get(n, integer) is not integer}, formats)


def _check_indices(target: Input, classes: int, ignored: Keyword | None) -> None:
    least, greatest = target.extremes
    if least >= 0 and greatest < classes:
        return
    hint = "an index outside is for cases whose one_of has raises or nan"
    message = f"is outside [0, {classes}) and not the ignore_index"
    if isinstance(target.value, Recipe):
        if target.value.generate != "constant" or least != ignored:
            raise CaseError(target.node, f"a target up to {greatest} {message}", hint)
        return
    for leaf in leaves(target.node):
        index = int(leaf.text)
        if not 0 <= index < classes and index != ignored:
            raise CaseError(leaf, f"the target {index} {message}", hint)


def check_target_format(inputs: Mapping[str, Input], keywords: Mapping[str, Keyword], fmt: str) -> None:
    """Raise CaseError where the targets, or the ignore_index, are no numbers of the integer format."""
    if "target" not in inputs:
        message = "target_format is of indices; probabilities come in the format of the logits"
        raise CaseError(inputs["probabilities"].node, message, "leave target_format out")
    range_, given = np.iinfo(INTEGERS[fmt]), inputs["target"]
    stated = [("the target", int(n)) for n in given.extremes]
    stated += [("the ignore_index", int(keywords["ignore_index"]))] if "ignore_index" in keywords else []
    for what, index in stated:
        if not range_.min <= index <= range_.max:
            raise CaseError(
                given.node, f"{what} {index} is no number of {fmt}", f"{fmt} holds {range_.min} to {range_.max}"
            )


def _check_range(inputs: Mapping[str, Input], formats: tuple[str, ...]) -> None:
    """Refuse what the spec wants finite and a format would round to infinity."""
    for name, given in inputs.items():
        largest = max(map(abs, given.extremes))
        for fmt in formats:
            f = FORMATS[fmt]
            # From half a spacing beyond the largest number on, rounding to nearest gives infinity.
            if f.precision < 53 and largest >= (2 - 2.0**-f.precision) * 2.0**f.emax:
                raise CaseError(
                    given.node, f"{name} has {largest!r}, which is infinite in {fmt}", f"leave {fmt} out of formats"
                )
