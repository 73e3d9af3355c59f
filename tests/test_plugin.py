"""The plugin as pytest's users see it: every test here runs pytest in a folder of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lossparity.record import read

Pytest = Callable[..., "Done"]

CASES = """
suite: mine
about: two rows
defaults: {formats: [float64, float32], gradient: true}
cases:
  - {id: plain, clause: S1, about: two numbers, operation: softmax, logits: [[1, 2]]}
  - {id: wide, clause: S2, about: three numbers, operation: softmax, logits: [[1, 2, 3]]}
  - {id: far, clause: S9, about: four numbers, operation: softmax, logits: [[1000, 1001, 1002, 1003]]}
"""
# A declaration for two of the kinds: `far` overflows as declared, `plain` is right although it is declared wrong.
KNOWN = """
deviations:
  - {id: overflow, checks: ["mine/far/*"], kind: nan, versions: ">=1", reason: nothing is subtracted}
  - {id: gone, checks: ["mine/plain/float64#value"], kind: nan, versions: ">=1", reason: it was so}
"""
FUNCTIONS = """
import os
import numpy as np
import lossparity

def softmax(logits):
    if logits.shape[-1] == 3:
        raise NotImplementedError("not three")
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)

def gradient(logits, upstream):
    p = softmax(logits)
    return p * (upstream - (p * upstream).sum(axis=1, keepdims=True))

softmax.gradient = gradient
options = {"cases": "mine.yaml", "known": "known.yaml"}
overflowing = lossparity.conforms("softmax", **options)(softmax)

@lossparity.conforms("softmax", cases="mine.yaml", min_coverage=0.1)
def doubled(logits):
    if logits.shape[-1] == 4:
        os._exit(7)
    return logits * 2

def test_of_my_own():
    assert doubled(np.ones((1, 2))).sum() == 4
"""


class Done:
    """How pytest ended: exit status, what it printed, and the outcome of every item by its id."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status, self.text, self.errors = done.returncode, done.stdout, done.stderr
        found = re.findall(r"^(?:\[gw\d\] .*%\] )?(?:(\w+) )?(\S+::\S+)(?: (\w+))?", done.stdout, re.MULTILINE)
        self.outcomes = {name: before or after for before, name, after in found if (before or after).isupper()}


@pytest.fixture
def run_pytest(tmp_path: Path) -> Pytest:
    """Return what runs pytest with this plugin, xdist, and none of whatever else is installed."""
    (tmp_path / "mine.yaml").write_text(CASES)
    (tmp_path / "known.yaml").write_text(KNOWN)
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "NO_COLOR": "1"}
    for name in ("FORCE_COLOR", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)

    def run(*words: str, plugins: tuple[str, ...] = ("lossparity.plugin",), folder: str = "") -> Done:
        given = [word for plugin in plugins for word in ("-p", plugin)]
        command = [sys.executable, "-m", "pytest", *given, *words]
        return Done(
            subprocess.run(
                command,
                cwd=tmp_path / folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
        )

    return run


def suite(*more: str) -> list[str]:
    return ["--pyargs", "lossparity.conformance", "--lossparity-backends", "numpy", *more]


MINE = suite("--lossparity-cases", "mine.yaml")


def test_backends_are_judged_and_every_check_is_an_item(run_pytest: Pytest) -> None:
    done = run_pytest("-v", *MINE)
    assert done.status == 0, done.text
    assert done.outcomes == {
        f"lossparity.conformance::mine/{case}/{fmt}@numpy": "PASSED"
        for case in ("plain", "wide", "far")
        for fmt in ("float64", "float32")
    }
    assert "12 of 12 judged results pass" in done.text


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["-k", "float32 and not far"], {"plain/float32", "wide/float32"}),
        (["-k", "S9"], {"far/float64", "far/float32"}),
        (["-m", "lossparity(clause='S2')"], {"wide/float64", "wide/float32"}),
        (["-m", "lossparity(suite='mine', format='float32', case='mine/far')"], {"far/float32"}),
        (["--lossparity-case", "mine/w*", "--lossparity-formats", "fp32"], {"wide/float32"}),
        (
            ["--deselect", "lossparity.conformance::mine/far"],
            {"plain/float64", "plain/float32", "wide/float64", "wide/float32"},
        ),
    ],
)
def test_items_are_chosen_as_any_others(run_pytest: Pytest, words: list[str], chosen: set[str]) -> None:
    done = run_pytest("--strict-markers", "--collect-only", "-q", *MINE, *words)
    found = re.findall(r"^lossparity\.conformance::mine/(.*)@numpy$", done.text, re.MULTILINE)
    assert set(found) == chosen


