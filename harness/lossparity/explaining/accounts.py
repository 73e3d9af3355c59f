"""An explanation in words, for a terminal of 80 columns or a log."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from lossparity.explaining.explanations import Explained, Explanation, Match, Separation
from lossparity.formats import FORMATS

__all__ = ["account"]

_WIDTH = 80
_MOST = 4
_ALIKE = 6


def account(found: Explained) -> str:
    """Tell what was looked at, what each number is, and what separates them."""
    return "\n".join(_lines(found))


def _lines(found: Explained) -> Iterator[str]:
    target = "probabilities" if found.soft else "indices"
    looked = f"Logits {_shape(found.shape)} in {FORMATS[found.format].ieee} ({found.reason}), target {target}"
    if found.ignored:
        looked += f", {found.ignored} of {found.positions} positions ignored"
    yield from _wrapped(looked + ".", "")
    for one in found.explanations:
        yield ""
        yield from _one(one, found)
    for apart in found.separations:
        yield ""
        yield from _separated(apart)
    yield ""
    first = found.explanations[0]
    at_once = "one departure at a time, for there are many logits"
    if found.most > 1:
        at_once = f"up to {found.most} departures at once"
    yield from _wrapped(f"Tried: {first.tried} formulas, {first.distinct} different numbers; {at_once}.", "")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _wrapped(said: str, indent: str) -> list[str]:
    return textwrap.wrap(
        said, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _one(one: Explanation, found: Explained) -> Iterator[str]:
    yield one.text
    if not one.matches:
        yield "  no convention explains it; the nearest:"
        for match in one.nearest:
            yield from _named(match, one, "  - ")
        return
    if one.format != found.format:
        yield from _wrapped(
            f"nothing explains it in {FORMATS[found.format].ieee}; as computed in {FORMATS[one.format].ieee}:", "  "
        )
    for match in one.matches[:_MOST]:
        yield from _matched(match, one, "  = ")
    if len(one.matches) > _MOST:
        yield f"  and {len(one.matches) - _MOST} more, of {one.matches[_MOST].departures} or more departures"
    if one.chance >= 0.01:
        digits = f"{one.digits} digit{'s' * (one.digits != 1)}"
        yield from _wrapped(
            f"Beware of chance: with {digits}, {one.chance:.2g} matches by accident are expected.", "  "
        )


def _named(match: Match, one: Explanation, mark: str) -> Iterator[str]:
    name = f"the loss spec, {match.reduction}" if not match.convention else f"{match.reduction}, {match.convention}"
    count = f" ({match.departures} departure{'s' * (match.departures != 1)})" if match.departures else ""
    yield f"{mark}{name}{count}"
    yield from _wrapped(f"{match.value:.17g}; {_distance(match, one)}", "    ")


def _matched(match: Match, one: Explanation, mark: str) -> Iterator[str]:
    yield from _named(match, one, mark)
    for step in match.steps:
        yield from _wrapped(step.formula, "    ")
        if step.users:
            yield from _wrapped(f"who: {step.users}", "      ")
        if step.source:
            yield from _wrapped(f"source: {step.source}", "      ")
    if match.alike:
        more = f"; and {len(match.alike) - _ALIKE} more" if len(match.alike) > _ALIKE else ""
        yield from _wrapped(f"cannot be told apart on this data: {'; '.join(match.alike[:_ALIKE])}{more}", "    ")


def _distance(match: Match, one: Explanation) -> str:
    ieee = FORMATS[one.format].ieee
    off = f"{match.ulp:.2g} ulp of {ieee} away" if match.ulp < 1e6 else f"{_relative(match, one)} away"
    if one.text.startswith("array"):
        return f"{off} at the most"
    if match.all_digits:
        return f"{off}; all {one.digits} digits agree"
    if match.ulp <= 0.5:
        return f"{off}: the nearest number of the format"
    if one.matches:
        off += f", of {match.allowed:.2g} that rounding explains"
    return f"{off}; {match.digits} of {one.digits} digits agree"


def _relative(match: Match, one: Explanation) -> str:
    return f"{100 * (match.value - one.value) / one.value:+.3g} %" if one.value else f"{match.value:.3g}"


def _separated(apart: Separation) -> Iterator[str]:
    ratio = "" if math.isnan(apart.ratio) else f": ratio {apart.ratio:.9g}"
    yield f"{apart.first} and {apart.second}{ratio}"
    for reason in apart.reasons:
        yield from _wrapped(reason, "  ")
    if not apart.found:
        yield "  no simple ratio or difference"
