"""The self-test finds a floating-point environment that is not IEEE 754's default, for the reason that breaks it.

Rounding modes and flushing are set for real, in a process of their own; what no mode does is put in NumPy's place.
"""

from __future__ import annotations

import math
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flint
import numpy as np
import pytest

from lossparity import floating

SOUND = ""
FLUSHES = "NumPy float64 flushes subnormal results to zero"
READS_ZERO = "NumPy float64 reads subnormal numbers as zero"
DIRECTED = "NumPy float64 does not round to nearest even"
NEXT = "start again without what changes the floating-point mode"

# The console script of the installed distribution, after `BREAK` has changed the mode of the process.
ENTRY = """
import ctypes, sys
from importlib.metadata import entry_points
{broken}
sys.argv = ["lossparity", *sys.argv[1:]]
(script,) = [e for e in entry_points(group="console_scripts") if e.name == "lossparity"]
script.load()()
"""
# FE_DOWNWARD, FE_UPWARD and FE_TOWARDZERO of <fenv.h> on x86-64.
ROUNDING = "assert ctypes.CDLL('libm.so.6').fesetround({mode}) == 0"
# fenv_t of glibc on x86-64: 28 bytes of the x87, then MXCSR; its bit 15 flushes results, bit 6 reads inputs as zero
# (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 10.2.3).
MXCSR = """
libm, state = ctypes.CDLL("libm.so.6"), (ctypes.c_uint32 * 8)()
assert libm.fegetenv(state) == 0
state[7] |= {bits}
assert libm.fesetenv(state) == 0
"""
# Frameworks that take seconds to start have no part in it.
NUMPY_ALONE = """
from lossparity import doctor
registered = doctor.registered
doctor.registered = lambda: {"numpy": registered()["numpy"]}
"""

BROKEN = {
    "downward": (ROUNDING.format(mode=0x400), DIRECTED),
    "upward": (ROUNDING.format(mode=0x800), DIRECTED),
    "toward zero": (ROUNDING.format(mode=0xC00), DIRECTED),
    "flush to zero": (MXCSR.format(bits=1 << 15), FLUSHES),
    "denormals are zero": (MXCSR.format(bits=1 << 6), READS_ZERO),
    "both": (MXCSR.format(bits=1 << 15 | 1 << 6), READS_ZERO),
}
COMMANDS = {
    "run": ["run", "-b", "numpy", "--case", "worked-example/softmax"],
    "check": ["check", "mine.py:softmax", "--operation", "softmax"],
    "show": ["show", "worked-example", "-b", "numpy"],
}


def here() -> None:
    if not (platform.system() == "Linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"):
        pytest.skip("the modes are set through glibc's fenv.h on x86-64")


