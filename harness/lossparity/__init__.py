"""Certified conformance checks for softmax, log-softmax, NLL and cross-entropy.

Public names are loaded on first use (PEP 562), so that `import lossparity` costs nothing and the
command line's help does not pay for NumPy.
"""

from __future__ import annotations

__version__ = "0.1.0.dev0"
