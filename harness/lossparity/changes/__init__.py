"""What changed between two runs: results aligned by check, quantity and inputs, and each change given its kind."""

from __future__ import annotations

from lossparity.changes.aligning import Pair, mapping, paired
from lossparity.changes.comparison import Comparison, compare
from lossparity.changes.kinds import KINDS, Change, Kind, kinds_named

__all__ = ["KINDS", "Change", "Comparison", "Kind", "Pair", "compare", "kinds_named", "mapping", "paired"]