def test_every_verdict_has_its_outcome(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)
    done = run_pytest("-v", "-rxs", "--junit-xml=junit.xml", "--lossparity-report=out/page.html", "test_mine.py")
    short = {
        name.removeprefix("test_mine.py::").replace("@numpy.target", ""): how for name, how in done.outcomes.items()
    }
    assert done.status == 1
    assert short == {
        "overflowing::mine/plain/float64": "FAILED",
        "overflowing::mine/plain/float32": "PASSED",
        "overflowing::mine/wide/float64": "SKIPPED",
        "overflowing::mine/wide/float32": "SKIPPED",
        "overflowing::mine/far/float64": "XFAIL",
        "overflowing::mine/far/float32": "XFAIL",
        "doubled::mine/plain/float64": "FAILED",
        "doubled::mine/plain/float32": "FAILED",
        "doubled::mine/wide/float64": "FAILED",
        "doubled::mine/wide/float32": "FAILED",
        "doubled::mine/far/float64": "FAILED",
        "doubled::mine/far/float32": "FAILED",
        "test_of_my_own": "PASSED",
    }
    # A failure says it all, and nothing of how it was found out.
    assert "Traceback" not in done.text and "session.py" not in done.text and "conformance.py" not in done.text
    for said in (
        "clause S1 (mathematics)",
        "STALE mine/plain/float64@numpy.test_mine.overflowing#value",
        "gone declares kind nan",
        "got 2, exact 0.2689414213699951 at [0, 0]",
        "inputs: logits [[1.0, 2.0]]",
        "off by 3.12e+16 ulp of binary64",
        "again: pytest test_mine.py::doubled::mine/plain/float64@numpy.target",
        "look: lossparity check test_mine.py:doubled --operation softmax --framework numpy --cases mine.yaml --case",
        "exit status 7",
        "nothing is subtracted",
        "not three",
        "1. ",
    ):
        assert said in done.text, said
    record = read(tmp_path / "out" / "page.jsonl")
    assert record.complete and record.footer is not None and record.footer.exit_code == 1
    assert record.header.command.startswith("pytest -p lossparity.plugin -v")
    backends = {result.backend for result in record.results}
    assert backends == {"numpy.test_mine.overflowing", "numpy.test_mine.doubled"}
    assert record.footer.causes and {key for c in record.footer.causes if c.failing for key in c.results} == {
        result.key for result in record.results if result.verdict in ("fail", "crash")
    }
    assert "numpy.test_mine.doubled" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("13", "7", "4")
    # The last failed, alone, and by the words of a failure.
    again = run_pytest("-v", "--lf", "test_mine.py")
    assert set(again.outcomes.values()) == {"FAILED"} and len(again.outcomes) == 7
    (words,) = {line for line in done.text.splitlines() if "again: " in line and "doubled::mine/wide/float32" in line}
    alone = run_pytest("-v", *shlex.split(words)[2:])
    assert alone.outcomes == {"test_mine.py::doubled::mine/wide/float32@numpy.target": "FAILED"}


def test_the_first_failure_ends_a_session_under_x_and_the_rest_is_not_tested(
    run_pytest: Pytest, tmp_path: Path
) -> None:
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)
    done = run_pytest("-x", "--lossparity-report=page.html", "test_mine.py")
    record = read(tmp_path / "page.jsonl")
    assert done.status == 1 and "1 failed" in done.text
    assert record.footer is not None
    assert sum(left.checks for left in record.footer.not_tested) == 11


def test_several_processes_that_stop_at_a_failure_leave_a_complete_record(run_pytest: Pytest, tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)
    given = ("-x", "-n2", "--lossparity-report=page.html", "test_mine.py")
    assert run_pytest(*given, plugins=("lossparity.plugin", "xdist.plugin")).status == 2
    record = read(tmp_path / "page.jsonl")
    assert record.footer is not None
    judged = {result.check for result in record.results}
    assert len(judged) + sum(left.checks for left in record.footer.not_tested) == 12


