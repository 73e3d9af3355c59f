"""Records of several versions: names tell them apart wherever a backend is named, and nothing else changes."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from lossparity.changes import compare
from lossparity.errors import UsageError
from lossparity.merging import Merged, merge
from lossparity.record import (
    Agreement,
    CaseLine,
    Cause,
    Choice,
    Environment,
    Footer,
    Header,
    Interval,
    Job,
    Line,
    NotTested,
    Part,
    Ratio,
    Record,
    Result,
    Script,
    Speed,
    Triad,
    Writer,
    encode,
    read,
)
from lossparity.versions import natural, told_apart

HEADER = Header(1, "0", "hash", "2026-01-02T03:04:05+00:00", "lossparity run", "loose")
CASE = CaseLine("x", "float32", "S1", "softmax", "x.yaml:1:1", "aaaa", "about", {}, {}, {})


def result(backend: str = "jax", verdict: str = "pass", case: str = "x", choice: str = "") -> Result:
    check = f"{case}/float32@{backend}"
    return Result(
        check, "value", case, "S1", "mathematics", "softmax", backend, "float32", verdict, "produced", choice=choice
    )


def record(
    version: str,
    *results: Result,
    framework: str = "jax",
    others: Sequence[Environment] = (),
    shard: Part | None = None,
    left: Sequence[NotTested] = (),
) -> Record:
    """Return a record of one version, in which every failure has a cause."""
    failing = [one.key for one in results if one.verdict == "fail"]
    causes = [Cause("shifted", "it is shifted", failing)] if failing else []
    choices = [Choice("S1", one.backend, {one.choice: 1}) for one in results if one.choice]
    return Record(
        msgspec.structs.replace(HEADER, shard=shard),
        [Environment(framework, True, {framework: version}), *others],
        [CASE],
        list(results),
        footer=Footer({}, list(left), 1.0, int(bool(failing)), causes, choices),
    )


def named(*records: Record) -> list[Record]:
    return [one for _, one in told_apart((f"{number}.jsonl", one) for number, one in enumerate(records))]


def together(*records: Record) -> Merged:
    return merge(told_apart((f"{number}.jsonl", one) for number, one in enumerate(records)))


def test_a_backend_gets_its_version_wherever_it_is_named() -> None:
    left = [NotTested("jax", "absent", 1), NotTested("jax.manual", "a", 1), NotTested("jax+jit", "untagged", 2)]
    given = record(
        "0.4.30",
        result(verdict="fail", choice="nan"),
        result("jax.manual"),
        shard=Part(1, 2, "q", ["jax", "jax.manual", "jax+jit"]),
        left=left,
    )
    got = named(given, record("0.10.2", result()))[0]
    assert [one.check for one in got.results] == ["x/float32@jax@0.4.30", "x/float32@jax.manual@0.4.30"]
    assert [one.backend for one in got.results] == ["jax@0.4.30", "jax.manual@0.4.30"]
    assert got.header.shard and got.header.shard.backends == ["jax@0.4.30", "jax.manual@0.4.30", "jax+jit@0.4.30"]
    assert [one.name for one in got.environments] == ["jax@0.4.30"]
    assert got.footer
    assert [one.what for one in got.footer.not_tested] == ["jax@0.4.30", "jax.manual@0.4.30", "jax+jit@0.4.30"]
    assert [one.results for one in got.footer.causes] == [["x/float32@jax@0.4.30#value"]]
    assert [one.backend for one in got.footer.choices] == ["jax@0.4.30"]
    environment = got.environment("jax.manual@0.4.30")
    assert environment and environment.details == {"jax": "0.4.30"}


def test_no_kind_of_line_is_forgotten() -> None:
    """A kind of line that is new has to be given its version here, where it names a backend."""
    handled = {Header, Environment, CaseLine, Result, Agreement, Script, Job, Triad, Speed, Ratio, Footer}
    assert set(typing.get_args(Line)) <= handled
    given = record("0.4.30", result(verdict="fail", choice="nan"), shard=Part(1, 1, "q", ["jax"]))
    given.agreements = [Agreement("jax", "jax", "float32", 1, 0, 0, 1.0, given.results[0].key)]
    given.scripts = [Script(given.results[0].check, "value", "nan", "pass")]
    given.speeds = [Speed("job", "x/float32@jax", "both", "x", "softmax", "jax", "float32", [1])]
    given.ratios = [Ratio("job", "x/float32@jax", "both", "jax", "same", Interval(1.0, 1.0, 1.0))]
    got = named(given, record("0.10.2"))[0]
    assert got.footer
    assert got.agreements[0].check == got.scripts[0].key == got.results[0].key
    lines: list[Line] = [got.header, *got.environments, *got.results, *got.agreements, *got.scripts, got.footer]
    lines += [*got.speeds, *got.ratios]
    assert all("jax@0.4.30" in encode(line) for line in lines)
    assert not any(f'jax{end}"' in encode(line).replace('{"jax":', "") for line in lines for end in ("", "#value"))


def test_what_has_one_version_keeps_its_name_and_is_there_once() -> None:
    numpy = Environment("numpy", True, {"numpy": "2.4.6"})
    given = [record(v, result(), result("numpy"), others=[numpy]) for v in ("0.4.30", "0.10.2")]
    got = together(*given)
    assert [one.backend for one in got.results] == ["jax@0.4.30", "numpy", "jax@0.10.2"]
    assert [one.name for one in got.environments] == ["jax@0.4.30", "jax@0.10.2", "numpy"]
    same = record("0.4.30", result()), record("0.4.30", result(case="y"))
    assert named(*same) == list(same)


def test_the_place_of_an_environment_gives_way_to_its_version() -> None:
    there = Environment("jax@old/python", True, {"jax": "0.4.30"})
    (got,) = named(record("0.10.2", result(), result("jax@old/python", "fail"), others=[there]))
    assert [one.backend for one in got.results] == ["jax@0.10.2", "jax@0.4.30"]
    assert [one.name for one in got.environments] == ["jax@0.10.2", "jax@0.4.30"]
    assert got.footer and got.footer.causes[0].results == ["x/float32@jax@0.4.30#value"]
    other = Environment("jax@other/python", True, {"jax": "0.4.30"})
    both = record("0.10.2", result("jax@old/python"), result("jax@other/python"), others=[there, other])
    with pytest.raises(UsageError, match=r"jax@old/python and jax@other/python are both jax@0.4.30"):
        named(both)


def test_a_library_gets_its_own_version_only_where_it_has_several_on_one_version_of_its_framework() -> None:
    def keras(framework: str, version: str) -> Record:
        own = Environment("jax.keras", True, {"jax": framework, "keras": version})
        return record(framework, result("jax.keras"), others=[own])

    several = named(keras("0.10.2", "3.14.0"), keras("0.10.2", "3.15.1"))
    names = ["jax.keras@0.10.2,keras-3.14.0", "jax.keras@0.10.2,keras-3.15.1"]
    assert [one.results[0].backend for one in several] == names
    assert [[env.name for env in one.environments] for one in several] == [["jax", name] for name in names]
    moved = named(keras("0.7.2", "3.14.0"), keras("0.10.2", "3.15.1"))
    assert [one.results[0].backend for one in moved] == ["jax.keras@0.7.2", "jax.keras@0.10.2"]


def test_a_library_that_is_missing_in_one_version_is_told_apart_by_its_framework() -> None:
    missing = Environment("jax.keras", False, {}, "No module named 'keras'")
    there = Environment("jax.keras", True, {"jax": "0.10.2", "keras": "3.15.1"})
    old = record("0.4.30", result(), others=[missing], left=[NotTested("jax.keras", "no keras", 5)])
    refused = replace(old, results=[*old.results, result("jax.keras", "unavailable")])
    assert named(refused, record("0.10.2", result()))[0].results[-1].backend == "jax.keras@0.4.30"
    got = together(old, record("0.10.2", result(), result("jax.keras"), others=[there]))
    assert [one.name for one in got.environments if not one.available] == ["jax.keras@0.4.30"]
    assert [one.what for one in got.summary.not_tested] == ["jax.keras@0.4.30"]
    assert {one.backend for one in got.results} == {"jax@0.4.30", "jax@0.10.2", "jax.keras@0.10.2"}


def test_a_record_that_says_no_version_is_refused() -> None:
    lacking = replace(record("0.4.30", result()), environments=[])
    with pytest.raises(UsageError, match="does not say which version of jax jax is") as caught:
        named(record("0.10.2", result()), lacking)
    assert caught.value.where == "1.jsonl"


def test_versions_stand_beside_each_other_in_their_order_however_they_are_given(tmp_path: Path) -> None:
    given = [
        record(version, result("jax", "fail"), result("jax.manual", "fail"))
        for version in ("0.10.2", "0.4.30", "0.7.2")
    ]
    files = []
    for number, some in enumerate((given, given[::-1])):
        files.append(tmp_path / f"{number}.jsonl")
        with Writer(files[-1]) as writer:
            together(*some).write(writer)
    assert files[0].read_bytes() == files[1].read_bytes()
    versions = ("0.4.30", "0.7.2", "0.10.2")
    wanted = [f"{name}@{version}" for name in ("jax", "jax.manual") for version in versions]
    assert [one.backend for one in read(files[0]).results] == wanted


def test_the_causes_of_two_backends_of_one_version_stay_apart() -> None:
    got = together(
        record("0.4.30", result("jax", "fail")),
        record("0.7.2", result("jax", "fail")),
        record("0.7.2", result("jax.manual", "fail")),
    )
    keys = [f"x/float32@{name}#value" for name in ("jax@0.4.30", "jax@0.7.2", "jax.manual@0.7.2")]
    assert sorted(one.results for one in got.summary.causes) == sorted([key] for key in keys)
    assert got.summary.exit_code == 1


def test_two_versions_in_one_record_can_be_compared(tmp_path: Path) -> None:
    path = tmp_path / "merged.jsonl"
    with Writer(path) as writer:
        together(record("0.4.30", result(verdict="fail")), record("0.10.2", result())).write(writer)
    both = read(path)
    found = compare(both, both, {"jax@0.4.30": "jax@0.10.2"})
    assert [change.kind for change in found.changes] == ["passing"]
    assert list(found.settings.values()) == [{"jax": ("0.4.30", "0.10.2")}]


def test_without_versions_the_same_check_of_two_versions_is_refused() -> None:
    with pytest.raises(UsageError, match="jax is not the same in all records") as caught:
        merge([("a", record("0.4.30", result())), ("b", record("0.7.2", result()))])
    assert "--versions" in caught.value.hint


def test_names_are_sorted_by_their_numbers() -> None:
    names = ["jax", "jax.manual", "jax@0.4.30", "jax@0.10.2", "jax@0.10.2.dev1", "torch@2.13.0+cpu"]
    assert sorted(names, key=str) != names
    assert sorted(names, key=natural) == names
