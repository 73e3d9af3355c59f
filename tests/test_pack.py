"""Packs: a stranger's cases by name, and the distribution of the tutorial, installed from its wheel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import installed as installing
import lossparity
from lossparity import record, registry, suite
from lossparity.cli import main
from lossparity.errors import UsageError
from test_completing import offered
from test_registry import distribution
from test_tutorials import follow

ROOT = Path(__file__).resolve().parents[1]
PACK = ROOT / "examples" / "pack"
PAGE = ROOT / "docs" / "adding-a-backend.md"

CASES = """\
suite: theirs
about: A suite of theirs.
cases:
  - id: a
    clause: S1
    operation: softmax
    formats: [float64]
    logits: [[1, 2], [3, 4]]
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's packs, of a package that fails when it is run and of one below it; the file of the former."""
    site, here = tmp_path / "site", tmp_path / "here"
    distribution(site, "[lossparity.cases]\nmypack = their_cases\ninner = their_cases.more", "their-cases")
    for folder in ("cases", "more/cases"):
        (site / "their_cases" / folder).mkdir(parents=True)
    (site / "their_cases" / "__init__.py").write_text("raise RuntimeError('the parent ran a pack')\n")
    (site / "their_cases" / "cases" / "theirs.yaml").write_text(CASES)
    (site / "their_cases" / "more" / "cases" / "inner.yaml").write_text(CASES.replace("theirs", "inner"))
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(site))
    return site / "their_cases" / "cases" / "theirs.yaml"


@pytest.fixture
def lost(theirs: Path) -> None:
    """One pack more, whose package is gone."""
    distribution(theirs.parents[2], "[lossparity.cases]\nlost = no_such_package", "lost-cases")


