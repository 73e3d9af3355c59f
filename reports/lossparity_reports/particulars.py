"""What machines pass on to people about one result, a line each; about how the run ended; and which result is worst."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from dataclasses import dataclass

from lossparity.formats import FORMATS
from lossparity.framework import BLAMED
from lossparity.plain import cut, line, visible
from lossparity.record import CaseLine, Record, Result
from lossparity.spec import CLAUSES
from lossparity_reports.causes import Found
from lossparity_reports.commands import Commands
from lossparity_reports.figures import decimal, short
from lossparity_reports.legend import VERDICTS
from lossparity_reports.summary import FAILING, timed

__all__ = ["Trouble", "again", "gravity", "headline", "particulars", "place", "trouble"]

_LONGEST = 4000  # characters of a message: a traceback of a framework may be as long as it likes
_ORDER = {word: n for n, word in enumerate(VERDICTS)}
_STATUS = {
    1: "no result failed: a stale deviation fails with --strict-known, an undecided result with --min-grade, and a "
    "function that can hardly be judged",
    3: "nothing was judged, or something that was asked for by name is not there",
}


@dataclass(frozen=True)
class Trouble:
    """Why a run is no success whatever its results are: a name for it, and what there is to say."""

    name: str
    said: str


def trouble(record: Record) -> Trouble | None:
    """Say what is wrong with a run itself: that it is incomplete, or its exit status where no failing result is why."""
    footer = record.footer
    if footer is None or record.broken:
        return Trouble("the run is incomplete", record.broken or "the record has no last line, so the run was cut off")
    verdicts = Counter(result.verdict for result in record.results)
    refused = [speed for speed in record.speeds if speed.refused]
    if footer.exit_code and record.speeds and not record.results:
        told = [timed(record.speeds), *(f"{line(speed.key)}: {line(speed.refused)}" for speed in refused)]
        told += [f"not timed: {one.what}: {one.reason}" for one in footer.not_tested]
        return Trouble(f"the timing ended with status {footer.exit_code}", " ".join(told))
    if footer.exit_code == 0 or (footer.exit_code == 1 and any(verdicts[word] for word in FAILING)):
        return None
    reasons = [_STATUS.get(footer.exit_code, "the run did not end well")]
    reasons += [f"{verdicts[word]} {word}" for word in ("stale", "undecided") if verdicts[word]]
    reasons += [f"{line(speed.key)}, timed: {line(speed.refused)}" for speed in refused]
    reasons += [f"not tested: {one.what}, {one.checks} checks: {one.reason}" for one in footer.not_tested]
    return Trouble(f"the run ended with status {footer.exit_code}", "; ".join(reasons))


def gravity(result: Result) -> tuple[bool, bool, int, float, str]:
    """Order results worst first: failures, a framework's own before others, then by verdict and by distance."""
    far = math.inf if result.bound_used is None else result.bound_used
    return (
        result.verdict not in FAILING,
        result.origin not in BLAMED,
        _ORDER.get(result.verdict, -1),
        -far,
        result.key,
    )


def place(case: CaseLine | None) -> tuple[str, str]:
    """Return the file of a case and its line; nothing where that is not known."""
    found = re.fullmatch(r"(.+?):(\d+)(?::\d+)?", case.source, re.DOTALL) if case else None
    return (found[1], found[2]) if found else ("", "")


def again(result: Result) -> str:
    """Return the command that shows a check again."""
    return Commands.alone(result).again(result)


def headline(result: Result) -> str:
    """Say on one line what is wrong with a result: its kind, the numbers of its worst element, and its message."""
    parts = [result.cause, *_numbers(result), line(result.message)]
    return "; ".join(part for part in parts if part) or result.verdict


def particulars(result: Result, case: CaseLine | None = None, cause: Found | None = None) -> list[str]:
    """Say all about a result: clause, who did it, numbers, message, cause, where its case is and how to repeat it."""
    clause = CLAUSES.get(result.clause)
    lines = [f"clause {result.clause} ({result.basis}): {clause.text if clause else 'not one of this version'}"]
    lines += [f"{result.origin or 'called'}: {line(result.api)}"] if result.api else []
    lines += _numbers(result)
    lines += [f"grade {result.grade}"] if result.grade else []
    lines += [f"kind: {result.cause}"] if result.cause else []
    lines += [f"choice: {result.choice}"] if result.choice else []
    lines += [f"known deviation: {result.deviation}"] if result.deviation else []
    lines += cut(visible(result.message), _LONGEST).splitlines()
    lines += _cause(result, cause)
    lines += [f"case: {case.source}"] if case and case.source else []
    return [line(one) for one in lines] + [f"again: {line(again(result))}"]


def _numbers(result: Result) -> list[str]:
    worst = result.worst
    if worst is None:
        return []
    got, exact = decimal(worst.got, result.format), decimal(worst.exact, result.format, exact=True)
    lines = [f"got {got}, exact {exact}{f' at {worst.index}' if worst.index else ''}"]
    if result.ulp is None or result.bound_used is None:
        return lines
    ieee = FORMATS[result.format].ieee if result.format in FORMATS else result.format
    share = (
        f"{short(result.bound_used)} times the bound {short(worst.loose)}" if worst.loose else "where it must be exact"
    )
    return [*lines, f"off by {short(result.ulp)} ulp of {ieee}, {share}"]


def _cause(result: Result, found: Found | None) -> list[str]:
    if found is None:
        return [f"explained by {one.id} to {short(one.ulp)} ulp" for one in result.explained[:1]]
    one = found.cause
    lines = [f"cause: {one.id}, {len(found.results)} result{'s' * (len(found.results) != 1)}: {one.said}"]
    lines += [f"intended? judge by it: --convention {shlex.quote(one.convention)}"] if one.convention else []
    lines += ["the framework's own function fails there too"] if found.shared else []
    return lines
