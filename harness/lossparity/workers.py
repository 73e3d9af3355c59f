"""The parent's side of the children: start one, ask it, notice when it dies or hangs, start it again.

A worker's death costs the check that it was working on and no other. Nothing of the framework is known here.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lossparity import memory, wire
from lossparity.bundle import Elsewhere
from lossparity.children import Child, Greed, Silence
from lossparity.deaths import Deaths
from lossparity.errors import WireError
from lossparity.formats import Array
from lossparity.model import Crashed, Outcome, Request, TimedOut
from lossparity.target import Target

__all__ = ["Worker", "WorkerStopped"]

_MOST_STARTS = 3
_START_SECONDS = 300.0
_PATIENCE = 2.0  # seconds that a child has to end by itself
_FAILURES = (EOFError, OSError, WireError, Silence, Greed)


class WorkerStopped(Exception):
    """A backend of the worker is not asked any more; the message is the reason, for *not tested*."""


@dataclass(eq=False)
class Worker:
    """One child process for one framework on one device, with `target` a user's function and how it is called.

    `elsewhere` is another environment's Python, where the child is to run; none for this one.
    `unavailable` says why it is not asked (any more); `refused` when that is the target's fault, not the framework's;
    `broken` when it never started although nothing says that framework or device is absent. `compiled`: calls through
    the framework's compiler will be asked for; `uncompiled` says why there are none. `settings` are variables of the
    child's environment, `memory` the bytes that it may take, 0 for any and None for the default. `deaths` are those of
    the calls of each variant and mode.
    """

    adapter: str
    device: str
    timeout: float = 60.0
    target: Target | None = None
    compiled: bool = False
    elsewhere: Elsewhere | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    memory: int | None = None
    uncompiled: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    deaths: dict[tuple[str, str], Deaths] = field(default_factory=lambda: defaultdict(Deaths))
    unavailable: str = ""
    refused: bool = False
    broken: bool = False
    _child: Child | None = None
    _ready: bool = False
    _stopped: bool = False

    def start(self) -> None:
        """Start the child and return at once; its framework is imported while others start.

        Where its Python cannot be started, `unavailable` says why.
        """
        if self.elsewhere and self.elsewhere.refused:
            self.unavailable = self.elsewhere.refused
            return
        mode = "compiled" if self.compiled else "eager"
        target = [self.target.to_json()] if self.target else []
        command = self.elsewhere.command() if self.elsewhere else [sys.executable, "-P", "-m", "lossparity.worker"]
        environment = {**(self.elsewhere.environment() if self.elsewhere else os.environ), **self.settings}
        limit = memory.limit() if self.memory is None else self.memory
        try:
            self._child = Child(command, [self.adapter, self.device, mode, *target], environment, limit)
        except OSError as error:
            self.unavailable = f"its Python cannot be started: {error.strerror}"
        self._ready = False

    def wait_ready(self) -> bool:
        """Wait until the framework is imported; false when it cannot be had, with the reason in `unavailable`."""
        if not (self._ready or self.unavailable or self._child):
            self.start()
        if self._ready or self.unavailable:
            return self._ready
        header = self._greeting()
        if header is None:
            self.broken = True
            return False
        self.unavailable, self.refused = str(header.get("unavailable", "")), bool(header.get("refused"))
        told = {str(name): str(value) for name, value in header.get("ready", {}).items()}
        self.details = {**told, **({"interpreter": self.elsewhere.python} if self.elsewhere else {})}
        self.uncompiled = str(header.get("uncompiled", ""))
        self._ready = not self.unavailable
        self.broken = not (self._ready or self.refused or header.get("absent"))
        return self._ready

    def _greeting(self) -> dict[str, Any] | None:
        """Return the child's first message; one that dies at start is started again, three times in all."""
        reason = ""
        for _ in range(_MOST_STARTS):
            if self._child is None:
                self.start()
            if self._child is None:
                return None
            try:
                header = self._child.greeting(_START_SECONDS)
                if not isinstance(header.get("ready", {}), dict):
                    raise WireError("its first message does not describe it")
            except _FAILURES as error:
                cause, last = self._end(error, _START_SECONDS)
                reason = f"the worker did not start: {cause}" + (f": {last}" if last else "")
                if isinstance(error, Silence) or self._stopped:
                    break
            else:
                return header
        self.unavailable = reason
        return None

    def ask(self, request: Request, place: int | None = None) -> Outcome:
        """Put one request and wait for its outcome, a crash or a time-out.

        `place` is that among the calls of the request's variant and mode where others make some of them; by itself it
        is the next. WorkerStopped after five like deaths in a row of these: the others of the worker go on.
        """
        deaths = self.deaths[request.variant, request.mode]
        place = deaths.places(1) if place is None else place
        if reason := deaths.stopped(place):
            raise WorkerStopped(reason)
        if not self.wait_ready():
            raise WorkerStopped(self.unavailable)
        if request.mode and self.uncompiled:
            raise WorkerStopped(self.uncompiled)
        try:
            outcome = wire.unpack_outcome(*self._exchange(wire.pack_request(request)))
        except _FAILURES as error:
            cause, last = self._end(error, self.timeout)
            # Like deaths are alike in how the process ended: its last words may hold an address or a number.
            deaths.note(place, cause)
            if isinstance(error, Silence):
                return TimedOut(self.timeout)
            return Crashed(f"{cause}: {last}" if last else cause)
        deaths.note(place)
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
        try:
            return self._exchange(message)
        except _FAILURES as error:
            cause, last = self._end(error, self.timeout)
            raise WorkerStopped(f"{cause}: {last}" if last else cause) from None

    def _exchange(self, message: list[bytes]) -> tuple[dict[str, Any], dict[str, Array]]:
        if self._child is not None and self._child.waiting:  # it answered the last request once more
            self.close()
            if not self.wait_ready():
                raise WorkerStopped(self.unavailable)
        assert self._child is not None
        return self._child.exchange(message, self.timeout)

    def stop(self, reason: str) -> None:
        """Have it asked no more, at once and from any thread: what is under way ends as a crash."""
        self.unavailable, self._stopped = self.unavailable or reason, True
        child = self._child
        if child is not None:
            child.kill()

    def dismiss(self) -> None:
        """Tell the child to end, without waiting: it takes some frameworks a second, and all can do so at once."""
        if self._child is not None:
            self._child.dismiss()

    def close(self) -> None:
        """End the child and release its pipes."""
        if self._child is not None:
            self._child.close(_PATIENCE if self._ready else 0.0)
            self._child, self._ready = None, False  # whoever asks once more starts it again

    def _end(self, error: Exception, seconds: float) -> tuple[str, str]:
        """End the child after an error; return how it ended and its last words on this request."""
        assert self._child is not None
        ended = self._child.end(error, seconds)
        self._child, self._ready = None, False
        return ended
