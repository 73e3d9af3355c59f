"""The formats' exact conversions against NumPy's casts, ml_dtypes and numpy.spacing."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossparity.formats import FORMATS, INTEGERS, Array, ulp

settings.register_profile("formats", derandomize=True, deadline=None, database=None)
settings.load_profile("formats")

DTYPES: dict[str, Any] = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
SIXTEEN = ("bfloat16", "float16")
Floats = npt.NDArray[np.float64]


def patterns(fmt: str) -> npt.NDArray[Any]:
    """Return all 65536 bit patterns of a 16-bit format, in its storage."""
    bits = np.arange(65536, dtype="<u2")
    return bits.view(FORMATS[fmt].storage)


def boundary(fmt: str) -> Floats:
    """Return what is hard to round: every power of two, ties between neighbours and their neighbours, the ends."""
    f = FORMATS[fmt]
    powers = 2.0 ** np.arange(max(f.emin - f.precision - 2, -1074), min(f.emax + 2, 1024), dtype=np.float64)
    spacing = ulp(powers, f)
    near = np.concatenate([powers + k * spacing / 2 for k in range(-3, 8)])
    ends: list[Any] = [f.largest, f.smallest_normal, f.half_smallest_subnormal, 1.5 * f.half_smallest_subnormal]
    ends += [f.largest + ulp(f.largest, f) / 2] if f.bits < 64 else []
    values = np.concatenate([near, np.array(ends), [0.0, 1.0, 3.0]])
    with np.errstate(over="ignore"):
        values = np.concatenate([values, np.nextafter(values, 0.0), np.nextafter(values, np.inf)])
    return np.concatenate([values, -values, [np.inf, -np.inf, np.nan]])


def same(one: Floats, other: Floats) -> bool:
    """Whether numbers agree, signs of zeros included."""
    return np.array_equal(one, other, equal_nan=True) and np.array_equal(
        np.signbit(one[~np.isnan(one)]), np.signbit(other[~np.isnan(other)])
    )


def cast(values: Floats, fmt: str) -> Floats:
    """Round by the format's own library, straight from binary64 (bfloat16: from binary32, exact here)."""
    with np.errstate(all="ignore"):
        if fmt == "bfloat16":
            values = values.astype(np.float32)
        return np.asarray(values.astype(DTYPES[fmt]), dtype=np.float64)


@pytest.mark.parametrize("fmt", FORMATS)
def test_rounding_agrees_with_the_library_cast_at_every_boundary(fmt: str) -> None:
    values = boundary(fmt)
    if fmt == "bfloat16":  # ml_dtypes rounds binary64 twice, so it is asked about binary32 numbers only
        with np.errstate(all="ignore"):
            values = np.asarray(values.astype(np.float32), dtype=np.float64)
    assert same(FORMATS[fmt].round(values), cast(values, fmt))
    assert same(np.asarray(Array.of(values, fmt).exact()), cast(values, fmt))


