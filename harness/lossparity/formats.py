"""The binary floating-point formats, their exact conversions, and arrays that carry a format's name.

NumPy has no bfloat16, so an `Array` holds it as its 16 bits; every other format is its NumPy dtype.
Source of the parameters: IEEE 754-2019 table 3.5; bfloat16 is binary32 cut to 8 significand bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FORMATS", "INTEGERS", "Array", "Format", "ulp"]


@dataclass(frozen=True)
class Format:
    """One binary format: p bits of significand, normal exponents from emin to emax."""

    name: str
    ieee: str
    precision: int
    emin: int
    emax: int
    storage: str

    @property
    def unit(self) -> float:
        """Unit roundoff u = 2**-p, as a float."""
        return 2.0**-self.precision

    @property
    def smallest_normal(self) -> float:
        """2**emin."""
        return 2.0**self.emin

    @property
    def half_smallest_subnormal(self) -> float:
        """The largest error of rounding where the spacing is the subnormal one (in binary64, twice it)."""
        return max(2.0 ** (self.emin - self.precision), 2.0**-1074)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    @property
    def bits(self) -> int:
        """Width of the format."""
        return 8 * np.dtype(self.storage).itemsize

    def round(self, values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Round binary64 values to this format, to nearest even, subnormals and overflow included; still binary64.

        Dividing by the spacing (a power of two) and multiplying by it again are exact, so the only rounding
        is that of `rint`: there is no double rounding through an intermediate format.
        """
        x = np.asarray(values, dtype=np.float64)
        if self.name == "float64":
            return x
        spacing = ulp(x, self)
        with np.errstate(invalid="ignore", over="ignore"):
            rounded = np.rint(x / spacing) * spacing
        rounded = np.where(np.abs(rounded) > self.largest, np.copysign(np.inf, x), rounded)
        return np.where(np.isfinite(x), rounded, x)


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("float64", "binary64", 53, -1022, 1023, "<f8"),
        Format("float32", "binary32", 24, -126, 127, "<f4"),
        Format("bfloat16", "bfloat16", 8, -126, 127, "<u2"),
        Format("float16", "binary16", 11, -14, 15, "<f2"),
    )
}
INTEGERS: dict[str, str] = {"int64": "<i8", "int32": "<i4", "uint8": "|u1"}


def ulp(values: Any, fmt: Format) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the spacing of `fmt` at each real number, never below the subnormal spacing (1 for inf and NaN)."""
    x = np.asarray(values, dtype=np.float64)
    _, exponent = np.frexp(np.where(np.isfinite(x), x, 1.0))  # |x| = f * 2**exponent, 1/2 <= f < 1
    exponent = np.where(x == 0, fmt.emin + 1, exponent)
    lowest = fmt.emin + 1 - fmt.precision
    return np.where(np.isfinite(x), np.ldexp(1.0, np.maximum(exponent - fmt.precision, lowest)), 1.0)


@dataclass(frozen=True, eq=False)
class Array:
    """An n-dimensional array of one format: `data` is its NumPy array, or the bit patterns (uint16) for bfloat16."""

    format: str
    data: np.ndarray[Any, Any]

    def __post_init__(self) -> None:
        """Refuse a dtype that is not the format's storage."""
        storage = FORMATS[self.format].storage if self.format in FORMATS else INTEGERS[self.format]
        if self.data.dtype != np.dtype(storage):
            raise TypeError(f"{self.format} is stored as {storage}, not {self.data.dtype}")

    @classmethod
    def of(cls, values: Any, fmt: str) -> Array:
        """Round numbers (binary64) to a format, to nearest even; integers are taken as they are."""
        if fmt in INTEGERS:
            return cls(fmt, np.asarray(values, dtype=INTEGERS[fmt]))
        rounded = FORMATS[fmt].round(values)
        if fmt == "bfloat16":
            # The rounded values are binary32 numbers whose low 16 bits are 0 (a NaN keeps its top bits).
            return cls(fmt, np.asarray(np.asarray(rounded.astype("<f4")).view("<u4") >> 16, dtype="<u2"))
        return cls(fmt, np.asarray(rounded, dtype=FORMATS[fmt].storage))

    def exact(self) -> np.ndarray[Any, Any]:
        """Return the exact values: binary64 for a floating format, the integers themselves otherwise."""
        if self.format == "bfloat16":
            with np.errstate(invalid="ignore"):  # of signalling NaN
                return np.asarray(np.asarray(self.data.astype("<u4") << np.uint32(16)).view("<f4"), dtype=np.float64)
        return np.asarray(self.data, dtype=np.float64) if self.format in FORMATS else self.data

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, () for a scalar."""
        return tuple(int(n) for n in self.data.shape)
