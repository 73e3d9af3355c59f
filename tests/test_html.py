"""The page: what it says for every state of a record, that text stays text, and that its script does its work."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import record_factory as factory
from lossparity.errors import UsageError
from lossparity.formats import FORMATS
from lossparity.record import CaseLine, Cause, Record, Result, Worst
from lossparity_reports import html
from lossparity_reports.alone import alone
from lossparity_reports.charts.bundle import bundle
from lossparity_reports.choices import Chosen, Taken, left_open, tabulate
from lossparity_reports.figures import decimal
from lossparity_reports.groups import gather
from lossparity_reports.matrix import arrange
from lossparity_reports.summary import summarise
from payloads import payload
from record_factory import failed as _failed
from record_factory import keys as _keys
from record_factory import record as _record
from record_factory import result as _result

_BLOCKS = {"td", "th", "tr", "p", "div", "dt", "dd", "small", "caption"}
_VOID = {"meta", "link", "input", "wbr", "br", "path", "use"}


class Page(HTMLParser):
    """A parsed page: its elements in order, and their text by id, tag and class."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.by_id: dict[str, str] = {}
        self.by_tag: dict[str, list[str]] = {}
        self.by_class: dict[str, list[str]] = {}
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag in _BLOCKS:
            self.handle_data(" ")
        if tag not in _VOID:
            self._open.append((tag, given, []))

    def handle_data(self, data: str) -> None:
        for _, _, texts in self._open:
            texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        opened, given, texts = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        text = " ".join("".join(texts).split())
        self.by_tag.setdefault(tag, []).append(text)
        self.by_class.setdefault(given.get("class", ""), []).append(text)
        if "id" in given:
            self.by_id[given["id"]] = text


def _page(record: Record) -> Page:
    return Page(html.render(record))


@pytest.mark.parametrize(
    ("results", "state", "sentence"),
    [
        ([], "empty", "Nothing was judged: the record holds no result."),
        (["unsupported", "unavailable"], "empty", "Nothing was judged: 2 results, all unsupported or unavailable."),
        (["pass"], "clean", "No failure: 1 of 1 result pass."),
        (
            ["pass", "pass", "known", "unsupported"],
            "clean",
            "No failure: 2 of 3 results pass, 1 known deviation.",
        ),
        (["pass", "stale", "undecided"], "clean", "No failure: 1 of 3 results pass, 1 stale, 1 undecided."),
        (["fail", "pass"], "failing", "1 failure: 1 of 2 results pass."),
        (["fail", "error", "crash", "timeout"], "failing", "4 failures: 0 of 4 results pass."),
    ],
)
def test_the_answer_is_one_sentence_for_every_state(results: list[str], state: str, sentence: str) -> None:
    record = _record(*(_result(n, verdict=v) for n, v in enumerate(results)))
    summary = summarise(record)
    assert (summary.state, summary.sentence) == (state, sentence)
    page = _page(record)
    assert page.by_tag["h1"] == [sentence]
    assert page.by_tag["title"] == [f"{sentence} \N{EN DASH} lossparity"]


@pytest.mark.parametrize(
    ("broken", "why"), [("", "was cut off"), ("line 7 is cut off or damaged: truncated", "line 7 is cut off")]
)
def test_an_incomplete_record_is_said_to_be_incomplete(broken: str, why: str) -> None:
    record = factory.passing()
    if broken:
        record.broken = broken
    else:
        record.footer = None
    page = _page(record)
    assert page.by_tag["h1"][0].startswith("This record is incomplete: ")
    assert why in page.by_tag["h1"][0]
    assert "No failure: 200 of 200 results pass." in page.by_tag["h1"][0]
    assert "what the run never came to is not known" in html.render(record)
    assert summarise(record).state == "incomplete"


def test_blame_goes_to_native_results_only() -> None:
    record = _record(
        _result(1, verdict="fail"),
        _result(2, verdict="fail", backend="jax", origin="composed"),
        _result(3, verdict="crash", backend="numpy", origin=""),
        _result(4, backend="tensorflow"),
    )
    assert summarise(record).blame == (
        "torch 1: the framework's own (native).",
        "jax 1: composed by our adapter, so not blamed on the framework.",
        "numpy 1: whose work it was is not recorded, since the call did not return.",
    )


