"""One entry of a case file as the cases it stands for: its keys, its defaults, its `vary` multiplied out."""

from __future__ import annotations

import difflib
import itertools
from typing import TYPE_CHECKING, NamedTuple

from lossparity.casefile.arguments import (
    ID,
    SETTINGS,
    TARGETS,
    argument_names,
    check_name,
    read_argument,
    read_axes,
    target_names,
)
from lossparity.casefile.effort import Effort
from lossparity.casefile.inputs import Input, check_fit, check_target_format
from lossparity.casefile.nodes import CaseError, Node, Table
from lossparity.casefile.permitted import CHOICES, check_left_open
from lossparity.casefile.published import check_figures, read_published
from lossparity.casefile.related import check_relation
from lossparity.casefile.values import boolean, choice, choices, fields, table, text
from lossparity.formats import FORMATS
from lossparity.model import Case, Published
from lossparity.relations import RELATIONS
from lossparity.shapes import value_shape
from lossparity.spec import CLAUSES, OPERATIONS, TIMED, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Defaults", "read_cases", "read_defaults"]

_COMMON = (
    "id",
    "clause",
    "operation",
    "about",
    "link",
    "formats",
    "gradient",
    "compiled",
    "relation",
    "one_of",
    "published",
    "vary",
)


class Defaults(NamedTuple):
    """What a suite says for all of its cases."""

    formats: tuple[str, ...] = tuple(FORMATS)
    gradient: bool = True


def read_defaults(node: Node) -> Defaults:
    """Return a suite's `defaults`."""
    entries = fields(node, "defaults", (), Defaults._fields)
    formats, gradient = Defaults()
    if "formats" in entries:
        formats = choices(entries["formats"], "formats", FORMATS, "format")
    if "gradient" in entries:
        gradient = boolean(entries["gradient"], "gradient")
    return Defaults(formats, gradient)


class _Expected(NamedTuple):
    """What the cases of one entry have in common beside their arguments."""

    clause: str
    about: str
    formats: tuple[str, ...]
    gradient: bool
    compiled: bool
    relation: str
    link: str
    one_of: tuple[str, ...]
    published: tuple[Published, tuple[int, ...]] | None


def read_cases(
    node: Node, suite: str, about: str, defaults: Defaults, path: str, effort: Effort
) -> Iterator[tuple[Case, Node]]:
    """Yield the cases that one entry of `cases` stands for, each with the node of its id.

    They come in the order that the axes are written in, the last one fastest; `path` is for `Case.source`.
    """
    found = table(node, "a case")
    for needed in ("id", "clause", "operation"):
        if needed not in found.entries:
            for key in found.keys.values():
                if key.text not in _COMMON and difflib.get_close_matches(key.text, [needed]):
                    raise CaseError(key, f"unknown key {key.text!r}", f"did you mean {needed!r}?")
            raise CaseError(node, f"the case lacks {needed!r}", f"add `{needed}:`")
    name = text(found.entries["id"], "id")
    if not ID.fullmatch(name):
        raise CaseError(
            found.entries["id"], f"the id {name!r} must be of a-z, 0-9, '.' and '-', and begin with a-z or 0-9"
        )
    operation = OPERATIONS[choice(found.entries["operation"], "operation", OPERATIONS, "operation")]
    _check_keys(found, operation)
    axes = read_axes(found, operation)
    _check_complete(found, axes, operation)
    expected = _expected(found, axes, operation, about, defaults)
    if expected.clause == TIMED:
        _check_timed(found, axes)
    check_left_open(found, expected.one_of)
    stated = {k: read_argument(k, found.entries[k]) for k in argument_names(operation) if k in found.entries}
    for chosen in itertools.product(*axes.values()):
        varied = dict(zip(axes, chosen, strict=True))
        labels = [f"{axis}={value.label}" for axis, value in varied.items()]
        arguments = {**stated, **{axis: value.argument for axis, value in varied.items()}}
        inputs = {k: v for k, v in arguments.items() if isinstance(v, Input)}
        settings = {k: v for k, v in arguments.items() if k in SETTINGS}
        keywords = {k: v for k, v in arguments.items() if not isinstance(v, Input) and k not in SETTINGS}
        effort.spend(node, inputs.values(), len(expected.formats) if expected.relation else 0)
        target_format = str(settings.get("target_format", "int64"))
        check_fit(operation.name, inputs, keywords, expected.formats, expected.one_of)
        if "target_format" in arguments:
            check_target_format(inputs, keywords, target_format)
        if expected.published is not None:
            shape = value_shape(operation.name, inputs[operation.first].shape, keywords)
            check_figures(found.entries["published"], expected.published[1], shape)
        case = Case(
            id="/".join((suite, name, *labels)),
            suite=suite,
            about=expected.about,
            clause=expected.clause,
            operation=operation.name,
            inputs={k: v.value for k, v in inputs.items()},
            keywords=keywords,
            formats=expected.formats,
            gradient=expected.gradient,
            one_of=expected.one_of,
            published=expected.published[0] if expected.published is not None else None,
            source=f"{path}:{node.line}",
            compiled=expected.compiled,
            target_format=target_format,
            layout=str(settings.get("layout", "")),
            scale=float(settings.get("scale", 1.0)),  # type: ignore[arg-type]
            relation=expected.relation,
            link=expected.link,
        )
        check_relation(case, found.entries.get("relation", found.entries["clause"]))
        yield case, found.entries["id"]


