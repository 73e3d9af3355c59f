"""The conventions that other codebases use, as data: what they change in the spec's formulas, and who uses them.

They name a deviation when one matches, and never excuse it. Notation as in docs/spec.md: q the target as a
distribution, e the smoothing, w the class weights, z = log p, V the positions that are not ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from lossparity.errors import UsageError, suggest

__all__ = ["ALTERNATIVES", "CONVENTIONS", "SPEC", "Choice", "Convention", "convention"]


@dataclass(frozen=True)
class Choice:
    """One way to do one thing: the formula, who uses it, and where that can be read."""

    formula: str
    users: str = ""
    source: str = ""


_KERAS = "keras/src/backend/tensorflow/nn.py, categorical_crossentropy; keras/src/losses/losses.py, from_logits"
_FAIRSEQ = "fairseq/criterions/label_smoothed_cross_entropy.py"
_PADDLE = "python/paddle/nn/functional/loss.py, cross_entropy"
_SEEN = "a mistake that is seen in ports"

# The first choice of each is the spec's.
CONVENTIONS: Mapping[str, Mapping[str, Choice]] = {
    "smoothing": {
        "K": Choice("q' = (1 - e) q + e / K", "torch, TensorFlow, Keras, optax, Paddle, MLX"),
        "K-1": Choice(
            "q' = (1 - e) q + e / (K - 1) (1 - q): nothing of the mass on the target",
            "Megatron-LM, NeMo; later versions of fairseq; sockeye",
            f"megatron/core/tensor_parallel/cross_entropy.py; {_FAIRSEQ}; sockeye/loss.py, cross_entropy_smoothed",
        ),
    },
    "entropy": {
        "kept": Choice("l = -sum_c a_c z_c"),
        "subtracted": Choice(
            "l = sum_c a_c (log q'_c - z_c): 0 at its least; the gradient stays",
            "the examples of flax, with smoothing=K-1; what descends from T5X",
            "flax, examples/wmt/train.py, compute_weighted_cross_entropy; it adds 1e-20 to q', which is left out here",
        ),
    },
    "weights": {
        "class": Choice("a_c = w_c q'_c", "torch"),
        "target": Choice("a_c = q'_c sum_j q_j w_j: the weight of the target, on the smoothing too", _SEEN),
        "none": Choice("a_c = q'_c", _SEEN),
        "averaged": Choice("a_c = q'_c sum_j q'_j w_j", "Paddle, with smoothing or probabilities", _PADDLE),
    },
    "mean": {
        "weights": Choice(
            "D = sum_V w_y; N for probabilities; sum_V of the one weight of each row with weights=target or averaged",
            "torch, ONNX; Paddle, with weights=averaged",
        ),
        "positions": Choice("D = the size of V", "Keras, sum_over_batch_size; MLX", "keras/src/losses/loss.py"),
        "all": Choice("D = N, ignored positions too", "Paddle, where ignore_index is negative", _PADDLE),
        "sum": Choice("D = 1: the sum where the mean was asked for", "fairseq's criteria", _FAIRSEQ),
    },
    "gradient": {
        "divided": Choice("the gradient of the mean"),
        "undivided": Choice("D times the gradient of the mean", _SEEN),
    },
    "base": {
        "e": Choice("natural logarithms"),
        "2": Choice("logarithms to base 2: bits", "fairseq, in what it logs", _FAIRSEQ),
        "10": Choice("logarithms to base 10", _SEEN),
    },
    "softmax": {
        "once": Choice("z = log softmax(x)"),
        "twice": Choice("z = log softmax(softmax(x)): probabilities taken for logits", _SEEN),
    },
    "clip": {
        "none": Choice("z = log p"),
        "1e-7": Choice(
            "z = log of p clipped to [1e-7, 1 - 1e-7], both rounded to the format; no gradient through what is clipped",
            "Keras, where from_logits is left False",
            _KERAS,
        ),
    },
    "axis": {
        "1": Choice("the classes are axis 1", "torch, ONNX"),
        "last": Choice("the classes are the last axis", "TensorFlow, Keras, optax, MLX"),
    },
}


@dataclass(frozen=True)
class Convention:
    """How a formula departs from the spec; each field is a key of `CONVENTIONS`, and its default the spec's choice."""

    smoothing: str = "K"
    entropy: str = "kept"
    weights: str = "class"
    mean: str = "weights"
    gradient: str = "divided"
    base: str = "e"
    softmax: str = "once"
    clip: str = "none"
    axis: str = "1"

    def __str__(self) -> str:
        """Return the text that `convention` reads, empty for the spec's own."""
        chosen = {f.name: str(getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default}
        return ",".join(f"{name}={value}" for name, value in chosen.items())


SPEC = Convention()


def convention(text: str) -> Convention:
    """Read a convention written `field=choice`, several separated by commas, such as `smoothing=K-1,mean=sum`.

    Raises UsageError, with the nearest known name, for what is not one.
    """
    chosen: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if name not in CONVENTIONS:
            raise UsageError(f"no convention is called {name!r}", where=repr(text), hint=suggest(name, CONVENTIONS))
        if not equals or value not in CONVENTIONS[name]:
            hint = suggest(value, CONVENTIONS[name], "choice")
            raise UsageError(f"{name} is not {value!r} anywhere", where=repr(text), hint=hint)
        if name in chosen:
            raise UsageError(f"{name} is given twice", where=repr(text), hint="leave one of them out")
        chosen[name] = value
    return Convention(**chosen)


ALTERNATIVES: Mapping[str, Convention] = MappingProxyType(
    {
        str(one): one
        for one in (
            *(convention(f"{name}={value}") for name, choices in CONVENTIONS.items() for value in choices),
            Convention(smoothing="K-1", entropy="subtracted"),
        )
        if one != SPEC
    }
)
"""Every single departure, and those that are in use together, by their text: what a deviation can be named by."""