def test_counts_add_up_over_verdicts_and_origins() -> None:
    record = factory.everything()
    lines = {line.name: line for line in summarise(record).counts}
    verdicts = [name for name, line in lines.items() if line.icon == name and name != "weak"]
    assert set(verdicts) == {r.verdict for r in record.results}
    assert sum(lines[v].numbers[0] for v in verdicts) == len(record.results)
    for line in lines.values():
        assert line.numbers[0] == sum(line.numbers[1:])
        assert line.of[0] == sum(line.of[1:])
        assert all(n <= of for n, of in zip(line.numbers, line.of, strict=True))
    assert lines["weak"].numbers[0] == sum(r.verdict == "pass" and r.grade == "loose" for r in record.results) > 0
    absent = lines["unsupported"].numbers[0] + lines["unavailable"].numbers[0]
    assert lines["judged"].numbers[0] == len(record.results) - absent
    assert lines["certified"].numbers[0] == lines["judged"].numbers[0] - lines["undecided"].numbers[0]


def test_a_share_is_100_percent_only_when_it_is_all() -> None:
    results = [_result(n) for n in range(4999)] + [_result(5000, verdict="undecided", grade="uncertified")]
    assert "4999 of 5000 certified (99.9 %)." in summarise(_record(*results)).notes
    assert "4999 of 4999 certified (100 %)." in summarise(_record(*results[:-1])).notes


def test_a_footer_that_counts_otherwise_is_a_warning() -> None:
    record = factory.passing()
    assert record.footer is not None
    assert summarise(record).warnings == ()
    record.results.pop()
    assert summarise(record).warnings == ("The record's last line counts 200 results, the record holds 199.",)
    assert "the record holds 199." in " ".join(_page(record).by_tag["p"])


def test_known_deviations_are_grouped_with_reason_and_the_simplest_example() -> None:
    declared = {"verdict": "known", "deviation": "torch-17", "cause": "nan", "message": "fixed upstream"}
    record = _record(
        _result(1111, **declared), _result(2, **declared), _result(3, **{**declared, "verdict": "stale"}), _result(4)
    )
    (group,) = gather(record).deviations
    assert (group.name, group.count, group.text) == ("torch-17", 3, "nan \N{EN DASH} fixed upstream")
    assert group.verdicts == (("known", 2), ("stale", 1))
    assert group.example == "s/c2/float32@torch"
    page = _page(record)
    assert "torch-17" in page.by_id["deviations"]
    assert "nan \N{EN DASH} fixed upstream" in page.by_id["deviations"]
    assert ("a", {"href": "#check=s/c2/float32@torch"}) in page.elements


def test_what_was_not_tested_is_listed_with_reasons_and_counts() -> None:
    page = _page(factory.everything())
    for text in (
        "torch+compile 60 checks no C++ compiler",
        f"unsupported numpy 1 1 result no {factory.HOSTILE} here",
        "unavailable torch.manual 1 1 result no such device",
    ):
        assert text in page.by_id["untested"]


def test_failures_are_listed_without_the_script_fifty_at_most() -> None:
    worst = Worst([0, 3], "0x1.99999a0000000p-4", "0x1.8p-4", 1e-9, 2e-9)
    failing = [_result(n, verdict="fail", grade="wrong", worst=worst, ulp=9.0, bound_used=4.5) for n in range(60)]
    page = _page(_record(*failing, _result(99)))
    rows = re.findall(r"s/c\d+/float32@torch", page.by_id["failures"])
    assert len(set(rows)) == 50
    assert "The simplest 50 of 60 failures" in page.by_tag["summary"]
    for number in ("0.100000001", "0.09375", "[0, 3]", "4.5"):
        assert number in page.by_id["failures"]


