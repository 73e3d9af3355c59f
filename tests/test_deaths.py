"""When a backend is asked no more does not depend on the order in which its workers answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossparity.deaths import MOST, Deaths


def stopped_from(causes: list[str], order: list[int]) -> int:
    """Return the first place whose call is not made, as it is known when all calls were noted in an order."""
    deaths = Deaths()
    assert deaths.places(len(causes)) == 0
    for place in order:
        deaths.note(place, causes[place])
    return next((place for place in range(len(causes) + 1) if deaths.stopped(place)), -1)


@pytest.mark.parametrize(
    ("causes", "expected"),
    [
        (["SIGSEGV"] * MOST, MOST),
        (["", *["SIGSEGV"] * MOST, "", ""], MOST + 1),
        (["SIGSEGV"] * (MOST - 1), -1),
        ([*["SIGSEGV"] * (MOST - 1), "", "SIGSEGV"], -1),
        ([*["SIGSEGV"] * (MOST - 1), "SIGABRT", "SIGSEGV"], -1),
    ],
)
def test_five_like_deaths_in_a_row_stop_it(causes: list[str], expected: int) -> None:
    assert stopped_from(causes, list(range(len(causes)))) == expected


@given(st.data())
def test_the_order_of_the_answers_changes_nothing(data: st.DataObject) -> None:
    causes = data.draw(st.lists(st.sampled_from(["", "SIGSEGV", "SIGSEGV", "SIGSEGV", "SIGABRT"]), max_size=20))
    order = data.draw(st.permutations(range(len(causes))))
    assert stopped_from(causes, order) == stopped_from(causes, list(range(len(causes))))


def test_nothing_is_stopped_for_calls_whose_answers_are_still_to_come() -> None:
    deaths = Deaths()
    first = deaths.places(2)
    then = deaths.places(MOST)
    for place in range(then, then + MOST):
        deaths.note(place, "SIGSEGV")
    assert not deaths.stopped(then + MOST), "an earlier call may have been answered"
    deaths.note(first)
    deaths.note(first + 1, "SIGABRT")
    assert deaths.stopped(then + MOST) == "stopped after 5 like deaths in a row: SIGSEGV"
    assert not deaths.stopped(then + MOST - 1)
