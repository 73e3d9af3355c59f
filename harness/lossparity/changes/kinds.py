"""The kinds of changes, and which of them a result before and after comes under."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from lossparity.errors import UsageError, suggest
from lossparity.model import Grade, Verdict
from lossparity.record import Result

__all__ = ["KINDS", "MUCH_MORE", "OVER", "Change", "Kind", "gone", "kinds_named", "kinds_of"]

MUCH_MORE = 2.0
"""By which factor `bound_used` has to grow to be told: less comes of another order of a sum, as on another CPU."""
OVER = 0.5
"""The share of the bound that has to be used by then: from less, as much again is still within the bound."""


@dataclass(frozen=True)
class Kind:
    """A kind of change: what is said of so many results, and whether it is a regression unless somebody says else.

    `timed`: it is a kind of times, and not of results.
    """

    said: str
    regression: bool = False
    timed: bool = False


KINDS = {
    "failing": Kind("newly failing", regression=True),
    "unjudged": Kind("no longer judged", regression=True),
    "removed": Kind("removed", regression=True),
    "missing": Kind("missing, for NEW is incomplete", regression=True),
    "weak": Kind("newly weak", regression=True),
    "refused": Kind("newly refused as timed", regression=True, timed=True),
    "slower": Kind("slower", regression=True, timed=True),
    "deviating": Kind("deviating now, as declared"),
    "added-failing": Kind("failing, with nothing to compare"),
    "grade": Kind("of a worse grade"),
    "bound": Kind("using more of the bound"),
    "choice": Kind("choosing otherwise"),
    "verdict": Kind("changed otherwise"),
    "inconclusive": Kind("inconclusive in time", timed=True),
    "incomparable": Kind("no longer comparable"),
    "declared": Kind("failing before, declared now"),
    "better": Kind("of a better grade"),
    "passing": Kind("newly passing"),
    "faster": Kind("faster", timed=True),
    "added": Kind("added"),
}
"""Every kind of change by its name, those that weigh most first."""

_PASSING = (Verdict.PASS, Verdict.STALE)
_OPEN = (Verdict.UNDECIDED, Verdict.UNSUPPORTED, Verdict.UNAVAILABLE)
# What is the worst to be told of first, among results of one kind.
_WORST = (Verdict.CRASH, Verdict.TIMEOUT, Verdict.ERROR, Verdict.FAIL)


@dataclass(frozen=True)
class Change:
    """A result before and after, one of which may be none; `reason` says why, where that is not in them."""

    kind: str
    before: Result | None
    after: Result | None
    reason: str = ""

    @property
    def key(self) -> str:
        """The key `check#quantity`, of NEW where it has it."""
        found = self.after or self.before
        return found.key if found else ""

    @property
    def order(self) -> tuple[int, int, float, float, str]:
        """Sorts the changes of one kind, the worst first."""
        found = self.after or self.before
        if found is None:
            return 0, 0, 0.0, 0.0, ""
        verdict = Verdict(found.verdict)
        place = _WORST.index(verdict) if verdict in _WORST else len(_WORST)
        # A number of the wrong class has no distance, and is the farthest off.
        used, off = (inf if number is None else number for number in (found.bound_used, found.ulp))
        return place, _rank(self.before) - _rank(self.after), -used, -off, self.key


def kinds_named(text: str) -> frozenset[str]:
    """Read a list as `--fail-on` takes it: kinds between commas; `default` stands for some, `none` for none."""
    found: set[str] = set()
    for word in text.split(","):
        name = word.strip()
        if name == "default":
            found |= {name for name, kind in KINDS.items() if kind.regression}
        elif name in KINDS:
            found.add(name)
        elif name != "none":
            raise UsageError(
                f"unknown kind of change {name!r}", hint=suggest(name, [*KINDS, "default", "none"], "kind")
            )
    return frozenset(found)


def gone(*, complete: bool) -> str:
    """Return the kind of what NEW does not hold: of an incomplete record nobody knows what it would have held."""
    return "removed" if complete else "missing"


def kinds_of(before: Result | None, after: Result, *, comparable: bool) -> Iterator[str]:
    """Yield the kinds of a result of NEW beside that of BASE, if there is one; none where nothing changed.

    `comparable`: both are of the same inputs, and the same is right.
    """
    now = Verdict(after.verdict)
    if before is None or not comparable:
        fresh = now.failing and not (before and Verdict(before.verdict).failing)
        yield "added-failing" if fresh else "incomparable" if before else "added"
        return
    was = Verdict(before.verdict)
    if was in _PASSING and now in _PASSING:
        yield from _accuracy(before, after)
    if kind := _verdict(was, now, other=before.cause != after.cause):
        yield kind
    # Of a gradient the spec says nothing where the value is a choice: it fits several.
    if after.quantity == "value" and before.choice and after.choice and before.choice != after.choice:
        yield "choice"


def _verdict(was: Verdict, now: Verdict, *, other: bool) -> str:
    """Return the kind of a change of verdict; `other`: it deviates in another way."""
    if now.failing and not was.failing:
        return "failing"
    if now in _OPEN and was not in _OPEN:
        return "unjudged"
    if now in _PASSING and (was.failing or was is Verdict.KNOWN):
        return "passing"
    if now is Verdict.KNOWN and was.failing:
        return "declared"
    if now is Verdict.KNOWN and was in _PASSING:
        return "deviating"
    return "verdict" if was is not now or other else ""


def _accuracy(before: Result, after: Result) -> Iterator[str]:
    if not before.grade or not after.grade:  # as where the choice is to raise
        return
    loose = after.grade == Grade.LOOSE.value
    if loose and (before.grade != after.grade or after.zeroed > before.zeroed):
        yield "weak"
    elif before.grade != after.grade:
        yield "grade" if _rank(after) > _rank(before) else "better"
    elif after.grade in (Grade.TIGHT.value, Grade.LOOSE.value):
        was, now = before.bound_used, after.bound_used
        if was is not None and now is not None and now > MUCH_MORE * was and now > OVER:
            yield "bound"


def _rank(result: Result | None) -> int:
    return Grade(result.grade).rank if result and result.grade else 0
