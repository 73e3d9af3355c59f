"""Which versions of a package there are to install."""

from __future__ import annotations

import re
import sys
from subprocess import TimeoutExpired

from packaging.version import InvalidVersion, Version

from lossparity.errors import UnavailableError, UsageError
from lossparity.matrix.commands import Commands

__all__ = ["between"]

_SECONDS = 300.0
_LINE = re.compile(r"^Available versions: (.*)$", re.MULTILINE)


def between(package: str, first: str, last: str, python: str = "") -> list[str]:
    """Return the final releases of a package from `first` to `last`, both with them, as pip finds them for a Python.

    UsageError where `last` is not the later one, UnavailableError where pip finds none.
    """
    low, high = _version(first), _version(last)
    if not low < high:
        hint = "--good is the older one; it need not be the better one"
        raise UsageError(f"{last} does not come after {first}", hint=hint)
    command = [sys.executable, "-m", "pip", "index", "versions", package, "--disable-pip-version-check", "--no-input"]
    try:
        status, printed = Commands().call([*command, *(["--python-version", python] if python else [])], None, _SECONDS)
    except (OSError, TimeoutExpired) as error:
        raise UnavailableError(f"pip does not say which versions of {package} there are: {error}") from None
    found = _LINE.search(printed)
    if status or not found:
        last_line = (printed.strip().splitlines() or ["nothing"])[-1]
        raise UnavailableError(f"pip does not say which versions of {package} there are: {last_line[:300]}")
    there = {_version(one) for one in found[1].split(", ")}
    # The ends were asked for by name: they may be candidates, or on an index of their own.
    return [str(one) for one in sorted({one for one in there if low < one < high} | {low, high})]


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{text[:60]!r} is no version", hint="as in 0.10.2") from None
