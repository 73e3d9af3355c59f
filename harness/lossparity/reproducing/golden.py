"""Golden files: inputs, certified results and bounds as npz with a JSON index, for suites that are not in Python.

One npz a case and format. Results are high + low, two binary64 numbers whose sum is the exact value to within half an
ulp of a double-double; bounds are those of arithmetic with gradual underflow. docs/reproducing.md has the schema.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossparity import __version__
from lossparity.distance import overflow_of
from lossparity.errors import UsageError
from lossparity.expected import whole
from lossparity.formats import FORMATS, Array
from lossparity.plans import Quantity, Question
from lossparity.spec import CLAUSES

__all__ = ["INDEX", "VERSION", "empty", "estimate", "export"]

VERSION = 1
"""The version of the index; it grows when a reader of an older one would misread it."""

INDEX = "index.json"

_NUMBERS = ("high", "low", "ulp", "tight", "loose")
_FLAGS = ("open", "blank")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold: the same results make the same files


def empty(folder: Path, *, force: bool) -> None:
    """Make the folder; UsageError where something is in it already, unless `force`d, or where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        raise _unwritable(folder, error) from None
    if used and not force:
        raise UsageError(
            "the folder is not empty", where=str(folder), hint="--force overwrites files of the same names"
        )


def estimate(questions: Sequence[Question]) -> int:
    """Return about how many bytes the arrays have before they are compressed."""
    total = 0
    for kept in questions:
        question = _anew(kept)
        total += sum(array.data.nbytes for array in question.arrays.values())
        for quantity in question.quantities:
            for choice in _choices(question):
                total += 8 * len(_NUMBERS) * math.prod(question.answer(choice, quantity).shape)
    return total


def export(questions: Sequence[Question], folder: Path) -> Iterator[Question]:
    """Write one npz a question, then the index; yield each question when its file is written."""
    entries = []
    for question in questions:
        entries.append(_entry(_anew(question), folder))
        yield question
    index = {
        "format_version": VERSION,
        "lossparity": __version__,
        "subnormals": "gradual",
        "formats": {name: _format(name) for name in sorted({q.format for q in questions})},
        "cases": entries,
    }
    _write(folder / INDEX, (json.dumps(index, indent=1, ensure_ascii=False) + "\n").encode())


def _anew(question: Question) -> Question:
    """Return the same question without what it keeps: Arb's numbers of all questions would not fit into memory."""
    return Question(question.case, question.format, question.remember)


def _choices(question: Question) -> list[str]:
    return [choice for choice in question.alternatives if choice != "raises"]


def _format(name: str) -> dict[str, Any]:
    fmt = FORMATS[name]
    return {
        "ieee": fmt.ieee,
        "stored": _stored(name),
        "precision": fmt.precision,
        "rounds_to_infinity": overflow_of(fmt) if fmt.bits < 64 else None,  # no binary64 number does
        "results": [name, "float32"] if fmt.bits <= 16 else [name],
    }


def _stored(fmt: str) -> str:
    return "uint16" if fmt == "bfloat16" else fmt


def _entry(question: Question, folder: Path) -> dict[str, Any]:
    case, clause = question.case, CLAUSES[question.case.clause]
    arrays: dict[str, np.ndarray[Any, Any]] = {name: array.data for name, array in question.arrays.items()}
    results = []
    for quantity in question.quantities:
        for choice in _choices(question):
            found, described = _result(question, quantity, choice)
            arrays |= found
            results.append(described)
    file = f"{case.id}/{question.format}.npz"
    packed = _npz(arrays)
    _write(folder / file, packed)
    return {
        "id": case.id,
        "format": question.format,
        "operation": case.operation,
        "keywords": dict(case.keywords),
        "about": case.about,
        "clause": {"id": clause.id, "kind": clause.kind, "basis": clause.basis, "text": clause.text},
        "permitted": list(question.alternatives),
        "raises": "raises" in question.alternatives,
        "file": file,
        "sha256": hashlib.sha256(packed).hexdigest(),
        "input_hash": question.hash,
        "inputs": {name: _described(array) for name, array in question.arrays.items()},
        "results": results,
    }


def _described(array: Array) -> dict[str, Any]:
    return {"format": array.format, "stored": _stored(array.format), "shape": list(array.shape)}


def _result(
    question: Question, quantity: Quantity, choice: str
) -> tuple[Mapping[str, np.ndarray[Any, Any]], dict[str, Any]]:
    answer = question.answer(choice, quantity)
    found = whole(answer, flushed=False)
    kept: dict[str, np.ndarray[Any, Any]] = {name: getattr(found, name) for name in _NUMBERS}
    kept |= {name: getattr(found, name).astype(np.uint8) for name in _FLAGS if getattr(found, name).any()}
    keys = {name: f"{quantity}.{choice}.{name}" for name in kept}
    described = {"quantity": quantity, "choice": choice, "shape": list(answer.shape), "arrays": keys}
    return {keys[name]: part.reshape(answer.shape) for name, part in kept.items()}, described


def _npz(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Pack arrays as `numpy.savez_compressed` does, but with no time in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            raw = io.BytesIO()
            np.lib.format.write_array(raw, np.asarray(array, order="C"), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            archive.writestr(member, raw.getvalue(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> UsageError:
    reason = "its folder is a file" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
    return UsageError(f"golden files cannot be written: {reason}", where=str(path), hint="choose another folder")
