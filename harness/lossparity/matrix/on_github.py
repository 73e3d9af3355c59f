"""A matrix as jobs of GitHub Actions: what a workflow's `matrix` takes, a job a cell."""

from __future__ import annotations

import json

from lossparity.matrix.cells import Matrix

__all__ = ["jobs"]


def jobs(matrix: Matrix) -> str:
    """Return the value of `strategy.matrix` as JSON in one line: an entry for each cell, its name and its Python.

    GitHub takes at most 256 entries, which is the most that a matrix has.
    """
    return json.dumps({"include": [{"cell": cell.name, "python": cell.python or "3.x"} for cell in matrix.cells]})
