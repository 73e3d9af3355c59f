"""The JSON Schema of a case file, for editors: completion, and help where the pointer rests on a key.

The structs describe a file as it is written; nothing is read through them. What they enumerate (operations, clauses,
formats, relations, ...) and the recipes are the tables that the reader goes by. A schema sees the form of a file only:
shapes that do not fit, or a target outside [0, K), are for the reader to refuse.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lossparity.casefile.arguments import ID, argument_names
from lossparity.casefile.permitted import CHOICES
from lossparity.casefile.values import SPELLED
from lossparity.formats import FORMATS, INTEGERS
from lossparity.inputs import GENERATORS
from lossparity.relations import RELATIONS
from lossparity.spec import CLAUSES, LAYOUTS, OPERATIONS, REDUCTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Case", "CaseFile", "Defaults", "Published", "case_file"]

_HERE = "#/definitions/{name}"


def _any_of(*names: str) -> Meta:
    return Meta(extra_json_schema={"anyOf": [{"$ref": _HERE.format(name=name)} for name in names]})


def _words(words: Iterable[str], said: Iterable[str] = ()) -> Meta:
    extra: dict[str, Any] = {"enum": list(words)}
    if beside := list(said):
        # Not of JSON Schema, but what editors show beside a word that they complete.
        extra["enumDescriptions"] = beside
    return Meta(extra_json_schema=extra)


_CALLED = {o.name: o.about for o in OPERATIONS.values()}
_CITED = {c.id: f"{c.text} ({c.kind}; {c.basis})" for c in CLAUSES.values()}
_RELATED = {name: f"{', '.join(r.clauses)}: the same {r.said}" for name, r in RELATIONS.items()}

_SOME = Meta(min_length=1, extra_json_schema={"uniqueItems": True})
_OF_NUMBERS = _any_of("Numbers", *GENERATORS)
_OF_INDICES = _any_of("Indices", *(name for name, made in GENERATORS.items() if made.indices))
_Array = Annotated[Any, _OF_NUMBERS]
_Indices = Annotated[Any, _OF_INDICES]
_Number = Annotated[Any, _any_of("Number")]
_Figures = Annotated[Any, _any_of("Numbers")]
_T = TypeVar("_T")
_Maybe: TypeAlias = _T | UnsetType
_Id = Annotated[str, Meta(pattern=f"^{ID.pattern}$")]
_Format = Annotated[str, _words(FORMATS)]
_Formats = Annotated[list[_Format], _SOME, Meta(description="The formats in which a case is tested.")]
_Gradient = Annotated[bool, Meta(description="Whether the gradient by the first argument is judged too.")]
_Choice = Annotated[str, _words(CHOICES)]
_About = Annotated[str, Meta(description="What is tested, in one sentence for people.")]


class Defaults(msgspec.Struct, forbid_unknown_fields=True):
    """What holds for every case of the file that does not say otherwise."""

    formats: _Maybe[_Formats] = UNSET
    gradient: _Maybe[_Gradient] = UNSET


class Published(msgspec.Struct, forbid_unknown_fields=True):
    """Figures that were printed elsewhere, in binary64 or binary32; the exact value has to round to them."""

    figures: Annotated[_Figures, Meta(description="The figures as printed, of the shape of the value.")]
    decimals: Annotated[int, Meta(ge=0, description="The number of decimals that they were printed with.")]
    exact: _Maybe[Annotated[_Figures, Meta(description="The right figures, where printed ones are wrong.")]] = UNSET
    remark: _Maybe[Annotated[str, Meta(description="Why printed figures are wrong.")]] = UNSET


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One case: an operation, its inputs and keywords, and the clause of the spec that it tests."""

    id: Annotated[_Id, Meta(description="The case's name within its suite: a-z, 0-9, '.' and '-'.")]
    clause: Annotated[
        str, _words(_CITED, _CITED.values()), Meta(description="The clause that a failure is reported under.")
    ]
    operation: Annotated[str, _words(_CALLED, _CALLED.values()), Meta(description="What is called.")]
    about: _Maybe[_About] = UNSET
    link: _Maybe[
        Annotated[str, Meta(pattern=r"^https://\S+$", description="The address where somebody reported it.")]
    ] = UNSET
    formats: _Maybe[_Formats] = UNSET
    gradient: _Maybe[_Gradient] = UNSET
    compiled: _Maybe[
        Annotated[bool, Meta(description="Whether compiled modes run it too; a compilation takes seconds.")]
    ] = UNSET
    relation: _Maybe[
        Annotated[
            str, _words(_RELATED, _RELATED.values()), Meta(description="What several results must have in common.")
        ]
    ] = UNSET
    one_of: _Maybe[
        Annotated[list[_Choice], _SOME, Meta(description="What is permitted, where the clause leaves a choice.")]
    ] = UNSET
    published: _Maybe[Published] = UNSET
    logits: _Maybe[
        Annotated[_Array, Meta(description="The logits: classes on axis 1, or on axis 0 of a single row.")]
    ] = UNSET
    log_probs: _Maybe[
        Annotated[_Array, Meta(description="The log-probabilities of nll_loss; classes as with logits.")]
    ] = UNSET
    target: _Maybe[
        Annotated[_Indices, Meta(description="Class indices, of the logits' shape without the class axis.")]
    ] = UNSET
    target_format: _Maybe[
        Annotated[
            str, _words(INTEGERS), Meta(description="The integer type of the target; int64 where nothing is said.")
        ]
    ] = UNSET
    probabilities: _Maybe[
        Annotated[_Array, Meta(description="Target probabilities, of the logits' shape; rows need not add up to 1.")]
    ] = UNSET
    weight: _Maybe[Annotated[_Array, Meta(description="A weight for each class, finite and not negative.")]] = UNSET
    ignore_index: _Maybe[
        Annotated[int, Meta(description="The target that is ignored; -100 where nothing is said.")]
    ] = UNSET
    label_smoothing: _Maybe[
        Annotated[_Number, Meta(description="The mass that is spread over all classes; 0 where nothing is said.")]
    ] = UNSET
    reduction: _Maybe[
        Annotated[str, _words(REDUCTIONS), Meta(description="How losses are reduced; mean where nothing is said.")]
    ] = UNSET
    upstream: _Maybe[
        Annotated[_Array, Meta(description="The gradient that comes in, of the value's shape; else a fixed pattern.")]
    ] = UNSET
    layout: _Maybe[
        Annotated[str, _words(LAYOUTS), Meta(description="How the inputs lie in memory, other than in C order.")]
    ] = UNSET
    scale: _Maybe[
        Annotated[_Number, Meta(description="A power of two: the call gets the logits divided by it and multiplies.")]
    ] = UNSET
    vary: _Maybe[
        Annotated[Any, _any_of("Vary"), Meta(description="Arguments and their values: a case for each combination.")]
    ] = UNSET


