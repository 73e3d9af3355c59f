"""Where a lie can show: what a question holds. What a liar fails elsewhere is not its lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lossparity.formats import FORMATS
from lossparity.plans import Question
from lossparity.spec import OPERATIONS

Numbers = npt.NDArray[np.float64]


def everywhere(_question: Question) -> bool:
    return True


def logits(question: Question) -> Numbers:
    return question.arrays[OPERATIONS[question.case.operation].first].exact()


def finite(question: Question) -> Numbers:
    x = logits(question)
    return x[np.isfinite(x)]


def classes(question: Question) -> int:
    x = logits(question)
    return x.shape[min(1, x.ndim - 1)]


def several(question: Question) -> bool:
    """Whether there is more than one class."""
    return classes(question) > 1


def deep(question: Question) -> bool:
    """Whether there are axes after the classes'."""
    return logits(question).ndim > 2


def beyond(question: Question, size: float) -> bool:
    return bool(np.any(np.abs(finite(question)) > size))


def spread(question: Question) -> float:
    x = finite(question)
    with np.errstate(over="ignore"):
        return float(x.max(initial=-np.inf) - x.min(initial=np.inf))


def masked(question: Question) -> bool:
    return bool(np.isneginf(logits(question)).any())


def infinite(question: Question) -> bool:
    return bool(np.isposinf(logits(question)).any())


def not_a_number(question: Question) -> bool:
    return bool(np.isnan(logits(question)).any())


def not_finite(question: Question) -> bool:
    return not bool(np.isfinite(logits(question)).all())


def smoothed(question: Question) -> bool:
    return float(question.case.keywords.get("label_smoothing", 0)) != 0


def weighted(question: Question) -> bool:
    return "weight" in question.arrays


def indexed(question: Question) -> bool:
    return question.arrays["target"].format not in FORMATS


def reduction(question: Question) -> str:
    return str(question.case.keywords.get("reduction", "mean"))


def averaged(question: Question) -> bool:
    return reduction(question) == "mean"


def ignore_index(question: Question) -> int:
    return int(question.case.keywords.get("ignore_index", -100))


def ignoring(question: Question) -> bool:
    return bool(np.any(question.arrays["target"].exact() == ignore_index(question)))


def idle(question: Question) -> bool:
    """Whether some row has no coefficient other than 0: it is ignored, or its target has no weight or no mass."""
    target, k = question.arrays["target"].exact(), classes(question)
    w = question.arrays["weight"].exact() if weighted(question) else np.ones(k)
    e = float(question.case.keywords.get("label_smoothing", 0))
    if not indexed(question):
        mass = np.moveaxis(target, min(1, target.ndim - 1), -1)
        return bool(np.any(np.all(w * ((1 - e) * mass + e / k) == 0, axis=-1)))
    named = counted(question)
    named = named[(named >= 0) & (named < k)].astype(int)
    return ignoring(question) or bool(np.any(((1 - e) * w[named] == 0) & (e * w.max() == 0)))


def counted(question: Question) -> Numbers:
    """Return the targets that are not ignored."""
    target = question.arrays["target"].exact()
    return target[target != ignore_index(question)]


def outside(question: Question) -> bool:
    """Whether an index is outside [0, K) and not ignored."""
    index = counted(question)
    return indexed(question) and bool(np.any((index < 0) | (index >= classes(question))))


def unsorted(question: Question) -> bool:
    """Whether the targets are indices that do not rise."""
    return indexed(question) and bool(
        np.any(np.diff(question.arrays["target"].exact().astype(np.int64).reshape(-1)) < 0)
    )


def wide(question: Question) -> bool:
    return FORMATS[question.format].bits > 16


def binary64(question: Question) -> bool:
    return question.format == "float64"


def overflowing(question: Question) -> bool:
    return beyond(question, 80) or infinite(question)


def coarse(question: Question) -> bool:
    # Below exp(-9) binary16 has fewer bits than bfloat16.
    return wide(question) or spread(question) > 9


def ignored_not_finite(question: Question) -> bool:
    return ignoring(question) and not_finite(question)


def divided_otherwise(question: Question) -> bool:
    return averaged(question) and indexed(question) and (weighted(question) or ignoring(question))


def rows(question: Question) -> int:
    """Return the number of rows, 1 where there is no batch axis."""
    x = logits(question)
    return len(x) if x.ndim > 1 else 1


def alone(question: Question) -> bool:
    """Whether some call has one row."""
    return rows(question) == 1 or question.case.relation == "rows-alone"


def positions(question: Question) -> int:
    """Return the number of rows, times that of the positions in each."""
    return logits(question).size // classes(question)


def rest(question: Question, block: int) -> bool:
    """Whether there is more than one block of classes, and the last one is not whole."""
    return classes(question) > block and classes(question) % block > 0


def separate(question: Question) -> bool:
    """Whether the losses are not reduced, or there are none."""
    return reduction(question) == "none"


def low(question: Question) -> bool:
    """Whether all logits of a row are far below 0."""
    x = np.moveaxis(logits(question), min(1, logits(question).ndim - 1), -1)
    return bool(np.any(np.max(np.where(np.isfinite(x), x, -np.inf), axis=-1) < -60))


def zero(question: Question) -> bool:
    return bool(np.any(logits(question) == 0))


def rows_apart(question: Question) -> float:
    """Return how far the largest logits of the rows are apart from the first row's."""
    x = np.moveaxis(logits(question), min(1, logits(question).ndim - 1), -1)
    m = np.max(np.where(np.isfinite(x), x, -1e300), axis=-1).reshape(-1)
    with np.errstate(over="ignore"):
        return float(np.max(np.abs(m - m[:1]), initial=0))
