"""Records made in memory, with real numbers and every verdict, for the tests of what reads a record."""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from lossparity.formats import FORMATS, ulp
from lossparity.judge import BINS
from lossparity.record import (
    Agreement,
    CaseLine,
    Cause,
    Environment,
    Excerpt,
    Explained,
    Footer,
    Header,
    Interval,
    Job,
    NotTested,
    Ratio,
    Record,
    Result,
    Script,
    Span,
    Speed,
    Triad,
    Window,
    Worst,
)
from lossparity.spec import CLAUSES

__all__ = [
    "FAILING",
    "HOSTILE",
    "empty",
    "everything",
    "failed",
    "keys",
    "many",
    "passing",
    "record",
    "result",
    "speed",
    "timed",
]

HOSTILE = "<script>alert(1)</script>"

FAILING = ("fail", "error", "crash", "timeout")
_SAID = {
    "smoothing=K-1": "q' = (1 - e) q + e / (K - 1) (1 - q): nothing of the mass on the target",
    "not-shifted": "exp of the logits themselves, without subtracting the largest: it overflows, or underflows",
}

_BACKENDS = {
    "torch": ("native", "torch.nn.functional.cross_entropy"),
    "tensorflow": ("composed", "tf.nn.log_softmax, tf.gather"),
    "jax": ("composed", "jax.nn.log_softmax, jnp.take_along_axis"),
    "numpy": ("composed", "np.exp, np.sum"),
    "torch.manual": ("manual", "torch.exp, torch.sum"),
}
_SUITES = {
    "worked-example": ("S1", "N1"),
    "label-smoothing": ("C1", "C2"),
    "large-logits": ("S2", "S9", "D2"),
    "masks": ("S3", "S6", "Q2"),
    "targets": ("N2", "N3", "N4"),
}


def _hexes(values: np.ndarray) -> list[str]:
    return [float(v).hex() for v in values.ravel()]


@dataclass(frozen=True)
class _Numbers:
    """Logits of a case in a format, the exact loss and gradient of each row, target 0."""

    logits: np.ndarray
    value: np.ndarray
    gradient: np.ndarray

    @classmethod
    def of(cls, seed: int, fmt: str, rows: int = 2, classes: int = 5) -> _Numbers:
        logits = FORMATS[fmt].round(np.random.RandomState(seed).normal(0, 2, (rows, classes)))
        shifted = logits - logits.max(axis=1, keepdims=True)
        total = np.exp(shifted).sum(axis=1, keepdims=True)
        gradient = np.exp(shifted) / total
        gradient[:, 0] -= 1
        return cls(logits, np.log(total[:, 0]) - shifted[:, 0], gradient)


def _case(suite: str, clause: str, number: int, fmt: str, numbers: _Numbers, *, remark: str = "") -> CaseLine:
    return CaseLine(
        id=f"{suite}/{clause.lower()}-{number}/reduction=none",
        format=fmt,
        clause=clause,
        operation="cross_entropy",
        source=f"cases/{suite}.yaml:{10 + number}:5",
        input_hash=f"{zlib.crc32(f'{suite} {number} {fmt}'.encode()):016x}",
        about=CLAUSES[clause].text,
        inputs={
            "logits": Excerpt(fmt, list(numbers.logits.shape), _hexes(numbers.logits)),
            "target": Excerpt("int64", [len(numbers.value)], ["0"] * len(numbers.value)),
            "upstream": Excerpt(fmt, [len(numbers.value)], _hexes(np.resize([1.0, -0.5, 2.0], numbers.value.shape))),
        },
        keywords={"reduction": "none"},
        exact={
            "value": {"": Excerpt("float64", list(numbers.value.shape), _hexes(numbers.value))},
            "gradient": {"": Excerpt("float64", list(numbers.gradient.shape), _hexes(numbers.gradient))},
        },
        recipes={"logits": f"normal, seed {number}, scale 2"},
        published=[f"{v:.4f}" for v in numbers.value],
        remark=remark,
        logits=Span(
            numbers.logits.shape[1], float(np.abs(numbers.logits).max()), float(np.ptp(numbers.logits, axis=1).max())
        ),
    )


_GRADE_ERRORS = {"exact": 0.0, "faithful": 0.4, "tight": 2.2, "loose": 3.6, "wrong": 900.0}
_TIGHT, _LOOSE = 3.0, 5.0  # bounds in ulp


