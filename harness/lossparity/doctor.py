"""`lossparity doctor`: what is here, what each framework says of itself and does, and how to get what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lossparity import __version__, cache, floating, suite
from lossparity.constants import EXP_ULPS, LANES, LOG_ULPS, Constant
from lossparity.dependencies import unmet
from lossparity.errors import UsageError
from lossparity.formats import FORMATS
from lossparity.model import Backend
from lossparity.probe import Assumed, probe
from lossparity.registry import Registered, compiler, registered
from lossparity.runner import Run, workers_for
from lossparity.workers import Worker

__all__ = ["Line", "examine"]

_EXTRAS = ("torch", "tensorflow", "jax")
_GPU = {"torch": "cuda", "tensorflow": "gpu", "jax": "gpu"}


@dataclass(frozen=True)
class Line:
    """One line of the report, and the exit status that it asks for; the highest of them counts."""

    text: str
    status: int = 0


def examine(*, probing: bool) -> Iterator[Line]:
    """Yield the lines of the report; every installed framework is started once in its own process.

    `probing`: measure its arithmetic too, unless this process's own, which would judge it, is unsound. The last line is
    the verdict, and what to run next.
    """
    python = f"Python {platform.python_version()} ({sys.executable})"
    yield Line(f"lossparity {__version__}, {python}, {platform.platform()}")
    for package in ("numpy", "python-flint", "msgspec", "PyYAML"):
        yield Line(f"  {package} {importlib.metadata.version(package)}")
    yield Line(f"  references are kept in {cache.folder()} (LOSSPARITY_CACHE_DIR)")
    yield Line("  a run's record and page go to ./lossparity-results (-o FOLDER)")
    fault = floating.self_test()
    if fault:
        yield Line(f"lossparity: {fault}", 3)
    # The first entry of an environment stands for it: all of them start the same.
    first: dict[str, Registered] = {}
    for entry in registered().values():
        first.setdefault(entry.environment, entry)
    wrong = [one.advice for package in _packages(first.values()) for one in unmet(package)]
    yield from (Line(f"  CONFLICT {said}") for said in wrong)
    ready: list[str] = []
    with workers_for(Run(_started(first), [])) as workers:
        for worker, (backend, *_) in workers.items():
            name = str(backend).partition("+")[0]
            if not worker.wait_ready():
                yield Line(f"{name}: installed, but it does not start: {worker.unavailable}")
                continue
            ready.append(name)
            yield Line(f"{name}: ready")
            yield from (Line(f"  {key}: {value}") for key, value in worker.details.items())
            if worker.uncompiled:
                yield Line(f"  NO compiler, so {backend} cannot be judged: {worker.uncompiled}")
            if probing and not fault and name == backend.framework:  # what runs on it has the same arithmetic
                yield from _measured(worker)
    if shutil.which("nvidia-smi") is None:
        yield Line("no NVIDIA GPU is seen here (no nvidia-smi): the frameworks are judged on the CPU")
    missing = {name: entry for name, entry in first.items() if not entry.available}
    for name, entry in missing.items():
        yield Line(f"{name}: not installed; get it with: pip install {' '.join(map(_package, entry.missing))}")
    if missing:
        version = ".".join(platform.python_version_tuple()[:2])
        yield Line(
            f"  where pip finds no version that fits, there may be none for Python {version} yet, or any more: make an "
            "environment with another Python, and name it, as in -b torch@PATH/TO/python"
        )
    yield from map(_pack, suite.packs())
    yield _verdict(fault or "", wrong, ready)


def _verdict(fault: str, wrong: Sequence[str], ready: Sequence[str]) -> Line:
    if fault:
        return Line("NOT READY: nothing can be judged in this process; mend what is said first above", 3)
    if not ready:
        return Line("NOT READY: no backend starts; mend what is said above, then again `lossparity doctor`", 3)
    conflicts = f", but {len(wrong)} CONFLICT{'S' * (len(wrong) > 1)} above" if wrong else ""
    alone = " A framework is worth more: see above how to get one." if all(n.startswith("numpy") for n in ready) else ""
    return Line(f"READY: {', '.join(ready)}{conflicts}. Next: `lossparity run`.{alone}")


def _pack(name: str) -> Line:
    try:
        cases = sum(len(one.cases) for one in suite.pack(name))
    except UsageError as error:
        return Line(str(error), error.exit_code)
    return Line(f"{name}: a pack of {cases} cases; --cases {name} takes them")


def _started(first: Mapping[str, Registered]) -> list[Backend]:
    """Return what to start: each environment, with its compiler, and a framework on its GPU where one is seen."""
    found: list[Backend] = []
    for name, entry in first.items():
        backend = Backend.parse(entry.name)
        if not entry.available:
            continue
        own = name == backend.framework and entry.name == backend.framework
        found.append(replace(backend, mode=compiler(name)) if own else backend)
        if own and name in _GPU and shutil.which("nvidia-smi"):
            found.append(replace(backend, device=_GPU[name]))
    return found


def _packages(entries: Iterable[Registered]) -> list[str]:
    """Return the distributions whose requirements are looked at: this one, and those that hold what is judged."""
    owners = importlib.metadata.packages_distributions()
    modules = [module for entry in entries if entry.available for module in entry.requires]
    return list(dict.fromkeys(["lossparity", *(name for module in modules for name in owners.get(module, ()))]))


def _package(module: str) -> str:
    return f"'lossparity[{module}]'" if module in _EXTRAS else module


def _measured(worker: Worker) -> Iterator[Line]:
    lanes = {fmt: int(constant.value) for fmt, constant in LANES.items()}
    for trait in probe(worker.ask, worker.details, Assumed(_by_format(EXP_ULPS), _by_format(LOG_ULPS), lanes)):
        yield Line(f"  measured {trait.name}: {'; '.join(trait.found)}")
        yield from (Line(f"  NOT as {trait.basis}: {wrong}", 1) for wrong in trait.wrong)


def _by_format(ulps: Mapping[str, Constant]) -> dict[str, float]:
    return {fmt: ulps[fmt if fmt in ulps else "rounded"].value for fmt in FORMATS}
