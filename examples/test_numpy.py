"""A cross-entropy for NumPy, which has no autograd: the gradient is an attribute; `pytest examples/test_numpy.py`."""

import numpy as np

import lossparity


def prepared(logits, target, weight, ignore_index, label_smoothing):
    """Return log-softmax and the coefficients of the classes, with the classes last, and what the mean divides by."""
    x = np.moveaxis(logits, min(1, logits.ndim - 1), -1)
    x = x.astype(np.float32) if x.itemsize < 4 else x  # 16 bits are for storage
    d = x - x.max(-1, keepdims=True)
    z = d - np.log(np.exp(d).sum(-1, keepdims=True))
    classes = x.shape[-1]
    counts = target != ignore_index
    if np.any(counts & ((target < 0) | (target >= classes))):
        raise IndexError(f"a target is outside of [0, {classes})")
    w = np.where(counts[..., None], 1 if weight is None else weight.astype(x.dtype), x.dtype.type(0))
    w = np.broadcast_to(w, x.shape)
    onehot = target[..., None] == np.arange(classes)
    q = w * ((1 - label_smoothing) * onehot + label_smoothing / classes).astype(x.dtype)
    divisor = np.sum(w * onehot)
    return z, q, np.where(divisor == 0, np.nan, divisor).astype(x.dtype)  # a mean over nothing is NaN


def cross_entropy(logits, target, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    z, q, divisor = prepared(logits, target, weight, ignore_index, label_smoothing)
    # A class that does not count adds 0, also where it is masked with -inf.
    losses = -np.sum(np.where(q == 0, 0, q * z), -1, dtype=z.dtype)
    if reduction == "none":
        return losses.astype(logits.dtype)
    return (np.sum(losses) / (divisor if reduction == "mean" else 1)).astype(logits.dtype)


def gradient(logits, target, upstream, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    z, q, divisor = prepared(logits, target, weight, ignore_index, label_smoothing)
    each = upstream.astype(z.dtype) / (divisor if reduction == "mean" else 1)
    rows = each[..., None] * (q.sum(-1, keepdims=True) * np.exp(z) - q)
    return np.moveaxis(rows, -1, min(1, logits.ndim - 1)).astype(logits.dtype)


cross_entropy.gradient = gradient

test_cross_entropy = lossparity.conforms(supports=["indices"])(cross_entropy)
