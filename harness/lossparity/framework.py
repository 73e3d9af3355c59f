"""What an adapter must offer: the one protocol between the harness and a framework.

An adapter is one file and one class. It is constructed in a process of its own, which imports the framework; the
parent never does. Its functions take and return the framework's own tensors, with the class axis at 1 (0 when
1-D), and obey the loss spec's keywords. What it does beyond one public call of the framework is *composed* or
*manual*, and is never blamed on the framework.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Protocol

from lossparity.formats import Array
from lossparity.model import Keyword, Request

__all__ = [
    "BLAMED",
    "COMPOSED",
    "MANUAL",
    "NATIVE",
    "NO_LAYOUTS",
    "TARGET",
    "Entry",
    "Framework",
    "Implementation",
    "Passes",
    "Phrases",
    "Unsupported",
    "always",
]

NO_LAYOUTS = "lets nobody choose how a tensor lies in memory"
"""What is said of a framework without `arranged`; no gap in any function."""

NATIVE = "native"  # one public call of the framework does the spec's operation
COMPOSED = "composed"  # this project's adapter builds it from the framework's primitives
MANUAL = "manual"  # the worked example's chain, step by step
TARGET = "target"  # a user's own function, under `lossparity check`
BLAMED = (NATIVE, TARGET)  # whose failures are their own


class Unsupported(Exception):
    """Raised by an adapter for what its framework does not offer; the message is the reason shown."""


def always(_request: Request) -> bool:
    """Accept every call of the operation."""
    return True


@dataclass(frozen=True)
class Entry:
    """One way to do an operation: the function, the public calls it makes, and whose work it is.

    `accepts` says whether it does a given call (its keywords, shapes and kind of target), or raises Unsupported with
    the reason why nobody is to ask. `result` makes the framework's tensor of what the function returns, where that is
    something else; it stays outside of what is compiled. `no_gradient` is the reason why the gradient is not asked for.
    `file` is the user's own source file.
    """

    function: Callable[..., Any]
    api: str
    origin: str
    accepts: Callable[[Request], bool] = always
    result: Optional[Callable[[Any], Any]] = None
    no_gradient: str = ""
    file: str = ""


@dataclass(frozen=True)
class Phrases:
    """How the adapter's calls are written down in a script that stands alone (`lossparity show CHECK --script`).

    Lines of Python in which the harness fills in `{first}`, the first argument's name; `{call}`, the call; `{array}`,
    a NumPy array; `{tensor}`, a tensor's name; `{function}` and `{arguments}`, what is called and its other arguments,
    each with a comma before it. They do what the adapter's methods do, and a test compares the results bit for bit.

    `imports` come first and `settings` after them. `tensor` and `bfloat16` (from 16 bits as uint16) are expressions
    like `to_device`; `call` assigns `value` and `gradient` assigns `gradient` like `vjp`; `numbers` and `format` are
    expressions of a result: its exact values as a NumPy array of binary64, and the name of its format. `version` is
    what is printed after the framework's name: an expression, or several with commas between them. `bfloat16_imports`
    are those that bfloat16 alone needs.
    """

    imports: tuple[str, ...]
    settings: tuple[str, ...]
    tensor: str
    bfloat16: str
    call: tuple[str, ...]
    gradient: tuple[str, ...]
    numbers: str
    format: str
    version: str
    bfloat16_imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passes:
    """What is timed of one call, whose other arguments are bound.

    `forward(first)` returns the value, without what a gradient would need; `recorded(first)` the value and the map from
    an upstream gradient to the gradient; `both(first, upstream)` the value and the gradient.
    """

    forward: Callable[[Any], Any]
    recorded: Callable[[Any], tuple[Any, Callable[[Any], Any]]]
    both: Callable[[Any, Any], tuple[Any, Any]]


Implementation = Mapping[str, "tuple[Entry, ...]"]
"""Operation name -> the ways to do it; the first that accepts the call is used."""


class Framework(Protocol):
    """An adapter's class; constructed with the device's name (`cpu`, `cuda`, `gpu`), or raising Unsupported.

    It may have a property `phrases`, of type Phrases; without one its checks are not written as scripts. It may have a
    method `arranged(tensor, layout)` that returns a view of the same numbers with one of `lossparity.spec.LAYOUTS`, and
    numbers in the gaps that nobody may read; without one the cases of a layout are unsupported.

    For timing it may have `synchronise(tensor)`, which waits until a tensor is computed, and has to have it where calls
    return before that; `use_threads(number)`, called before anything is computed; `passes(function, rest, keywords)`,
    which returns `Passes` of a function that `compile` returned, so that its gradient is compiled with it; and for a
    device with memory and a clock of its own `peak_memory(work)`, the bytes that its allocator gave out at most during
    `work()`, and `device_clock(work, cold)`, the seconds that `work()` took, with the device's caches emptied before
    where `cold`, and its result. Both return None, without doing the work, on another device.
    """

    name: str

    def __init__(self, device: str) -> None: ...

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """Variant name ("" for the library's own functions) -> its table."""
        ...

    def pin(self) -> Mapping[str, str]:
        """Fix what would change the numerics or the speed behind our back; return what was set, to be recorded."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Return versions, device and traits; the trait `subnormals` is `gradual` or `flushed`."""
        ...

    def to_device(self, array: Array) -> Any:
        """Make a tensor of the array's format and exact values; raise Unsupported for a format it lacks."""
        ...

    def to_numpy(self, tensor: Any) -> Array:
        """Bring a result back with its own format, waiting until it is computed."""
        ...

    def vjp(
        self, function: Callable[..., Any], first: Any, rest: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Any, Callable[[Any], Any]]:
        """Call `function(first, *rest, **keywords)`; return its value and the map from an upstream gradient to the
        gradient with respect to `first`. The upstream is taken to the value's own format, which may be wider.
        """
        ...

    def compiler(self) -> str:
        """Name the framework's compiler and its version, to be recorded; raise Unsupported where there is none."""
        ...

    def compile(self, function: Callable[..., Any], keywords: Mapping[str, Keyword]) -> Callable[..., Any]:
        """Return the function, with these keywords bound, through the framework's compiler; the same one each time.

        Called, it raises Unsupported for what the compiler does not take, and never falls back to running eagerly.
        """
        ...
