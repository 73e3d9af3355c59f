"""`lossparity check`: a user's own function under the suite, with the coverage that its signature allows."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from lossparity import console, failing
from lossparity.errors import UnavailableError, UsageError, suggest
from lossparity.judged import Summary
from lossparity.model import Backend, Case, Grade, Recipe
from lossparity.plans import Finding, Question
from lossparity.record import NotTested, Result, Writer
from lossparity.reference import Remember, computed
from lossparity.reference.conventions import SPEC, Convention
from lossparity.registry import compiler, read_known, registered
from lossparity.runner import Run, run
from lossparity.spec import OPERATIONS
from lossparity.target import Target

__all__ = ["LEAST_COVERAGE", "Checked", "Wanted", "backends_of", "check", "plan"]

SECONDS = 60.0
"""The time limit of one check, unless asked for otherwise."""
LEAST_COVERAGE = 0.8
"""The share of an operation's must-results that has to be judged, unless asked for otherwise."""


@dataclass(frozen=True)
class Wanted:
    """What to check and by what: `mode` is eager, compiled or both; `cases` are those to choose the operation's from.

    `min_grade` is the lowest grade that passes; when it is given, undecided results fail too. `known` is a file of the
    user's own known deviations; `paths` are the case files that were asked for, to be named again. `last_failed` leaves
    out what did not fail the last time; `dump` is a folder that receives the inputs of what fails.
    """

    target: Target
    cases: Sequence[Case]
    framework: str = "numpy"
    device: str = "cpu"
    mode: str = "eager"
    formats: Sequence[str] = ()
    min_grade: Grade | None = None
    convention: Convention = SPEC
    known: Path | None = None
    min_coverage: float = LEAST_COVERAGE
    timeout: float = SECONDS
    last_failed: bool = False
    dump: Path | None = None
    paths: Sequence[Path] = ()
    command: str = ""
    remember: Remember = computed
    memory: int | None = None

    def again(self, result: Result) -> str:
        """Return the command that repeats one result's check alone."""
        return shlex.join(["lossparity", "check", *self._options(), "--case", result.case, "--format", result.format])

    def script(self, result: Result) -> str:
        """Return the command that prints a script of one result's check."""
        words = ["lossparity", "show", result.check, "--target", *self._options(framework=False), "--script"]
        return shlex.join(words)

    def _options(self, *, framework: bool = True) -> list[str]:
        target, words = self.target, [self.target.where]
        if target.operation != "cross_entropy" and framework:
            words += ["--operation", target.operation]
        if framework:
            words += ["--framework", self.framework]
            words += ["--device", self.device] if self.device != "cpu" else []
            words += ["--mode", self.mode] if self.mode != "eager" else []
            words += ["--convention", str(self.convention)] if self.convention != SPEC else []
            words += ["--min-grade", self.min_grade.value] if self.min_grade else []
            words += ["--timeout", f"{self.timeout:g}"] if self.timeout != SECONDS else []
            words += ["--known", str(self.known)] if self.known else []
        for path in self.paths:
            words += ["--cases", str(path)]
        words += [word for name, theirs in target.map.items() for word in ("--map", f"{name}={theirs}")]
        words += ["--returns", target.returns] if target.returns else []
        words += ["--inplace-ok"] if target.inplace_ok else []
        return words + (["--supports", ",".join(target.supports)] if target.supports and framework else [])


@dataclass(frozen=True)
class Checked:
    """How a check ended: the summary with its causes, the failures and their inputs by key, and closing words."""

    wanted: Wanted
    summary: Summary
    failures: Mapping[str, tuple[Question, Finding, Result]]
    said: Sequence[str]
    exit_code: int

    def advice(self, result: Result) -> tuple[str, ...]:
        """Say how one failure is repeated alone, and as a script that needs the framework and NumPy only."""
        if self.wanted.target.where.startswith("pickle:"):
            return (f"again: lossparity.check(…, case={result.case!r}, format={result.format!r})",)
        again = f"again: {self.wanted.again(result)}"
        # A script judges by the spec's own convention, and calls eagerly.
        question, *_ = self.failures[result.key]
        plain = question.case.plain and self.wanted.convention == SPEC and not Backend.parse(result.backend).mode
        return (again, f"script: {self.wanted.script(result)}") if plain else (again,)

    def text(self) -> str:
        """Return what the command prints, in colour: the causes, the counts, what was not tested."""
        inputs = {key: question for key, (question, _, _) in self.failures.items()}
        said = (line for one in self.said for line in console.wrapped(one, ""))
        return "\n".join((console.summary(self.summary, inputs=inputs, advice=self.advice), *said))

    def __str__(self) -> str:
        """Return the same without colour."""
        return click.unstyle(self.text())

    @property
    def conforms(self) -> bool:
        """Whether nothing failed, and enough could be judged."""
        return self.exit_code == 0


