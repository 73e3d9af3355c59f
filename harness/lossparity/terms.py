"""The exact quantities that the bounds are made of, for the rows of a block, in binary64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lossparity.reference import Answer, Block, Flags, Floats
from lossparity.reference.approximate import Approximate
from lossparity.reference.binary64 import BINARY64
from lossparity.reference.coefficients import Coefficients, divisor, own_weight
from lossparity.reference.core import Core
from lossparity.reference.rows import Rows

__all__ = ["Terms", "terms"]

_KIND = Approximate.of(0.0, BINARY64)
_NONE = np.zeros((1, 1))


class Terms(NamedTuple):
    """By element (m, K): p, shifted = -d, the coefficients a, factor, the upstream gradient; by row (m, 1): the rest.

    `a` is the sum of the magnitudes of what is added up to a coefficient: the coefficient itself, but for a smoothing
    outside [0, 1] (C3). `spread` is sum p d, `mass` sum a, `moment` sum a d, `total` sum a (d + l) (a loss, or no less
    than its magnitude), `lost` sum (1 + w) (d + l) over what counts, `factor` 1 + w, 2 without weights, and `factors`
    its sum. With v the upstream gradient: `mean` sum p v, `v_p` sum p |v|, `v_spread` sum p |v| d, `v_sum` sum v,
    `v_size` sum |v|, `v_most` max |v|. `simple`: one coefficient a row, on the target, and no smoothing.
    """

    classes: int
    p: Floats | None = None
    shifted: Floats | None = None
    a: Floats = _NONE
    factor: Floats = _NONE
    upstream: Floats = _NONE
    open: Flags | None = None
    valid: Flags | None = None
    log_sum: Floats = _NONE
    spread: Floats = _NONE
    mass: Floats = _NONE
    moment: Floats = _NONE
    total: Floats = _NONE
    lost: Floats = _NONE
    factors: Floats = _NONE
    mean: Floats = _NONE
    v_p: Floats = _NONE
    v_spread: Floats = _NONE
    v_sum: Floats = _NONE
    v_size: Floats = _NONE
    v_most: Floats = _NONE
    divisor: float = 1.0
    simple: bool = True
    weighted: bool = False

    def at(self, rows: npt.NDArray[np.intp], classes: npt.NDArray[np.intp]) -> Terms:
        """Return the terms of some elements, one below the other."""
        chosen: dict[str, Any] = {}
        for name, part in self._asdict().items():
            if isinstance(part, np.ndarray) and part is not _NONE:
                chosen[name] = part[rows if part.shape[0] > 1 else 0, classes if part.shape[1] > 1 else 0]
                chosen[name] = chosen[name].reshape(-1, 1)
        return self._replace(**chosen)

    def joined(self, others: Sequence[Terms]) -> Terms:
        """Return the terms of several blocks as one; those by element are left out."""
        whole: dict[str, Any] = {}
        for name, *columns in zip(self._fields, self, *others, strict=True):
            if isinstance(columns[0], np.ndarray) and columns[0] is not _NONE and columns[0].shape[1] == 1:
                whole[name] = np.concatenate(columns)
        return self._replace(**{"p": None, "shifted": None, "a": _NONE, **whole})


def terms(answer: Answer, block: Block) -> Terms:
    """Return the terms of a block; those of a sum or mean hold every row of the problem."""
    with np.errstate(all="ignore"):
        if not answer.scalar:
            return _of_rows(answer, block.core(_KIND))
        problem = answer.problem
        every = (Core.of(problem.rows(positions), _KIND) for positions in problem.blocks())
        first, *others = [_of_rows(answer, core) for core in every]
        return first.joined(others) if others else first


def _of_rows(answer: Answer, core: Core[Approximate]) -> Terms:
    rows, problem, name = core.rows, answer.problem, answer.problem.operation
    found = Terms(problem.classes, upstream=rows.upstream)
    if name == "one_hot":
        return found
    if name in ("exp", "row_sum"):
        return found._replace(open=None if rows.masked is None else ~rows.masked)
    if name != "nll_loss":
        found = _with_softmax(found, answer, core)
    if name in ("softmax", "log_softmax"):
        return _with_upstream(found) if answer.quantity == "gradient" else found
    if name == "log_softmax_row_sum":
        if answer.quantity == "gradient":
            full = found._replace(upstream=np.broadcast_to(rows.upstream, rows.x.shape))
            return _with_upstream(full)._replace(upstream=rows.upstream)
        assert found.shifted is not None
        return found._replace(moment=-np.sum(found.shifted, axis=1, keepdims=True))
    return _with_loss(found, answer, core)


def _with_softmax(found: Terms, answer: Answer, core: Core[Approximate]) -> Terms:
    (e,), (shifted,), (total,) = core.e.parts, core.shifted.parts, core.sum.parts
    by_class = answer.by_class
    return found._replace(
        p=core.p.parts[0] if answer.quantity == "gradient" or answer.problem.operation == "softmax" else None,
        shifted=shifted,
        open=None if core.gone is None or not by_class else ~core.gone,
        log_sum=core.log_sum.parts[0],
        spread=_dot(e, shifted) / -total,
    )


def _dot(a: Floats, b: Floats) -> Floats:
    """Sums of products of one sign along the rows, (m, 1), no less than they are: einsum adds them one by one."""
    return np.einsum("ij,ij->i", a, b)[:, None] * (1 + a.shape[1] * 2.0**-53)


def _with_upstream(found: Terms) -> Terms:
    v, p, shifted = found.upstream, found.p, found.shifted
    assert p is not None and shifted is not None
    size = np.abs(v)

    def summed(values: Floats) -> Floats:
        return np.sum(values, axis=1, keepdims=True)

    return found._replace(
        mean=summed(p * v),
        v_p=summed(p * size),
        v_spread=-summed(p * size * shifted),
        v_sum=summed(v),
        v_size=summed(size),
        v_most=np.max(size, axis=1, keepdims=True, initial=0.0),
    )


def _with_loss(found: Terms, answer: Answer, core: Core[Approximate]) -> Terms:
    rows, problem = core.rows, answer.problem
    a = _magnitudes(rows) if problem.mixed else Coefficients.of(rows, _KIND)
    valid = rows.valid[:, None]
    found = found._replace(
        divisor=float(divisor(problem, _KIND).parts[0][0, 0]),
        weighted=problem.weight is not None,
        simple=a.spread is None,
        valid=None if rows.valid.all() or not answer.by_class else valid,
    )
    peak = np.zeros((1, 1)) if a.peak is None else np.where(valid, a.peak.parts[0], 0.0)
    if problem.operation == "nll_loss":
        picked = np.where(np.isfinite(rows.picked), np.abs(rows.picked), 0.0)
        return found._replace(mass=peak, total=peak * picked)
    shifted, by_class = found.shifted, answer.by_class
    assert shifted is not None
    if a.spread is None:
        assert rows.index is not None
        moment = peak * -shifted[np.arange(len(shifted)), rows.index][:, None]
        total = moment + peak * found.log_sum
        return found._replace(shifted=shifted if by_class else None, mass=peak, moment=moment, total=total)
    full = np.where(valid, np.broadcast_to(a.spread.parts[0], shifted.shape), 0.0)
    if a.peak is not None:
        assert rows.index is not None
        at = np.take_along_axis(full, rows.index[:, None], axis=1) + peak
        np.put_along_axis(full, rows.index[:, None], at, axis=1)
    mass, moment = np.sum(full, axis=1, keepdims=True), -_dot(full, shifted)
    factor: Floats = np.full((1, 1), 2.0)
    if problem.weight is not None:
        by_row = problem.convention.weights != "class"
        factor = 1.0 + (own_weight(rows, _KIND).parts[0] if by_row else problem.weight[None, :])
    lost = np.sum(np.where(full != 0, factor * (found.log_sum - shifted), 0.0), axis=1, keepdims=True)
    return found._replace(
        a=full if by_class else _NONE,
        shifted=shifted if by_class else None,
        mass=mass,
        moment=moment,
        total=moment + mass * found.log_sum,
        lost=lost,
        factor=factor if by_class else _NONE,
        factors=np.sum(np.broadcast_to(factor, (len(factor), problem.classes)), axis=1, keepdims=True),
    )


def _magnitudes(rows: Rows) -> Coefficients[Approximate]:
    """Return |1 - e| q_c + |e| / K, weighted: what is rounded on the way to a coefficient, whatever of it cancels."""
    problem, e = rows.problem, rows.problem.smoothing
    w = np.ones((1, 1)) if problem.weight is None else problem.weight[None, :]
    kept, spread = abs(1 - e), abs(e) / problem.classes * w
    if rows.soft is not None:
        return Coefficients(None, _KIND.exact(kept * rows.soft * w + spread))
    assert rows.index is not None
    peak = np.full((len(rows.index), 1), kept) if problem.weight is None else kept * w[0, rows.index][:, None]
    return Coefficients(_KIND.exact(peak), _KIND.exact(spread))
