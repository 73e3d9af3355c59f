"""One child process: its pipes, its last words, the watch over it, and its end.

It leads a session of its own, so that a Ctrl-C in the terminal is the parent's alone, and so that everything it starts
ends with it. While the parent waits for an answer it looks several times a second whether the child is alive, how much
memory it has taken and how much it has printed.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lossparity import memory, reaper, wire
from lossparity.errors import WireError
from lossparity.formats import Array

__all__ = ["REAPER", "Child", "Greed", "Silence"]

_LOOK = 0.2  # seconds between two looks at a child that is waited for
_LAST = 2000  # characters of standard error that are kept as the cause of a death
_MOST_PRINTED = 16 << 20  # bytes of standard error, which go to a file
_PATIENCE = 2.0  # seconds that a child has to end by itself


class Silence(Exception):
    """The time limit passed without an answer."""


class Greed(Exception):
    """The child has taken more memory than it may; the message says so."""


class _Reaper:
    """The process that ends this one's children when this one is killed; started with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def tell(self, sign: str, group: int) -> None:
        """Say that a group is begun (+) or over (-)."""
        with self._lock, suppress(OSError):  # without it, who is killed leaves hanging children behind: no more
            if self._owner != os.getpid():
                self._start()
            assert self._process is not None
            assert self._process.stdin is not None
            os.write(self._process.stdin.fileno(), f"{sign}{group}\n".encode())

    def _start(self) -> None:
        command = [sys.executable, "-I", "-S", str(Path(reaper.__file__))]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        self._owner = os.getpid()
        atexit.register(self._end, self._process)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)


REAPER = _Reaper()
"""Is told of every session that this process starts."""


class Child:
    """A process that answers requests, each with a number that its answer repeats.

    `limit` is the memory that it and what it starts may take, in bytes, 0 for any. OSError where it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str], limit: int
    ) -> None:
        """Start `command` with the numbers of two file descriptors, to read from and to write to, and `arguments`."""
        incoming, requests = os.pipe()
        replies, outgoing = os.pipe()
        os.set_blocking(requests, False)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        # Whoever shortens the file must not leave a hole before what is printed next.
        fcntl.fcntl(self._errors, fcntl.F_SETFL, fcntl.fcntl(self._errors, fcntl.F_GETFL) | os.O_APPEND)
        try:
            self._process = subprocess.Popen(
                [*command, str(incoming), str(outgoing), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(incoming, outgoing),
                env=dict(environment),
                start_new_session=True,
            )
        except OSError:
            os.close(replies)
            os.close(requests)
            self._errors.close()
            raise
        finally:
            os.close(incoming)
            os.close(outgoing)
        self.pid = self._process.pid
        REAPER.tell("+", self.pid)
        self._source, self._sink, self._limit = replies, requests, limit
        self._deadline, self._number, self._said_before, self._closed = 0.0, 0, 0, False
        self._lock = threading.Lock()

    def greeting(self, seconds: float) -> dict[str, Any]:
        """Return its first message; errors as of `exchange`."""
        self._deadline = time.monotonic() + seconds
        return self._reply()[0]

    def exchange(self, message: list[bytes], seconds: float) -> tuple[dict[str, Any], dict[str, Array]]:
        """Send a message and return the answer to it.

        Raises Silence after so many seconds, Greed beyond the memory limit, WireError for what is no answer to this
        message, EOFError or OSError where the child is dead or has closed its pipes.
        """
        self._deadline = time.monotonic() + seconds
        self._said_before = os.fstat(self._errors.fileno()).st_size
        self._number += 1
        for part in wire.numbered(message, self._number):
            self._write(part)
        reply = self._reply()
        if self.waiting:
            raise WireError("it answers twice")
        return reply

    @property
    def waiting(self) -> bool:
        """Whether it has said something that nobody has read."""
        (size,) = struct.unpack("i", fcntl.ioctl(self._source, termios.FIONREAD, bytes(4)))
        return bool(size)

    def _reply(self) -> tuple[dict[str, Any], dict[str, Array]]:
        header, arrays = wire.read(self)  # type: ignore[arg-type] # it has the one method that is used
        number = header.pop("number", 0)
        if number != self._number:
            raise WireError("it answers another request")
        return header, arrays

    def readinto(self, view: memoryview) -> int:
        """Read what there is, at most as much as fits; 0 at the end."""
        self._wait([self._source], [])
        return os.readv(self._source, [view])

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait([], [self._sink])
            view = view[os.write(self._sink, view[: 1 << 16]) :]

    def _wait(self, reading: list[int], writing: list[int]) -> None:
        while True:
            left = self._deadline - time.monotonic()
            dead = self._dead()  # looked at before the pipe: what it wrote last is still read
            if any(select.select(reading, writing, [], 0.0 if dead else max(min(left, _LOOK), 0.0))):
                return
            if dead:  # whom it forked may hold the other end
                raise EOFError("the process has ended")
            if left <= 0.0:
                raise Silence
            self._look()

    def _dead(self) -> bool:
        """Whether the process has ended; it is not waited for, so that its number stays its own."""
        with suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True

    def _look(self) -> None:
        if self._limit and memory.taken(self.pid) > self._limit:
            raise Greed(f"it took more than {memory.shown(self._limit)} of memory (--memory SIZE gives it more)")
        if os.fstat(self._errors.fileno()).st_size > _MOST_PRINTED:
            last = self._printed(0)
            os.ftruncate(self._errors.fileno(), 0)
            os.write(self._errors.fileno(), last)
            self._said_before = 0

    def _printed(self, start: int) -> bytes:
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), _LAST, max(size - _LAST, start))

    def kill(self) -> None:
        """End it and all that it started, at once and from any thread."""
        with self._lock:
            if not self._closed:
                self._kill()

    def _kill(self) -> None:
        with suppress(OSError):  # it is gone
            os.killpg(self.pid, signal.SIGKILL)

    def dismiss(self) -> None:
        """Tell it to end, without waiting: it takes some frameworks a second, and all can do so at once."""
        if self._sink >= 0:
            os.close(self._sink)  # the end of its requests is its word to leave
            self._sink = -1

    def close(self, patience: float = _PATIENCE) -> None:
        """End it, after so many seconds by force, and release its pipes."""
        self.dismiss()
        end = time.monotonic() + patience
        while not self._dead() and time.monotonic() < end:
            time.sleep(0.005)
        with self._lock:
            self._kill()  # before it is waited for: until then nobody else's group can have its number
            self._closed = True
        REAPER.tell("-", self.pid)
        self._process.wait()
        os.close(self._source)
        self._errors.close()

    def end(self, error: Exception, seconds: float) -> tuple[str, str]:
        """Close it after an error; return how it ended, by signal or exit status, and its last words on the request."""
        if isinstance(error, Silence):
            cause = f"no answer in {seconds:g} s"
        elif isinstance(error, Greed):
            cause = str(error)
        elif isinstance(error, WireError):
            cause = f"its reply is not a message ({error.message})"
        else:
            cause = self._ended()
        self._kill()
        last = self._printed(self._said_before).decode(errors="replace").strip()
        self.close(0.0)
        return cause, last

    def _ended(self) -> str:
        end = time.monotonic() + _PATIENCE
        while not self._dead():
            if time.monotonic() > end:
                return "it closed its pipes"
            time.sleep(0.005)
        status = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert status is not None
        if status.si_code == os.CLD_EXITED:
            return f"exit status {status.si_status}"
        return f"killed by {_signal(status.si_status)}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no names
        return f"signal {number}"
