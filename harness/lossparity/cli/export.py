"""`lossparity export`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lossparity.cli import options
from lossparity.cli.steps import load, remembering, require_sound_arithmetic, select


@click.command()
@click.option(
    "--golden",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder that receives an npz a case and format, and index.json.",
)
@options.case
@options.cases
@options.format
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@options.no_cache
def export(
    golden: Path,
    globs: tuple[str, ...],
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    force: bool,
    no_cache: bool,
) -> None:
    """Write inputs, certified results and bounds as files, for test suites in C++, Rust, Triton and others."""
    require_sound_arithmetic()
    from lossparity.plans import Question
    from lossparity.reproducing.golden import INDEX, empty, estimate
    from lossparity.reproducing.golden import export as exported

    chosen = select(load(paths), globs, formats)
    empty(golden, force=force)
    with remembering(no_cache) as remember:
        # Relations and layouts are about calls; a file has inputs and results, which other cases have too.
        questions = [
            Question(c, f, remember) for c in chosen if c.plain for f in c.formats if not formats or f in formats
        ]
        click.echo(f"{len(questions)} files, about {estimate(questions) / 1e6:.3g} MB before compression")
        with click.progressbar(exported(questions, golden), len(questions), file=sys.stderr) as written:
            for _ in written:
                pass
    size = sum(file.stat().st_size for file in golden.rglob("*") if file.is_file())
    click.echo(f"index: {golden / INDEX} ({size / 1e6:.3g} MB in all)")
