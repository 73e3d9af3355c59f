"""Where case files are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["built_in", "files"]


def built_in() -> Path:
    """Return the folder of the built-in cases: inside the package when it is installed, else the checkout's.

    An editable install leaves a frozen copy of the cases in site-packages; this module is then the checkout's, so the
    copy is never beside it and never read.
    """
    package = Path(__file__).resolve().parents[1]
    return package / "cases" if (package / "cases").is_dir() else package.parents[1] / "cases"


def files(path: Path) -> Iterator[Path]:
    """Yield a file itself, or the case files of a folder (`*.yaml` at any depth); UsageError where it has none."""
    if not path.is_dir():
        yield path
        return
    found = sorted(path.rglob("*.yaml"))
    if not found:
        raise UsageError("no case file in this folder", where=str(path), hint="case files are named *.yaml")
    yield from found
