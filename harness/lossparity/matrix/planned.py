"""What a matrix will take: which cells are to run, which environments to build, and about how long and how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lossparity.matrix.cells import Cell
from lossparity.matrix.environments import Built, built, installer, kept
from lossparity.matrix.running import Plan, finished

__all__ = ["planned"]


@dataclass(frozen=True)
class _Known:
    """What environments of a framework that are there took."""

    size: float
    seconds: float


def planned(plan: Plan) -> Iterator[str]:
    """Yield a line a cell, and what all of it comes to, going by what is there of the same frameworks."""
    to_build: dict[str, Cell] = {}
    to_run = 0
    for cell in plan.matrix.cells:
        over = finished(plan, cell)
        own = all(built(one) for one in cell.beside or (cell,))
        to_run += over is None
        if not own and not over and not cell.beside:
            to_build[cell.environment] = cell
        state = "finished" if over else "to run" if own else "to build and run"
        of = " ".join(cell.requirements) or f"side by side: {', '.join(one.version for one in cell.beside)}"
        yield f"{cell.name}: {state}  ({of})"
    environments = f"{len(to_build)} environments to build, by {installer()}"
    yield f"{to_run} of {len(plan.matrix.cells)} cells to run; {environments}"
    known = _known(kept())
    alike = [known[cell.framework] for cell in to_build.values() if cell.framework in known]
    if alike:
        size, seconds = sum(one.size for one in alike) / 1e9, sum(one.seconds for one in alike)
        yield f"about {size:.1f} GB and {seconds:.0f} s for {len(alike)} of these, as those of other versions took"


def _known(environments: list[Built]) -> dict[str, _Known]:
    found: dict[str, list[Built]] = {}
    for one in environments:
        found.setdefault(one.folder.name.partition("-")[0], []).append(one)
    return {
        framework: _Known(sum(o.size for o in each) / len(each), sum(o.seconds for o in each) / len(each))
        for framework, each in found.items()
    }