def _judged(case: CaseLine, numbers: _Numbers, backend: str, quantity: str, grade: str, **more: Any) -> Result:
    """Make a result whose largest error, in the element with the largest exact value, is that of a grade."""
    fmt = FORMATS[case.format]
    exact = numbers.value if quantity == "value" else numbers.gradient
    got = fmt.round(exact).copy()
    at = int(np.argmax(np.abs(exact)))
    unit = float(ulp(exact, fmt).ravel()[at])
    got.ravel()[at] = fmt.round(exact.ravel()[at] + _GRADE_ERRORS[grade] * unit)
    error = abs(float(got.ravel()[at] - exact.ravel()[at]))
    start = max(0, min(at - 8, exact.size - 16))
    origin, api = _BACKENDS[backend]
    worst = Worst(
        index=[int(i) for i in np.unravel_index(at, exact.shape)],
        got=float(got.ravel()[at]).hex(),
        exact=float(exact.ravel()[at]).hex(),
        tight=_TIGHT * unit,
        loose=_LOOSE * unit,
    )
    return Result(
        check=f"{case.id}/{case.format}@{backend}",
        quantity=quantity,
        case=case.id,
        clause=case.clause,
        basis=CLAUSES[case.clause].basis,
        operation=case.operation,
        backend=backend,
        format=case.format,
        verdict=more.pop("verdict", "fail" if grade == "wrong" else "pass"),
        outcome="produced",
        origin=origin,
        api=api,
        grade=grade,
        ulp=error / unit,
        bound_used=error / (_LOOSE * unit),
        tier="float64",
        shape=list(exact.shape),
        got=Window(start, _hexes(got)[start : start + 16], _hexes(exact)[start : start + 16]),
        worst=worst,
        input_hash=case.input_hash,
        histogram=[int(n) for n in np.histogram(np.abs(got - exact) / ulp(exact, fmt), [0.0, *BINS, np.inf])[0]],
        **more,
    )


def _unjudged(case: CaseLine, backend: str, quantity: str, verdict: str, outcome: str, **more: Any) -> Result:
    return Result(
        check=f"{case.id}/{case.format}@{backend}",
        quantity=quantity,
        case=case.id,
        clause=case.clause,
        basis=CLAUSES[case.clause].basis,
        operation=case.operation,
        backend=backend,
        format=case.format,
        verdict=verdict,
        outcome=outcome,
        **more,
    )


def _environments() -> list[Environment]:
    details = {"device": "cpu", "threads": "1", "summation": "lanes", "subnormals": "gradual", "TF32": "off"}
    names = [name for name in _BACKENDS if "." not in name]
    return [
        *(
            Environment(n, True, {"version": f"{i + 1}.13.0", "python": "3.11.9", **details})
            for i, n in enumerate(names)
        ),
        Environment("torch:cuda", False, reason="torch sees no CUDA device"),
    ]


def _header() -> Header:
    return Header(1, "0.1.0", "5f2c9a" * 10, "2026-01-02T03:04:05Z", "lossparity run -b torch -b 'jax*'", "loose")


def _finished(record: Record, not_tested: list[NotTested]) -> Record:
    counts = Counter(r.verdict for r in record.results)
    record.footer = Footer(dict(counts), not_tested, 12.34, int(any(counts[v] for v in FAILING)), _causes(record))
    return record


def _causes(record: Record) -> list[Cause]:
    """Group by the first explanation, backend for backend, failures first, as a run does."""
    failed: dict[tuple[str, str], list[Result]] = {}
    weak: dict[tuple[str, bool], list[Result]] = {}
    for result in record.results:
        if result.verdict in FAILING:
            name = result.explained[0].id if result.explained else f"unexplained {result.cause} ({result.clause})"
            failed.setdefault((result.backend, name), []).append(result)
        elif result.verdict == "pass" and result.grade == "loose":
            weak.setdefault((result.backend, result.zeroed), []).append(result)
    return [
        *(
            Cause(
                name,
                _SAID.get(name) or results[0].message or "nothing of the catalogue gives these numbers",
                [r.key for r in results],
                ulp=results[0].explained[0].ulp if results[0].explained else None,
                convention=name if name == "smoothing=K-1" else "",
                shared=all(r.shared for r in results),
            )
            for (_, name), results in failed.items()
        ),
        *(
            Cause("gradient-lost" if zeroed else "weak", "a weak pass", [r.key for r in results], failing=False)
            for (_, zeroed), results in weak.items()
        ),
    ]


def _agreements(record: Record) -> list[Agreement]:
    """Compare every two backends in every format, by the distances of their results from the exact ones."""
    by: dict[tuple[str, str], list[Result]] = {}
    for result in record.results:
        by.setdefault((result.format, result.backend), []).append(result)
    lines = []
    for fmt, (one, two) in itertools.product(FORMATS, itertools.combinations(_BACKENDS, 2)):
        apart = [(abs((a.ulp or 0.0) - (b.ulp or 0.0)), a.key) for a, b in zip(by[fmt, one], by[fmt, two], strict=True)]
        furthest, key = max(apart)
        equal = sum(not ulp for ulp, _ in apart)
        lines.append(Agreement(one, two, fmt, len(apart), equal, int(fmt == "float16"), furthest, key))
    return lines


