"""How a command ends early: this project's errors as one message and their exit status."""

from __future__ import annotations

from typing import Any

import click

from lossparity.errors import LossparityError, UsageError, suggest

__all__ = ["Group", "Interrupted", "Unsound"]


class Interrupted(LossparityError):
    """The user, or a signal, stopped the command."""

    exit_code = 130  # 128 + SIGINT, as shells say it


class Unsound(LossparityError):
    """The machine's own floating-point arithmetic cannot be relied on."""

    exit_code = 3


class Group(click.Group):
    """Turns this project's errors into one message and their exit status, and suggests misspelt commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of ours, or an interruption, is its ending."""
        try:
            return super().invoke(ctx)
        except LossparityError as error:
            self._end(ctx, error)
        except KeyboardInterrupt:
            self._end(ctx, Interrupted("interrupted"))

    def _end(self, ctx: click.Context, error: LossparityError) -> None:
        click.echo(f"lossparity: {error}", err=True)
        ctx.exit(error.exit_code)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command by its name, or raise UsageError with the nearest one."""
        if args and args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise UsageError(f"no command {args[0]!r}", hint=suggest(args[0], self.commands, "command"))
        return super().resolve_command(ctx, args)
