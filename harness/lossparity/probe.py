"""The arithmetic of a framework, measured: flushing of subnormals, the tree of a sum, the errors of exp and log.

Bounds rest on what an adapter declares and on what is assumed of every framework; here both are held against what the
framework does. Its own operations are asked for on inputs that leave one source of error alone, through the same
requests as every check. Exact values are Arb's (Johansson 2017, doi:10.1109/TC.2017.2690633).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import flint
import numpy as np
import numpy.typing as npt

from lossparity.arithmetic import height
from lossparity.formats import FORMATS, Array, Format, ulp
from lossparity.model import Crashed, Declined, Outcome, Produced, Raised, Request, TimedOut
from lossparity.workers import WorkerStopped

__all__ = ["Assumed", "Trait", "probe"]

Floats = npt.NDArray[np.float64]
Ask = Callable[[Request], Outcome]

# exp of it is subnormal in the format, and far from 0.
_SUBNORMAL = {"float64": -720.0, "float32": -90.0, "bfloat16": -90.0, "float16": -12.0}
_SUMMED = ("float32", "float64")
_TERMS = 1 << 20
# Less than 1 by more than exp and the rounding of its argument lose, so that no addition to the 1 is a tie; and by so
# little that what rounding gives back at each larger addition, this share of it, is not taken for additions.
_NEARLY = 1 - 2.0**-16
# What is lost of fewer parts than this is mostly the rounding of the result.
_FEWEST = 8
# Additions by which a height may be off: about two at each level of a tree.
_BLUR = 2 * _TERMS.bit_length()
_MOST_LANES = 256
_ROW = 64
_POINTS = 1 << 13
_MOST_COUNT = 1 << 12


@dataclass(frozen=True)
class Assumed:
    """What bounds assume of every framework: ulps that exp and log may lose, and lanes of a sum, each by format."""

    exp: Mapping[str, float]
    log: Mapping[str, float]
    lanes: Mapping[str, int]


@dataclass
class Trait:
    """One trait: what was found, format by format, and each way in which it is not as `declared` or `assumed`."""

    name: str
    basis: str
    found: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class _NotMeasured(Exception):
    """The framework gave no answer that could be measured; the message is the reason."""


def probe(ask: Ask, declared: Mapping[str, str], assumed: Assumed) -> Iterator[Trait]:
    """Measure a framework through its worker's `ask`; `declared` is what its adapter says of itself.

    What it does not offer, or fails at, is said among what was found, and is not wrong.
    """
    yield _subnormals(ask, declared.get("subnormals", "nothing"))
    yield _sums(ask, assumed.lanes)
    yield _function(ask, "exp", {"alone": _exp_alone, "in softmax": _exp_in_softmax}, assumed.exp)
    yield _function(ask, "log", {"alone": _log_alone, "in log_softmax": _log_in_log_softmax}, assumed.log)


def _answer(ask: Ask, variant: str, operation: str, logits: Array) -> Floats:
    try:
        outcome = ask(Request(variant, operation, {"logits": logits}))
    except WorkerStopped as stopped:
        raise _NotMeasured(str(stopped)) from None
    match outcome:
        case Produced(value=value) if value.shape == logits.shape:
            return np.asarray(value.exact(), dtype=np.float64)
        case Produced(value=value):
            raise _NotMeasured(f"{operation} gave the shape {list(value.shape)} for {list(logits.shape)}")
        case Raised(type=kind, message=message):
            raise _NotMeasured(f"{operation} raised {kind}: {message}")
        case Declined(reason=reason):
            raise _NotMeasured(reason)
        case Crashed(cause=cause):
            raise _NotMeasured(f"{operation} crashed: {cause}")
        case TimedOut(seconds=seconds):
            raise _NotMeasured(f"{operation} gave no answer in {seconds:g} s")


# Subnormals: softmax's denominator is 1 to far beyond its precision, so that p is exp of the logit.


def _subnormals(ask: Ask, declared: str) -> Trait:
    trait, seen = Trait("subnormals", "declared"), set[str]()
    for fmt, logit in _SUBNORMAL.items():
        try:
            p = _answer(ask, "", "softmax", Array.of([[0.0] + [logit] * _ROW], fmt))[0, 1:]
        except _NotMeasured as reason:
            trait.found.append(f"{fmt} not measured ({reason})")
            continue
        # To a factor of two: a subnormal number has few bits.
        kept = np.abs(p / math.exp(logit) - 1) < 0.5
        found = "gradual" if np.all(kept) else "flushed" if np.all(kept | (p == 0)) else "neither"
        trait.found.append(f"{fmt} {found}")
        if fmt == "float16":
            if found != "gradual":
                trait.wrong.append(f"float16 is {found}; whatever is declared, bounds take it to be gradual")
            continue
        seen.add(found)
        if found not in ("gradual", declared):
            trait.wrong.append(f"{fmt} is {found}, {declared} is declared")
    trait.found.append(f"{declared} declared")
    if declared not in ("gradual", "flushed"):
        trait.wrong.append(f"{declared} is declared, where `gradual` or `flushed` is to be")
    elif declared == "flushed" and seen == {"gradual"}:
        trait.wrong.append("nothing is flushed, flushed is declared: bounds are wider than they need be")
    return trait


# Sums: exp gives one 1 and K - 1 equal a. Where a is just less than u / s, u being the format's unit roundoff, adding
# s of them to the 1 gives 1 again, and adding 2 s does not. What is lost, counted in a, is therefore the number of
# terms that reach the 1 in parts of at most s; over s = 1, 2, 4, ... it tells how many additions of which size are on
# the path of the 1 through the tree. The first term's path is the longest in every order from left to right.


def _sums(ask: Ask, lanes: Mapping[str, int]) -> Trait:
    trait = Trait(f"sum of 2^{_TERMS.bit_length() - 1} terms", "assumed")
    for fmt in _SUMMED:
        try:
            found, shape = _tree(_additions(ask, FORMATS[fmt]))
        except _NotMeasured as reason:
            trait.found.append(f"{fmt} not measured ({reason})")
            continue
        tight = height(_TERMS, lanes[fmt])
        trait.found.append(f"{fmt} height about {found} ({shape}), tight assumes {tight}")
        if found > tight + _BLUR:
            trait.wrong.append(f"{fmt} is summed at a height of about {found} ({shape}), tight assumes {tight}")
    return trait


def _additions(ask: Ask, fmt: Format) -> Floats:
    """Count the additions on the path of the first term by size: of 1 term, of 2, of 3 or 4, of 5 to 8, ..."""
    sizes = 2.0 ** np.arange(int(math.log2(_TERMS / _FEWEST)) + 1)
    lost: list[float] = []
    for size in sizes:
        logit = float(fmt.round(math.log(_NEARLY * fmt.unit / size)))
        logits = np.full((1, _TERMS), logit, fmt.storage)
        logits[0, 0] = 0.0
        # z of the first class is -log(1 + rest), which keeps the relative accuracy of the rest.
        z = float(_answer(ask, "", "log_softmax", Array(fmt.name, logits))[0, 0])
        if not -1.0 < z <= 0.0:
            raise _NotMeasured(f"log_softmax gave {z:g} for the log of a number just below 1")
        lost.append(_TERMS - 1 - math.expm1(-z) / math.exp(logit))
    return np.diff(np.array(lost), prepend=0.0) / sizes


def _tree(additions: Floats) -> tuple[int, str]:
    """Estimate the height of a tree, and say what it looks like."""
    if float(np.sum(additions)) < math.log2(_TERMS) / 4:
        return 0, "summed in a wider format"
    run = max(float(additions[0]), 0.0) + 1
    # The levels that were not measured, and those where rounding hides it, are taken to have one addition each.
    least = math.log2(_TERMS / run)
    further = max(float(np.sum(additions[1:])) + math.log2(_FEWEST), least)
    high, lanes = min(round(run - 1 + further), _TERMS - 1), round(_TERMS / run)
    if lanes == 1:
        return high, "one by one"
    if lanes <= _MOST_LANES:
        return high, f"{lanes} lanes"
    if further > least + _BLUR:
        return high, f"runs of about {run:.0f}, and runs of runs"
    return high, f"runs of about {run:.0f}, then a tree"


# exp and log: worst errors, each where nothing else is rounded.


def _function(
    ask: Ask, name: str, measures: Mapping[str, Callable[[Ask, Format], float | None]], assumed: Mapping[str, float]
) -> Trait:
    trait = Trait(f"{name}, worst ulp", "assumed")
    for fmt in FORMATS.values():
        said: list[str] = []
        most = assumed[fmt.name]
        for where, measure in measures.items():
            try:
                worst = measure(ask, fmt)
            except _NotMeasured as reason:
                said.append(f"not measured {where} ({reason})")
                continue
            if worst is None:
                continue
            said.append(f"{worst:.2f} {where}")
            if worst > most:
                trait.wrong.append(f"{fmt.name} {name} is {worst:.3g} ulp off {where}, at most {most:g} is assumed")
        trait.found.append(f"{fmt.name} {', '.join(said)}, {most:g} assumed")
    return trait


def _exp_alone(ask: Ask, fmt: Format) -> float:
    x = _in_rows(_arguments(fmt), _ROW)
    return _worst("exp", x, _answer(ask, "", "exp", Array.of(x, fmt.name)), fmt)


def _exp_in_softmax(ask: Ask, fmt: Format) -> float | None:
    # A row's maximum 0 and terms that together are less than u / 16: its sum is 1, and p is exp of the logit.
    least = min(fmt.unit, FORMATS["float32"].unit) / (16 * _ROW)
    x = _arguments(fmt)
    x = _in_rows(x[x < math.log(least)], _ROW - 1)
    if not x.size:
        return None
    p = _answer(ask, "", "softmax", Array.of(np.pad(x, ((0, 0), (1, 0))), fmt.name))
    return _worst("exp", x, p[:, 1:], fmt)


def _log_alone(ask: Ask, fmt: Format) -> float:
    # The worked example's chain is log(exp / sum): p is what it divides to, and so the very argument of its log.
    rng, most = np.random.default_rng(0), math.log(fmt.largest) / 2
    d = np.append(rng.uniform(-most, most, _POINTS), rng.uniform(-2, 2, _POINTS))[:, None]
    logits = Array.of(np.pad(d, ((0, 0), (1, 0))), fmt.name)
    p, z = (_answer(ask, "manual", operation, logits) for operation in ("softmax", "log_softmax"))
    inside = (p >= fmt.smallest_normal) & (p < 1)
    if not np.any(inside):
        raise _NotMeasured("softmax gave no number between 0 and 1")
    return _worst("log", p[inside], z[inside], fmt)


def _log_in_log_softmax(ask: Ask, fmt: Format) -> float:
    # n equal logits, the others masked: the sum is the integer n, exactly, and z is -log(n).
    most = min(_MOST_COUNT, 2**fmt.precision)
    counts = np.unique(np.round(np.append(np.arange(2, most, most / 256), np.geomspace(2, most, 256))))
    plain, masked = Array.of([0.0, -math.inf], fmt.name).data
    logits = np.where(np.arange(most) < counts[:, None], plain, masked)
    z = _answer(ask, "", "log_softmax", Array(fmt.name, logits))
    return _worst("log", counts, -z[:, 0], fmt)


def _arguments(fmt: Format) -> Floats:
    """Arguments whose exponential is normal: all of them in 16 bits, else some everywhere and some around 0."""
    low, high = math.ceil(math.log(fmt.smallest_normal)), math.floor(math.log(fmt.largest))
    if fmt.bits == 16:
        every = Array(fmt.name, np.arange(1 << 16, dtype=np.uint16).view(fmt.storage)).exact()
        return every[(low <= every) & (every <= high)]
    rng = np.random.default_rng(0)
    return fmt.round(np.append(rng.uniform(low, high, _POINTS), rng.uniform(-1, 1, _POINTS)))


def _in_rows(values: Floats, length: int) -> Floats:
    return np.resize(values, (-(-values.size // length), length))


def _worst(function: str, arguments: Floats, got: Floats, fmt: Format) -> float:
    """Return the greatest distance from the exact values in ulps of the format; infinite where NaN was got."""
    with flint.ctx.workprec(128):
        exact = [getattr(flint.arb(x), function)() for x in arguments.ravel().tolist()]
        high = np.array([float(value) for value in exact])
        low = np.array([float(value - flint.arb(h)) for value, h in zip(exact, high.tolist(), strict=True)])
    with np.errstate(invalid="ignore"):
        errors = np.abs(got.ravel() - high - low) / ulp(high, fmt)
    return float(np.max(np.where(np.isnan(errors), np.inf, errors)))
