"""The child's main: one framework, on pipes of its own, answering one request at a time until the parent hangs up.

`python -m lossparity.worker IN OUT MODULE:CLASS DEVICE MODE [TARGET]`. Standard output goes to standard error, since
frameworks print, and what is printed is never a verdict. MODE is `compiled` where calls through the framework's
compiler will be asked for. The user's function of TARGET, a `lossparity.target.Target` as JSON, is imported here alone.
Where LOSSPARITY_THREADS is set, a framework computes with so many threads: calls are then to be timed.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, Mapping, Optional

from lossparity import wire
from lossparity.call import call, said
from lossparity.framework import Framework, Implementation, Unsupported
from lossparity.model import Declined, Raised, Request
from lossparity.processors import allowed, stay
from lossparity.target import Target, implementation
from lossparity.timing import Clock

__all__ = ["THREADS", "main"]

THREADS = "LOSSPARITY_THREADS"
"""The variable of the environment that says with how many threads a framework computes."""

_PROCESS = os.getpid()


def main(arguments: list[str]) -> None:
    """Serve requests from file descriptor IN on file descriptor OUT."""
    source, sink, adapter, device, mode, *target = arguments
    os.dup2(2, 1)
    os.environ["LOSSPARITY_CHILD"] = "1"  # whose own module calls `lossparity.check` again is told so
    with suppress(OSError):  # where memory ends, it is this process that is killed, and not the parent
        Path("/proc/self/oom_score_adj").write_text("500")
    with os.fdopen(int(source), "rb") as requests, os.fdopen(int(sink), "wb") as replies:
        try:
            with _threads() as threads:
                framework = _construct(adapter, device)
                variants: dict[str, Implementation] = dict(framework.implementations)
                pinned = {**framework.pin(), **threads}
                use_threads: Optional[Callable[[int], None]] = getattr(framework, "use_threads", None)
                if threads and use_threads is not None:
                    use_threads(int(threads["threads"]))
            told = {**framework.describe(), **{f"pinned {k}": v for k, v in pinned.items()}}
            described = {str(name): str(value) for name, value in told.items()}
            described["python"] = platform.python_version()
            uncompiled = _compiler(framework, described) if mode == "compiled" else ""
        except Unsupported as error:
            _send(replies, {"unavailable": said(error), "absent": True})
            return
        except BaseException as error:  # noqa: BLE001 - whatever keeps a framework from starting is the reason shown
            _send(replies, {"unavailable": f"{type(error).__name__}: {said(error)}"})
            return
        users = Target.from_json(target[0]) if target else None
        if users:
            try:
                variants["target"] = implementation(users)
            except ImportError as error:
                _send(replies, {"unavailable": str(error), "refused": True})
                return
        _send(replies, {"ready": described, "variants": sorted(map(str, variants)), "uncompiled": uncompiled})
        try:
            _serve(framework, variants, users, requests, replies)
        except SystemExit as left:
            line = traceback.extract_tb(left.__traceback__)[-1]
            sys.stderr.write(f"sys.exit({left.code!r}) was called at {line.filename}:{line.lineno}\n")
            raise


@contextmanager
def _threads() -> Iterator[dict[str, str]]:
    """Let a framework that is imported here see so many processors that its pools have the threads asked for.

    What is computed later may run on any of them, until the parent says which (`lossparity.speed.places`).
    """
    number = os.environ.get(THREADS, "")
    if not number:
        yield {}
        return
    every = allowed()
    if not every:  # not Linux: `use_threads` and the variables of OpenMP are all there is
        yield {"threads": number}
        return
    stay(every[-int(number) :])
    try:
        yield {"threads": number}
    finally:
        stay(every)


def _compiler(framework: Framework, described: dict[str, str]) -> str:
    """Describe the framework's compiler, or return why there is none."""
    try:
        described["compiler"] = framework.compiler()
    except Unsupported as error:
        return str(error)
    return ""


def _construct(adapter: str, device: str) -> Framework:
    module, _, name = adapter.partition(":")
    made: Framework = getattr(importlib.import_module(module), name)(device)
    return made


def _serve(
    framework: Framework,
    variants: Mapping[str, Implementation],
    users: Optional[Target],
    requests: BinaryIO,
    replies: BinaryIO,
) -> None:
    clock = Clock(framework, variants)
    while True:
        try:
            header, arrays = wire.read(requests)
        except EOFError:
            return
        number = int(header.get("number", 0))
        if "timing" in header:
            _write(replies, clock.answer(header, arrays), number)
            continue
        request = wire.unpack_request(header, arrays)
        if header.get("written"):
            _write(replies, wire.encode(_written(framework, variants, request, users), {}), number)
            continue
        if request.variant in variants:
            outcome = call(framework, variants[request.variant], request)
        else:
            outcome = Declined(f"{framework.name} has no variant {request.variant!r}")
        try:
            parts = wire.pack_outcome(outcome)
        except TypeError as error:  # an adapter returned something that cannot be sent
            parts = wire.pack_outcome(Raised("TypeError", str(error)))
        _write(replies, parts, number)


def _written(
    framework: Framework, variants: Mapping[str, Implementation], request: Request, users: Optional[Target]
) -> dict[str, Any]:
    from lossparity.source import written

    try:
        return {"written": written(framework, variants.get(request.variant, {}), request, users)}
    except Unsupported as error:
        return {"problem": str(error)}
    except Exception as error:  # noqa: BLE001 - a stranger's adapter may be written in a way that cannot be shown
        return {"problem": f"{type(error).__name__}: {error}"}


def _send(replies: BinaryIO, header: dict[str, Any]) -> None:
    _write(replies, wire.encode(header, {}))


def _write(replies: BinaryIO, parts: list[bytes], number: int = 0) -> None:
    if os.getpid() != _PROCESS:
        os._exit(0)  # a copy that was forked under way does not answer too
    for part in wire.numbered(parts, number):
        replies.write(part)
    replies.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
