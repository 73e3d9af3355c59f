"""Every implementation of the package: the liars with what they must be caught for, and the correct ones."""

from __future__ import annotations

from collections.abc import Sequence

from liars import table_batches, table_careless, table_frameworks, table_kernels, table_losses, table_numpy
from liars.entries import Correct, Liar

__all__ = ["ALL", "CORRECT", "FIXED", "HONEST", "LIARS", "fixed"]

LIARS = (
    *table_numpy.TABLE,
    *table_kernels.TABLE,
    *table_batches.TABLE,
    *table_losses.TABLE,
    *table_frameworks.TABLE,
    *table_careless.TABLE,
)

HONEST = "honest:honest"
_ALL, _NOT_NLL = ("softmax", "log_softmax", "nll_loss", "cross_entropy"), ("softmax", "log_softmax", "cross_entropy")
# The NumPy ones differ in their arithmetic, of which nll_loss has next to none.
CORRECT = (
    Correct(HONEST, _ALL),
    *(
        Correct(f"correct:{name}", _NOT_NLL)
        for name in (
            "widened",
            "one_after_another",
            "backwards",
            "halving",
            "compensated",
            "online",
            "rest_apart",
            "exponential_of_logarithm",
            "reciprocal",
            "saved",
            "own_format",
            "saved_in_format",
            "in_rising_order",
            "base_two",
            "pads_masked",
            "whole_shift",
        )
    ),
    Correct("in_torch.right:fused", _NOT_NLL),
    Correct("in_torch.right:chunked", ("cross_entropy",)),
    Correct("in_torch.right:online", ("log_softmax", "cross_entropy")),
    Correct("in_torch.right:multiplied", ("cross_entropy",)),
    Correct("in_torch.right:attached", ("log_softmax",)),
    Correct("in_jax.right:scanned", ("log_softmax", "cross_entropy")),
    Correct("in_jax.right:mapped", ("cross_entropy",)),
    Correct("in_jax.right:library", _NOT_NLL),
)

ALL: tuple[Liar | Correct, ...] = (*LIARS, *CORRECT)


def fixed(liars: Sequence[Liar], count: int) -> tuple[Liar, ...]:
    """Return the same few liars every time: those of the fixed set, then the others, in the order of the table."""
    return tuple(sorted(liars, key=lambda liar: not liar.ci)[:count])


FIXED = fixed(LIARS, sum(liar.ci for liar in LIARS))
