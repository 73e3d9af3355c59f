"""The charts: that they show the numbers of the record, that their tables have the same, and that text stays text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.metadata
import json
import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import record_factory as factory
from lossparity.formats import FORMATS, Format
from lossparity.model import BINS
from lossparity.record import Agreement, CaseLine, Record, Result, Span, Worst
from lossparity_reports import html
from lossparity_reports.charts import drawing
from lossparity_reports.charts.agreement import agreement
from lossparity_reports.charts.bundle import bundle
from lossparity_reports.charts.cliffs import cliffs
from lossparity_reports.charts.figure import SERIES, Figure, Series, scale_of, styled
from lossparity_reports.charts.histogram import histogram
from lossparity_reports.charts.painting import paint
from lossparity_reports.charts.section import numerics
from lossparity_reports.charts.sizes import EDGES, by_size


def _result(case: str, backend: str = "torch", fmt: str = "float32", **changes: Any) -> Result:
    check = f"{case}/{fmt}@{backend}"
    base = {"quantity": "value", "clause": "S1", "basis": "mathematics", "operation": "softmax", "verdict": "pass"}
    return Result(
        **{"check": check, "case": case, "backend": backend, "format": fmt, "outcome": "produced", **base, **changes}
    )


def _case(name: str, span: Span | None, fmt: str = "float32") -> CaseLine:
    return CaseLine(name, fmt, "S1", "softmax", "", "", "", {}, {}, {}, logits=span)


def _worst(got: str, exact: str = "0x1.0p+0") -> Worst:
    return Worst([0], got, exact, None, None)


def _values(figure: Figure, **wanted: object) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = figure.spec["data"]["values"]
    return [v for v in values if all(v.get(key) == value for key, value in wanted.items())]


def _only(figures: Sequence[Figure], name: str) -> Figure:
    (figure,) = (one for one in figures if one.id == name)
    return figure


def _cells(figure: Figure) -> dict[tuple[str, ...], list[str]]:
    return {names: [cell.text for cell in cells] for names, cells in figure.rows}


def _counts(**bins: int) -> list[int]:
    return [bins.get(f"b{n}", 0) for n in range(len(BINS) + 1)]


def test_the_histogram_adds_up_the_elements_of_a_backend_and_format() -> None:
    figure = histogram(
        [
            _result("a", histogram=_counts(b0=3, b10=1)),
            _result("a", quantity="gradient", histogram=_counts(b0=3, b1=2)),
            _result("a", fmt="float16", histogram=_counts(b2=5)),
            _result("a", "jax", histogram=_counts(b7=1)),
            _result("b", "numpy"),
        ]
    )
    assert figure is not None
    found = {(v["bin"], v["elements"], v["share"]) for v in _values(figure, backend="torch", format="float32")}
    assert found == {("0.5", 6, 6 / 9), ("1", 2, 2 / 9), (">", 1, 1 / 9)}
    assert _cells(figure)["torch", "float32"] == ["9", "6", "2", *["0"] * 8, "1"]
    assert list(_cells(figure)) == [("torch", "float32"), ("torch", "float16"), ("jax", "float32")]
    assert len(figure.head) == 2 + len(figure.rows[0][1])
    (far,) = _values(figure, backend="torch", format="float32", bin=">")
    assert far["said"] == "torch, float32: 1 of 9 elements, error beyond 65536 ulp or of another class"
    assert far["address"] == "#backend=torch&format=float32&sort=-ulp"


def test_of_each_bin_the_largest_error_is_drawn_where_its_case_lies() -> None:
    cases = [_case("a", Span(2, 1.5, 2.0)), _case("b", Span(2, 2.5, 4.0)), _case("c", Span(300, 50.0, 99.0))]
    figures = by_size(
        [
            _result("a", ulp=0.5),
            _result("b", ulp=2.0),
            _result("c", ulp=40.0),
            _result("a", ulp=1.5, quantity="gradient"),
        ],
        cases,
    )
    assert [f.id for f in figures] == ["error-largest", "error-spread", "error-classes"]
    drawn = {(v["x"], v["y"], v["state"]) for v in _values(figures[0], kind="number")}
    assert drawn == {(2.5, 2.0, "pass"), (50.0, 40.0, "pass")}
    assert {(v["x"], v["y"]) for v in _values(figures[1], kind="number")} == {(2.0, 1.5), (4.0, 2.0), (99.0, 40.0)}
    assert {(v["x"], v["y"]) for v in _values(figures[2], kind="number")} == {(2.0, 2.0), (300.0, 40.0)}
    assert figures[0].head == ("backend", "format", "1 to 3", "30 to 100")
    assert _cells(figures[0]) == {("torch", "float32"): ["2", "40"]}
    assert {v["address"] for v in _values(figures[0], x=50.0)} == {"#check=c/float32@torch"}


def test_failures_known_deviations_and_other_classes_are_drawn_apart() -> None:
    cases = [_case("a", Span(2, 2.0, 2.0))]
    figure = _only(
        by_size(
            [
                _result("a", ulp=1.0),
                _result("a", ulp=9.0, verdict="fail", quantity="gradient"),
                _result("a", "jax", verdict="known", cause="nan", worst=_worst("nan")),
                _result("a", "jax", verdict="fail", cause="inf", quantity="gradient", worst=_worst("inf")),
                _result("a", "numpy", verdict="known", cause="raises"),
                _result("a", "numpy", verdict="crash", quantity="gradient"),
                _result("a", "tensorflow", ulp=7.0, verdict="undecided"),
            ],
            cases,
        ),
        "error-largest",
    )
    drawn = {(v["backend"], v["kind"], v["state"], v.get("y")) for v in _values(figure) if "state" in v}
    assert drawn == {
        ("torch", "number", "pass", 1.0),
        ("torch", "number", "failure", 9.0),
        ("jax", "class", "known", None),
        ("jax", "class", "failure", None),
    }
    assert _cells(figure) == {
        ("torch", "float32"): ["failure 9; 1"],
        ("jax", "float32"): ["failure 1 of another class (got ∞); known 1 of another class (got NaN)"],
    }
    assert {cells[0].verdict for _, cells in figure.rows} == {"fail"}
    assert figure.rows[0][1][0].address == "#check=a/float32@torch"


def test_a_number_where_none_is_right_is_of_another_class_and_what_gave_no_numbers_is_not_drawn() -> None:
    cases = [_case("a", Span(2, 2.0, 2.0)), _case("b", Span(2, 2.5, 2.0))]
    failed = {"verdict": "fail", "grade": "wrong"}
    figures = by_size(
        [
            _result("a", **failed, cause="zero", worst=_worst("0x0p+0", "nan")),
            _result("b", **failed, cause="finite-wrong", worst=_worst("0x1.0p+0", "inf")),
            _result("b", **failed, cause="nan", worst=_worst("nan"), quantity="gradient"),
            _result("a", "jax", **failed, histogram=_counts(b10=1)),
            _result("a", "numpy", **failed, cause="shape"),
            _result("b", "numpy", **failed, cause="inconsistent", histogram=_counts()),
            _result("a", "tensorflow", grade="uncertified", verdict="undecided", worst=_worst("nan")),
            _result("b", "tensorflow", verdict="error", cause="raises"),
        ],
        cases,
    )
    for figure in figures:
        assert _cells(figure) == {
            ("torch", "float32"): ["failure 3 of another class (got 0, a number, NaN)"],
            ("jax", "float32"): ["failure 1 of another class"],
        }
        assert {v["kind"] for v in _values(figure) if "state" in v} == {"class"}
        assert "results of another class" in figure.lead and "a point for each state" in figure.lead
    said = {v["said"] for v in _values(figures[0], kind="class")}
    assert said == {
        "torch, float32, failure: 3 of another class (got 0, a number, NaN), the first at 2",
        "jax, float32, failure: 1 of another class, the first at 2",
    }
    assert ">another class</text>" in paint(styled(figures[0].spec))


@pytest.mark.parametrize("number", [0.0, 1e308, 5e-324])
def test_what_is_beyond_the_axes_is_drawn_at_their_ends(number: float) -> None:
    (figure, *_) = by_size([_result("a", ulp=number)], [_case("a", Span(1, number, 0.0))])
    (point,) = _values(figure, kind="number")
    assert point["x"] == point["y"] == (1e6 if number > 1 else 0.1)
    assert paint(styled(figure.spec)).startswith("<svg ")


def test_the_edges_of_the_bins_rise_and_hold_the_ends() -> None:
    assert list(EDGES) == sorted(set(EDGES))
    assert (EDGES[0], EDGES[-1]) == (0.3, 1e6)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda f: f.name)
def test_cliffs_are_where_arithmetic_falls_off(fmt: Format) -> None:
    at = {(c.against, c.short): c.at for c in cliffs(fmt)}
    overflow = at["largest", "exp x = ∞"]
    lost, gone = at["spread", "1 + exp −d = 1"], at["spread", "exp −d = 0"]
    if fmt.name != "float64":  # whose ends binary64 cannot step over
        near = 4 * max(fmt.unit, 2.0**-20)
        assert math.isfinite(float(fmt.round(math.exp(overflow - near))))
        assert math.isinf(float(fmt.round(math.exp(overflow + near))))
        assert float(fmt.round(1 + math.exp(-lost + near))) > 1 == float(fmt.round(1 + math.exp(-lost - near)))
        assert float(fmt.round(math.exp(-gone + near))) > 0 == float(fmt.round(math.exp(-gone - near)))
    full, most = at["classes", "S + 1 = S"], at["classes", "Σ 1 = ∞"]
    # Spacings: 1 below 2^p, 2 from there on, where adding 1 is a tie that goes back to even.
    assert Fraction(full) == 2**fmt.precision
    if fmt.precision < 53:
        assert float(fmt.round(full - 1 + 1)) == full == float(fmt.round(full + 1))
        assert float(fmt.round(full - 2 + 1)) == full - 1
    assert most == fmt.largest


def test_rules_are_drawn_for_the_formats_that_are_there() -> None:
    results = [_result("a", ulp=1.0, fmt="float16"), _result("a", ulp=1.0, fmt="bfloat16")]
    cases = [_case("a", Span(9, 3.0, 3.0), fmt) for fmt in ("float16", "bfloat16")]
    rules = {
        (v["format"], v["short"], v["x"])
        for v in _values(_only(by_size(results, cases), "error-classes"), kind="cliff")
    }
    # bfloat16's largest number is no number of classes.
    assert rules == {
        ("bfloat16", "S + 1 = S", 256.0),
        ("float16", "S + 1 = S", 2048.0),
        ("float16", "Σ 1 = ∞", 65504.0),
    }


def test_agreement_is_a_triangle_in_the_order_of_the_run() -> None:
    lines = [
        Agreement("jax", "numpy", "float32", 10, 4, 0, 3.5, "a/float32@jax#value"),
        Agreement("numpy", "torch", "float32", 10, 9, 1, 200000.0, "b/float32@numpy#gradient"),
        Agreement("torch", "jax", "float32", 3, 3, 0, 0.0, ""),
        Agreement("torch", "jax", "float16", 0, 0, 0, 0.0, ""),
    ]
    figure = agreement(lines, ["numpy", "torch", "jax"])
    assert figure is not None
    assert {(v["first"], v["second"], v["text"], v["level"]) for v in _values(figure)} == {
        ("numpy", "jax", "3.5", 2),
        ("numpy", "torch", "2e5 ≠", 6),
        ("torch", "jax", "0", 0),
    }
    assert _cells(figure) == {
        ("numpy", "jax", "float32"): ["10", "4 (40 %)", "0", "3.5"],
        ("numpy", "torch", "float32"): ["10", "9 (90 %)", "1", "2e+05"],
        ("torch", "jax", "float32"): ["3", "3 (100 %)", "0", "0"],
    }
    assert [cells[-1].address for _, cells in figure.rows] == ["#check=a/float32@jax", "#check=b/float32@numpy", ""]
    assert agreement([lines[-1]], ["torch", "jax"]) is None


def test_a_share_is_100_percent_only_when_it_is_all() -> None:
    figure = agreement([Agreement("a", "b", "float32", 3000, 2999, 0, 1.0, "k#value")], ["a", "b"])
    assert figure is not None
    assert _cells(figure)["a", "b", "float32"][1] == "2999 (99.9 %)"


def test_no_two_backends_of_a_framework_look_the_same() -> None:
    names = [f".{n}" for n in range(SERIES * SERIES)]
    looks = zip(scale_of(names, "color")["range"], map(str, scale_of(names, "dash")["range"]), strict=True)
    assert len(set(looks)) == len(names)
    assert Series.of("torch.manual+compile@/opt/x y") == Series("torch", ".manual+compile@/opt/x y")
    assert Series.of("jax") == Series("jax", "itself")


def test_a_record_without_numbers_has_no_charts() -> None:
    for record in (factory.empty(), Record(factory.empty().header)):
        section = numerics(record)
        assert (section.figures, section.script, section.vega, section.specs) == ((), "", "", "")
        page = html.render(record)
        assert 'id="numerics"' not in page and 'id="vega"' not in page and "#numerics-title" not in page


def test_a_record_older_than_spans_and_agreement_has_the_histogram_alone() -> None:
    record = factory.many(200)
    record.cases = [msgspec.structs.replace(case, logits=None) for case in record.cases]
    record.agreements = []
    assert [figure.id for figure in numerics(record).figures] == ["histogram"]


def test_every_figure_is_drawn_with_a_table_and_a_specification_for_the_browser() -> None:
    section = numerics(factory.everything())
    ids = [figure.id for figure in section.figures]
    assert ids == ["histogram", "error-largest", "error-spread", "error-classes", "agreement"]
    specs = json.loads(gzip.decompress(base64.b64decode(section.specs)))
    assert list(specs) == ids
    for figure, svg in section.drawn:
        assert figure.rows and all(len(names) + len(cells) == len(figure.head) for names, cells in figure.rows)
        assert specs[figure.id] == json.loads(msgspec.json.encode(styled(figure.spec)))
        assert svg.count("<svg") == 1 and svg.endswith("</svg>")
        # The page's policy lets no style attribute through, and its colours are variables, for the themes.
        assert " style=" not in svg and "url(" not in svg and " id=" not in svg
        assert "#" not in svg and "var(--" in svg
    assert gzip.decompress(base64.b64decode(section.vega)).decode() == section.script


def test_names_stay_text_in_drawings_and_specifications() -> None:
    name = f"torch.{factory.HOSTILE}\x1b\x00\N{RIGHT-TO-LEFT OVERRIDE}"
    figure = histogram([_result("a", name, histogram=_counts(b0=1))])
    assert figure is not None
    svg = paint(styled(figure.spec))
    assert (
        "<script" not in svg
        and "&lt;script&gt;" in svg
        and "\x00" not in svg
        and "\N{RIGHT-TO-LEFT OVERRIDE}" not in svg
    )
    for one in by_size([_result("a", name, ulp=1.0)], [_case("a", Span(2, 1.0, 1.0))]):
        assert "<script" not in paint(styled(one.spec))
    # An expression is code, even where it is interpreted: none is made of what a record says.
    spec = json.dumps({key: value for key, value in figure.spec.items() if key != "data"})
    assert spec.count("datum.") == 1


def test_without_vl_convert_there_are_tables_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    section = numerics(factory.passing())
    assert section.absent == drawing.ABSENT
    assert {str(svg) for _, svg in section.drawn} == {""}
    page = html.render(factory.passing())
    assert drawing.ABSENT in page and 'id="histogram"' in page
    assert 'id="vega"' not in page and 'id="chart-format"' not in page


def test_the_script_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    made: list[str] = []

    def make(snippet: str) -> str:
        made.append(snippet)
        return f"/* */ {snippet}"

    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path / "some" / "folder"))
    monkeypatch.setattr(vl_convert, "javascript_bundle", make)
    first = bundle()
    assert (bundle(), len(made)) == (first, 1)
    (kept,) = (tmp_path / "some" / "folder").iterdir()
    assert importlib.metadata.version("vl-convert-python") in kept.name
    for damaged in (
        b"",
        kept.read_bytes()[:-9],
        b"not gzip",
        gzip.compress(b"another"),
        gzip.compress(b"")[:10] + b"\xff" * 30,
    ):
        kept.write_bytes(damaged)
        assert bundle() == first
    assert len(made) == 6
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_disk_that_refuses_costs_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: snippet)
    assert b"lossparityEmbed" in gzip.decompress(bundle())


def test_what_cannot_be_kept_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    place = tmp_path / f"vega-embed-{importlib.metadata.version('vl-convert-python')}.js.gz"
    place.mkdir()
    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: snippet)
    assert b"lossparityEmbed" in gzip.decompress(bundle())
    assert list(tmp_path.iterdir()) == [place]


def test_the_policy_lets_the_kept_script_run_by_its_hash_and_no_evaluation() -> None:
    record = factory.passing()
    page = unescape(html.render(record))
    digest = base64.b64encode(hashlib.sha256(numerics(record).script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page
    assert "unsafe" not in page.split('content="default-src', 1)[1].split('"', 1)[0]


def test_numbers_of_the_factory_are_of_its_cases() -> None:
    case = factory.passing().cases[0]
    logits = np.array([float.fromhex(v) for v in case.inputs["logits"].values]).reshape(case.inputs["logits"].shape)
    assert case.logits == Span(5, float(np.abs(logits).max()), float(np.ptp(logits, axis=1).max()))


def _rectangles(item: dict[str, Any], x: float = 0.0, y: float = 0.0) -> list[tuple[float, float, float]]:
    """Return the bars of a drawn chart: where their panel is, and where in it they begin."""
    found = []
    for one in item.get("items", []):
        if item.get("marktype") == "rect":
            found.append((x, y, one["x"]))
        elif "marktype" in one:
            found += _rectangles(one, x, y)
        else:
            found += _rectangles(one, x + one.get("x", 0), y + one.get("y", 0))
    return found


def test_a_panel_stands_under_its_own_head_where_others_are_missing() -> None:
    """Vega puts panels without data first; all others then stood under the heads of their neighbours."""
    vl_convert = pytest.importorskip("vl_convert")
    figure = histogram(
        [
            _result("a", "numpy", "float64", histogram=_counts(b0=3)),
            _result("a", "numpy", "float32", histogram=_counts(b1=3, b2=3)),
            _result("a", "torch", "float32", histogram=_counts(b3=1, b4=2, b5=1)),
            _result("a", "torch", "float16", histogram=_counts(b6=1, b7=2, b8=1, b9=1)),
        ]
    )
    assert figure is not None
    drawn = _rectangles(vl_convert.vegalite_to_scenegraph(styled(figure.spec))["scenegraph"])
    columns, rows = (sorted({place[n] for place in drawn}) for n in (0, 1))
    bars = {(columns.index(x), rows.index(y)): 0 for x, y, _ in drawn}
    for x, y, _ in drawn:
        bars[columns.index(x), rows.index(y)] += 1
    nothing = 1  # a bar of no height
    assert bars == {(0, 0): 1, (1, 0): 2, (2, 0): nothing, (0, 1): nothing, (1, 1): 3, (2, 1): 4}


def test_every_panel_is_told_something() -> None:
    record = factory.everything()
    results = [r for r in record.results if (r.backend, r.format) != ("torch", "float64")]
    figures = [histogram(results), *by_size(results, record.cases)]
    for figure in figures:
        assert figure is not None
        row = "row" if figure.id == "histogram" else "framework"
        values = figure.spec["data"]["values"]
        assert {(v[row], v["format"]) for v in values} == {(a[row], b["format"]) for a in values for b in values}
