"""`lossparity compare` and `run --baseline`: what is printed, JSON, exit statuses, and wrong records as one message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from lossparity import record
from lossparity.changes import KINDS
from lossparity.cli import main
from lossparity.record import Part, Record
from record_factory import HOSTILE, everything, many
from test_cli import SUITE
from test_record import write

SECOND = """\
  - id: b
    clause: S1
    operation: softmax
    formats: [float64]
    gradient: false
    logits: [[1, 2], [3, 5]]
"""
KEY = "mine/a/float64@numpy#value"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a folder of its own to be in, with a suite."""
    (tmp_path / "mine.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written(folder: Path) -> Path:
    """A record with every verdict, `base.jsonl`."""
    return write(folder / "base.jsonl", everything())


def lossparity(*arguments: str) -> Result:
    """Run a command in this process; no exception but its exit may leave it."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def differing(count: int = 1, **changes: Any) -> tuple[str, str]:
    """Write two records, the second with `count` passing values of one backend changed; return their names."""
    base = many(200)
    passes = [r.key for r in base.results if r.backend == "torch" and r.quantity == "value" and r.grade == "faithful"]
    new = replace(
        base,
        results=[msgspec.structs.replace(r, **changes) if r.key in passes[:count] else r for r in base.results],
    )
    return str(write(Path("base.jsonl"), base)), str(write(Path("new.jsonl"), new))


def test_two_equal_records_have_no_regression(written: Path) -> None:
    result = lossparity("compare", str(written), str(written))
    assert result.exit_code == 0
    count = len(everything().results)
    assert result.stdout.splitlines()[-2:] == [f"{count} results compared, {count} of them unchanged", "no regression"]
    assert "torch: the same environment" in result.stdout


def test_a_regression_is_told_with_both_sides_and_its_message() -> None:
    crash: dict[str, Any] = {
        "verdict": "crash",
        "grade": "",
        "ulp": None,
        "bound_used": None,
        "message": "killed by SIGSEGV",
    }
    result = lossparity("compare", *differing(**crash))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    place = lines.index("1 newly failing (regression)")
    assert lines[place + 1].endswith("@torch#value")
    assert lines[place + 2].startswith("    pass (faithful, ")
    assert lines[place + 2].endswith(" times the bound) → crash")
    assert lines[place + 3] == "    killed by SIGSEGV"
    assert lines[-1] == "regression: 1 newly failing"


def test_where_the_verdict_is_the_same_the_rest_is_told() -> None:
    result = lossparity("compare", *differing(grade="loose", ulp=3.5, bound_used=0.7))
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if "→" in line]
    assert line.startswith("    pass: faithful, 0")
    assert line.endswith(" → loose, 3.5 ulp, 0.7 times the bound")


def test_many_changes_of_a_kind_are_capped_and_counted() -> None:
    result = lossparity("compare", *differing(13, grade="tight"))
    assert result.exit_code == 0
    assert "13 of a worse grade\n" in result.stdout
    assert "  … and 3 more (--json has all)" in result.stdout
    assert result.stdout.count("@torch#value") == 10
    told = json.loads(lossparity("compare", "base.jsonl", "new.jsonl", "--json").stdout)
    assert len(told["changes"]) == 13


def test_fail_on_chooses_the_kinds() -> None:
    records = differing(grade="tight")
    result = lossparity("compare", *records)
    assert result.exit_code == 0
    assert result.stdout.endswith(" of them unchanged\nno regression\n")
    result = lossparity("compare", *records, "--fail-on", "default,grade")
    assert result.exit_code == 1
    assert "1 of a worse grade (regression)" in result.stdout
    assert lossparity("compare", *differing(grade="loose"), "--fail-on", "none").exit_code == 0
    result = lossparity("compare", *records, "--fail-on", "grades")
    assert result.exit_code == 2
    assert result.stderr == "lossparity: unknown kind of change 'grades'\n  did you mean 'grade'?\n"


def test_the_help_names_the_kinds_that_are_regressions() -> None:
    default = ",".join(kind for kind, one in KINDS.items() if one.regression)
    for command in ("compare", "run"):
        assert f"(default:{default})" in "".join(lossparity(command, "--help").stdout.split())


def test_the_json_has_all_its_keys(written: Path) -> None:
    new = everything()
    new.results = [r for r in new.results if r.backend != "jax"]
    write(Path("new.jsonl"), new)
    result = lossparity("compare", str(written), "new.jsonl", "--json", "--fail-on", "removed")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [*told] == [
        "format_version",
        "base",
        "new",
        "backends",
        "fail_on",
        "compared",
        "unchanged",
        "counts",
        "changes",
        "times",
        "exit_code",
    ]
    removed = sum(r.backend == "jax" for r in everything().results)
    assert (told["format_version"], told["fail_on"], told["exit_code"]) == (1, ["removed"], 1)
    assert told["counts"] == {kind: removed if kind == "removed" else 0 for kind in KINDS}
    assert {"base": "jax", "new": None, "differs": {}} in told["backends"]
    assert told["base"]["path"] == str(written)
    assert (told["base"]["complete"], told["base"]["broken"]) == (True, "")
    (first, *_) = told["changes"]
    assert (first["kind"], first["regression"], first["new"]) == ("removed", True, None)
    assert first["key"] == f"{first['base']['check']}#{first['key'].rpartition('#')[2]}"
    assert told["compared"] == told["unchanged"] == len(new.results)


def test_every_key_of_the_json_is_in_the_documents(written: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "comparing.md").read_text(encoding="utf-8")
    write(Path("new.jsonl"), replace(everything(), results=everything().results[1:]))
    told = json.loads(lossparity("compare", str(written), "new.jsonl", "--json").stdout)
    (change,) = told["changes"]
    for keys in (told, told["base"], told["backends"][0], change, change["base"]):
        assert [key for key in keys if f"`{key}`" not in page] == []


def test_every_kind_is_in_the_documents_with_what_is_said_of_it() -> None:
    page = (Path(__file__).parent.parent / "docs" / "comparing.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    listed = {row[0].strip("| `"): row[2].rstrip(" |") == "yes" for row in rows if len(row) == 3}
    assert listed == {kind: one.regression for kind, one in KINDS.items()}


def test_case_and_format_narrow_both_sides(written: Path) -> None:
    result = lossparity("compare", str(written), str(written), "--case", "masks", "--format", "fp16", "--json")
    assert json.loads(result.stdout)["compared"] == sum(
        r.case.startswith("masks/") and r.format == "float16" for r in everything().results
    )
    result = lossparity("compare", str(written), str(written), "--case", "nothing")
    assert result.exit_code == 3
    assert result.stdout.endswith("nothing could be compared\n")


def test_backends_are_mapped_by_name(written: Path) -> None:
    result = lossparity("compare", str(written), str(written), "--map", "torch=tensorflow", "--fail-on", "none")
    assert result.exit_code == 0
    assert "torch → tensorflow: " in result.stdout
    result = lossparity("compare", str(written), str(written), "--map", "torhc=tensorflow")
    assert result.exit_code == 2
    assert "did you mean 'torch'?" in result.stderr


def test_an_incomplete_record_says_so_and_what_is_missing(written: Path) -> None:
    text = written.read_bytes()
    Path("cut.jsonl").write_bytes(text[: len(text) * 3 // 4])
    result = lossparity("compare", str(written), "cut.jsonl")
    assert result.exit_code == 1
    assert "missing, for NEW is incomplete (regression)" in result.stdout
    assert "removed" not in result.stdout
    assert "     incomplete: line " in result.stdout
    assert lossparity("compare", str(written), "cut.jsonl", "--fail-on", "failing").exit_code == 0
    result = lossparity("compare", "cut.jsonl", str(written))
    assert result.exit_code == 0
    assert " added\n" in result.stdout


def test_a_line_with_a_word_that_no_record_has_is_damaged(written: Path) -> None:
    for old, new in (('"verdict":"crash"', '"verdict":"joy"'), ('"grade":"uncertified"', '"grade":"joyful"')):
        text = written.read_text()
        assert text.count(old) == 1
        (line,) = [n for n, one in enumerate(text.splitlines(), start=1) if old in one]
        Path("new.jsonl").write_text(text.replace(old, new))
        result = lossparity("compare", str(written), "new.jsonl")
        assert result.exit_code == 1
        assert f"incomplete: line {line} is cut off or damaged" in result.stdout


FOREIGN = {
    "empty": b"",
    "page": b"<!doctype html>\n",
    "bytes": bytes(range(256)),
    "other JSON": b'{"a": 1}\n',
    "newer": b'{"kind":"header","format_version":2}\n',
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_record_is_wrong_use(written: Path, name: str, side: int) -> None:
    Path("foreign").write_bytes(FOREIGN[name])
    names = [str(written), str(written)]
    names[side] = "foreign"
    result = lossparity("compare", *names)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("lossparity: foreign")
    if name in ("page", "bytes", "other JSON"):
        assert result.stderr.startswith("lossparity: foreign:1: not a lossparity record")


def test_two_records_strung_together_are_wrong_use(written: Path) -> None:
    Path("both.jsonl").write_bytes(written.read_bytes() * 2)
    result = lossparity("compare", str(written), "both.jsonl")
    assert result.exit_code == 2
    assert result.stderr.startswith("lossparity: both.jsonl: the record holds ")


def test_a_message_of_a_framework_is_printed_as_it_is_and_not_at_length() -> None:
    result = lossparity("compare", *differing(verdict="fail", message=f"{HOSTILE} " + "word " * 400))
    assert HOSTILE in result.stdout
    assert 30 < result.stdout.count("word ") < 80


def run(*more: str) -> Result:
    return lossparity("run", "-b", "numpy", "--cases", "mine.yaml", *more)


def baseline(**changes: Any) -> Record:
    """Run once and keep the record, with its results changed, as base.jsonl."""
    assert run("-o", "first").exit_code == 0
    found = record.read(Path("first/run.jsonl"))
    found.results = [msgspec.structs.replace(result, **changes) for result in found.results]
    write(Path("base.jsonl"), found)
    return found


def test_a_run_is_compared_with_its_baseline() -> None:
    baseline()
    result = run("--baseline", "base.jsonl")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["1 results compared, 1 of them unchanged", "no regression"]
    assert "page:   lossparity-results/report.html" in result.stdout


def test_a_run_that_conforms_and_regressed_is_1() -> None:
    (got,) = baseline().results
    write(
        Path("base.jsonl"), replace(baseline(), results=[msgspec.structs.replace(got, choice="other", grade="loose")])
    )
    assert run("--baseline", "base.jsonl").exit_code == 0
    result = run("--baseline", "base.jsonl", "--fail-on", "better")
    assert result.exit_code == 1
    assert "regression: 1 of a better grade" in result.stdout


def test_what_a_whole_run_no_longer_holds_is_removed_and_what_was_not_asked_for_is_not() -> None:
    suite = Path("mine.yaml")
    suite.write_text(SUITE + SECOND)
    assert run("-o", "first").exit_code == 0
    assert run("--case", "mine/a", "--baseline", "first/run.jsonl").exit_code == 0
    suite.write_text(SUITE)
    result = run("--baseline", "first/run.jsonl")
    assert result.exit_code == 1
    assert "1 removed (regression)\n  mine/b/float64@numpy#value" in result.stdout


def test_a_backend_or_suite_that_was_not_asked_for_is_not_removed() -> None:
    found = baseline()
    (result,) = found.results
    others = (
        msgspec.structs.replace(result, backend="torch", check="mine/a/float64@torch"),
        msgspec.structs.replace(result, case="other/a", check="other/a/float64@numpy"),
        msgspec.structs.replace(result, format="float32", check="mine/a/float32@numpy"),
    )
    write(Path("base.jsonl"), replace(found, results=[result, *others]))
    assert run("--baseline", "base.jsonl", "--format", "float64").exit_code == 0
    result_ = run("--baseline", "base.jsonl")
    assert result_.exit_code == 1
    assert "regression: 1 removed" in result_.stdout
    assert "mine/a/float32@numpy" in result_.stdout


def test_the_baseline_may_be_the_record_that_is_overwritten() -> None:
    assert run().exit_code == 0
    result = run("--baseline", "lossparity-results/run.jsonl")
    assert result.exit_code == 0
    assert "1 results compared, 1 of them unchanged" in result.stdout


def test_a_run_that_fails_by_itself_keeps_its_status() -> None:
    baseline()
    result = run("--baseline", "base.jsonl", "-b", "numpy:cuda")
    assert result.exit_code == 3
    assert "no regression" in result.stdout


def test_a_baseline_that_is_none_stops_the_run_before_it_begins() -> None:
    Path("foreign").write_text("hello\n")
    for name, said in (("foreign", "foreign:1: not a lossparity record"), ("mine.yml", "did you mean 'mine.yaml'?")):
        result = run("--baseline", name)
        assert result.exit_code == 2
        assert said in result.stderr
    assert not Path("lossparity-results").exists()
    result = run("--fail-on", "grade")
    assert result.exit_code == 2
    assert "--fail-on has nothing to compare with" in result.stderr
    assert run("--baseline", "mine.yaml", "--fail-on", "grades").exit_code == 2


def page(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def test_a_comparison_may_have_a_page_with_what_changed_marked() -> None:
    records = differing(grade="tight")
    result = lossparity("compare", *records, "--html", "pages/changes.html")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["no regression", "page:   pages/changes.html"]
    assert "Against base.jsonl: no regression, 0 fixed, 1 changed otherwise;" in page("pages/changes.html")
    result = lossparity("compare", *records, "--html", "changes.html", "--fail-on", "grade")
    assert result.exit_code == 1
    assert "Against base.jsonl: 1 regressed, 0 fixed;" in page("changes.html")


def test_the_page_of_a_part_that_is_compared_holds_all_of_new() -> None:
    records = differing(grade="tight")
    lossparity("compare", *records, "--case", "masks", "--html", "changes.html")
    left_out = sum(not r.case.startswith("masks/") for r in many(200).results)
    assert f"{left_out} of the 200 results on this page were left out of the comparison" in page("changes.html")


def test_the_json_stays_json_where_a_page_is_written_too(written: Path) -> None:
    result = lossparity("compare", str(written), str(written), "--json", "--html", "changes.html")
    assert json.loads(result.stdout)["exit_code"] == 0
    assert result.stderr == "page:   changes.html\n"


def test_a_page_does_not_overwrite_a_record_and_one_that_cannot_be_written_is_wrong_use(written: Path) -> None:
    before = written.read_bytes()
    result = lossparity("compare", str(written), str(written), "--html", f"./{written.name}")
    assert result.exit_code == 2
    assert "base.jsonl is one of the records" in result.stderr
    assert written.read_bytes() == before
    result = lossparity("compare", str(written), str(written), "--html", "mine.yaml/changes.html")
    assert result.exit_code == 2
    assert result.stderr.endswith("the page cannot be written: File exists\n  choose another place for it\n")


@pytest.mark.parametrize("over", ["base.jsonl", "new.jsonl", "linked.jsonl"])
def test_a_report_does_not_overwrite_the_record_or_its_baseline(over: str) -> None:
    base, new = differing(grade="tight")
    Path("linked.jsonl").symlink_to(base)
    before = [Path(name).read_bytes() for name in (base, new)]
    result = lossparity("report", new, "--baseline", base, "-o", over)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"lossparity: {over} is one of the records\n  choose another --output\n"
    assert [Path(name).read_bytes() for name in (base, new)] == before


def test_a_record_that_is_called_as_its_report_would_be_is_not_overwritten(written: Path) -> None:
    for name, file in (("html", "report.html"), ("badge", "badge.json")):
        Path(file).write_bytes(written.read_bytes())
        assert lossparity("report", file, "--format", name).exit_code == 2
        assert Path(file).read_bytes() == written.read_bytes()
        assert lossparity("report", file, "--format", name, "-o", "elsewhere").exit_code == 0


def sharded(*, number: int = 2, of: int = 4, questions: str = "abc") -> Path:
    """Write a part of a run of 200 results, every second one; return its name."""
    whole = many(200)
    header = msgspec.structs.replace(whole.header, shard=Part(number, of, questions, ["torch"]))
    return write(Path(f"{number}-{of}-{questions}.jsonl"), replace(whole, header=header, results=whole.results[::2]))


@pytest.mark.parametrize("base_is_shard", [True, False])
def test_a_shard_is_not_compared_with_a_whole_run(base_is_shard: bool) -> None:
    whole, part = str(write(Path("whole.jsonl"), many(200))), str(sharded())
    base, new = (part, whole) if base_is_shard else (whole, part)
    said = {whole: "a whole run", part: "shard 2 of 4"}
    for command in (("compare", base, new, "--html", "page.html"), ("report", new, "--baseline", base)):
        result = lossparity(*command)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            f"lossparity: {base} is {said[base]}, and {new} is {said[new]}\n"
            "  join the shards with `lossparity merge`, and compare what comes of it\n"
        )
    assert not {"page.html", "report.html"} & {path.name for path in Path().iterdir()}


@pytest.mark.parametrize("other", [{"number": 3}, {"of": 5}, {"questions": "def"}])
def test_a_shard_is_compared_with_the_same_one_alone(other: dict[str, Any]) -> None:
    again = sharded().rename("again.jsonl")
    part = str(sharded())
    result = lossparity("compare", part, str(again))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "no regression")
    result = lossparity("compare", part, str(sharded(**other)))
    assert result.exit_code == 2
    assert ("but of other cases or formats" in result.stderr) is ("questions" in other)


def test_a_run_is_not_compared_with_a_shard_and_says_so_before_it_begins() -> None:
    result = run("--baseline", str(sharded()))
    assert result.exit_code == 2
    assert "2-4-abc.jsonl is shard 2 of 4, and what would be run is a whole run" in result.stderr
    assert not Path("lossparity-results").exists()


def test_the_page_of_a_record_may_be_written_again_beside_another() -> None:
    base, new = differing(verdict="fail", grade="wrong")
    assert lossparity("report", new, "--baseline", base, "-o", "changes.html").exit_code == 0
    assert "Against base.jsonl: 1 regressed, 0 fixed;" in page("changes.html")
    assert lossparity("report", new).exit_code == 0
    assert "Against base.jsonl" not in page("report.html")


def test_a_baseline_of_a_report_is_for_the_page_and_has_to_be_a_record(written: Path) -> None:
    result = lossparity("report", str(written), "--baseline", str(written), "--format", "junit")
    assert result.exit_code == 2
    assert "--baseline marks the page" in result.stderr
    result = lossparity("report", str(written), "--baseline", "mine.yaml")
    assert result.exit_code == 2
    assert "mine.yaml:1: not a lossparity record" in result.stderr
    assert not Path("report.html").exists()


def test_the_page_of_a_run_marks_what_changed_since_its_baseline() -> None:
    baseline(verdict="fail", grade="wrong", cause="nan")
    assert run("--baseline", "base.jsonl").exit_code == 0
    assert "Against base.jsonl: no regression, 1 fixed;" in page("lossparity-results/report.html")
    assert run().exit_code == 0
    assert "Against base.jsonl" not in page("lossparity-results/report.html")


def test_comparing_imports_no_framework(written: Path) -> None:
    program = (
        "import sys; from lossparity.cli import main\n"
        f"try: main(['compare', {str(written)!r}, {str(written)!r}])\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "print({'torch', 'jax', 'tensorflow', 'lossparity_backends', 'lossparity_reports'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
