"""Keras on TensorFlow: the functions of `on_keras`, and everything else as TensorFlow has it."""

from __future__ import annotations

import os

from lossparity_backends.on_tensorflow import TensorFlow

os.environ["KERAS_BACKEND"] = "tensorflow"  # Keras reads it when it is imported, which is after the adapter

from lossparity_backends.on_keras import OnKeras

__all__ = ["KerasOnTensorFlow"]


class KerasOnTensorFlow(OnKeras, TensorFlow):
    """The adapter of Keras on TensorFlow, for the devices of `TensorFlow`."""
