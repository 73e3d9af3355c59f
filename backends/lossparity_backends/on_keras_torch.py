"""Keras on PyTorch: the functions of `on_keras`, and everything else as PyTorch has it."""

from __future__ import annotations

import os
from typing import Mapping

from lossparity.framework import Implementation, Phrases
from lossparity_backends.on_torch import Torch

os.environ["KERAS_BACKEND"] = "torch"  # Keras reads it when it is imported, which is after the adapter

import keras

from lossparity_backends.on_keras import LIBRARY, pinned, spelled

__all__ = ["KerasOnTorch"]


class KerasOnTorch(Torch):
    """The adapter of Keras on PyTorch, for the devices of `Torch`."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        # Keras moves what it is given to its own device, which is a GPU wherever there is one.
        self._scope = keras.device(device)
        self._scope.__enter__()

    def pin(self) -> Mapping[str, str]:
        """Fix what PyTorch and Keras have to fix."""
        return {**super().pin(), **pinned()}

    def describe(self) -> Mapping[str, str]:
        """Return the versions of both, the device and the traits."""
        return {**super().describe(), "keras": keras.__version__}

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        return spelled(super().phrases, "torch", f'os.environ["KERAS_TORCH_DEVICE"] = "{self._device}"')

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The variant `keras` beside those of PyTorch."""
        return {**super().implementations, "keras": LIBRARY}