class CaseFile(msgspec.Struct, forbid_unknown_fields=True):
    """A suite of cases for lossparity: one theme of the loss spec, as flat data."""

    suite: Annotated[str, Meta(description="The file's name without .yaml: a-z, 0-9 and '-'.")]
    about: Annotated[str, Meta(description="The theme, in one sentence for people.")]
    cases: Annotated[list[Case], Meta(min_length=1)]
    defaults: _Maybe[Defaults] = UNSET


def _vary() -> type[msgspec.Struct]:
    """Return a struct of every argument: an input's values have names, a keyword's are listed."""
    hints = get_type_hints(Case, include_extras=True)
    axes: list[tuple[str, Any, Any]] = []
    for name in dict.fromkeys(name for o in OPERATIONS.values() for name in argument_names(o)):
        # What is left of the hint without UnsetType.
        (kind, _) = hints[name].__args__
        is_input = _OF_NUMBERS in kind.__metadata__ or _OF_INDICES in kind.__metadata__
        held: Any = dict[_Id, kind] if is_input else Annotated[list[kind], _SOME]  # type: ignore[valid-type]
        axes.append((name, held | UnsetType, UNSET))
    said = {"__doc__": "Arguments and their values; every combination is a case of its own."}
    return msgspec.defstruct("Vary", axes, forbid_unknown_fields=True, namespace=said)


def _recipes() -> Iterable[type[msgspec.Struct]]:
    """Yield a struct for every generator."""
    shape = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(description="The shape of what is generated.")]
    for name, made in GENERATORS.items():
        kinds: dict[str, Any] = {**dict.fromkeys(made.numbers, _Number), **dict.fromkeys(made.integers, int)}
        stated: list[Any] = [(p, kind) for p, kind in kinds.items() if p not in made.defaults]
        stated += [(p, kind | UnsetType, UNSET) for p, kind in kinds.items() if p in made.defaults]
        yield msgspec.defstruct(
            name,
            [("shape", shape), *stated],
            tag_field="generate",
            tag=name,
            forbid_unknown_fields=True,
            namespace={"__doc__": f"A recipe: {made.about}."},
        )


def _only_what_it_takes() -> list[dict[str, Any]]:
    """Return, for each operation, that it has no other operation's arguments."""
    every = {name for o in OPERATIONS.values() for name in argument_names(o)}
    rules: list[dict[str, Any]] = []
    for operation in OPERATIONS.values():
        none = dict.fromkeys(sorted(every - set(argument_names(operation))), False)
        then = {"properties": {**none, "vary": {"properties": none}}}
        rules.append({"if": {"properties": {"operation": {"const": operation.name}}}, "then": then})
    return rules


def case_file() -> str:
    """Return the JSON Schema of a case file as text, of draft 7, which is the one that editors know."""
    _, found = msgspec.json.schema_components((CaseFile, _vary(), *_recipes()), ref_template=_HERE)
    own = {
        "Number": {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^(?:{SPELLED})$"}]},
        "Numbers": {"anyOf": [{"$ref": "#/definitions/Number"}, _list_of("Numbers")]},
        "Indices": {"anyOf": [{"type": "integer"}, _list_of("Indices")]},
    }
    whole = found.pop("CaseFile")
    found["Case"]["allOf"] = _only_what_it_takes()
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **whole, "definitions": {**found, **own}}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": _HERE.format(name=name)}}
