"""The operations and clauses of the loss spec, as data: the vocabulary of cases, checks and reports.

`docs/spec.md` states each clause in full; the ids here and there are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CLAUSES",
    "COMPILERS",
    "DEFAULTS",
    "FORMAT_ALIASES",
    "LAYOUTS",
    "OPERATIONS",
    "PASSES",
    "REDUCTIONS",
    "TIMED",
    "Clause",
    "Operation",
]

REDUCTIONS = ("none", "mean", "sum")
DEFAULTS = {"weight": None, "ignore_index": -100, "label_smoothing": 0.0, "reduction": "mean"}
"""What holds for a keyword that nobody states."""
FORMAT_ALIASES = {
    "fp64": "float64",
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "binary64": "float64",
    "binary32": "float32",
    "binary16": "float16",
}
"""Other names that a person may give a format."""
PASSES = ("both", "forward", "backward")
"""The passes that are timed: value and gradient, the value alone, and the gradient after it.

They are prepared in this order, so that the first call of `both` pays for all that is compiled.
"""
COMPILERS = {"torch": "compile", "jax": "jit", "tensorflow": "xla", "numpy": ""}
"""How the compiled mode of a framework is called, as in `torch+compile`; empty where it has none."""


@dataclass(frozen=True)
class Operation:
    """One operation: its first argument, whether it takes a target, and the keywords it knows."""

    name: str
    first: str
    target: bool
    keywords: tuple[str, ...]
    differentiable: bool
    about: str


_LOSS = ("weight", "ignore_index", "reduction")

OPERATIONS: dict[str, Operation] = {
    o.name: o
    for o in (
        Operation("softmax", "logits", False, (), True, "p_i = exp(x_i) / sum_j exp(x_j)"),
        Operation("log_softmax", "logits", False, (), True, "z_i = x_i - log sum_j exp(x_j)"),
        Operation("nll_loss", "log_probs", True, _LOSS, True, "l_n = -w_y z_y"),
        Operation(
            "cross_entropy",
            "logits",
            True,
            (*_LOSS, "label_smoothing"),
            True,
            "index target: (1-e) w_y (-z_y) + (e/K) sum_c w_c (-z_c); probabilities q: -sum_c w_c q'_c z_c",
        ),
        Operation("one_hot", "logits", True, (), False, "1 at the target, 0 elsewhere (worked example)"),
        Operation("exp", "logits", False, (), True, "exp(x_i), not shifted (worked example)"),
        Operation("row_sum", "logits", False, (), True, "sum_c exp(x_c), not shifted (worked example)"),
        Operation("log_softmax_row_sum", "logits", False, (), True, "sum_c z_c (worked example)"),
        Operation("smoothing_term", "logits", False, ("reduction",), True, "-(1/K) sum_c z_c (worked example)"),
    )
}


@dataclass(frozen=True)
class Clause:
    """One clause: `kind` is must, choice or info; `basis` is mathematics, IEEE 754 or convention."""

    id: str
    kind: str
    basis: str
    text: str


_M, _I, _C = "mathematics", "IEEE 754", "convention"

CLAUSES: dict[str, Clause] = {
    c.id: c
    for c in (
        Clause("S1", "must", _M, "values as defined, within the bound"),
        Clause("S2", "must", _M, "finite logits give a finite result, whatever their size or common offset"),
        Clause("S3", "must", _I, "a -inf logit gives p = 0 and z = -inf; the others are as if it were absent"),
        Clause("S4", "must", _I, "a NaN in a row makes that row NaN, and no other row"),
        Clause("S5", "choice", _I, "a row holding +inf: the whole row NaN, or the limit"),
        Clause("S6", "choice", _I, "a row all -inf: NaN, or p = 0 and z = -inf, the whole row alike"),
        Clause("S7", "must", _M, "one class and a finite logit give p = 1 and z = 0 exactly"),
        Clause("S8", "must", _M, "rows of p add up to 1; p >= 0; z <= 0"),
        Clause("S9", "must", _M, "adding a constant to every logit changes nothing, where the addition is exact"),
        Clause("N1", "must", _C, "values, weights and the three reductions as defined"),
        Clause("N2", "must", _C, "ignored positions add nothing to value, divisor or gradient"),
        Clause("N3", "choice", _C, "the mean over no position is NaN, or 0"),
        Clause("N4", "must", _C, "an index outside [0, K) raises or gives NaN, never a finite loss"),
        Clause("N5", "must", _C, "int64 targets; int32 and uint8 accepted and right, or refused"),
        Clause("N6", "choice", _C, "an empty batch: none is empty, sum 0, mean NaN or 0, or a clear error"),
        Clause("C1", "must", _C, "the smoothing mass is e/K on every class, the target's included"),
        Clause("C2", "must", _C, "weights act on the smoothing term per class"),
        Clause("C3", "choice", _C, "e outside [0, 1]: an error, the formula's value, or that of e clamped"),
        Clause("C4", "must", _M, "e > 0 with a -inf logit in a class of positive weight: +inf"),
        Clause("C5", "must", _M, "a -inf logit that counts at the target: +inf, never NaN; else it adds 0"),
        Clause("C6", "info", _M, "relative accuracy of the loss and of the target's gradient near p = 1"),
        Clause("Q1", "must", _M, "values as defined; target rows need not add up to 1"),
        Clause("Q2", "must", _M, "0 * (-inf) = 0: a masked class without target mass adds nothing"),
        Clause("Q3", "must", _M, "a one-hot probability target gives the index target's values"),
        Clause("G1", "must", _M, "gradient as defined, for any upstream gradient"),
        Clause("G2", "must", _M, "gradient rows add up to 0 within the bound"),
        Clause("G3", "must", _C, "an ignored row's gradient is zero"),
        Clause("G4", "must", _M, "gradients of mean and sum agree with that of none"),
        Clause("D1", "must", _C, "the result has the format of the logits, or binary32 where they have 16 bits"),
        Clause("D2", "must", _M, "no intermediate overflow turns a representable value into inf, 0 or NaN"),
        Clause("D3", "must", _I, "a result beyond the range of its format is +-inf, 0 or the smallest subnormal"),
        Clause("M1", "must", _M, "sum and mean are those of the returned none values"),
        Clause("M2", "must", _M, "permuting classes or rows permutes the result"),
        Clause("M3", "must", _M, "a row's result does not depend on the other rows"),
        Clause("M4", "must", _C, "dropping the ignored rows and keeping them give the same mean"),
        Clause("M5", "must", _M, "strided, transposed and offset inputs give the contiguous result"),
        Clause("M6", "must", _C, "inputs are left unmodified"),
        Clause("M7", "must", _C, "twice on the same device: the same bits"),
        Clause("M8", "must", _M, "eager and compiled modes agree within the bound"),
        Clause("X1", "must", _C, "a valid input never ends in a time-out, an exit or a crash"),
        Clause("P1", "info", _C, "speed and memory"),
    )
}

LAYOUTS = ("strided", "transposed", "offset")
"""How inputs may lie in memory, other than in C order: with gaps, the first axis fastest, within a larger array."""

TIMED = "P1"
"""The clause of cases that are timed, and not judged."""