def test_known_deviations_are_failures_where_expected_failures_are_run(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)
    done = run_pytest("-v", "--runxfail", "test_mine.py::overflowing::mine/far/float64@numpy.target")
    assert done.status == 1 and "KNOWN mine/far/float64@numpy.test_mine.overflowing#value" in done.text


def test_several_processes_leave_one_record_like_that_of_one(run_pytest: Pytest, tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)
    given = (
        "--lossparity-backends=numpy",
        "--lossparity-cases=mine.yaml",
        "test_mine.py",
        "--pyargs",
        "lossparity.conformance",
    )
    one = run_pytest("-q", "--lossparity-report=one.html", *given)
    both = ("lossparity.plugin", "xdist.plugin")
    two = run_pytest("-q", "-n2", "--lossparity-report=two.html", *given, plugins=both)
    assert (one.status, two.status) == (1, 1), two.text
    assert one.text.splitlines()[-1].split(" in ")[0] == two.text.splitlines()[-1].split(" in ")[0]
    alone, parts = read(tmp_path / "one.jsonl"), read(tmp_path / "two.jsonl")
    assert parts.complete and parts.footer is not None and alone.footer is not None
    assert sorted(parts.results, key=lambda r: r.key) == sorted(alone.results, key=lambda r: r.key)
    assert parts.footer.results == alone.footer.results
    assert {(c.id, frozenset(c.results)) for c in parts.footer.causes} == {
        (c.id, frozenset(c.results)) for c in alone.footer.causes
    }
    assert "-n2" in parts.header.command
    assert len(parts.environments) == len(alone.environments)


def test_a_function_hardly_judged_fails_the_session(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(FUNCTIONS.partition("@lossparity")[0].replace('"known": "known.yaml"', ""))
    only = run_pytest("-q", "test_mine.py", "-k", "wide or plain")
    assert only.status == 0 and "must-results" not in only.text, only.text
    done = run_pytest("-q", "test_mine.py", "--deselect", "test_mine.py::overflowing::mine/far/float64@numpy.target")
    assert "must-results" not in done.text
    text = (tmp_path / "test_mine.py").read_text().replace("[-1] == 3", "[-1] > 2")
    (tmp_path / "test_mine.py").write_text(text)
    done = run_pytest("-q", "test_mine.py")
    assert done.status == 1, done.text
    assert "FAIL numpy.test_mine.overflowing: only 4 of 12 must-results could be judged, below 80%" in done.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lossparity-backends", "numpi"], "did you mean 'numpy'?"),
        (["--lossparity-formats", "float31"], "did you mean 'float32'?"),
        (["--lossparity-min-grade", "tigth"], "did you mean 'tight'?"),
        (["--lossparity-case", "softmaks/*"], "softmaks/*"),
        (["--lossparity-cases", "none.yaml"], "none.yaml: the case file cannot be read"),
        (["--lossparity-backends", "numpy:cuda", "--lossparity-case", "softmax/one-row"], "NumPy has no device 'cuda'"),
    ],
)
def test_what_is_not_known_or_not_here_is_said_without_a_traceback(
    run_pytest: Pytest, words: list[str], said: str
) -> None:
    done = run_pytest("-q", "--pyargs", "lossparity.conformance", *words)
    assert done.status != 0 and said in done.text and "Traceback" not in done.text and ".py:" not in done.text


@pytest.mark.parametrize(
    ("decorator", "said"),
    [
        ("lossparity.conforms('softmaks')", "did you mean 'softmax'?"),
        ("lossparity.conforms('softmax', frmework='numpy')", "did you mean 'framework'?"),
        ("lossparity.conforms('softmax', framework='torhc')", "unknown framework 'torhc'"),
        ("lossparity.conforms('softmax', known='none.yaml')", "none.yaml: the known deviations cannot be read"),
        ("lossparity.conforms('softmax', cases='mine.yaml', map={'logits': 'x'})", "no parameter"),
    ],
)
def test_what_is_wrong_with_a_decorator_is_said_of_it(
    run_pytest: Pytest, tmp_path: Path, decorator: str, said: str
) -> None:
    (tmp_path / "test_mine.py").write_text(
        f"import lossparity\n@{decorator}\ndef softmax(logits):\n    return logits\n"
    )
    done = run_pytest("-q", "test_mine.py")
    assert done.status != 0 and said in done.text and "lossparity/" not in done.text, done.text