def test_failures_are_grouped_by_the_causes_of_the_record() -> None:
    said = "nothing of the mass on the target"
    record = _record(
        _failed(1, "smoothing=K-1"),
        _failed(2, "smoothing=K-1", "other"),
        *(_failed(n, cause="nan") for n in (3, 7, 8, 9)),
        _failed(4, "not-shifted", shared=True),
        _failed(5, "smoothing=K-1", backend="jax", origin="composed"),
        _failed(6, "log-of-softmax", backend="jax", origin="composed"),
        causes=[
            Cause("unexplained nan (S1)", "nothing gives these numbers", _keys(3, 7, 8, 9)),
            Cause("not-shifted", "exp overflows", _keys(4), ulp=0.0, shared=True),
            Cause("log-of-softmax", "log of p", _keys(6, backend="jax"), ulp=0.5),
            Cause("smoothing=K-1", said, _keys(2, 1), ulp=0.123456, convention="smoothing=K-1"),
            Cause("smoothing=K-1", said, _keys(5, backend="jax"), ulp=7.0, convention="smoothing=K-1"),
        ],
    )
    groups = gather(record).causes
    # The function's own first, in it what the framework does wrong too and what nothing explains last.
    assert [g.name for g in groups] == ["smoothing=K-1", "unexplained nan (S1)", "not-shifted", "log-of-softmax"]
    first = groups[0]
    assert (first.text, first.count, first.near) == (said, 3, "0.123")
    assert first.backends == (("torch", 2), ("jax", 1))
    assert first.example == "s/c2/float32@torch"
    assert first.address == "#diagnosis=smoothing=K-1"
    assert [g.near for g in groups[1:]] == ["", "0", "0.5"]
    page = _page(record)
    rows = page.by_id["causes"]
    assert f"smoothing=K-1 {said} explained to 0.123 ulp intended? judge by it: --convention smoothing=K-1" in rows
    assert rows.count("explained to") == 3
    assert rows.count("intended?") == 1
    assert "exp overflows explained to 0 ulp the framework\N{RIGHT SINGLE QUOTATION MARK}s own function fails" in rows
    assert rows.count("own function fails there too") == 1
    assert ("a", {"href": "#check=s/c2/float32@torch"}) in page.elements
    assert "smoothing=K-1" in page.by_id["failures"]


@pytest.mark.parametrize(
    ("explained", "sentence"),
    [
        ([("a",), ("b",)], "2 failures from 2 causes: 0 of 2 results pass."),
        ([("a",), ()], "2 failures, 1 of them from 1 cause: 0 of 2 results pass."),
        ([(), ()], "2 failures: 0 of 2 results pass."),
    ],
)
def test_the_answer_says_how_many_failures_are_explained(explained: list[tuple[str, ...]], sentence: str) -> None:
    causes = [Cause("".join(names) or f"unexplained {n}", "", _keys(n)) for n, names in enumerate(explained)]
    record = _record(*(_failed(n, *names) for n, names in enumerate(explained)), causes=causes)
    assert summarise(record).sentence == sentence


def test_weak_passes_stand_apart_from_failures_lost_gradients_first() -> None:
    record = _record(
        *(_result(n, grade="loose") for n in (1, 2)),
        _result(3, grade="loose", zeroed=True),
        _failed(4, "not-shifted"),
        causes=[
            Cause("not-shifted", "exp overflows", _keys(4)),
            Cause("weak", "within the loose bound only", _keys(1, 2), failing=False),
            Cause("gradient-lost", "a 16-bit gradient is 0", _keys(3), failing=False),
        ],
    )
    groups = gather(record)
    assert [g.name for g in groups.causes] == ["not-shifted"]
    assert [(g.name, g.count) for g in groups.weak] == [("gradient-lost", 1), ("weak", 2)]
    page = _page(record)
    assert "a 16-bit gradient is 0" in page.by_id["weak"]
    assert "gradient" not in page.by_id["causes"]
    assert page.by_tag["h1"] == ["1 failure from 1 cause: 3 of 4 results pass."]
    assert "causes" not in _page(_record(_result(1, grade="loose"))).by_id


