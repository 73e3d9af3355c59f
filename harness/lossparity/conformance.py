"""The suite as tests: `pytest --pyargs lossparity.conformance` judges backends, `lossparity.conforms` a function.

This module is the place that pytest is pointed to, and holds the two nodes that it collects checks from.
"""

from __future__ import annotations

import inspect
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossparity import registry
from lossparity.api import chosen_cases, format_named, grade_named, pickled, wanted
from lossparity.checking import SECONDS, Wanted, plan
from lossparity.conforming import Conforming
from lossparity.errors import UnavailableError, UsageError, suggest, time_limit
from lossparity.model import Backend, Grade
from lossparity.nodes import Check, Checks
from lossparity.record import Result
from lossparity.reference.conventions import SPEC
from lossparity.runner import Run
from lossparity.speed.bench import Bench

__all__ = ["Function", "Suite"]

_LABELS = pytest.StashKey[dict[str, str]]()


class Suite(Checks):
    """The cases put to backends: what `pytest --pyargs lossparity.conformance` collects.

    It is no `pytest.File`: its name is not that of a file below pytest's root folder, where `--lf` would look for it.
    """

    def planned(self) -> Run:
        """Return what the options choose."""
        options = self.config.option
        grade = grade_named(options.lossparity_min_grade)
        formats, (backends, named) = self._formats(), self._backends()
        return Run(
            backends,
            chosen_cases(self._paths(), options.lossparity_case, formats),
            formats,
            frozenset(named),
            registry.known_deviations(one.framework for one in backends),
            grade or Grade.LOOSE,
            strict_known=True,
            strict_undecided=grade is not None,
            timeout=self._limit(SECONDS),
        )

    def timed(self) -> Bench:
        """Return the speed cases that the options choose."""
        formats, (backends, _) = self._formats(), self._backends()
        cases = chosen_cases(self._paths(), self.config.option.lossparity_case, formats, timed=True)
        return Bench(backends, cases, backends[0], formats, timeout=self._limit(Bench.timeout))

    def _formats(self) -> tuple[str, ...]:
        return tuple(map(format_named, _listed(self.config.option.lossparity_formats)))

    def _backends(self) -> tuple[list[Backend], set[str]]:
        """Return what `lossparity.registry.resolve` does, all of them installed."""
        names = _listed(self.config.option.lossparity_backends)
        backends, named = registry.resolve(names) if names else (registry.installed(), set[str]())
        here = registry.registered()
        absent = [one for one in backends if not one.python and not here[one.implementation].available]
        if absent or not backends:
            said = f"{', '.join(map(str, absent)) or 'none of these backends'} not installed here"
            raise UnavailableError(said, hint="`lossparity doctor` says how to get what is missing")
        return backends, named

    def _limit(self, usual: float) -> float:
        given: float | None = self.config.option.lossparity_timeout
        return usual if given is None else time_limit(given, "--lossparity-timeout")

    def _paths(self) -> list[Path]:
        return [Path(path) for path in self.config.option.lossparity_cases]

    def advice(self, item: Check, result: Result) -> Iterator[str]:
        """Yield how to repeat it with pytest, number by number, and as a script without lossparity."""
        again = ["pytest", "--pyargs", item.nodeid, "--lossparity-backends", str(item.backend)]
        for name in ("min_grade", "timeout"):
            if (given := getattr(self.config.option, f"lossparity_{name}")) is not None:
                again += [f"--lossparity-{name.replace('_', '-')}", str(given)]
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


class Function(Checks):
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
        if isinstance(self.parent, pytest.Class) and next(iter(inspect.signature(self.obj).parameters), "") == "self":
            raise UsageError(
                "lossparity.conforms is given a method, which wants its object", hint="put @staticmethod below it"
            )
        self.wanted = wanted(self._where(), self.obj.operation, **options)
        # The child finds modules where pytest found them for this file.
        target = replace(self.wanted.target, places=tuple(str(Path(one).absolute()) for one in sys.path))
        self.wanted = replace(self.wanted, target=target)
        self.least = self.wanted.min_coverage
        self.label = _label(self)
        return plan(self.wanted)

    def timed(self) -> Bench:
        """Return the built-in speed cases of its operation, in the formats that it is judged in."""
        run, operation = self.planned(), self.obj.operation
        if self.wanted.convention != SPEC:
            self.untimed = "only what follows the spec's own conventions is timed"
        every = chosen_cases([], [], run.formats, timed=True)
        cases = [case for case in every if case.operation == operation]
        limit = time_limit(self.obj.options.get("timeout", Bench.timeout), "timeout")
        return Bench(run.backends, cases, run.backends[0], run.formats, timeout=limit, target=run.target)

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
        path, _, names = item.nodeid.partition("::")
        here = os.path.relpath(self.config.rootpath / path, self.config.invocation_params.dir)
        yield f"again: pytest {shlex.quote(f'{here}::{names}')}"
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
