"""The floating-point environment of this process: whether it is IEEE 754's default one, which every certificate needs.

A library that was built with -ffast-math flushes subnormal numbers in the whole process as soon as it is loaded, and
any library may leave another rounding mode behind. Only results are looked at, so it holds for every processor.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossparity.formats import FORMATS, Format, ulp

__all__ = ["self_test"]

# Four of the longest vector registers and a remainder: the unrolled, the vector and the scalar code all run.
_PLACES = np.arange(67)
_MOST_ULPS = 4.0
_HINT = (
    "nothing can be certified here: start again without what changes the floating-point mode of this process, such as "
    "a library built with -ffast-math that sitecustomize or LD_PRELOAD loads"
)

# x and the function's value there, nearest binary64; from Arb at 200 bits.
_VALUES: dict[str, tuple[tuple[float, float], ...]] = {
    "exp": (
        (-700.5, 5.980196118639791e-305),
        (-80.5, 1.0946977029531417e-35),
        (-37.25, 6.64554417291507e-17),
        (-1.0, 0.36787944117144233),
        (-(2.0**-20), 0.9999990463261383),
        (0.5, 1.6487212707001282),
        (10.75, 46630.028453524326),
        (80.5, 9.134941978066843e34),
        (700.25, 1.3022997366991783e304),
    ),
    "log1p": (
        (2.0**-60, 8.673617379884035e-19),
        (2.0**-12, 0.0002441108275273627),
        (0.375, 0.3184537311185346),
        (1.0, 0.6931471805599453),
        (3.5, 1.5040773967762742),
        (2.0**20 + 3, 13.862947425888896),
        (2.0**100, 69.31471805599453),
    ),
}


@dataclass(frozen=True)
class _Kind:
    """Who computes, in which format; arrays of objects make NumPy's loops call Python's own floats."""

    name: str
    format: Format
    dtype: type[Any]

    def array(self, values: list[float]) -> np.ndarray[Any, Any]:
        return np.array(values, dtype=self.format.storage).take(_PLACES, mode="wrap").astype(self.dtype)

    def of_bits(self, pattern: int) -> np.ndarray[Any, Any]:
        bits = np.full(_PLACES.size, pattern, dtype=self._integers)
        return bits.view(self.format.storage).astype(self.dtype)

    def has_bits(self, values: np.ndarray[Any, Any], pattern: int) -> bool:
        # Not compared as numbers: where subnormal inputs count as zero, they compare equal to zero.
        bits = np.asarray(values, dtype=self.format.storage).view(self._integers)
        return bool(np.all(bits == pattern))

    # Powers by ldexp, for in a directed rounding mode 2.0 ** n need not be exact.

    @property
    def unit(self) -> float:
        return math.ldexp(1.0, -self.format.precision)

    @property
    def least(self) -> float:
        return math.ldexp(1.0, self.format.emin)

    @property
    def _integers(self) -> str:
        return f"<u{self.format.bits // 8}"


_KINDS = (
    _Kind("NumPy float64", FORMATS["float64"], np.float64),
    _Kind("NumPy float32", FORMATS["float32"], np.float32),
    _Kind("Python float", FORMATS["float64"], object),
)


def self_test() -> str:
    """Return nothing where arithmetic is IEEE 754's default, else the cause and what to do, in one sentence.

    NumPy's binary64 and binary32 and Python's floats are tried on arrays that reach the vector code: gradual underflow
    of inputs and results, rounding to nearest even, no extended precision, the exactness of TwoSum and TwoProd, and
    exp and log1p within 4 ulp.
    """
    for kind in _KINDS:
        for is_sound, fault in _CHECKS:
            with np.errstate(all="ignore"):
                sound = is_sound(kind)
            if not sound:
                return f"the floating-point self-test fails: {kind.name} {fault}; {_HINT}"
    return ""


def _reads_subnormals(kind: _Kind) -> bool:
    raised = np.multiply(kind.of_bits(1), kind.array([math.ldexp(1.0, kind.format.precision)]))
    return bool(np.all(raised == math.ldexp(1.0, kind.format.emin + 1)))


def _gives_subnormals(kind: _Kind) -> bool:
    least, half = kind.array([kind.least]), 1 << (kind.format.precision - 2)
    products = np.multiply(least, kind.array([0.5]))
    differences = np.subtract(kind.array([1.5 * kind.least]), least)
    return kind.has_bits(products, half) and kind.has_bits(differences, half)


def _rounds_to_even(kind: _Kind) -> bool:
    u = kind.unit
    sums = np.add(kind.array([1.0, 1.0, -1.0, -1.0]), kind.array([u, 3 * u, -u, -3 * u]))
    return bool(np.all(sums == kind.array([1.0, 1 + 4 * u, -1.0, -1 - 4 * u])))


def _rounds_once(kind: _Kind) -> bool:
    # Rounded to 64 bits first, 1 + u (1 + 2^-12) becomes 1 + u, a tie, and then 1.
    u = kind.unit
    sums = np.add(kind.array([1.0, -1.0]), kind.array([u * (1 + 2.0**-12), -u * (1 + 2.0**-12)]))
    return bool(np.all(sums == kind.array([1 + 2 * u, -1 - 2 * u])))


def _operands(kind: _Kind) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    # Integers, so that the identities can be verified with Python's: all ones, two distant ones, the middle, multiples.
    p = kind.format.precision
    ones, half = 2.0**p - 1, 2.0 ** ((p + 1) // 2)
    hard = [ones, -ones, 2.0 ** (p - 1) + 1, 3.0, half + 1, 1 - half, ones * half / 2, -(2.0 ** (p + 3))]
    return kind.array([a for a in hard for _ in hard]), kind.array([b for _ in hard for b in hard])


def _two_sum_is_exact(kind: _Kind) -> bool:
    """Knuth's TwoSum; its identity holds for every pair of operands when rounding is to nearest."""
    a, b = _operands(kind)
    total = np.add(a, b)
    of_b = np.subtract(total, a)
    rest = np.add(np.subtract(a, np.subtract(total, of_b)), np.subtract(b, of_b))
    return _identical((a, b, total, rest), operator.add)


