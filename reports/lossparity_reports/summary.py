"""The answer of a record in one sentence, and the counts that it rests on."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lossparity.model import Grade, Verdict
from lossparity.plain import line
from lossparity.record import Record, Result, Speed
from lossparity_reports.causes import found
from lossparity_reports.legend import ORIGINS, VERDICTS, WEAK

__all__ = ["FAILING", "Count", "Summary", "is_judged", "is_weak", "summarise", "timed"]

FAILING = frozenset(v.value for v in Verdict if v.failing)
_ABSENT = frozenset({Verdict.UNSUPPORTED.value, Verdict.UNAVAILABLE.value})
_PACES = ("faster", "same", "slower", "inconclusive")
_BLAME = {
    "native": "the framework's own (native)",
    "composed": "composed by our adapter, so not blamed on the framework",
    "manual": "the manual chain, so not blamed on the framework",
    "target": "the function under check",
    "": "whose work it was is not recorded, since the call did not return",
}


def is_judged(result: Result) -> bool:
    """Whether the result counts in the denominator: everything but unsupported and unavailable."""
    return result.verdict not in _ABSENT


def is_weak(result: Result) -> bool:
    """Whether it is a pass that only the loose bound admits."""
    return _weak(result.verdict, result.grade)


def _is(word: str, verdict: str, _grade: str) -> bool:
    return verdict == word


def _weak(verdict: str, grade: str) -> bool:
    return verdict == Verdict.PASS.value and grade == Grade.LOOSE.value


def _certified(verdict: str, grade: str) -> bool:
    return verdict not in _ABSENT and verdict != Verdict.UNDECIDED.value and grade != Grade.UNCERTIFIED.value


@dataclass(frozen=True)
class Count:
    """One line of the table of counts: `numbers` has the whole first, then one number an origin."""

    name: str
    icon: str
    meaning: str
    numbers: tuple[int, ...]
    of: tuple[int, ...]


@dataclass(frozen=True)
class Summary:
    """`state` is failing, clean, empty or incomplete; `blame`, `notes` and `warnings` are further sentences."""

    state: str
    sentence: str
    blame: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    origins: tuple[str, ...]
    counts: tuple[Count, ...]


def summarise(record: Record) -> Summary:
    """Summarise a record."""
    results = record.results
    verdicts = Counter(r.verdict for r in results)
    failing = sum(verdicts[v] for v in FAILING)
    judged = sum(map(is_judged, results))
    present = {r.origin for r in results}
    origins = tuple(o for o in ORIGINS if o in present) + tuple(sorted(present - ORIGINS.keys()))
    state = "failing" if failing else "clean" if judged else "empty"
    sentence, notes = _sentence(verdicts, failing, judged, _causes(record, failing)), _notes(results, judged)
    if record.speeds:
        told, compared = timed(record.speeds), _compared(record)
        sentence, notes = (sentence, (*notes, told, *compared)) if results else (told, compared)
        refused = any(speed.refused for speed in record.speeds)
        state = (
            "failing"
            if refused
            else state
            if results
            else "clean"
            if any(speed.median is not None for speed in record.speeds)
            else "empty"
        )
    return Summary(
        state=state if record.complete else "incomplete",
        sentence=_incomplete(record) + sentence,
        blame=_blame([r for r in results if r.verdict in FAILING]),
        notes=notes,
        warnings=_warnings(record, verdicts),
        origins=origins,
        counts=_counts(results, origins),
    )


def timed(speeds: Sequence[Speed]) -> str:
    """Say how many times there are, of how many backends, and how many of them do not count."""
    there = sum(one.median is not None for one in speeds)
    refused = sum(bool(one.refused) for one in speeds)
    backends = len({one.backend for one in speeds})
    return f"{_plural(there, 'time')} of {_plural(backends, 'backend')}, {refused or 'none'} refused."


def _compared(record: Record) -> tuple[str, ...]:
    """Say how the ratios to each backend of comparison came out."""
    counted: dict[str, Counter[str]] = {}
    for one in record.ratios:
        counted.setdefault(one.against, Counter())[one.verdict] += 1
    return tuple(
        f"Beside {line(against)}: {', '.join(f'{counts[word]} {word}' for word in _PACES if counts[word])}."
        for against, counts in counted.items()
    )


def _incomplete(record: Record) -> str:
    if record.complete:
        return ""
    why = record.broken or "it has no last line, so the run was cut off"
    return f"This record is incomplete: {why}. Up to there: "


def _causes(record: Record, failing: int) -> str:
    """Say how many of the failures are explained, and by how many causes; nothing where none is."""
    causes = [one for one in found(record) if one.cause.failing and one.named]
    explained = sum(len(one.results) for one in causes)
    if not explained:
        return ""
    return f"{'' if explained == failing else f', {explained} of them'} from {_plural(len(causes), 'cause')}"


def _sentence(verdicts: Counter[str], failing: int, judged: int, causes: str) -> str:
    total = verdicts.total()
    if not total:
        return "Nothing was judged: the record holds no result."
    if not judged:
        return f"Nothing was judged: {_plural(total, 'result')}, all unsupported or unavailable."
    head = f"{_plural(failing, 'failure')}{causes}" if failing else "No failure"
    parts = [f"{verdicts['pass']} of {_plural(judged, 'result')} pass"]
    parts += [_plural(verdicts["known"], "known deviation")] if verdicts["known"] else []
    parts += [f"{verdicts['stale']} stale"] if verdicts["stale"] else []
    parts += [f"{verdicts['undecided']} undecided"] if verdicts["undecided"] else []
    return f"{head}: {', '.join(parts)}."


def _blame(failures: Sequence[Result]) -> tuple[str, ...]:
    lines = []
    for origin in sorted({r.origin for r in failures}, key=lambda o: list(_BLAME).index(o) if o in _BLAME else 9):
        backends = Counter(r.backend for r in failures if r.origin == origin)
        who = ", ".join(f"{name} {count}" for name, count in backends.most_common())
        apis = dict.fromkeys(r.api for r in failures if r.origin == origin and r.api)
        if origin == "target" and len(apis) == 1:
            every = "All failures are" if len(failures) == sum(backends.values()) else f"{who}:"
            lines.append(f"{every} of your function, {next(iter(apis))}; none is of the framework's own.")
            continue
        lines.append(f"{who}: {_BLAME.get(origin, origin)}.")
    return tuple(lines)


def _notes(results: Sequence[Result], judged: int) -> tuple[str, ...]:
    if not judged:
        return ()
    passed, weak = sum(r.verdict == "pass" for r in results), sum(map(is_weak, results))
    certified, absent = sum(_certified(r.verdict, r.grade) for r in results), len(results) - judged
    return (
        f"{weak} of {_plural(passed, 'pass', 'passes')} weak: only the loose bound admits them.",
        f"{certified} of {judged} certified ({_share(certified, judged)}).",
        *([f"{absent} more unsupported or unavailable, never counted as passes."] if absent else []),
    )


def _warnings(record: Record, verdicts: Counter[str]) -> tuple[str, ...]:
    part, said = record.header.shard, Counter(record.footer.results if record.footer else {})
    warnings = (
        [f"This is {part}: what the others hold is not counted here. `lossparity merge` joins them."] if part else []
    )
    if said and said != verdicts:
        warnings.append(
            f"The record's last line counts {_plural(said.total(), 'result')}, the record holds {verdicts.total()}."
        )
    return tuple(warnings)


def _counts(results: Sequence[Result], origins: tuple[str, ...]) -> tuple[Count, ...]:
    """Count in one pass over the results: what one counts in is that of all of its origin, verdict and grade."""
    seen = Counter((r.origin, r.verdict, r.grade) for r in results)

    def numbers(counts: Callable[[str, str], bool]) -> tuple[int, ...]:
        each = Counter[str]()
        for (origin, verdict, grade), many in seen.items():
            each[origin] += many * counts(verdict, grade)
        return each.total(), *(each[origin] for origin in origins)

    every = numbers(lambda _verdict, _grade: True)
    judged = numbers(lambda verdict, _: verdict not in _ABSENT)
    passed = numbers(functools.partial(_is, "pass"))
    lines = [Count("judged", "", "all results but unsupported and unavailable ones: the denominator", judged, every)]
    words = [*VERDICTS, *sorted({r.verdict for r in results} - VERDICTS.keys())]
    for word in ["pass", *(w for w in words if w != "pass")]:
        found = numbers(functools.partial(_is, word))
        lines.append(Count(word, word, VERDICTS.get(word, ""), found, every if word in _ABSENT else judged))
        if word == "pass":
            lines.append(Count("weak", "weak", WEAK, numbers(_weak), passed))
    certified = numbers(_certified)
    lines.append(Count("certified", "", "judged, neither undecided nor uncertified", certified, judged))
    return tuple(lines)


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _share(part: int, whole: int) -> str:
    # Rounded down: 100 % is said only when it is all.
    return f"{int(1000 * part / whole) / 10:g} %"
