"""Keras on PyTorch: the functions of `on_keras`, and everything else as PyTorch has it."""

from __future__ import annotations

import os

from lossparity_backends.on_torch import Torch

os.environ["KERAS_BACKEND"] = "torch"  # Keras reads it when it is imported, which is after the adapter

import keras

from lossparity_backends.on_keras import OnKeras

__all__ = ["KerasOnTorch"]


class KerasOnTorch(OnKeras, Torch):
    """The adapter of Keras on PyTorch, for the devices of `Torch`."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        # Keras moves what it is given to its own device, which is a GPU wherever there is one.
        self._scope = keras.device(device)
        self._scope.__enter__()

    def environment(self) -> tuple[str, ...]:
        """Return the lines of a script that say what Keras runs on, and on which device."""
        return (*super().environment(), f'os.environ["KERAS_TORCH_DEVICE"] = "{self._device}"')
