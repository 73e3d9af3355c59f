"""The causes that a run found in its results; one that several backends share is one."""

from __future__ import annotations

from dataclasses import dataclass

from lossparity.record import Cause, Record, Result

__all__ = ["Found", "found"]


@dataclass(frozen=True)
class Found:
    """One cause of the record's last line and its results; `said`, `ulp` and `convention` are those of the first.

    `ulp` is how near the explanation comes to the first result, the simplest one of the backend that came first.
    """

    cause: Cause
    results: tuple[Result, ...]

    @property
    def shared(self) -> bool:
        """Whether the framework's own function fails at every one of them too."""
        return all(r.shared for r in self.results)

    @property
    def named(self) -> bool:
        """Whether anything explains the first of them."""
        return bool(self.results[0].explained)


def found(record: Record) -> tuple[Found, ...]:
    """Return a record's causes in its own order; none of an incomplete record, or of one older than causes.

    A key that the record does not hold, or that an earlier cause holds, is left out.
    """
    by_key = {r.key: r for r in record.results}
    named: dict[str, tuple[Cause, list[Result]]] = {}
    for cause in record.footer.causes if record.footer else ():
        members = [by_key.pop(key) for key in cause.results if key in by_key]
        if members:
            named.setdefault(cause.id, (cause, []))[1].extend(members)
    return tuple(Found(cause, tuple(results)) for cause, results in named.values())
