"""The suite as tests: `pytest --pyargs lossparity.conformance` judges backends, `lossparity.conforms` a function.

This module is the place that pytest is pointed to, and holds the nodes that it collects there: one item a check.
"""

from __future__ import annotations

import datetime
import shlex
import tempfile
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from lossparity import __version__, console, registry
from lossparity.api import chosen_cases, format_named, grade_named, pickled, wanted
from lossparity.checking import Wanted, plan
from lossparity.conforming import Conforming
from lossparity.diagnosis import Explained, described
from lossparity.errors import LossparityError, UnavailableError, UsageError, suggest
from lossparity.model import Backend, Grade, Verdict
from lossparity.plans import Question
from lossparity.plugin import ACCOUNTS, FOLLOWING
from lossparity.record import VERSION, Header, Result, encode
from lossparity.recorder import Account
from lossparity.runner import Run
from lossparity.session import Asked, Session
from lossparity.suite import digest

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

__all__ = ["Check", "Function", "Nonconforming", "Suite"]

# Of what may explain a failure, so many are named beside it; the end of the session has the causes of all.
_FEW = 2

_LABELS = pytest.StashKey[dict[str, str]]()


class Nonconforming(Exception):
    """A check that fails; the message is all that there is to say of it."""


class _Checks(pytest.Collector):
    """The checks of a plan: their workers start before the first of them and end after the last."""

    plan: Run
    label = ""
    least: float | None = None
    _asking: Session | None = None
    _refused: LossparityError | None = None
    _header = ""

    @abstractmethod
    def planned(self) -> Run:
        """Return what is to be run; this project's errors for what cannot be."""

    @abstractmethod
    def advice(self, item: Check, result: Result) -> Iterator[str]:
        """Yield the lines that say how a failure is repeated alone."""

    def collect(self) -> Iterator[Check]:
        """Yield an item for each check, those of one question side by side."""
        self.plan = self.planned()
        questions, _ = self.plan.questions()
        self._collected = Counter(backend for question in questions for backend in self.plan.asked(question))
        for question in questions:
            for backend in self.plan.asked(question):
                check: Check = Check.from_parent(
                    self, name=question.check_id(backend), question=question, backend=backend
                )
                yield check

    def teardown(self) -> None:
        """End the workers, and keep what they came to for the end of the session."""
        if self._asking is not None:
            causes, left = self._asking.close()
            counted = {self._asking.named(backend): n for backend, n in self._collected.items()}
            least = {} if self.least is None else dict.fromkeys(counted, self.least)
            self.config.stash.setdefault(ACCOUNTS, []).append(Account(causes, left, counted, least).to_json())
            self._asking = None

    def _counted(self) -> Counter[Backend]:
        """Count the checks of each backend that are selected."""
        return Counter(one.backend for one in self.session.items if isinstance(one, Check) and one.checks is self)

    def ask(self, item: Check) -> Asked:
        """Judge an item; the next of them is put to its worker meanwhile.

        The workers of those backends that are asked at all start with the first. This project's errors where they
        cannot: not in `setup`, of whose errors pytest shows the traceback.
        """
        if self._refused is not None:
            raise self._refused
        if self._asking is None:
            try:
                self._asking = Session(self.plan, self._counted(), self.label)
            except LossparityError as error:
                self._refused = error
                raise
            self._header = encode(_header(self.plan, self.config))
        following = item.stash[FOLLOWING]
        mine = isinstance(following, Check) and following.checks is self
        ahead = (following.question, following.backend) if isinstance(following, Check) and mine else None
        asked = self._asking.judge(item.question, item.backend, ahead)
        item.told = [self._header, *map(encode, asked.lines)]
        return asked

    # As pytest.Collector has it, which knows of no styles.
    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        """Say what is wrong with what was asked for, without a traceback of ours."""
        return _plain(excinfo) or super().repr_failure(excinfo)


