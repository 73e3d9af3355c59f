"""A deviation as Markdown to be pasted into the issue tracker of whoever maintains the implementation.

What a framework's own call does is reported as the framework's; what lossparity or a user composed of it says so first.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence

import numpy as np

from lossparity.errors import UsageError
from lossparity.framework import COMPOSED, MANUAL, NATIVE, TARGET
from lossparity.itemise import itemised
from lossparity.known import Deviation, apply
from lossparity.model import Crashed, Raised, TimedOut, Verdict
from lossparity.plans import Finding
from lossparity.reference.digits import DIGITS, digits
from lossparity.reproducing.script import Reproduced, script
from lossparity.spec import CLAUSES

__all__ = ["issue"]

_NOT_ABOUT = {
    COMPOSED: "lossparity's own adapter composes this of {framework}'s primitives ({api})",
    MANUAL: "this is the textbook's chain written out by hand ({api})",
    TARGET: "this is a user's own function ({api})",
}


def issue(about: Reproduced, quantity: str, known: Sequence[Deviation]) -> str:
    """Write the issue of a check, for one quantity or both; `known` are the declared deviations of its framework.

    UsageError when nothing deviates, and where no script can be written (`script`).
    """
    findings = [finding for finding in about.only(quantity) if finding.verdict.failing]
    if not findings:
        undecided = any(finding.verdict is Verdict.UNDECIDED for finding in about.only(quantity))
        said = "nothing can be certified here, so there is nothing to report" if undecided else ""
        raise UsageError(said or "it conforms; there is nothing to report", where=about.check)
    only = quantity or (findings[0].quantity if len(findings) == 1 else "")
    reproducer = script(about, only)
    return "\n".join(_lines(about, findings, known, reproducer))


def _lines(about: Reproduced, findings: Sequence[Finding], known: Sequence[Deviation], script: str) -> Iterator[str]:
    case, clause = about.question.case, CLAUSES[about.question.case.clause]
    yield f"# {_title(about, findings[0])}"
    yield ""
    if about.written["origin"] != NATIVE:
        whose = _NOT_ABOUT[about.written["origin"]].format(framework=about.backend.framework, api=about.written["api"])
        yield f"> **This is not a report about {about.backend.framework}:** {whose}."
        yield ""
    yield "## What is wrong"
    yield ""
    for finding in findings:
        yield from _wrong(about, finding)
        yield ""
    yield f"Clause {clause.id} of the loss spec ({clause.kind}; basis: {clause.basis}): {clause.text}."
    yield ""
    if case.about:
        yield f"{case.about}"
        yield ""
    for deviation in _declared(about, findings, known):
        link = f" See {deviation.link}." if deviation.link else ""
        yield f"Already known to lossparity as `{deviation.id}` ({deviation.versions}): {deviation.reason}{link}"
        yield ""
    yield "## To reproduce"
    yield ""
    yield f"`{about.check}`. The script needs {_needs(about)} only; it exits with 1 when the deviation is there."
    yield ""
    yield "```python"
    yield script.rstrip("\n")
    yield "```"
    yield ""
    yield "## Expected"
    yield ""
    yield from (f"- {line}" for finding in findings for line in _expected(about, finding))
    yield ""
    yield "## Versions and platform"
    yield ""
    yield from (f"- {name}: {value}" for name, value in about.details.items())
    yield f"- platform: {platform.platform()}"
    yield ""


def _needs(about: Reproduced) -> str:
    own = ["the function's file"] if about.written["origin"] == TARGET else []
    framework = [] if about.backend.framework == "numpy" else [about.backend.framework]
    more = [
        line.split()[1] for line in about.written["phrases"]["bfloat16_imports"] if about.question.format == "bfloat16"
    ]
    return ", ".join([*own, *framework, *more]) + " and NumPy" if own or framework or more else "NumPy"


def _title(about: Reproduced, finding: Finding) -> str:
    return f"{_subject(about, finding)} {_symptom(about, finding)}"


def _subject(about: Reproduced, finding: Finding) -> str:
    operation = about.question.case.operation
    name = {
        NATIVE: f"`{about.written['api']}`",
        COMPOSED: f"lossparity's composed {operation} on {about.backend.framework}",
        MANUAL: f"the {operation} chain by hand on {about.backend.framework}",
        TARGET: f"`{about.written['api']}`",
    }[about.written["origin"]]
    return f"The gradient of {name}" if finding.quantity == "gradient" else name[0].upper() + name[1:]


def _symptom(about: Reproduced, finding: Finding) -> str:
    fmt, judgement, outcome = about.question.format, finding.judgement, about.outcome
    if isinstance(outcome, Crashed | TimedOut):
        return f"ends the process in {fmt}" if isinstance(outcome, Crashed) else f"does not come back in {fmt}"
    if finding.kind == "raises":
        raised = outcome if isinstance(outcome, Raised) else getattr(outcome, "gradient", None)
        what = raised.type if isinstance(raised, Raised) else "an exception"
        return f"raises {what} in {fmt}, where a result is defined"
    if finding.kind == "no-raise":
        return f"returns a result in {fmt}, where the input is invalid"
    if finding.kind == "modified":
        return f"modifies its input in {fmt}"
    if judgement is None or judgement.worst is None:
        return f"has the wrong {finding.kind} in {fmt}"
    got = _short(judgement.got)
    if about.question.case.one_of:
        return f"returns {got} in {fmt}, which is not permitted"
    if not np.isfinite(judgement.exact):
        return f"returns {got} in {fmt}, where {_short(judgement.exact)} is right"
    if finding.kind == "finite-wrong" and judgement.ulp is not None:
        return f"is off by {judgement.ulp:.3g} ulp in {fmt}"
    return f"returns {got} in {fmt}, where {judgement.exact:.6g} is right"


def _short(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else {"nan": "NaN"}.get(str(value), str(value))


def _wrong(about: Reproduced, finding: Finding) -> Iterator[str]:
    judgement, answer = finding.judgement, finding.answer
    choices = [choice for choice in about.question.alternatives if choice != "exact"]
    yield f"{_title(about, finding)}."
    if choices:
        yield f"Permitted here: {', '.join(choices)}; it is none of these."
    if judgement is None or judgement.worst is None or answer is None:
        if finding.message:
            yield f"It says: {finding.message}" if finding.kind in ("raises", "crash") else f"{finding.message}."
        return
    if not np.isfinite(judgement.exact):
        return
    place = [int(n) for n in np.unravel_index(judgement.worst, answer.shape)]
    yield ""
    yield f"| {finding.quantity} {place} | |"
    yield "|---|---|"
    yield f"| got | `{float(judgement.got)!r}` |"
    yield f"| exact, {DIGITS} digits | `{digits(answer, judgement.worst)}` |"
    if judgement.ulp is not None:
        yield f"| error | {judgement.ulp:.4g} ulp, {judgement.bound_used:.4g} of the loose bound |"
    yield f"| tight bound | {judgement.tight:.6g} |"
    bound = itemised(answer, judgement.worst, flushed=about.flushed).removeprefix("loose bound ")
    yield f"| loose bound | {bound} |"
    yield ""
    yield (
        "The exact value is certified by interval arithmetic, for the inputs as they are in the format. The tight "
        "bound is what the format's own arithmetic may miss (binary32 rounded once, for 16-bit formats), the loose one "
        "what it may miss where every operation is rounded to the format."
    )


def _expected(about: Reproduced, finding: Finding) -> Iterator[str]:
    judgement = finding.judgement
    choices = [choice for choice in about.question.alternatives if choice != "exact"]
    if finding.kind in ("no-raise", "modified", "crash", "timeout") or judgement is None or judgement.worst is None:
        wanted = {"no-raise": "an exception", "modified": "the input as it was"}
        result = "a result of the shape and format that the spec defines"
        yield f"{finding.quantity}: {wanted.get(finding.kind, result)}"
    elif choices:
        yield f"{finding.quantity}: one of {', '.join(choices)}, the whole result alike"
    elif np.isfinite(judgement.exact):
        yield f"{finding.quantity}: {judgement.exact!r} at that element, within {max(judgement.loose, 0.0):.3g}"
    else:
        yield f"{finding.quantity}: {_short(judgement.exact)} at that element"


def _declared(about: Reproduced, findings: Sequence[Finding], known: Sequence[Deviation]) -> list[Deviation]:
    found = [apply(finding, about.check, about.details, known) for finding in findings]
    return list(
        dict.fromkeys(deviation for finding, deviation in found if deviation and finding.verdict is Verdict.KNOWN)
    )