@pytest.mark.parametrize("incomplete", [False, True])
def test_without_causes_failures_are_grouped_by_kind_and_weak_passes_by_format(incomplete: bool) -> None:
    causes = [Cause("not-shifted", "exp overflows", _keys(1)), Cause("weak", "", _keys(4), failing=False)]
    record = _record(
        *(_failed(n, "not-shifted", cause="nan") for n in (1, 2, 3)),
        _result(4, grade="loose"),
        causes=causes if incomplete else (),
    )
    if incomplete:
        record.footer = None
    groups = gather(record)
    assert [(g.name, g.count, g.address) for g in groups.causes] == [("nan", 3, "#cause=nan&verdict=failing")]
    assert [(g.name, g.count) for g in groups.weak] == [("only the loose bound admits it, in float32", 1)]


def test_a_damaged_record_shows_what_its_causes_leave_out() -> None:
    record = _record(
        _failed(1, "not-shifted", cause="nan"),
        _failed(2, cause="inf"),
        causes=[Cause("not-shifted", "", _keys(7, 1)), Cause("again", "", _keys(1)), Cause("gone", "", _keys(9))],
    )
    assert [(g.name, g.count) for g in gather(record).causes] == [("not-shifted", 1), ("inf", 1)]
    assert _page(record).by_tag["h1"] == ["2 failures, 1 of them from 1 cause: 0 of 2 results pass."]


def test_matrix_cells_have_word_count_worst_and_origin() -> None:
    results = [
        _result(1, grade="exact", ulp=0.25),
        _result(2, grade="loose", ulp=3.14159),
        _result(3, clause="S2", verdict="known"),
        _result(4, backend="jax", origin="composed", verdict="fail", grade="wrong", ulp=None),
        _result(5, backend="jax", origin="composed", grade="tight", ulp=2.0),
        _result(6, backend="numpy", verdict="unsupported", origin=""),
    ]
    matrix = arrange(results)
    assert matrix.backends == ("torch", "jax", "numpy")
    (row,) = matrix.rows
    torch, jax, numpy = row.cells
    assert torch is not None
    assert jax is not None
    assert numpy is not None
    assert (torch.word, torch.passed, torch.judged, torch.others) == ("1 known", 2, 3, "1 weak")
    assert (torch.grade, torch.ulp, torch.origins) == ("loose", "3.14", ())
    assert (jax.word, jax.grade, jax.ulp, jax.origins) == ("1 fail", "wrong", "", ("composed",))
    assert (numpy.word, numpy.judged) == ("1 unsupported", 0)
    assert [c.name for c in row.clauses] == ["S1", "S2"]
    assert row.clauses[1].cells[1] is None
    assert row.clauses[0].cells[0] is not None
    assert row.clauses[0].cells[0].address == "#suite=s&clause=S1&backend=torch"


def test_nothing_is_loaded_and_no_other_script_may_run() -> None:
    text = html.render(factory.everything())
    page = Page(text)
    for tag, attributes in page.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:,")), (tag, attributes)
    style = page.by_tag["style"][0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_hostile_text_stays_text() -> None:
    page = _page(factory.everything())
    assert [t for t, _ in page.elements].count("script") == 5
    assert "alert" not in [t for t, _ in page.elements]
    said = " ".join(page.by_tag["td"] + page.by_tag["th"])
    assert said.count(factory.HOSTILE) > 3
    assert "</script><!--" in said
    assert f"raises {factory.HOSTILE} </script><!--" in page.by_id["causes"]
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_tables_have_real_headers() -> None:
    page = _page(factory.everything())
    heads = [a for t, a in page.elements if t == "th"]
    assert heads
    assert all(a.get("scope") in {"col", "row", "rowgroup"} for a in heads)


def test_the_payload_holds_the_whole_record_but_what_the_charts_have() -> None:
    record = factory.everything()
    record.results[0] = msgspec.structs.replace(record.results[0], verdict="fail", cause="nan")
    content = payload(html.render(record))
    cases = {(c["id"], c["format"]): c for c in content["cases"]}
    assert len(cases) == len(record.cases)
    assert len(content["results"]) == len(record.results)
    assert record.footer is not None
    held = {key: cause.id for cause in record.footer.causes for key in cause.results}
    assert {c["id"]: c["said"] for c in content["causes"]} == {c.id: c.said for c in record.footer.causes}
    odd, choosing = alone(record.results), {r.key for r in left_open(record.results)}
    assert odd and choosing
    shared = 0
    for own, result in zip(content["results"], record.results, strict=True):
        case = cases[result.case, result.format]
        told = {name: case[name] for name in ("clause", "operation", "input_hash")}
        assert not any(own.get(name) == text for name, text in told.items()), "a result repeats what its case says"
        packed = {**told, "check": f"{result.case}/{result.format}@{result.backend}", **own}
        packed = {name: part for name, part in packed.items() if part != ""}
        assert packed.pop("diagnosis", None) == held.get(result.key)
        only = packed.pop("only", [])
        assert ("alone" in only, "open" in only) == (result.key in odd, result.key in choosing)
        if result.got is not None and isinstance(packed["got"]["exact"], str):
            whole = cases[result.case, result.format]["exact"][result.quantity][packed["got"]["exact"]]["values"]
            start = result.got.start
            packed["got"]["exact"] = whole[start : start + len(result.got.got)]
            shared += 1
        assert packed == msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(result, histogram=[])))
    assert shared > 0


