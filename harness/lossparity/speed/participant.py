"""One backend in a job: its worker, asked to make ready, to take a sample, to hand over a result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lossparity import wire
from lossparity.errors import WireError
from lossparity.model import Backend, Outcome, Request
from lossparity.workers import Worker, WorkerStopped

__all__ = ["NotOffered", "Participant", "Refused"]


class NotOffered(Exception):
    """The backend does not offer the call; the message is the reason."""


class Refused(Exception):
    """There is no time that counts; the message is the reason: an exception, a crash, a time-out."""


@dataclass(eq=False)
class Participant:
    """A backend and the worker that is its own; `calls` says how many calls of each pass make a sample."""

    backend: Backend
    worker: Worker
    calls: dict[str, int] = field(default_factory=dict)
    _prepared: tuple[Request, list[str]] | None = None
    _lost: str = ""

    @property
    def flushed(self) -> bool:
        """Whether it declares that it flushes subnormal numbers to 0."""
        return self.worker.details.get("subnormals") == "flushed"

    @property
    def absent(self) -> str:
        """Why nothing can be asked of it, once its worker was waited for; empty where it can."""
        return self.worker.unavailable or (self.worker.uncompiled if self.backend.mode else "")

    def prepare(self, request: Request, passes: list[str]) -> dict[str, Any]:
        """Make the first calls; return their seconds under `first`, with `api` and `origin`."""
        self._prepared = request, passes
        done: dict[str, Any] = self._done(wire.pack_request(request, timing="prepare", passes=passes))
        self.calls = {name: int(number) for name, number in done["calls"].items()}
        return done

    def anew(self, processors: Sequence[int]) -> None:
        """Prepare the same in a new process, whose arrays lie elsewhere; NotOffered or Refused where that fails."""
        assert self._prepared is not None
        self.calls = {}
        self.worker.close()
        self.stay(processors)
        self.prepare(*self._prepared)

    def stay(self, processors: Sequence[int]) -> None:
        """Compute on these processors from now on, any where none are named; what drives a device stays on none."""
        if processors and self.backend.device == "cpu":
            self._do("stay", on=list(processors))

    def _calls(self, timed: str) -> int:
        if timed not in self.calls:
            raise Refused(self._lost or "it is not prepared")
        return self.calls[timed]

    def sample(self, timed: str, scale: float) -> float:
        """Return the seconds that a call of a pass took in one sample, on inputs times a power of two."""
        return float(self._do("sample", name=timed, scale=scale, calls=self._calls(timed)))

    def cold(self, timed: str, scale: float) -> float | None:
        """Return the seconds of a call that finds the device's caches empty; none where these are no device's own."""
        taken = self._do("cold", name=timed, scale=scale, calls=self._calls(timed))
        return None if taken is None else float(taken)

    def result(self, timed: str, scale: float) -> Outcome:
        """Take one more sample, of one call, and fetch its results."""
        self._calls(timed)
        self._do("sample", name=timed, scale=scale, calls=1, keep=True)
        header, arrays = self._exchange(wire.encode({"timing": "results"}, {}))
        try:
            return wire.unpack_outcome(header, arrays)
        except WireError as error:
            raise Refused(str(header.get("raised") or error.message)) from None

    def memory(self, timed: str) -> int | None:
        """Return the bytes that one call took at most beyond what was there before it."""
        self._calls(timed)
        taken = self._do("memory", name=timed, host=self.backend.device == "cpu")
        return None if taken is None else int(taken)

    def doubts(self, timed: str) -> str:
        """Say why a time is none of the work; empty where nothing speaks against it."""
        self._calls(timed)
        return str(self._do("doubts", name=timed))

    def release(self) -> None:
        """Let go of the inputs, where its process is alive."""
        self._prepared = None
        if self.calls:
            self.calls = {}
            with suppress(Refused):
                self._do("release")

    def _do(self, command: str, **given: Any) -> Any:
        return self._done(wire.encode({"timing": command, "given": given}, {}))

    def _done(self, message: list[bytes]) -> Any:
        header, _ = self._exchange(message)
        if "declined" in header:
            raise NotOffered(str(header["declined"]))
        if "done" not in header:
            raise Refused(str(header.get("raised", "the worker's reply is none")))
        return header["done"]

    def _exchange(self, message: list[bytes]) -> tuple[dict[str, Any], Any]:
        try:
            return self.worker.exchange(message)
        except WorkerStopped as stopped:
            self.calls, self._lost = {}, str(stopped)
            raise Refused(self._lost) from None
