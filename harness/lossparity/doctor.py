"""`lossparity doctor`: what is here, what each framework says of itself, and how to get what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator

from lossparity import __version__
from lossparity.model import Backend
from lossparity.registry import registered
from lossparity.runner import Run, workers_for

__all__ = ["examine"]

_EXTRAS = ("torch", "tensorflow", "jax")


def examine() -> Iterator[str]:
    """Yield the lines of the report; every installed framework is started once in its own process."""
    yield f"lossparity {__version__}, Python {platform.python_version()}, {platform.platform()}"
    for package in ("numpy", "python-flint", "msgspec", "PyYAML"):
        yield f"  {package} {importlib.metadata.version(package)}"
    here = {Backend.parse(r.name).framework: r.available for r in registered().values()}
    # The first entry of a framework stands for it: all of them start the same framework.
    first = {b.framework: b for b in map(Backend.parse, reversed(registered()))}
    backends = [first[framework] for framework, available in here.items() if available]
    with workers_for(Run(backends, [])) as workers:
        for worker, (backend, *_) in workers.items():
            if worker.wait_ready():
                yield f"{backend.framework}: ready"
                yield from (f"  {key}: {value}" for key, value in worker.details.items())
            else:
                yield f"{backend.framework}: installed, but it does not start: {worker.unavailable}"
    for framework, available in here.items():
        if not available:
            extra = f"pip install 'lossparity[{framework}]'" if framework in _EXTRAS else f"install {framework}"
            yield f"{framework}: not installed; get it with: {extra}"