def empty() -> Record:
    """Make a complete record of a run that found nothing to do."""
    return _finished(Record(_header()), [NotTested("everything", "no framework is installed", 120)])


def many(count: int) -> Record:
    """Make a complete record of at least `count` results, nearly all of them passes."""
    record = Record(_header(), _environments())
    grades = ("exact", "faithful", "faithful", "tight")
    numbered = itertools.count(1)
    while len(record.results) < count:
        number = next(numbered)
        for place, ((suite, clauses), fmt) in enumerate(itertools.product(_SUITES.items(), FORMATS)):
            numbers = _Numbers.of(100 * number + place, fmt)
            case = _case(suite, clauses[number % len(clauses)], number, fmt, numbers)
            record.cases.append(case)
            for turn, backend in enumerate(_BACKENDS):
                grade = grades[(number + turn) % len(grades)]
                if fmt in ("bfloat16", "float16") and (number + turn) % 9 == 0:
                    grade = "loose"
                for quantity in ("value", "gradient"):
                    zeroed = grade == "loose" and quantity == "gradient"
                    record.results.append(_judged(case, numbers, backend, quantity, grade, zeroed=zeroed))
    record.agreements = _agreements(record)
    return _finished(record, [])


def passing() -> Record:
    """Make a complete record in which everything passes."""
    return many(200)


def everything() -> Record:
    """Make a complete record with every verdict, a permitted choice, wrong classes and hostile text everywhere."""
    record = many(400)
    numbers = _Numbers.of(99, "float32")
    case = _case("label-smoothing", "C1", 99, "float32", numbers, remark=f"printed from rounded numbers {HOSTILE}")
    hostile = _case(f"hostile{HOSTILE}", "G1", 1, "float64", _Numbers.of(98, "float64"))
    mask = _case("masks", "S6", 98, "float16", _Numbers.of(97, "float16"))
    record.cases += [case, hostile, mask]
    nan = Worst([1], "nan", float(numbers.value[1]).hex(), None, None)
    record.results += [
        _judged(
            case,
            numbers,
            "torch",
            "value",
            "wrong",
            cause="finite-wrong",
            explained=[Explained("smoothing=K-1", 0.75), Explained(f"another {HOSTILE}", 2.5)],
        ),
        _judged(case, numbers, "torch", "gradient", "tight"),
        _judged(case, numbers, "jax", "value", "faithful"),
        _judged(case, numbers, "tensorflow", "value", "loose"),
        Result(
            check=f"{case.id}/float32@numpy",
            quantity="value",
            case=case.id,
            clause="C1",
            basis="convention",
            operation="cross_entropy",
            backend="numpy",
            format="float32",
            verdict="fail",
            outcome="produced",
            origin="composed",
            api="np.exp",
            grade="wrong",
            shape=[2],
            got=Window(0, [_hexes(FORMATS["float32"].round(numbers.value))[0], "nan"], _hexes(numbers.value)),
            worst=nan,
            cause="nan",
            explained=[Explained("not-shifted", 0.0)],
        ),
        _judged(
            case,
            numbers,
            "torch.manual",
            "value",
            "wrong",
            verdict="known",
            deviation="manual-exp-overflow",
            cause="inf",
            message="the manual chain does not subtract the maximum",
        ),
        _judged(mask, _Numbers.of(97, "float16"), "torch", "value", "exact", choice="nan"),
        _judged(
            mask,
            _Numbers.of(97, "float16"),
            "jax",
            "value",
            "exact",
            verdict="stale",
            deviation="jax-all-masked",
            message="declared for jax below 0.4",
        ),
        _unjudged(mask, "tensorflow", "value", "undecided", "produced", grade="uncertified", origin="composed"),
        _unjudged(
            hostile,
            "torch",
            "value",
            "error",
            "raised",
            origin="native",
            cause="raises",
            message="</script><!--",
            explained=[Explained(f"raises {HOSTILE}")],
        ),
        _unjudged(
            hostile,
            "jax",
            "value",
            "crash",
            "crashed",
            message="killed by signal 11 (SIGSEGV)",
            explained=[Explained("crash")],
        ),
        _unjudged(
            hostile,
            "tensorflow",
            "value",
            "timeout",
            "timed out",
            message="stopped after 30 s",
            explained=[Explained("timeout")],
        ),
        _unjudged(hostile, "numpy", "value", "unsupported", "declined", message=f"no {HOSTILE} here"),
        _unjudged(hostile, "torch.manual", "value", "unavailable", "declined", message="no such device"),
    ]
    value = f"{case.id}/{case.format}@torch"
    record.scripts = [
        Script(value, "value", "smoothing=K-1", f"# {value}#value {HOSTILE}\nimport sys\n\nsys.exit(1)\n"),
        Script(f"{case.id}/float32@numpy", "value", "not-shifted", why=f"several calls are compared {HOSTILE}"),
        Script(f"{case.id}/float32@torch.manual", "value", "manual-exp-overflow", "import sys\n\nsys.exit(1)\n"),
    ]
    return _finished(
        record,
        [
            NotTested("torch+compile", "no C++ compiler", 60),
            NotTested("speed", "not asked for", 0),
        ],
    )


