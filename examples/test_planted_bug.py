"""A planted bug, and its name: the mean counts the ignored rows too; `pytest examples/test_planted_bug.py`."""

import numpy as np

import lossparity


def rows(logits, target, ignore_index):
    """Return the losses of the rows, and their gradients."""
    d = logits - logits.max(1, keepdims=True)
    z = d - np.log(np.exp(d).sum(1, keepdims=True))
    counts = target != ignore_index
    if np.any(counts & ((target < 0) | (target >= z.shape[1]))):
        raise IndexError("a target is no class")
    onehot = target[:, None] == np.arange(z.shape[1])
    losses = -np.sum(np.where(onehot, z, 0), 1)
    return np.where(counts, losses, 0), np.where(counts[:, None], np.exp(z) - onehot, 0)


def cross_entropy(logits, target, *, ignore_index=-100, reduction="mean"):
    losses, _ = rows(logits, target, ignore_index)
    if reduction == "mean":
        return np.asarray(losses.mean(), logits.dtype)  # the bug: ignored rows are 0, and still divide
    return np.asarray(losses.sum() if reduction == "sum" else losses, logits.dtype)


def gradient(logits, target, upstream, *, ignore_index=-100, reduction="mean"):
    _, each = rows(logits, target, ignore_index)
    share = upstream / len(target) if reduction == "mean" else upstream
    return (np.broadcast_to(share, target.shape)[:, None] * each).astype(logits.dtype)


cross_entropy.gradient = gradient


def test_the_bug_is_found_and_named():
    supports = ["float64", "float32", "2d", "indices", "ignore_index", "reduction"]
    found = lossparity.check(cross_entropy, supports=supports)
    assert not found.conforms
    named, *others = found.summary.causes
    assert named.id == "mean=all" and not others
    assert str(found).startswith(f"1. mean=all, {len(named.results)} results\n   D = N, ignored positions too")
