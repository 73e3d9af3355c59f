"""What the commands print: plain text that reads the same in a terminal, a file and a CI log."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lossparity.formats import FORMATS
from lossparity.framework import NATIVE
from lossparity.judged import LEFT_OUT, Summary
from lossparity.model import Verdict
from lossparity.record import Result
from lossparity.spec import CLAUSES

__all__ = ["failure", "number", "progress", "summary"]

_DIGITS = {"float64": 17, "float32": 9, "bfloat16": 4, "float16": 5}
_MOST_FAILURES = 10


def number(text: str, fmt: str) -> str:
    """Write a recorded hex float in as many decimal digits as its format needs to be read back."""
    return f"{float.fromhex(text):.{_DIGITS[fmt]}g}"


@contextmanager
def progress() -> Iterator[Callable[[int, int, Summary], None]]:
    """Show a progress bar on standard error where that is a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("checks"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting the frameworks", total=None)

        def told(done: int, total: int, summary: Summary) -> None:
            failing = sum(n for verdict, n in summary.counts.items() if verdict.failing)
            bar.update(task, completed=done, total=total, description=f"{failing} failing" if failing else "judging")

        yield told


def failure(result: Result) -> str:
    """Describe one failing result: what, clause and basis, got and exact, how far, and what the message says."""
    clause = CLAUSES[result.clause]
    lines = [
        f"{result.verdict.upper()} {result.check}#{result.quantity}",
        f"  clause {clause.id} ({clause.basis}): {clause.text}",
    ]
    if result.api:
        lines.append(f"  {result.origin}: {result.api}")
    if result.worst:
        worst = result.worst
        place = f" at {worst.index}" if worst.index else ""
        lines.append(f"  got {number(worst.got, result.format)}, exact {number(worst.exact, 'float64')}{place}")
        if result.ulp is not None and worst.loose is not None and result.bound_used is not None:
            ieee = FORMATS[result.format].ieee
            share = f"{result.bound_used:.3g} times the bound" if worst.loose else "where the result must be exact"
            lines.append(f"  off by {result.ulp:.3g} ulp of {ieee}, {share}")
    if result.message:
        lines += textwrap.wrap(result.message, 110, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def summary(found: Summary, failures: Sequence[Result]) -> str:
    """Say in a few lines how a run ended, with denominators and what was not tested."""
    lines: list[str] = []
    for result in failures[:_MOST_FAILURES]:
        lines += [failure(result), ""]
    if len(failures) > _MOST_FAILURES:
        lines += [f"… and {len(failures) - _MOST_FAILURES} more in the record", ""]
    passed = found.counts[Verdict.PASS]
    lines.append(f"{passed} of {found.judged} judged results pass, {found.weak} of them weakly (grade loose)")
    for verdict, n in sorted(found.counts.items(), key=lambda item: list(Verdict).index(item[0])):
        if verdict is not Verdict.PASS:
            lines.append(f"{n} {verdict.value}")
    for origin in sorted({origin for origin, _ in found.origins if origin}):
        ok = found.origins[origin, Verdict.PASS]
        total = sum(n for (o, verdict), n in found.origins.items() if o == origin and verdict not in LEFT_OUT)
        lines.append(f"  {origin}: {ok} of {total} pass")
    lines += _known(found)
    for reason, n in found.unsupported.most_common():
        lines.append(f"not offered ({n}): {reason}")
    for left in found.not_tested:
        lines.append(f"not tested: {left.what}, {left.checks} checks: {left.reason}")
    return "\n".join(lines)


def _known(found: Summary) -> list[str]:
    """Name the deviations of what a framework itself does; count those of compositions and chains by hand."""
    named: dict[str, list[Result]] = {}
    apart = 0
    for results in found.known.values():
        if any(result.origin == NATIVE for result in results):
            named.setdefault(results[0].message, []).extend(results)
        else:
            apart += len(results)
    lines: list[str] = []
    for reason, results in named.items():
        ids = ", ".join(sorted({result.deviation for result in results}))
        said = f"known deviation {ids} ({len(results)}): {reason}"
        lines += textwrap.wrap(said, 110, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    if apart:
        lines.append(f"known deviations of composed and manual implementations ({apart}): see the page")
    return lines
