"""minigrad: tensors on NumPy that know what they were computed from, and two functions of them."""

import numpy as np

__version__ = "0.1"


class Tensor:
    """An array, the tensor it was computed from, and how an upstream gradient goes back to that one."""

    def __init__(self, array, source=None, back=None):
        self.array, self.source, self.back = np.asarray(array), source, back

    def __mul__(self, number):
        return Tensor(self.array * number, self, lambda up: up * number)

    def gradient(self, up):
        """Return the gradient with respect to the first tensor of the chain, for an upstream gradient."""
        return self.source.gradient(self.back(up)) if self.source else up


def softmax(x, axis=-1):
    """Return the probabilities along an axis; a row of -inf only has equal ones, so that it can be drawn from."""
    e = np.exp(_shifted(x.array, axis))
    p = e / e.sum(axis, keepdims=True)
    return Tensor(p, x, lambda up: Tensor(p * (up.array - (p * up.array).sum(axis, keepdims=True))))


def log_softmax(x, axis=-1):
    """Return the logarithms of the probabilities."""
    d = _shifted(x.array, axis)
    z = d - np.log(np.exp(d).sum(axis, keepdims=True))
    return Tensor(z, x, lambda up: Tensor(up.array - np.exp(z) * up.array.sum(axis, keepdims=True)))


def _shifted(x, axis):
    largest = x.max(axis, keepdims=True)
    return np.where(largest == -np.inf, 0, x - largest)
