"""GitHub's summary and annotations: worst first, within its limits, and nothing of a stranger's text is markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import record_factory as factory
from lossparity.errors import UsageError
from lossparity.record import Cause, Environment, Footer, NotTested, Record
from lossparity_reports import github, markdown
from lossparity_reports.annotating import commands

COMMAND = re.compile(r"::(error|warning) (?:file=([^:,]+),line=(\d+),)?title=([^:,]+)::(.*)")
NASTY = (
    "<img src=x onerror=alert(1)>|`` ` [a](http://b.c) ![i](j) www.evil.com me@evil.com @someone #1 :tada: $x^2$ "
    "100%0A%25 **bold** __b__ ~~s~~ &lt; \\ \x1b[31m\u202e\n\n# heading\n- item\n::error::x\r\n| a | b |\n```"
)


def tokens(text: str) -> list[Token]:
    """Return what a reader of Markdown makes of a text, the parts of its lines too."""
    found = MarkdownIt("commonmark").enable("table").parse(text)
    return [one for token in found for one in (token, *(token.children or ()))]


def plain(text: str) -> str:
    """Return the text that people see of a summary."""
    kinds = ("text", "code_inline", "softbreak", "inline")
    return "".join(
        "\n" if one.type in ("softbreak", "inline") else one.content for one in tokens(text) if one.type in kinds
    )


def parsed(line: str) -> tuple[str, str, str, str, str]:
    """Return kind, file, line, title and message of a command, as GitHub's runner reads them."""
    found = COMMAND.fullmatch(line)
    assert found, line
    return (found[1], *(_decoded(part or "") for part in found.groups()[1:]))  # type: ignore[return-value]


def _decoded(text: str) -> str:
    for code, mark in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, mark)
    return text


def failures(count: int, *, verdict: str = "fail", said: str = "", each: int = 1) -> Record:
    """Make a record of so many results of a verdict, and of a cause for `each` of them."""
    record = factory.many(count)
    record.results = [
        msgspec.structs.replace(one, verdict=verdict, grade="wrong", message=said, deviation=f"gone-{n}")
        for n, one in enumerate(record.results[:count])
    ]
    keys = [one.key for one in record.results]
    causes = [Cause(f"cause-{n}", said, keys[n : n + each]) for n in range(0, count, each)]
    record.footer = Footer({verdict: count}, [], 1.0, 1, causes if verdict == "fail" else [])
    return record


def hostile() -> Record:
    """Make a record whose every text is hostile."""
    record = factory.everything()
    changes = dict.fromkeys(("check", "case", "backend", "clause", "origin", "api", "deviation", "cause"), NASTY)
    record.results = [msgspec.structs.replace(one, message=NASTY, **changes) for one in record.results[-14:]]
    record.cases = [msgspec.structs.replace(record.cases[0], id=NASTY, source=f"{NASTY}:3:1")]
    record.environments = [Environment(NASTY, True, {NASTY: NASTY}), Environment(NASTY, False, {}, NASTY)]
    keys = [one.key for one in record.results if one.verdict in ("fail", "error")]
    record.footer = Footer({}, [NotTested(NASTY, NASTY, 2)], 1.0, 1, [Cause(NASTY, NASTY, keys, convention=NASTY)])
    record.header = msgspec.structs.replace(record.header, command=NASTY, lossparity=NASTY, started=NASTY)
    return record


# The summary


def test_the_heading_is_the_answer() -> None:
    assert (
        plain(github.render(factory.everything()))
        .strip()
        .startswith("lossparity: 5 failures from 5 causes: 404 of 412")
    )
    assert (
        plain(github.render(factory.passing())).strip().startswith("lossparity: No failure: 200 of 200 results pass.")
    )
    assert "Nothing was judged" in github.render(factory.empty())


def test_every_count_has_its_denominator_and_every_backend_its_verdicts() -> None:
    text = github.render(factory.everything())
    assert "| pass | 404 of 412 | 82 of 84 | 242 of 245 | 80 of 81 | 0 of 2 |\n" in text
    assert "| torch | 82 of 84 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |\n" in text
    assert sum(one.type == "table_open" for one in tokens(text)) == 3


