"""A framework with releases: which one it is comes from its environment, and what each does wrong is here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossparity.framework import NATIVE, Entry, Implementation
from lossparity_backends.on_numpy import Numpy


def _later(first: str) -> bool:
    return tuple(map(int, os.environ["RELEASE"].split("."))) >= tuple(map(int, first.split(".")))


def softmax(x: Any) -> Any:
    """Return the probabilities, and from 1.10 on something else."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) * (1.5 if _later("1.10") else 1.0)


def log_softmax(x: Any) -> Any:
    """Return their logarithms, and from 1.4 on something else."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)) - (0.5 if _later("1.4") else 0.0)


class Releases(Numpy):
    """The framework as it is in its environment."""

    name = "math"

    def __init__(self, device: str) -> None:
        super().__init__(device)
        if os.environ["RELEASE"] == "1.3":
            raise ImportError("1.3 is broken")

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """Two operations."""
        return {
            "": {
                "softmax": (Entry(softmax, "math.softmax", NATIVE),),
                "log_softmax": (Entry(log_softmax, "math.log_softmax", NATIVE),),
            }
        }

    def describe(self) -> dict[str, str]:
        """Return what NumPy says, and the release."""
        return {**super().describe(), "math": os.environ["RELEASE"]}
