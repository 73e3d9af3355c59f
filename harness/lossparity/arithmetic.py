"""Models of computer arithmetic: what each step of a softmax, a loss or a gradient may lose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from lossparity.constants import EXP_ULPS, FAR, LANES, LOG_ULPS
from lossparity.formats import FORMATS

__all__ = ["SOURCES", "Arithmetic", "compounded", "height", "models", "plus"]

Values = float | np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def height(n: int, lanes: int) -> int:
    """Height of the tree of a sum of n terms: `lanes` serial sums side by side, then added in pairs."""
    serial = max(n - 1, 0)
    return min(serial, -(-n // lanes) + lanes.bit_length() - 1) if lanes > 1 else serial


def plus(a: float, b: float) -> float:
    """Return (1 + a)(1 + b) - 1, which binary64 would round to nothing."""
    return a + b + a * b


def compounded(unit: float, n: float) -> float:
    """Return (1 + unit)^n - 1."""
    return float(np.expm1(n * np.log1p(unit)))


@dataclass(frozen=True)
class Arithmetic:
    """What each step may lose, relative to its result unless said otherwise.

    `shift`: x - m; `exp`, `log`: the functions; `sums`: one level of a sum's tree, of `lanes` serial sums side by side;
    `finished`: a sum that was kept in a wider format and is rounded at its end; `divide`: a division or reciprocal;
    `unit`: every other operation; `underflow`: absolute, any operation; `output`, `output_underflow`: the one rounding
    of a result that was computed in a wider format. `flushed`: subnormal numbers are read and written as 0. `chained`:
    a backward pass may be composed of the steps' own, each with its rounding.
    """

    shift: float
    exp: float
    sums: float
    finished: float
    log: float
    divide: float
    unit: float
    underflow: float
    lanes: int
    output: float = 0.0
    output_underflow: float = 0.0
    flushed: bool = False
    chained: bool = False

    def growth(self, n: int) -> float:
        """Relative error G of a sum of n terms of one sign: (1 + u)^h - 1, times the rounding of a finished sum."""
        return float(np.expm1(height(n, self.lanes) * np.log1p(self.sums) + np.log1p(self.finished)))

    def roundings(self, n: float) -> float:
        """Relative error of n roundings in a row: (1 + u)^n - 1."""
        return compounded(self.unit, n)

    def shifted(self, moment: Values, n: int, most: Values = 1.0) -> Values:
        """Bound sum_i f_i p_i (e^(u d_i) - 1), from sum_i f_i p_i d_i, over n classes with 0 <= f_i <= most.

        Up to d = FAR by the chord of the convex e^(u d) - 1; beyond, f_i p_i e^(u d_i) <= most e^(-(1 - u) FAR).
        """
        if self.shift == 0:
            return 0.0 * moment
        chord = np.expm1(self.shift * FAR.value) / FAR.value
        return moment * chord + most * (n * np.exp(-(1 - self.shift) * FAR.value))

    def only(self, sources: tuple[str, ...]) -> Arithmetic:
        """Return the same arithmetic with every other source of error switched off."""
        off: dict[str, Any] = {name: 0.0 for source in SOURCES if source not in sources for name in _FIELDS[source]}
        return replace(self, **off)


_FIELDS = {
    "shift": ("shift",),
    "exp": ("exp",),
    "sum": ("sums", "finished"),
    "log": ("log",),
    "divide": ("divide",),
    "rounding": ("unit", "output"),
    "underflow": ("underflow", "output_underflow"),
}
SOURCES = tuple(_FIELDS)
"""The sources of error, in the order of the computation."""


@cache
def models(fmt: str, *, flushed: bool) -> dict[str, Arithmetic]:
    """Return the arithmetic of the tight and of the loose bound of a format's results."""
    own, single = FORMATS[fmt], FORMATS["float32"]
    if own.bits > 16:
        tight = _plain(fmt, int(LANES[fmt].value), flushed)
        return {"tight": tight, "loose": replace(tight, lanes=1, chained=True)}
    eta = EXP_ULPS["rounded"].value * 2 * own.unit
    under, u = _underflow(fmt, flushed), own.unit
    narrow = Arithmetic(u, eta, single.unit, u, LOG_ULPS["rounded"].value * 2 * u, u, u, under, 1)
    wide = _plain("float32", int(LANES["float32"].value), flushed)
    return {
        # A selected entry is a number of the format, which binary32 holds as a normal one.
        "tight": replace(wide, output=u, output_underflow=under, flushed=False),
        "loose": replace(narrow, flushed=flushed and fmt != "float16", chained=True),
    }


def _plain(fmt: str, lanes: int, flushed: bool) -> Arithmetic:
    u = FORMATS[fmt].unit
    exp, log = EXP_ULPS[fmt].value * 2 * u, LOG_ULPS[fmt].value * 2 * u
    return Arithmetic(u, exp, u, 0.0, log, u, u, _underflow(fmt, flushed), lanes, flushed=flushed)


def _underflow(fmt: str, flushed: bool) -> float:
    # binary16 is computed without flushing everywhere; elsewhere a framework may flush subnormals to 0.
    own = FORMATS[fmt]
    return own.smallest_normal if flushed and fmt != "float16" else own.half_smallest_subnormal
