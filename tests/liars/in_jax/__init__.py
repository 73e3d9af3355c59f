"""Loss functions for JAX: right, and wrong on purpose, written as training code is."""
