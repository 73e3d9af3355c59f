"""The command line: options in, one call down, text out. No logic; nothing heavy is imported before it is needed."""

from __future__ import annotations

import shlex
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossparity import __version__, options
from lossparity.errors import LossparityError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossparity.model import Backend, Case
    from lossparity.reference import Remember
    from lossparity.suite import Suite

__all__ = ["main"]


class _Interrupted(LossparityError):
    exit_code = 130  # 128 + SIGINT, as shells say it


class _Unsound(LossparityError):
    exit_code = 3


class _Group(click.Group):
    """Turns this project's errors into one message and their exit status, and suggests misspelt commands."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LossparityError as error:
            self._end(ctx, error)
        except KeyboardInterrupt:
            self._end(ctx, _Interrupted("interrupted"))

    def _end(self, ctx: click.Context, error: LossparityError) -> None:
        click.echo(f"lossparity: {error}", err=True)
        ctx.exit(error.exit_code)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from lossparity.errors import suggest

        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise UsageError(f"no command {args[0]!r}", hint=suggest(args[0], self.commands, "command"))
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version")
def main() -> None:
    """Certified conformance of softmax, log-softmax, NLL and cross-entropy, on any framework.

    Exit status: 0 conforms, 1 a failure, error, crash or time-out, 2 wrong use or a bad case file, 3 something asked
    for by name is missing, nothing was judged, or the floating-point self-test fails.
    """


@main.command()
@click.option("-b", "--backend", "names", multiple=True, metavar="NAME", help="Backend name or glob; repeatable.")
@options.case
@options.cases
@options.format
@options.grade
@click.option("--strict-known", is_flag=True, help="A known deviation that is gone fails the run.")
@options.timeout
@options.no_cache
@click.option(
    "-o",
    "--output",
    default="lossparity-results",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that receives run.jsonl and report.html.",
)
def run(
    names: tuple[str, ...],
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    min_grade: str | None,
    strict_known: bool,
    timeout: float,
    no_cache: bool,
    output: Path,
) -> None:
    """Judge backends on the cases; write the record and the page.

    Without -b: the libraries of every installed framework, on the CPU.
    """
    _require_sound_arithmetic()
    from lossparity import console, registry
    from lossparity.model import Grade
    from lossparity.record import Writer
    from lossparity.runner import Run
    from lossparity.runner import run as run_plan

    backends, named = _backends(names)
    plan = Run(
        backends,
        _select(_load(paths), globs, formats),
        formats,
        frozenset(named),
        registry.known_deviations(b.framework for b in backends),
        Grade(min_grade or "loose"),
        strict_known,
        min_grade is not None,
        timeout,
        shlex.join(["lossparity", *sys.argv[1:]]),
    )
    try:
        with _remembering(no_cache) as remember, Writer(output / "run.jsonl") as writer, console.progress() as told:
            summary = run_plan(replace(plan, remember=remember), writer, told)
    except KeyboardInterrupt:
        raise _Interrupted(f"interrupted; what was judged until now is in {output / 'run.jsonl'}") from None
    click.echo(console.summary(summary, summary.failures))
    click.echo(f"record: {output / 'run.jsonl'}")
    click.echo(f"page:   {_page(output / 'run.jsonl', output / 'report.html')}")
    sys.exit(summary.exit_code)


@main.command()
@click.argument("target")
@click.option("--operation", default="cross_entropy", show_default=True, help="Which operation the function does.")
@click.option("--framework", default="numpy", show_default=True, help="Whose tensors the function takes.")
@click.option("--device", default="cpu", show_default=True, help="Device of the tensors.")
@options.case
@options.cases
@options.format
@options.grade
@options.timeout
@options.no_cache
@click.option(
    "--record", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.jsonl", help="Keep the record."
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html", help="Write the page.")
def check(
    target: str,
    operation: str,
    framework: str,
    device: str,
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    min_grade: str | None,
    timeout: float,
    no_cache: bool,
    record: Path | None,
    report: Path | None,
) -> None:
    """Judge your own function: TARGET is package.module:name or path/file.py:name.

    It is called as the spec calls the operation: softmax(logits), log_softmax(logits), nll_loss(log_probs, target, *,
    weight, ignore_index, reduction), cross_entropy(logits, target, *, weight, ignore_index, label_smoothing,
    reduction). Keywords that it does not have make their checks unsupported. A NumPy function's gradient is its
    attribute `gradient`, called with the upstream gradient as its last positional argument.
    """
    _require_sound_arithmetic()
    from lossparity import check as checking
    from lossparity import console
    from lossparity.model import Grade
    from lossparity.record import Writer

    plan = checking.plan(
        target,
        operation,
        framework,
        device,
        _select(_load(paths), globs, formats),
        formats,
        Grade(min_grade or "loose"),
        min_grade is not None,
        timeout,
        shlex.join(["lossparity", *sys.argv[1:]]),
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = record or Path(scratch) / "run.jsonl"
        with _remembering(no_cache) as remember, Writer(path) as writer, console.progress() as told:
            verdict = checking.check(replace(plan, remember=remember), writer, told)
        click.echo(console.summary(verdict.summary, verdict.simplest_first))
        if record:
            click.echo(f"record: {record}")
        if report:
            click.echo(f"page:   {_page(path, report)}")
    for line in verdict.said:
        click.echo(line)
    sys.exit(verdict.exit_code)


@main.command()
@click.argument("name")
@click.option("-b", "--backend", "names", multiple=True, metavar="NAME", help="Backend name or glob; repeatable.")
@options.cases
@options.format
def show(name: str, names: tuple[str, ...], paths: tuple[Path, ...], formats: tuple[str, ...]) -> None:
    """Show a suite stage by stage, a case number by number, or repeat one check.

    NAME is a suite with printed figures (worked-example), a case id or glob, or a check id case/format@backend.
    """
    _require_sound_arithmetic()
    from lossparity import registry
    from lossparity import show as showing
    from lossparity.plans import Question

    suites = _load(paths)
    cases = [case for suite in suites for case in suite.cases]
    if "@" in name and (names or formats):
        raise UsageError("a check id already names its backend and format", hint="leave out -b and --format")
    backends, _ = _backends(names)
    if "@" in name:
        case, fmt, backend = showing.check_parts(name, cases)
        questions, backends = [Question(case, fmt)], registry.resolve([backend])[0]
    else:
        chosen = _select(suites, [name], formats)
        if name in {suite.name for suite in suites} and any(case.published for case in chosen):
            for library in backends if names else [_library(backends)]:
                for line in showing.stages(chosen, library, formats[0] if formats else "float64"):
                    click.echo(line)
            return
        questions = [Question(c, f) for c in chosen for f in c.formats if not formats or f in formats]
    for question, shown in showing.put(questions, backends):
        for line in showing.details(question, shown):
            click.echo(line)
        click.echo()


@main.command(name="list")
@options.case
@options.cases
def list_(globs: tuple[str, ...], paths: tuple[Path, ...]) -> None:
    """List backends and suites; with --case, the ids of the cases that match."""
    from lossparity import registry

    suites = _load(paths)
    if globs:
        for case in _select(suites, globs, ()):
            click.echo(f"{case.id}  [{case.clause}]  {', '.join(case.formats)}")
        return
    click.echo("backends")
    for backend in registry.registered().values():
        state = "" if backend.available else "  (not installed)"
        click.echo(f"  {backend.name}{state}")
    click.echo("suites")
    for suite in suites:
        click.echo(f"  {suite.name}: {len(suite.cases)} cases. {suite.about}")


@main.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page; default: report.html beside it.")
def report(record: Path, output: Path | None) -> None:
    """Write the page of a record again."""
    click.echo(f"page: {_page(record, output or record.with_name('report.html'))}")


@main.command()
@click.option("--no-probe", is_flag=True, help="Take each framework's word for its arithmetic; quicker.")
def doctor(no_probe: bool) -> None:
    """Say what is installed, start every framework once, measure its arithmetic, and say how to get what is missing.

    Exit status 1: a framework's arithmetic is not as its adapter declares and the bounds assume. 3: this machine's own
    is unsound.
    """
    from lossparity import doctor as examining

    status = 0
    for line in examining.examine(probing=not no_probe):
        click.echo(line.text, err=line.status == _Unsound.exit_code)
        status = max(status, line.status)
    sys.exit(status)


@contextmanager
def _remembering(no_cache: bool) -> Iterator[Remember]:
    """Yield what keeps references on disk between runs, or nothing where it is not wanted."""
    from lossparity.cache import Cache
    from lossparity.reference import computed

    if no_cache:
        yield computed
        return
    with Cache() as cache:
        yield cache.remember


def _require_sound_arithmetic() -> None:
    from lossparity import floating

    fault = floating.self_test()
    if fault:
        raise _Unsound(fault)


def _load(paths: Sequence[Path]) -> tuple[Suite, ...]:
    from lossparity import suite

    return suite.load(list(paths) or [suite.built_in()])


def _select(suites: Sequence[Suite], globs: Sequence[str], formats: Sequence[str]) -> tuple[Case, ...]:
    from lossparity import suite

    cases = suite.select([case for one in suites for case in one.cases], list(globs))
    chosen = tuple(c for c in cases if not formats or set(formats) & set(c.formats))
    if not chosen:
        raise UsageError("no case is left to run", hint=f"none of the selected cases is in {', '.join(formats)}")
    return chosen


def _backends(names: Sequence[str]) -> tuple[list[Backend], set[str]]:
    from lossparity import registry

    backends, named = registry.resolve(names) if names else (registry.installed(), set[str]())
    if not backends:
        raise UnavailableError("none of these backends is installed", hint="`lossparity doctor` says what is missing")
    return backends, named


def _library(backends: Sequence[Backend]) -> Backend:
    # A library that has the operations shows more than NumPy, whose functions are composed here.
    return next((b for b in backends if b.framework != "numpy"), backends[0])


def _page(record: Path, page: Path) -> Path:
    from lossparity import record as records
    from lossparity.registry import report_writer

    found = records.read(record)
    report_writer("html")(found, page)
    if not found.complete:
        reason = found.broken or "it has no last line, so the run was stopped"
        click.echo(f"lossparity: {record}: the record is incomplete: {reason}", err=True)
    return page
