"""What failed, kept on disk: the checks to run first again, and their inputs as files of NumPy."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lossparity.cache import folder
from lossparity.errors import UsageError
from lossparity.formats import Array
from lossparity.plans import Finding, Question
from lossparity.record import Result
from lossparity.target import Target

__all__ = ["dump", "last", "remember"]


def _file(target: Target, framework: str, device: str) -> Path:
    # A path means another function in another folder.
    where = str(Path(target.where).absolute()) if ".py:" in target.where else f"{Path.cwd()} {target.where}"
    name = hashlib.sha256(json.dumps([where, target.operation, framework, device]).encode()).hexdigest()[:32]
    return folder() / "last-failed" / f"{name}.json"


def last(target: Target, framework: str, device: str) -> frozenset[str]:
    """Return the checks `case/format` that failed when they were last run; empty where nothing is known."""
    try:
        found = json.loads(_file(target, framework, device).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return frozenset()
    return frozenset(str(one) for one in found) if isinstance(found, list) else frozenset()


def remember(target: Target, framework: str, device: str, asked: AbstractSet[str], failed: AbstractSet[str]) -> None:
    """Keep which checks fail: those of `asked` that are in `failed`, and what failed before and was not asked.

    A disk that refuses it is no reason to fail.
    """
    path = _file(target, framework, device)
    kept = sorted((last(target, framework, device) - asked) | failed)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(kept), encoding="utf-8")
        scratch.replace(path)


def dump(to: Path, question: Question, finding: Finding, result: Result) -> None:
    """Write a failing check's inputs, keywords, exact values and what was got as one npz, named after the check.

    Arrays of the spec's names (`logits`, `target`, `weight`, `upstream`); bfloat16 as binary32, which holds it exactly;
    `about` is JSON: check, operation, format, keywords. UsageError when the folder cannot be written.
    """
    arrays: dict[str, Any] = {name: _plain(array) for name, array in question.arrays.items()}
    for quantity in question.quantities:
        if finding.answer is not None and finding.quantity == quantity:
            arrays[f"exact_{quantity}"] = finding.answer.whole()
    if finding.got is not None:
        arrays[f"got_{finding.quantity}"] = _plain(finding.got)
    about = {
        "check": result.check,
        "quantity": result.quantity,
        "operation": question.case.operation,
        "format": question.format,
        "keywords": dict(question.case.keywords),
        "clause": question.case.clause,
    }
    name = re.sub(r"[^\w.=+-]+", "__", result.check) + f"__{result.quantity}.npz"
    try:
        to.mkdir(parents=True, exist_ok=True)
        np.savez(to / name, about=np.asarray(json.dumps(about)), **arrays)
    except OSError as error:
        raise UsageError(f"the inputs cannot be written: {error.strerror}", where=str(to / name)) from None


def _plain(array: Array) -> np.ndarray[Any, Any]:
    return array.exact().astype(np.float32) if array.format == "bfloat16" else array.data
