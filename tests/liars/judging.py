"""Judge implementations by the built-in cases as `lossparity check` does, but in this process.

The reference of a question is computed once for all of them, and what two of them return alike is judged once. What
a check without a failure is, and what a lie is caught for, is said here, for the tests and for the runner alike.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from liars.entries import STATE, Correct, Liar
from liars.where import everywhere, logits
from lossparity import suite, wire
from lossparity.call import call
from lossparity.framework import Framework
from lossparity.model import Backend, Declined, Grade, Outcome, Produced, Raised, Verdict
from lossparity.plans import Finding, Question
from lossparity.registry import registered
from lossparity.target import Target, implementation

__all__ = ["SMALL", "Found", "Trial", "alone", "flagged", "judged", "questions", "text", "tried"]

# Elements of the first argument: cases beyond are slow, and only who errs in long sums needs them to be caught.
SMALL = 1000
# Of a sample: questions for each clause under which a lie must be caught, and those where it cannot show.
TELLING, OTHERS = 5, 8
# What a correct implementation is asked: all small cases and a few large ones; of JAX, which compiles for each shape
# and format, some small ones.
LARGE, OF_JAX = 4, 12
# Steps of this share of a list reach all parts of it before they come near each other again.
GOLDEN = (5**0.5 - 1) / 2

Found = tuple[Question, Finding]


@functools.cache
def questions(operation: str) -> tuple[Question, ...]:
    """Return the built-in cases of an operation in all their formats."""
    cases = [case for one in suite.load([suite.built_in()]) for case in one.cases if case.operation == operation]
    return tuple(Question(case, fmt) for case in cases for fmt in case.formats)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Undo what a target's child may do to its own process: the import path, and warnings switched off."""
    path = [*sys.path]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.path[:] = path


@functools.cache
def _framework(name: str) -> tuple[Framework, bool]:
    """Return the adapter, pinned as in a child, and whether it declares that it flushes subnormal numbers."""
    module, _, cls = registered()[name].adapter.partition(":")
    made: Any = getattr(importlib.import_module(module), cls)
    framework: Framework = made("cpu")
    framework.pin()
    return framework, framework.describe()["subnormals"] == "flushed"


@functools.cache
def judged(one: Liar | Correct, operation: str, sampled: bool = False) -> tuple[Found, ...]:
    """Judge one operation of an implementation, on all its questions or on a sample that is the same every time.

    A liar is asked the large cases only if its lie shows there alone.
    """
    asked = [q for q in questions(operation) if q.put_to(backend(one))]
    asked = [q for q in asked if not isinstance(one, Liar) or one.large or _small(q)]
    if sampled:
        asked = _sample(one, operation, asked)
    with alone():
        framework, flushed = _framework(one.framework)
        if isinstance(one, Liar) and one.category == STATE:
            # What it keeps must not come from an earlier judging: it is imported afresh.
            sys.modules.pop(f"liars.{one.name.partition(':')[0]}", None)
        table = implementation(Target(f"liars.{one.name}.{operation}", operation))
        found: list[Found] = []
        for question in asked:
            sent = [_sent(call(framework, table, request)) for request in question.requests(backend(one))]
            found += [(question, finding) for finding in _findings(question, sent, flushed)]
    return tuple(found)


def _sent(outcome: Produced | Raised | Declined) -> bytes:
    """Return what a child sends before its next call: what happens to the arrays later does not show."""
    # Who was called is no part of what is judged, and the same of none.
    nameless = outcome if isinstance(outcome, Declined) else replace(outcome, api="")
    return b"".join(wire.pack_outcome(nameless))


_FINDINGS: dict[tuple[Question, bool, bytes], tuple[Finding, ...]] = {}


def _findings(question: Question, sent: Sequence[bytes], flushed: bool) -> tuple[Finding, ...]:
    # Nearly all that a liar returns is what an honest implementation does, and judging takes longer than calling.
    key = question, flushed, hashlib.blake2b(b"".join(sent)).digest()
    if key not in _FINDINGS:
        outcomes = [_received(message) for message in sent]
        _FINDINGS[key] = question.findings(outcomes, flushed=flushed, threshold=Grade.LOOSE)
    return _FINDINGS[key]