def _check_keys(found: Table, operation: Operation) -> None:
    for key in found.keys.values():
        check_name(key, operation, (*_COMMON, *argument_names(operation)), "key")


def _check_timed(found: Table, axes: Mapping[str, object]) -> None:
    """Refuse, of a case that is timed, what is about judging: it is one plain call."""
    for name in ("one_of", "published", "relation", "compiled", *SETTINGS):
        if name in {*found.entries, *axes}:
            said = f"a case of clause {TIMED} is timed, not judged: {name!r} means nothing there"
            raise CaseError(found.keys.get(name, found), said, "leave it out, or name the clause of the value itself")


def _check_complete(found: Table, axes: Mapping[str, object], operation: Operation) -> None:
    given = {*found.entries, *axes}
    if operation.first not in given:
        raise CaseError(found, f"the case lacks {operation.first!r}", f"add `{operation.first}:`")
    targets = [name for name in TARGETS if name in given]
    if operation.target and not targets:
        raise CaseError(found, "the case lacks 'target'", f"add one of: {', '.join(target_names(operation))}")
    if len(targets) > 1:
        raise CaseError(found, "both target and probabilities", "probabilities are a target: keep one of the two")


def _clause(node: Node) -> str:
    return choice(node, "clause", CLAUSES, "clause")


def _link(node: Node) -> str:
    where = text(node, "link")
    if not where.startswith("https://") or any(c.isspace() for c in where):
        raise CaseError(node, f"the link {where!r} is no address", "it begins with https://")
    return where


def _expected(
    found: Table, axes: Mapping[str, object], operation: Operation, about: str, defaults: Defaults
) -> _Expected:
    entries = found.entries
    gradient = defaults.gradient and operation.differentiable
    if "gradient" in entries:
        gradient = boolean(entries["gradient"], "gradient")
        if gradient and not operation.differentiable:
            raise CaseError(entries["gradient"], f"{operation.name} has no gradient", "leave `gradient` out")
    if not gradient and "upstream" in {*entries, *axes}:
        raise CaseError(
            entries.get("upstream", found), "an upstream, and no gradient", "say `gradient: true`, or leave it out"
        )
    return _Expected(
        clause=_clause(entries["clause"]),
        about=text(entries["about"], "about") if "about" in entries else about,
        formats=choices(entries["formats"], "formats", FORMATS, "format") if "formats" in entries else defaults.formats,
        gradient=gradient,
        compiled="compiled" in entries and boolean(entries["compiled"], "compiled"),
        relation=choice(entries["relation"], "relation", RELATIONS, "relation") if "relation" in entries else "",
        link=_link(entries["link"]) if "link" in entries else "",
        one_of=choices(entries["one_of"], "one_of", CHOICES, "choice") if "one_of" in entries else (),
        published=read_published(entries["published"]) if "published" in entries else None,
    )