def test_ten_thousand_results_are_small_and_quick() -> None:
    record = factory.many(10_000)
    bundle()  # is kept between runs
    start = time.process_time()
    text = html.render(record)
    assert time.process_time() - start < 3  # 2 s, and what sharing the processor costs
    assert len(text.encode()) < 1_500_000


def test_the_same_record_makes_the_same_page() -> None:
    assert html.render(factory.everything()) == html.render(factory.everything())


def test_words_of_a_newer_record_are_shown_as_they_are() -> None:
    record = _record(_result(1, verdict="pondering", clause="Z9", grade="sublime", origin="dreamt"), _result(2))
    said = " ".join(_page(record).by_tag["table"])
    for word in ("pondering", "Z9", "sublime", "dreamt"):
        assert word in said


@pytest.mark.parametrize("name", FORMATS)
def test_decimals_come_back_as_the_same_number(name: str) -> None:
    fmt = FORMATS[name]
    numbers = fmt.round(
        np.random.RandomState(7).normal(0, 1, 2000) * 2.0 ** np.random.RandomState(8).randint(-12, 12, 2000)
    )
    for x in [*numbers, fmt.largest, fmt.smallest_normal, 2.0 ** (fmt.emin + 1 - fmt.precision), 0.0]:
        shown = decimal(float(x).hex(), name)
        assert float(fmt.round(float(shown))) == x, shown
        assert (
            len(shown.lstrip("-").partition("e")[0].replace(".", "").lstrip("0"))
            <= {"float64": 17, "float32": 9, "float16": 5, "bfloat16": 4}[name]
        )


@pytest.mark.parametrize(
    ("text", "shown"),
    [("nan", "nan"), ("-inf", "-inf"), ("-0x0.0p+0", "-0"), ("seven", "seven"), ("0x1.8p+9999", "0x1.8p+9999")],
)
def test_what_is_no_finite_number_is_shown_as_well(text: str, shown: str) -> None:
    assert decimal(text, "float32") == shown


