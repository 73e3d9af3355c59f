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
    return float(np.ptp(x)) if x.size else 0.0


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
