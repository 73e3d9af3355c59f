"""How the arguments of the spec reach the parameters of a user's function, whatever they are called there."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from lossparity.spec import DEFAULTS, Operation

__all__ = ["Binding", "arguments_of", "bind"]

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def arguments_of(operation: Operation) -> tuple[str, ...]:
    """Return the names of all arguments of an operation, the positional ones first."""
    return (*_positional(operation), *operation.keywords)


def _positional(operation: Operation) -> tuple[str, ...]:
    return (operation.first, "target") if operation.target else (operation.first,)


@dataclass(frozen=True)
class Binding:
    """A user's function, and where it wants each argument.

    `by_name` takes a positional argument of the spec to the parameter that it is passed to by keyword; the others go by
    place. `names` takes a keyword to the parameter's name. `wanted` are the keywords that the function has no default
    for: they are passed always. `keywords` are those that it takes, none when it takes any.
    """

    function: Callable[..., Any]
    positional: tuple[str, ...]
    by_name: Mapping[str, str]
    names: Mapping[str, str]
    wanted: tuple[str, ...]
    keywords: Optional[frozenset[str]]

    def missing(self, stated: Mapping[str, Any]) -> list[str]:
        """Return which of these keywords the function lacks, but for those that state what holds without them."""
        lacking = () if self.keywords is None else stated.keys() - self.keywords
        return sorted(name for name in lacking if name == "weight" or stated[name] != DEFAULTS[name])

    def passed(self, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of these keywords that the function has, and the defaults of those that it wants always."""
        known = {name: value for name, value in stated.items() if self.keywords is None or name in self.keywords}
        return {**{name: DEFAULTS[name] for name in self.wanted}, **known}

    def arranged(self, *, copying: bool) -> Callable[..., Any]:
        """Return the function as the spec calls it; `copying`: it works on copies, so that it may overwrite them."""
        function, by_name, names, positional = self.function, self.by_name, self.names, self.positional

        def given(keywords: Mapping[str, Any]) -> dict[str, Any]:
            return {names.get(name, name): own(value) for name, value in self.passed(keywords).items()}

        def own(value: Any) -> Any:
            return _copy(value) if copying else value

        def arranged(*arguments: Any, **keywords: Any) -> Any:
            placed = [own(value) for name, value in zip(positional, arguments) if name not in by_name]
            named = {by_name[name]: own(value) for name, value in zip(positional, arguments) if name in by_name}
            return function(*placed, **named, **given(keywords))

        gradient = getattr(function, "gradient", None)
        if gradient is not None:  # its arguments go by place: those of the spec, then the upstream gradient

            def backward(*arguments: Any, **keywords: Any) -> Any:
                return gradient(*map(own, arguments), **given(keywords))

            arranged.gradient = backward  # type: ignore[attr-defined]
        return arranged


def _copy(value: Any) -> Any:
    """Copy a tensor: torch clones, NumPy and JAX copy, and TensorFlow's cannot be changed."""
    copy = getattr(value, "clone", None) or getattr(value, "copy", None)
    return copy() if copy is not None else value


def bind(function: Callable[..., Any], operation: Operation, mapped: Mapping[str, str], where: str) -> Binding:
    """Find out how a function is to be called; ImportError says what it has and what the contract wants."""
    parameters = _parameters(function, where)
    shown = f"{where}({', '.join(parameters)})"
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    by_name = {name for name, p in parameters.items() if p.kind in _BY_NAME}
    for name, parameter in mapped.items():
        if not anything and parameter not in by_name:
            kind = "takes by place only what" if parameter in parameters else "has no parameter that"
            raise ImportError(f"{where} {kind} --map {name}={parameter} names; its parameters: {', '.join(parameters)}")
    positional = _positional(operation)
    contract = f"the contract is {operation.name}({', '.join(positional)}" + (
        f", *, {', '.join(operation.keywords)})" if operation.keywords else ")"
    )
    named = _placed(parameters, positional, mapped)
    taken = {named.get(name) or mapped.get(name) for name in positional}
    places = [name for name in positional if name not in named]
    free = [name for name, p in parameters.items() if p.kind in _BY_PLACE and name not in taken]
    rest = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values())
    if len(places) > len(free) and not rest:
        lacking = ", ".join(places[len(free) :])
        raise ImportError(
            f"{shown} has no parameter for {lacking}: {contract}; --map {places[len(free)]}=NAME says which "
            "parameter it is"
        )
    names = {name: parameter for name, parameter in mapped.items() if name not in positional}
    own = {parameter: name for name, parameter in names.items()}
    filled = {*free[: len(places)], *taken}
    needed = [
        name
        for name, p in parameters.items()
        if p.default is inspect.Parameter.empty and p.kind in (*_BY_PLACE, inspect.Parameter.KEYWORD_ONLY)
    ]
    unmet = [name for name in needed if name not in filled and own.get(name, name) not in operation.keywords]
    if unmet:
        raise ImportError(
            f"{shown} wants {', '.join(unmet)}, which nobody passes: {contract}; --map {positional[-1]}=NAME "
            "says which parameter an argument is, or wrap it (`lossparity init`)"
        )
    return Binding(
        function,
        positional,
        named,
        names,
        tuple(own.get(name, name) for name in needed if name not in filled),
        None if anything else frozenset(name for name in operation.keywords if names.get(name, name) in by_name),
    )


def _placed(
    parameters: Mapping[str, inspect.Parameter], positional: tuple[str, ...], mapped: Mapping[str, str]
) -> dict[str, str]:
    """Name the parameter of each positional argument that cannot go by place.

    That is what is mapped, what only its own name reaches, and, once one is passed by name, every other one too: it
    goes to the first parameter that is left.
    """
    only = {name for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    named = {name: mapped.get(name, name) for name in positional if name in mapped or name in only}
    if named:
        left = [n for n, p in parameters.items() if p.kind in _BY_PLACE and n not in {*named.values()}]
        for name in positional:
            if name not in named and left:
                parameter = left.pop(0)
                if parameters[parameter].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
                    named[name] = parameter
    return named


def _parameters(function: Callable[..., Any], where: str) -> Mapping[str, inspect.Parameter]:
    # A torch module's own signature is (*args, **kwargs); what it takes is written at `forward`.
    told = function if inspect.isroutine(function) else getattr(function, "forward", function)
    try:
        return inspect.signature(told).parameters
    except (TypeError, ValueError) as error:
        raise ImportError(f"{where} does not tell its keywords ({error}): wrap it in a function that does") from error
