"""The command line: options in, one call down, text out. No logic; nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import platform
import sys

import click

from lossparity import __version__
from lossparity.cli.bench import bench
from lossparity.cli.check import check
from lossparity.cli.compare import compare
from lossparity.cli.completion import completion
from lossparity.cli.doctor import doctor
from lossparity.cli.endings import Group
from lossparity.cli.explain import explain
from lossparity.cli.export import export
from lossparity.cli.history import history
from lossparity.cli.init import init
from lossparity.cli.known import known
from lossparity.cli.listing import list_
from lossparity.cli.matrix import matrix
from lossparity.cli.merge import merge
from lossparity.cli.report import report
from lossparity.cli.run import run
from lossparity.cli.show import show

__all__ = ["main"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__, "--version", message=f"%(prog)s %(version)s, Python {platform.python_version()} ({sys.executable})"
)
@click.pass_context
def main(context: click.Context) -> None:
    """Certified conformance of softmax, log-softmax, NLL and cross-entropy, on any framework.

    Exit status: 0 conforms, 1 a failure, error, crash or time-out, 2 wrong use or a bad case file, 3 something asked
    for by name is missing, nothing was judged, or the floating-point self-test fails.
    """
    # As https://no-color.org and https://force-color.org ask for; otherwise colour is for terminals.
    if os.environ.get("NO_COLOR"):
        context.color = False
    elif os.environ.get("FORCE_COLOR"):
        context.color = True


_COMMANDS = (
    *(bench, check, compare, completion, doctor, explain, export, history, init, known, list_, matrix, merge, report),
    *(run, show),
)
for command in _COMMANDS:
    main.add_command(command)
