"""Text of strangers: nothing in it is unseen, and it is no longer than there is room for."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from lossparity.plain import cut, line, visible


@pytest.mark.parametrize("text", ["", "a b", "{}~\x7e", "\u00e9\u4e2d\U0001f600 \u00a0", "tab\tand\nnewline", "\\x1b"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [("\x00", "\\x00"), ("a\x1b[31m}", "a\\x1b[31m}"), ("\r\n", "\\x0d\n"), ("\x9b", "\\x9b"), ("\ud800", "\\ud800")],
)
def test_what_cannot_be_seen_is_written_out(text: str, said: str) -> None:
    assert visible(text) == said


def test_no_control_no_surrogate_and_nothing_that_turns_the_direction_is_left() -> None:
    left = [chr(code) for code in range(sys.maxunicode + 1) if visible(chr(code)) == chr(code)]
    assert [one for one in left if unicodedata.category(one) in ("Cc", "Cs")] == ["\t", "\n"]
    turning = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    assert [one for one in left if unicodedata.bidirectional(one) in turning] == []
    assert "\ufffe" not in left and "\uffff" not in left, "XML takes neither"


def test_a_long_text_says_how_much_more_there_is() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdef", 4) == "abcd\N{HORIZONTAL ELLIPSIS} (2 characters more)"


@pytest.mark.parametrize("text", [" a  b ", "a\nb", "a \t\n b", "a b", "a b "])
def test_a_line_is_one_line(text: str) -> None:
    assert line(text) == "a b"
    assert line(text, 1).startswith("a\N{HORIZONTAL ELLIPSIS}")
