"""How lossparity calls minigrad."""

import numpy as np

import minigrad
from lossparity.formats import Array
from lossparity.framework import NATIVE, Entry, Unsupported


def entry(function):
    """Name one public function; the spec's classes are on axis 1, or 0 where there is one axis only."""
    return (Entry(lambda x: function(x, axis=min(1, x.array.ndim - 1)), f"minigrad.{function.__name__}", NATIVE),)


class MiniGrad:
    name = "minigrad"
    implementations = {"": {"softmax": entry(minigrad.softmax), "log_softmax": entry(minigrad.log_softmax)}}

    def __init__(self, device):
        if device != "cpu":
            raise Unsupported(f"minigrad has no device {device!r}")

    def pin(self):
        np.seterr(all="ignore")  # infinities are judged, so nobody has to be warned of them
        return {}

    def describe(self):
        return {"minigrad": minigrad.__version__, "device": "cpu", "subnormals": "gradual"}

    def to_device(self, array):
        if array.format not in ("float64", "float32"):
            raise Unsupported(f"minigrad has no {array.format}")
        return minigrad.Tensor(array.data.copy())

    def to_numpy(self, tensor):
        return Array(tensor.array.dtype.name, tensor.array)

    def vjp(self, function, first, rest, keywords):
        value = function(first, *rest, **keywords)
        return value, value.gradient

    def compiler(self):
        raise Unsupported("minigrad has no compiler")

    def compile(self, function, keywords):
        raise Unsupported("minigrad has no compiler")
