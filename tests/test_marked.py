"""A record beside another one: what a comparison hands to the reports is all that it found, by the names of NEW."""

from __future__ import annotations

from dataclasses import fields, replace

import msgspec
import pytest

from lossparity.changes import KINDS, compare, kinds_named
from lossparity.changes.marking import marked
from lossparity.changes.scope import Scope
from lossparity.marked import Marked
from lossparity.record import Record
from record_factory import everything, passing

DEFAULT = kinds_named("default")


def beside(base: Record, new: Record) -> Marked:
    return marked(new, compare(base, new), DEFAULT, "base.jsonl")


def test_a_marked_record_is_the_record_with_what_changed() -> None:
    base, new = everything(), everything()
    new.broken = "cut"
    found = beside(base, new)
    assert isinstance(found, Record)
    for one in fields(Record):
        assert getattr(found, one.name) is getattr(new, one.name), one.name
    assert found.against.changes == ()
    assert found.against.compared == found.against.unchanged == len(new.results)
    assert found.against.scope == {result.key for result in new.results}
    assert found.against.before == {result.key: result for result in base.results}


def test_kinds_are_in_their_order_with_those_that_are_regressions_here() -> None:
    record = passing()
    found = marked(record, compare(record, record), kinds_named("grade"), "base.jsonl")
    own, of_times = found.against.kinds, found.against.pace_kinds
    assert [kind.name for kind in own] == [name for name, kind in KINDS.items() if not kind.timed]
    assert [kind.name for kind in of_times] == [name for name, kind in KINDS.items() if kind.timed]
    assert [kind.name for kind in (*own, *of_times) if kind.regression] == ["grade"]
    assert all(kind.said == KINDS[kind.name].said for kind in (*own, *of_times))


def test_changes_have_both_sides_and_a_result_that_is_gone_has_one() -> None:
    base, new = passing(), passing()
    first, gone = new.results[0], new.results[1]
    new.results = [msgspec.structs.replace(first, verdict="fail", grade="wrong"), *new.results[2:]]
    found = beside(base, new).against
    assert [(one.kind, one.before, one.after) for one in found.changes] == [
        ("failing", first, new.results[0]),
        ("removed", gone, None),
    ]
    assert (found.held, found.compared, found.unchanged) == (200, 199, 198)


def test_a_result_that_is_added_is_in_scope_with_nothing_before() -> None:
    base, new = passing(), passing()
    added = base.results.pop()
    found = beside(base, new).against
    assert [(one.kind, one.before, one.after) for one in found.changes] == [("added", None, added)]
    assert added.key in found.scope and added.key not in found.before


def test_a_part_that_is_compared_leaves_the_rest_out_of_scope() -> None:
    record = everything()
    scope = Scope(formats=["float16"], globs=["masks"])
    found = marked(record, compare(scope.of(record), scope.of(record)), DEFAULT, "base.jsonl")
    assert found.results == record.results
    assert found.against.scope == {r.key for r in record.results if scope.holds(r)}
    assert 0 < len(found.against.scope) < len(record.results)


def test_backends_that_are_mapped_are_found_by_the_name_in_new() -> None:
    record = passing()
    found = marked(record, compare(record, record, {"torch": "jax"}), DEFAULT, "base.jsonl").against
    assert {key.rpartition("@")[2].partition("#")[0] for key in found.scope} == {"jax"}
    assert {(key, result.backend) for key, result in found.before.items()} == {(key, "torch") for key in found.scope}
    assert [(side.base, side.new) for side in found.sides] == [("torch", "jax")]
    assert found.sides[0].differs["version"] == ("1.13.0", "3.13.0")


@pytest.mark.parametrize(("broken", "why"), [("", "it has no last line, so the run was stopped"), ("line 3", "line 3")])
def test_an_incomplete_base_says_why(broken: str, why: str) -> None:
    base = replace(everything(), footer=None, broken=broken)
    assert beside(base, everything()).against.incomplete == why
    assert beside(everything(), base).against.incomplete == ""
