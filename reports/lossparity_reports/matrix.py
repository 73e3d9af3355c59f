"""The matrix: what each backend does in each suite, and below it in each clause of the suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lossparity.model import Grade, Verdict
from lossparity.record import Result
from lossparity.spec import CLAUSES
from lossparity_reports.address import address, suite_of
from lossparity_reports.figures import short
from lossparity_reports.legend import VERDICTS
from lossparity_reports.summary import is_judged, is_weak

__all__ = ["Cell", "Matrix", "Row", "arrange"]

_RANK = {g.value: g.rank for g in Grade}
_FAR = 9999
_GRAVITY = {word: n for n, word in enumerate(VERDICTS)}


@dataclass(frozen=True)
class Cell:
    """One backend in one row: the gravest verdict with its count, passes of those judged, the rest, the worst."""

    verdict: str
    word: str
    passed: int
    judged: int
    others: str
    grade: str
    ulp: str
    bound_used: str
    origins: tuple[str, ...]
    address: str


@dataclass(frozen=True)
class Row:
    """A suite, or a clause of it: one cell a backend, None where nothing was asked of it."""

    name: str
    text: str
    cells: tuple[Cell | None, ...]
    clauses: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """The rows, one a suite, and the names of the columns."""

    backends: tuple[str, ...]
    rows: tuple[Row, ...]


def arrange(results: Sequence[Result]) -> Matrix:
    """Arrange results by suite and clause against backend, in the order of the record."""
    backends = tuple(dict.fromkeys(r.backend for r in results))
    suites: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        suites.setdefault(suite_of(result.case), {}).setdefault(result.clause, []).append(result)
    return Matrix(backends, tuple(_suite(name, clauses, backends) for name, clauses in suites.items()))


def _suite(name: str, clauses: dict[str, list[Result]], backends: tuple[str, ...]) -> Row:
    below = tuple(
        Row(
            clause,
            CLAUSES[clause].text if clause in CLAUSES else "",
            _cells(results, backends, {"suite": name, "clause": clause}),
        )
        for clause, results in clauses.items()
    )
    every = [r for results in clauses.values() for r in results]
    return Row(name, "", _cells(every, backends, {"suite": name}), below)


def _cells(results: Sequence[Result], backends: tuple[str, ...], parts: dict[str, str]) -> tuple[Cell | None, ...]:
    by_backend: dict[str, list[Result]] = {}
    for result in results:
        by_backend.setdefault(result.backend, []).append(result)
    return tuple(_cell(by_backend[b], address(**parts, backend=b)) if b in by_backend else None for b in backends)


def _cell(results: Sequence[Result], link: str) -> Cell:
    verdicts = Counter(r.verdict for r in results)
    gravest = min(verdicts, key=lambda v: _GRAVITY.get(v, -1))
    passed = Verdict.PASS.value
    weak = sum(map(is_weak, results))
    others = [f"{n} {v}" for v, n in verdicts.most_common() if v not in (gravest, passed)]
    grade = max((r.grade for r in results if r.grade), key=lambda g: _RANK.get(g, -1), default="")
    # Where the worst is not a distance (NaN for a number), the largest distance of the others would mislead.
    measured = all(r.ulp is not None for r in results if r.grade == grade)
    return Cell(
        verdict=gravest,
        word=gravest if gravest == passed else f"{verdicts[gravest]} {gravest}",
        passed=verdicts[passed],
        judged=sum(map(is_judged, results)),
        others=", ".join([*others, *([f"{weak} weak"] if weak else [])]),
        grade=grade,
        ulp=_ulp(max((r.ulp for r in results if r.ulp is not None), default=0.0)) if measured else "",
        bound_used=short(max((r.bound_used for r in results if r.bound_used is not None), default=None))
        if measured
        else "",
        origins=tuple(dict.fromkeys(r.origin for r in results if r.origin not in ("", "native"))),
        address=link,
    )


def _ulp(distance: float) -> str:
    # Beside an exact value near 0 an ulp is so small that the number says nothing; the share of the bound does.
    return f">{_FAR}" if distance > _FAR else short(distance)