def test_causes_come_worst_first_with_one_reproducer_each() -> None:
    text = plain(github.render(factory.everything()))
    places = [
        text.index(said)
        for said in ("smoothing=K-1, 1 result (", "raises <script>", "not-shifted, 1 result (", "crash, 1")
    ]
    assert places == sorted(places), "the framework's own come first"
    assert text.count("again: lossparity show ") == 5
    assert "off by 900 ulp of binary32, 180 times the bound 2.38e-06" in text
    assert "judge by it: --convention smoothing=K-1" in text


def test_what_was_not_tested_or_is_gone_and_the_versions_are_there() -> None:
    text = plain(github.render(factory.everything()))
    assert "torch+compile, 60 checks: no C++ compiler" in text
    assert "jax-all-masked, 1 result, the simplest masks/s6-98/reduction=none/float16@jax#value" in text
    assert "manual-exp-overflow, 1 result" in text
    assert "version 1.13.0, python 3.11.9" in text
    assert "torch sees no CUDA device" in text
    assert "lossparity run -b torch -b 'jax*'" in text


@pytest.mark.parametrize(("broken", "said"), [("", "it has no last line"), ("line 7 is damaged", "line 7 is damaged")])
def test_an_incomplete_record_says_so_first(broken: str, said: str) -> None:
    record = factory.passing()
    record.footer, record.broken = record.footer if broken else None, broken
    heading, *rest = plain(github.render(record)).strip().splitlines()
    assert "This record is incomplete: " in heading and said in heading
    assert any(line.startswith("the run is incomplete: ") for line in rest)


def test_nothing_hostile_is_markup() -> None:
    text = github.render(hostile())
    kinds = {one.type for one in tokens(text)}
    assert not kinds & {
        "link_open",
        "image",
        "html_block",
        "em_open",
        "s_open",
        "fence",
        "code_block",
        "blockquote_open",
    }
    assert {one.content for one in tokens(text) if one.type == "html_inline"} == {"<!-- -->"}
    assert all(one.tag in ("h2", "h3") for one in tokens(text) if one.type == "heading_open")
    assert all("\n" not in one.content for one in tokens(text) if one.type in ("text", "code_inline"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows if "img" in row and "of" in row}) <= 1
    assert sum(one.type == "table_open" for one in tokens(text)) == 3
    for seen in ("<img src=x onerror=alert(1)>|`` `", "\\x1b[31m\\u202e", "me@evil.com", "www.evil.com"):
        assert seen in plain(text), "it is still to be read"


@pytest.mark.parametrize("said", ["https://a.b", "www.a.b", "a@b.c", "@name", ":tada:", "$x$", "#12", "|", "~~a~~"])
def test_what_github_alone_reads_as_more_than_text_is_broken_up(said: str) -> None:
    for word in re.findall(r"://|www\.|@\w|:t|\$|#\d|\||~~", said):
        assert word not in re.sub(r"&#\d+;", "&", markdown.text(said))
    assert plain(markdown.text(said)).strip() == said
    assert "<!-- -->" in markdown.text("a@b.c"), "entities are characters again where addresses of mail are looked for"


@pytest.mark.parametrize("said", ["a", "`", "``a`", "a`b", "", " ", "a|b", "\\", "<b>"])
def test_code_is_the_text_whatever_backticks_are_in_it(said: str) -> None:
    (code,) = [one for one in tokens(f"x {markdown.code(said)} y") if one.type == "code_inline"]
    assert code.content.strip() == said.strip()


