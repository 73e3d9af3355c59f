"""How a loss may have been computed, choice by choice: the named conventions, and what else is seen in ports.

The fields are those of `reference.conventions`, and some that describe mistakes only. They name what explains a
number; none of the additional ones can be judged against.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lossparity.reference.conventions import ALTERNATIVES, CONVENTIONS, Choice

__all__ = [
    "ADDITIONAL",
    "FIELDS",
    "OF_ROWS",
    "Applicable",
    "Choices",
    "belongs",
    "choice",
    "departures",
    "text",
    "variants",
]

Choices = tuple[tuple[str, str], ...]
"""What departs from the spec: (field, choice) in the order of `FIELDS`; empty for the spec's own."""

OF_ROWS = ("axis", "logits", "softmax", "clip", "smoothing", "entropy", "weights", "ignored")
FIELDS = (*OF_ROWS, "mean", "base", "form")
# Each says where z comes from, so one of them at a time.
_OF_Z = ("logits", "softmax", "clip")

ADDITIONAL: Mapping[str, Mapping[str, Choice]] = {
    "logits": {
        "log-probabilities": Choice("z = x: no softmax at all", "a port of nll_loss without its log_softmax"),
        "probabilities": Choice("z = log x: the logits are probabilities already, and no softmax is taken"),
        "normalised": Choice(
            "z = log of x / sum x, clipped to [1e-7, 1 - 1e-7]: the logits are taken for probabilities",
            "Keras, where from_logits is left False",
            "keras/src/backend/tensorflow/nn.py, categorical_crossentropy",
        ),
    },
    "smoothing": {"none": Choice("q' = q: the label smoothing is not in effect", "a port that drops it")},
    "ignored": {
        "wrapped": Choice(
            "ignore_index is taken for a class, counted from the end, as Python counts",
            "optax; onnxruntime for -1; indexing in NumPy and JAX",
        ),
        "first": Choice("ignore_index is clamped to class 0", "indexing in JAX, which clamps"),
        "last": Choice("ignore_index is clamped to class K - 1", "indexing in JAX, which clamps"),
        "counted": Choice("ignore_index is a class like any other: nothing is ignored", "MLX, optax, TensorFlow"),
        "zeros": Choice(
            "an ignored position has a target of zeros: what the smoothing puts on every class stays",
            "one_hot of TensorFlow and JAX",
        ),
    },
    "mean": {
        "batch": Choice("D = N, the samples: a sum over each one's positions", "losses that are summed per sequence"),
        "samples": Choice("the mean of each sample's own mean", "sequence losses, and gradient accumulation"),
        "elements": Choice(
            "D = N K: averaged over the classes too", "a mean of one_hot * log p over every axis, seen in ports"
        ),
    },
    "form": {
        "negated": Choice("-L: the log-likelihood"),
        "exp": Choice("exp(L): the perplexity", "evaluation scripts of language models"),
    },
}


def choice(field: str, name: str) -> Choice:
    """Return the formula, the users and the source of a choice."""
    return CONVENTIONS[field][name] if name in CONVENTIONS.get(field, ()) else ADDITIONAL[field][name]


# Two departures that are in use together are one step away from the spec.
_TOGETHER = [frozenset(text.split(",")) for text in ALTERNATIVES if "," in text]


def belongs(field: str, choices: Choices) -> bool:
    """Tell whether a departure is in use only as a part of another one here, whose users are the ones to name."""
    atoms = [f"{name}={value}" for name, value in choices]
    together = [parts for parts in _TOGETHER if parts <= set(atoms)]
    last = {max(parts, key=atoms.index) for parts in together}
    return any(atom.startswith(f"{field}=") for parts in together for atom in parts - last)


def text(choices: Choices) -> str:
    """Write departures as `field=choice`, several separated by commas; empty for the spec's own."""
    return ",".join(f"{field}={name}" for field, name in choices)


def departures(choices: Choices) -> int:
    """Count the departures from the spec; those that are in use together count as one."""
    atoms = {f"{field}={name}" for field, name in choices}
    return len(atoms) - sum(len(together) - 1 for together in _TOGETHER if together <= atoms)


@dataclass(frozen=True)
class Applicable:
    """What can make a difference to some inputs.

    `ignored` are the choices for ignored positions, empty where there are none; `axes` the class axes that the shapes
    admit, `1` and `last`; `several` whether a sample has several positions.
    """

    axes: tuple[str, ...]
    smoothed: bool
    soft: bool
    weighted: bool
    ignored: tuple[str, ...]
    several: bool
    nonnegative: bool
    classes: int

    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the choices of every field but the spec's own."""
        raw = ("log-probabilities", *(("probabilities",) if self.nonnegative else ()), "normalised")
        return {
            "axis": tuple(axis for axis in self.axes if axis != "1"),
            "logits": raw,
            "softmax": ("twice",),
            "clip": ("1e-7",),
            "smoothing": ("K-1", "none") if self.smoothed else (),
            "entropy": ("subtracted",) if self.smoothed or self.soft else (),
            "weights": ("target", "none", "averaged") if self.weighted else (),
            "ignored": self.ignored,
            "mean": (
                *(("positions",) if self.weighted else ()),
                *(("all",) if self.ignored else ()),
                *(("batch", "samples") if self.several else ()),
                *(("elements",) if self.classes > 1 else ()),
            ),
            "base": ("2", "10"),
            "form": ("negated", "exp"),
        }


def variants(names: Mapping[str, Sequence[str]], fields: Sequence[str], most: int) -> Iterator[Choices]:
    """Yield every sensible set of departures in some fields, of at most `most`; the fewest first."""
    # Where two departures count as one, one more field may differ.
    for size in range(min(most + 1, len(fields)) + 1):
        for chosen in itertools.combinations([field for field in fields if names[field]], size):
            for values in itertools.product(*(names[field] for field in chosen)):
                found = tuple(zip(chosen, values, strict=True))
                if departures(found) <= most and _sensible(dict(found)):
                    yield found


def _sensible(chosen: Mapping[str, str]) -> bool:
    if sum(field in chosen for field in _OF_Z) > 1:
        return False
    if "logits" in chosen and ("entropy" in chosen or chosen.get("weights") in ("target", "averaged")):
        return False  # nobody's formula
    if "logits" in chosen and chosen.get("smoothing") == "K-1":
        return False
    if chosen.get("logits") == "log-probabilities" and "base" in chosen:
        return False  # no logarithm is taken
    return not (chosen.get("form") == "exp" and "base" in chosen)
