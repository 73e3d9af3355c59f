"""`lossparity check`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossparity.cli import completing, contract, options
from lossparity.cli.endings import kept
from lossparity.cli.steps import load, page, remembering, require_sound_arithmetic, select
from lossparity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossparity.plans import Finding, Question
    from lossparity.record import Result


_MANY = 20  # checks, for which nobody waits before the first failure


def _share(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    if not 0 <= value <= 1:  # true for NaN
        raise UsageError(f"--min-coverage {value:g} is no share", hint="a number from 0 to 1, as in 0.5")
    return value


@click.command()
@click.argument("target", shell_complete=completing.targets)
@click.option(
    "--operation",
    default="cross_entropy",
    show_default=True,
    shell_complete=completing.operations,
    help="Which operation the function does.",
)
@click.option(
    "--framework",
    default="numpy",
    show_default=True,
    shell_complete=completing.frameworks,
    help="Whose tensors the function takes.",
)
@click.option(
    "--device", default="cpu", show_default=True, shell_complete=completing.devices, help="Device of the tensors."
)
@contract.map_
@contract.returns
@contract.inplace_ok
@contract.supports
@contract.mode
@click.option(
    "--convention",
    default="",
    metavar="FIELD=CHOICE,…",
    shell_complete=completing.conventions,
    help="Judge by another named convention, as strictly, as in smoothing=K-1,mean=sum.",
)
@options.case
@options.cases
@options.format
@options.grade
@click.option(
    "--min-coverage",
    default=0.8,
    show_default=True,
    callback=_share,
    help="The share of the obligatory results that has to be judged.",
)
@click.option(
    "--known",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.yaml",
    help="Your own known deviations: they are no failures.",
)
@click.option("--last-failed", is_flag=True, help="Only the checks that failed last time, or all when none did.")
@click.option(
    "--dump",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the inputs of every failure there, as npz.",
)
@options.timeout
@options.memory
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
    mapped: dict[str, str],
    returns: str,
    inplace_ok: bool,
    supports: tuple[str, ...],
    mode: str,
    convention: str,
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    min_grade: str | None,
    min_coverage: float,
    known: Path | None,
    last_failed: bool,
    dump: Path | None,
    timeout: float,
    memory: int | None,
    no_cache: bool,
    record: Path | None,
    report: Path | None,
) -> None:
    """Judge your own function: TARGET is package.module:name, path/file.py:name or pickle:PATH.

    It is called as the spec calls the operation: softmax(logits), log_softmax(logits), nll_loss(log_probs, target, *,
    weight, ignore_index, reduction), cross_entropy(logits, target, *, weight, ignore_index, label_smoothing,
    reduction). Keywords that it does not have make their checks unsupported. A NumPy function's gradient is its
    attribute `gradient`, called with the upstream gradient as its last positional argument. `lossparity init` writes a
    function of this form around a class, a tuple or a fused linear layer.

    Failures are grouped by what explains them: another convention, or a mistake that is seen in such code.
    """
    require_sound_arithmetic()
    from lossparity import checking, console
    from lossparity.model import Grade
    from lossparity.record import Writer
    from lossparity.reference import conventions
    from lossparity.target import Target

    with tempfile.TemporaryDirectory() as scratch, remembering(no_cache) as remember:
        wanted = checking.Wanted(
            Target(target, operation, mapped, returns, inplace_ok, supports),
            select(load(paths), globs, formats),
            framework,
            device,
            mode,
            formats,
            Grade(min_grade) if min_grade else None,
            conventions.convention(convention) if convention else conventions.SPEC,
            known,
            min_coverage,
            timeout,
            last_failed,
            dump,
            paths,
            shlex.join(["lossparity", *sys.argv[1:]]),
            remember,
            memory,
        )
        path = record or Path(scratch) / "run.jsonl"
        planned = checking.plan(wanted)  # what is wrong with it is said before a file is opened
        keeping = kept("judged", record) if record else nullcontext()
        with keeping, Writer(path) as writer, console.progress() as progress:
            first = _First(progress.say if len(planned.questions()[0]) >= _MANY else None)
            found = checking.check(wanted, writer, progress, first)
        click.echo(found.text())
        if record:
            click.echo(f"record: {record}")
        if report:
            click.echo(f"page:   {page(path, report)}")
    sys.exit(found.exit_code)


class _First:
    """Says the first failure as soon as it is found, where somebody would wait for the end."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self._say = say

    def __call__(self, _question: Question, _finding: Finding, result: Result) -> None:
        from lossparity import console

        if self._say:
            self._say(f"the first failure; the rest follows, by cause\n{console.failure(result)}\n")
            self._say = None
