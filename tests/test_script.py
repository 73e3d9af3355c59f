"""Scripts that stand alone: run where lossparity cannot be imported, they get the same bits and the same verdict."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from conftest import FRAMEWORKS, need
from lossparity.errors import UsageError
from lossparity.formats import Array
from lossparity.model import Backend, Case, Declined, Produced, Raised
from lossparity.plans import Question
from lossparity.reproducing.script import Reproduced, script
from lossparity.runner import Run, workers_for
from lossparity.show import check_parts, reproduced
from lossparity.suite import built_in, load

# Runs scripts, one a line of its input, with every import of this project refused. For each, a line of JSON: the exit
# status, what was printed, and the formats and bits (the hash of hex floats, which have one NaN) of the results.
RUNNER = """
import contextlib, hashlib, importlib.abc, io, json, sys

class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("lossparity"):
            raise ImportError(f"{name} is refused")

sys.meta_path.insert(0, Refused())
for line in sys.stdin:
    space, said, status = {"__name__": "__main__"}, io.StringIO(), None
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(json.loads(line), "script.py", "exec"), space)
        except SystemExit as end:
            status = end.code
    got = {}
    for quantity, (array, form) in space.get("got", {}).items():
        text = ",".join(float(value).hex() for value in array.ravel())
        got[quantity] = [form, hashlib.sha256(text.encode()).hexdigest()]
    print(json.dumps([status, said.getvalue(), got]), file=sys.__stdout__, flush=True)
