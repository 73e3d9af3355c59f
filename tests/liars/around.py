"""An operation whose results pass through somebody's hands on the way to the caller, and a table of such operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from liars.honest import Losses, Tensor, honest

__all__ = ["Around", "Changed", "Kernels", "around"]

Operation = Callable[..., Tensor]
Changed = Callable[..., Any]
"""A function of a result, the arguments of the call by place, and its keywords by name."""


def _as_it_is(result: Tensor, *_given: Tensor, **_keywords: Any) -> Tensor:
    return result


@dataclass(frozen=True)
class Kernels:
    """The operations that somebody wrote."""

    softmax: Operation | None = None
    log_softmax: Operation | None = None
    nll_loss: Operation | None = None
    cross_entropy: Operation | None = None


@dataclass(frozen=True)
class Around:
    """An operation with something done to its value and to its gradient; the upstream is the last of the arguments."""

    operation: Any
    to_value: Changed
    to_gradient: Changed

    def __call__(self, *given: Tensor, **keywords: Any) -> Any:
        return self.to_value(self.operation(*given, **keywords), *given, **keywords)

    def gradient(self, *given: Tensor, **keywords: Any) -> Any:
        return self.to_gradient(self.operation.gradient(*given, **keywords), *given, **keywords)


def around(
    value: Changed = _as_it_is, gradient: Changed = _as_it_is, *, only: tuple[str, ...] = (), of: Losses = honest
) -> Kernels:
    """Return operations, all or the named ones, with this done to what they return."""
    names = only or ("softmax", "log_softmax", "nll_loss", "cross_entropy")
    return Kernels(**{name: Around(getattr(of, name), value, gradient) for name in names})
