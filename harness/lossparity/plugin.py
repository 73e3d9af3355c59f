"""The pytest plugin: options, what is collected, and the record of a session.

pytest imports this in every session of whoever has lossparity installed: nothing else of lossparity is imported until
something of it is collected.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lossparity.conforming import Conforming

if TYPE_CHECKING:
    from lossparity.recorder import Recorder

__all__ = ["ACCOUNTS", "FOLLOWING"]

ACCOUNTS = pytest.StashKey[list[str]]()
"""What the collectors of this process say at their end: a `lossparity.recorder.Account` each, as text."""
FOLLOWING = pytest.StashKey[pytest.Item | None]()
"""Which item comes after a check."""

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
    group.addoption(
        "--lossparity-timeout", type=float, default=60.0, metavar="SECONDS", help="time limit of one call (default: 60)"
    )
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

    return Suite.from_parent(parent, name="lossparity.conformance", nodeid="lossparity.conformance", path=module_path)


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Any:
    """Collect the checks of a function that `lossparity.conforms` decorates, whatever its name."""
    if not isinstance(obj, Conforming):
        return None
    from lossparity.conformance import Function

    return Function.from_parent(collector, name=name, obj=obj)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tell a check which one follows, so that its worker need not wait."""
    if FOLLOWING in item.stash:
        item.stash[FOLLOWING] = nextitem


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give a check's lines to its report, which reaches the process that writes the record."""
    report = yield
    if call.when == "call" and getattr(item, "told", None):
        setattr(report, _TOLD, item.told)  # type: ignore[attr-defined]  # a check's, and plain text
    return report


class _Listener:
    """Hears of every check, in the process that reports; in others it sends what only they know."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._recorder: Recorder | None = None
        self._said: list[str] = []

    def _record(self) -> Recorder:
        if self._recorder is None:
            from lossparity.recorder import Recorder

            page = self._page()
            self._recorder = Recorder(page.with_suffix(".jsonl") if page else None)
        return self._recorder

    def _page(self) -> Path | None:
        given: str | None = self._config.getoption("lossparity_report")
        return Path(given) if given else None

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
        accounts = self._config.stash.get(ACCOUNTS, [])
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["lossparity"] = accounts
            return
        for account in accounts:
            self._record().account(account)
        if self._recorder is None:
            return
        complete = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        self._said = self._recorder.finish(int(exitstatus), complete=complete)
        if self._said and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if page := self._page():
            from lossparity import record
            from lossparity.registry import report_writer

            report_writer("html")(record.read(page.with_suffix(".jsonl")), page)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the causes, the counts and where the page is."""
        if self._recorder is None:
            return
        import click

        from lossparity import console

        terminalreporter.section("lossparity")
        said = console.summary(self._recorder.summary)
        terminalreporter.write_line(said if terminalreporter.hasmarkup else click.unstyle(said))
        for said in self._said:
            terminalreporter.write_line(f"FAIL {said}", red=True)
        if page := self._page():
            terminalreporter.write_line(f"record: {page.with_suffix('.jsonl')}")
            terminalreporter.write_line(f"page:   {page}")
