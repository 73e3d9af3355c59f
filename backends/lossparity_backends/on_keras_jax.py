"""Keras on JAX: the functions of `on_keras`, and everything else as JAX has it."""

from __future__ import annotations

import os
from typing import Mapping

from lossparity.framework import Implementation, Phrases
from lossparity_backends.on_jax import Jax

os.environ["KERAS_BACKEND"] = "jax"  # Keras reads it when it is imported, which is after the adapter

import keras

from lossparity_backends.on_keras import LIBRARY, pinned, spelled

__all__ = ["KerasOnJax"]


class KerasOnJax(Jax):
    """The adapter of Keras on JAX, for the devices of `Jax`."""

    def pin(self) -> Mapping[str, str]:
        """Fix what JAX and Keras have to fix."""
        return {**super().pin(), **pinned()}

    def describe(self) -> Mapping[str, str]:
        """Return the versions of both, the device and the traits."""
        return {**super().describe(), "keras": keras.__version__}

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        return spelled(super().phrases, "jax")

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The variant `keras` beside those of JAX."""
        return {**super().implementations, "keras": LIBRARY}
