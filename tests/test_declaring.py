"""Known deviations brought up to date: nothing judged otherwise is declared, nothing that was not asked is lost."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

import record_factory as factory
from lossparity.answers import Catalogue
from lossparity.declaring import Proposal, propose
from lossparity.errors import UsageError
from lossparity.known import KINDS, TODO, Deviation, apply
from lossparity.model import Verdict
from lossparity.plans import Finding
from lossparity.record import Cause, Environment, Explained, Footer, Record, Result

FORMATS = ("float64", "float32", "float16")
CASES = ("s/a/x=1", "s/a/x=2", "s/a-log", "s/b", "t/c/reduction=mean", "t/c/reduction=sum")
EVERY: Catalogue = {
    f"{case}/{fmt}#{quantity}": case.startswith("t/")
    for case, fmt, quantity in itertools.product(CASES, FORMATS, ("value", "gradient"))
}
PACKAGES = {"torch": "torch", "torch.manual": "torch", "torch.keras": "keras", "jax": "jax"}
VERSIONS = {"torch": "2.13.0+cpu", "jax": "0.10.2"}


def result(key: str, verdict: str = "pass", kind: str = "", backend: str = "torch", **more: Any) -> Result:
    check, _, quantity = key.rpartition("#")
    case, _, fmt = check.rpartition("/")
    known = (f"{check}@{backend}", quantity, case, "S1", "mathematics", "softmax", backend, fmt)
    return Result(*known, verdict, "produced", **{"cause": kind, **more})


def record(*results: Result, causes: Sequence[Cause] = (), versions: Mapping[str, str] = VERSIONS) -> Record:
    made = factory.empty()
    made.environments = [Environment(name, True, {name.partition(":")[0]: v}) for name, v in versions.items()]
    made.results = list(results)
    made.footer = Footer({}, [], 1.0, 0, list(causes))
    return made


def answered(
    deviating: Mapping[str, str], keys: Iterable[str] = EVERY, backend: str = "torch", **more: Any
) -> list[Result]:
    """Answer keys: `deviating` says of which kind, everything else passes."""
    return [
        result(key, "fail" if key in deviating else "pass", deviating.get(key, ""), backend, **more) for key in keys
    ]


def entry(*checks: str, kind: str = "nan", name: str = "torch/what/nan", **more: Any) -> Deviation:
    given = {"backends": ("torch",), "versions": ">=2.13,<2.14", "reason": "It overflows.", **more}
    return Deviation(id=name, checks=checks, kind=kind, **given)


def proposed(made: Record, *known: Deviation, every: Catalogue = EVERY) -> Proposal:
    (only,) = propose(made, {"torch": known, "jax": ()}, PACKAGES, every)
    return only


def judged_again(results: Iterable[Result], known: Sequence[Deviation]) -> dict[str, tuple[str, str]]:
    """Return verdict and deviation of each result under other declarations, as a run would have recorded them."""
    found = {}
    for one in results:
        verdict = Verdict(one.verdict)
        plain = Verdict.FAIL if verdict is Verdict.KNOWN else Verdict.PASS if verdict is Verdict.STALE else verdict
        finding = Finding(one.quantity, plain, one.outcome, one.cause)  # type: ignore[arg-type]
        after, deviation = apply(finding, one.check, VERSIONS, known)
        found[one.key] = (after.verdict.value, deviation.id if deviation else "")
    return found


def test_an_entry_that_is_still_true_stays_as_it_is() -> None:
    declared = entry("s/a/*/float16#value")
    nan = {f"s/a/x={x}/float16#value": "nan" for x in (1, 2)}
    proposal = proposed(record(*answered(nan)), declared)
    assert proposal.entries == ((declared, 0),) and not proposal.dropped and not proposal.new


def test_patterns_become_fewer_where_fewer_say_the_same() -> None:
    declared = entry("s/a/x=1/float16#value", "s/a/x=2/float16#value")
    nan = dict.fromkeys(declared.checks, "nan")
    ((after, place),) = proposed(record(*answered(nan)), declared).entries
    assert (after, place) == (replace(declared, checks=("s/a/*/float16#value",)), 0)


def test_what_is_gone_is_dropped() -> None:
    gone, half = entry("s/b/*#value", name="torch/gone/nan"), entry("s/a/*/float16#value")
    made = record(*answered({"s/a/x=1/float16#value": "nan"}))
    proposal = proposed(made, gone, half)
    assert proposal.dropped == (gone,)
    assert proposal.after == (replace(half, checks=("s/a/x=1/float16#value",)),)


@pytest.mark.parametrize("verdict", ["pass", "stale", "undecided", "fail", "error", "crash"])
def test_no_pattern_matches_a_result_that_is_judged_otherwise(verdict: str) -> None:
    declared = entry("s/a/*/float16#value")
    results = [
        result(key, verdict, "inf" if verdict == "fail" else "crash")
        if key == "s/a/x=2/float16#value"
        else result(key, *(("known", "nan") if key == "s/a/x=1/float16#value" else ()))
        for key in EVERY
    ]
    first = proposed(record(*results), declared).after[0]
    assert first == replace(declared, checks=("s/a/x=1/float16#value",))


@pytest.mark.parametrize("verdict", ["unsupported", "unavailable"])
def test_a_result_that_was_declined_may_be_matched(verdict: str) -> None:
    declined = "s/a/x=2/float16#value"
    nan = {"s/a/x=1/float16#value": "nan"}
    results = [*answered(nan, (k for k in EVERY if k != declined)), result(declined, verdict)]
    declared = entry("s/a/*/float16#value")
    assert proposed(record(*results), declared).after == (declared,)


def test_what_the_record_did_not_ask_stays_declared() -> None:
    """A record of float64 alone, in which everything passes: the patterns lose float64 and nothing else."""
    asked = [key for key in EVERY if "/float64#" in key]
    declared = entry("s/a/*#value", "s/b/float16#value", "t/c/*/float64#value")
    (after,) = proposed(record(*answered({}, asked)), declared).after
    covered = {key for key in EVERY if after.matches(f"{key.partition('#')[0]}@torch", key.rpartition("#")[2])}
    assert covered == {
        "s/b/float16#value",
        *(f"s/a/x={x}/{fmt}#value" for x in (1, 2) for fmt in ("float32", "float16")),
    }
    assert "s/b/float16#value" in after.checks, "a pattern of nothing that was asked is left as it is"


def test_nothing_that_the_record_did_not_ask_is_newly_declared() -> None:
    asked = [key for key in EVERY if "/float64#" in key and key.startswith("s/")]
    made = record(*answered(dict.fromkeys(asked, "nan"), asked))
    (after,) = proposed(made).after
    assert not [
        k for k in EVERY if k not in asked and after.matches(f"{k.partition('#')[0]}@torch", k.rpartition("#")[2])
    ]


@pytest.mark.parametrize("declared", [True, False])
def test_a_format_between_those_that_were_asked_is_not_taken_in(declared: bool) -> None:
    keys = ("s/a/x=1/float16#value", "s/a/x=1/float64#value")
    made = record(*answered(dict.fromkeys(keys, "nan"), keys))
    (after,) = proposed(made, *([entry(*keys)] if declared else [])).after
    assert after.checks == keys, "nobody knows of float32"


@pytest.mark.parametrize(
    "other",
    [
        entry("s/*#*", backends=("torch:cuda",)),
        entry("s/*#*", backends=("torch.manual", "torch+compile")),
        entry("s/*#*", versions=">=2.12,<2.13"),
    ],
)
def test_entries_of_what_was_not_asked_are_left_alone(other: Deviation) -> None:
    made = record(*answered({}))
    assert proposed(made, entry("s/a/*#value"), other).entries == ((other, 1),)


def test_a_pattern_that_matches_nothing_at_all_is_dropped() -> None:
    declared = entry("s/a/*/float16#value", "s/renamed/*#value")
    made = record(*answered({f"s/a/x={x}/float16#value": "nan" for x in (1, 2)}))
    assert proposed(made, declared).after == (replace(declared, checks=("s/a/*/float16#value",)),)


def test_a_compiled_mode_is_asked_the_tagged_cases_alone() -> None:
    asked = [key for key in EVERY if EVERY[key]]
    nan = {key: "nan" for key in asked if key.endswith("#value")}
    declared = entry("t/c/*#value", "s/a/*#value", backends=("torch+compile",))
    (after,) = proposed(record(*answered(nan, asked, "torch+compile")), declared).after
    assert after.checks == ("t/c/*#value",), "no untagged case was ever its own"


@pytest.mark.parametrize("backend", ["torch", "torch.manual", "torch+compile", "torch.manual:cuda+compile"])
def test_what_no_entry_is_about_becomes_a_new_one_without_a_reason(backend: str) -> None:
    asked = [key for key in EVERY if EVERY[key]]
    keys = [key for key in asked if key.endswith("/float16#value")]
    made = record(
        *answered(dict.fromkeys(keys, "inf"), asked, backend, explained=[Explained("not-shifted", 0.5)]),
        causes=[Cause("not-shifted", "exp of the logits themselves", [result(k, backend=backend).key for k in keys])],
        versions={f"torch{':cuda' if ':cuda' in backend else ''}": "2.13.1+cpu"},
    )
    (new,) = proposed(made).new
    assert new == Deviation(
        id=f"{backend}/not-shifted/inf",
        backends=(backend,),
        checks=("t/c/*/float16#value",),
        kind="inf",
        versions=">=2.13.1,<2.14",
        reason=f"{TODO}: say why. 2 results, the simplest t/c/reduction=sum/float16#value."
        " Diagnosed as not-shifted: exp of the logits themselves",
    )


def test_new_failures_are_grouped_by_cause_and_kind() -> None:
    results = [
        result("s/a/x=1/float16#value", "fail", "nan", explained=[Explained("first", 1.0), Explained("second", 2.0)]),
        result("s/a/x=2/float16#value", "error", "raises", message="boom"),
        result("s/b/float16#value", "fail", "inf", explained=[Explained("first", 1.0)]),
        result("s/b/float32#value", "fail", "inf"),
    ]
    assert [(d.id, d.checks) for d in proposed(record(*results), every={}).after] == [
        ("torch/first/inf", ("s/b/float16#value",)),
        ("torch/first/nan", ("s/a/x=1/float16#value",)),
        ("torch/s1/inf", ("s/b/float32#value",)),
        ("torch/s1/raises", ("s/a/x=2/float16#value",)),
    ]


def test_what_a_library_deviates_in_is_declared_for_the_library() -> None:
    made = record(*answered({"s/b/float64#value": "nan"}, backend="torch.keras"))
    made.environments = [Environment("torch.keras", True, {"torch": "2.13.0", "keras": "3.15.1"})]
    (only,) = propose(made, {"torch": (), "keras": ()}, PACKAGES, EVERY)
    (new,) = only.new
    assert (only.package, new.package, new.versions) == ("keras", "keras", ">=3.15.1,<3.16")
    assert propose(made, {"torch": (), "keras": only.after}, PACKAGES, EVERY)[0].after == only.after


def test_a_deviation_of_another_version_is_proposed_for_this_one_and_says_so() -> None:
    old = entry("s/a/*/float16#value", versions=">=2.12,<2.13")
    made = record(*answered({f"s/a/x={x}/float16#value": "nan" for x in (1, 2)}))
    first, second = proposed(made, old).after
    assert first == old
    assert (second.id, second.versions) == ("torch/what/nan-2", ">=2.13,<2.14")
    assert second.reason.endswith("Declared as torch/what/nan for >=2.12,<2.13: is it the same?")


def test_a_new_entry_stands_after_those_of_its_backend() -> None:
    first = entry("s/a/*/float16#value", name="torch/z/nan")
    manual = entry("s/*#*", backends=("torch.manual",), name="torch.manual/a/nan")
    nan = {f"s/a/x={x}/float16#value": "nan" for x in (1, 2)}
    results = [
        *answered({**nan, "s/b/float64#value": "inf"}),
        *answered({"s/b/float64#value": "inf"}, backend="torch+compile"),
    ]
    after = [d.id for d in proposed(record(*results), first, manual).after]
    assert after == ["torch/z/nan", "torch/s1/inf", "torch.manual/a/nan", "torch+compile/s1/inf"]


@pytest.mark.parametrize("kind", ["crash", "timeout", "modified", "published"])
def test_what_no_kind_names_is_said_and_not_declared(kind: str) -> None:
    assert kind not in KINDS
    proposal = proposed(record(*answered({"s/b/float64#value": kind})))
    assert [one.key for one in proposal.undeclarable] == ["s/b/float64@torch#value"]
    assert proposal.after == ()


def test_backends_of_one_entry_that_do_not_deviate_alike_are_parted() -> None:
    both = entry("s/a/*/float16#value", backends=("torch", "torch:cuda"))
    nan = {f"s/a/x={x}/float16#value": "nan" for x in (1, 2)}
    versions = {**VERSIONS, "torch:cuda": VERSIONS["torch"]}
    alike = record(*answered(nan), *answered(nan, backend="torch:cuda"), versions=versions)
    assert proposed(alike, both).after == (both,)
    fixed = record(*answered({}), *answered(nan, backend="torch:cuda"), versions=versions)
    assert proposed(fixed, both).after == (replace(both, backends=("torch:cuda",)),)
    nan_here = {"s/a/x=1/float16#value": "nan"}
    half = record(*answered(nan_here), *answered(nan, backend="torch:cuda"), versions=versions)
    assert proposed(half, both).after == (
        replace(both, backends=("torch",), checks=("s/a/x=1/float16#value",)),
        replace(both, id="torch/what/nan/torch-cuda", backends=("torch:cuda",)),
    )


def test_a_backend_that_the_record_did_not_ask_keeps_its_part_of_a_common_entry() -> None:
    both = entry("s/a/*/float16#value", backends=("torch", "torch:cuda"))
    assert proposed(record(*answered({})), both).after == (replace(both, backends=("torch:cuda",)),)


def test_two_entries_of_one_kind_take_nothing_from_each_other() -> None:
    first = entry("s/a/*/float16#value", name="torch/first/nan")
    second = entry("s/b/float16#value", "t/c/*/float16#value", name="torch/second/nan")
    nan = {k: "nan" for k in EVERY if k.endswith("/float16#value")}
    nan.pop("s/a-log/float16#value")
    made = record(*answered(nan))
    assert proposed(made, first, second).after == (first, second)


def test_what_an_earlier_entry_of_the_kind_excuses_may_stay_matched_by_a_later_one() -> None:
    first, second = entry("s/a/*/float16#value", name="torch/first/nan"), entry("s/a/*#value", name="torch/second/nan")
    made = record(*answered({k: "nan" for k in EVERY if k.startswith("s/a/") and k.endswith("#value")}))
    assert proposed(made, first, second).after == (first, second)


@pytest.mark.parametrize("seed", range(25))
def test_the_same_results_are_known_under_the_proposal_and_nothing_unasked_is_lost(seed: int) -> None:
    """Simulated: deviations, declarations that are true, partly true and gone, of which a part is asked."""
    drawn = random.Random(seed)
    backends = ("torch", "torch.manual", "torch+compile")
    known = [
        entry(
            *drawn.sample(["s/a*#*", "s/a/*#value", "s/*/float16#*", "t/*#value", "s/b/float64#value", "x/*#*"], 3),
            kind=drawn.choice(["nan", "inf"]),
            name=f"torch/{n}",
            backends=tuple(drawn.sample(backends, drawn.choice([1, 1, 2]))),
            versions=drawn.choice([">=2.13,<2.14", ">=2.13,<2.14", ">=2.12,<2.13"]),
        )
        for n in range(5)
    ]
    results = []
    for backend, (key, compiled) in itertools.product(backends, EVERY.items()):
        if drawn.random() < 0.3 or (not compiled and "+" in backend):
            continue
        kind = drawn.choices(["", "nan", "inf"], [4, 4, 1])[0]
        plain = result(key, "fail" if kind else "pass", kind, backend)
        verdict, name = judged_again([plain], known)[plain.key]
        results.append(result(key, verdict, kind, backend, deviation=name))
    made = record(*results)
    proposal = proposed(made, *known)
    again = judged_again(results, proposal.after)
    assert not [key for key, (verdict, _) in again.items() if verdict in ("fail", "stale")], "all is declared"
    for one in results:
        if one.verdict == "known":
            verdict, name = again[one.key]
            assert verdict == "known" and (name == one.deviation or name.startswith(f"{one.deviation}/"))
    for old, (key, tagged), backend in itertools.product(known, EVERY.items(), backends):
        check, _, quantity = f"{key.partition('#')[0]}@{backend}", "", key.rpartition("#")[2]
        if f"{check}#{quantity}" not in again and (tagged or "+" not in backend) and old.matches(check, quantity):
            assert any(
                new.matches(check, quantity) and (new.kind, new.versions) == (old.kind, old.versions)
                for new in proposal.after
            ), "nothing that was not asked is lost"
    second = proposed(made, *proposal.after).after
    assert sum(len(d.checks) for d in second) <= sum(len(d.checks) for d in proposal.after)


def _cut_off() -> Record:
    made = record(*answered({}))
    made.footer = None
    return made


def _tight() -> Record:
    from msgspec.structs import replace as changed

    made = record(*answered({}))
    made.header = changed(made.header, threshold="tight")
    return made


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (_cut_off(), "the record is incomplete: it has no last line"),
        (_tight(), "judged with the threshold tight"),
        (record(*answered({}, backend="torch.target")), "of a user's own function, torch.target"),
        (record(*answered({}, backend="ghost")), "nobody here registers the backend 'ghost'"),
        (record(*answered({"s/b/float64#value": "nan"}), versions={}), "does not say which version torch has"),
        (record(*answered({"s/b/float64#value": "nan"}), versions={"torch": "mine"}), "'mine' is no version"),
    ],
)
def test_a_record_that_says_too_little_is_refused(made: Record, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        proposed(made)
    assert message in caught.value.message
