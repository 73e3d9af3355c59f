"""The NumPy liars that go wrong by rows, axes and order in memory, and by what is kept between calls."""

from __future__ import annotations

from liars import where as w
from liars.entries import (
    GRADIENT,
    LAYOUTS,
    NAMELESS,
    SEMANTICS,
    SPECIAL,
    STATE,
    VALUE,
    VALUES,
    Liar,
    in_each,
    in_loss,
    in_losses,
)
from liars.where import everywhere

__all__ = ["TABLE"]

TABLE = (
    Liar(
        "batches:maximum_of_first_row",
        VALUES,
        ("one-maximum-for-the-batch",),
        {"softmax": "S2 S4", "cross_entropy": "S2 S4 N2"},
        lambda q: w.rows_apart(q) > 8 or w.not_finite(q),
    ),
    Liar("batches:over_the_batch", LAYOUTS, NAMELESS, {"softmax": "S1 S7"}, everywhere, ci=True),
    Liar("batches:over_everything", LAYOUTS, NAMELESS, {"log_softmax": "S1 S7"}, lambda q: w.rows(q) > 1),
    Liar(
        "batches:leaking_into_next",
        SPECIAL,
        NAMELESS,
        in_each("S4 S5 S6 M3", "S4 S5 S6", "S4 S5 N2 M3"),
        w.not_finite,
        kinds=("nan", "zero", "inconsistent"),
    ),
    Liar(
        "batches:in_order_of_memory",
        LAYOUTS,
        NAMELESS,
        {"softmax": "S1", "log_softmax": "S1"},
        w.deep,
    ),
    Liar("batches:written_as_computed", LAYOUTS, NAMELESS, {"softmax": "S1", "log_softmax": "S1"}, w.deep),
    Liar("batches:weight_of_the_row", SEMANTICS, NAMELESS, in_losses("N1 N2"), w.weighted),
    Liar(
        "batches:mean_of_means",
        SEMANTICS,
        NAMELESS,
        in_loss("N1 N2 C2"),
        lambda q: w.averaged(q) and w.rows(q) > 1,
        quantities=VALUE,
        ci=True,
    ),
    Liar(
        "batches:positions_transposed",
        LAYOUTS,
        ("rows-permuted",),
        in_loss("N1"),
        lambda q: w.deep(q) and w.separate(q),
        quantities=VALUE,
    ),
    Liar(
        "batches:with_its_axis",
        LAYOUTS,
        ("another-shape",),
        in_losses("N1 N2"),
        w.separate,
        quantities=VALUE,
        kinds=("shape",),
    ),
    Liar(
        "batches:squeezed",
        LAYOUTS,
        ("another-shape", "reduction-ignored"),
        {"softmax": "S3 S7 M3", "cross_entropy": "S3 M3"},
        lambda q: w.alone(q) or w.classes(q) == 1,
        quantities=VALUE,
        kinds=("shape",),
    ),
    Liar("batches:target_transposed", LAYOUTS, NAMELESS, in_loss("N1"), w.deep),
    Liar("batches:read_as_contiguous", LAYOUTS, NAMELESS, in_loss("M5"), lambda q: bool(q.case.layout), ci=True),
    Liar("keeping:accumulated", STATE, NAMELESS, {"nll_loss": "N1 N2"}, everywhere, quantities=GRADIENT),
    Liar("keeping:accumulated_softmax", STATE, NAMELESS, {"softmax": "S1"}, everywhere, quantities=GRADIENT),
    Liar("keeping:largest_until_now", STATE, NAMELESS, {"softmax": "S1"}, everywhere),
    Liar("keeping:divisor_kept", STATE, NAMELESS, in_losses("N1 N2"), w.averaged, ci=True),
    Liar("keeping:weights_kept", STATE, NAMELESS, {"nll_loss": "N1 N2"}, everywhere),
    Liar("keeping:epsilon_kept", STATE, NAMELESS, in_loss("N1 N2"), everywhere),
    Liar("keeping:dropping", STATE, NAMELESS, {"softmax": "S1", "cross_entropy": "N1"}, everywhere),
    Liar(
        "keeping:upstream_kept",
        STATE,
        NAMELESS,
        in_loss("G1"),
        lambda q: "upstream" in q.case.inputs or bool(q.case.relation),
        quantities=GRADIENT,
    ),
    Liar("keeping:buffer", STATE, NAMELESS, {"softmax": "S1"}, everywhere, quantities=VALUE),
    Liar("keeping:unsteady", STATE, ("not-repeatable",), {"softmax": "M7"}, w.binary64, quantities=VALUE),
    Liar("keeping:memoised", STATE, ("order-dependent",), {"softmax": "M2"}, everywhere, quantities=VALUE, ci=True),
)
