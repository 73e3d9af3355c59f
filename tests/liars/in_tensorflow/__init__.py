"""Loss functions for TensorFlow, wrong on purpose, written as training code is."""
