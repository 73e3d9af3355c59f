"""What pytest collects of lossparity: a node for the checks of one plan, and an item for each of them."""

from __future__ import annotations

import datetime
import shlex
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import pytest

from lossparity import __version__, console
from lossparity.diagnosis import Explained, described
from lossparity.errors import LossparityError
from lossparity.model import Backend, Case, Verdict
from lossparity.plans import Question
from lossparity.plugin import ACCOUNTS, FOLLOWING, OPEN
from lossparity.record import VERSION, Header, NotTested, Result, encode
from lossparity.recorder import Account
from lossparity.runner import Run
from lossparity.session import Asked, Session, renamed
from lossparity.suite import digest

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from lossparity.speed.bench import Bench

__all__ = ["Check", "Checks", "Nonconforming", "plain", "selectable"]

# Of what may explain a failure, so many are named beside it; the end of the session has the causes of all.
_FEW = 2


class Nonconforming(Exception):
    """A check that fails; the message is all that there is to say of it."""


class Checks(pytest.Collector):
    """The checks of a plan: their workers start before the first of them and end after the last."""

    plan: Run
    label = ""
    untimed = ""
    least: float | None = None
    _asking: Session | None = None
    _refused: LossparityError | None = None
    _header = ""
    _begun = False
    _to_come = 0

    def __init__(self, **more: Any) -> None:
        """Begin with nothing asked."""
        super().__init__(**more)
        self._collected = Counter[Backend]()
        self._untested = Counter[str]()
        self._given = set[str]()

    @abstractmethod
    def planned(self) -> Run:
        """Return what is to be run; this project's errors for what cannot be."""

    @abstractmethod
    def timed(self) -> Bench:
        """Return what is to be timed in its place, where only benchmarks are run; the same errors."""

    @abstractmethod
    def advice(self, item: Check, result: Result) -> Iterator[str]:
        """Yield the lines that say how a failure is repeated alone."""

    def collect(self) -> Iterator[Check]:
        """Yield an item for each check, those of one question side by side."""
        self.plan = self.planned()
        questions, _ = self.plan.questions()
        self._collected = Counter(backend for question in questions for backend in self.plan.asked(question))
        self.config.stash.setdefault(OPEN, []).append(self.close)
        for question in questions:
            for backend in self.plan.asked(question):
                check: Check = Check.from_parent(
                    self, name=question.check_id(backend), question=question, backend=backend
                )
                yield check

    def teardown(self) -> None:
        """End the workers where nothing more is to be asked of them, so far as this process knows.

        Other tests may come in between; what a process of pytest-xdist is still to do, nobody knows.
        """
        if self._begun and (self._to_come <= 0 or hasattr(self.config, "workerinput")):
            self.close()

    def close(self) -> None:
        """End the workers, and keep what they came to, or that nothing was asked, for the end of the session."""
        counted = {renamed(str(backend), self.label): n for backend, n in self._collected.items()}
        least = {} if self.least is None else dict.fromkeys(counted, self.least)
        if self._asking is not None:
            causes, left, scripts = self._asking.close()
            self._asking = None
        elif self._refused is not None and self._untested:
            causes, scripts = [], []
            left = [NotTested(name, str(self._refused), self._untested[name]) for name in self._untested]
            self._untested.clear()
        elif not self._begun:
            causes, left, scripts = [], [], []
        else:
            return
        self._begun = True
        self.config.stash.setdefault(ACCOUNTS, []).append(Account(causes, left, counted, least, scripts).to_json())

    def ask(self, item: Check) -> Asked:
        """Judge an item; the next of them is put to its worker meanwhile.

        The workers of those backends that are asked at all start with the first. This project's errors where they
        cannot: not in `setup`, of whose errors pytest shows the traceback.
        """
        self._to_come -= 1
        asking = self._session(item)
        following = item.stash[FOLLOWING]
        mine = isinstance(following, Check) and following.checks is self
        ahead = (following.question, following.backend) if isinstance(following, Check) and mine else None
        asked = asking.judge(item.question, item.backend, ahead)
        item.told = [self._header, *map(encode, asked.lines)]
        return asked

    def _session(self, item: Check) -> Session:
        if self._asking is None and self._refused is None:
            mine = [one for one in self.session.items if isinstance(one, Check) and one.checks is self]
            self._header, self._begun = encode(_header(self.plan, self.config)), True
            self._to_come = len(mine) - 1
            try:
                self._asking = Session(self.plan, Counter(one.backend for one in mine), self.label)
            except LossparityError as error:
                self._refused = error
        if self._asking is None:
            assert self._refused is not None
            item.told = [self._header]
            self._untested[renamed(str(item.backend), self.label)] += 1
            raise self._refused
        return self._asking

    def first(self, reason: str) -> bool:
        """Whether it is the first time that a reason is given for what cannot be tested."""
        fresh = reason not in self._given
        self._given.add(reason)
        return fresh

    # As pytest.Collector has it, which knows of no styles.
    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        """Say what is wrong with what was asked for, without a traceback of ours."""
        return plain(excinfo) or super().repr_failure(excinfo)


def plain(excinfo: ExceptionInfo[BaseException]) -> str:
    """Return what an error of this project says by itself; empty for any other."""
    return str(excinfo.value) if isinstance(excinfo.value, Nonconforming | LossparityError) else ""


def _header(planned: Run, config: pytest.Config) -> Header:
    """Return a record's first line; a process of pytest-xdist is told how pytest was called."""
    words = getattr(config, "workerinput", {}).get("mainargv") or ["pytest", *map(str, config.invocation_params.args)]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    command = shlex.join(map(str, words))
    return Header(VERSION, __version__, digest(planned.cases), now, command, planned.threshold.value)


def selectable(item: pytest.Item, case: Case, fmt: str, backend: str) -> None:
    """Let `-k` find an item by its clause and operation, and `-m` by the marker `lossparity`."""
    item.extra_keyword_matches |= {case.clause, case.operation}
    item.add_marker(
        pytest.mark.lossparity(
            suite=case.id.partition("/")[0],
            case=case.id,
            clause=case.clause,
            operation=case.operation,
            format=fmt,
            backend=backend,
        )
    )


class Check(pytest.Item):
    """One case in one format put to one backend."""

    def __init__(self, *, question: Question, backend: Backend, **more: Any) -> None:
        """Keep what is asked and who is; make it selectable by `-k` and `-m`."""
        super().__init__(**more)
        self.question, self.backend = question, backend
        self.stash[FOLLOWING] = None
        self.told: list[str] = []
        selectable(self, question.case, question.format, str(backend))

    @property
    def checks(self) -> Checks:
        """The node that it was collected from."""
        assert isinstance(self.parent, Checks)
        return self.parent

    def runtest(self) -> None:
        """Judge it: Nonconforming where it fails; pytest's own skips and expected failures for the rest."""
        try:
            asked = self.checks.ask(self)
        except LossparityError as error:
            self._untested(str(error))
        verdicts = {Verdict(result.verdict) for result in asked.results}
        if not verdicts:
            self._untested(asked.stopped)
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

    def _untested(self, reason: str) -> NoReturn:
        """Fail the first of many that cannot be tested for one reason; the others would say the same."""
        if self.checks.first(reason):
            raise Nonconforming(f"{self.name} was not tested: {reason}")
        raise pytest.skip.Exception(f"not tested: {reason}", _use_item_location=True)

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
        return plain(excinfo) or super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where it is and the headline of a failure, which is not to be taken for a dotted name."""
        return self.path, 0, f"check {self.name}"
