"""A check's plan: the requests that it sends, and the pure predicate over what comes back.

A `Question` is one case in one format. It is put to every backend alike, and its certified answers and bounds are
computed once for all of them. Where the case has a relation, several calls are made, and compared with each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lossparity.errors import UsageError
from lossparity.expected import Expected, whole
from lossparity.findings import Finding, Quantity, against, nearness, of_none, rank_of, returned
from lossparity.formats import Array
from lossparity.inputs import build, input_hash
from lossparity.judge import Judgement, judge, unlike_format, unlike_shape
from lossparity.model import (
    Backend,
    Case,
    Grade,
    Numbers,
    Outcome,
    Request,
    Verdict,
)
from lossparity.reference import Answer, Problem, Remember, computed
from lossparity.reference.conventions import SPEC, Convention
from lossparity.relations import RELATIONS, Held, Part, Relation, Results
from lossparity.shapes import class_axis, value_shape
from lossparity.spec import CLAUSES

__all__ = ["Finding", "Quantity", "Question"]

EXACT = "exact"


@dataclass(eq=False)
class Question:
    """One case in one format: inputs and certified answers, computed on first use and kept."""

    case: Case
    format: str
    remember: Remember = computed
    convention: Convention = SPEC
    _problems: dict[str, Problem] = field(default_factory=dict)
    _answers: dict[tuple[str, Quantity], Answer] = field(default_factory=dict)
    _expected: dict[tuple[Quantity, bool], Expected] = field(default_factory=dict)

    @cached_property
    def arrays(self) -> Mapping[str, Array]:
        """The inputs in this format; where the convention has the classes on the last axis, they are moved there."""
        arrays = build(self.case, self.format)
        if self.convention.axis != "last":
            return arrays
        first = next(iter(arrays.values())).shape
        axis = class_axis(first)
        return {
            name: Array(a.format, np.moveaxis(a.data, axis, -1).copy()) if a.shape == first else a
            for name, a in arrays.items()
        }

    @property
    def first(self) -> Array:
        """The operation's first argument."""
        return next(iter(self.arrays.values()))

    @property
    def relation(self) -> Relation | None:
        """What several calls must have in common; none where the result itself is judged."""
        return RELATIONS[self.case.relation] if self.case.relation else None

    @property
    def refused(self) -> str:
        """Why the convention has no certified result here; empty where it has one."""
        if self.relation and self.convention != SPEC:
            return "relations between results are judged under the spec's own conventions alone"
        try:
            self._problem(self.alternatives[0])
        except UsageError as error:
            return error.message
        return ""

    @cached_property
    def hash(self) -> str:
        """Content hash of the inputs and keywords."""
        return input_hash(self.arrays, self.case.keywords)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is judged: the value, and the gradient where the case wants it."""
        found: tuple[Quantity, ...] = ("value", "gradient") if "upstream" in self.arrays else ("value",)
        return tuple(q for q in found if q in self.relation.quantities) if self.relation else found

    @property
    def alternatives(self) -> tuple[str, ...]:
        """The names of the permitted results: the certified one, or the case's choices."""
        return self.case.one_of or (EXACT,)

    @property
    def how(self) -> tuple[str, ...]:
        """Say in words how the calls are made, where that is more than passing the inputs on."""
        case, relation = self.case, self.relation
        said = (
            f"the inputs are {case.layout} in memory" if case.layout else "",
            f"the logits are computed inside of the call, as its input times {case.scale:g}" if case.scale != 1 else "",
            f"{len(self.parts)} calls: the result has to be the same {relation.said}" if relation else "",
        )
        return tuple(line for line in said if line)

    def check_id(self, backend: Backend) -> str:
        """The id `case/format@backend`."""
        return f"{self.case.id}/{self.format}@{backend}"

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The calls to make: the case's own, and those that its relation adds."""
        own = Part(self.arrays, self.case.keywords)
        return (own, *self.relation.others(own)) if self.relation else (own,)

    @property
    def elements(self) -> int:
        """How many elements the inputs of all calls have together."""
        return sum(array.data.size for part in self.parts for array in part.arrays.values())

    def put_to(self, backend: Backend) -> bool:
        """Whether it is for a backend: compiled modes get the tagged cases only, and some relations are about them."""
        return self.case.compiled if backend.mode else not (self.relation and self.relation.compiled)

    def request(self, backend: Backend) -> Request:
        """The case's own call; the expected value is not in it."""
        return self.requests(backend)[0]

    def requests(self, backend: Backend) -> tuple[Request, ...]:
        """The calls that a backend is asked to make, one after the other."""
        case, mode = self.case, "compiled" if backend.mode else ""
        how = case.layout, case.scale
        return tuple(
            Request(
                backend.variant, case.operation, _scaled(part, case), part.keywords, "" if part.eager else mode, *how
            )
            for part in self.parts
        )

    def answer(self, choice: str, quantity: Quantity) -> Answer:
        """Return the certified answer under one choice."""
        key = (choice, quantity)
        if key not in self._answers:
            self._answers[key] = Answer(self._problem(choice), quantity, self.format, self.remember)
        return self._answers[key]

    def _problem(self, choice: str) -> Problem:
        if choice not in self._problems:
            case = self.case
            self._problems[choice] = Problem(case.operation, self.arrays, case.keywords, choice, self.convention)
        return self._problems[choice]

    def findings(
        self, outcomes: Sequence[Outcome], *, flushed: bool, threshold: Grade, repeatable: bool = True
    ) -> tuple[Finding, ...]:
        """Judge the outcomes of `requests`, one finding a quantity.

        `flushed` is the backend's declared trait; `repeatable`: its device has to give the same bits again (M7).
        """
        if self.relation is None:
            return tuple(self._finding(outcomes[0], quantity, flushed, threshold) for quantity in self.quantities)
        return tuple(
            self._related(self.relation, outcomes, quantity, flushed, threshold, repeatable)
            for quantity in self.quantities
        )

    def _related(
        self,
        relation: Relation,
        outcomes: Sequence[Outcome],
        quantity: Quantity,
        flushed: bool,
        threshold: Grade,
        repeatable: bool,
    ) -> Finding:
        arrays: list[Array] = []
        answer = self.answer(self.alternatives[0], quantity)
        for outcome, part in zip(outcomes, self.parts, strict=True):
            there = returned(outcome, quantity, self.case)
            if not isinstance(there, Array):
                return there
            shape = answer.shape if part is self.parts[0] else self._shape(part, quantity)
            if unlike := unlike_shape(there.shape, shape):
                return Finding(quantity, Verdict.FAIL, "produced", "shape", message=unlike, got=there)
            if unlike := unlike_format(there.format, self.format):
                return Finding(quantity, Verdict.FAIL, "produced", "format", message=unlike, got=there)
            arrays.append(there)
        got = [np.asarray(array.exact(), dtype=np.float64) for array in arrays]
        if (quantity, flushed) not in self._expected:
            self._expected[quantity, flushed] = whole(answer, flushed=flushed)
        expected = self._expected[quantity, flushed]
        results = Results(quantity, self.format, flushed, self.parts, got, expected)
        return self._held(Held.of(relation, relation.compare(results), repeatable), quantity, threshold)

    def _shape(self, part: Part, quantity: Quantity) -> tuple[int, ...]:
        shape = part.first.shape
        return shape if quantity == "gradient" else value_shape(self.case.operation, shape, part.keywords)

    def _held(self, held: Held, quantity: Quantity, threshold: Grade) -> Finding:
        if CLAUSES[self.case.clause].kind == "info":
            return Finding(quantity, Verdict.PASS, "produced", choice=held.choice, message=held.message)
        verdict, below = against(held.grade, threshold)
        kind = "inconsistent" if verdict is Verdict.FAIL else ""
        message = "the bound is vacuous" if verdict is Verdict.UNDECIDED else held.message or below
        choice = held.choice if verdict is Verdict.PASS else ""
        judgement = Judgement(held.grade, kind, None, held.used, None, "")
        return Finding(quantity, verdict, "produced", kind, choice, message, judgement=judgement)

    def _finding(self, outcome: Outcome, quantity: Quantity, flushed: bool, threshold: Grade) -> Finding:
        part = returned(outcome, quantity, self.case)
        return part if isinstance(part, Finding) else self._judged(part, quantity, flushed, threshold)

    def _judged(self, got: Array, quantity: Quantity, flushed: bool, threshold: Grade) -> Finding:
        found: list[Finding] = []
        for choice in (c for c in self.alternatives if c != "raises"):
            answer = self.answer(choice, quantity)
            named = "" if choice == EXACT else choice
            found.append(self._graded(got, quantity, answer, judge(got, answer, flushed=flushed), named, threshold))
        # What is permitted may be near together: in 16 bits a result can be within the bounds of two.
        if passed := [one for one in found if one.verdict is Verdict.PASS]:
            nearest = min(passed, key=nearness)
            return replace(nearest, choice=self._named(nearest.choice, quantity, got))
        if not found:
            said = "returned a result where the spec wants an exception"
            return Finding(quantity, Verdict.FAIL, "produced", "no-raise", message=said, got=got)
        best = min(found, key=rank_of)
        if self.case.one_of and best.verdict is Verdict.FAIL:
            return replace(best, message=of_none(best, self.case.one_of))
        return best

    def _named(self, choice: str, quantity: Quantity, got: Array) -> str:
        """Name a choice by what was got, where the results that are permitted are judged alike."""
        if choice not in ("nan", "zero") or quantity == "value":
            return choice
        if got.data.size == 0:
            return ""
        # The gradient of a mean over nothing is 0 or NaN, whichever of the two its value is (N3).
        return "zero" if "zero" in self.alternatives and not np.any(got.exact()) else choice

    def _graded(
        self, got: Array, quantity: Quantity, answer: Answer, judgement: Judgement, choice: str, threshold: Grade
    ) -> Finding:
        verdict, below = against(judgement.grade, threshold)
        kind, message = judgement.kind, judgement.message
        if verdict is Verdict.FAIL:
            kind = kind or "finite-wrong"
            message = message if judgement.grade is Grade.WRONG else below
        elif verdict is Verdict.PASS and quantity == "value" and (unlike := self._unlike_published(answer)):
            verdict, kind, message = Verdict.FAIL, "published", unlike
        if verdict is not Verdict.PASS:
            choice = ""
        return Finding(quantity, verdict, "produced", kind, choice, message, got, judgement, answer)

    def _unlike_published(self, answer: Answer) -> str:
        """Compare the exact value with the printed figures; the 16-bit formats round too coarsely to match them."""
        published = self.case.published
        if published is None or self.convention != SPEC or self.format not in ("float64", "float32"):
            return ""
        printed = np.asarray(published.exact, dtype=np.float64)
        # What was got is within its bound of the exact value, and that is far below the last printed decimal.
        if np.all(np.abs(answer.whole() - printed) <= 0.5 * 10.0**-published.decimals):
            return ""
        return f"does not round to the published {_text(published.exact, published.decimals)}"


def _scaled(part: Part, case: Case) -> Mapping[str, Array]:
    """Divide the logits by the scale that is applied inside of the call; UsageError where that rounds."""
    if case.scale == 1.0:
        return part.arrays
    name, first = next(iter(part.arrays.items()))
    divided = Array.of(first.exact() / case.scale, first.format)
    if not np.array_equal(divided.exact() * case.scale, first.exact(), equal_nan=True):
        raise UsageError(f"{case.id}: {name} divided by {case.scale:g} are no numbers of {first.format}")
    return {**part.arrays, name: divided}


def _text(figures: Numbers, decimals: int) -> str:
    if isinstance(figures, tuple):
        return "[" + ", ".join(_text(one, decimals) for one in figures) + "]"
    return f"{figures:.{decimals}f}"
