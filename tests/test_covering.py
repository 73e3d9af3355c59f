"""Few globs: they match what is required and nothing that is forbidden, stay narrow, and keep what is there."""

from __future__ import annotations

import fnmatch
import itertools
import random

import pytest

from lossparity.covering import Keys, cover

FORMATS = ("float64", "float32", "bfloat16", "float16")


def matched(globs: tuple[str, ...], keys: list[str]) -> set[str]:
    return {key for key in keys for glob in globs if fnmatch.fnmatchcase(key, glob)}


def every(*cases: str) -> list[str]:
    return [f"{case}/{fmt}#{q}" for case, fmt, q in itertools.product(cases, FORMATS, ("value", "gradient"))]


def test_keys_are_found_as_fnmatch_finds_them() -> None:
    keys = every("s/a", "s/a-b/x=1", "s/b/x=1", "t/a", "s/[a]")
    globs = [
        "s/*",
        "*",
        "*#value",
        "s/a*#*",
        "s/?/x=1/float32#value",
        "s/[ab]/*",
        "s/[[]a]/*",
        "s/a",
        "z*",
        "s/a/*16#*",
    ]
    for glob in globs:
        assert list(Keys(keys).matching(glob)) == sorted(k for k in keys if fnmatch.fnmatchcase(k, glob)), glob


@pytest.mark.parametrize("seed", range(20))
def test_all_that_is_required_is_matched_and_nothing_forbidden(seed: int) -> None:
    keys = every(*(f"s/{name}/x={x}/y={y}" for name in ("a", "a-b", "c") for x in (1, 2) for y in (0, 0.1)), "t/a")
    drawn = random.Random(seed)
    required = {key for key in keys if drawn.random() < 0.4}
    forbidden = {key for key in keys if key not in required and drawn.random() < 0.7}
    globs = cover(required, forbidden)
    assert required <= matched(globs, keys) and not forbidden & matched(globs, keys)
    assert globs == cover(sorted(required, reverse=True), sorted(forbidden)), "the order of what is given is no matter"
    for glob in globs:
        others = tuple(one for one in globs if one != glob)
        assert not required <= matched(others, keys), f"{glob} is not needed"


@pytest.mark.parametrize(
    ("required", "globs"),
    [
        (every("s/a/x=1"), ("s/a/x=1/*#*",)),
        ([k for k in every("s/a/x=1", "s/a/x=2") if k.endswith("/float16#value")], ("s/a/*/float16#value",)),
        ([k for k in every("s/a/x=1", "s/a/x=2", "s/a-log") if k.endswith("/float16#value")], ("s/a*/float16#value",)),
        (["s/a/x=1/float16#value"], ("s/a/x=1/float16#value",)),
        (["s/a/x=1/float16#value", "s/b/x=1/float16#value"], ("s/a/x=1/float16#value", "s/b/x=1/float16#value")),
        (["odd/float16#value"], ("odd/float16#value",)),
    ],
)
def test_of_globs_that_match_as_many_the_narrowest_is_taken(required: list[str], globs: tuple[str, ...]) -> None:
    keys = every("s/a/x=1", "s/a/x=2", "s/a-log", "s/b/x=1")
    assert cover(required, set(keys) - set(required)) == globs


def test_another_suite_or_the_beginning_of_a_word_is_never_taken_in() -> None:
    required = every("s/ab", "s/ac", "t/ab")
    globs = cover(required, [])
    assert globs == ("s/ab/*#*", "s/ac/*#*", "t/ab/*#*")
    assert not matched(globs, every("s/ad", "u/ab", "s/abc"))


def test_globs_that_are_there_are_kept_where_others_are_no_fewer() -> None:
    keys = every("s/a", "s/b")
    required = [k for k in keys if k.startswith("s/a/")]
    present = ("s/a/b*#*", "s/a/float*#*")
    assert cover(required, set(keys) - set(required), present) == ("s/a/*#*",), "one is fewer than two"
    assert cover(required, set(keys) - set(required), ("s/a*#*",)) == ("s/a*#*",)
    assert cover(required, set(keys) - set(required), ("s/*#*", "z/*")) == ("s/a/*#*",), "it matches what is forbidden"


def test_a_glob_that_is_there_is_given_up_where_the_others_do_without() -> None:
    keys = every("s/a", "s/b")
    assert cover(keys, [], ("s/a/float16#value", "s/*#*")) == ("s/*#*",)


def test_a_glob_that_was_taken_first_is_given_up_where_those_after_it_match_all_it_does() -> None:
    assert cover(every("s/a", "s/b"), every("s/c"), ("s/[ab]/float*#*", "s/a*#*", "s/b*#*")) == ("s/a*#*", "s/b*#*")


def test_characters_with_a_meaning_in_globs_match_themselves() -> None:
    assert cover(["s/a/x=[1]/float16#value"], ["s/a/x=1/float16#value"]) == ("s/a/x=[[]1]/float16#value",)


def test_what_is_both_required_and_forbidden_is_refused() -> None:
    with pytest.raises(ValueError, match="s/a/float16#value"):
        cover(every("s/a"), ["s/a/float16#value"])
