"""What one quantity of one check came to: findings, and how they are made of outcomes and grades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lossparity.formats import FORMATS, Array
from lossparity.judge import Judgement
from lossparity.model import Case, Crashed, Declined, Grade, Outcome, Produced, Raised, TimedOut, Verdict
from lossparity.reference import Answer

__all__ = ["Finding", "Quantity", "against", "nearness", "of_none", "rank_of", "returned"]

Quantity = Literal["value", "gradient"]


@dataclass(frozen=True, eq=False)
class Finding:
    """What one quantity of one check came to, before known deviations are looked up.

    `kind` says how it deviates: inf, nan, zero, finite-wrong, shape, format, modified, published, raises,
    no-raise or, where a relation does not hold, inconsistent.
    """

    quantity: Quantity
    verdict: Verdict
    outcome: str
    kind: str = ""
    choice: str = ""
    message: str = ""
    got: Array | None = None
    judgement: Judgement | None = None
    answer: Answer | None = None


def returned(outcome: Outcome, quantity: Quantity, case: Case) -> Array | Finding:
    """Return what came back of a case's call for a quantity, or the finding that nothing did."""
    part: Outcome | Array | None = outcome
    if isinstance(outcome, Produced):
        part = outcome.value if quantity == "value" else outcome.gradient
    if isinstance(part, Array) and isinstance(outcome, Produced):
        if not outcome.unmodified:
            return Finding(
                quantity, Verdict.FAIL, "produced", "modified", message="the inputs were modified (clause M6)"
            )
        return _unscaled(part, case.scale) if quantity == "gradient" else part
    if isinstance(part, Raised):
        said = f"{part.type}: {part.message}" + (f" ({part.where})" if part.where else "")
        if "raises" in case.one_of:
            return Finding(quantity, Verdict.PASS, "raised", choice="raises", message=said)
        return Finding(quantity, Verdict.ERROR, "raised", "raises", message=said)
    if isinstance(part, Declined):
        return Finding(quantity, Verdict.UNSUPPORTED, "declined", message=part.reason)
    if isinstance(part, Crashed):
        return Finding(quantity, Verdict.CRASH, "crashed", "crash", message=part.cause)
    if isinstance(part, TimedOut):
        said = f"no answer in {part.seconds:g} s; the process was stopped (--timeout SECONDS gives it longer)"
        return Finding(quantity, Verdict.TIMEOUT, "timed out", "timeout", message=said)
    return Finding(quantity, Verdict.ERROR, "produced", "raises", message=f"no {quantity} came back")


def against(grade: Grade, threshold: Grade) -> tuple[Verdict, str]:
    """Return what a grade comes to, and, where that is a failure, in words."""
    if grade is Grade.UNCERTIFIED:
        return Verdict.UNDECIDED, ""
    if grade.rank > threshold.rank:
        return Verdict.FAIL, f"grade {grade.value} is below the threshold {threshold.value}"
    return Verdict.PASS, ""


def _unscaled(gradient: Array, scale: float) -> Array:
    """Return the gradient with respect to the logits themselves."""
    if scale == 1.0 or gradient.format not in FORMATS:
        return gradient
    return Array.of(gradient.exact() / scale, gradient.format)


def of_none(finding: Finding, permitted: Sequence[str]) -> str:
    """Say that a result is none of what is permitted, and how it is off the nearest."""
    said = f"none of what is permitted: {', '.join(permitted)}"
    return f"{said}; {finding.message}" if finding.message else said


def rank_of(finding: Finding) -> int:
    """Return the rank of a judged finding's grade."""
    assert finding.judgement is not None
    return finding.judgement.grade.rank


def nearness(finding: Finding) -> tuple[int, float]:
    """Order passing findings: the better grade first, then the smaller share of the bound."""
    judgement = finding.judgement
    assert judgement is not None
    return judgement.grade.rank, judgement.bound_used or 0.0
