"""Timing calls in the child: samples, the first call apart from the others, memory, and what a time is worth.

A sample is a number of calls on inputs that did not exist before: the prepared tensor times a power of two, in the
framework's own arithmetic, so that nothing an adapter worked out earlier is of use, and the results tell which inputs
they are of. The parent says which power, when to take a sample and of which pass, and judges the results.
"""

from __future__ import annotations

import ctypes
import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from lossparity import wire
from lossparity.call import arguments, chosen, function_of, placed, said
from lossparity.formats import Array
from lossparity.framework import Entry, Framework, Implementation, Passes, Unsupported
from lossparity.model import Declined, Produced, Raised, Request
from lossparity.processors import stay

__all__ = ["Clock", "Timed", "resident"]

DeviceClock = Callable[[Callable[[], Any], bool], "Optional[tuple[float, Any]]"]
"""Returns the seconds of some work by a device's clock, with its caches emptied or not, and the result."""

_TARGET = 0.01  # seconds of raw time in a sample: far above the clock's step and an interrupt's length
_PARTS = 9  # of a sample
_ROTATED = 1 << 20  # bytes of the tensors that the calls of a sample take in turn
_MOST_CALLS = 1 << 16
_TRIALS = 5
_FEWEST = 3
_LONG = 0.02  # seconds; calls that take longer are tried in the fewest trials, and once where nothing is said
_KEPT = 0.25  # a repeated call that takes less than this share of the first one on a tensor did not compute
_LEFT = 0.25  # the share of a call that may be left to do when its time has been taken
_UNCERTAIN = 1e-4  # seconds that two times of bringing the same result back may differ
_SETTLING = 0.1  # seconds at most until memory that is not used any more has been given back
_STATUS = "/proc/self/status"


