"""What `import lossparity` offers to a program: the same engine as the commands, for a function that is at hand."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lossparity import checking, floating, suite
from lossparity.cache import Cache
from lossparity.checking import Checked, Wanted
from lossparity.errors import LossparityError, UsageError, suggest, time_limit
from lossparity.formats import FORMATS
from lossparity.judged import Summary, silent
from lossparity.model import Case, Grade
from lossparity.record import Writer
from lossparity.reference import computed
from lossparity.reference.conventions import SPEC
from lossparity.reference.conventions import convention as read_convention
from lossparity.spec import FORMAT_ALIASES, TIMED
from lossparity.target import Target

__all__ = [
    "assert_conforms",
    "check",
    "chosen_cases",
    "format_named",
    "grade_named",
    "pickled",
    "wanted",
]

_GRADES = ("exact", "faithful", "tight", "loose")


def check(
    function: Callable[..., Any] | str,
    operation: str = "cross_entropy",
    *,
    framework: str = "numpy",
    device: str = "cpu",
    mode: str = "eager",
    map: Mapping[str, str] | None = None,  # noqa: A002 - as the option is called
    returns: str | int = "",
    inplace_ok: bool = False,
    supports: str | Iterable[str] = (),
    convention: str = "",
    case: str | Iterable[str] = (),
    cases: str | Path | Iterable[str | Path] = (),
    format: str | Iterable[str] = (),  # noqa: A002 - as the option is called
    min_grade: str | None = None,
    min_coverage: float = checking.LEAST_COVERAGE,
    known: str | Path | None = None,
    dump: str | Path | None = None,
    record: str | Path | None = None,
    timeout: float = checking.SECONDS,
    cache: bool = True,
) -> Checked:
    """Judge a function under the suite, as `lossparity check` does, and return how it ended.

    `function` is a callable of the spec's contract (docs/checking.md), or a text that names one as the command does. It
    is pickled with cloudpickle and called in a process of its own, so that a crash or a hang costs one check. The
    other arguments are the command's options: `case` globs of case ids, `cases` files, folders or names of packs,
    `format` the only formats, `supports` and `map` what the contract says. Raises UsageError for what is not
    understood, UnavailableError where framework or device is absent; a finding is never an exception.
    """
    if os.environ.get("LOSSPARITY_CHILD"):
        raise UsageError(
            "lossparity.check is called while the function's own module is imported in a child",
            hint='put the call under `if __name__ == "__main__":`, or into a test',
        )
    if fault := floating.self_test():
        raise LossparityError(fault)
    with tempfile.TemporaryDirectory() as scratch:
        where = function if isinstance(function, str) else pickled(function, Path(scratch) / "function.pickle")
        asked = wanted(
            where,
            operation,
            framework=framework,
            device=device,
            mode=mode,
            map=map,
            returns=returns,
            inplace_ok=inplace_ok,
            supports=supports,
            convention=convention,
            case=case,
            cases=cases,
            format=format,
            min_grade=min_grade,
            min_coverage=min_coverage,
            known=known,
            timeout=timeout,
        )
        asked = replace(asked, dump=Path(dump) if dump else None)
        return _checked(asked, Path(record) if record else Path(scratch) / "run.jsonl", cache)


def wanted(
    where: str,
    operation: str = "cross_entropy",
    *,
    framework: str = "numpy",
    device: str = "cpu",
    mode: str = "eager",
    map: Mapping[str, str] | None = None,  # noqa: A002 - as the option is called
    returns: str | int = "",
    inplace_ok: bool = False,
    supports: str | Iterable[str] = (),
    convention: str = "",
    case: str | Iterable[str] = (),
    cases: str | Path | Iterable[str | Path] = (),
    format: str | Iterable[str] = (),  # noqa: A002 - as the option is called
    min_grade: str | None = None,
    min_coverage: float = checking.LEAST_COVERAGE,
    known: str | Path | None = None,
    timeout: float = checking.SECONDS,
) -> Wanted:
    """Return what is to be checked, in the words of `check`, and by what; UsageError for what is not understood."""
    grade = grade_named(min_grade)
    given: Iterable[str] = _several(supports, str)
    words = tuple(FORMAT_ALIASES.get(word, word) for word in given)
    paths = [Path(one) for one in _several(cases, Path)]
    formats = tuple(format_named(one) for one in _several(format, str))
    return Wanted(
        target=Target(where, operation, dict(map or {}), str(returns), inplace_ok, words),
        cases=chosen_cases(paths, [*_several(case, str)], formats),
        framework=framework,
        device=device,
        mode=mode,
        formats=formats,
        min_grade=grade,
        convention=read_convention(convention) if convention else SPEC,
        known=Path(known) if known else None,
        min_coverage=min_coverage,
        timeout=time_limit(timeout, "timeout"),
        paths=paths,
        command="lossparity.check",
    )


def assert_conforms(function: Callable[..., Any] | str, operation: str = "cross_entropy", **options: Any) -> None:
    """Raise AssertionError, with the causes of all failures, unless a function conforms.

    The arguments are those of `check`.
    """
    found = check(function, operation, **options)
    if not found.conforms:
        raise AssertionError(f"{operation} does not conform\n\n{found}")


def format_named(name: str) -> str:
    """Return the format of a name or alias; UsageError for any other."""
    known = [*FORMATS, *FORMAT_ALIASES]
    if name not in known:
        raise UsageError(f"unknown format {name!r}", hint=suggest(name, known, "format"))
    return FORMAT_ALIASES.get(name, name)


def _several(given: Any, kind: type) -> Iterable[Any]:
    return (given,) if isinstance(given, (str, kind)) else given


def grade_named(name: str | None) -> Grade | None:
    """Return the lowest grade that passes, where one is named; UsageError for any other name."""
    if name is not None and name not in _GRADES:
        raise UsageError(f"unknown grade {name!r}", hint=suggest(name, _GRADES, "grade"))
    return Grade(name) if name else None


def chosen_cases(
    paths: Sequence[Path], globs: Sequence[str], formats: Sequence[str], *, timed: bool = False
) -> list[Case]:
    """Return the cases of files and folders (the built-in ones where none is given) that globs and formats choose.

    They are those that are judged, or with `timed` those that are timed. UsageError when none is left.
    """
    found = [one for each in suite.load(list(paths) or [suite.built_in()], timed=timed) for one in each.cases]
    if not found:
        which = f"cases of clause {TIMED} are timed, and all others are judged"
        raise UsageError(f"there is no case here that is {'timed' if timed else 'judged'}", hint=which)
    chosen = [one for one in suite.select(found, list(globs)) if not formats or set(formats) & set(one.formats)]
    if not chosen:
        raise UsageError("no case is left to run", hint=f"none of the selected cases is in {', '.join(formats)}")
    return chosen


def pickled(function: Callable[..., Any], to: Path, places: Iterable[str] = ()) -> str:
    """Write a function for the child, with the folders that its modules are found in; return how it is named.

    `places` are such folders beside those of `sys.path`. UsageError where the function cannot be sent.
    """
    import cloudpickle

    try:
        text = cloudpickle.dumps(function)
    except Exception as error:  # noqa: BLE001 - whatever a function holds may refuse in its own way
        raise UsageError(
            f"the function cannot be sent to another process: {type(error).__name__}: {error}",
            hint="put it at the top of a module, and what it needs inside of it",
        ) from None
    folders = [str(Path(one).absolute()) for one in (*sys.path, *places)]
    to.write_bytes(pickle.dumps(folders) + text)
    return f"pickle:{to}"


def _checked(asked: Wanted, record: Path, cache: bool) -> Checked:
    def progress(_done: int, _total: int, _summary: Summary) -> None:
        """A program watches nothing."""

    with Writer(record) as writer, Cache() as kept:
        remember = kept.remember if cache else computed
        return checking.check(replace(asked, remember=remember), writer, progress, silent)
