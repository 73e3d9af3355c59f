"""The exact value of one element as a decimal of sixty digits, correctly rounded."""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

import flint
import numpy as np

from lossparity.reference import Answer
from lossparity.reference.arbs import Arbs

__all__ = ["DIGITS", "digits"]

DIGITS = 60
_PRECISIONS = (320, 1280, 5120)


def digits(answer: Answer, place: int) -> str:
    """Return the exact value at a place of the flattened result, to 60 significant digits, to nearest even.

    `nan`, `inf` and `-inf` are written as such. Arb encloses the value; both ends of the enclosure round to the same
    decimal, or else the precision grows. Where they still differ at 5120 bits the value lies, as far as can be told,
    half-way between two decimals, and the one nearest to the middle is returned.
    """
    block, cls = answer.around(place)
    text = ""
    for precision in _PRECISIONS:
        with np.errstate(all="ignore"):
            exact = answer.exact(block, Arbs.of(0.0, precision))
        assert isinstance(exact.finite, Arbs)
        if exact.special is not None:
            special = float(np.broadcast_to(exact.special, exact.finite.values.shape)[0, cls])
            if special != 0:
                return str(special)
        ball = exact.finite.values[0, cls]
        if not ball.is_finite():
            continue
        low, text, high = (_decimal(end) for end in (ball.lower(), ball.mid(), ball.upper()))
        if low == high:
            break
    return text or "nan"


def _decimal(end: flint.arb) -> str:
    mantissa, exponent = (int(part) for part in end.man_exp())
    context = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)
    # The numerator and denominator are exact; the quotient is rounded once.
    above, below = (mantissa << exponent, 1) if exponent >= 0 else (mantissa, 1 << -exponent)
    return str(context.divide(Decimal(above), Decimal(below)))