@pytest.mark.parametrize("made", [lambda: failures(3000, said=NASTY * 9), lambda: failures(3000), hostile])
@pytest.mark.parametrize("limit", [github.LIMIT, 20_000])
def test_it_keeps_to_its_limit_and_counts_what_it_leaves_out(made: Callable[[], Record], limit: int) -> None:
    record = made()
    text = github.render(record, limit)
    assert len(text.encode()) <= limit
    assert record.footer is not None
    shown, more = text.count("    - the simplest: "), re.search(r"^(\d+) more causes: ", text, re.MULTILINE)
    assert shown + (int(more[1]) if more else 0) == len(record.footer.causes)
    assert len(record.results) < 3000 or more, "this many causes do not fit"


def test_it_is_added_to_the_steps_summary_and_keeps_to_the_limit_with_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before " * 100_000)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    github.write(failures(3000, said="x" * 900), path)
    text = path.read_text()
    assert text.startswith("before before ")
    assert "## lossparity: 3000 failures" in text
    assert 800_000 < len(text.encode()) <= github.LIMIT
    other = tmp_path / "other.md"
    other.write_text("before")
    github.write(factory.passing(), other)
    assert other.read_text().startswith("## lossparity: ")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the summary cannot be written"):
        github.write(factory.empty(), tmp_path / "file" / "summary.md")


# The annotations


def test_every_cause_is_an_error_at_the_line_of_its_simplest_case() -> None:
    found = [parsed(line) for line in commands(factory.everything())]
    assert [(kind, file, line, title) for kind, file, line, title, _ in found] == [
        ("error", "cases/label-smoothing.yaml", "109", "smoothing=K-1, 1 result"),
        ("error", f"cases/hostile{factory.HOSTILE}.yaml", "11", f"raises {factory.HOSTILE}, 1 result"),
        ("error", "cases/label-smoothing.yaml", "109", "not-shifted, 1 result"),
        ("error", f"cases/hostile{factory.HOSTILE}.yaml", "11", "crash, 1 result"),
        ("error", f"cases/hostile{factory.HOSTILE}.yaml", "11", "timeout, 1 result"),
        ("warning", "cases/masks.yaml", "108", "the known deviation jax-all-masked is gone, 1 result"),
    ]
    assert "lossparity show label-smoothing/c1-99/reduction=none/float32@torch" in found[0][4]
    assert commands(factory.passing()) == []


def test_of_more_than_ten_of_a_kind_the_last_says_how_many_more() -> None:
    for verdict, kind in (("fail", "error"), ("stale", "warning")):
        ten = [parsed(line) for line in commands(failures(10, verdict=verdict)) if line.startswith(f"::{kind}")]
        assert len(ten) == 10
        assert not any("more" in title for _, _, _, title, _ in ten)
        many = [parsed(line) for line in commands(failures(37, verdict=verdict)) if line.startswith(f"::{kind}")]
        assert len(many) == 10
        assert many[-1][3] == "28 more"


def test_an_incomplete_record_is_an_error_and_the_first() -> None:
    record = factory.everything()
    record.footer = None
    kind, file, _, title, message = parsed(commands(record)[0])
    assert (kind, file, title) == ("error", "", "the run is incomplete")
    assert message == "the record has no last line, so the run was cut off"


def test_a_status_that_no_failure_explains_is_an_error() -> None:
    record = factory.passing()
    record.footer = Footer({}, [NotTested("torch:cuda", "no device", 3)], 1.0, 3)
    (only,) = commands(record)
    assert parsed(only)[3] == "the run ended with status 3"
    assert "not tested: torch:cuda, 3 checks: no device" in parsed(only)[4]


def test_what_is_hostile_is_one_command_a_line() -> None:
    for line in commands(hostile()):
        assert "\n" not in line and "\r" not in line
        kind, file, _, title, message = parsed(line)
        assert (kind, len(title) < 255, len(message) < 16_000) in (("error", True, True), ("warning", True, True))
        assert "\x1b" not in message and "\u202e" not in file + title + message
        assert "::error::x" in message and "100%0A%25" in message


def test_the_commands_are_printed_whatever_the_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    github.write(factory.everything(), tmp_path / "summary.md")
    assert capsys.readouterr().out.splitlines() == commands(factory.everything())
