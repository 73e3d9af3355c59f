"""A check as a Python script that stands alone: the framework, NumPy, and nothing of lossparity.

It is what a maintainer reads: inputs, the call, the exact values with their bounds, and a comparison of a few lines.
It exits with 1 when the deviation is there and with 0 when the result conforms.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossparity import __version__
from lossparity.errors import UsageError
from lossparity.framework import COMPOSED, MANUAL, TARGET
from lossparity.model import Backend, Case, Outcome, Verdict
from lossparity.plans import Finding, Question
from lossparity.reproducing.literals import ROUND_BFLOAT16, inputs_code, values_comment
from lossparity.reproducing.verdicts import Verdicts
from lossparity.spec import CLAUSES, OPERATIONS

__all__ = ["Reproduced", "Scripted", "script", "unwritten"]

_WHOSE = {
    COMPOSED: "The framework has no such call: lossparity's adapter makes it of the framework's primitives, as below.",
    MANUAL: "The functions below are the textbook's chain, step by step, and not the framework's own.",
    TARGET: "The function is a user's own.",
}


@dataclass(frozen=True, eq=False)
class Scripted:
    """A check of which a script is written: what was asked and found, and how the child writes the call.

    `written` is the answer of `lossparity.source`, empty where the call is not offered; `flushed` is the backend's
    declared trait.
    """

    question: Question
    backend: Backend
    findings: Sequence[Finding]
    written: Mapping[str, Any]
    flushed: bool

    @property
    def check(self) -> str:
        """The check's id."""
        return self.question.check_id(self.backend)

    def only(self, quantity: str) -> Sequence[Finding]:
        """Return the findings of one quantity, of all where it is empty, without those that are not offered.

        UsageError where none is left.
        """
        left = [f for f in self.findings if f.quantity == (quantity or f.quantity)]
        offered = [f for f in left if f.verdict is not Verdict.UNSUPPORTED]
        if not offered:
            reason = left[0].message if left else f"the check has no {quantity}"
            raise UsageError(f"there is nothing to reproduce: {reason}", where=self.check)
        return offered


@dataclass(frozen=True, eq=False)
class Reproduced(Scripted):
    """A check as it went: also what came back; `details` is the child's account of itself."""

    outcome: Outcome
    details: Mapping[str, str]


def unwritten(case: Case, findings: Sequence[Finding]) -> UsageError | None:
    """Return why no script of a case could show what was found; none where one can."""
    if not case.plain:
        said = "several calls are compared" if case.relation else "the inputs are arranged before the call"
        return UsageError(f"{said}: that is not written as a script")
    if any(finding.kind == "published" for finding in findings):
        said = "the result is right, but not the figures printed in the case: no script can show that"
        return UsageError(said, hint="`lossparity show` without --script shows them")
    return None


def script(about: Scripted, quantity: str = "") -> str:
    """Write the script of a check, for one quantity or both.

    UsageError where a script could not tell: nothing is offered, or the case's own printed figures are at fault.
    """
    findings = about.only(quantity)
    if refused := unwritten(about.question.case, findings):
        raise UsageError(refused.message, where=about.check, hint=refused.hint)
    return "\n".join(_lines(about, findings)) + "\n"


def _lines(about: Scripted, findings: Sequence[Finding]) -> Iterator[str]:
    verdicts = Verdicts(about.question, findings, about.flushed)
    inputs = inputs_code(about.question.case, dict(about.question.arrays))
    if all(finding.quantity != "gradient" for finding in findings):
        inputs.pop("upstream", None)
    yield from _opening(about, findings)
    yield ""
    yield from _imports(about)
    yield ""
    yield from about.written["phrases"]["settings"]
    if any("bfloat16_bits(" in code for code in inputs.values()):
        yield from ("", "", ROUND_BFLOAT16)
    yield from _code(about)
    yield ""
    yield from _inputs(about, inputs)
    yield ""
    yield from _call(about, findings)
    yield ""
    if not verdicts.choices:
        yield 'print("returned a result where an exception is wanted:", *(array for array, _ in got.values()))'
        yield "sys.exit(1)"
        return
    yield from verdicts.lines()
    yield ""
    yield ""
    calls = [f'conforms("{f.quantity}", *got["{f.quantity}"], {verdicts.shape(f)!r})' for f in findings]
    yield f"results = [{', '.join(calls)}]"
    yield "sys.exit(0 if all(results) else 1)"