def test_functions_in_classes_packages_and_twice_are_all_judged(run_pytest: Pytest, tmp_path: Path) -> None:
    package = tmp_path / "pack" / "tests"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "losses.py").write_text(FUNCTIONS.partition("options = ")[0])
    text = "\n".join(
        (
            "import lossparity",
            "from .losses import softmax",
            'judged = lossparity.conforms("softmax", cases="mine.yaml", format="float32")',
            "class TestAll:",
            "    within = judged(softmax)",
            "again = judged(softmax)",
        )
    )
    (package / "test_mine.py").write_text(text)
    (tmp_path / "test_mine.py").write_text(text.replace(".losses", "pack.tests.losses"))
    done = run_pytest("-v", "-k", "plain", "--lossparity-report=page.html", ".")
    assert done.status == 0, done.text
    assert set(done.outcomes) == {
        f"{file}::{name}::mine/plain/float32@numpy.target"
        for file in ("test_mine.py", "pack/tests/test_mine.py")
        for name in ("TestAll::within", "again")
    }
    found = {result.backend for result in read(tmp_path / "page.jsonl").results}
    assert len(found) == 4 and {"numpy.test_mine.again", "numpy.test_mine.TestAll.within"} < found


def test_an_unused_plugin_imports_nothing_of_the_engine_and_changes_nothing(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\ndef test_other():\n    print(sorted(m for m in sys.modules if m.startswith('lossparity')))\n"
    )
    done = run_pytest("-sq", "test_other.py")
    assert "['lossparity', 'lossparity.conforming', 'lossparity.plugin']" in done.text
    assert "== lossparity ==" not in done.text
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)
    assert "== lossparity ==" not in run_pytest("-q", "-k", "test_of_my_own").text
    assert "== lossparity ==" not in run_pytest("-q", "--collect-only").text


def test_every_option_has_the_prefix() -> None:
    """A name without it may clash with another plugin's, and break a stranger's pytest."""
    added: list[str] = []

    class Group:
        def addoption(self, *names: str, **_: object) -> None:
            added.extend(names)

    class Parser:
        def getgroup(self, *_: str) -> Group:
            return Group()

    from lossparity import plugin

    plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    assert added and all(name.startswith("--lossparity-") for name in added)


def test_an_interrupted_session_leaves_an_incomplete_record(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "stopping.py").write_text(
        "def pytest_runtest_logfinish(nodeid):\n    if 'wide' in nodeid:\n        raise KeyboardInterrupt\n"
    )
    done = run_pytest("-q", *MINE, "--lossparity-report=page.html", plugins=("lossparity.plugin", "stopping"))
    record = read(tmp_path / "page.jsonl")
    assert done.status == 2 and not record.complete
    assert len(record.results) >= 2 and (tmp_path / "page.html").exists()


