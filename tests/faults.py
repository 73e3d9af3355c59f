"""An adapter made of faults: what happens in its worker is chosen by the first logit, by its number in FAULTS.

It runs in a child, on NumPy. What the faults start they name in files in the folder of the variable FAULTS, so that a
test can see that nothing of it is left.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossparity.framework import NATIVE, Entry, Implementation
from lossparity_backends.on_numpy import Numpy

Tensor = np.ndarray[Any, Any]

REPLIES = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2].isdigit() else -1
_HELD: list[bytearray] = []
_made = 0


def right(x: Tensor) -> Tensor:
    """Return the probabilities."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _started(what: str) -> None:
    """Leave word of this process."""
    (Path(os.environ["FAULTS"]) / f"{what}-{os.getpid()}").touch()


def _forever() -> None:
    while True:
        time.sleep(1000)


def _words(count: int) -> None:
    for number in range(count):
        print("of no interest " * 5000, number)
        print("of no interest " * 5000, number, file=sys.stderr)


def _reply(number: int) -> bytes:
    """Return a whole reply, in the right form, to a request of some number."""
    header = {"outcome": "produced", "api": "mine", "origin": "native", "unmodified": True}
    text = json.dumps({**header, "arrays": [["value", "float64", [1, 2]]]}).encode()
    return struct.pack("<QQ", number, len(text)) + text + np.array([[0.25, 0.75]]).tobytes()


def _hangs(x: Tensor) -> Tensor:
    _started("hangs")
    _forever()
    return x


def _hangs_deaf(x: Tensor) -> Tensor:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return _hangs(x)


def _eats(_x: Tensor) -> Tensor:
    while True:
        _HELD.append(bytearray(b"1") * (64 << 20))
        time.sleep(0.05)


def _eats_in_a_child(x: Tensor) -> Tensor:
    if os.fork() == 0:
        _started("eats")
        _eats(x)
    _forever()
    return x


def _prints(x: Tensor) -> Tensor:
    _words(300)
    return right(x)


def _prints_and_dies(_x: Tensor) -> Tensor:
    _words(300)
    sys.stderr.write("the last words\n")
    sys.stderr.flush()
    os._exit(9)


def _forks(x: Tensor) -> Tensor:
    os.fork()  # and both go on
    return right(x)


def _forks_and_dies(x: Tensor) -> Tensor:
    if os.fork() == 0:
        _hangs(x)
    os._exit(5)


def _hangs_up(x: Tensor) -> Tensor:
    os.close(REPLIES)
    return _hangs(x)


def _says(words: Callable[[], bytes]) -> Callable[[Tensor], Tensor]:
    def say(x: Tensor) -> Tensor:
        os.write(REPLIES, words())
        return right(x)

    return say


def _raises(error: BaseException) -> Callable[[Tensor], Tensor]:
    def function(_x: Tensor) -> Tensor:
        raise error

    return function


FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": right,
    "segfault": lambda _: ctypes.string_at(0),  # type: ignore[dict-item, return-value]
    "abort": lambda _: os.abort(),
    "leaves": lambda _: os._exit(7),
    "leaves as if all were well": lambda _: os._exit(0),
    "SystemExit": _raises(SystemExit(3)),
    "KeyboardInterrupt": _raises(KeyboardInterrupt()),
    "GeneratorExit": _raises(GeneratorExit()),
    "hangs": _hangs,
    "hangs and hears no signal": _hangs_deaf,
    "eats memory": _eats,
    "eats memory in a child": _eats_in_a_child,
    "prints megabytes": _prints,
    "prints megabytes and dies": _prints_and_dies,
    "garbage": _says(lambda: b"\xff" * 64),
    "half a reply": lambda _: (os.write(REPLIES, _reply(_made)[:-3]), os._exit(0))[0],  # type: ignore[dict-item, return-value]
    "another shape": lambda x: right(x)[:, :1],
    "another number": _says(lambda: _reply(_made + 1)),
    "twice": _says(lambda: _reply(_made) * 2),
    "forks": _forks,
    "forks and dies": _forks_and_dies,
    "hangs up": _hangs_up,
    "raises": _raises(ValueError("no")),
}
NUMBERS = {name: number for number, name in enumerate(FAULTS)}


def faulty(x: Tensor) -> Tensor:
    """Do what the first number says."""
    global _made  # noqa: PLW0603 - the number of the request, as the parent counts
    _made += 1
    return list(FAULTS.values())[int(x.flat[0])](x)


class Faulty(Numpy):
    """Softmax with a fault."""

    name = "math"

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """One operation."""
        return {"": {"softmax": (Entry(faulty, "faulty.softmax", NATIVE),)}}


class DiesAtStart(Faulty):
    """Dies before it is made, each time."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        _started("start")
        sys.stderr.write("no licence\n")
        sys.stderr.flush()
        os._exit(9)


class HangsAtStart(Faulty):
    """Is never made."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        _started("start")
        _forever()