@dataclass
class Timed:
    """One implementation's calls of one request, ready to be timed; Unsupported where it does not offer them."""

    framework: Framework
    format: str
    size: int
    entry: Entry
    passes: Passes
    base: Any
    upstream: Any
    device_clock: Optional[DeviceClock] = None
    kept: tuple[Any, Any] | None = None

    @classmethod
    def of(cls, framework: Framework, implementation: Implementation, request: Request) -> Timed:
        """Place the inputs on the device, and make what calls it."""
        entry = chosen(implementation, request)
        if entry is None:
            raise Unsupported(f"{request.operation} is not offered")
        tensors = {name: placed(framework, array, "") for name, array in request.arrays.items()}
        first, rest, keywords = arguments(request, tensors)
        function = function_of(framework, entry, request)
        own: Callable[..., Passes] | None = getattr(framework, "passes", None)
        if own is not None and request.mode:
            passes = own(function, rest, keywords)
        else:
            passes = _passes(framework, function, rest, keywords)
        upstream = tensors.get("upstream")
        clock: Optional[DeviceClock] = getattr(framework, "device_clock", None)
        if clock is not None and clock(lambda: None, False) is None:
            clock = None
        size = next(iter(request.arrays.values())).data.nbytes
        made = cls(framework, request.format, size, entry, passes, first, upstream, clock)
        if framework.to_numpy(made.input(2.0)[:1]).format != request.format:
            raise Unsupported(f"{framework.name} has no product of two {request.format} numbers in their format")
        return made

    def input(self, scale: float) -> Any:
        """Return new logits, the prepared ones times a power of two, complete."""
        factor = self.framework.to_device(Array.of(scale, self.format))
        made = self.base * factor
        self._wait(made)
        return made

    def prepare(self, passes: list[str]) -> dict[str, Any]:
        """Make the first call of some passes, and find out how many calls make a sample."""
        first: dict[str, float] = {}
        calls: dict[str, int] = {}
        declined: dict[str, str] = {}
        raised: dict[str, str] = {}
        for name in passes:
            try:
                first[name] = self.sample(name, 1.0, 1)
                calls[name] = self._enough(name)
            except (Unsupported, NotImplementedError) as error:
                declined[name] = said(error)
            except Exception as error:  # noqa: BLE001 - whatever a framework raises in one pass, others may be fine
                raised[name] = f"{type(error).__name__}: {said(error)}"
        gc.collect()
        gc.freeze()  # what is held for good, compiled code too, is not gone through before every sample
        named = {"api": self.entry.api, "origin": self.entry.origin}
        return {"first": first, "calls": calls, "declined": declined, "raised": raised, **named}

    def _enough(self, name: str) -> int:
        """Return how many calls make a sample."""
        seconds, number = self.sample(name, 0.5, 1), 1
        if seconds < _LONG:
            seconds = min(seconds, self.sample(name, -1.0, 1))
        while number * seconds < _TARGET and number < _MOST_CALLS:
            number = min(max(2 * number, math.ceil(1.1 * _TARGET / max(seconds, 1e-9))), _MOST_CALLS)
            seconds = self.sample(name, 0.5, number)
        return number

    def sample(self, name: str, scale: float, calls: int, *, keep: bool = False) -> float:
        """Return the seconds of a call of a pass, each until its result was there: so many calls are made.

        It is the lower quartile over parts of the sample: what else runs on a machine makes a part longer, never
        shorter, and the first calls find the caches full of what ran before.
        `keep` keeps the last results, for `results`; those of earlier samples are let go.
        """
        self.kept = None
        if name != "forward" and (self.upstream is None or self.entry.no_gradient):
            raise Unsupported(self.entry.no_gradient or "the call has no gradient")
        collecting = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            inputs = self._inputs(scale, calls)
            value = gradient = None
            rest, parts = calls, []
            while rest:
                part = min(rest, max(1, calls // _PARTS))
                rest -= part
                seconds, value, gradient = self._timed(name, inputs, part, keep=keep and not rest)
                parts.append(seconds / part)
        finally:
            if collecting:
                gc.enable()
        if keep:
            self.kept = value, gradient
        return sorted(parts)[len(parts) // 4]

    def _inputs(self, scale: float, calls: int) -> list[Any]:
        # As many as do not fill a core's cache beside each other: that depends on the case, and on no backend.
        return [self.input(scale) for _ in range(min(calls, max(1, _ROTATED // max(self.size, 1))))]

    def _work(self, name: str, first: Any) -> Callable[[], tuple[Any, Any]]:
        """Return what is to be timed of one call: a function that returns its value and gradient."""
        passes, upstream = self.passes, self.upstream
        if name == "forward":
            return lambda: (passes.forward(first), None)
        if name == "both":
            return lambda: passes.both(first, upstream)
        value, pullback = passes.recorded(first)
        self._wait(value)
        return lambda: (value, pullback(upstream))

    def cold(self, name: str, scale: float, calls: int) -> float | None:
        """Return the seconds of a call, the mean of so many, that finds a device's caches empty; none off a device."""
        if self.device_clock is None:
            return None
        return self._by_device(self.device_clock, name, self._inputs(scale, calls), calls, cold=True)[0] / calls

    def results(self) -> Produced | Raised | Declined:
        """Return what the last sample that was kept came to."""
        if self.kept is None:
            return Declined("no sample was kept")
        value, gradient = (None if one is None else self.framework.to_numpy(one) for one in self.kept)
        self.kept = None
        if value is None:
            return Declined("the pass has no value")
        return Produced(value, gradient, self.entry.api, self.entry.origin, True)

    def memory(self, name: str, *, host: bool) -> int | None:
        """Return the largest memory, in bytes, that one call of a pass takes beyond what is there before it.

        It is a framework's own count where the adapter has one; else, where calls compute on the `host`, that of the
        whole process, which needs Linux: the largest of some, since what is let go on other threads while a call runs
        hides as much of what the call takes.
        """
        counted: Callable[[Callable[[], None]], int | None] | None = getattr(self.framework, "peak_memory", None)
        if counted is not None and (there := counted(self._call(name))) is not None:
            return there
        if not host:
            return None
        several = range(_FEWEST if hasattr(self.framework, "synchronise") else 1)
        found = [rise for rise in (resident(self._call(name)) for _ in several) if rise is not None]
        return max(found, default=None)

    def _call(self, name: str) -> Callable[[], None]:
        """Return one call of a pass on a new input, with what comes before it done."""
        made = self.input(0.5)
        state = self.passes.recorded(made) if name == "backward" else None
        if state is not None:
            self._wait(state[0])
        gc.collect()

        def work() -> None:
            if state is not None:
                self._wait(state[1](self.upstream))
            elif name == "forward":
                self._wait(self.passes.forward(made))
            else:
                for result in self.passes.both(made, self.upstream):
                    self._wait(result)

        return work

    def doubts(self, name: str) -> str:
        """Say why a time of this pass is no time of the work: it is not done by then, or not done at all."""
        trials: list[tuple[float, ...]] = []
        for trial in range(_TRIALS):
            other, made = self.input(-1.0), self.input(2.0 if trial % 2 else 0.5)
            self._timed(name, [other], 1)
            fresh, _, _ = self._timed(name, [made], 1)
            repeated, _, _ = self._timed(name, [made], 1)
            call, value, gradient = self._timed(name, [other], 1, keep=True)
            began = time.perf_counter()
            there = self.framework.to_numpy(value if name == "forward" else gradient)
            taken = time.perf_counter() - began
            trials.append((fresh, repeated, call, taken, self._copying(there, call)))
            if call > _LONG and (len(trials) == _FEWEST or not _doubt(*trials[0])):
                break
        return _doubt(*map(statistics.median, zip(*trials)))

    def _copying(self, there: Array, call: float) -> float:
        """Return how long it takes to bring back a tensor like a result, which is known to be complete."""
        tensor = self.framework.to_device(Array(there.format, there.data.copy()))
        self._wait(tensor)
        time.sleep(min(call, 1.0))  # also where the framework's own word that it waited is not to be believed
        began = time.perf_counter()
        self.framework.to_numpy(tensor)
        return time.perf_counter() - began

    def _wait(self, tensor: Any) -> None:
        synchronise: Callable[[Any], None] | None = getattr(self.framework, "synchronise", None)
        if synchronise is not None:
            synchronise(tensor)

    def _timed(self, name: str, inputs: list[Any], calls: int, *, keep: bool = False) -> tuple[float, Any, Any]:
        """Take the time of some calls; letting go of a result is a part of them, unless it is to `keep`."""
        if self.device_clock is not None:
            return self._by_device(self.device_clock, name, inputs, calls, cold=False)
        clock, wait, passes, upstream = time.perf_counter, self._wait, self.passes, self.upstream
        turns, value, gradient = len(inputs), None, None
        if name == "forward":
            began = clock()
            for turn in range(calls):
                value = passes.forward(inputs[turn % turns])
                wait(value)
                if not keep:
                    value = None
            return clock() - began, value, None
        if name == "both":
            began = clock()
            for turn in range(calls):
                value, gradient = passes.both(inputs[turn % turns], upstream)
                wait(value)
                wait(gradient)
                if not keep:
                    value = gradient = None
            return clock() - began, value, gradient
        seconds = 0.0
        for turn in range(calls):
            value, pullback = passes.recorded(inputs[turn % turns])
            wait(value)
            began = clock()
            gradient = pullback(upstream)
            wait(gradient)
            if not keep:
                gradient = None
            seconds += clock() - began
        return seconds, value, gradient

    def _by_device(
        self, clock: DeviceClock, name: str, inputs: list[Any], calls: int, *, cold: bool
    ) -> tuple[float, Any, Any]:
        seconds, value, gradient = 0.0, None, None
        for turn in range(calls):
            taken = clock(self._work(name, inputs[turn % len(inputs)]), cold)
            assert taken is not None
            seconds, (value, gradient) = seconds + taken[0], taken[1]
        return seconds, value, gradient


class Clock:
    """Answers the parent's commands about the one request that is being timed."""

    def __init__(self, framework: Framework, variants: Mapping[str, Implementation]) -> None:
        self._framework, self._variants = framework, variants
        self._timed: Timed | None = None

    def answer(self, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[bytes]:
        """Do what a message says, and return the reply: `done` with what came of it, or the problem."""
        do = header["timing"]
        try:
            if do == "prepare":
                self._timed = None  # what it holds is let go before the next one is made
                request = wire.unpack_request(header, arrays)
                self._timed = Timed.of(self._framework, self._variants.get(request.variant, {}), request)
                return wire.encode({"done": self._timed.prepare(header["passes"])}, {})
            if do == "stay":
                stay(header["given"]["on"])
                return wire.encode({"done": None}, {})
            if do == "release":
                self._timed = None
                return wire.encode({"done": None}, {})
            if self._timed is None:
                return wire.encode({"declined": "nothing is prepared"}, {})
            if do == "results":
                return wire.pack_outcome(self._timed.results())
            does: dict[str, Callable[..., Any]] = {
                "sample": self._timed.sample,
                "cold": self._timed.cold,
                "memory": self._timed.memory,
                "doubts": self._timed.doubts,
            }
            return wire.encode({"done": does[do](**header["given"])}, {})
        except (Unsupported, NotImplementedError) as error:
            return wire.encode({"declined": said(error)}, {})
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is what came of it
            return wire.encode({"raised": f"{type(error).__name__}: {said(error)}"}, {})


def _passes(
    framework: Framework, function: Callable[..., Any], rest: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Passes:
    """Return the passes as every adapter has them: the call, and the call under differentiation."""

    def recorded(first: Any) -> tuple[Any, Callable[[Any], Any]]:
        return framework.vjp(function, first, rest, keywords)

    def both(first: Any, upstream: Any) -> tuple[Any, Any]:
        value, pullback = recorded(first)
        return value, pullback(upstream)

    return Passes(lambda first: function(first, *rest, **keywords), recorded, both)


def resident(work: Callable[[], None]) -> int | None:
    """Return by how many bytes the resident memory of this process rose at most during some work; none off Linux."""
    try:
        _settle()
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
            file.write("5")
        before = _status("VmRSS")
        work()
        return max(_status("VmHWM") - before, 0)
    except OSError:
        return None


def _settle() -> None:
    """Have unused memory given back, until there is none: some frameworks let go of it on threads of their own."""
    now, until = _status("VmRSS"), time.perf_counter() + _SETTLING
    while time.perf_counter() < until:
        earlier = now
        time.sleep(_SETTLING / 10)
        with suppress(AttributeError, OSError):  # where it is not glibc
            ctypes.CDLL(None).malloc_trim(0)  # what the allocator holds back would be taken without being seen
        now = _status("VmRSS")
        if now >= earlier:
            return


def _status(key: str) -> int:
    with open(_STATUS, encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
        for line in file:
            if line.startswith(key):
                return 1024 * int(line.split()[1])
    raise OSError(f"{_STATUS} has no {key}")


def _doubt(fresh: float, repeated: float, call: float, taken: float, copied: float) -> str:
    """Say what times mean: of a first and a second call on a tensor, of one that is fetched, and of a copy like it."""
    left = taken - copied
    if left > max(_LEFT * call, _LEFT * copied, _UNCERTAIN):
        return (
            f"when the time of {_short(call)} had been taken, {_short(left)} of work were left: the call returns "
            "before its result is there"
        )
    if repeated < _KEPT * fresh:
        return (
            f"a second call on the same tensor took {_short(repeated)} after {_short(fresh)}: results are kept, "
            "and only a first call computes"
        )
    return ""


def _short(seconds: float) -> str:
    return f"{1e6 * seconds:.3g} µs" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"