def command(*arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its status and all that it says."""
    done = CliRunner().invoke(main, list(arguments))
    assert "Traceback" not in done.output
    return done.exit_code, done.output


@pytest.mark.usefixtures("theirs")
def test_a_pack_is_found_by_name_and_nothing_of_it_is_run() -> None:
    assert suite.packs() == ("inner", "mypack")
    (mypack,), (inner,) = suite.load(["mypack"]), suite.load([Path("inner")])
    assert [mypack.name, inner.name] == ["theirs", "inner"]
    assert mypack.cases[0].source == "their_cases/cases/theirs.yaml:4", "the same on every machine"
    assert [one.name for one in suite.load(["mypack", suite.built_in() / "softmax.yaml"])] == ["theirs", "softmax"]


def test_a_pack_and_its_file_are_read_once(theirs: Path) -> None:
    assert len(suite.load([theirs, "mypack"])) == 1


@pytest.mark.usefixtures("theirs")
def test_nothing_of_a_pack_is_run_unasked() -> None:
    assert "theirs" not in {one.name for one in suite.load([suite.built_in()])}
    code, said = command("list", "--case", "*")
    assert code == 0 and "theirs/a" not in said


@pytest.mark.usefixtures("theirs")
def test_what_exists_is_a_path_and_no_pack() -> None:
    Path("mypack").mkdir()
    Path("mypack/mine.yaml").write_text(CASES.replace("theirs", "mine"))
    assert [one.name for one in suite.load(["mypack"])] == ["mine"]
    Path("mypack/known.yaml").write_text("deviations: []")
    with pytest.raises(UsageError, match="deviations") as caught:
        suite.load(["mypack"])
    assert "the folder mypack here was read, not the pack" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("mypck", "'mypck' is no file, no folder and no pack of cases", "did you mean 'mypack'?"),
        ("xyz", "'xyz' is no file, no folder and no pack of cases", "known packs: inner, lost, mypack"),
        ("lost", "the pack lost: its package cannot be found", "reinstall"),
        ("mypack.yaml", "the case file cannot be read: No such file or directory", ""),
        ("./mypack", "the case file cannot be read: No such file or directory", ""),
    ],
)
@pytest.mark.usefixtures("lost")
def test_what_is_no_pack_is_refused(name: str, message: str, hint: str) -> None:
    given = name if not name.startswith(".") else f"{Path.cwd()}/{name}"
    with pytest.raises(UsageError) as caught:
        suite.load([given])
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_where_there_are_no_packs_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "case_packs", dict)
    with pytest.raises(UsageError) as caught:
        suite.load(["mypack"])
    assert caught.value.hint == "nothing that is installed brings a pack of cases"


def test_a_mistake_in_a_pack_is_told_with_its_name_and_place(theirs: Path) -> None:
    theirs.write_text(CASES.replace("clause: S1", "clause: S99"))
    with pytest.raises(UsageError) as caught:
        suite.load(["mypack"])
    assert caught.value.message.startswith("the pack mypack: ")
    assert caught.value.where == f"{theirs}:5:13"
    theirs.unlink()
    with pytest.raises(UsageError) as caught:
        suite.load(["mypack"])
    assert caught.value.message == "the pack mypack: no case file in this folder"
    theirs.parent.rmdir()
    with pytest.raises(UsageError) as caught:
        suite.load(["mypack"])
    assert caught.value.message.startswith("the pack mypack: the case file cannot be read")
    assert caught.value.where == str(theirs.parent)


@pytest.mark.usefixtures("lost")
def test_list_and_doctor_say_which_packs_there_are_and_what_is_wrong_with_them(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {"numpy": registry.registered()["numpy"]}
    monkeypatch.setattr("lossparity.doctor.registered", lambda: alone)
    code, said = command("list")
    assert code == 0
    assert "\n  mypack\n    theirs: 1 cases. A suite of theirs.\n" in said
    assert "\n  lost\n    the pack lost: its package cannot be found\n" in said
    theirs.parents[1].joinpath("more", "cases", "inner.yaml").write_text("suite: []")
    code, said = command("doctor", "--no-probe")
    assert code == 2
    assert "\nmypack: a pack of 1 cases; --cases mypack takes them" in said
    assert re.search(r"inner\.yaml:\d+:\d+: the pack inner: ", said)


@pytest.mark.usefixtures("theirs")
def test_commands_and_the_function_take_a_pack_by_name() -> None:
    assert command("list", "--cases", "mypack", "--case", "*") == (0, "theirs/a  [S1]  float64\n")
    code, said = command("run", "-b", "numpy", "--cases", "mypack")
    assert code == 0 and said.startswith("2 of 2 judged results pass")
    code, said = command("show", "theirs/a/float64@numpy", "--cases", "mypack")
    assert code == 0 and "(their_cases/cases/theirs.yaml:4)" in said
    code, said = command("export", "--golden", "golden", "--cases", "mypack")
    assert code == 0 and said.startswith("1 files")
    Path("mine.py").write_text("def softmax(logits):\n    return logits\n")
    code, said = command("check", "mine.py:softmax", "--operation", "softmax", "--cases", "mypack")
    assert code == 1 and "--cases mypack --case theirs/a" in said
    found = lossparity.check("mine.py:softmax", "softmax", cases="mypack")
    assert set(found.failures) == {"theirs/a/float64@numpy.target#value"}


@pytest.mark.usefixtures("theirs")
def test_the_cases_of_a_pack_are_completed() -> None:
    assert offered("run --cases mypack --case theirs/") == ["theirs/a"]


def test_known_counts_what_is_declared_of_a_packs_cases(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ghost = registry.Registered("ghost", "their_cases:Ghost", ("ghost",), ("ghost",), "ghost")
    monkeypatch.setattr(registry, "registered", lambda: {"ghost": ghost})
    declared = "deviations: [{id: ghost/a, checks: ['theirs/a/*#value'], kind: nan, versions: '>=0', reason: Because.}]"
    theirs.parents[1].joinpath("known_deviations").mkdir()
    theirs.parents[1].joinpath("known_deviations", "ghost.yaml").write_text(declared)
    code, said = command("known")
    assert code == 0, said
    assert said == "ghost/a  nan  *  >=0  1 check\n"


def shown(page: str) -> dict[str, str]:
    """Return the files that a page shows, by their titles."""
    return dict(re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```$', page, flags=re.MULTILINE | re.DOTALL))


def test_the_tutorial_shows_the_distribution_as_it_is() -> None:
    files = {f"pack/{path.relative_to(PACK).as_posix()}": path.read_text() for path in PACK.rglob("*") if path.suffix}
    assert shown(PAGE.read_text(encoding="utf-8")) == files


def test_the_tutorial_leads_to_a_distribution_that_passes(wheelhouse: Path, tmp_path: Path) -> None:
    programs = installing.environment(wheelhouse, tmp_path / "venv")
    follow(PAGE, tmp_path, programs)
    found = record.read(tmp_path / "lossparity-results" / "run.jsonl")
    assert {one.origin for one in found.results if one.verdict != "unsupported"} == {"native"}
    assert sum(one.verdict == "known" for one in found.results) == 5


def test_the_adapter_of_the_tutorial_keeps_to_floor_0() -> None:
    text = (PACK / "minigrad" / "on_minigrad.py").read_text()
    imported = re.findall(r"^from lossparity\.(\w+) import", text, flags=re.MULTILINE)
    assert imported and set(imported) <= {"formats", "framework", "model", "spec"}
    assert "import lossparity" not in text
    assert registry.read_known(PACK / "minigrad" / "known_deviations" / "minigrad.yaml")
