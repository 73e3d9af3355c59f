"""Backends by name: found through entry points without running any adapter, resolved strictly, deviations as data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lossparity import registry
from lossparity.errors import UnavailableError, UsageError
from lossparity.model import Backend
from lossparity.registry import (
    Registered,
    compiler,
    installed,
    known_deviations,
    known_files,
    read_known,
    registered,
    report_names,
    report_writer,
    resolve,
)


def distribution(folder: Path, entry_points: str, name: str = "ghost-backends") -> None:
    """Put an installed distribution into a folder: its metadata alone, as an installer leaves it."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lossparity.backends]\n{entry_points}\n")


@pytest.fixture
def ghost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's backend whose package fails when it is run, for a framework that is not here."""
    distribution(tmp_path, "ghost = ghost_backends.on_ghost:Ghost\nhere.fast = ghost_backends.on_here:Here")
    package = tmp_path / "ghost_backends"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('the parent ran an adapter')\n")
    (tmp_path / "here.py").write_text("raise RuntimeError('the parent ran a framework')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


@pytest.mark.usefixtures("ghost")
def test_the_frameworks_come_in_a_fixed_order_and_strangers_after_them() -> None:
    names = list(registered())
    own = ["numpy", "torch", "tensorflow", "jax"]
    assert [name for name in names if "." not in name] == [*own, "ghost"]
    assert names[-2:] == ["ghost", "here.fast"]
    frameworks = [Backend.parse(name).framework for name in names[:-2]]
    assert frameworks == sorted(frameworks, key=own.index)
    assert {f"{framework}.manual" for framework in own} < set(names)


@pytest.mark.usefixtures("ghost")
def test_a_strangers_backend_is_found_and_nothing_of_it_is_run() -> None:
    found = registered()
    assert found["ghost"].adapter == "ghost_backends.on_ghost:Ghost"
    assert not found["ghost"].available, "no module named ghost is here"
    assert found["here.fast"].available
    assert known_deviations(["ghost", "here"]) == []


@pytest.fixture
def libraries(ghost: Path) -> Path:
    """Libraries on a framework that is here: one is here too, with an adapter of its own, and one is not."""
    adapters = ["here = ghost_backends.on_here:Here", "here.manual = ghost_backends.on_here:Here"]
    adapters += ["here.library = ghost_backends.on_library:Library", "here.absent = ghost_backends.on_absent:Absent"]
    requires = "[lossparity.requires]\nhere.library = library\nhere.absent = no_such_module\nnobody = whatever"
    distribution(ghost.parent, "\n".join([*adapters, requires]), "library-backends")
    (ghost.parent / "library.py").write_text("raise RuntimeError('the parent ran a library')\n")
    return ghost


@pytest.mark.usefixtures("libraries")
def test_a_library_on_a_framework_is_here_where_both_are() -> None:
    found = registered()
    assert "nobody" not in found
    assert (found["here.library"].requires, found["here.library"].available) == (("here", "library"), True)
    assert (found["here.absent"].missing, found["here.absent"].available) == (("no_such_module",), False)
    assert (found["here"].missing, found["ghost"].missing) == ((), ("ghost",))
    assert Backend("here") in installed() and Backend("here", "library") not in installed()
    backends, named = resolve(["here*"])
    assert Backend("here", "library") in backends and Backend("here", "absent") not in backends
    assert resolve(["here.absent"]) == ([Backend("here", "absent")], {"here.absent"})
    assert named == set()


@pytest.mark.usefixtures("libraries")
def test_an_environment_is_the_frameworks_or_that_of_an_adapter_of_its_own() -> None:
    found = registered()
    named = {name: found[name].environment for name in ("here", "here.manual", "here.library", "numpy.manual", "ghost")}
    assert named == {
        "here": "here",
        "here.manual": "here",
        "here.library": "here.library",
        "numpy.manual": "numpy",
        "ghost": "ghost",
    }


def test_what_a_library_is_known_for_is_read_with_its_framework(libraries: Path) -> None:
    path = declare(libraries, ENTRY)
    path.with_name("library.yaml").write_text(
        ENTRY.replace("here/a", "library/a").replace("kind: nan", "kind: format\n    package: library")
    )
    known = known_deviations(["here"])
    assert [(one.id, one.package, one.kind) for one in known] == [
        ("here/a", "", "nan"),
        ("library/a", "library", "format"),
    ]
    assert known_deviations(["numpy-like"]) == []


@pytest.mark.usefixtures("ghost")
def test_what_a_run_takes_by_default_is_every_library_that_is_here() -> None:
    assert Backend("numpy") in installed()
    assert all(not backend.variant for backend in installed())
    assert Backend("ghost") not in installed()


@pytest.mark.usefixtures("ghost")
def test_a_name_stands_for_itself_and_is_asked_for_by_name() -> None:
    backends, named = resolve(["numpy", "numpy.manual:cuda", "ghost", "numpy"])
    assert backends == [Backend("numpy"), Backend("numpy", "manual", "cuda"), Backend("ghost")]
    assert named == {"numpy", "numpy.manual:cuda", "ghost"}


@pytest.mark.usefixtures("ghost")
def test_a_glob_takes_what_is_here_and_asks_for_nothing_by_name() -> None:
    backends, named = resolve(["numpy*", "ghost*"])
    assert Backend("ghost") not in backends
    assert {backend.framework for backend in backends} == {"numpy"}
    assert {Backend("numpy"), Backend("numpy", "manual")} <= set(backends)
    assert named == set()


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three frameworks, of which one has no compiler and one is not here."""
    names = {"numpy": True, "numpy.manual": True, "torch": False, "jax": True, "jax.manual": True, "own": True}
    entries = {
        name: Registered(name, f"lossparity_backends.on_{name}:X", (name,), () if here else (name,), name)
        for name, here in names.items()
    }
    monkeypatch.setattr(registry, "registered", lambda: entries)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*+*", ["jax+jit", "jax.manual+jit", "own+compiled"]),
        ("jax*+jit", ["jax+jit", "jax.manual+jit"]),
        ("*", ["numpy", "numpy.manual", "jax", "jax.manual", "own"]),
        ("torch*+*", []),
        ("*.manual:gpu", ["numpy.manual:gpu", "jax.manual:gpu"]),
        ("[tj]*+*@/x/py*thon", ["torch+compile@/x/py*thon", "jax+jit@/x/py*thon", "jax.manual+jit@/x/py*thon"]),
    ],
)
def test_a_glob_takes_compiled_modes_where_it_says_so_and_another_python_has_what_it_has(
    pattern: str, names: list[str]
) -> None:
    backends, named = resolve([pattern])
    assert [str(backend) for backend in backends] == names
    assert named == set()


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "name", ["jax+jit", "jax.manual+jit", "jax:gpu", "own+theirs", "torch", "numpy@/a b+c:d/@e/p?thon"]
)
def test_a_name_with_a_mode_a_device_or_a_python_is_asked_for_by_name(name: str) -> None:
    assert resolve([name, name]) == ([Backend.parse(name)], {name})


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("trch", "unknown backend 'trch'", "did you mean 'torch'?"),
        ("torch.manul", "unknown backend 'torch.manul'", "did you mean 'torch.manual'?"),
        ("numpy.target", "unknown backend 'numpy.target'", "known backends: "),
        ("", "unknown backend ''", "known backends: "),
        ("trch*", "no backend matches 'trch*'", "did you mean 'torch'?"),
        ("torch.manul+compile@/x", "unknown backend 'torch.manul+compile@/x'", "did you mean 'torch.manual'?"),
        ("torch+jit", "torch has no mode +jit", "did you mean 'torch+compile'?"),
        ("jax.manual:gpu+compile@/x", "jax has no mode +compile", "did you mean 'jax.manual:gpu+jit@/x'?"),
        ("numpy+fast", "numpy has no compiler", "leave out +fast"),
        ("numpy*+*", "no backend matches 'numpy*+*'", "did you mean 'numpy'?"),
        ("jax*+compile", "no backend matches 'jax*+compile'", "did you mean 'jax'?"),
        ("torch@", "'torch@' names no Python", "as in torch@PATH/TO/python"),
        (
            "torch@2.13.0+cpu",
            "2.13.0+cpu is a version and no Python",
            "write torch where torch 2.13.0+cpu is installed",
        ),
        ("jax*@0.4.30,optax-0.2.8", "0.4.30,optax-0.2.8 is a version", "or jax*@PATH/TO/python"),
    ],
)
def test_what_is_no_backend_is_refused_with_a_suggestion(pattern: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve([pattern])
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_the_reports_are_those_that_are_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["badge", "github", "html", "junit"]
    assert report_names() == own
    distribution(tmp_path, "[lossparity.reports]\npdf = somewhere:write", "ghost-reports")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert report_names() == [*own, "pdf"]


def test_a_report_that_is_not_installed_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="no report named 'pdf'"):
        report_writer("pdf")


ENTRY = """
framework: here
deviations:
  - id: here/a
    backends: [here.fast]
    checks: ["suite/a/*#value"]
    kind: nan
    versions: ">=1,<2"
    reason: It divides by zero.
"""


def declare(package: Path, text: str) -> Path:
    (package / "known_deviations").mkdir()
    path = package / "known_deviations" / "here.yaml"
    path.write_text(text)
    return path


def test_known_deviations_lie_beside_the_adapter(ghost: Path) -> None:
    declare(ghost, ENTRY)
    (deviation,) = known_deviations(["numpy-like", "here", "here"])
    assert (deviation.id, deviation.backends, deviation.kind, deviation.link) == ("here/a", ("here.fast",), "nan", "")


def test_where_known_deviations_are_is_said_of_every_framework(ghost: Path) -> None:
    files = known_files()
    assert files["here"] == ghost / "known_deviations" / "here.yaml"
    for name in ("numpy", "torch", "tensorflow", "jax", "keras", "optax", "scipy"):
        path = files[name]
        assert path is not None and path.is_file(), name


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("kind: nan", "kind: nann", "here/a: unknown kind 'nann'", "did you mean 'nan'?"),
        ('">=1,<2"', '"newest"', "here/a: Invalid specifier", "as in"),
        ("    reason: It divides by zero.\n", "", "missing required field `reason`", ""),
        ("It divides by zero.", "'TODO: say why.'", "here/a: no reason is given yet", "confirmed"),
        ("It divides by zero.", "''", "here/a: no reason is given yet", "say why"),
        ("    kind: nan", "    knd: nan\n    kind: nan", "unknown field `knd`", ""),
        ("[here.fast]", "here.fast", "Expected `array`", ""),
        ("[here.fast]", "[here.fast", "not a file of known deviations", ""),
        ("framework: here", "- here", "not a file of known deviations", ""),
    ],
)
def test_a_mistake_in_known_deviations_is_refused_with_its_file(
    ghost: Path, old: str, new: str, message: str, hint: str
) -> None:
    assert ENTRY.count(old) == 1
    path = declare(ghost, ENTRY.replace(old, new))
    with pytest.raises(UsageError) as caught:
        known_deviations(["here"])
    at = re.fullmatch(re.escape(str(path)) + r"(:4|:\d:\d+)?", caught.value.where or "")
    assert at, caught.value.where
    told = ("$.deviations[0]", "not YAML")
    assert bool(at[1]) == ("not a file" not in caught.value.message or any(t in caught.value.message for t in told))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_users_own_file_is_for_every_backend_where_it_names_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(ENTRY.replace("framework: here\n", "").replace("    backends: [here.fast]\n", ""))
    (deviation,) = read_known(path)
    assert (deviation.id, deviation.backends) == ("here/a", ("*",))
    assert deviation.covers("suite/a/x@torch.target+compile", "value", {"torch": "1.5"})


def test_a_mistake_is_at_the_line_of_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    entry = ENTRY[ENTRY.index("  - id") :]
    path.write_text(ENTRY + entry.replace("kind: nan", "kind: nann"))
    with pytest.raises(UsageError) as caught:
        read_known(path)
    assert caught.value.where == f"{path}:10"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_known(tmp_path / "none.yaml")


def test_compiled_modes_are_called_as_their_frameworks_call_them() -> None:
    assert [compiler(name) for name in ("torch", "jax", "tensorflow", "numpy", "stranger")] == [
        *("compile", "jit", "xla", "", "compiled")
    ]


def test_a_file_in_the_current_folder_declares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "single = single_module:Single\nmissing = no_such_package.adapter:Missing")
    (tmp_path / "single_module.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("single", "missing"):
        (tmp_path / f"{name}.yaml").write_text(ENTRY)
    monkeypatch.chdir(tmp_path)
    assert (known_files()["single"], known_files()["missing"]) == (None, None)
    assert known_deviations(["single", "missing", "nobody"]) == []
