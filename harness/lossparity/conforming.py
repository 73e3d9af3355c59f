"""`lossparity.conforms`: puts a function under the suite in a test file. Costs nothing until pytest collects it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Conforming", "conforms"]


class Conforming:
    """A function that is to conform, as pytest finds it in a test file; it is called, and has attributes, as before."""

    def __init__(self, function: Callable[..., Any], operation: str, options: Mapping[str, Any]) -> None:
        """Keep the function, the operation it does, and the options of `lossparity.check`."""
        functools.update_wrapper(self, function, updated=())
        self.function, self.operation, self.options = function, operation, options

    def __call__(self, *given: Any, **keywords: Any) -> Any:
        """Call the function."""
        return self.function(*given, **keywords)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the function, such as `gradient`."""
        if name == "function":  # not there yet: somebody makes a copy of it
            raise AttributeError(name)
        return getattr(self.function, name)


def conforms(operation: str = "cross_entropy", **options: Any) -> Callable[[Callable[..., Any]], Conforming]:
    """Put a function under the suite in a test file: one test for each check, collected by lossparity's pytest plugin.

    It is a decorator, whatever the function's name, and takes what is imported too: `test_loss =
    lossparity.conforms(framework="torch")(mykernels.fused)`. `options` are those of `lossparity.check`, but for
    `record`, `dump` and `cache`; one that is not known is an error when pytest collects the function. A known deviation
    of yours (`known`) is an expected failure, and the session fails where fewer than `min_coverage` of the operation's
    must-results could be judged.
    """
    if not isinstance(operation, str):
        raise TypeError("lossparity.conforms is called with parentheses: @lossparity.conforms()")
    return lambda function: Conforming(function, operation, options)
