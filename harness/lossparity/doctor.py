"""`lossparity doctor`: what is here, what each framework says of itself and does, and how to get what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lossparity import __version__, floating, suite
from lossparity.constants import EXP_ULPS, LANES, LOG_ULPS, Constant
from lossparity.errors import UsageError
from lossparity.formats import FORMATS
from lossparity.model import Backend
from lossparity.probe import Assumed, probe
from lossparity.registry import Registered, registered
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
    # The first entry of an environment stands for it: all of them start the same.
    first: dict[str, Registered] = {}
    for entry in registered().values():
        first.setdefault(entry.environment, entry)
    environments = {entry.name: name for name, entry in first.items()}
    backends = [Backend.parse(entry.name) for entry in first.values() if entry.available]
    with workers_for(Run(backends, [])) as workers:
        for worker, (backend, *_) in workers.items():
            name = environments[backend.implementation]
            if worker.wait_ready():
                yield Line(f"{name}: ready")
                yield from (Line(f"  {key}: {value}") for key, value in worker.details.items())
                if probing and not fault and name == backend.framework:  # what runs on it has the same arithmetic
                    yield from _measured(worker)
            else:
                yield Line(f"{name}: installed, but it does not start: {worker.unavailable}")
    for name, entry in first.items():
        if not entry.available:
            yield Line(f"{name}: not installed; get it with: {' and '.join(map(_install, entry.missing))}")
    yield from map(_pack, suite.packs())


def _pack(name: str) -> Line:
    try:
        cases = sum(len(one.cases) for one in suite.pack(name))
    except UsageError as error:
        return Line(str(error), error.exit_code)
    return Line(f"{name}: a pack of {cases} cases; --cases {name} takes them")


def _install(module: str) -> str:
    return f"pip install 'lossparity[{module}]'" if module in _EXTRAS else f"install {module}"


def _measured(worker: Worker) -> Iterator[Line]:
    lanes = {fmt: int(constant.value) for fmt, constant in LANES.items()}
    for trait in probe(worker.ask, worker.details, Assumed(_by_format(EXP_ULPS), _by_format(LOG_ULPS), lanes)):
        yield Line(f"  measured {trait.name}: {'; '.join(trait.found)}")
        yield from (Line(f"  NOT as {trait.basis}: {wrong}", 1) for wrong in trait.wrong)


def _by_format(ulps: Mapping[str, Constant]) -> dict[str, float]:
    return {fmt: ulps[fmt if fmt in ulps else "rounded"].value for fmt in FORMATS}
