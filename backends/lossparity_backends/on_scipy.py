"""SciPy: its softmax and log-softmax of NumPy arrays. It has neither losses nor gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

import numpy as np
import scipy.special

from lossparity.framework import NATIVE, Entry, Implementation, Phrases, Unsupported
from lossparity.model import Request
from lossparity.spec import OPERATIONS
from lossparity_backends.on_numpy import Numpy

__all__ = ["SciPy"]

Tensor = np.ndarray[Any, Any]


class SciPy(Numpy):
    """The SciPy adapter; its only device is the CPU."""

    def describe(self) -> Mapping[str, str]:
        """Return the versions of both, the processor and the traits."""
        return {**super().describe(), "scipy": scipy.__version__}

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        numpy = super().phrases
        return replace(
            numpy,
            imports=("import scipy.special",),
            version=f'{numpy.version}, "scipy", scipy.__version__',
        )

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The variant `scipy` beside those of NumPy."""
        return {**super().implementations, "scipy": _LIBRARY}


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