def _received(message: bytes) -> Outcome:
    return wire.unpack_outcome(*wire.read(io.BytesIO(message)))


def _small(question: Question) -> bool:
    return logits(question).size <= SMALL


def _sample(one: Liar | Correct, operation: str, asked: Sequence[Question]) -> list[Question]:
    if isinstance(one, Correct):
        small = [q for q in asked if _small(q)]
        if one.framework == "jax":
            return _spread(small, OF_JAX)
        return small + _spread([q for q in asked if not _small(q)], LARGE)
    shown = [q for q in asked if one.where(q)]
    groups = [[q for q in shown if q.case.clause == clause] for clause in one.clauses[operation].split()]
    rest = [] if one.where is everywhere else [q for q in asked if not one.where(q)]
    return [q for group in groups for q in _spread(group, TELLING)] + _spread(rest, OTHERS)


def _spread(asked: Sequence[Question], count: int) -> list[Question]:
    """Return some of the questions, of all formats and from all parts of the list."""
    places = dict.fromkeys(int(i * GOLDEN % 1 * len(asked)) for i in range(min(count, len(asked))))
    return [asked[place] for place in places]


def backend(one: Liar | Correct) -> Backend:
    """Return the backend under which `lossparity check` would judge it."""
    return Backend(one.framework, "target")


def text(one: Liar | Correct, found: Found) -> str:
    """Return one line: the check, and how it deviates."""
    question, finding = found
    used = finding.judgement.bound_used if finding.judgement else None
    bound = f", {used:.3g} times the bound" if used is not None else ""
    kind = f" {finding.kind}" if finding.kind else ""
    return f"{question.check_id(backend(one))}#{finding.quantity}: {finding.verdict.value}{kind}{bound}"


def flagged(one: Correct, operation: str, sampled: bool = False) -> tuple[Found, ...]:
    """Return the false alarms: what a correct implementation did not pass, undecided results too; simplest first."""
    return _simplest(found for found in judged(one, operation, sampled) if found[1].verdict is not Verdict.PASS)


@dataclass(frozen=True)
class Trial:
    """What came of one operation of a liar.

    `missing`: clauses that it must be caught under, and is not. `stray`: failures that are not its lie. `nearest`:
    the passed result, where the lie can show, that used most of its bound.
    """

    liar: Liar
    operation: str
    missing: tuple[str, ...]
    stray: tuple[Found, ...]
    nearest: Found | None

    @property
    def caught(self) -> bool:
        """Whether it is caught under all its clauses, and for its lie alone."""
        return not self.missing and not self.stray


def tried(liar: Liar, operation: str, sampled: bool = False) -> Trial:
    """Judge one operation of a liar, and say whether it is caught for its lie."""
    every = judged(liar, operation, sampled)
    failed = [found for found in every if found[1].verdict.failing]
    under = {question.case.clause for question, _ in failed}
    missing = tuple(clause for clause in liar.clauses[operation].split() if clause not in under)
    stray = _simplest(found for found in failed if not _its_lie(liar, found))
    passed = [found for found in every if not found[1].verdict.failing and _its_lie(liar, found, passed=True)]
    return Trial(liar, operation, missing, stray, max(passed, key=_bound_used, default=None))


def _its_lie(liar: Liar, found: Found, passed: bool = False) -> bool:
    question, finding = found
    right_kind = passed or not liar.kinds or finding.kind in liar.kinds
    return right_kind and finding.quantity in liar.quantities and liar.where(question)


def _bound_used(found: Found) -> float:
    judgement = found[1].judgement
    return judgement.bound_used or 0.0 if judgement else 0.0


def _simplest(found: Iterator[Found]) -> tuple[Found, ...]:
    return tuple(sorted(found, key=lambda one: logits(one[0]).size))
