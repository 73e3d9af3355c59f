"""Relations between several results of one implementation: what is asked beside a case's own call, and what must hold.

Two results that must be alike may be as far apart as both bounds together; sums of a returned result, as far as their
own rounding. A relation says nothing about whether the results are right: one may be wrong and consistent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lossparity.model import Grade
from lossparity.relations import comparing, part
from lossparity.relations.comparing import Compared, Results
from lossparity.relations.part import Part

__all__ = ["RELATIONS", "Compared", "Held", "Part", "Relation", "Results"]


@dataclass(frozen=True)
class Relation:
    """A relation: which clauses it judges, of what, the calls beside the case's own, and the comparison.

    `reductions` and `quantities` are those that it holds for; `rows` wants logits of two axes. `said` completes "is not
    the same"; `cause` names the deviation. Of `choices` the first is shown where the two are equal, the second where
    they are within the bound; where the bound is `relative`, the second where they are not. `bits` wants the same bits,
    and `compiled` a compiled mode.
    """

    clauses: tuple[str, ...]
    said: str
    cause: str
    compare: Callable[[Results], Compared]
    others: Callable[[Part], tuple[Part, ...]] = lambda _own: ()
    operations: tuple[str, ...] = ("softmax", "log_softmax", "nll_loss", "cross_entropy")
    reductions: tuple[str, ...] = ("none", "mean", "sum")
    quantities: tuple[str, ...] = ("value", "gradient")
    rows: bool = False
    choices: tuple[str, str] = ("", "")
    bits: bool = False
    compiled: bool = False
    relative: bool = False


@dataclass(frozen=True)
class Held:
    """How far two results agree: exact is equal, tight and loose are within those bounds.

    `used` is the largest share of the loose bound, none where classes differ; `message` says where they are unlike.
    """

    grade: Grade
    used: float | None
    choice: str
    message: str

    @classmethod
    def of(cls, relation: Relation, compared: Compared, repeatable: bool) -> Held:
        """Grade a comparison; `repeatable`: the same bits can be asked for."""
        apart, loose = compared.apart, compared.loose
        share = np.divide(apart, loose, out=np.where(apart > 0, np.inf, 0.0), where=loose > 0)
        worst = int(np.argmax(share)) if share.size else 0
        used = float(share.flat[worst]) if share.size else 0.0
        if compared.equal:
            grade = Grade.EXACT
        elif relation.bits and repeatable:
            grade = Grade.WRONG
        elif not np.all(np.isfinite(loose)):
            grade = Grade.UNCERTIFIED
        elif used > 1:
            grade = Grade.WRONG
        else:
            grade = Grade.TIGHT if np.all(apart <= compared.tight) else Grade.LOOSE
        first = compared.equal or (relation.relative and used <= 1)
        message = _unlike(relation, compared, worst) if grade is Grade.WRONG else ""
        return cls(grade, used if np.isfinite(used) else None, relation.choices[0 if first else 1], message)


def _unlike(relation: Relation, compared: Compared, worst: int) -> str:
    shape = compared.left.shape
    at = f" at {[int(n) for n in np.unravel_index(worst, shape)]}" if shape else ""
    left, right, loose = (float(np.ravel(part)[worst]) for part in (compared.left, compared.right, compared.loose))
    bound = "the same bits are wanted" if relation.bits else f"the bound allows {loose:.3g}"
    return f"not the same {relation.said}: {left!r}{at}, and {right!r}; {bound}"


RELATIONS: dict[str, Relation] = {
    "permuted": Relation(
        ("M2",),
        "with rows and classes in another order",
        "order-dependent",
        comparing.put_back,
        part.permuted,
        rows=True,
    ),
    "rows-alone": Relation(
        ("M3",),
        "when each row is alone in its batch",
        "batch-dependent",
        lambda results: Compared.alike(results, np.concatenate(results.got[1:])),
        part.alone,
        reductions=("none",),
        rows=True,
        choices=("bit-for-bit", "within-the-bound"),
    ),
    "rows-dropped": Relation(
        ("M4",),
        "without the ignored rows",
        "ignored-rows-counted",
        comparing.against_kept,
        part.without_ignored,
        operations=("nll_loss", "cross_entropy"),
        reductions=("mean", "sum"),
        rows=True,
    ),
    "of-none": Relation(
        ("M1",),
        "when the losses that `none` returns are added up",
        "not-the-reduction-of-none",
        comparing.added_up,
        part.unreduced,
        operations=("nll_loss", "cross_entropy"),
        reductions=("mean", "sum"),
        quantities=("value",),
    ),
    "gradient-of-none": Relation(
        ("G4",),
        "when `none` gets each row's share of the upstream gradient",
        "not-the-gradient-of-none",
        lambda results: Compared.alike(results, results.got[1]),
        part.shared_out,
        operations=("nll_loss", "cross_entropy"),
        reductions=("mean", "sum"),
        quantities=("gradient",),
    ),
    "rows-add-up": Relation(
        ("S8",),
        "as 1, which every row has to add up to, with no number below 0",
        "rows-do-not-add-up",
        comparing.row_sums,
        operations=("softmax",),
        quantities=("value",),
    ),
    "gradient-adds-up": Relation(
        ("G2",),
        "as 0, which every row of the gradient has to add up to",
        "gradient-rows-do-not-add-up",
        comparing.row_sums,
        operations=("cross_entropy",),
        quantities=("gradient",),
    ),
    "not-above-0": Relation(
        ("S8",),
        "as a number that is not above 0",
        "logarithm-above-0",
        comparing.not_above_0,
        operations=("log_softmax",),
        quantities=("value",),
    ),
    "repeated": Relation(
        ("M7",),
        "the next time",
        "not-repeatable",
        comparing.again,
        lambda own: (own, own),
        bits=True,
    ),
    "compiled": Relation(
        ("M8",),
        "when it is not compiled",
        "another-when-compiled",
        lambda results: Compared.alike(results, results.got[1]),
        lambda own: (replace(own, eager=True),),
        compiled=True,
    ),
    "near-certainty": Relation(
        ("C6",),
        "relative to its size",
        "absolute-near-certainty",
        comparing.near_certainty,
        operations=("cross_entropy",),
        reductions=("none",),
        choices=("relative", "absolute"),
        relative=True,
    ),
}
"""Relation by its name in a case file."""
