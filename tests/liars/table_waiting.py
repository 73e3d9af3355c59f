"""Liars that wait for a case which can ask for what shows them: no part of the score until then.

Each stands here with what it must be caught for. To switch one on, move its entry to the table of its theme.
"""

from __future__ import annotations

from liars import where as w
from liars.entries import LAYOUTS, NAMELESS, ROBUSTNESS, SEMANTICS, STATE, VALUE, Liar, in_loss
from liars.where import everywhere

__all__ = ["WAITING"]

WAITING = (
    # A case with a `layout`: strided, transposed or offset inputs.
    Liar("waiting:read_as_contiguous", LAYOUTS, NAMELESS, in_loss("M5"), everywhere),
    # A case with a `target_format` of uint8, and n K + y beyond 255.
    Liar("waiting:flat_index", ROBUSTNESS, NAMELESS, {"nll_loss": "N5"}, w.indexed),
    # A case with label_smoothing above 1.
    Liar("waiting:half_clamped", SEMANTICS, NAMELESS, in_loss("C3"), w.smoothed),
    # A case with an empty batch.
    Liar("waiting:one_for_none", ROBUSTNESS, ("another-shape",), in_loss("N6"), w.separate, quantities=VALUE),
    # A relation between calls: the same call twice, a result looked at after the next call, a batch split in two.
    Liar("waiting:buffer", STATE, NAMELESS, {"softmax": "M7"}, everywhere, quantities=VALUE),
    Liar("waiting:unsteady", STATE, NAMELESS, {"softmax": "M7"}, w.binary64, quantities=VALUE),
    Liar("waiting:memoised", STATE, NAMELESS, {"softmax": "M3"}, everywhere, quantities=VALUE),
)
