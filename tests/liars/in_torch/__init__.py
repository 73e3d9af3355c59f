"""Loss functions for PyTorch: right, and wrong on purpose, written as kernels and training code are."""
