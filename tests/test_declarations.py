"""Files of known deviations as text: what changes is rewritten as the files look, everything else keeps every byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lossparity.declarations import difference, rewritten
from lossparity.declaring import Proposal
from lossparity.errors import UsageError
from lossparity.known import TODO, Deviation
from lossparity.registry import known_files, read_known

FILE = """\
# What here is known to get wrong.
# A second line.
framework: here
deviations:
  - id: here/a/nan   # remarks stay
    backends: [here]
    kind: nan
    versions: ">=1,<2"
    # Of its own making.
    reason: >-
      It divides by zero, and says so in a reason that
      is wrapped oddly.
    link: https://example.org/1
    checks:
      - "s/a/x=1/*#value"
      - s/a/x=2/*#value

  - {id: here/b/inf, backends: [here], kind: inf, versions: ">=1", reason: It overflows., checks: ["s/b/*#*"]}
  - id: here/c/zero
    checks: ["s/c/*#*", "s/d/*#*"]
    backends: [here]
    kind: zero
    versions: ">=1,<2"
    reason: It underflows.
"""

NEW = Deviation(
    "here+jit/not-shifted/inf",
    ("here+jit", "here.own:gpu"),
    ("s/a/*#value", "s/b/x=1/float16#gradient"),
    "inf",
    ">=1.2,<1.3",
    f"{TODO}: say why. " + "This is a long sentence of many words: its end is on another line. " * 3,
    "https://example.org/2",
)


@pytest.fixture
def before(tmp_path: Path) -> tuple[Deviation, ...]:
    return _read(tmp_path, FILE)


def _read(folder: Path, text: str) -> tuple[Deviation, ...]:
    path = folder / "here.yaml"
    path.write_text(text)
    return tuple(read_known(path))


def _proposal(before: tuple[Deviation, ...], *entries: tuple[Deviation, int | None]) -> Proposal:
    return Proposal("here", before, entries, ())


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax"])
def test_a_file_whose_entries_stay_keeps_every_byte(framework: str) -> None:
    path = known_files()[framework]
    assert path is not None
    declared = tuple(read_known(path))
    kept = Proposal(framework, declared, tuple((d, place) for place, d in enumerate(declared)), ())
    assert rewritten(path.read_text(), kept) == path.read_text()


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax"])
def test_new_entries_are_written_as_the_files_look(framework: str) -> None:
    """The files of the adapters, written anew entry by entry, are what they are."""
    path = known_files()[framework]
    assert path is not None
    text = path.read_text()
    declared = read_known(path)
    anew = rewritten(text, Proposal(framework, (), tuple((d, None) for d in declared), ()))
    assert anew == text


def test_of_an_entry_whose_patterns_change_only_these_do(before: tuple[Deviation, ...]) -> None:
    a, b, c = before
    after = rewritten(FILE, _proposal(before, (replace(a, checks=("s/a/*#value",)), 0), (b, 1), (c, 2)))
    old = '      - "s/a/x=1/*#value"\n      - s/a/x=2/*#value\n'
    assert FILE.count(old) == 1
    assert after == FILE.replace(old, '      - "s/a/*#value"\n')


def test_patterns_on_one_line_and_keys_in_another_order_are_found(before: tuple[Deviation, ...]) -> None:
    a, b, c = before
    after = rewritten(FILE, _proposal(before, (a, 0), (b, 1), (replace(c, checks=("s/d/*#*",)), 2)))
    assert after == FILE.replace('    checks: ["s/c/*#*", "s/d/*#*"]\n', '    checks:\n      - "s/d/*#*"\n')


def test_what_is_gone_is_left_out_and_what_is_new_stands_in_its_place(
    before: tuple[Deviation, ...], tmp_path: Path
) -> None:
    a, _, c = before
    after = rewritten(FILE, _proposal(before, (a, 0), (NEW, None), (c, 2)))
    assert after.startswith(FILE[: FILE.index("  - {id")]) and after.endswith(FILE[FILE.index("  - id: here/c") :])
    assert max(map(len, after.splitlines())) <= 110
    with pytest.raises(UsageError, match="no reason is given yet"):
        _read(tmp_path, after)
    reason = NEW.reason.replace(TODO, "Found out").strip()
    assert _read(tmp_path, after.replace(TODO, "Found out")) == (a, replace(NEW, reason=reason), c)


def test_backends_that_change_are_rewritten(before: tuple[Deviation, ...], tmp_path: Path) -> None:
    a, b, c = before
    wanted = (replace(a, backends=("here:gpu", "here+jit"), checks=("s/*#*",)), b, c)
    after = rewritten(FILE, _proposal(before, *((d, n) for n, d in enumerate(wanted))))
    assert _read(tmp_path, after) == wanted
    assert after.splitlines()[5] == '    backends: ["here:gpu", here+jit]'
    wanted = (a, b, replace(c, backends=("there",), checks=("s/c/*#*", "s/d/x=1/*#*")))
    assert _read(tmp_path, rewritten(FILE, _proposal(before, *((d, n) for n, d in enumerate(wanted))))) == wanted


def test_a_change_above_another_leaves_the_places_below_it_right(tmp_path: Path) -> None:
    text = FILE.replace(
        'checks: ["s/c/*#*", "s/d/*#*"]', 'checks:\n      - "s/c/*#*"\n      - "s/d/*#*"\n      - "s/e/*#*"'
    )
    a, b, c = _read(tmp_path, text)
    wanted = (a, b, replace(c, backends=("there",), checks=("s/c/*#*",)))
    assert _read(tmp_path, rewritten(text, _proposal((a, b, c), *((d, n) for n, d in enumerate(wanted))))) == wanted


def test_backends_that_were_not_named_are_written_where_they_change(tmp_path: Path) -> None:
    text = FILE.replace("    backends: [here]\n    kind: zero", "    kind: zero")
    a, b, c = _read(tmp_path, text)
    assert c.backends == ("*",)
    wanted = (a, b, replace(c, backends=("here",)))
    assert _read(tmp_path, rewritten(text, _proposal((a, b, c), *((d, n) for n, d in enumerate(wanted))))) == wanted


def test_a_comment_above_an_entry_goes_and_stays_with_it(before: tuple[Deviation, ...]) -> None:
    a, b, c = before
    above = "  # About c.\n  # And more.\n"
    text = FILE.replace("  - id: here/c", f"{above}  - id: here/c")
    assert rewritten(text, _proposal(before, (a, 0), (b, 1))) == FILE[: FILE.index("  - id: here/c")]
    after = rewritten(text, _proposal(before, (a, 0), (b, 1), (NEW, None), (replace(c, checks=("s/c/*#*",)), 2)))
    assert after.endswith(
        f'{above}  - id: here/c/zero\n    checks:\n      - "s/c/*#*"\n' + FILE[FILE.rindex("    backends:") :]
    )


def test_an_entry_on_a_line_of_its_own_is_written_anew_where_it_changes(
    before: tuple[Deviation, ...], tmp_path: Path
) -> None:
    a, b, c = before
    wanted = (a, replace(b, checks=("s/b/x=1/*#*",)), c)
    assert _read(tmp_path, rewritten(FILE, _proposal(before, *((d, n) for n, d in enumerate(wanted))))) == wanted


def test_a_file_that_loses_everything_can_still_be_read_and_filled_again(
    before: tuple[Deviation, ...], tmp_path: Path
) -> None:
    nothing = rewritten(FILE, _proposal(before))
    assert nothing == FILE[: FILE.index("deviations:")] + "deviations: []\n"
    assert _read(tmp_path, nothing) == ()
    again = rewritten(nothing, _proposal((), *((d, None) for d in before)))
    assert _read(tmp_path, again) == before
    assert again.startswith(FILE[: FILE.index("  - id")])


def test_a_framework_without_a_file_gets_one(before: tuple[Deviation, ...], tmp_path: Path) -> None:
    text = rewritten("", _proposal((), *((d, None) for d in before)))
    assert text.startswith("# What here is known to get wrong.\nframework: here\ndeviations:\n  - id: here/a/nan\n")
    assert _read(tmp_path, text) == before


def test_the_difference_is_a_diff_of_the_file() -> None:
    assert difference("a\nb\n", "a\nc\n", "here.yaml").splitlines() == [
        *("--- a/here.yaml", "+++ b/here.yaml", "@@ -1,2 +1,2 @@", " a", "-b", "+c")
    ]
    assert difference("a\n", "a\n", "here.yaml") == ""
