"""What the commands print: plain text that reads the same in a terminal, a file and a CI log."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import click

from lossparity.formats import FORMATS, Array
from lossparity.framework import NATIVE, TARGET
from lossparity.judged import LEFT_OUT, Summary
from lossparity.model import Verdict
from lossparity.plans import Question
from lossparity.record import Cause, Result
from lossparity.spec import CLAUSES

__all__ = ["Advice", "failure", "inputs_of", "number", "progress", "steps", "summary", "wrapped"]

_DIGITS = {"float64": 17, "float32": 9, "bfloat16": 4, "float16": 5}
_MOST_FAILURES = 10
_WIDEST = 110
# Inputs are printed up to so many numbers.
_FEW = 12
# Ulp within which a prediction is near by itself; further off it is so beside the rounding errors of the format alone.
_NEAR = 16

Advice = Callable[[Result], Iterable[str]]
"""What to do next about a result, a line each."""


def number(text: str, fmt: str) -> str:
    """Write a recorded hex float in as many decimal digits as its format needs to be read back; else as it stands."""
    try:
        return f"{float.fromhex(text):.{_DIGITS[fmt]}g}"
    except (ValueError, OverflowError, KeyError):  # a record may be anybody's
        return text


class Progress:
    """Is told how far a run is, and prints what is to be read meanwhile."""

    def __call__(self, done: int, total: int, summary: Summary) -> None:
        """Hear of `done` checks of `total`."""

    def say(self, text: str) -> None:
        """Print a text on standard output."""
        click.echo(text)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show a progress bar on standard error where that is a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("checks"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting the frameworks", total=None)

        class Drawn(Progress):
            def __call__(self, done: int, total: int, summary: Summary) -> None:
                failing = sum(n for verdict, n in summary.counts.items() if verdict.failing)
                said = f"{failing} failing" if failing else "judging"
                bar.update(task, completed=done, total=total, description=said)

            def say(self, text: str) -> None:
                bar.stop()  # two texts at once would be mixed
                click.echo(text)
                bar.start()

        yield Drawn()


@contextmanager
def steps() -> Iterator[Callable[[int, int, str, float | None], None]]:
    """Show what a long job is doing and the time left: in place on a terminal, elsewhere one line for each part."""
    if not sys.stderr.isatty():
        seen = -1

        def line(done: int, total: int, doing: str, left: float | None) -> None:
            nonlocal seen
            if done > seen and total:
                seen = done
                about = f", about {_minutes(left)} left" if left else ""
                click.echo(
                    f"{done + 1} of {total}: {doing.partition(':')[0]}{about}" if done < total else doing, err=True
                )

        yield line
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.status import Status

    with Status("starting the frameworks", console=Console(stderr=True)) as status:

        def shown(done: int, total: int, doing: str, left: float | None) -> None:
            about = f", about {_minutes(left)} left" if left else ""
            status.update(escape(f"{f'{done + 1} of {total}, ' if total else ''}{doing}{about}"))

        yield shown


def _minutes(left: float) -> str:
    return f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"


def _width() -> int:
    return min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)


def wrapped(text: str, indent: str, first: str | None = None) -> list[str]:
    """Wrap prose to the terminal's width, the first line by an indent of its own where one is given."""
    # Names and commands are copied: they are never broken.
    return textwrap.wrap(
        text,
        _width(),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def failure(result: Result) -> str:
    """Describe one failing result: what, clause and basis, got and exact, how far, and what the message says."""
    return "\n".join(_failure(result, ""))


def _failure(result: Result, indent: str) -> list[str]:
    clause, deeper = CLAUSES[result.clause], f"{indent}  "
    lines = [
        f"{indent}{click.style(result.verdict.upper(), fg='red')} {result.key}",
        *wrapped(f"clause {clause.id} ({clause.basis}): {clause.text}", deeper),
    ]
    if result.api:
        lines.append(f"{deeper}{result.origin}: {result.api}")
    if result.worst and result.verdict != Verdict.STALE.value:
        worst = result.worst
        place = f" at {worst.index}" if worst.index else ""
        lines.append(f"{deeper}got {number(worst.got, result.format)}, exact {number(worst.exact, 'float64')}{place}")
        if result.ulp is not None and worst.loose is not None and result.bound_used is not None:
            ieee = FORMATS[result.format].ieee if result.format in FORMATS else result.format
            share = f"{result.bound_used:.3g} times the bound" if worst.loose else "where the result must be exact"
            lines.append(f"{deeper}off by {result.ulp:.3g} ulp of {ieee}, {share}")
    if result.message:
        lines += wrapped(result.message, deeper)
    return lines


def _nothing(_result: Result) -> Iterable[str]:
    return ()


def summary(
    found: Summary,
    *,
    inputs: Mapping[str, Question] | None = None,
    advice: Advice = _nothing,
) -> str:
    """Say how a run ended: failures by cause, denominators and what was not tested.

    `inputs` are the questions of failures by key; their arrays are printed where they are small.
    """
    by_key = {result.key: result for result in found.failures}
    lines: list[str] = []
    failing = [cause for cause in found.causes if cause.failing]
    for n, cause in enumerate(failing[:_MOST_FAILURES], start=1):
        lines += [*_cause(n, cause, by_key[cause.results[0]], (inputs or {}).get(cause.results[0]), advice), ""]
    if len(failing) > _MOST_FAILURES:
        lines += [f"… and {len(failing) - _MOST_FAILURES} more causes in the record", ""]
    stale = [result for result in found.failures if result.verdict == Verdict.STALE.value]
    for result in stale[:_MOST_FAILURES]:
        lines += [failure(result), ""]
    if len(stale) > _MOST_FAILURES:
        lines += [f"… and {len(stale) - _MOST_FAILURES} more stale ones in the record", ""]
    return "\n".join([*lines, *_counts(found)])


def _cause(n: int, cause: Cause, simplest: Result, question: Question | None, advice: Advice) -> Iterator[str]:
    number_of = f"{len(cause.results)} result{'s' if len(cause.results) > 1 else ''}"
    yield click.style(f"{n}. {cause.id}", bold=True) + f", {number_of}"
    yield from wrapped(cause.said, "   ")
    if cause.shared:
        yield from wrapped("the framework's own function fails there too", "   ")
    yield from _failure(simplest, "   ")
    if question is not None:
        yield from wrapped(inputs_of(question), "       ", "     ")
    if cause.ulp is not None and cause.ulp <= _NEAR:
        yield f"     explained to {cause.ulp:.2g} ulp"
    for line in advice(simplest):
        yield f"     {line}"
    if cause.convention:
        yield f"     intended? judge by it: --convention {cause.convention}"


def inputs_of(question: Question) -> str:
    """List the inputs and keywords of a question, large arrays by their shape."""
    given = [f"{name} {_array(array)}" for name, array in question.arrays.items() if name != "upstream"]
    stated = [f"{name}={value}" for name, value in question.case.keywords.items()]
    return "inputs: " + ", ".join((*given, *stated))


def _array(array: Array) -> str:
    if array.data.size > _FEW:
        return f"{array.format}{list(array.shape)}"
    return str(array.exact().tolist())


def _counts(found: Summary) -> Iterator[str]:
    passed = found.counts[Verdict.PASS]
    yield f"{passed} of {found.judged} judged results pass, {found.weak} of them weakly (grade loose)"
    for verdict, n in sorted(found.counts.items(), key=lambda item: list(Verdict).index(item[0])):
        if verdict is not Verdict.PASS:
            yield f"{n} {verdict.value}"
    for origin in sorted({origin for origin, _ in found.origins if origin}):
        ok = found.origins[origin, Verdict.PASS]
        total = sum(n for (o, verdict), n in found.origins.items() if o == origin and verdict not in LEFT_OUT)
        yield f"  {origin}: {ok} of {total} pass"
    for cause in found.causes:
        if not cause.failing:
            yield from wrapped(f"{cause.said}: {len(cause.results)}, the simplest {cause.results[0]}", "    ", "  ")
    yield from _choices(found)
    yield from _known(found)
    for reason, n in found.unsupported.most_common():
        yield from wrapped(f"not offered ({n}): {reason}", "  ", "")
    for left in found.not_tested:
        yield from wrapped(f"not tested: {left.what}, {left.checks} checks: {left.reason}", "  ", "")


def _choices(found: Summary) -> list[str]:
    """Say in a few lines who did what where a clause leaves it open."""
    everyone = {backend for by_backend in found.choices.values() for backend in by_backend}
    said: list[str] = []
    for clause, by_backend in sorted(found.choices.items()):
        alike: dict[str, list[str]] = {}
        for backend, chosen in by_backend.items():
            mixed = " and ".join(f"{choice} {n}" for choice, n in sorted(chosen.items()))
            alike.setdefault(mixed if len(chosen) > 1 else next(iter(chosen)), []).append(backend)
        whose = {
            one: "" if len(everyone) == 1 else " (all)" if set(backends) == everyone else f" ({', '.join(backends)})"
            for one, backends in alike.items()
        }
        said.append(f"{clause} {', '.join(f'{one}{whose[one]}' for one in alike)}")
    return wrapped(f"choices: {'; '.join(said)}", "  ", "") if said else []


def _known(found: Summary) -> list[str]:
    """Name the deviations of what a framework itself does; count those of compositions and chains by hand."""
    named: dict[str, list[Result]] = {}
    apart = 0
    for results in found.known.values():
        if any(result.origin in (NATIVE, TARGET) for result in results):
            named.setdefault(results[0].message, []).extend(results)
        else:
            apart += len(results)
    lines: list[str] = []
    for reason, results in named.items():
        ids = ", ".join(sorted({result.deviation for result in results}))
        said = f"known deviation {ids} ({len(results)}): {reason}"
        lines += wrapped(said, "  ", "")
    if apart:
        lines.append(f"known deviations of composed and manual implementations ({apart}): see the page")
    return lines
