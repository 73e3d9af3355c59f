"""The parts of a run: every question in exactly one, the same one everywhere, and all of about the same cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from lossparity.errors import UsageError
from lossparity.model import Backend
from lossparity.plans import Question
from lossparity.runner import Run
from lossparity.sharding import Shard, names_hash
from lossparity.suite import built_in, load

CASES = [case for one in load([built_in()]) for case in one.cases]
EVERY = [Question(case, fmt) for case in CASES for fmt in case.formats]


def named(questions: list[Question]) -> list[str]:
    return [f"{one.case.id}/{one.format}" for one in questions]


@pytest.mark.parametrize("of", [1, 3, 4])
def test_every_question_is_in_exactly_one_part_and_keeps_its_order(of: int) -> None:
    parts = [named(Shard(number, of).share(EVERY)) for number in range(1, of + 1)]
    assert sorted(name for part in parts for name in part) == sorted(named(EVERY))
    place = {name: at for at, name in enumerate(named(EVERY))}
    assert all(part == sorted(part, key=place.__getitem__) for part in parts)


def test_a_part_depends_neither_on_the_order_of_the_questions_nor_on_the_backends() -> None:
    there = named(Shard(2, 4).share(EVERY))
    assert sorted(named(Shard(2, 4).share(EVERY[::-1]))) == sorted(there)
    plans = [
        Run([Backend.parse(name) for name in names], CASES, shard=Shard(2, 4)) for names in ((), ("torch+compile",))
    ]
    assert [named(plan.questions()[0]) for plan in plans] == [there, there]


def test_a_part_is_the_same_one_in_every_version() -> None:
    """Otherwise records of two versions would overlap and lack some: what is here is not to be changed lightly."""
    sizes = {"a": 50_000, "b": 10, "c": 20_000, "d": 20_000, "e": 30, "f": 10, "g": 10}
    first = next(case for case in CASES if case.operation == "softmax" and not case.gradient and not case.compiled)
    few = [
        Question(replace(first, id=name, inputs={"logits": ((0.0,) * size,)}, compiled=name in "fg"), fmt)
        for name, size in sizes.items()
        for fmt in ("float64", "float32")
    ]
    parts = [dict.fromkeys(one.case.id for one in Shard(number, 3).share(few)) for number in (1, 2, 3)]
    assert ["".join(part) for part in parts] == ["cef", "bdg", "a"]


def test_the_formats_of_a_case_are_in_one_part() -> None:
    parts = [{one.case.id for one in Shard(number, 4).share(EVERY)} for number in (1, 2, 3, 4)]
    assert sum(map(len, parts)) == len(CASES)


@pytest.mark.parametrize("of", [2, 4])
def test_the_parts_of_the_built_in_suite_are_alike(of: int) -> None:
    parts = [Shard(number, of).share(EVERY) for number in range(1, of + 1)]
    elements = [sum(Question(one.case, one.format).elements for one in part) for part in parts]
    for sizes, apart in ((list(map(len, parts)), 0.05), (elements, 0.1)):
        assert max(sizes) <= (1 + apart) * min(sizes)
    compiled = [len({one.case.id for one in part if one.case.compiled}) for part in parts]
    assert max(compiled) - min(compiled) <= 1


def test_one_large_question_is_alone_where_the_others_are_small() -> None:
    large = max(EVERY, key=lambda one: one.elements)
    small = [one for one in EVERY if one.case.suite == "worked-example" and not one.case.compiled][:10]
    parts = [Shard(number, 2).share([*small, large]) for number in (1, 2)]
    assert Counter(map(len, parts)) == {1: 1, 10: 1}


def test_more_parts_than_questions_leaves_some_empty() -> None:
    assert sorted(len(Shard(number, 4).share([EVERY[0], EVERY[-1]])) for number in range(1, 5)) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "text", ["0/4", "5/4", "x", "", "/", "1/", "/4", "1/0", "-1/4", "1.5/4", "2/4/6", " 2/4", "٢/٤"]
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no part of a run") as caught:
        Shard.parse(text)
    assert "--shard 2/4" in caught.value.hint


@pytest.mark.parametrize(("text", "shard"), [("2/4", Shard(2, 4)), ("1/1", Shard(1, 1)), ("16/16", Shard(16, 16))])
def test_a_part_is_written_as_it_is_read(text: str, shard: Shard) -> None:
    assert (Shard.parse(text), str(shard)) == (shard, text)


def test_the_hash_is_of_which_questions_there_are_and_not_of_their_order() -> None:
    assert names_hash(EVERY) == names_hash(EVERY[::-1])
    assert names_hash(EVERY) != names_hash(EVERY[1:])
    plan = Run([Backend("numpy")], CASES, shard=Shard(1, 2))
    one, other = plan.part(), replace(plan, formats=("float32",)).part()
    assert one and other and one.questions == names_hash(EVERY) != other.questions
    assert (one.number, one.of, one.backends, str(one)) == (1, 2, ["numpy"], "shard 1 of 2")