LAYOUTS = {
    "pythonpath": {"pytest.ini": "[pytest]\npythonpath = src\n", "src/kern.py": ""},
    "conftest": {"conftest.py": "", "kern.py": ""},
    "inserted": {"tests/conftest.py": "import sys\nsys.path.insert(0, 'lib')\n", "lib/kern.py": ""},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_pytest_can_import_for_a_file_can_be_judged(run_pytest: Pytest, tmp_path: Path, layout: str) -> None:
    for name, text in LAYOUTS[layout].items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(FUNCTIONS.partition("options = ")[0] if path.name == "kern.py" else text)
    (tmp_path / "tests").mkdir(exist_ok=True)
    (tmp_path / "tests" / "test_k.py").write_text(
        "import lossparity\nfrom kern import softmax\n"
        "judged = lossparity.conforms('softmax', cases='mine.yaml', case='mine/plain')(softmax)\n"
    )
    done = run_pytest("-q", "tests/test_k.py")
    assert done.status == 0 and "2 passed" in done.text, done.text


def test_lazy_objects_of_others_are_left_alone(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_lazy.py").write_text(
        "class Lazy:\n    @property\n    def __class__(self):\n        raise RuntimeError('not set up')\n"
        "lazy = Lazy()\ndef test_ok():\n    pass\n"
    )
    assert run_pytest("-q", "test_lazy.py").status == 0


@pytest.mark.parametrize(
    ("report", "said"),
    [("folder", "it is a folder"), ("page.jsonl", "would overwrite it"), ("mine.yaml/page.html", "cannot be written")],
)
def test_a_report_that_cannot_be_is_refused_at_the_start(
    run_pytest: Pytest, tmp_path: Path, report: str, said: str
) -> None:
    (tmp_path / "folder").mkdir()
    done = run_pytest("-q", *MINE, "--lossparity-report", report)
    assert done.status == 4 and said in done.errors and "Traceback" not in done.errors + done.text


def test_a_report_of_nothing_leaves_nothing(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    done = run_pytest("-q", "test_other.py", "--lossparity-report=page.html")
    assert done.status == 0 and "nothing of lossparity was judged" in done.text
    assert not (tmp_path / "page.html").exists() and not (tmp_path / "page.jsonl").exists()


def test_a_decorator_without_parentheses_and_one_on_a_method_are_refused(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_bare.py").write_text("import lossparity\n@lossparity.conforms\ndef f(logits):\n    pass\n")
    done = run_pytest("-q", "test_bare.py")
    assert done.status == 2 and "called with parentheses" in done.text
    (tmp_path / "test_method.py").write_text(
        "import lossparity\nclass TestAll:\n    @lossparity.conforms('softmax')\n    def f(self, x):\n        pass\n"
    )
    done = run_pytest("-q", "test_method.py")
    assert done.status == 2 and "put @staticmethod below it" in done.text
    (tmp_path / "test_static.py").write_text(
        "import lossparity\nclass TestAll:\n    @staticmethod\n"
        "    @lossparity.conforms('softmax', cases='mine.yaml', supports=['value'])\n    def f(logits):\n"
        "        return logits\n"
    )
    assert "6 failed" in run_pytest("-q", "test_static.py").text


def test_what_cannot_be_asked_fails_once_and_is_in_the_record(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import lossparity\n@lossparity.conforms('softmax', cases='mine.yaml')\ndef f(x, dim):\n    return x\n"
    )
    done = run_pytest("-q", "test_mine.py", "--lossparity-report=page.html")
    assert done.status == 1 and "1 failed, 5 skipped" in done.text, done.text
    record = read(tmp_path / "page.jsonl")
    assert record.complete and record.footer is not None and not record.results
    (left,) = record.footer.not_tested
    assert (left.what, left.checks) == ("numpy.test_mine.f", 6) and "dim" in left.reason


def test_a_failure_is_repeated_by_its_own_words(run_pytest: Pytest, tmp_path: Path) -> None:
    done = run_pytest("-q", *MINE, "--lossparity-min-grade", "exact", "--lossparity-timeout", "50", "-x")
    (words,) = {line for line in done.text.splitlines() if "again: pytest" in line}
    again = run_pytest("-q", *shlex.split(words)[2:])
    assert again.status == 1 and "1 failed" in again.text
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_mine.py").write_text(
        FUNCTIONS.replace("mine.yaml", "../mine.yaml").replace("known.yaml", "../known.yaml")
    )
    below = run_pytest("-q", "-x", "test_mine.py", "-k", "doubled", folder="tests")
    (words,) = {line for line in below.text.splitlines() if "again: pytest" in line}
    assert words.split()[2].startswith("test_mine.py::doubled::")


@pytest.mark.parametrize("seconds", ["nan", "0", "-1"])
def test_a_time_limit_that_is_none_is_refused(run_pytest: Pytest, seconds: str) -> None:
    done = run_pytest("-q", *MINE, f"--lossparity-timeout={seconds}")
    assert done.status == 2 and f"--lossparity-timeout {seconds} is no time limit" in done.text


def test_workers_live_through_tests_that_come_in_between(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(FUNCTIONS)
    (tmp_path / "shuffling.py").write_text(
        "import lossparity.session as s\n"
        "was = s.Session.__init__\n"
        "def counting(self, *a):\n    print('a session begins')\n    was(self, *a)\n"
        "s.Session.__init__ = counting\n"
        "def pytest_collection_modifyitems(items):\n    items.sort(key=lambda i: i.nodeid.split('::')[-1])\n"
    )
    done = run_pytest("-sq", "test_mine.py", plugins=("lossparity.plugin", "shuffling"))
    assert done.text.count("a session begins") == 2, done.text
