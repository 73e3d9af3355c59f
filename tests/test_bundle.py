"""Another environment's Python: what its child is given, and what keeps it from starting."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import lossparity
from lossparity.bundle import Elsewhere, bundled, carried
from lossparity.errors import UnavailableError
from lossparity.formats import Array
from lossparity.model import Produced, Request
from lossparity.workers import Worker
from test_call import CHILD

NUMPY = "lossparity_backends.on_numpy:Numpy"
TOP = Path(lossparity.__file__).parents[1]


@contextmanager
def child(python: str | Path, framework: str = "numpy", adapter: str = NUMPY) -> Iterator[Worker]:
    """A worker in another Python."""
    one = (framework, adapter, str(python))
    with bundled([one]) as elsewhere:
        worker = Worker(adapter, "cpu", elsewhere=elsewhere[one])
        try:
            yield worker
        finally:
            worker.close()


def wrapper(folder: Path, *arguments: str, name: str = "python") -> Path:
    """An interpreter that is this one, with arguments before those that it is given."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *arguments])} "$@"\n')
    path.chmod(0o755)
    return path


def test_it_is_given_the_childs_side_and_the_adapters_and_nothing_else() -> None:
    files = carried("numpy", NUMPY)
    own = {name for name in files if name.startswith("lossparity/")}
    side = {"lossparity/__init__.py", *(f"lossparity/{module}.py" for module in CHILD)}
    assert own <= side
    assert side - own <= {"lossparity/shapes.py"}, "which no adapter needs so far"
    adapters = {f"lossparity_backends/{path.name}" for path in (TOP.parent / "backends").glob("*/*.py")}
    assert set(files) == {"__main__.py", *own, *adapters}


def test_what_it_is_given_imports_numpy_and_the_standard_library_alone() -> None:
    """Frameworks, and ml_dtypes where it is there, are the adapters' alone."""
    for name, path in carried("numpy", NUMPY).items():
        if name.startswith("lossparity_backends/"):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                assert module.partition(".")[0] in {"numpy", "lossparity", *sys.stdlib_module_names}, (name, module)


def test_it_can_be_imported_where_there_is_numpy_and_nothing_else(tmp_path: Path) -> None:
    home = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (home / name).is_dir():
            (tmp_path / name).symlink_to(home / name)
    files = [name for name in carried("numpy", NUMPY) if name.startswith("lossparity/")]
    names = [name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in files]
    names.append("lossparity_backends.on_numpy")
    with bundled([("numpy", NUMPY, sys.executable)]) as elsewhere:
        (there,) = elsewhere.values()
        code = f"import sys; sys.path[:0] = [{str(there.zip)!r}, {str(tmp_path)!r}]; import {', '.join(names)}"
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not there.zip.exists(), "it is removed in the end"


def test_a_child_elsewhere_answers_as_one_here_does_and_says_where_it_is(tmp_path: Path) -> None:
    python = wrapper(tmp_path / "a@b+c:d #e", name="py?*")
    with child(python) as worker:
        assert worker.wait_ready(), worker.unavailable
        outcome = worker.ask(Request("", "softmax", {"logits": Array.of([[1, 1]], "float64")}))
    assert isinstance(outcome, Produced)
    assert outcome.value.data.tolist() == [[0.5, 0.5]]
    assert worker.details["interpreter"] == str(python)
    assert worker.details["numpy"] == np.__version__
    assert worker.details["python"] == sys.version.split()[0]


def test_neither_the_current_folder_nor_the_path_of_this_environment_is_on_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "json", "lossparity"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('of another environment')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.setenv("KEPT", "yes")
    with child(sys.executable) as worker:
        assert worker.wait_ready(), worker.unavailable
        assert worker.elsewhere is not None
        assert worker.elsewhere.environment()["KEPT"] == "yes"


