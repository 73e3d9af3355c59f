"""The badge: one honest sentence of a record, as shields.io reads it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import record_factory as factory
from lossparity.errors import UsageError
from lossparity.record import Record
from lossparity_reports import badge


def said(record: Record) -> tuple[str, str]:
    """Return the message and colour of a badge; the rest is as shields.io asks for it."""
    found = json.loads(badge.render(record))
    assert found.keys() == {"schemaVersion", "label", "message", "color"}
    assert (found["schemaVersion"], found["label"]) == (1, "lossparity")
    assert found["message"].isascii()
    return found["message"], found["color"]


def test_where_everything_passes_it_is_how_many_of_how_many() -> None:
    assert said(factory.passing()) == ("200 of 200", "brightgreen")


def test_what_is_judged_and_does_not_pass_is_in_the_denominator() -> None:
    record = factory.passing()
    for at, verdict in enumerate(("known", "undecided", "unsupported", "unavailable")):
        record.results[at] = msgspec.structs.replace(record.results[at], verdict=verdict)
    assert said(record) == ("196 of 198", "green")


def test_failures_come_before_everything() -> None:
    record = factory.everything()
    assert said(record) == ("5 failing", "red")
    record.footer = None
    assert said(record) == ("5 failing, incomplete", "red")


def test_an_incomplete_record_is_no_success() -> None:
    record = factory.passing()
    record.footer = None
    assert said(record) == ("incomplete", "lightgrey")
    record = factory.passing()
    record.broken = "line 3 is cut off"
    assert said(record) == ("incomplete", "lightgrey")


def test_nothing_judged_is_no_success() -> None:
    assert said(factory.empty()) == ("nothing judged", "lightgrey")


@pytest.mark.parametrize("status", [1, 3])
def test_a_status_that_no_failure_explains_is_said(status: int) -> None:
    record = factory.passing()
    assert record.footer is not None
    record.footer = msgspec.structs.replace(record.footer, exit_code=status)
    assert said(record) == (f"status {status}", "red")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the badge cannot be written"):
        badge.write(factory.empty(), tmp_path / "file" / "badge.json")
    badge.write(factory.passing(), tmp_path / "new" / "badge.json")
    assert (tmp_path / "new" / "badge.json").read_text() == badge.render(factory.passing())
