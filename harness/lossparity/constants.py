"""The constants that verdicts rest on, in one place, each with what stands behind it.

*proven*: a theorem, or an exhaustive computation. *measured*: the worst that was seen, rounded up. *assumed*: what a
careful implementation is taken to do; the trait probe of `lossparity doctor` compares it with what a framework does.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHAIN", "EXP_ULPS", "FAR", "LANES", "LOG_ULPS", "NUMPY_ULPS", "SCALE", "TERM", "Constant"]


@dataclass(frozen=True)
class Constant:
    """A number, whether it is proven, measured or assumed, and where it comes from."""

    value: float
    status: str
    source: str


_KERNELS = "torch 2.13, TensorFlow 2.21, JAX 0.10.2 and NumPy 2.4 on x86-64"
_ROUNDED = Constant(
    1.0, "measured", f".50 ulp, all arguments of 16 bits, {_KERNELS}: computed in binary32, then rounded"
)

# Ulps that a correct exp may lose, by format; `rounded`: a 16-bit result, every operation rounded to 16 bits.
EXP_ULPS: dict[str, Constant] = {
    "float64": Constant(2.0, "measured", f"at most 1.51 ulp, {_KERNELS}"),
    "float32": Constant(4.0, "measured", f"at most 2.44 ulp, {_KERNELS}"),
    "rounded": _ROUNDED,
}
# Ulps that a correct log may lose.
LOG_ULPS: dict[str, Constant] = {
    "float64": Constant(2.0, "measured", f"at most 1.46 ulp, {_KERNELS}"),
    "float32": Constant(4.0, "measured", f"at most 3.36 ulp, {_KERNELS}"),
    "rounded": _ROUNDED,
}
# Partial sums side by side in a vectorised reduction, at least.
LANES: dict[str, Constant] = {
    "float64": Constant(4, "assumed", "registers of 256 bits, the least in use; torch has 8, the others lower trees"),
    "float32": Constant(8, "assumed", "registers of 256 bits, the least in use; torch has 16, the others lower trees"),
}
# Roundings that form one term a_c z_c: 1 - e, e / K, the products with q, w and z, and the addition of the two parts.
TERM = Constant(5, "proven", "counted in the spec's formula")
# Roundings that form one gradient element from its parts: upstream / D (as a reciprocal and a product), its product
# with the weight, the difference, and the final product.
SCALE = Constant(5, "proven", "counted in the spec's formula")
# Roundings that an upstream gradient takes on its way through log(exp / sum) differentiated step by step: v / p, the
# product with 1 / s, the product with e, and those inside p itself. A fused backward pass has one.
CHAIN = Constant(5, "proven", "counted in the chain's derivative")
# Beyond this distance from the maximum a class adds less than 1e-27 to the sum, whatever its relative error.
FAR = Constant(64.0, "proven", "docs/numerics.md, part 2: exp(-64 (1 - u)) for u <= 2^-8")
# numpy.exp and numpy.log1p in binary64, which the reference's first tier uses.
NUMPY_ULPS = Constant(4.0, "assumed", "no proof; at most 1 ulp was measured against Arb")
