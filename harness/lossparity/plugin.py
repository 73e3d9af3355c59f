"""The pytest plugin: options, what is collected, and the record of a session.

pytest imports this in every session of whoever has lossparity installed: nothing else of lossparity is imported until
something of it is collected.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lossparity.conforming import Conforming

if TYPE_CHECKING:
    from lossparity.nodes import Checks
    from lossparity.recorder import Recorder

__all__ = ["ACCOUNTS", "FOLLOWING", "OPEN"]

ACCOUNTS = pytest.StashKey[list[str]]()
"""What the collectors of this process say at their end: a `lossparity.recorder.Account` each, as text."""
FOLLOWING = pytest.StashKey[pytest.Item | None]()
"""Which item comes after a check."""

OPEN = pytest.StashKey[list[Callable[[], None]]]()
"""What ends the workers of each collector; it may be called again."""

_HERE = Path(__file__).with_name("conformance.py")
_TOLD = "lossparity"  # the attribute of a report that carries a check's lines, from other processes too


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all of them with the prefix."""
    group = parser.getgroup(
        "lossparity", "conformance of softmax and cross-entropy (pytest --pyargs lossparity.conformance)"
    )
    group.addoption(
        "--lossparity-backends",
        action="append",
        default=[],
        metavar="NAME,…",
        help="backends, or globs of them, to judge; all installed libraries where none is given",
    )
    group.addoption(
        "--lossparity-case",
        action="append",
        default=[],
        metavar="GLOB",
        help="only the cases whose id matches; may be repeated",
    )
    group.addoption(
        "--lossparity-cases",
        action="append",
        default=[],
        metavar="PATH",
        help="case files or folders instead of the built-in ones; may be repeated",
    )
    group.addoption(
        "--lossparity-formats",
        action="append",
        default=[],
        metavar="FORMAT,…",
        help="only these formats, as in float32,bf16",
    )
    group.addoption(
        "--lossparity-min-grade", metavar="GRADE", help="the lowest grade that passes; loose where none is given"
    )
    group.addoption("--lossparity-timeout", type=float, metavar="SECONDS", help="time limit of one call (default: 60)")
    group.addoption(
        "--lossparity-report",
        metavar="FILE.html",
        help="write the page of all that was judged, and the record beside it (FILE.jsonl)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and listen to the reports of checks."""
    config.addinivalue_line(
        "markers",
        "lossparity(suite, case, clause, operation, format, backend): a check, as in -m \"lossparity(clause='C1')\"",
    )
    config.pluginmanager.register(_Listener(config), "lossparity-listener")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Any:
    """Collect the checks of backends where pytest is pointed to `lossparity.conformance`."""
    if module_path != _HERE:
        return None
    from lossparity.conformance import Suite

    name = "lossparity.conformance"
    return _asked_for(Suite.from_parent(parent, name=name, nodeid=name, path=module_path))


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Any:
    """Collect the checks of a function that `lossparity.conforms` decorates, whatever its name."""
    found = obj.__func__ if type(obj) is staticmethod else obj
    # Not isinstance: it asks an object for its class, and a lazy one of another library need not be ready to answer.
    if not issubclass(type(found), Conforming):
        return None
    from lossparity.conformance import Function

    return _asked_for(Function.from_parent(collector, name=name, obj=found))


def _asked_for(checks: Checks) -> pytest.Collector:
    """Return a node for checks, or one for times in its place where pytest-benchmark is to run benchmarks only."""
    if not checks.config.getoption("benchmark_only", False):
        return checks
    from lossparity.benchmarked import Timings

    return Timings.of(checks)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tell a check which one follows, so that its worker need not wait."""
    if FOLLOWING in item.stash:
        item.stash[FOLLOWING] = nextitem


@pytest.hookimpl(hookwrapper=True)  # which pluggy before 1.2 knows too
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Give a check's lines to its report, which reaches the process that writes the record."""
    outcome = yield
    if call.when == "call" and getattr(item, "told", None):
        setattr(outcome.get_result(), _TOLD, item.told)  # type: ignore[attr-defined]  # a check's, and plain text


class _Listener:
    """Hears of every check, in the process that reports; in others it sends what only they know."""

    def __init__(self, config: pytest.Config) -> None:
        """Open the record, where one is asked for; pytest's UsageError where it cannot be written."""
        self._config = config
        self._recorder: Recorder | None = None
        self._said: list[str] = []
        self._page: Path | None = None
        given: str | None = config.getoption("lossparity_report")
        if given and not hasattr(config, "workerinput"):
            self._page = self._writable(config.invocation_params.dir / given)
            self._record()

    def _writable(self, page: Path) -> Path:
        from lossparity.errors import UsageError

        where = f"--lossparity-report {page}"
        if page.is_dir():
            raise pytest.UsageError(str(UsageError("it is a folder", where=where, hint="name a file in it")))
        if page.suffix == ".jsonl":
            hint = "the record is written beside the page, as .jsonl; name the page .html"
            raise pytest.UsageError(str(UsageError("its own record would overwrite it", where=where, hint=hint)))
        return page

    def _record(self) -> Recorder:
        if self._recorder is None:
            from lossparity.errors import LossparityError
            from lossparity.recorder import Recorder

            try:
                self._recorder = Recorder(self._page.with_suffix(".jsonl") if self._page else None)
            except LossparityError as error:
                raise pytest.UsageError(str(error)) from None
        return self._recorder

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the lines of a check."""
        if (told := getattr(report, _TOLD, None)) and not hasattr(self._config, "workerinput"):
            self._record().take(told)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a process of pytest-xdist says at its end; one that crashed says nothing."""
        for account in getattr(node, "workeroutput", {}).get("lossparity", []):
            self._record().account(account)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Finish the record, or, in a process of pytest-xdist, send what the record needs."""
        for close in self._config.stash.get(OPEN, []):
            close()
        accounts = self._config.stash.get(ACCOUNTS, [])
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["lossparity"] = accounts
            return
        for account in accounts:
            self._record().account(account)
        if self._recorder is None:
            return
        # A session of pytest-xdist that stops at a failure is *interrupted*, but by nobody.
        stopped = bool(session.shouldfail)
        complete = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or stopped
        self._said = self._recorder.finish(int(exitstatus), complete=complete)
        if self._said and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._page and self._recorder.told:
            self._write(self._page)

    def _write(self, page: Path) -> None:
        from lossparity import record
        from lossparity.errors import LossparityError
        from lossparity.registry import report_writer

        try:
            report_writer("html")(record.read(page.with_suffix(".jsonl")), page)
        except (LossparityError, OSError) as error:
            self._said.append(f"the page is not written: {error}")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the causes, the counts and where the page is."""
        if self._recorder is None or not (self._recorder.told or self._page):
            return  # nothing was asked and no report wanted: a session of other tests
        import click

        from lossparity import console

        terminalreporter.section("lossparity")
        if not self._recorder.told:
            terminalreporter.write_line("nothing of lossparity was judged, so there is no record and no page")
            return
        said = console.summary(self._recorder.summary)
        terminalreporter.write_line(said if terminalreporter.hasmarkup else click.unstyle(said))
        for text in self._said:
            terminalreporter.write_line(f"FAIL {text}", red=True)
        if self._page:
            here = self._config.invocation_params.dir
            for path in (("record", self._page.with_suffix(".jsonl")), ("page", self._page)):
                shown = path[1].relative_to(here) if path[1].is_relative_to(here) else path[1]
                terminalreporter.write_line(f"{path[0] + ':':8}{shown}")
