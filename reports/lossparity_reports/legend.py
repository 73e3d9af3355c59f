"""What the page's words mean: verdicts, grades, origins, tiers, bounds; docs/numerics.md has the whole story."""

from __future__ import annotations

__all__ = ["BASES", "BOUNDS", "GRADES", "KINDS", "ORIGINS", "SPEED", "TIERS", "VERDICTS", "WEAK"]

VERDICTS: dict[str, str] = {
    "fail": "beyond every bound, the wrong class (NaN, infinity), shape or format, or not a permitted choice",
    "error": "an exception that nothing in the spec allows",
    "crash": "the process died during the call",
    "timeout": "stopped at the time limit",
    "stale": "a declared deviation that is gone, within the versions it was tested with",
    "known": "deviates exactly as declared in a known deviation",
    "undecided": "the bound says nothing, or the precision limit was reached: not a pass, not a failure",
    "pass": "within the threshold grade, or a permitted choice",
    "unsupported": "the implementation does not offer this: a gap, not a failure",
    "unavailable": "the framework or the device is not on this machine",
}
"""Verdict -> its meaning, gravest first."""

WEAK = "a pass whose grade is only loose"

GRADES: dict[str, str] = {
    "exact": "every element is correctly rounded: at most half an ulp from the exact value",
    "faithful": "every element is less than one ulp from the exact value",
    "tight": "within the bound of careful arithmetic: for 16-bit formats computed in binary32 and rounded once, "
    "for 32 and 64 bits computed in the format itself, sums in lanes",
    "loose": "within the bound of plain arithmetic: for 16-bit formats every operation rounded to the format and sums "
    "kept in binary32, for 32 and 64 bits in the format itself, sums one after the other",
    "wrong": "beyond every bound, or the wrong shape, format, sign, or class (NaN, infinity)",
    "uncertified": "the bound says nothing, or the reference's precision limit was reached: never counted as a pass",
}

ORIGINS: dict[str, str] = {
    "native": "one public call of the framework does the spec's operation: a failure is the framework's own",
    "composed": "our adapter builds it from the framework's primitives: a failure is not blamed on the framework",
    "manual": "the worked example's chain, step by step: expected to break where exp overflows, and nobody's library",
    "target": "the function under check: a failure is its own",
    "": "no origin: the call did not return, so whose work it was is not recorded",
}

TIERS: dict[str, str] = {
    "float64": "binary64 with a rigorous error bound settled it",
    "arb": "ball arithmetic, with as many bits as it took, settled it",
}

KINDS: dict[str, str] = {
    "must": "a deviation fails",
    "choice": "implementation-defined: the permitted outcomes are listed, anything else fails",
    "info": "measured and shown, never a failure",
}

BASES: dict[str, str] = {
    "mathematics": "follows from the definition",
    "IEEE 754": "follows from floating-point arithmetic's rules for infinities and NaN",
    "convention": "a convention that this spec takes from PyTorch; others exist",
}

BOUNDS: dict[str, tuple[str, str]] = {
    "wide": (
        "own format, sums in lanes: what careful arithmetic in this format can promise on these inputs",
        "own format, sums one after the other: what plain arithmetic in this format can promise on these inputs",
    ),
    "narrow": (
        "computed in binary32, rounded once to this format: half an ulp and a little",
        "every operation rounded to this format, sums kept in binary32 and then rounded",
    ),
}
"""Formats of 32 bits and more (wide), of 16 bits (narrow) -> the arithmetic that the tight and loose bounds model."""

SPEED: dict[str, str] = {
    "pass": "forward, backward, or both, which is the headline: some kernels compute the gradient in their forward",
    "time": "the median of the rounds; each is the mean of as many calls as take a while, synchronised, on inputs that "
    "change from call to call",
    "first call": "the first call of all in a new process, with what is compiled or loaded for it",
    "GB/s": "the bytes that the pass has to move at least, each of its arrays once, over the time",
    "of triad": "that rate as a share of the triad a[i] = b[i] + s c[i] of as many bytes, timed in the same rounds: "
    "about what this memory gives",
    "memory": "the most that one call took beyond what was there before it; less than 2 MB cannot be told",
    "ratio": "the median of the time divided by that of the backend it is compared with, in the same "
    "round; below 1 is less time",
    "99 % interval": "of that median, by the bootstrap; in the picture a line from end to end, the median as a dot, "
    "and shaded what counts as the same; the axis is logarithmic, and its ends are above it",
    "faster, slower": "the whole interval is beyond the margin, and was so again when both were timed once more",
    "same": "the whole interval is within the margin",
    "inconclusive": "neither: more rounds or a quieter machine would tell, and it is no pass",
    "refused": "there is no time, or none that counts: the results of timed calls were wrong, or did not come",
    "doubts": "what makes a time doubtful: a wide spread, outliers, samples below 1 ms, a drift over the rounds",
}
"""Figure of the section Speed -> what it is."""
