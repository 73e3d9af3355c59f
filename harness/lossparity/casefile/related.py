"""Whether a case fits the relation that it names, or the clause that it cites without one."""

from __future__ import annotations

from lossparity.casefile.nodes import CaseError, Node
from lossparity.errors import UsageError
from lossparity.inputs import build
from lossparity.model import Case
from lossparity.relations import RELATIONS, Part
from lossparity.spec import DEFAULTS, OPERATIONS

__all__ = ["check_relation"]

_LAYOUTS, _MODES = "M5", "M8"


def check_relation(case: Case, node: Node) -> None:
    """Raise CaseError where the relation of a case does not fit it."""
    if not case.relation:
        _check_without(case, node)
        return
    relation = RELATIONS[case.relation]
    if case.clause not in relation.clauses:
        wanted = " or ".join(relation.clauses)
        raise CaseError(node, f"the relation {case.relation} is judged under {wanted}, not {case.clause}")
    if case.operation not in relation.operations:
        raise CaseError(node, f"{case.operation} has no relation {case.relation}", _listed(relation.operations))
    reduction = case.keywords.get("reduction", DEFAULTS["reduction"])
    if "reduction" in OPERATIONS[case.operation].keywords and reduction not in relation.reductions:
        said = f"the relation {case.relation} does not hold for the reduction {reduction}"
        raise CaseError(node, said, _listed(relation.reductions))
    if case.one_of or case.published:
        raise CaseError(node, "a relation compares results with each other", "leave one_of and published out")
    if relation.compiled and not case.compiled:
        raise CaseError(node, f"the relation {case.relation} is about compiled modes", "add `compiled: true`")
    if relation.quantities == ("gradient",) and not case.gradient:
        raise CaseError(node, f"the relation {case.relation} is about gradients", "say `gradient: true`")
    for fmt in case.formats:
        own = Part(build(case, fmt), case.keywords)
        if relation.rows and len(own.first.shape) != 2:
            raise CaseError(node, f"the relation {case.relation} wants rows of classes: two axes")
        try:
            relation.others(own)
        except UsageError as error:
            raise CaseError(node, error.message, error.hint) from None


def _check_without(case: Case, node: Node) -> None:
    needed = [name for name, relation in RELATIONS.items() if case.clause in relation.clauses]
    if case.clause == _LAYOUTS and not case.layout:
        raise CaseError(node, "clause M5 is about how inputs lie in memory", "add `layout:`")
    if needed and not (case.clause == _MODES and case.scale != 1.0):
        raise CaseError(node, f"clause {case.clause} is judged by a relation", _listed(needed))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return f"one of: {', '.join(names)}"