def _plain(excinfo: ExceptionInfo[BaseException]) -> str:
    """Return what an error of this project says by itself; empty for any other."""
    return str(excinfo.value) if isinstance(excinfo.value, Nonconforming | LossparityError) else ""


def _header(planned: Run, config: pytest.Config) -> Header:
    """Return a record's first line; a process of pytest-xdist is told how pytest was called."""
    words = getattr(config, "workerinput", {}).get("mainargv") or ["pytest", *map(str, config.invocation_params.args)]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    command = shlex.join(map(str, words))
    return Header(VERSION, __version__, digest(planned.cases), now, command, planned.threshold.value)


class Suite(_Checks):
    """The cases put to backends: what `pytest --pyargs lossparity.conformance` collects.

    It is no `pytest.File`: its name is not that of a file below pytest's root folder, where `--lf` would look for it.
    """

    def planned(self) -> Run:
        """Return what the options choose."""
        options = self.config.option
        formats = tuple(map(format_named, _listed(options.lossparity_formats)))
        grade = grade_named(options.lossparity_min_grade)
        names = _listed(options.lossparity_backends)
        backends, named = registry.resolve(names) if names else (registry.installed(), set[str]())
        here = registry.registered()
        absent = [one for one in backends if not one.python and not here[one.implementation].available]
        if absent or not backends:
            said = f"{', '.join(map(str, absent)) or 'none of these backends'} not installed here"
            raise UnavailableError(said, hint="`lossparity doctor` says how to get what is missing")
        return Run(
            backends,
            chosen_cases(self._paths(), options.lossparity_case, formats),
            formats,
            frozenset(named),
            registry.known_deviations(one.framework for one in backends),
            grade or Grade.LOOSE,
            strict_known=True,
            strict_undecided=grade is not None,
            timeout=options.lossparity_timeout,
        )

    def _paths(self) -> list[Path]:
        return [Path(path) for path in self.config.option.lossparity_cases]

    def advice(self, item: Check, result: Result) -> Iterator[str]:
        """Yield how to repeat it with pytest, number by number, and as a script without lossparity."""
        again = ["pytest", "--pyargs", item.nodeid, "--lossparity-backends", str(item.backend)]
        look = ["lossparity", "show", result.check]
        for path in self._paths():
            again += ["--lossparity-cases", str(path)]
            look += ["--cases", str(path)]
        yield f"again: {shlex.join(again)}"
        yield f"look: {shlex.join(look)}"
        if item.question.case.plain and not item.backend.mode:
            yield f"script: {shlex.join([*look, '--script'])}"


def _listed(given: list[str]) -> list[str]:
    return [name for one in given for name in one.split(",") if name]


class Function(_Checks):
    """The cases of its operation put to a function that `lossparity.conforms` decorates."""

    obj: Conforming
    wanted: Wanted

    def __init__(self, *, obj: Conforming, **more: Any) -> None:
        """Keep the decorated object."""
        super().__init__(**more)
        self.obj = obj

    def planned(self) -> Run:
        """Return what `lossparity check` would run."""
        options = dict(self.obj.options)
        known = wanted.__kwdefaults__ or {}
        for name in options:
            if name not in known:
                raise UsageError(f"unknown option {name!r} of lossparity.conforms", hint=suggest(name, known, "option"))
        self.wanted = wanted(self._where(), self.obj.operation, **options)
        self.least = self.wanted.min_coverage
        self.label = _label(self)
        return plan(self.wanted)

    def _where(self) -> str:
        """Name the function for the child: by its file, or pickled where the file is part of a package."""
        names = [node.name for node in self.listchain() if isinstance(node, pytest.Class)]
        if not (self.path.parent / "__init__.py").exists():
            here = self.config.invocation_params.dir
            path = self.path.relative_to(here) if self.path.is_relative_to(here) else self.path
            return f"{path}:{'.'.join((*names, self.name))}"
        root = next(parent for parent in self.path.parents if not (parent / "__init__.py").exists())
        self._scratch = tempfile.TemporaryDirectory()  # which the child reads while the session lasts
        return pickled(self.obj, Path(self._scratch.name) / "function.pickle", [str(root)])

    def advice(self, item: Check, result: Result) -> Iterator[str]:
        """Yield how to repeat it with pytest, and, where a file holds the function, by the command."""
        yield f"again: pytest {shlex.quote(item.nodeid)}"
        if not self.wanted.target.where.startswith("pickle:"):
            yield f"look: {self.wanted.again(result)}"


