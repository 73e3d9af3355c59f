"""Departures are counted, written and put together as the conventions are."""

from __future__ import annotations

import pytest

from lossparity.explaining.variants import ADDITIONAL, FIELDS, Choices, belongs, choice, departures, text, variants
from lossparity.reference.conventions import ALTERNATIVES, CONVENTIONS, convention

NAMES = dict.fromkeys(FIELDS, ()) | {
    "smoothing": ("K-1", "none"),
    "entropy": ("subtracted",),
    "softmax": ("twice",),
    "clip": ("1e-7",),
}


def test_no_additional_choice_hides_one_of_the_conventions() -> None:
    for field, choices in ADDITIONAL.items():
        assert not set(choices) & set(CONVENTIONS.get(field, ()))
        assert field in FIELDS
        assert all(choice(field, name).formula for name in choices)


@pytest.mark.parametrize(
    ("choices", "number"),
    [
        ((), 0),
        ((("smoothing", "K-1"),), 1),
        ((("smoothing", "K-1"), ("entropy", "subtracted")), 1),
        ((("smoothing", "K-1"), ("entropy", "subtracted"), ("mean", "all")), 2),
        ((("entropy", "subtracted"), ("mean", "all")), 2),
    ],
)
def test_departures_that_are_in_use_together_count_as_one(choices: Choices, number: int) -> None:
    assert departures(choices) == number


def test_the_text_of_departures_is_read_as_a_convention() -> None:
    for name in ALTERNATIVES:
        chosen = convention(name)
        choices = tuple((field, getattr(chosen, field)) for field in FIELDS if f"{field}=" in name)
        if choices:
            assert convention(text(choices)) == chosen


def test_a_part_of_what_is_used_together_is_nobodys_own() -> None:
    together: Choices = (("smoothing", "K-1"), ("entropy", "subtracted"))
    assert belongs("smoothing", together)
    assert not belongs("entropy", together)
    assert not belongs("smoothing", (("smoothing", "K-1"),))


def test_variants_come_the_simplest_first_and_never_twice() -> None:
    found = list(variants(NAMES, FIELDS, 2))
    assert found[0] == ()
    assert len(set(found)) == len(found)
    assert max(map(departures, found)) == 2
    assert (("softmax", "twice"), ("smoothing", "K-1"), ("entropy", "subtracted")) in found
    assert not any({"softmax", "clip"} <= {field for field, _ in one} for one in found)
    assert list(variants(NAMES, FIELDS, 0)) == [()]
