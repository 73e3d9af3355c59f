"""A certified answer laid out as one array, the questions that it answers, and where it misses the oracle's answer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Any

import flint
import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from lossparity.formats import FORMATS, Array
from lossparity.reference import Answer, Block
from lossparity.reference.arbs import Arbs
from lossparity.shapes import class_axis, row_shape, value_shape
from lossparity.spec import OPERATIONS

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TIERS = ("float64", "double-double", "arb 192", "arb 768", "arb 3072")
UPSTREAMS = (1.5, -0.5, 2.0, 0.75, -1.25, 0.5, -2.0)
# What is left of the oracle's 60 digits after its own roundings.
DOUBT = mpmath.mpf(10) ** -60
# exp(-1e300) as a fraction would fill the memory.
_LEAST = Fraction(2) ** -1100


@dataclass(frozen=True, eq=False)
class Whole:
    """An answer as one tier encloses it, in the shape of the result; `specified` where the spec says what it is."""

    tier: str
    high: Floats
    low: Floats
    radius: Floats
    specified: Flags
    blank: Flags

    def middle(self, at: tuple[int, ...]) -> Fraction:
        """Return the middle of one enclosure."""
        return Fraction(float(self.high[at])) + Fraction(float(self.low[at]))


def whole(answer: Answer, tier: int) -> Whole:
    """Enclose an answer by one tier, block by block, and put the blocks together."""
    n = int(np.prod(answer.shape, dtype=np.intp))
    parts: dict[str, npt.NDArray[Any]] = {
        **{name: np.full(n, np.nan) for name in ("high", "low", "radius")},
        **{name: np.zeros(n, dtype=np.bool_) for name in ("open", "blank", "seen")},
    }
    for cut in answer.blocks():
        block = Block(answer, cut.rows, tier)
        found = block.certified
        assert found.tier == TIERS[tier]
        m, k = found.high.shape
        with np.errstate(over="ignore"):
            radius = found.radius
        at = [answer.flat(block.rows, row, cls) for row in range(m) for cls in range(k)]
        assert not parts["seen"][at].any(), "an element stands in two blocks"
        parts["seen"][at] = True
        for name, part in (
            ("high", found.high),
            ("low", 0.0 if found.low is None else found.low),
            ("radius", radius),
            ("open", False if found.open is None else found.open),
            ("blank", False if found.blank is None else found.blank),
        ):
            parts[name][at] = np.broadcast_to(part, (m, k)).ravel()
        special = ~np.isfinite(found.high)
        assert not special.any() or found.special or np.isinf(found.high[special]).all(), "a NaN that is not announced"
    assert parts["seen"].all(), "an element stands in no block"
    high, low, radius, left, blank, _ = (part.reshape(answer.shape) for part in parts.values())
    return Whole(TIERS[tier], high, low, radius, ~left, blank)


def balls(answer: Answer, precision: int) -> npt.NDArray[Any]:
    """Return Arb's own balls, in the shape of the result; what is special or left open has None in their place."""
    found = np.full(int(np.prod(answer.shape, dtype=np.intp)), None, dtype=object)
    for block in answer.blocks():
        with np.errstate(all="ignore"):
            exact = answer.exact(block, Arbs.of(0.0, precision))
        assert isinstance(exact.finite, Arbs)
        m, k = exact.finite.values.shape
        left = np.zeros((m, k), dtype=np.bool_)
        for flags in (exact.open, exact.blank, None if exact.special is None else exact.special != 0):
            left |= False if flags is None else flags
        for row, cls in itertools.product(range(m), range(k)):
            if not left[row, cls]:
                found[answer.flat(block.rows, row, cls)] = exact.finite.values[row, cls]
    return found.reshape(answer.shape)


def ends(ball: Any) -> tuple[Fraction, Fraction]:
    """Return numbers below and above all of a ball: its two ends, unless they are far below every format's range."""
    middle, radius = (_fraction(part) for part in (ball.mid(), ball.rad()))
    slack = _LEAST * ((middle is None) + (radius is None))
    return (middle or 0) - (radius or 0) - slack, (middle or 0) + (radius or 0) + slack