def _opening(about: Scripted, findings: Sequence[Finding]) -> Iterator[str]:
    clause, origin = CLAUSES[about.question.case.clause], about.written["origin"]
    alone = f"#{findings[0].quantity}" if len(findings) < len(about.question.quantities) else ""
    yield f"# {about.check}{alone}"
    if about.question.case.about:
        yield f"# {about.question.case.about}"
    yield f"# Clause {clause.id} ({clause.basis}): {clause.text}."
    if origin in _WHOSE and (about.written["code"] or origin == TARGET):
        yield f"# {_WHOSE[origin]}"
    yield f"# Written by lossparity {__version__}, which it does not need."
    yield "# Exit status: 1 if the deviation is there, 0 if the result conforms."


def _imports(about: Scripted) -> Iterator[str]:
    phrases = about.written["phrases"]
    bfloat16 = phrases["bfloat16_imports"] if about.question.format == "bfloat16" else ()
    standard = [
        line for line in about.written["imports"] if line.split()[1].partition(".")[0] in sys.stdlib_module_names
    ]
    if about.written["code"]:
        yield "from __future__ import annotations"
        yield ""
    yield from dict.fromkeys(["import sys", *standard])
    yield ""
    yield from dict.fromkeys(
        line
        for line in ("import numpy as np", *phrases["imports"], *bfloat16, *about.written["imports"])
        if line not in standard
    )


def _code(about: Scripted) -> Iterator[str]:
    for text in about.written["code"]:
        if text.startswith(("def ", "@", "class ", "#")):
            yield ""
        yield ""
        yield text
    if about.written["code"]:
        yield ""


def _inputs(about: Scripted, inputs: Mapping[str, str]) -> Iterator[str]:
    phrases = about.written["phrases"]
    yield "# The inputs, exactly as they are in the format."
    for name, code in inputs.items():
        array = about.question.arrays[name]
        yield from values_comment(name, array)
        phrase: str = phrases["bfloat16" if array.format == "bfloat16" else "tensor"]
        yield f"{name} = {phrase.format(array=code)}"


def _call(about: Scripted, findings: Sequence[Finding]) -> Iterator[str]:
    written, phrases = about.written, about.written["phrases"]
    first = OPERATIONS[about.question.case.operation].first
    fill = {"first": first, **{key: written[key] for key in ("call", "function", "arguments")}}

    def numbers(tensor: str) -> str:
        return str(phrases["numbers"].format(tensor=tensor))

    numpy = "" if about.backend.framework == "numpy" else '"numpy", np.__version__, '
    yield f'print("{about.backend.framework}", {phrases["version"]}, {numpy}"python", sys.version.split()[0])'
    modified = any(finding.kind == "modified" for finding in findings)
    if modified:
        yield f"before = np.array({numbers(first)})"
    yield "got = {}"
    yield "try:"
    for quantity, lines in (("value", phrases["call"]), ("gradient", phrases["gradient"])):
        if quantity == "value" or any(finding.quantity == quantity for finding in findings):
            yield from (f"    {line.format(**fill)}" for line in lines)
            yield f'    got["{quantity}"] = {numbers(quantity)}, {phrases["format"].format(tensor=quantity)}'
    yield "except Exception as error:"
    yield '    print(f"raised {type(error).__name__}: {error}")'
    yield "    sys.exit(0)  # permitted here" if "raises" in about.question.alternatives else "    sys.exit(1)"
    if modified:
        yield f"if not np.array_equal(before, {numbers(first)}, equal_nan=True):"
        yield '    print("the inputs were modified")'
        yield "    sys.exit(1)"
