"""Certified conformance checks for softmax, log-softmax, NLL and cross-entropy.

Public names are loaded on first use (PEP 562), so that `import lossparity` costs nothing and the
command line's help does not pay for NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossparity.api import assert_conforms, check
    from lossparity.conforming import conforms
    from lossparity.explaining import explain

__all__ = ["assert_conforms", "check", "conforms", "explain"]

__version__ = "0.1.0.dev0"
_PLACES = {
    "assert_conforms": "lossparity.api",
    "check": "lossparity.api",
    "conforms": "lossparity.conforming",
    "explain": "lossparity.explaining",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
