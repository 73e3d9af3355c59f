"""Addresses inside the page: what stands behind the `#`, readable and safe, as assets/address.js reads it."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["address", "suite_of"]


def address(**parts: str) -> str:
    """Return `#key=value&…` for the filters or the check to show; empty values are left out."""
    return "#" + "&".join(f"{key}={quote(value, safe='/@:=,')}" for key, value in parts.items() if value)


def suite_of(case: str) -> str:
    """Return the suite's name: the first part of a case's path-like id."""
    return case.partition("/")[0]
