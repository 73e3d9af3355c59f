"""Numbers as they were printed: what their digits leave open."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossparity.errors import UsageError
from lossparity.explaining.givens import array
from lossparity.reference import Floats

__all__ = ["Printed", "printed"]

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True, eq=False)
class Printed:
    """A number, or one for each position (M,); `half` a unit of the last digit is what `digits` digits leave open."""

    text: str
    value: Floats
    half: Floats
    digits: int
    per_position: bool = False


def printed(number: Any) -> Printed:
    """Read a number, a str or real number, or an array of them; UsageError for what is not finite or no number."""
    if isinstance(number, list | tuple) or (isinstance(number, np.ndarray) and number.ndim):
        found = array(number, "number")
        values = np.asarray(found, dtype=np.float64)
        if values.size == 0 or not np.isfinite(values).all():
            raise UsageError("an array of losses has to hold finite numbers", hint="one for each position")
        # Printed to as many decimals as the longest: the others end in zeros.
        last, digits = min(_digits(str(one)) for one in found.reshape(-1).tolist())
        return Printed(
            f"array of shape {values.shape}", values.reshape(-1), np.full(values.size, _half(last)), digits, True
        )
    if isinstance(number, bool | np.bool_) or not isinstance(number, str | int | float | np.generic):
        raise UsageError(f"{number!r} is no number", hint="a decimal such as 1.25, or an array")
    said = str(number).strip()
    if not _NUMBER.fullmatch(said):
        raise UsageError(f"{said!r} is no finite number", hint="a decimal such as 1.25, -0.5 or 3.1e-4")
    value = float(said)
    if not math.isfinite(value):
        raise UsageError(f"{said} is beyond binary64", hint="a loss that has overflowed has no convention to find")
    last, digits = _digits(said)
    return Printed(said, np.array([value]), np.array([_half(last)]), digits)


def _digits(said: str) -> tuple[int, int]:
    """Return the power of ten of a decimal's last digit, and how many digits are significant."""
    mantissa, _, exponent = said.lower().partition("e")
    whole, _, decimals = mantissa.lstrip("+-").partition(".")
    return int(exponent or "0") - len(decimals), len((whole + decimals).lstrip("0") or "0")


def _half(last: int) -> float:
    return 0.5 * float(f"1e{last}")
