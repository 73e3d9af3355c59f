"""The parent's side of the children: start one, ask it, notice when it dies or hangs, start it again.

A worker's death costs the check that it was working on and no other. Nothing of the framework is known here.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from lossparity import wire
from lossparity.bundle import Elsewhere
from lossparity.errors import WireError
from lossparity.formats import Array
from lossparity.model import Crashed, Outcome, Request, TimedOut
from lossparity.target import Target

__all__ = ["Worker", "WorkerStopped"]

_MOST_DEATHS = 5
_MOST_STARTS = 3
_START_SECONDS = 300.0
_LAST = 2000  # characters of standard error that are kept as the cause of a death


class WorkerStopped(Exception):
    """A backend of the worker is not asked any more; the message is the reason, for *not tested*."""


class _Silence(Exception):
    """The time limit passed without an answer."""


@dataclass
class _Pipe:
    """Reads and writes on file descriptors of a child, until a deadline."""

    source: int
    sink: int
    deadline: float

    def readinto(self, view: memoryview) -> int:
        self._wait([self.source], [])
        return os.readv(self.source, [view])

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait([], [self.sink])
            view = view[os.write(self.sink, view[: 1 << 16]) :]

    def _wait(self, reading: list[int], writing: list[int]) -> None:
        left = max(self.deadline - time.monotonic(), 0.0)
        if not any(select.select(reading, writing, [], left)):
            raise _Silence


@dataclass(eq=False)
class Worker:
    """One child process for one framework on one device, with `target` a user's function and how it is called.

    `elsewhere` is another environment's Python, where the child is to run; none for this one.
    `unavailable` says why it is not asked (any more); `refused` when that is the target's fault, not the framework's;
    `broken` when it never started although nothing says that framework or device is absent. `compiled`: calls through
    the framework's compiler will be asked for; `uncompiled` says why there are none. `settings` are variables of the
    child's environment.
    """

    adapter: str
    device: str
    timeout: float = 60.0
    target: Target | None = None
    compiled: bool = False
    elsewhere: Elsewhere | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    uncompiled: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    unavailable: str = ""
    refused: bool = False
    broken: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _errors: IO[bytes] | None = None
    _pipe: _Pipe | None = None
    _ready: bool = False
    _stopped: bool = False
    _said_before: int = 0
    _deaths: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def start(self) -> None:
        """Start the child and return at once; its framework is imported while others start.

        Where its Python cannot be started, `unavailable` says why.
        """
        if self.elsewhere and self.elsewhere.refused:
            self.unavailable = self.elsewhere.refused
            return
        incoming, requests = os.pipe()
        replies, outgoing = os.pipe()
        os.set_blocking(requests, False)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        self._said_before = 0
        mode = "compiled" if self.compiled else "eager"
        target = [self.target.to_json()] if self.target else []
        arguments = [str(incoming), str(outgoing), self.adapter, self.device, mode, *target]
        here = [sys.executable, "-P", "-m", "lossparity.worker"]
        try:
            self._process = subprocess.Popen(
                [*(self.elsewhere.command() if self.elsewhere else here), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(incoming, outgoing),
                env={**(self.elsewhere.environment() if self.elsewhere else os.environ), **self.settings},
            )
        except OSError as error:
            os.close(replies)
            os.close(requests)
            self._errors.close()
            self.unavailable = f"its Python cannot be started: {error.strerror}"
            return
        finally:
            os.close(incoming)
            os.close(outgoing)
        self._pipe, self._ready = _Pipe(replies, requests, 0.0), False

    def wait_ready(self) -> bool:
        """Wait until the framework is imported; false when it cannot be had, with the reason in `unavailable`."""
        if not (self._ready or self.unavailable or self._process):
            self.start()
        if self._ready or self.unavailable:
            return self._ready
        header = self._greeting()
        if header is None:
            self.broken = True
            return False
        self.unavailable, self.refused = str(header.get("unavailable", "")), bool(header.get("refused"))
        self.details = {**header.get("ready", {}), **({"interpreter": self.elsewhere.python} if self.elsewhere else {})}
        self.uncompiled = str(header.get("uncompiled", ""))
        self._ready = not self.unavailable
        self.broken = not (self._ready or self.refused or header.get("absent"))
        return self._ready

    def _greeting(self) -> dict[str, Any] | None:
        """Return the child's first message; one that dies at start is started again, three times in all."""
        reason = ""
        for _ in range(_MOST_STARTS):
            if self._process is None:
                self.start()
            if self._process is None:
                return None
            try:
                return self._receive(_START_SECONDS)[0]
            except (EOFError, OSError, WireError, _Silence) as error:
                cause, last = self._end(error, _START_SECONDS)
                reason = f"the worker did not start: {cause}" + (f": {last}" if last else "")
                if isinstance(error, _Silence) or self._stopped:
                    break
        self.unavailable = reason
        return None

    def ask(self, request: Request) -> Outcome:
        """Put one request and wait for its outcome, a crash or a time-out.

        WorkerStopped after five like deaths in a row of the request's variant and mode: the others of the worker go on.
        """
        deaths = self._deaths.setdefault((request.variant, request.mode), [])
        if len(deaths) >= _MOST_DEATHS:
            raise WorkerStopped(f"stopped after {_MOST_DEATHS} like deaths in a row: {deaths[-1]}")
        if not self.wait_ready():
            raise WorkerStopped(self.unavailable)
        if request.mode and self.uncompiled:
            raise WorkerStopped(self.uncompiled)
        assert self._pipe is not None and self._errors is not None
        self._pipe.deadline = time.monotonic() + self.timeout
        self._said_before = os.fstat(self._errors.fileno()).st_size
        try:
            for part in wire.pack_request(request):
                self._pipe.write(part)
            outcome = wire.unpack_outcome(*wire.read(self._pipe))  # type: ignore[arg-type]
        except _Silence:
            assert self._process is not None
            self._process.kill()
            self.close()
            self._died(deaths, f"no answer in {self.timeout:g} s")
            return TimedOut(self.timeout)
        except (EOFError, OSError, WireError) as error:
            cause, last = self._end(error, self.timeout)
            self._died(deaths, cause)
            return Crashed(f"{cause}: {last}" if last else cause)
        deaths.clear()
        return outcome

    def written(self, request: Request) -> dict[str, Any]:
        """Return how a call is written as a script (`lossparity.source`); WorkerStopped when that cannot be told."""
        header, _ = self.exchange(wire.pack_request(request, written=True))
        if "written" not in header:
            raise WorkerStopped(str(header.get("problem", "the worker gave no answer")))
        found: dict[str, Any] = header["written"]
        return found

    def exchange(self, message: list[bytes]) -> tuple[dict[str, Any], dict[str, Array]]:
        """Send a message and return the reply; WorkerStopped, with the cause, where there is none."""
        if not self.wait_ready():
            raise WorkerStopped(self.unavailable)
        assert self._pipe is not None and self._errors is not None
        self._pipe.deadline = time.monotonic() + self.timeout
        self._said_before = os.fstat(self._errors.fileno()).st_size
        try:
            for part in message:
                self._pipe.write(part)
            return wire.read(self._pipe)  # type: ignore[arg-type]
        except (EOFError, OSError, WireError, _Silence) as error:
            cause, last = self._end(error, self.timeout)
            raise WorkerStopped(f"{cause}: {last}" if last else cause) from None

    def stop(self, reason: str) -> None:
        """Have it asked no more, at once and from any thread: what is under way ends as a crash."""
        self.unavailable, self._stopped = self.unavailable or reason, True
        process = self._process
        if process is not None:
            process.kill()

    def dismiss(self) -> None:
        """Tell the child to end, without waiting: it takes some frameworks a second, and all can do so at once."""
        if self._pipe is not None and self._pipe.sink >= 0:
            os.close(self._pipe.sink)  # the end of its requests is its word to leave
            self._pipe.sink = -1

    def close(self) -> None:
        """End the child and release its pipes."""
        if self._process is None or self._pipe is None or self._errors is None:
            return
        self.dismiss()
        try:
            self._process.wait(0.0 if not self._ready else 2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._pipe.source)
        self._errors.close()
        self._process = self._pipe = self._errors = None
        self._ready = False  # whoever asks once more starts it again

    def _receive(self, seconds: float) -> tuple[dict[str, Any], Any]:
        assert self._pipe is not None
        self._pipe.deadline = time.monotonic() + seconds
        return wire.read(self._pipe)  # type: ignore[arg-type]

    def _died(self, deaths: list[str], cause: str) -> None:
        # Like deaths are alike in how the process ended: its last words may hold an address or a number.
        if deaths and deaths[-1] != cause:
            deaths.clear()
        deaths.append(cause)

    def _end(self, error: Exception, seconds: float) -> tuple[str, str]:
        """Say how the child ended, by signal or exit status, and its last words on this request."""
        assert self._process is not None and self._errors is not None
        process, errors = self._process, self._errors
        if isinstance(error, _Silence):
            cause = f"no answer in {seconds:g} s"
            process.kill()
        elif isinstance(error, WireError):
            cause = f"its reply is not a message ({error.message})"
            process.kill()
        else:
            cause = ""
        try:
            status = process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            status, cause = process.wait(), "it closed its pipes"
        if not cause:
            cause = f"killed by {_signal(-status)}" if status < 0 else f"exit status {status}"
        size = os.fstat(errors.fileno()).st_size
        last = os.pread(errors.fileno(), _LAST, max(size - _LAST, self._said_before)).decode(errors="replace")
        self.close()
        return cause, last.strip()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no names
        return f"signal {number}"