def result(number: int, **changes: Any) -> Result:
    """Make the bare result of case `number`: a native pass of torch in binary32, unless changed."""
    base = {
        "check": f"s/c{number}/float32@torch",
        "quantity": "value",
        "case": f"s/c{number}",
        "clause": "S1",
        "basis": "mathematics",
        "operation": "softmax",
        "backend": "torch",
        "format": "float32",
        "verdict": "pass",
        "outcome": "produced",
        "origin": "native",
    }
    return Result(**{**base, **changes})


def failed(number: int, *names: str, backend: str = "torch", **changes: Any) -> Result:
    """Make a failure with explanations of these names, 0.75 ulp off each."""
    explained = [Explained(name, 0.75) for name in names]
    check = f"s/c{number}/float32@{backend}"
    return result(number, check=check, backend=backend, verdict="fail", grade="wrong", explained=explained, **changes)


def keys(*numbers: int, backend: str = "torch") -> list[str]:
    """Return the keys of bare results."""
    return [f"s/c{number}/float32@{backend}#value" for number in numbers]


def record(*results: Result, causes: Sequence[Cause] = ()) -> Record:
    """Make a complete record of bare results."""
    made = empty()
    made.results = list(results)
    made.footer = Footer(dict(Counter(r.verdict for r in results)), [], 1.0, 0, list(causes))
    return made


_TIMED = {"speed/small": ("cross_entropy", [64, 10]), "speed/large": ("softmax", [8, 4096])}
_FACTORS = {"numpy": 1.0, "torch": 0.25, "jax+jit": 1.01, "tensorflow": 2.0}


def speed(backend: str, seconds: float = 1e-3, *, rounds: int = 9, **changes: Any) -> Speed:
    """Make the times of forward and backward of the small case in binary32, `rounds` of them around so many seconds."""
    times = [seconds * (1 + 0.001 * (n % 3)) for n in range(rounds)]
    made = Speed(
        job="one",
        check=f"speed/small/float32@{backend}",
        timed="both",
        case="speed/small",
        operation="cross_entropy",
        backend=backend,
        format="float32",
        shape=[64, 10],
        api="f",
        origin="native",
        seconds=times,
        rounds=list(range(rounds)),
        calls=5,
        first=20 * seconds,
        moved=8000,
        regime="L2",
        peak=3_000_000,
        ulp=1.5,
    )
    return msgspec.structs.replace(made, **changes)


def timed(job: str = "one", *, refused: str = "") -> Record:
    """Make a complete record of times: two cases in two formats, forward and both, by four backends beside numpy.

    `refused` is why the times of tensorflow do not count, where they do not.
    """
    made = Record(_header(), [Environment(name, True, {name.partition("+")[0]: "1.0"}) for name in _FACTORS])
    made.jobs = [Job(job, {"processor": f"a processor {HOSTILE}", "threads": "1"}, 0.03)]
    for (case, (operation, shape)), fmt in itertools.product(_TIMED.items(), ("float32", "bfloat16")):
        made.triads.append(Triad(job, case, fmt, 100_000, [2e10, 2.1e10, 1.9e10]))
        for timed, (backend, factor) in itertools.product(("both", "forward"), _FACTORS.items()):
            check = f"{case}/{fmt}@{backend}"
            lost = refused if backend == "tensorflow" else ""
            where: dict[str, Any] = {"job": job, "check": check, "timed": timed, "case": case, "format": fmt}
            where |= {"operation": operation, "shape": shape, "moved": 8000 * int(np.prod(shape)), "refused": lost}
            made.speeds.append(speed(backend, 1e-3 * factor, **where))
            if backend != "numpy" and not lost:
                verdict = "faster" if factor < 1 else "slower" if factor > 1.5 else "same"
                interval = Interval(factor, factor * 0.99, factor * 1.01)
                made.ratios.append(Ratio(job, check, timed, "numpy", verdict, interval, interval))
    left = [NotTested("speed/huge/float32", "it may need 9.0 GiB of memory, and 2.0 GiB are free", 4)]
    made.footer = Footer({}, left, 3.5, int(bool(refused)))
    return made