def test_write_makes_the_folder_and_says_where_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    html.write(factory.empty(), path)
    assert path.read_text(encoding="utf-8") == html.render(factory.empty())
    with pytest.raises(UsageError) as caught:
        html.write(factory.empty(), path / "below-a-file.html")
    assert str(path) in caught.value.where
    assert caught.value.hint


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_is_that_of_wcag_aa(theme: int) -> None:
    style = _page(factory.empty()).by_tag["style"][0]
    colours = {
        name: pair[theme]
        for name, *pair in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", style)
    }
    grounds = ("ground", "raised", "bad-wash", "mark-wash")
    texts, signs = ("ink", "soft", "link"), ("good", "bad", "known", "stale", "doubt", "control", "focus")
    for ground in grounds:
        for names, least in ((texts, 4.5), (signs, 3.0)):
            for name in names:
                light, dark = sorted((_luminance(colours[name]), _luminance(colours[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= least, f"{name} on {ground}"


def _choosing(number: int, backend: str, choice: str = "", clause: str = "S5", **changes: Any) -> Result:
    check = f"s/c{number}/float32@{backend}"
    return _result(number, check=check, backend=backend, choice=choice, clause=clause, **changes)


def test_choices_are_tabled_by_clause_and_backend_with_their_counts() -> None:
    table = tabulate(
        [
            *(_choosing(n, "torch", "nan") for n in (1, 2)),
            _choosing(3, "torch", "limit"),
            _choosing(3, "torch", "nan", quantity="gradient"),
            _choosing(1, "jax", "limit"),
            _choosing(2, "jax", verdict="known"),
            _choosing(3, "jax", verdict="fail"),
            _choosing(4, "jax", verdict="fail"),
            _choosing(1, "numpy", verdict="unsupported"),
            _choosing(5, "numpy", "raises", "N4"),
            _choosing(6, "other"),
        ]
    )
    assert table.backends == ("torch", "jax", "numpy"), "nothing open was asked of the other"
    assert [row.clause for row in table.rows] == ["N4", "S5"]
    n4, s5 = table.rows
    assert s5.text.startswith("a row holding +inf")
    assert n4.cells[:2] == (None, None) and s5.cells[2] is None
    torch, jax = s5.cells[:2]
    assert torch == Chosen(
        (
            Taken("nan", 2, "#clause=S5&backend=torch&quantity=value&choice=nan"),
            Taken("limit", 1, "#clause=S5&backend=torch&quantity=value&choice=limit"),
        ),
        (),
    )
    assert torch.mixed
    assert jax is not None and not jax.mixed
    assert {(one.name, one.count) for one in jax.outside} == {("known", 1), ("fail", 1)}, "that of case 4 had no choice"
    assert jax.outside[0].address == "#verdict=known&clause=S5&backend=jax&quantity=value"


def test_choices_are_a_section_of_plain_text_and_no_section_where_there_are_none() -> None:
    results = [
        _choosing(1, "torch", "nan"),
        _choosing(2, "torch", f"limit {factory.HOSTILE}"),
        _choosing(1, "jax", verdict="fail"),
    ]
    page = _page(_record(*results))
    assert "Choices" in page.by_tag["h2"]
    said = page.by_id["choices"]
    assert said.startswith("clause torch jax S5 a row holding +inf")
    assert said.endswith(f"nan 1limit {factory.HOSTILE} 1 mixed fail 1"), said
    assert any(given.get("href") == "#choices-title" for _, given in page.elements)
    without = _page(_record(_result(1)))
    assert "Choices" not in without.by_tag["h2"] and "choices" not in without.by_id
    assert not any(given.get("href") == "#choices-title" for _, given in without.elements)


def test_every_cause_of_failures_has_its_command_and_weak_passes_have_none() -> None:
    record = _record(
        _failed(1, "negated"),
        _failed(2, "swapped", backend="torch+compile"),
        _failed(3, "several"),
        _result(4, grade="loose"),
        causes=[
            Cause("negated", "", _keys(1)),
            Cause("swapped", "", _keys(2, backend="torch+compile")),
            Cause("weak", "", _keys(4), failing=False),
        ],
    )
    cases = {"clause": "S1", "operation": "softmax", "source": "", "input_hash": "", "about": "", "inputs": {}}
    record.cases = [
        CaseLine(id=f"s/c{n}", format="float32", keywords={}, exact={}, how=["2 calls"] * (n == 3), **cases)  # type: ignore[arg-type]
        for n in (1, 2, 3)
    ]
    expected = {
        "negated": "lossparity show 's/c1/float32@torch#value' --script",
        "swapped": "lossparity show s/c2/float32@torch+compile",
    }
    groups = gather(record)
    assert {g.name: g.command for g in groups.causes if g.name in expected} == expected
    assert [g.command for g in groups.causes if g.name not in expected] == ["lossparity show s/c3/float32@torch"]
    assert [g.command for g in groups.weak] == [""]
    page = _page(record)
    buttons = [given["data-copies"] for _, given in page.elements if given.get("class") == "copy scripted"]
    assert sorted(buttons) == sorted(g.command for g in groups.causes)
    assert all(command in page.by_id["causes"] for command in buttons)
