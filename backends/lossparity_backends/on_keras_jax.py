"""Keras on JAX: the functions of `on_keras`, and everything else as JAX has it."""

from __future__ import annotations

import os

from lossparity_backends.on_jax import Jax

os.environ["KERAS_BACKEND"] = "jax"  # Keras reads it when it is imported, which is after the adapter

from lossparity_backends.on_keras import OnKeras

__all__ = ["KerasOnJax"]


class KerasOnJax(OnKeras, Jax):
    """The adapter of Keras on JAX, for the devices of `Jax`."""