@dataclass
class _Collected:
    """The failures of a check as they are found."""

    wanted: Wanted
    told: Callable[[Question, Finding, Result], None]
    failures: dict[str, tuple[Question, Finding, Result]] = field(default_factory=dict)

    def __call__(self, question: Question, finding: Finding, result: Result) -> None:
        self.failures[result.key] = (question, finding, result)
        if self.wanted.dump is not None:
            failing.dump(self.wanted.dump, question, finding, result)
        self.told(question, finding, result)


def plan(wanted: Wanted) -> Run:
    """Plan the run of a user's function: only its operation's cases, the simplest first, no known deviation inherited.

    Raises UsageError for what is not known, UnavailableError where the framework is not installed.
    """
    target, framework = wanted.target, wanted.framework
    target.check()
    available = {entry.requires[0]: entry.requires[0] not in entry.missing for entry in registered().values()}
    if framework not in available:
        raise UsageError(f"unknown framework {framework!r}", hint=suggest(framework, available, "framework"))
    if not available[framework]:
        raise UnavailableError(f"{framework} is not installed", hint="`lossparity doctor` says how to get it")
    chosen = [case for case in wanted.cases if case.operation == target.operation]
    if not chosen:
        raise UsageError(
            f"no selected case is about {target.operation}", hint="leave out --case, or choose --operation"
        )
    backends = backends_of(framework, wanted.device, wanted.mode)
    if wanted.mode == "compiled" and not any(case.compiled for case in chosen):
        raise UsageError(
            "no selected case is tagged `compiled: true`", hint="compiled modes run only these; leave out --case"
        )
    checks = [(c, f) for c in chosen for f in c.formats if not wanted.formats or f in wanted.formats]
    waived = [NotTested(str(b), "clause M6, inputs are left unmodified (--inplace-ok)", len(checks)) for b in backends]
    again = failing.last(wanted.target, framework, wanted.device) if wanted.last_failed else frozenset[str]()
    return Run(
        backends,
        sorted(chosen, key=_size),
        wanted.formats,
        named=frozenset(map(str, backends)),
        known=read_known(wanted.known) if wanted.known else (),
        threshold=wanted.min_grade or Grade.LOOSE,
        strict_undecided=wanted.min_grade is not None,
        timeout=wanted.timeout,
        command=wanted.command,
        target=target,
        # By another convention the framework's own function is wrong as a matter of course.
        beside=Backend(framework, "", wanted.device) if wanted.convention == SPEC else None,
        convention=wanted.convention,
        only=again & {f"{case.id}/{fmt}" for case, fmt in checks},
        left_out=waived if target.inplace_ok else (),
        remember=wanted.remember,
        memory=wanted.memory,
    )


def backends_of(framework: str, device: str, mode: str) -> list[Backend]:
    """Return the backends of a user's function in a mode: eager, compiled or both; UsageError without a compiler."""
    eager = Backend(framework, "target", device)
    if mode == "eager":
        return [eager]
    compiled = Backend(framework, "target", device, compiler(framework))
    if not compiled.mode:
        raise UsageError(f"{framework} has no compiler", hint="leave out --mode")
    return [compiled] if mode == "compiled" else [eager, compiled]


def check(
    wanted: Wanted,
    writer: Writer,
    progress: Callable[[int, int, Summary], None],
    told: Callable[[Question, Finding, Result], None],
) -> Checked:
    """Run it; `told` hears of every failure as it is found.

    UsageError when the target cannot be used, UnavailableError when its framework or device is absent.
    """
    planned = plan(wanted)
    collected = _Collected(wanted, told)
    summary = run(replace(planned, told=collected), writer, progress)
    if summary.missing and not summary.judged:
        absent = summary.missing[0]
        reason = next(left.reason for left in reversed(summary.not_tested) if left.what == absent)
        raise UnavailableError(f"{absent} cannot be run: {reason}")
    said: list[str] = []
    if wanted.last_failed:
        said.append(
            f"only the {len(planned.only)} checks that failed last time were run; leave out --last-failed for all"
            if planned.only
            else "nothing of this selection is remembered to have failed: everything was run"
        )
    failed = {f"{result.case}/{result.format}" for _, _, result in collected.failures.values()}
    asked = {f"{q.case.id}/{q.format}" for q in planned.questions()[0]}
    failing.remember(wanted.target, wanted.framework, wanted.device, asked, failed)
    code = summary.exit_code
    for backend, (must, supported) in summary.must.items():
        if supported >= wanted.min_coverage * must:
            continue
        of = f" of {backend}" if len(summary.must) > 1 else ""
        said.append(
            f"only {supported} of {must} must-results{of} could be judged: below {wanted.min_coverage:.0%}, "
            f"no conforming {wanted.target.operation}; give it the missing keywords or a gradient, or say what it is "
            "for: --supports"
        )
        code = max(code, 1)
    return Checked(wanted, summary, collected.failures, said, code)


def _size(case: Case) -> int:
    """Number of elements of the first argument: the simplest failure comes first."""
    first = case.inputs[OPERATIONS[case.operation].first]
    if isinstance(first, Recipe):
        return math.prod(first.shape)
    return _count(first)


def _count(numbers: object) -> int:
    return sum(map(_count, numbers)) if isinstance(numbers, tuple) else 1
