"""A matrix on a cluster of Ray: a task a cell, which builds the cell's own environment on its node and starts it there.

Ray's `runtime_env` is not used: it ties all nodes to one Python and needs virtualenv. A task whose worker or node dies
is run again by Ray; what a task has left comes back as it is finished, and is written here, once.
"""

from __future__ import annotations

import importlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lossparity import __version__
from lossparity.errors import LossparityError, UnavailableError, UsageError
from lossparity.matrix.cells import Cell, Matrix
from lossparity.matrix.commands import Commands
from lossparity.matrix.running import Finished, Plan, finished, judged, lost
from lossparity.suite import digest

__all__ = ["needs", "run"]

_RETRIES = 3
_FILES = ("run.jsonl", "log.txt", "cell.json")


@dataclass(frozen=True)
class _Left:
    """What a task brings back: the files of its cell, or why it has none."""

    files: Mapping[str, bytes]
    built: float | None = None
    seconds: float = 0.0
    unavailable: str = ""
    problem: str = ""


def run(plan: Plan, told: Callable[[Finished], None], warned: Callable[[str], None]) -> list[Finished]:
    """Run the cells that are not finished yet on the cluster of RAY_ADDRESS, or one begun here; return all in order.

    A cell whose task fails for good is unavailable, and the others go on. UnavailableError without Ray.
    """
    over: dict[str, Finished] = {}
    for cell in plan.matrix.cells:
        if there := finished(plan, cell):
            over[cell.name] = there
            told(there)
    waiting = [cell for cell in plan.matrix.cells if cell.name not in over]
    with _cluster() as ray:
        for reason in dict.fromkeys(filter(None, (_unfit(ray, cell) for cell in waiting))):
            warned(reason)
        task = ray.remote(max_retries=_RETRIES)(_work)
        left = [(cell, task.options(name=cell.name, **needs(ray, cell)).remote(_alone(plan, cell))) for cell in waiting]
        # Futures, as `ray.wait` makes of a signal that is heard there a KeyboardInterrupt that does not know which.
        futures = {reference.future(): cell for cell, reference in left}
        try:
            for future in as_completed(futures):
                cell = futures[future]
                over[cell.name] = _brought(ray, plan, cell, future)
                told(over[cell.name])
        finally:
            for cell, reference in left:
                if cell.name not in over:
                    ray.cancel(reference, force=True)
    return [over[cell.name] for cell in plan.matrix.cells]


@contextmanager
def _cluster() -> Iterator[Any]:
    """Join a cluster. Ray would hear SIGTERM itself, and end the process without a word."""
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        hint = "pip install 'lossparity[ray]'"
        raise UnavailableError(f"Ray cannot be imported: {error}", hint=hint) from None
    heard = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(f"there is no cluster of Ray: {error}", hint="RAY_ADDRESS says where it is") from None
    try:
        signal.signal(signal.SIGTERM, heard)
        yield ray
    finally:
        ray.shutdown()


def needs(ray: Any, cell: Cell) -> dict[str, Any]:
    """Return what of a node a task of this cell takes, as Ray's options; times take all of the largest there is."""
    wanted = dict(cell.resources)
    whole = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    cpus = wanted.pop("CPU", whole if cell.beside and whole else cell.threads or 1)
    gpus = wanted.pop("GPU", 1 if cell.device.startswith(("cuda", "gpu")) else 0)
    return {"num_cpus": cpus, "num_gpus": gpus, "resources": wanted}


def _unfit(ray: Any, cell: Cell) -> str:
    """Say that no node there is can take a cell; one that comes later may."""
    taken = needs(ray, cell)
    wanted = {"CPU": taken["num_cpus"], "GPU": taken["num_gpus"], **taken["resources"]}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= number for name, number in wanted.items()) for node in nodes):
        return ""
    said = ", ".join(f"{name} {number:g}" for name, number in wanted.items() if number)
    return f"no node of the cluster has {said} for {cell.name}; it waits for one"


def _alone(plan: Plan, cell: Cell) -> tuple[Plan, str]:
    """Return what a task is sent: its part of the plan, and the version of lossparity that is to run it."""
    return replace(plan, matrix=Matrix(plan.matrix.name, plan.matrix.about, (cell,)), jobs=1), __version__


def _work(sent: tuple[Plan, str]) -> _Left:
    """Run a cell, on its node."""
    plan, version = sent
    if version != __version__:
        return _Left({}, problem=f"a node has lossparity {__version__}, and this is {version}")
    # Ray gives a task as many threads as it takes CPUs; a run here computes with those that the framework takes.
    os.environ.pop("OMP_NUM_THREADS", None)
    (cell,) = plan.matrix.cells
    with tempfile.TemporaryDirectory() as folder:
        there = replace(plan, output=Path(folder))
        try:
            one = judged(there, cell, Commands())
        except LossparityError as error:
            return _Left({}, problem=str(error))
        paths = [there.folder(cell) / name for name in _FILES]
        files = {path.name: path.read_bytes() for path in paths if path.is_file()}
    return _Left(files, one.built, one.seconds, one.unavailable)


def _brought(ray: Any, plan: Plan, cell: Cell, future: Future[_Left]) -> Finished:
    """Write what a task has brought back where a run here would have left it."""
    try:
        left = future.result()
    except ray.exceptions.RayError as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        return lost(plan, cell, f"its task failed: {type(error).__name__}: {last}")
    if left.problem:
        raise UsageError(f"{cell.name}: {left.problem}")
    folder = plan.folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:  # that it is finished comes last
        (folder / name).unlink(missing_ok=True)
    for name in _FILES:
        if name in left.files:
            (folder / name).write_bytes(left.files[name])
    if left.unavailable:
        return lost(plan, cell, left.unavailable)
    one = finished(plan, cell)
    if one is None or one.record.header.suite_hash != digest(plan.asked(cell)):
        hint = "the files of --cases must be the same at the same path on every node"
        raise UsageError(f"{cell.name} was not run on these cases", hint=hint, where=str(folder))
    return replace(one, before=False, built=left.built, seconds=left.seconds)
