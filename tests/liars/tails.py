"""Liars that go by blocks of classes, as kernels do, and have not thought of the last block, or of the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from liars.around import around
from liars.honest import Arithmetic, Losses, Tensor


@dataclass(frozen=True)
class Blocks(Arithmetic):
    """What is common to them: the width of a block, and blocks that are padded to it."""

    width: int

    def padded(self, x: Tensor, value: float) -> Tensor:
        missing = [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % self.width)]
        return np.pad(x, missing, constant_values=x.dtype.type(value))

    def blocks(self, x: Tensor) -> list[Tensor]:
        return [x[..., at : at + self.width] for at in range(0, x.shape[-1], self.width)]


class WholeBlocks(Blocks):
    """A sum over whole blocks; only a row shorter than one block is taken as it is."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        k = exponentials.shape[-1]
        return self.added(exponentials[..., : k - k % self.width or k])


class MaximumOfWholeBlocks(Blocks):
    """A maximum over whole blocks; exp overflows where the largest logit is in the rest."""

    def largest(self, x: Tensor) -> Tensor:
        k = x.shape[-1]
        return super().largest(x[..., : k - k % self.width or k])


class MaximumOfFirstBlock(Blocks):
    """The maximum of the first block, which is all that fits in a warp."""

    def largest(self, x: Tensor) -> Tensor:
        return super().largest(x[..., : self.width])


class PadsCounted(Blocks):
    """A last block padded with logits of 0, and each pad counts (unslothai/unsloth#10616 is of the kind)."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        return self.added(self.padded(exponentials, 1))


class PadsLargest(Blocks):
    """A last block padded with 0 for the maximum: a row far below 0 underflows as a whole."""

    def largest(self, x: Tensor) -> Tensor:
        return super().largest(self.padded(x, 0))


class NotRescaled(Blocks):
    """One pass with a running maximum, and the sum so far is not rescaled when a larger one is found."""

    def _passed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        m = np.full((*x.shape[:-1], 1), -np.inf, x.dtype)
        s = np.zeros_like(m)
        for block in self.blocks(x):
            m = np.maximum(m, self.largest(block))
            s = s + self.added(np.exp(block - np.where(np.isneginf(m), 0, m)))
        return m, s

    def p(self, x: Tensor) -> Tensor:
        m, s = self._passed(x)
        return np.exp(x - m) / s

    def z(self, x: Tensor) -> Tensor:
        m, s = self._passed(x)
        return (x - m) - np.log(s)


class FirstBlockMasked(NotRescaled):
    """One pass that rescales by exp(m - new m), which is NaN while both are -inf."""

    def _passed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        m = np.full((*x.shape[:-1], 1), np.finfo(x.dtype).min, x.dtype)
        s = np.zeros_like(m)
        for n, block in enumerate(self.blocks(x)):
            higher = np.maximum(m, self.largest(block)) if n else self.largest(block)
            s = s * np.exp(m - higher) + self.added(np.exp(block - higher))
            m = higher
        return m, s


class Overlapped(Blocks):
    """A last block moved back so that it is whole: what it shares with the one before is counted twice."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        k = exponentials.shape[-1]
        if k <= self.width or k % self.width == 0:
            return self.added(exponentials)
        return self.added(exponentials[..., : k - k % self.width]) + self.added(exponentials[..., -self.width :])


class SixteenBitCounter(Arithmetic):
    """A loop with a counter of 16 bits: K modulo 65536 classes are added up."""

    def denominator(self, exponentials: Tensor) -> Tensor:
        return self.added(exponentials[..., : exponentials.shape[-1] % 65536 or None])


class OneGrid(Arithmetic):
    """A grid of 65536 threads, one a class: the maximum and the sum are theirs alone."""

    def largest(self, x: Tensor) -> Tensor:
        return super().largest(x[..., :65536])

    def denominator(self, exponentials: Tensor) -> Tensor:
        return self.added(exponentials[..., :65536])


def _rest_zeroed(width: int) -> Any:
    """A buffer of zeros, written a whole block at a time: what is beyond stays 0."""

    def change(result: Tensor, x: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        axis = min(1, x.ndim - 1)
        k = x.shape[axis]
        written = np.moveaxis(result.copy(), axis, 0)
        written[k - k % width or k :] = 0
        return np.moveaxis(written, 0, axis)

    return change


def _rest_of_rows(width: int) -> Any:
    """A grid of whole blocks of rows: the rows beyond are not computed, and what was allocated was zeros."""

    def change(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
        if result.ndim:
            n = len(result)
            result = result.copy()
            result[n - n % width or n :] = 0
        return result

    return change


def _odd_row(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    """Rows by pairs: of an odd number the last one gets the result of the row before it."""
    if result.ndim and result.shape[0] % 2 and result.shape[0] > 1:
        result = result.copy()
        result[-1] = result[-2]
    return result


whole_blocks_of_8 = Losses.of(WholeBlocks(8))
whole_blocks_of_32 = Losses.of(WholeBlocks(32))
whole_blocks_of_1024 = Losses.of(WholeBlocks(1024))
maximum_of_whole_blocks = Losses.of(MaximumOfWholeBlocks(32))
maximum_of_first_block = Losses.of(MaximumOfFirstBlock(64))
pads_counted = Losses.of(PadsCounted(32))
pads_largest = Losses.of(PadsLargest(32))
not_rescaled = Losses.of(NotRescaled(16))
first_block_masked = Losses.of(FirstBlockMasked(16))
overlapped = Losses.of(Overlapped(16))
sixteen_bit_counter = Losses.of(SixteenBitCounter())
one_grid = Losses.of(OneGrid())
gradient_of_whole_blocks = around(gradient=_rest_zeroed(8), only=("log_softmax", "cross_entropy"))
written_in_whole_blocks = around(_rest_zeroed(16), only=("softmax", "log_softmax"))
rows_beyond_the_grid = around(_rest_of_rows(128), only=("softmax", "cross_entropy"))
odd_row = around(_odd_row, only=("softmax", "nll_loss"))
