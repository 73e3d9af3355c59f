"""`lossparity doctor`: what is here, what each framework says of itself and does, and how to get what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lossparity import __version__, floating
from lossparity.constants import EXP_ULPS, LANES, LOG_ULPS, Constant
from lossparity.formats import FORMATS
from lossparity.model import Backend
from lossparity.probe import Assumed, probe
from lossparity.registry import registered
from lossparity.runner import Run, workers_for
from lossparity.workers import Worker

__all__ = ["Line", "examine"]

_EXTRAS = ("torch", "tensorflow", "jax")


@dataclass(frozen=True)
class Line:
    """One line of the report, and the exit status that it asks for; the highest of them counts."""

    text: str
    status: int = 0


def examine(*, probing: bool) -> Iterator[Line]:
    """Yield the lines of the report; every installed framework is started once in its own process.

    `probing`: measure its arithmetic too, unless this process's own, which would judge it, is unsound.
    """
    yield Line(f"lossparity {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in ("numpy", "python-flint", "msgspec", "PyYAML"):
        yield Line(f"  {package} {importlib.metadata.version(package)}")
    fault = floating.self_test()
    if fault:
        yield Line(f"lossparity: {fault}", 3)
    here = {Backend.parse(r.name).framework: r.available for r in registered().values()}
    # The first entry of a framework stands for it: all of them start the same framework.
    first = {b.framework: b for b in map(Backend.parse, reversed(registered()))}
    backends = [first[framework] for framework, available in here.items() if available]
    with workers_for(Run(backends, [])) as workers:
        for worker, (backend, *_) in workers.items():
            if worker.wait_ready():
                yield Line(f"{backend.framework}: ready")
                yield from (Line(f"  {key}: {value}") for key, value in worker.details.items())
                if probing and not fault:
                    yield from _measured(worker)
            else:
                yield Line(f"{backend.framework}: installed, but it does not start: {worker.unavailable}")
    for framework, available in here.items():
        if not available:
            extra = f"pip install 'lossparity[{framework}]'" if framework in _EXTRAS else f"install {framework}"
            yield Line(f"{framework}: not installed; get it with: {extra}")


def _measured(worker: Worker) -> Iterator[Line]:
    lanes = {fmt: int(constant.value) for fmt, constant in LANES.items()}
    for trait in probe(worker.ask, worker.details, Assumed(_by_format(EXP_ULPS), _by_format(LOG_ULPS), lanes)):
        yield Line(f"  measured {trait.name}: {'; '.join(trait.found)}")
        yield from (Line(f"  NOT as {trait.basis}: {wrong}", 1) for wrong in trait.wrong)


def _by_format(ulps: Mapping[str, Constant]) -> dict[str, float]:
    return {fmt: ulps[fmt if fmt in ulps else "rounded"].value for fmt in FORMATS}
