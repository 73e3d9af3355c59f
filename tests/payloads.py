"""What a page holds for its script, read as assets/payload.js reads it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["payload", "rows"]


def payload(page: str) -> dict[str, Any]:
    """Return the payload of a page, the results as rows."""
    found = re.search(r'id="payload">([^<]*)<', page)
    assert found
    content: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return {**content, "results": rows(content["results"])}


def rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return rows that are written by columns."""
    made: list[dict[str, Any]] = []
    for name, column in columns.items():
        values = column if isinstance(column, list) else [column["of"][place] for place in column["at"]]
        made = made or [{} for _ in values]
        for row, value in zip(made, values, strict=True):
            row.update({name: value} if value is not None else {})
    return made