def _label(node: Function) -> str:
    """Return a name that no other function of the session has: its file's and its own."""
    taken, number = node.config.stash.setdefault(_LABELS, {}), 1
    within = [one.name for one in node.listchain() if isinstance(one, pytest.Class)]
    name = unlike = ".".join((node.path.stem, *within, node.name))
    while taken.setdefault(unlike, node.nodeid) != node.nodeid:
        number += 1
        unlike = f"{name}-{number}"
    return unlike


class Check(pytest.Item):
    """One case in one format put to one backend."""

    def __init__(self, *, question: Question, backend: Backend, **more: Any) -> None:
        """Keep what is asked and who is; make it selectable by `-k` and `-m`."""
        super().__init__(**more)
        self.question, self.backend = question, backend
        self.stash[FOLLOWING] = None
        self.told: list[str] = []
        case = question.case
        self.extra_keyword_matches |= {case.clause, case.operation}
        self.add_marker(
            pytest.mark.lossparity(
                suite=case.id.partition("/")[0],
                case=case.id,
                clause=case.clause,
                operation=case.operation,
                format=question.format,
                backend=str(backend),
            )
        )

    @property
    def checks(self) -> _Checks:
        """The node that it was collected from."""
        assert isinstance(self.parent, _Checks)
        return self.parent

    def runtest(self) -> None:
        """Judge it: Nonconforming where it fails; pytest's own skips and expected failures for the rest."""
        asked = self.checks.ask(self)
        verdicts = {Verdict(result.verdict) for result in asked.results}
        if not verdicts:
            raise Nonconforming(f"{self.name} was not tested: {asked.stopped}")
        strict = {Verdict.STALE} | ({Verdict.UNDECIDED} if self.checks.plan.strict_undecided else set[Verdict]())
        if any(verdict.failing for verdict in verdicts) or verdicts & strict:
            raise Nonconforming(self._said(asked))
        if Verdict.KNOWN in verdicts:
            known = [one for one in asked.results if one.verdict == Verdict.KNOWN.value]
            pytest.xfail("; ".join(dict.fromkeys(f"{one.deviation}: {one.message}" for one in known)))
            raise Nonconforming(self._said(asked))  # where pytest was told --runxfail
        if Verdict.PASS not in verdicts:
            left = (f"{one.verdict}: {one.message}" for one in asked.results)
            raise pytest.skip.Exception("; ".join(dict.fromkeys(left)), _use_item_location=True)

    def _said(self, asked: Asked) -> str:
        lines: list[str] = []
        for result in asked.results:
            if not Verdict(result.verdict).failing and result.verdict not in ("stale", "undecided", "known"):
                continue
            lines += [console.failure(result), *console.wrapped(console.inputs_of(asked.question), "    ", "  ")]
            for one in result.explained[:_FEW]:
                near = f", to {one.ulp:.2g} ulp" if one.ulp is not None else ""
                lines += console.wrapped(f"may be {one.id}{near}: {described(Explained(one.id))}", "    ", "  ")
            lines += [f"  {line}" for line in self.checks.advice(self, result)]
        return click.unstyle("\n".join(lines))

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """Show what was found, and not how it was found; a traceback only for a fault of ours."""
        return _plain(excinfo) or super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where it is and the headline of a failure, which is not to be taken for a dotted name."""
        return self.path, 0, f"check {self.name}"