@pytest.mark.parametrize("fmt", FORMATS)
def test_rounding_agrees_with_the_library_cast_on_random_bits(fmt: str) -> None:
    bits = np.random.RandomState(1).randint(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    with np.errstate(invalid="ignore"):
        values = np.asarray(bits.view(np.float32), dtype=np.float64)
    if fmt != "bfloat16":
        values = np.concatenate([values, values * (1 + 2.0**-30), values * 2.0**-100])
    assert same(FORMATS[fmt].round(values), cast(values, fmt))


@given(st.floats(width=64, allow_nan=False), st.sampled_from(list(FORMATS)))
def test_rounding_goes_to_a_nearest_number_and_to_the_even_one(x: float, fmt: str) -> None:
    f = FORMATS[fmt]
    y = float(f.round(x))
    assert float(f.round(y)) == y or np.isinf(y)
    if np.isinf(y):
        assert np.isinf(x) or abs(x) >= f.largest + float(ulp(f.largest, f)) / 2
        return
    spacing = float(ulp(x, f))
    assert abs(y - x) <= spacing / 2 or fmt == "float64"
    if abs(y - x) == spacing / 2 and fmt != "float64":
        assert (y / spacing) % 2 == 0


def test_bfloat16_is_rounded_once_from_binary64() -> None:
    """1 + 2^-8 + 2^-40 is above the tie, which a detour through binary32 would not see."""
    assert FORMATS["bfloat16"].round(1 + 2.0**-8 + 2.0**-40) == 1 + 2.0**-7
    assert FORMATS["bfloat16"].round(1 + 2.0**-8) == 1
    assert FORMATS["float16"].round(1 + 2.0**-11 + 2.0**-40) == 1 + 2.0**-10


@pytest.mark.parametrize("fmt", SIXTEEN)
def test_every_bit_pattern_survives_the_round_trip(fmt: str) -> None:
    given_bits = Array(fmt, patterns(fmt))
    exact = given_bits.exact()
    again = Array.of(exact, fmt)
    numbers = ~np.isnan(exact)
    assert np.array_equal(again.data[numbers].view("<u2"), given_bits.data[numbers].view("<u2"))
    assert np.isnan(np.asarray(again.exact())[~numbers]).all() and (~numbers).sum() > 0
    with np.errstate(invalid="ignore"):
        library = np.asarray(np.arange(65536, dtype="<u2").view(DTYPES[fmt]), dtype=np.float64)
    assert same(np.asarray(exact), library)


@pytest.mark.parametrize("fmt", FORMATS)
def test_ulp_is_the_spacing_of_the_library(fmt: str) -> None:
    f = FORMATS[fmt]
    exact = np.asarray(Array(fmt, patterns(fmt)).exact()) if fmt in SIXTEEN else f.round(boundary(fmt))
    values = np.unique(np.abs(exact[np.isfinite(exact)]))
    if fmt == "bfloat16":
        values, spacing = values[:-1], np.diff(values)
    else:
        values = values[:-1]  # the spacing above the largest number overflows
        spacing = np.asarray(np.spacing(values.astype(DTYPES[fmt])), dtype=np.float64)
    assert np.array_equal(ulp(values, f), spacing)
    assert np.array_equal(ulp(-values, f), ulp(values, f))
    assert ulp([np.inf, np.nan], f).tolist() == [1, 1]


@pytest.mark.parametrize("fmt", FORMATS)
def test_parameters_are_those_of_the_library(fmt: str) -> None:
    f = FORMATS[fmt]
    info: Any = ml_dtypes.finfo(DTYPES[fmt])  # type: ignore[no-untyped-call]
    assert f.largest == float(info.max) and f.smallest_normal == float(info.smallest_normal)
    assert 2 * f.unit == float(info.eps) and f.bits == info.bits
    assert f.half_smallest_subnormal >= float(info.smallest_subnormal) / 2 > 0 or fmt == "float64"
    assert f.half_smallest_subnormal > 0


@pytest.mark.parametrize("fmt", FORMATS)
def test_between_two_ulps_lies_the_real_number_not_its_rounding(fmt: str) -> None:
    """Just below a power of two the spacing is the lower one, however near."""
    f = FORMATS[fmt]
    assert ulp(1.0, f) == 2 * f.unit
    assert ulp(np.nextafter(1.0, 0.0), f) == f.unit
    assert ulp(0.0, f) == ulp(f.smallest_normal, f) == 2.0 ** (f.emin - f.precision + 1)


def test_an_array_refuses_another_dtype() -> None:
    for fmt in (*FORMATS, *INTEGERS):
        with pytest.raises(TypeError, match=f"{fmt} is stored as"):
            Array(fmt, np.zeros(2, dtype=np.complex64))
    assert Array.of([1, 2], "uint8").exact().tolist() == [1, 2]
    assert Array.of(1.5, "bfloat16").shape == () and Array.of([[1.5]], "float16").shape == (1, 1)
