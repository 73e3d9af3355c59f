"""The choices: which value each backend gives where a clause leaves it open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lossparity.record import Result
from lossparity.spec import CLAUSES
from lossparity_reports.address import address
from lossparity_reports.summary import FAILING

__all__ = ["Chosen", "Table", "Taken", "Under", "left_open", "tabulate"]


@dataclass(frozen=True)
class Taken:
    """What a backend did: the name of a choice or of a verdict, at how many results, and their address."""

    name: str
    count: int
    address: str


@dataclass(frozen=True)
class Chosen:
    """One backend under one clause: its choices, the most frequent first, and what is none of them, by verdict."""

    taken: tuple[Taken, ...]
    outside: tuple[Taken, ...]

    @property
    def mixed(self) -> bool:
        """Whether it did not always do the same."""
        return len(self.taken) > 1


@dataclass(frozen=True)
class Under:
    """A clause that leaves something open: one cell a backend, None where nothing open was asked of it."""

    clause: str
    text: str
    cells: tuple[Chosen | None, ...]


@dataclass(frozen=True)
class Table:
    """The rows, one a clause, and the names of the columns; no rows where nothing was left open."""

    backends: tuple[str, ...]
    rows: tuple[Under, ...]


def tabulate(results: Sequence[Result]) -> Table:
    """Tabulate the choices of results by clause and backend, the backends in the order of the record."""
    by_clause: dict[str, list[Result]] = {}
    for result in left_open(results):
        by_clause.setdefault(result.clause, []).append(result)
    present = {r.backend for theirs in by_clause.values() for r in theirs}
    backends = tuple(b for b in dict.fromkeys(r.backend for r in results) if b in present)
    return Table(backends, tuple(_under(clause, by_clause[clause], backends) for clause in sorted(by_clause)))


def left_open(results: Sequence[Result]) -> list[Result]:
    """Return the values of which a clause permits several, also those that are none of these."""
    # A gradient is left open wherever the value is a choice: it fits the first that is permitted, or several.
    values = [r for r in results if r.quantity == "value"]
    # Where one backend had a choice all had: a result without one is then none of what is permitted.
    choosing = {_asked(r) for r in values if r.choice}
    return [r for r in values if _asked(r) in choosing]


def _asked(result: Result) -> tuple[str, str]:
    return result.case, result.format


def _under(clause: str, results: Sequence[Result], backends: tuple[str, ...]) -> Under:
    return Under(
        clause,
        CLAUSES[clause].text if clause in CLAUSES else "",
        tuple(_chosen(clause, b, [r for r in results if r.backend == b]) for b in backends),
    )


def _chosen(clause: str, backend: str, results: Sequence[Result]) -> Chosen | None:
    counts = Counter(r.choice for r in results if r.choice)
    deviating = Counter(r.verdict for r in results if not r.choice and (r.verdict in FAILING or r.verdict == "known"))
    if not counts and not deviating:
        return None
    where = {"clause": clause, "backend": backend, "quantity": "value"}
    return Chosen(
        tuple(Taken(name, n, address(**where, choice=name)) for name, n in counts.most_common()),
        tuple(Taken(verdict, n, address(verdict=verdict, **where)) for verdict, n in deviating.most_common()),
    )
