"""`lossparity check`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from lossparity.cli import contract, options
from lossparity.cli.steps import load, page, remembering, require_sound_arithmetic, select


@click.command()
@click.argument("target")
@click.option("--operation", default="cross_entropy", show_default=True, help="Which operation the function does.")
@click.option("--framework", default="numpy", show_default=True, help="Whose tensors the function takes.")
@click.option("--device", default="cpu", show_default=True, help="Device of the tensors.")
@contract.map_
@contract.returns
@contract.inplace_ok
@contract.supports
@contract.mode
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
    mapped: dict[str, str],
    returns: str,
    inplace_ok: bool,
    supports: tuple[str, ...],
    mode: str,
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    min_grade: str | None,
    timeout: float,
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
    """
    require_sound_arithmetic()
    from lossparity import checking, console
    from lossparity.model import Grade
    from lossparity.record import Writer
    from lossparity.target import Target

    plan = checking.plan(
        Target(target, operation, mapped, returns, inplace_ok, supports),
        framework,
        device,
        select(load(paths), globs, formats),
        formats,
        Grade(min_grade or "loose"),
        min_grade is not None,
        timeout,
        shlex.join(["lossparity", *sys.argv[1:]]),
        mode,
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = record or Path(scratch) / "run.jsonl"
        with remembering(no_cache) as remember, Writer(path) as writer, console.progress() as told:
            verdict = checking.check(replace(plan, remember=remember), writer, told)
        click.echo(console.summary(verdict.summary, verdict.simplest_first))
        if record:
            click.echo(f"record: {record}")
        if report:
            click.echo(f"page:   {page(path, report)}")
    for line in verdict.said:
        click.echo(line)
    sys.exit(verdict.exit_code)