def _two_product_is_exact(kind: _Kind) -> bool:
    """Dekker's TwoProd, with Veltkamp's splitting (Numerische Mathematik 18, 1971, doi:10.1007/BF01397083)."""
    a, b = _operands(kind)
    (a_high, a_low), (b_high, b_low) = _split(kind, a), _split(kind, b)
    product = np.multiply(a, b)
    rest = np.subtract(np.multiply(a_high, b_high), product)
    for left, right in ((a_high, b_low), (a_low, b_high), (a_low, b_low)):
        rest = np.add(rest, np.multiply(left, right))
    return _identical((a, b, product, rest), operator.mul)


def _split(kind: _Kind, a: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    scaled = np.multiply(kind.array([2.0 ** ((kind.format.precision + 1) // 2) + 1]), a)
    high = np.subtract(scaled, np.subtract(scaled, a))
    return high, np.subtract(a, high)


def _identical(arrays: tuple[np.ndarray[Any, Any], ...], operation: Callable[[int, int], int]) -> bool:
    try:
        a, b, high, low = (list(map(int, array.tolist())) for array in arrays)
        return list(map(operation, a, b)) == list(map(operator.add, high, low))
    except (OverflowError, ValueError):  # an infinity or NaN came out
        return False


def _exp_is_sane(kind: _Kind) -> bool:
    return _sane(kind, "exp")


def _log1p_is_sane(kind: _Kind) -> bool:
    return _sane(kind, "log1p")


def _sane(kind: _Kind, name: str) -> bool:
    function = np.frompyfunc(getattr(math, name), 1, 1) if kind.dtype is object else getattr(np, name)
    inside = [(x, y) for x, y in _VALUES[name] if kind.format.smallest_normal <= y <= kind.format.largest]
    expected = np.array([y for _, y in inside]).take(_PLACES, mode="wrap")
    got = np.asarray(function(kind.array([x for x, _ in inside])), dtype=np.float64)
    return bool(np.all(np.abs(got - expected) <= _MOST_ULPS * ulp(expected, kind.format)))


_CHECKS: tuple[tuple[Callable[[_Kind], bool], str], ...] = (
    (_reads_subnormals, "reads subnormal numbers as zero"),
    (_gives_subnormals, "flushes subnormal results to zero"),
    (_rounds_to_even, "does not round to nearest even"),
    (_rounds_once, "rounds twice, through an extended precision"),
    (_two_sum_is_exact, "loses the rounding error of a sum, which TwoSum should give exactly"),
    (_two_product_is_exact, "loses the rounding error of a product, which TwoProd should give exactly"),
    (_exp_is_sane, "has an exp that is more than 4 ulp off"),
    (_log1p_is_sane, "has a log1p that is more than 4 ulp off"),
)
