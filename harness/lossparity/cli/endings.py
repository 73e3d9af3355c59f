"""How a command ends early: errors of this project, signals, and outputs that nobody reads any more.

Each is one message and an exit status. What was judged or timed until then is in the record already.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossparity.errors import LossparityError, UsageError, suggest
from lossparity.plain import visible

if TYPE_CHECKING:
    from types import FrameType
    from typing import TextIO

__all__ = ["Group", "Interrupted", "Unsound", "kept"]

_HEARD = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
_STYLES = re.compile(r"(\x1b\[[0-9;]*m)")
_DRAWN = re.compile(r"(\x1b\[(?:[0-9;]*m|\?25[hl]|2K|1A)|\r)")  # and what draws a progress bar
_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)  # a pipe that nobody reads, a terminal that was closed


class _Signalled(KeyboardInterrupt):
    """A signal that ends the command, like Ctrl-C; it knows which."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Interrupted(LossparityError):
    """The user, or a signal, stopped the command: exit status 128 and the signal's number, as shells say it."""

    def __init__(self, by: KeyboardInterrupt, more: str = "", *, hint: str = "") -> None:
        """Say by which signal, and what `more` there is to know."""
        number = by.number if isinstance(by, _Signalled) else signal.SIGINT
        name = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
        super().__init__(f"interrupted{name}{more}", hint=hint)
        self.exit_code = 128 + number


class Unsound(LossparityError):
    """The machine's own floating-point arithmetic cannot be relied on."""

    exit_code = 3


@contextmanager
def kept(what: str, record: Path, hint: str = "") -> Iterator[None]:
    """Say of an interruption that what was judged, or timed, until then is in a record, and what to do next."""
    try:
        yield
    except KeyboardInterrupt as by:
        hint = hint or f"`lossparity report {record}` makes its page"
        raise Interrupted(by, f"; what was {what} until now is in {record}", hint=hint) from None


@contextmanager
def _hearing() -> Iterator[None]:
    """Have the signals that end a command raise a KeyboardInterrupt, and the second of them end it at once.

    One that is ignored stays so: `nohup` and shells that start something in the background mean it.
    """

    def hear(number: int, _frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, lambda again, _: os._exit(128 + again))
        raise _Signalled(number)

    before = {one: signal.getsignal(one) for one in _HEARD}
    before = {one: handler for one, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for one in before:
            signal.signal(one, hear)
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Outlet:
    """Standard output or error. Texts of strangers, in records say, do nothing to a terminal but to be read.

    It may go away under way: what is written then is lost, and nothing else.
    """

    def __init__(self, stream: TextIO, name: str, meant: re.Pattern[str]) -> None:
        self._stream, self._name, self._meant = stream, name, meant

    def write(self, text: str) -> int:
        if text == "":  # with which click finds out what kind of stream it is
            return 0
        with self._guarded():
            self._stream.write(text if text.isprintable() else self._visible(text))
        return len(text)

    def _visible(self, text: str) -> str:
        parts = self._meant.split(text)
        return "".join(part if at % 2 else visible(part) for at, part in enumerate(parts))

    def flush(self) -> None:
        with self._guarded():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._drop()
            if error.errno not in _GONE:
                raise UsageError(f"standard {self._name} cannot be written: {error.strerror}") from None

    def _drop(self) -> None:
        """Send what is left, and what comes, nowhere: it would be tried once more when Python ends."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def _outlets() -> Iterator[None]:
    """Guard standard output and error."""
    before = sys.stdout, sys.stderr
    sys.stdout = _Outlet(sys.stdout, "output", _STYLES)
    sys.stderr = _Outlet(sys.stderr, "error", _DRAWN)
    try:
        yield
    finally:
        with suppress(UsageError):
            sys.stdout.flush()
            sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _three() -> None:
    """Open what is closed of standard input, output and error: a file or pipe of ours would take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


class Group(click.Group):
    """Turns this project's errors into one message and their exit status, and suggests misspelt commands."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; signals and outputs that go away are endings too."""
        _three()
        with ExitStack() as stack:
            stack.enter_context(_outlets())
            with suppress(ValueError):  # signals are heard in the main thread alone
                stack.enter_context(_hearing())
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of ours, or an interruption, is its ending."""
        try:
            return super().invoke(ctx)
        except LossparityError as error:
            self._end(ctx, error)
        except KeyboardInterrupt as by:
            self._end(ctx, Interrupted(by))

    def _end(self, ctx: click.Context, error: LossparityError) -> None:
        click.echo(f"lossparity: {visible(str(error))}", err=True)
        ctx.exit(error.exit_code)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command by its name, or raise UsageError with the nearest one."""
        if args and args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise UsageError(f"no command {args[0]!r}", hint=suggest(args[0], self.commands, "command"))
        return super().resolve_command(ctx, args)