"""

CHECKS = {
    "numpy": [
        "worked-example/smoothed-reductions/reduction=sum/bfloat16@numpy",
        "probability-targets/masked-without-mass/float16@numpy",
        "invalid-targets/negative/reduction=none/float64@numpy",
        "large-vocabulary/peak/float16@numpy",
        "special-values/plus-infinity/float16@numpy.manual",
        "half-precision/exp-overflow/float32@numpy.manual",
        "label-smoothing/smoothing-term-images/reduction=none/float64@numpy",
    ],
    "torch": [
        "worked-example/smoothed-reductions/reduction=sum/bfloat16@torch",
        "probability-targets/masked-without-mass/float16@torch",
        "invalid-targets/negative/reduction=none/float64@torch",
        "large-vocabulary/log-softmax/float16@torch",
        "half-precision/many-rows/reduction=mean/float16@torch",
        "half-precision/many-rows/reduction=none/bfloat16@torch",
        "worked-example/one-hot/float16@torch",
        "worked-example/log-softmax-row-sum/bfloat16@torch",
        "log-softmax/vanishing/float32@torch.manual",
        "worked-example/exp/float64@torch.manual",
        "log-softmax/sixty-thousand/float16@torch",
    ],
    "tensorflow": [
        "worked-example/smoothed-reductions/reduction=sum/bfloat16@tensorflow",
        "probability-targets/masked-without-mass/float16@tensorflow",
        "invalid-targets/negative/reduction=none/float64@tensorflow",
        "invalid-targets/negative/reduction=mean/float32@tensorflow.manual",
        "large-vocabulary/softmax/float16@tensorflow",
        "softmax/images/float64@tensorflow",
        "worked-example/one-hot/float32@tensorflow",
        "special-values/plus-infinity-log/bfloat16@tensorflow.manual",
    ],
    "numpy.scipy": [
        "special-values/plus-infinity-log/float32@numpy.scipy",
        "softmax/images/float16@numpy.scipy",
    ],
    "torch.keras": [
        "worked-example/cross-entropy/float64@torch.keras",
        "worked-example/smoothed/bfloat16@torch.keras",
        "ignore-index/by-default/reduction=none/float32@torch.keras",
        "worked-example/one-hot/float16@torch.keras",
    ],
    "tensorflow.keras": [
        "probability-targets/masked-without-mass/float64@tensorflow.keras",
        "ignore-index/ignored/label_smoothing=0/reduction=mean/float16@tensorflow.keras",
        "invalid-targets/too-large/reduction=sum/float32@tensorflow.keras",
    ],
    "jax.keras": [
        "invalid-targets/negative/reduction=none/float32@jax.keras",
        "worked-example/softmax/float64@jax.keras",
        "worked-example/exp/float32@jax.keras",
    ],
    "jax.optax": [
        "cross-entropy/sixty-thousand/float32@jax.optax",
        "worked-example/smoothed/float16@jax.optax",
        "worked-example/cross-entropy/bfloat16@jax.optax",
        "invalid-targets/too-large/reduction=mean/float64@jax.optax",
    ],
    "jax": [
        "worked-example/smoothed-reductions/reduction=sum/bfloat16@jax",
        "probability-targets/masked-without-mass/float16@jax",
        "invalid-targets/negative/reduction=none/float64@jax",
        "softmax/images/float64@jax",
        "worked-example/one-hot/bfloat16@jax",
        "half-precision/many-rows/reduction=none/float16@jax",
        "log-softmax/vanishing/float32@jax.manual",
        "log-softmax/common-offset/logits=plus-1024/float16@jax.manual",
    ],
}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for suite in load([built_in()]) for case in suite.cases]


def run(scripts: Sequence[str]) -> Iterator[tuple[int, str, dict[str, tuple[str, str]]]]:
    """Run scripts in one process that cannot import lossparity; yield exit status, words, and what each got."""
    ended = subprocess.run(
        [sys.executable, "-I", "-c", RUNNER],
        input="\n".join(json.dumps(text) for text in scripts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    for line in ended.stdout.splitlines():
        status, said, got = json.loads(line)
        yield status, said, {quantity: (form, values) for quantity, (form, values) in got.items()}


@dataclass(frozen=True)
class Told:
    """A check as lossparity judged it, and its script."""

    check: str
    failing: bool
    raised: str
    got: dict[str, tuple[str, str]]
    script: str

    @classmethod
    def of(cls, about: Reproduced) -> Told:
        failing, raised, got = any(finding.verdict.failing for finding in about.findings), "", {}
        if isinstance(about.outcome, Produced):
            parts = {"value": about.outcome.value, "gradient": about.outcome.gradient}
            got = {quantity: (a.format, bits(a)) for quantity, a in parts.items() if isinstance(a, Array)}
        else:
            assert isinstance(about.outcome, Raised)
            raised = about.outcome.type
        return cls(about.check, failing, raised, got, script(about))


def asked(checks: Sequence[tuple[Case, str, str]]) -> Iterator[Told]:
    backends = list(dict.fromkeys(Backend.parse(backend) for _, _, backend in checks))
    with workers_for(Run(backends, [case for case, _, _ in checks])) as workers:
        (worker,) = workers
        for case, fmt, backend in checks:
            about = reproduced(worker, Backend.parse(backend), Question(case, fmt))
            if not isinstance(about.outcome, Declined):
                yield Told.of(about)


def bits(array: Array) -> str:
    text = ",".join(float(value).hex() for value in array.exact().ravel())
    return hashlib.sha256(text.encode()).hexdigest()


def compare(checks: Sequence[tuple[Case, str, str]]) -> Counter[bool]:
    """Run the script of every check that has one, and compare; return how many deviated and how many did not."""
    told = list(asked(checks))
    for one, (status, said, got) in zip(told, run([one.script for one in told]), strict=True):
        assert status == int(one.failing), f"{one.check}: {said}"
        assert got == one.got, one.check
        assert not one.raised or said.splitlines()[1].startswith(f"raised {one.raised}: ")
    return Counter(one.failing for one in told)


@pytest.mark.parametrize("environment", CHECKS)
def test_a_script_gets_the_same_bits_and_the_same_verdict_without_lossparity(
    environment: str, cases: list[Case]
) -> None:
    for module in environment.split("."):
        need(module)
    deviating = compare([check_parts(check, cases) for check in CHECKS[environment]])
    assert deviating[True] and deviating[False], "both kinds have to be among them"


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ("invariances/reordered/float32@numpy", "several calls are compared"),
        ("layouts/probabilities/layout=strided/float32@numpy", "the inputs are arranged before the call"),
    ],
)
def test_what_is_more_than_a_call_is_refused(check: str, why: str, cases: list[Case]) -> None:
    case, fmt, backend = check_parts(check, cases)
    with workers_for(Run([Backend(backend)], [case])) as workers:
        (worker,) = workers
        about = reproduced(worker, Backend(backend), Question(case, fmt))
    with pytest.raises(UsageError, match=why):
        script(about)


@pytest.mark.long
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_built_in_check_has_such_a_script(framework: str, cases: list[Case]) -> None:
    need(framework)
    checks = [
        (case, fmt, name)
        for case in cases
        if case.plain
        for fmt in case.formats
        for name in (framework, f"{framework}.manual")
    ]
    assert sum(compare(checks).values()) > len(checks) / 2
