"""Other programs that a matrix waits for, some at once, and ends together when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock

from lossparity.children import REAPER

__all__ = ["Commands"]


class Commands:
    """Programs that are under way; each leads a session of its own, so that what it started ends with it.

    Where this process is killed, they end too.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._running: set[subprocess.Popen[str]] = set()
        self._lock, self._over = Lock(), False

    def call(
        self, command: Sequence[str], environment: Mapping[str, str] | None, seconds: float | None = None
    ) -> tuple[int, str]:
        """Return the exit status of a program and all that it printed; OSError or TimeoutExpired where it has none.

        Without an `environment` it has this process's own.
        """
        with self._lock:
            if self._over:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        REAPER.tell("+", process.pid)
        try:
            printed, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _tell(process, signal.SIGKILL)
            process.communicate()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
            REAPER.tell("-", process.pid)
        return process.returncode, printed

    def end(self) -> None:
        """End all of them, and start no more."""
        with self._lock:
            self._over = True
            for process in self._running:
                _tell(process, signal.SIGTERM)


def _tell(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(OSError):  # it is gone
        os.killpg(process.pid, number)