def _fraction(exact: Any) -> Fraction | None:
    """Return an exact ball as a fraction, none where it is less than 2**-1100 and not 0."""
    mantissa, exponent = exact.man_exp()
    if mantissa and abs(exact) < flint.arb(2) ** -1100:
        return None
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def nearest(exact: Fraction, fmt: str) -> Fraction | float:
    """Round a real number to a format, to nearest even, in integers alone."""
    f = FORMATS[fmt]
    size = abs(exact)
    if size == 0:
        return Fraction(0)
    power = size.numerator.bit_length() - size.denominator.bit_length()
    power -= size < Fraction(2) ** power
    spacing = Fraction(2) ** (max(power, f.emin) - f.precision + 1)
    rounded = round(exact / spacing) * spacing
    return rounded if abs(rounded) < Fraction(2) ** (f.emax + 1) else inf if exact > 0 else -inf


def misses(found: Whole, exact: npt.NDArray[Any]) -> list[str]:
    """Say where an enclosure does not hold the exact value, or is of another class; `exact` holds None where open."""
    assert found.high.shape == exact.shape
    missed = []
    for at in np.ndindex(exact.shape):
        if not found.specified[at]:
            continue
        high, low, radius, true = float(found.high[at]), float(found.low[at]), float(found.radius[at]), exact[at]
        said = f"{found.tier} {at}: {high!r} + {low!r} within {radius!r}, exactly {mpmath.nstr(true, 25)}"
        if true is None or not radius >= 0:
            missed.append(said)
        elif radius == inf:  # nothing is claimed
            continue
        elif not mpmath.isfinite(true) or abs(true) >= mpmath.mpf(2) ** 1024:
            if not (np.isnan(high) if mpmath.isnan(true) else high == (inf if true > 0 else -inf)):
                missed.append(said)
        else:
            with mpmath.workdps(400):
                # Arb's radius below binary64's range is 0, which no grade can tell apart.
                reach = mpmath.mpf(radius) + DOUBT * abs(true) + mpmath.mpf(2) ** -1074
                if not abs(true - mpmath.mpf(high) - mpmath.mpf(low)) <= reach:
                    missed.append(said)
    return missed


def disagreements(found: list[Whole]) -> list[str]:
    """Say where the enclosures of two tiers have no number in common, or are not of the same class."""
    said = []
    for one, other in itertools.combinations(found, 2):
        assert np.array_equal(one.specified, other.specified)
        assert np.array_equal(one.blank, other.blank)
        told = one.specified & (one.radius < inf) & (other.radius < inf)
        finite = np.isfinite(one.high) & np.isfinite(other.high) & told
        with np.errstate(over="ignore", invalid="ignore"):
            apart = np.abs((one.high - other.high) + (one.low - other.low))
            together = (one.radius + other.radius) * (1 + 2**-50) + 2.0**-1073
        if not np.all(apart[finite] <= together[finite]):
            said.append(f"{one.tier} and {other.tier}")
        unlike = ~finite & told & ~((one.high == other.high) | (np.isnan(one.high) & np.isnan(other.high)))
        if unlike.any():
            said.append(f"classes of {one.tier} and {other.tier}")
    return said


def question(
    operation: str, fmt: str, x: Any, *, seed: int = 0, upstream: Any = None, **more: Any
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return arrays and keywords: targets drawn by seed unless given, the upstream gradient of both signs."""
    known = OPERATIONS[operation].keywords
    keywords = {name: more.pop(name) for name in tuple(more) if name in known and name != "weight"}
    first = Array.of(x, fmt)
    shape = first.shape
    arrays = {OPERATIONS[operation].first: first}
    if OPERATIONS[operation].target:
        drawn = np.random.RandomState(seed).randint(0, shape[class_axis(shape)], row_shape(shape))
        given = np.asarray(more.pop("target", drawn))
        arrays["target"] = Array.of(given, "int64" if given.dtype.kind in "iu" else fmt)
    if "weight" in more:
        arrays["weight"] = Array.of(more.pop("weight"), fmt)
    assert not more
    if OPERATIONS[operation].differentiable:
        made = np.resize(UPSTREAMS, value_shape(operation, shape, keywords))
        arrays["upstream"] = Array.of(made if upstream is None else upstream, fmt)
    return arrays, keywords


def quantities(arrays: Mapping[str, Array]) -> tuple[str, ...]:
    """Return what can be asked of a problem."""
    return ("value", "gradient") if "upstream" in arrays else ("value",)
