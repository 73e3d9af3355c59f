"""The losses of single positions under any choice of conventions, from the certified reference where it has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from lossparity.bounds import Bounds
from lossparity.explaining.givens import Given, Laid
from lossparity.explaining.variants import Choices
from lossparity.formats import FORMATS, Array
from lossparity.reference import DOUBLE_DOUBLE, Answer, Block, Flags, Floats, Problem
from lossparity.reference.approximate import Approximate
from lossparity.reference.coefficients import own_weight
from lossparity.reference.conventions import SPEC, Convention

__all__ = ["Losses", "RowLosses", "errors"]

_EXACT = Approximate.of(0.0, DOUBLE_DOUBLE)
_FOR_ROWS = ("smoothing", "entropy", "weights", "softmax", "clip")


@dataclass(frozen=True, eq=False)
class RowLosses:
    """The loss of every position (M,), 0 where it is not `counted`, and the weight it has in a weighted mean."""

    loss: Floats
    own: Floats
    counted: Flags
    samples: int


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of all positions, by choices of the fields `variants.OF_ROWS`; what is computed is kept.

    They are the nearest binary64 numbers, certified (the reference's enclosures), but for the choices of `logits` where
    the spec has no operation for them: those are computed in binary64.
    """

    given: Given
    _kept: dict[Choices, tuple[Floats, Floats]] = field(default_factory=dict)

    def prepare(self, every: Iterable[Choices]) -> None:
        """Compute what these choices need, on all cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self._honoured, {self._constant(_without(choices, "ignored"))[0] for choices in every}))

    def of(self, choices: Choices) -> RowLosses:
        """Return the losses under some choices."""
        given, chosen = self.given, dict(choices)
        laid = given.along(chosen.get("axis"))
        ignored = np.zeros(laid.count, np.bool_) if laid.soft else laid.target.data == given.ignore_index
        way = chosen.get("ignored")
        loss, own = self._honoured(_without(choices, "ignored"))
        if way is None or not ignored.any():
            return RowLosses(loss, own, ~ignored, laid.samples)
        loss, own = loss.copy(), own.copy()
        apart = replace(laid, logits=_some(laid.logits, ignored), target=_substitute(given, laid, way, ignored))
        # Their substitutes are in [0, K), where -1 ignores none.
        loss[ignored], own[ignored] = _losses(given, apart, chosen, -1)
        if way == "zeros":
            own[ignored] = 0.0 if given.weight is not None else 1.0
        return RowLosses(loss, own, np.ones(laid.count, np.bool_), laid.samples)

    def _honoured(self, choices: Choices) -> tuple[Floats, Floats]:
        """Loss and weight where ignored positions are ignored."""
        rest, constant = self._constant(choices)
        if rest not in self._kept:
            chosen = dict(rest)
            laid = self.given.along(chosen.get("axis"))
            self._kept[rest] = _losses(self.given, laid, chosen, self.given.ignore_index)
        loss, own = self._kept[rest]
        return (np.where(self.given.ignored, 0.0, loss - constant), own) if constant else (loss, own)

    def _constant(self, choices: Choices) -> tuple[Choices, float]:
        """What is left of the choices where one is a constant that is subtracted from each loss, and that constant.

        The entropy of a smoothed index is the same in every row without weights, and slow to compute in all of them.
        """
        given, chosen = self.given, dict(choices)
        if not given.large or given.first.soft or given.weight is not None or "entropy" not in chosen:
            return choices, 0.0
        rest = _without(choices, "entropy")
        row = Array.of(np.zeros((1, given.first.classes)), given.format)
        one = Laid(row, Array("int64", np.zeros(1, np.int64)), 1)
        kept, subtracted = (_losses(given, one, dict(each), -1)[0][0] for each in (rest, choices))
        return rest, float(kept - subtracted)


def _without(choices: Choices, name: str) -> Choices:
    return tuple(one for one in choices if one[0] != name)


def _some(array: Array, chosen: Flags) -> Array:
    return Array(array.format, array.data[chosen])


def _substitute(given: Given, laid: Laid, way: str, ignored: Flags) -> Array:
    """What an implementation that ignores nothing takes for the target of the ignored positions."""
    m, k = int(ignored.sum()), laid.classes
    if way == "zeros":
        return Array.of(np.zeros((m, k)), given.format)
    index = {"wrapped": given.ignore_index + k, "first": 0, "last": k - 1, "counted": given.ignore_index}[way]
    return Array("int64", np.full(m, index, np.int64))


def _losses(given: Given, laid: Laid, chosen: Mapping[str, str], ignore_index: int) -> tuple[Floats, Floats]:
    """Return loss and own weight of every position."""
    e = 0.0 if chosen.get("smoothing") == "none" else given.smoothing
    dropped = ("smoothing", "none")  # which is no convention, but another smoothing
    convention = Convention(**{f: chosen[f] for f in _FOR_ROWS if f in chosen and (f, chosen[f]) != dropped})
    problem = _problem(given, laid, e, convention, ignore_index)
    own = _own(problem)
    way = chosen.get("logits")
    if way is None:
        return _certified(problem, given.format), own
    if way == "log-probabilities" and e == 0 and not laid.soft:
        arrays = {**problem.arrays, "log_probs": laid.logits}
        keywords = {"ignore_index": ignore_index, "reduction": "none"}
        return _certified(Problem("nll_loss", arrays, keywords, convention=convention), given.format), own
    return _unnormalised(laid, problem, way, e), own


def _problem(given: Given, laid: Laid, e: float, convention: Convention, ignore_index: int) -> Problem:
    arrays = {"logits": laid.logits, "target": laid.target}
    if given.weight is not None:
        arrays["weight"] = given.weight
    keywords: dict[str, object] = {"label_smoothing": e, "reduction": "none"}
    if not laid.soft:
        keywords["ignore_index"] = ignore_index
    return Problem("cross_entropy", arrays, keywords, convention=convention)


def _own(problem: Problem) -> Floats:
    if not problem.row_weights:
        return np.ones(problem.count)
    found = [own_weight(problem.rows(at), _EXACT).enclosed().high[:, 0] for at in problem.blocks()]
    return np.concatenate([np.broadcast_to(one, problem.count) if one.size == 1 else one for one in found])


def _certified(problem: Problem, fmt: str) -> Floats:
    answer = Answer(problem, "value", fmt)
    return np.concatenate([_closest(block) for block in answer.blocks()])


def _closest(block: Block) -> Floats:
    """The nearest numbers, from a closer tier where the cheapest knows nothing."""
    found = block.certified
    values = np.array(found.high[:, 0])
    lost = found.lost
    if lost is not None and lost[:, 0].any() and not block.last:
        values[lost[:, 0]] = _closest(block.narrowed(lost[:, 0]))
    return values


def _unnormalised(laid: Laid, problem: Problem, way: str, e: float) -> Floats:
    """Losses of z = x, z = log x, or of the log of x over its sum, clipped: sum_c w_c q'_c (-z_c)."""
    k, weight = laid.classes, problem.weight if problem.weight is not None else np.ones(laid.classes)
    parts = []
    for at in problem.blocks():
        rows = problem.rows(at)
        z = rows.raw
        with np.errstate(all="ignore"):
            if way == "normalised":
                low, high = FORMATS[laid.logits.format].round([1e-7, 1 - 1e-7])
                z = np.log(np.clip(z / z.sum(axis=1, keepdims=True), low, high))
            elif way == "probabilities":
                z = np.log(z)
            if rows.soft is None:
                assert rows.index is not None
                q = np.zeros(z.shape)
                np.put_along_axis(q, rows.index[:, None], 1.0, axis=1)
            else:
                q = rows.soft
            a = weight * ((1 - e) * q + e / k)
            parts.append(np.where(rows.valid, np.where(a == 0, 0.0, -a * z).sum(axis=1), 0.0))
    return np.concatenate(parts)


def errors(given: Given) -> Floats:
    """Bound what correct arithmetic in the format may be off by, for each position (M,): the spec's tight bound.

    Any convention multiplies the same log-softmax with coefficients of the same size, so the bound serves for all; it
    is 0 where it is vacuous, and that of the worst position for those that are ignored.
    """
    problem = _problem(given, given.first, given.smoothing, SPEC, given.ignore_index)
    answer, found = Answer(problem, "value", given.format), []
    bounds = Bounds(answer, False)
    for block in answer.blocks():
        exact = block.certified.high
        tight, _ = bounds.both(bounds.terms(block), np.where(np.isfinite(exact), exact, 0.0))
        found.append(np.broadcast_to(tight, (exact.shape[0], 1))[:, 0])
    every = np.concatenate(found)
    every = np.where(np.isfinite(every), every, 0.0)
    return np.where(given.ignored, every.max(initial=0.0), every)