@pytest.mark.parametrize("python", ["~/python", "python-of-mine"])
def test_the_home_folder_and_names_on_the_search_path_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str
) -> None:
    wrapper(tmp_path, name=python.removeprefix("~/"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with child(python) as worker:
        assert worker.wait_ready(), worker.unavailable


def test_a_python_that_is_not_there_or_cannot_be_run_is_unavailable(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a program")
    for python, why in ((tmp_path / "none", "No such file or directory"), (text, "Permission denied")):
        with child(python) as worker:
            assert not worker.wait_ready()
            assert not worker.broken, "nothing that was asked for without its name fails a run"
        assert worker.unavailable == f"its Python cannot be started: {why}"
    text.chmod(0o755)
    with child(text) as worker:
        assert not worker.wait_ready()
    assert worker.unavailable == "its Python cannot be started: Exec format error"


def test_a_program_that_is_no_python_did_not_start() -> None:
    with child("/bin/sh") as worker:
        assert not worker.wait_ready()
        assert worker.broken
    assert worker.unavailable.startswith("the worker did not start: exit status ")


# An interpreter that takes itself for an older one.
OLDER = """
import runpy, sys
sys.version_info = (3, 8, 18)
del sys.argv[0]
runpy.run_path(sys.argv[0], None, "__main__")
"""


def test_a_python_that_is_too_old_says_so(tmp_path: Path) -> None:
    with child(wrapper(tmp_path, "-c", OLDER)) as worker:
        assert not worker.wait_ready()
        assert not worker.broken
    assert worker.unavailable == f"it is Python {sys.version.split()[0]}, and 3.9 or newer is needed"


@pytest.mark.parametrize(
    ("arguments", "framework", "reason"),
    [
        (["-S"], "numpy", "it has no numpy"),
        (["-S"], "no_such_framework", "it has no no_such_framework and no numpy"),
        ([], "no_such_framework", "it has no no_such_framework"),
    ],
)
def test_a_python_without_the_framework_or_numpy_says_which(
    tmp_path: Path, arguments: list[str], framework: str, reason: str
) -> None:
    with child(wrapper(tmp_path, *arguments), framework) as worker:
        assert not worker.wait_ready()
        assert not worker.broken
    assert worker.unavailable == reason


def test_what_comes_first_is_read_by_every_python() -> None:
    """That the oldest ones take it is tried by hand; that nothing newer gets in is seen here."""
    source = (TOP / "lossparity" / "elsewhere.py").read_text(encoding="ascii")
    nodes = list(ast.walk(ast.parse(source, feature_version=(3, 4))))
    newer = (ast.AnnAssign, ast.FunctionDef, ast.JoinedStr, ast.NamedExpr, ast.AsyncFunctionDef, ast.Nonlocal)
    assert not [node for node in nodes if isinstance(node, newer)]
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "__future__"]


def test_a_strangers_adapter_is_taken_along_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "single.py").write_text("from lossparity.errors import UsageError\n")
    for folder in ("several", "several/inner", "several/__pycache__", "spread"):
        (tmp_path / folder).mkdir()
    for file in ("several/__init__.py", "several/inner/__init__.py", "several/inner/on_it.py", "spread/on_it.py"):
        (tmp_path / file).write_text("")
    (tmp_path / "several" / "data.txt").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    always = set(carried("own", "own.adapter:Own"))
    assert "lossparity/worker.py" in always
    assert set(carried("own", "single:Own")) - always == {"single.py"}
    assert set(carried("own", "several.inner.on_it:Own")) - always == {
        *("several/__init__.py", "several/inner/__init__.py", "several/inner/on_it.py")
    }
    assert "__main__.py" in always
    for adapter in ("spread.on_it:Own", "no_such_module:Own", "math:Own", "_struct:Own"):
        with pytest.raises(UnavailableError, match=f"{adapter} is neither a package nor a file of Python source"):
            carried("own", adapter)


def test_an_adapter_that_is_part_of_its_framework_is_the_other_environments_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "framework.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "framework.py" not in carried("framework", "framework:Own")
    assert "framework.py" in carried("another", "framework:Own")


def test_an_adapter_that_cannot_be_taken_along_makes_its_own_backend_unavailable_and_no_other() -> None:
    wanted = [("numpy", NUMPY, sys.executable), ("own", "no_such_module:Own", sys.executable)]
    with bundled(wanted) as elsewhere:
        assert [there.refused == "" for there in elsewhere.values()] == [True, False]
        worker = Worker("no_such_module:Own", "cpu", elsewhere=elsewhere[wanted[1]])
        worker.start()
        assert not worker.wait_ready()
        assert "cannot be taken along" in worker.unavailable
        assert not worker.broken


def test_what_an_adapter_uses_of_lossparity_comes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "using.py").write_text("def late():\n    from lossparity import constants\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "lossparity/constants.py" in carried("own", "using:Own")
    assert "lossparity/constants.py" not in carried("numpy", NUMPY)


def test_the_zip_holds_what_is_carried() -> None:
    with bundled([("numpy", NUMPY, "p"), ("numpy", NUMPY, "q")]) as elsewhere:
        zips = {there.zip for there in elsewhere.values()}
        assert len(zips) == 1, "one a run"
        (one,) = zips
        with zipfile.ZipFile(one) as archive:
            assert sorted(archive.namelist()) == sorted(carried("numpy", NUMPY))
        assert Elsewhere("p", one, "numpy").command() == ["p", str(one), "numpy"]
