"""Double-double arithmetic: a number as the unevaluated sum of two binary64 numbers, about 106 bits, in plain NumPy.

A `Pair` (hi, lo) stands for hi + lo, with hi = fl(hi + lo) unless lo is subnormal. Its words are arrays, and every
function broadcasts as NumPy does, the words of one pair too. Results are new arrays. With y the exact result of the
pairs given, what is returned is within `UNIT` |y| + `TINY` of it, of exp and log1p within `FUNCTION` |y| + `TINY`.
Nothing is raised: where y or anything on the way to it is NaN or beyond binary64's range, hi is not finite. NumPy's
warnings are left to the caller's `numpy.errstate`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence

import flint
import numpy as np
import numpy.typing as npt

__all__ = ["FUNCTION", "TINY", "UNIT", "Pair", "add", "divide", "exact", "exp", "log1p", "multiply", "total"]

Floats = npt.NDArray[np.float64]
Pair = tuple[Floats, Floats]
Kernel = Callable[..., None]

# Relative error of add, multiply and divide, 16 u**2 with u = 2**-53; proofs beside `_add`, `_multiply`, `_divide`.
# Worst seen: add 2**-104.4, multiply 2**-103.6, divide 2**-103.1.
UNIT = 2.0**-102

# Relative error of exp and log1p; proofs beside `_exp` and `log1p`. Worst seen: exp 2**-98.7, log1p 2**-106.9.
FUNCTION = 2.0**-98

# Absolute error on top, from products and scalings below the normal range, each wrong by at most t = 2**-1075. Sums
# never underflow: a sum of binary64 numbers below 2**-1021 is one itself.
# add, total: none. exp, divide: 2 t, from the two words' scaling by a power of two, the last step. log1p: 2 t, from
# the rounding of the two words. multiply: 6 t, from six products; beside `_multiply`.
TINY = 2.0**-1072

_ZERO = bytes(8)
# Rounds the bits of a number to 26 bits of significand. Constants are arrays because NumPy takes these up in half the
# time of Python's numbers, which tells where rows are short.
_HALF_UNIT, _UNITS = np.array(1 << 26), np.array(-1 << 27)
# Levels of a sum's tree between two normalisations.
_LEVELS = 12
# Elements worked on at a time: the temporaries stay in a core's cache.
_BLOCK = 1 << 14
# Fewer are not worth aligning.
_SMALL = 1 << 10


def exact(values: npt.ArrayLike) -> Pair:
    """Return binary64 numbers as pairs; the low word is a read-only view of one 0."""
    high = np.asarray(values, dtype=np.float64)
    return high, np.ndarray(high.shape, buffer=_ZERO, strides=(0,) * high.ndim)


def add(a: Pair, b: Pair) -> Pair:
    """Add pairs of any signs; numbers without a low word are added exactly."""
    if _is_exact(a) and _is_exact(b):
        return _evaluate(two_sum, 1, a[0], b[0])
    return _evaluate(_add, 4, *a, *b)


def multiply(a: Pair, b: Pair) -> Pair:
    """Multiply pairs; not finite where a high word is within 2**-27 of the largest number."""
    return _evaluate(_multiply, 6, *a, *b)


def divide(a: Pair, b: Pair) -> Pair:
    """Divide pairs."""
    (xh, xl), m = _scaled(a)
    (yh, yl), n = _scaled(b)
    high, low = _evaluate(_divide, 7, xh, xl, yh, yl)
    np.ldexp(high, m - n, high)
    np.ldexp(low, m - n, low)
    return high, low


def exp(a: Pair) -> Pair:
    """Return the exponential: 0 below -746, inf above 710."""
    return _evaluate(_exp, 6, *a)


def log1p(a: Pair) -> Pair:
    """Return log(1 + a) for a >= 0, element by element, at about two microseconds each.

    At 128 bits Arb's own error is far below that of rounding to two words, 2**-106.
    """
    xh, xl = np.broadcast_arrays(*a)
    with flint.ctx.workprec(128):
        sums = (flint.arb(h) + rest for h, rest in zip(xh.ravel().tolist(), xl.ravel().tolist(), strict=True))
        logs = [x.log1p() for x in sums]
        high = [float(y) for y in logs]
        low = [float(y - h) for y, h in zip(logs, high, strict=True)]
    return np.array(high).reshape(xh.shape), np.array(low).reshape(xh.shape)


def total(a: Pair) -> tuple[Pair, int]:
    """Return the sum along the last axis, kept with length 1, and the height h of the tree of its additions.

    Its error is at most ((1 + UNIT)**h - 1) times the sum of magnitudes, whatever the signs.
    """
    # The low words are only added up, not normalised, on _LEVELS levels. With S the sum of magnitudes below a node, the
    # low word of level j is at most (j + 1) u S, so its two additions on the way to level j + 1 err by (2 j + 3) u**2 S
    # at most; over n levels that is n (n + 2) u**2 S <= 14 n u**2 S for n <= 12, and UNIT is 16 u**2.
    high, low = a if a[0].shape == a[1].shape else np.broadcast_arrays(*a)
    *rows, n = high.shape
    if n < 2:
        return ((high.copy(), low.copy()) if n else exact(np.zeros((*rows, 1)))), 0
    level = 0
    while n > 1:
        half, rest = n // 2, n - n // 2
        sums, errors = _arrays(2, (*rows, rest))
        terms = (high[..., :half], low[..., :half], high[..., rest:], low[..., rest:])
        _fill(_add_up, 1, terms, sums[..., :half], errors[..., :half])
        if half < rest:
            sums[..., half], errors[..., half] = high[..., half], low[..., half]
        high, low, n, level = sums, errors, rest, level + 1
        if n == 1 or level % _LEVELS == 0:
            sums, errors, scratch = _arrays(3, high.shape)
            two_sum(high, low, sums, errors, scratch)
            high, low = sums, errors
    return (high, low), level


def two_sum(x: Floats, y: Floats, s: Floats, e: Floats, t: Floats) -> None:
    """Write x + y, exactly, as s + e with s = fl(x + y); t is scratch (Knuth)."""
    np.add(x, y, s)
    np.subtract(s, x, t)
    np.subtract(s, t, e)
    np.subtract(x, e, e)
    np.subtract(y, t, t)
    np.add(e, t, e)


def two_product(x: Floats, y: Floats, p: Floats, e: Floats, scratch: Sequence[Floats]) -> None:
    """Write x y, exactly, as p + e with p = fl(x y), where nothing underflows (Dekker); five arrays of scratch."""
    a, b, c, d, f = scratch
    x_head, x_tail = _split(x, a, b)
    y_head, y_tail = _split(y, c, d)
    np.multiply(x, y, p)
    np.multiply(x_head, y_head, e)
    np.subtract(e, p, e)
    for one, two in ((x_head, y_tail), (x_tail, y_head), (x_tail, y_tail)):
        np.multiply(one, two, f)
        np.add(e, f, e)


def _split(x: Floats, head: Floats, tail: Floats) -> Pair:
    """Split x exactly into two numbers of at most 26 bits, so that their products are exact."""
    if x.shape != head.shape:
        head, tail = np.empty(x.shape), np.empty(x.shape)
    # On the bits of a number, magnitude apart from sign, rounding takes one operation less than Veltkamp's splitting.
    bits = head.view(np.int64)
    np.add(x.view(np.int64), _HALF_UNIT, bits)
    np.bitwise_and(bits, _UNITS, bits)
    np.subtract(x, head, tail)
    return head, tail


def _fast_two_sum(x: Floats, y: Floats, s: Floats, e: Floats) -> None:
    """Write x + y as s + e, exactly where |x| >= |y| or x is a multiple of the last place of y."""
    np.add(x, y, s)
    np.subtract(s, x, e)
    np.subtract(y, e, e)


def _fast_difference(x: Floats, y: Floats, s: Floats, e: Floats) -> None:
    """Write x - y as s + e, under the same condition."""
    np.subtract(x, y, s)
    np.subtract(x, s, e)
    np.subtract(e, y, e)


def _is_exact(a: Pair) -> bool:
    low = a[1]
    if not low.size or low.item(0) != 0:
        return False
    return not any(low.strides) or not low.any()


# Joldes, Muller and Popescu, "Tight and rigorous error bounds for basic building blocks of double-word arithmetic",
# ACM TOMS 44 (2017), doi:10.1145/3121432, algorithm 6: 3 u**2 + 13 u**3.
def _add(xh: Floats, xl: Floats, yh: Floats, yl: Floats, high: Floats, low: Floats, *work: Floats) -> None:
    s, e, v, t = work
    two_sum(xh, yh, s, e, t)
    two_sum(xl, yl, high, low, t)
    np.add(e, high, e)
    _fast_two_sum(s, e, v, t)
    np.add(low, t, t)
    _fast_two_sum(v, t, high, low)


def _add_up(xh: Floats, xl: Floats, yh: Floats, yl: Floats, high: Floats, low: Floats, t: Floats) -> None:
    two_sum(xh, yh, high, low, t)
    np.add(xl, yl, t)
    np.add(low, t, low)


# The same, algorithm 10: 7 u**2. Where something underflows, six products are each wrong by at most t = 2**-1075, and
# the sums of `two_product` add u**2 |xy| at most. With X and Y the last places of xh and yh: where X Y >= 2**-1101 all
# partial products but the fourth are exact, and all sums but the last, of at most u |xy|. Where X Y is less, the first
# sum is exact as it always is, and the others are below 2**-1021.
def _multiply(xh: Floats, xl: Floats, yh: Floats, yl: Floats, high: Floats, low: Floats, *work: Floats) -> None:
    p, e = work[:2]
    two_product(xh, yh, p, e, (*work[2:], high))
    np.multiply(xh, yl, high)
    np.multiply(xl, yh, low)
    np.add(high, low, high)
    np.add(e, high, e)
    _fast_two_sum(p, e, high, low)


# q = fl(xh / yh), and the remainder over yh as its correction. In u**2 |x / y|: the remainder xh - q yh, at most u |x|
# and formed from exact parts, 1; xl - fl(q yl) 1 + 2; their sum, at most 3 u |x|, 3; its division 3, and by yh in place
# of y 3; together 13. The operands come scaled to between 1/2 and 1, so that nothing that matters underflows.
def _divide(xh: Floats, xl: Floats, yh: Floats, yl: Floats, high: Floats, low: Floats, *work: Floats) -> None:
    q, p, e = work[:3]
    np.divide(xh, yh, q)
    two_product(q, yh, p, e, (*work[3:], high))
    np.subtract(xh, p, p)
    np.subtract(p, e, p)
    np.multiply(q, yl, e)
    np.subtract(xl, e, e)
    np.add(p, e, p)
    np.divide(p, yh, p)
    _fast_two_sum(q, p, high, low)


def _scaled(a: Pair) -> tuple[Pair, npt.NDArray[np.int32]]:
    """Bring the high word to between 1/2 and 1 in magnitude, and tell the power of two that undoes it."""
    power = np.frexp(a[0])[1]
    return (np.ldexp(a[0], -power), np.ldexp(a[1], -power)), power


# exp(x) = 2**q T exp(r), x = k P + log T - j P + r, with P = ln 2 / 2**14, k = 2**14 q + j, and T of 21 bits nearest to
# 2**(j / 2**14), so that T p is exact for a p of 32 bits: Gal's accurate tables, doi:10.1145/103147.103151.
_LOG_STEPS = 14
_STEPS = 1 << _LOG_STEPS
_HEAD = 2.0**20
_LEAST, _MOST = -746.0, 710.0
# P = P1 + P2 + P3 and log T - j P = L1 + L2. P1 is a multiple of 2**-43, so k P1, |k| < 2**24.08, is exact; P2 and L1
# are multiples of 2**-73 and k P2 + L1 is less than 2**-20, so it is exact too.
_FIRST, _SECOND = 2.0**43, 2.0**73
# Adding and subtracting rounds to a multiple of 2**-41, of 2**-47.
_SHORT, _NEAR = np.array(1.5 * 2.0**11), np.array(1.5 * 2.0**5)
_HALF, _THIRD, _TWELFTH, _SIXTIETH = (np.array(1 / n) for n in (2, 3, 12, 60))


def _steps() -> tuple[float, ...]:
    """Return 1 / P, P1, P2 and P3."""
    with flint.ctx.workprec(256):
        step = flint.arb.const_log2() / _STEPS
        first = round(float(step * _FIRST)) / _FIRST
        second = round(float((step - first) * _SECOND)) / _SECOND
        return float(1 / step), first, second, float(step - first - second)


_PER, _P1, _P2, _P3 = (np.array(step) for step in _steps())


@functools.cache
def _tables() -> tuple[Floats, Floats, Floats]:
    """Return T, L1 and L2 by j; some twenty milliseconds of work."""
    heads = np.rint(np.exp2(np.arange(_STEPS) / _STEPS) * _HEAD) / _HEAD
    with flint.ctx.workprec(256):
        step = flint.arb.const_log2() / _STEPS
        logs = [flint.arb(head).log() - step * j for j, head in enumerate(heads.tolist())]
        first = np.rint(np.array([float(y) for y in logs]) * _SECOND) / _SECOND
        second = np.array([float(y - part) for y, part in zip(logs, first.tolist(), strict=True)])
    return heads, first, second


# The error relative to the result, in 2**-102; |r| < 2.164e-5 = P / 2 + 2**-21 + rounding, and |s|**3 / 6 < 1.7e-15:
#   0.6  r: k P3 and k P3 + L2 rounded, both less than 2**-50, and P3's own rounding
#   3.2  the cubic term and beyond: s s, the constants, the two products, half an ulp each
#   0.8  s**6 / 720, left out
#   0.5  the rest of the square added to it
#   2.0  that added to what p leaves of s + s**2 / 2: less than 2**-47
#   3.0  T times that; 3.1, T + T p's own rounding error, and T t, added to it; 0.1, T t and its sum with that error
# All that is large, p and its products with T, is exact; together 13.3, and 16 is FUNCTION. For |s| < 2**-30, where a
# few sums that are exact otherwise are rounded, all of this is less.
def _exp(
    x: Floats, dx: Floats, high: Floats, low: Floats, k: Floats, s: Floats, t: Floats, a: Floats, b: Floats, c: Floats
) -> None:
    x, dx = _within_reach(x, dx)
    np.multiply(x, _PER, k)
    np.rint(k, k)
    power = k.astype(np.int32)
    place = np.bitwise_and(power, _STEPS - 1).astype(np.intp)
    np.right_shift(power, _LOG_STEPS, power)
    heads, first, second = _tables()
    first.take(place, out=b, mode="clip")
    second.take(place, out=c, mode="clip")
    _reduce(x, dx, k, s, t, a, b, c)
    _expand(s, k, a, b, c)
    heads.take(place, out=a, mode="clip")
    _restore(a, k, s, t, b, c)
    np.ldexp(s, power, high)
    np.ldexp(t, power, low)


def _within_reach(x: Floats, dx: Floats) -> Pair:
    """Replace arguments whose exponential is 0 or inf by ones that the reduction can take."""
    if np.minimum.reduce(x, axis=None) >= _LEAST and np.maximum.reduce(x, axis=None) <= _MOST:
        return x, dx
    near = np.clip(x, _LEAST, _MOST)
    return near, np.where(near == x, dx, 0.0)


def _reduce(x: Floats, dx: Floats, k: Floats, s: Floats, t: Floats, a: Floats, b: Floats, c: Floats) -> None:
    """Write r as s + t, |t| < 2**-67; b and c hold L1 and L2.

    x - k P1 is exact: where k is not 0 it is a multiple of 2**-68. So are the sums: its difference from k P2 + L1, a
    multiple of 2**-73, that with dx, whose last place is below 2**-96, and that with k P3 + L2, unless it is smaller,
    below 2**-50.
    """
    np.multiply(k, _P2, a)
    np.add(b, a, b)
    np.multiply(k, _P3, a)
    np.add(c, a, c)
    np.multiply(k, _P1, a)
    np.subtract(x, a, a)
    _fast_difference(a, b, s, t)
    _fast_two_sum(s, dx, a, b)
    np.add(t, b, t)
    _fast_difference(a, c, s, b)
    np.add(t, b, t)


def _expand(s: Floats, p: Floats, a: Floats, b: Floats, c: Floats) -> None:
    """Write exp(s) - 1 as p + s, p a multiple of 2**-47 and the new s a little more than half that at most."""
    # s**2 / 2 = a**2 / 2 + (s + a) (s - a) / 2, with a short enough for its square to be exact.
    np.add(s, _SHORT, a)
    np.subtract(a, _SHORT, a)
    np.subtract(s, a, b)
    np.add(s, a, c)
    np.multiply(b, c, b)
    np.multiply(a, a, a)
    np.multiply(a, _HALF, a)
    np.multiply(s, s, c)
    np.multiply(s, _SIXTIETH, p)
    np.add(p, _TWELFTH, p)
    np.multiply(p, s, p)
    np.add(p, _THIRD, p)
    np.multiply(p, s, p)
    np.multiply(p, c, p)
    np.add(b, p, b)
    np.multiply(b, _HALF, b)
    np.add(s, a, p)
    np.add(p, _NEAR, p)
    np.subtract(p, _NEAR, p)
    np.subtract(s, p, s)
    np.add(s, a, s)
    np.add(s, b, s)


def _restore(head: Floats, p: Floats, s: Floats, t: Floats, b: Floats, c: Floats) -> None:
    """Write head (1 + p + s) (1 + t) as s + t."""
    np.multiply(s, head, s)
    np.multiply(p, head, p)
    _fast_two_sum(head, p, b, c)
    np.multiply(t, b, t)
    np.add(t, c, t)
    np.add(s, t, c)
    _fast_two_sum(b, c, s, t)


def _evaluate(kernel: Kernel, count: int, *operands: Floats) -> Pair:
    """Return what a kernel writes for these operands, broadcast; `count` arrays of scratch."""
    shape = np.broadcast(*operands).shape
    if not shape:
        high, low = _evaluate(kernel, count, *(np.reshape(x, 1) for x in operands))
        return high.reshape(()), low.reshape(())
    high, low = _arrays(2, shape)
    _fill(kernel, count, operands, high, low)
    return high, low


def _fill(kernel: Kernel, count: int, operands: Sequence[Floats], high: Floats, low: Floats) -> None:
    """Run a kernel on operands and two results, block by block."""
    if high.size <= _BLOCK:
        if high.size:
            kernel(*operands, high, low, *_arrays(count, high.shape))
        return
    scratch = _arrays(count, (_BLOCK,))
    for block in _blocks(high.shape):
        part = high[block]
        work = (x[: part.size].reshape(part.shape) for x in scratch)
        kernel(*(_cut(x, block) for x in operands), part, low[block], *work)


def _cut(x: Floats, block: tuple[slice, ...]) -> Floats:
    """The part of an operand that is broadcast to a block."""
    last = block[len(block) - x.ndim :]
    return x[tuple(cut if n > 1 else slice(None) for n, cut in zip(x.shape, last, strict=True))]


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Cut a shape into contiguous blocks."""
    axis, inner = len(shape) - 1, 1
    while inner * shape[axis] <= _BLOCK:
        inner *= shape[axis]
        axis -= 1
    step = _BLOCK // inner
    whole = (slice(None),) * (len(shape) - axis - 1)
    for outer in np.ndindex(*shape[:axis]):
        for start in range(0, shape[axis], step):
            yield (*(slice(i, i + 1) for i in outer), slice(start, start + step), *whole)


def _arrays(count: int, shape: tuple[int, ...]) -> tuple[Floats, ...]:
    """Return new arrays, contiguous; large ones begin a cache line, which makes operations up to twice as fast."""
    size = math.prod(shape)
    if size < _SMALL:
        return tuple(np.empty((count, *shape)))
    stride = size + -size % 8
    memory = np.empty(count * stride + 8)
    start = -memory.__array_interface__["data"][0] % 64 // 8
    rows = memory[start : start + count * stride].reshape(count, stride)[:, :size]
    return tuple(rows.reshape(count, *shape))