def started(folder: Path, broken: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    text = ENTRY.format(broken=broken)
    return subprocess.run(
        [sys.executable, "-c", text, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_this_process_is_sound() -> None:
    assert floating.self_test() == SOUND


def test_numpys_own_warnings_do_not_leave_it(recwarn: pytest.WarningsRecorder) -> None:
    with np.errstate(all="raise"):
        assert floating.self_test() == SOUND
    assert not recwarn.list


@pytest.mark.parametrize("name", BROKEN)
def test_a_mode_that_was_changed_ends_every_judging_command_with_3(tmp_path: Path, name: str) -> None:
    here()
    broken, fault = BROKEN[name]
    for command in COMMANDS if name == "both" else ["run"]:
        done = started(tmp_path, broken, *COMMANDS[command])
        assert done.returncode == 3, done
        assert f"lossparity: the floating-point self-test fails: {fault}; " in done.stderr
        assert NEXT in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert not (tmp_path / "lossparity-results").exists(), "nothing may be judged"


def test_commands_that_judge_nothing_are_let_through(tmp_path: Path) -> None:
    """A case file with subnormal numbers could not be read, so it is one without."""
    here()
    (tmp_path / "own.yaml").write_text(
        "suite: own\nabout: Mine.\ncases:\n  - {id: a, clause: S1, operation: softmax, logits: [[1, 2]]}\n"
    )
    done = started(tmp_path, BROKEN["both"][0], "list", "--case", "own/a", "--cases", "own.yaml")
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor_says_it_and_goes_on(tmp_path: Path) -> None:
    here()
    done = started(tmp_path, BROKEN["flush to zero"][0] + NUMPY_ALONE, "doctor")
    assert done.returncode == 3
    assert f"lossparity: the floating-point self-test fails: {FLUSHES}; " in done.stderr
    assert "numpy: ready" in done.stdout
    assert "measured" not in done.stdout, "unsound arithmetic would be the judge of what is measured"


@pytest.mark.parametrize("function", floating._VALUES)
def test_the_values_it_knows_are_rounded_to_nearest(function: str) -> None:
    with flint.ctx.workprec(200):
        for x, y in floating._VALUES[function]:
            exact = getattr(flint.arb(x), function)()
            miss = abs(exact - flint.arb(y))
            assert miss <= abs(exact - flint.arb(float(np.nextafter(y, np.inf))))
            assert miss <= abs(exact - flint.arb(float(np.nextafter(y, -np.inf))))


Function = Callable[..., Any]


def through_extended(exact: Function) -> Function:
    """Round a binary64 operation to 64 bits first, as an x87 does unless told otherwise."""

    def twice(a: Any, b: Any) -> Any:
        if a.dtype != np.float64:
            return exact(a, b)
        return exact(a.astype(np.longdouble), b.astype(np.longdouble)).astype(np.float64)

    return twice


def only(dtype: type[Any], wrong: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Put a wrong result in the place of an operation's, for one type of array."""

    def replace(exact: Function) -> Function:
        return lambda *given: wrong(exact(*given)) if given[0].dtype == dtype else exact(*given)

    return replace


def off_by(ulps: float) -> Callable[[Any], Any]:
    return lambda y: y + ulps * np.spacing(y)


def last_flushed(y: Any) -> Any:
    """Flush the last element alone, as scalar code behind a vector loop might."""
    tiny = np.abs(y) < np.finfo(y.dtype).tiny
    tiny[:-1] = False
    return np.where(tiny, 0, y)


def ties_away(u: float) -> Callable[[Any], Any]:
    """Round the ties at 1 + u, and those alone, away from zero."""

    def replace(exact: Function) -> Function:
        def add(a: Any, b: Any) -> Any:
            tie = (np.abs(a) == 1) & (a * b == u)
            return np.where(tie, a * a.dtype.type(1 + 2 * u), exact(a, b)) if a.dtype.kind == "f" else exact(a, b)

        return add

    return replace


STAND_INS: dict[str, tuple[str, Callable[[Function], Function], str]] = {
    "extended precision": ("add", through_extended, "NumPy float64 rounds twice"),
    "flushed in the last place": ("multiply", only(np.float32, last_flushed), "NumPy float32 flushes subnormal"),
    "ties away from zero": ("add", ties_away(2.0**-24), "NumPy float32 does not round to nearest even"),
    "short sums": ("add", only(np.float64, lambda y: np.float64(np.float32(y))), DIRECTED),
    "fused multiplication": (
        "multiply",
        only(np.float64, lambda y: np.where(np.abs(y) > 2.0**100, np.nextafter(y, 0), y)),
        "NumPy float64 loses the rounding error of a product",
    ),
    "infinite products": (
        "multiply",
        only(np.float32, lambda y: np.where(np.abs(y) > 2.0**40, np.inf, y)),
        "NumPy float32 loses the rounding error of a product",
    ),
    "remainders lost": (
        "subtract",
        only(np.float32, lambda y: np.where((np.abs(y) >= 1) & (np.abs(y) < 4), np.float32(0), y)),
        "NumPy float32 loses the rounding error of a sum",
    ),
    "exp": ("exp", only(np.float64, off_by(6)), "NumPy float64 has an exp that is more than 4 ulp off"),
    "exp of binary32": ("exp", only(np.float32, off_by(8)), "NumPy float32 has an exp that is more than 4 ulp off"),
    "exp is NaN": ("exp", only(np.float64, lambda y: y * np.nan), "NumPy float64 has an exp"),
    "log1p": ("log1p", only(np.float64, off_by(-6)), "NumPy float64 has a log1p that is more than 4 ulp off"),
}


@pytest.mark.parametrize("name", STAND_INS)
def test_what_no_mode_breaks_is_found_in_a_stand_in(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    function, replace, fault = STAND_INS[name]
    if name == "extended precision" and np.finfo(np.longdouble).nmant != 63:
        pytest.skip("no 80-bit format here")
    monkeypatch.setattr(np, function, replace(getattr(np, function)))
    said = floating.self_test()
    assert said.startswith(f"the floating-point self-test fails: {fault}"), said
    assert NEXT in said


def test_functions_within_their_margin_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in ("exp", "log1p"):
        monkeypatch.setattr(np, function, only(np.float64, off_by(2))(getattr(np, function)))
    assert floating.self_test() == SOUND


@pytest.mark.parametrize("function", ["exp", "log1p"])
def test_pythons_own_functions_are_tried(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    exact: Callable[[float], float] = getattr(math, function)
    monkeypatch.setattr(math, function, lambda x: exact(x) * (1 + 2.0**-48))
    assert floating.self_test().startswith("the floating-point self-test fails: Python float has a")
