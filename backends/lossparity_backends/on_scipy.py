"""SciPy: its softmax and log-softmax of NumPy arrays. It has neither losses nor gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from lossparity.framework import NATIVE, Entry, Implementation, Unsupported
from lossparity.model import Request
from lossparity.spec import OPERATIONS
from lossparity_backends.library import Library
from lossparity_backends.on_numpy import Numpy

__all__ = ["SciPy"]

Tensor = np.ndarray[Any, Any]


def _axis(x: Tensor) -> int:
    return min(1, x.ndim - 1)


def _softmax(x: Tensor) -> Tensor:
    return scipy.special.softmax(x, axis=_axis(x))


def _log_softmax(x: Tensor) -> Tensor:
    return scipy.special.log_softmax(x, axis=_axis(x))


def _own_format(request: Request) -> bool:
    """Raise Unsupported for a format that is not NumPy's own: another package's sums are not SciPy's to answer for."""
    if request.arrays[OPERATIONS[request.operation].first].format == "bfloat16":
        raise Unsupported("SciPy has no bfloat16")
    return True


_NO_GRADIENT = "SciPy has no gradient of it"

_LIBRARY: Implementation = {
    "softmax": (Entry(_softmax, "scipy.special.softmax", NATIVE, _own_format, no_gradient=_NO_GRADIENT),),
    "log_softmax": (Entry(_log_softmax, "scipy.special.log_softmax", NATIVE, _own_format, no_gradient=_NO_GRADIENT),),
}


class SciPy(Library, Numpy):
    """The SciPy adapter; its only device is the CPU."""

    library = "scipy"
    version = scipy.__version__
    imported = "import scipy.special"
    functions = _LIBRARY
