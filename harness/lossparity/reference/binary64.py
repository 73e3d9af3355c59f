"""Binary64 numbers for the first tier of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lossparity.constants import NUMPY_ULPS
from lossparity.reference.approximate import Numbers

__all__ = ["BINARY64"]

Parts = tuple[npt.NDArray[np.float64], ...]

# Terms that are added one after the other at each level of a sum; 16 rows side by side keep the vector units busy.
_RADIX = 16


def _total(parts: Parts) -> tuple[Parts, int]:
    """Sum along the last axis in a tree whose height is known: NumPy's own order of summation is not documented."""
    (a,) = parts
    height = 0
    while (n := a.shape[-1]) > 1:
        columns = -(-n // _RADIX)
        rows, left = divmod(n, columns)
        folded = np.add.reduce(a[..., : rows * columns].reshape(*a.shape[:-1], rows, columns), axis=-2)
        if left:
            folded[..., :left] += a[..., rows * columns :]
        height += rows - (not left)
        a = folded
    return (a if a.shape[-1] else np.zeros((*a.shape[:-1], 1)),), height


def _exact(values: Any) -> Parts:
    return (np.asarray(values, dtype=np.float64),)


BINARY64 = Numbers(
    name="float64",
    unit=2.0**-53,
    function=2 * NUMPY_ULPS.value * 2.0**-53,
    tiny=4 * 2.0**-1074,
    exact=_exact,
    add=lambda a, b: (a[0] + b[0],),
    multiply=lambda a, b: (a[0] * b[0],),
    divide=lambda a, b: (a[0] / b[0],),
    exp=lambda a: (np.exp(a[0]),),
    log1p=lambda a: (np.log1p(a[0]),),
    total=_total,
)
