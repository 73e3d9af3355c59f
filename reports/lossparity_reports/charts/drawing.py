"""Charts drawn as SVG beside what else is done for a page: by a child process, with an engine of scripts in it.

The child is started for the first page of a process and kept for the next. However this process ends, the pipe to the
child closes then, and the child ends as well.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Timer
from typing import Any

import msgspec

from lossparity.plain import line

__all__ = ["ABSENT", "Painter", "Undrawn", "painter"]

ABSENT = "Without vl-convert-python, which draws them, this page has the tables of the charts alone."
"""What the page says where the package is not installed."""

_COMMAND = (sys.executable, "-P", "-m", "lossparity_reports.charts.painting")
_SECONDS = 60.0  # for the charts of a page, which take one or two
_MOST = 200  # characters of a reason


class Undrawn(Exception):
    """The charts were not drawn; the message is what the page says instead."""


class Painter:
    """A child process that draws; after its death the next page has another."""

    def __init__(self, command: Sequence[str] = _COMMAND, seconds: float = _SECONDS) -> None:
        self._command = tuple(command)
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._beside = ThreadPoolExecutor(1, "charts")  # one page after another
        atexit.register(self._end)

    def start(self) -> None:
        """Start the child and return at once: its engine takes a while until it can draw."""
        self._beside.submit(self._started)

    def draw(self, specs: Sequence[dict[str, Any]]) -> Future[list[str]]:
        """Return at once; the result will be the `svg` elements of Vega-Lite specifications, its exception Undrawn."""
        return self._beside.submit(self._drawn, specs)

    def stop(self) -> None:
        """End the child, once all is drawn, and wait for that."""
        self._beside.submit(self._end).result()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            try:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            except OSError as error:
                raise _undrawn(f"the process that draws them cannot be started: {error.strerror}") from None
        return self._process

    def _drawn(self, specs: Sequence[dict[str, Any]]) -> list[str]:
        if importlib.util.find_spec("vl_convert") is None:
            raise Undrawn(ABSENT)
        process = self._started()
        overdue, until = Timer(self._seconds, process.kill), time.monotonic() + self._seconds
        overdue.start()
        try:
            return [_asked(process, spec) for spec in specs]
        except (OSError, EOFError):
            self._end()
            late = time.monotonic() >= until
            why = f"did not answer in {self._seconds:g} s" if late else f"ended with status {process.returncode}"
            raise _undrawn(f"the process that draws them {why}") from None
        finally:
            overdue.cancel()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.communicate(timeout=1)  # there is nothing more to read, so it ends
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def painter() -> Painter:
    """Return the one of this process."""
    return _painter_of(os.getpid())  # a process that was forked has no threads, and is none of the child's parents


@functools.cache
def _painter_of(process: int) -> Painter:  # noqa: ARG001
    return Painter()


def _asked(process: subprocess.Popen[bytes], spec: dict[str, Any]) -> str:
    """Return the drawing of one specification; EOFError or OSError where the child is gone."""
    assert process.stdin and process.stdout
    process.stdin.write(msgspec.json.encode(spec) + b"\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer.endswith(b"\n"):
        raise EOFError
    said: dict[str, str] = msgspec.json.decode(answer)
    if "svg" not in said:
        raise _undrawn(f"vl-convert-python says: {line(said['error'], _MOST)}")
    return said["svg"]


def _undrawn(why: str) -> Undrawn:
    return Undrawn(f"The charts were not drawn, so this page has their tables alone: {why}.")
