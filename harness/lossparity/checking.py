"""`lossparity check`: a user's own function under the suite, with the coverage that its signature allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lossparity.errors import UnavailableError, UsageError, suggest
from lossparity.judged import Summary
from lossparity.model import Backend, Case, Grade, Recipe
from lossparity.record import NotTested, Result, Writer
from lossparity.registry import compiler, registered
from lossparity.runner import Run, run
from lossparity.spec import OPERATIONS
from lossparity.target import Target

__all__ = ["Checked", "check", "plan"]

LEAST_COVERAGE = 0.8


@dataclass(frozen=True)
class Checked:
    """How a check ended: the run's summary, the failures simplest input first, and closing words."""

    summary: Summary
    simplest_first: list[Result]
    said: list[str]
    exit_code: int


def plan(
    target: Target,
    framework: str,
    device: str,
    cases: Sequence[Case],
    formats: Sequence[str],
    threshold: Grade,
    strict_undecided: bool,
    timeout: float,
    command: str,
    mode: str = "eager",
) -> Run:
    """Plan the run of a user's function: only its operation's cases, and no known deviation excuses it.

    `mode` is eager, compiled or both.
    """
    target.check()
    available = {Backend.parse(entry.name).framework: entry.available for entry in registered().values()}
    if framework not in available:
        raise UsageError(f"unknown framework {framework!r}", hint=suggest(framework, available, "framework"))
    if not available[framework]:
        raise UnavailableError(f"{framework} is not installed", hint="`lossparity doctor` says how to get it")
    chosen = [case for case in cases if case.operation == target.operation]
    if not chosen:
        raise UsageError(
            f"no selected case is about {target.operation}", hint="leave out --case, or choose --operation"
        )
    backends = _backends(framework, device, mode)
    if mode == "compiled" and not any(case.compiled for case in chosen):
        raise UsageError(
            "no selected case is tagged `compiled: true`", hint="compiled modes run only these; leave out --case"
        )
    checks = sum(1 for case in chosen for fmt in case.formats if not formats or fmt in formats)
    waived = [NotTested(str(b), "clause M6, inputs are left unmodified (--inplace-ok)", checks) for b in backends]
    return Run(
        backends,
        chosen,
        formats,
        named=frozenset(map(str, backends)),
        threshold=threshold,
        strict_undecided=strict_undecided,
        timeout=timeout,
        command=command,
        target=target,
        left_out=waived if target.inplace_ok else (),
    )


def _backends(framework: str, device: str, mode: str) -> list[Backend]:
    eager = Backend(framework, "target", device)
    if mode == "eager":
        return [eager]
    compiled = Backend(framework, "target", device, compiler(framework))
    if not compiled.mode:
        raise UsageError(f"{framework} has no compiler", hint="leave out --mode")
    return [compiled] if mode == "compiled" else [eager, compiled]


def check(planned: Run, writer: Writer, progress: Callable[[int, int, Summary], None]) -> Checked:
    """Run it; UsageError when the target cannot be used, UnavailableError when its framework or device is absent."""
    summary = run(planned, writer, progress)
    if summary.missing and not summary.judged:
        absent = summary.missing[0]
        reason = next(left.reason for left in reversed(summary.not_tested) if left.what == absent)
        raise UnavailableError(f"{absent} cannot be run: {reason}")
    sizes = {case.id: _size(case) for case in planned.cases}
    failures = sorted(summary.failures, key=lambda r: (sizes[r.case], r.case, r.quantity != "value"))
    said: list[str] = []
    code = summary.exit_code
    must, supported = summary.must
    if must and supported < LEAST_COVERAGE * must:
        said.append(
            f"only {supported} of {must} must-results could be judged: below {LEAST_COVERAGE:.0%}, not a conforming "
            f"{planned.cases[0].operation}; give it the missing keywords or a gradient"
        )
        code = max(code, 1)
    if failures:
        first = failures[0]
        case, _, fmt = first.check.rpartition("@")[0].rpartition("/")
        said.append(f"repeat the simplest failure: {planned.command} --case '{case}' --format {fmt}")
    return Checked(summary, failures, said, code)


def _size(case: Case) -> int:
    """Number of elements of the first argument: the simplest failure comes first."""
    first = case.inputs[OPERATIONS[case.operation].first]
    if isinstance(first, Recipe):
        return math.prod(first.shape)
    return _count(first)


def _count(numbers: object) -> int:
    return sum(map(_count, numbers)) if isinstance(numbers, tuple) else 1
