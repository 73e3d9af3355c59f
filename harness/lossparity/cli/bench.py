"""`lossparity bench`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from lossparity.cli import completing, contract, options
from lossparity.cli.endings import kept
from lossparity.cli.steps import backends_named, page, require_sound_arithmetic, select
from lossparity.errors import UsageError
from lossparity.spec import PASSES


@click.command()
@options.backend
@click.option(
    "--against",
    metavar="NAME",
    shell_complete=completing.backends,
    help="The backend that the others are compared with (default: the first).",
)
@click.option("--target", metavar="TARGET", help="Your own function too, as `lossparity check` takes it.")
@click.option(
    "--operation",
    default="cross_entropy",
    show_default=True,
    shell_complete=completing.operations,
    help="Which operation the function of --target does; only its cases are timed then.",
)
@click.option(
    "--framework",
    default="numpy",
    show_default=True,
    shell_complete=completing.frameworks,
    help="Whose tensors the function of --target takes.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    shell_complete=completing.devices,
    help="Device of the tensors that the function of --target takes.",
)
@contract.mode
@options.case
@options.cases
@options.format
@click.option(
    "--pass",
    "passes",
    multiple=True,
    type=options.named("pass", *PASSES),
    help="Only this pass; repeatable.",
)
@click.option("--rounds", default=40, show_default=True, type=click.IntRange(min=8), help="Rounds of a case at most.")
@click.option("--seconds", default=20.0, show_default=True, help="Time for the rounds of a case.")
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(min=1), help="Threads that a framework may use."
)
@click.option(
    "--allocator",
    default="system",
    show_default=True,
    type=options.named("allocator", "system", "reuse"),
    help="glibc's settings: as they are, or so that it keeps freed memory.",
)
@click.option(
    "--margin", default=0.03, show_default=True, help="By which share two times must differ to be called different."
)
@click.option("--timeout", default=300.0, show_default=True, metavar="SECONDS", help="Time limit of one step.")
@options.memory
@options.output("speed.jsonl and speed.html")
@click.option(
    "--json",
    "exported",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.json",
    help="Write the times in the form of pytest-benchmark.",
)
def bench(
    names: tuple[str, ...],
    against: str | None,
    target: str | None,
    operation: str,
    framework: str,
    device: str,
    mode: str,
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    passes: tuple[str, ...],
    rounds: int,
    seconds: float,
    threads: int,
    allocator: str,
    margin: float,
    timeout: float,
    memory: int | None,
    output: Path,
    exported: Path | None,
) -> None:
    """Time backends side by side, with their memory; say who is faster where that can be believed.

    Every backend has a process of its own, and in every round each takes one sample, in random order. Results are
    checked after they were timed. Exit status: 0 all was timed, 1 a time is none of a right result, 2 wrong use,
    3 something asked for by name is missing or nothing was timed.
    """
    require_sound_arithmetic()
    if "PYTEST_XDIST_WORKER" in os.environ:
        hint = "run it alone: pytest -p no:xdist, or -n 0"
        raise UsageError("other tests run at the same time, so no time would mean anything", hint=hint)
    if not seconds > 0 or not timeout > 0 or not 0 <= margin < 1:
        raise UsageError("--seconds and --timeout are above 0, and --margin is from 0 to below 1")
    from lossparity import console, registry, suite
    from lossparity.checking import backends_of
    from lossparity.model import Backend
    from lossparity.ratios import LEAST
    from lossparity.record import Writer, read
    from lossparity.speed import export, table
    from lossparity.speed.bench import Bench
    from lossparity.speed.bench import bench as timed
    from lossparity.speed.rounds import Limits
    from lossparity.target import Target

    backends, named = backends_named(names)
    users = None
    if target is not None:
        users = Target(target, operation, {}, "", True, ())
        users.check()
        registry.resolve([framework])
        backends += backends_of(framework, device, mode)
    base = Backend.parse(against) if against else backends[0]
    if base not in backends:
        hint = f"one of {', '.join(map(str, backends))}"
        raise UsageError(f"--against {against} is not among the backends that are timed", hint=hint)
    cases = select(suite.load(list(paths) or [suite.built_in()], timed=True), globs, formats)
    if users:
        cases = tuple(case for case in cases if case.operation == operation)
        if not cases:
            raise UsageError(f"no selected case is about {operation}", hint="choose --case or --operation otherwise")
    plan = Bench(
        backends,
        cases,
        base,
        formats,
        [name for name in PASSES if not passes or name in passes],
        Limits(rounds, LEAST, seconds),
        threads,
        allocator,
        margin,
        timeout,
        shlex.join(["lossparity", *sys.argv[1:]]),
        users,
        memory=memory,
    )
    path = output / "speed.jsonl"
    with kept("timed", path), Writer(path) as writer, console.steps() as told:
        footer = timed(plan, writer, told)
    record = read(path)
    click.echo(table.text(record))
    if exported:
        export.write(record, exported)
        click.echo(f"json:   {exported}")
    click.echo(f"record: {path}")
    click.echo(f"page:   {page(path, output / 'speed.html')}")
    missing = named & {one.what for one in footer.not_tested}
    sys.exit(3 if missing else footer.exit_code)
