"""What `lossparity bench` prints: a table a case, the ratios with their intervals, and what makes times doubtful."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lossparity.console import wrapped
from lossparity.framework import NATIVE, TARGET
from lossparity.quantities import bandwidth, bytes_of, interval, seconds
from lossparity.quantities import ratio as times
from lossparity.record import Ratio, Record, Speed

__all__ = ["text"]

_HEAD = ("backend", "pass", "time", "first call", "GB/s", "of triad", "memory", "ratio", "99 % interval", "")
_LEFT = (0, 1, 9)


def text(record: Record) -> str:
    """Return everything that a record of times says, for a terminal."""
    lines: list[str] = []
    for job in record.jobs:
        lines += wrapped("; ".join(f"{name}: {value}" for name, value in job.settings.items()), "  ", "")
    for case, fmt in dict.fromkeys((one.case, one.format) for one in record.speeds):
        lines += ["", *_case(record, [one for one in record.speeds if (one.case, one.format) == (case, fmt)])]
    left = record.footer.not_tested if record.footer else []
    if left:
        lines += ["", "not timed"]
        lines += [line for one in left for line in wrapped(f"{one.what}: {one.reason}", "    ", "  ")]
    return "\n".join(lines).lstrip("\n")


def _case(record: Record, speeds: Sequence[Speed]) -> Iterable[str]:
    one = speeds[0]
    shape, fits = "x".join(map(str, one.shape)), {"": "", "memory": ", beyond the last-level cache"}
    where = fits.get(one.regime, f", within the {one.regime}")
    triads = [t for t in record.triads if (t.case, t.format, t.job) == (one.case, one.format, one.job) and t.rates]
    limit = triads[0].rate if triads else None
    said = f"; triad {bandwidth(limit)} GB/s" if limit else ""
    ratios = {r.key: r for r in record.ratios}
    to = dict.fromkeys(ratios[s.key].against for s in speeds if s.key in ratios)
    said += f"; ratios are to {', '.join(to)}" if to else ""
    yield f"{one.case}/{one.format}: {one.operation}, {shape}{where}{said}"
    order = sorted(speeds, key=lambda s: list(dict.fromkeys(x.timed for x in speeds)).index(s.timed))
    yield from _columns([_HEAD, *(_row(s, ratios.get(s.key), limit) for s in order)])
    for name, speed in {s.backend: s for s in speeds if s.origin not in ("", NATIVE, TARGET)}.items():
        yield from wrapped(f"{name}: {speed.origin} by lossparity of {speed.api}", "      ", "    ")
    for speed in order:
        cold = [f"{seconds(speed.cold)} where the L2 cache was emptied before"] if speed.cold is not None else []
        for said in [speed.refused] if speed.refused else cold + speed.doubts:
            yield from wrapped(f"{speed.backend} {speed.timed}: {said}", "      ", "    ")


def _row(speed: Speed, ratio: Ratio | None, limit: float | None) -> tuple[str, ...]:
    median = speed.median
    first = seconds(speed.first) if speed.first is not None else ""
    if median is None:
        return speed.backend, speed.timed, "none", first, *[""] * 5, "refused"
    rate = speed.moved / median
    return (
        speed.backend,
        speed.timed,
        seconds(median),
        first,
        bandwidth(rate),
        f"{rate / limit:.0%}" if limit else "",
        bytes_of(speed.peak),
        times(ratio.first.ratio) if ratio else "",
        interval(ratio.first.low, ratio.first.high) if ratio else "",
        ratio.verdict if ratio else "",
    )


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows:
        cells = (
            cell.ljust(n) if i in _LEFT else cell.rjust(n) for i, (cell, n) in enumerate(zip(row, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()
