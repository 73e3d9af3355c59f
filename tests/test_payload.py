"""The payload: rows by columns."""

from __future__ import annotations

from typing import Any

from lossparity_reports.payload import columns
from payloads import rows


def test_rows_written_by_columns_come_back_as_they_were() -> None:
    written: list[dict[str, Any]] = [
        {"id": "a", "ulp": 0.0, "said": "", "at": {"x": None}, "shape": []},
        {"id": "b", "ulp": 1.5, "zeroed": False, "shape": [2]},
        {"id": "a", "said": "no", "mixed": "text"},
        {"id": "c", "mixed": 3},
    ]
    made = columns(written)
    assert rows(made) == written
    assert made["id"] == {"of": ["a", "b", "c"], "at": [0, 1, 0, 2]}
    assert made["said"] == {"of": ["", None, "no"], "at": [0, 1, 2, 1]}
    assert made["ulp"] == [0.0, 1.5, None, None] and made["mixed"] == [None, None, "text", 3]


def test_no_rows_have_no_columns() -> None:
    assert columns([]) == {}
    assert rows({}) == []
