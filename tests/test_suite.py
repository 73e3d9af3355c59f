"""Case files: every fault is refused at its place, `vary` multiplies, patterns select, the digest is of the content."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lossparity.casefile import nodes, places
from lossparity.casefile.nodes import CaseError, Scalar
from lossparity.casefile.values import integer, number
from lossparity.errors import UsageError
from lossparity.inputs import build
from lossparity.model import Case, Published, Recipe
from lossparity.suite import built_in, digest, load, select

HEAD = "suite: s\nabout: What the suite is about.\n"
BASE = (
    HEAD
    + """\
cases:
  - id: a
    clause: C1
    operation: cross_entropy
    logits: [[2, 1, 0], [0, 0, 1]]
    target: [0, 2]
"""
)


def write(folder: Path, text: str, name: str = "s.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def cases_of(folder: Path, text: str) -> tuple[Case, ...]:
    (suite,) = load([write(folder, text)])
    return suite.cases


def with_line(line: str) -> str:
    """The base with one more line in its case."""
    return f"{BASE}    {line}\n"


def instead(old: str, new: str) -> str:
    """The base with one of its lines replaced."""
    assert BASE.count(old) == 1
    return BASE.replace(old, new)


def one_case(*lines: str) -> str:
    """A file of one case with these lines beside its id."""
    return f"{HEAD}cases:\n  - id: a\n" + "".join(f"    {line}\n" for line in lines)


NLL = ("clause: N1", "operation: nll_loss")
SOFTMAX = ("clause: S1", "operation: softmax")
PROBABILITIES = ("clause: Q1", "operation: cross_entropy", "logits: [[1, 2]]")
LOGITS, TARGET, CLAUSE = "logits: [[2, 1, 0], [0, 0, 1]]", "target: [0, 2]", "clause: C1"

# Text with § before the node that is to be named, a part of the message, a part of the hint.
FAULTS = {
    "empty file": ("§", "the file is empty", "suite, about and cases"),
    "only a comment": ("§# nothing\n", "the file is empty", ""),
    "a list": ("§- 1\n", "a case file must be a mapping, not a list", ""),
    "a scalar": ("§hello\n", "a case file must be a mapping, not 'hello'", ""),
    "second document": (BASE + "§---\nsuite: t\n", "a second document", "---"),
    "broken flow": (instead(LOGITS, "logits: [[2, 1\n    target2§: [0]"), "not YAML", ""),
    "broken block": (BASE + "   §- id: b\n", "not YAML", ""),
    "tab": (BASE + "§\t- id: b\n", "not YAML", ""),
    "control character": (with_line("about: a §\x07 bell"), "U+0007 is not allowed", ""),
    "unknown key of a file": (BASE + "§default: {}\n", "no key 'default'", "did you mean 'defaults'?"),
    "missing suite": ("§about: x\ncases: []\n", "lacks 'suite'", "`suite:`"),
    "missing about": ("§suite: s\ncases: []\n", "lacks 'about'", "`about:`"),
    "missing cases": (f"§{HEAD}", "lacks 'cases'", "`cases:`"),
    "no case": (HEAD + "cases: §[]\n", "cases is empty", ""),
    "cases of the wrong type": (HEAD + "cases: §{a: 1}\n", "cases must be a list, not a mapping", ""),
    "a case of the wrong type": (HEAD + "cases: [§a]\n", "a case must be a mapping, not 'a'", ""),
    "suite is not the stem": (BASE.replace("suite: s", "suite: §t"), "named 't'", "'s'"),
    "suite in capitals": (BASE.replace("suite: s", "suite: §S"), "must be of a-z", ""),
    "suite is nothing": (BASE.replace("suite: s", "suite:§"), "suite must be text, not nothing", ""),
    "about is a list": (BASE.replace("What the suite is about.", "§[What]"), "about must be text, not a list", ""),
    "duplicate key of a file": (BASE + "§about: again\n", "'about' is given twice", "line 2"),
    "duplicate key of a case": (with_line("§target: [1, 1]"), "'target' is given twice", "line 8"),
    "duplicate key of a flow mapping": (
        instead(TARGET, "target: {generate: constant, shape: [2], value: 0, §value: 1}"),
        "'value' is given twice",
        "line 8",
    ),
    "a key that is a list": (with_line("§[a]: 1"), "a key must be a word", ""),
    "anchor": (instead(LOGITS, "logits: §&x [[2, 1, 0], [0, 0, 1]]"), "anchors and aliases", "vary"),
    "anchor at a scalar": (instead(CLAUSE, "clause: §&x C1"), "anchors and aliases", ""),
    "alias": (with_line("weight: §*x"), "anchors and aliases", ""),
    "merge key": (with_line("§<<: {reduction: sum}"), "unknown key '<<'", ""),
    "tag": (instead(CLAUSE, "clause: §!!str C1"), "the tag 'tag:yaml.org,2002:str' is not allowed", "quoted"),
    "tag of a list": (instead(TARGET, "target: §!!python/tuple [0, 2]"), "python/tuple", ""),
    "local tag": (instead(TARGET, "target: §!x [0, 2]"), "the tag '!x'", ""),
    "nested deep": (instead(LOGITS, "logits: " + "[" * 13 + "§" + "[" * 987 + "]" * 1000), "nested more than 16", ""),
    "defaults of the wrong type": (HEAD + "defaults: §[float64]\ncases: []\n", "defaults must be a mapping", ""),
    "unknown default": (HEAD + "defaults: {§format: []}\ncases: []\n", "no key 'format'", "'formats'"),
    "default format": (HEAD + "defaults: {formats: [§float46]}\ncases: []\n", "format 'float46'", "'float64'"),
    "default gradient": (HEAD + "defaults: {gradient: §off}\ncases: []\n", "true or false, not 'off'", ""),
    "missing id": (HEAD + "cases:\n  - §clause: C1\n", "lacks 'id'", "`id:`"),
    "missing clause": (HEAD + "cases:\n  - §id: a\n", "lacks 'clause'", "`clause:`"),
    "missing operation": (HEAD + "cases:\n  - §id: a\n    clause: C1\n", "lacks 'operation'", ""),
    "id with a slash": (instead("id: a", "id: §a/b"), "the id 'a/b' must be of a-z", ""),
    "id begins with a dot": (instead("id: a", "id: §.a"), "must be of a-z", ""),
    "duplicate id": (BASE + BASE.split("cases:\n")[1].replace("id: a", "id: §a"), "'s/a' is given twice", "s.yaml:4"),
    "unknown clause": (instead(CLAUSE, "clause: §C9"), "unknown clause 'C9'", "known clauses: C1, C2"),
    "unknown operation": (instead("cross_entropy", "§cross_entropi"), "'cross_entropi'", "'cross_entropy'"),
    "a needed key misspelt": (HEAD + "cases:\n  - id: a\n    §clausse: C1\n", "unknown key 'clausse'", "'clause'?"),
    "unknown key": (with_line("§smoothing: 0.1"), "unknown key 'smoothing'", "'label_smoothing'"),
    "a key far from all": (with_line("§zzz: 1"), "unknown key 'zzz'", "known keys: about, clause"),
    "keyword of another operation": (
        one_case(*NLL, "log_probs: [[-1, -2]]", "target: [0]", "§label_smoothing: 0.1"),
        "nll_loss takes no label_smoothing",
        "log_probs, target, target_format, weight, ignore_index, reduction",
    ),
    "target without need": (one_case(*SOFTMAX, "logits: [[1]]", "§target: [0]"), "softmax takes no target", "logits"),
    "logits for log_probs": (one_case(*NLL, "§logits: [[1]]", "target: [0]"), "nll_loss takes no logits", "log_probs"),
    "probabilities of nll_loss": (
        one_case(*NLL, "log_probs: [[-1, -2]]", "§probabilities: [[0, 1]]"),
        "nll_loss takes no probabilities",
        "target",
    ),
    "missing logits": (
        f"{HEAD}cases:\n  - §id: a\n    clause: S1\n    operation: exp\n",
        "lacks 'logits'",
        "`logits:`",
    ),
    "missing target": (
        f"{HEAD}cases:\n  - §id: a\n    clause: C1\n    operation: cross_entropy\n    logits: [[1]]\n",
        "lacks 'target'",
        "target, probabilities",
    ),
    "both targets": (
        with_line("probabilities: [[1, 0, 0], [0, 0, 1]]").replace("- id", "- §id"),
        "both target and probabilities",
        "keep one",
    ),
    "text for a number": (instead("[[2, 1, 0]", "[[2, §one, 0]"), "logits must be a number, not 'one'", "0x1.8p3"),
    "quoted number": (instead("[[2, 1, 0]", "[[2, §'1', 0]"), "logits must be a number, not '1'", "without quotes"),
    "underscore": (instead("[[2, 1, 0]", "[[2, §1_000, 0]"), "not '1_000'", ""),
    "leading zero": (instead("[[2, 1, 0]", "[[2, §010, 0]"), "not '010'", ""),
    "sexagesimal": (instead("[[2, 1, 0]", "[[2, §1:30, 0]"), "not '1:30'", ""),
    "other digits": (instead("[[2, 1, 0]", "[[2, §٣, 0]"), "must be a number", ""),
    "an expression": (instead("[[2, 1, 0]", "[[2, §2**3, 0]"), "not '2**3'", ""),
    "no number": (instead("[[2, 1, 0]", "[[2, §~, 0]"), "not '~'", ""),
    "beyond binary64": (instead("[[2, 1, 0]", "[[2, §1e400, 0]"), "beyond the largest", "write inf"),
    "hex beyond binary64": (instead("[[2, 1, 0]", "[[2, §0x1p1024, 0]"), "beyond the largest", ""),
    "below binary64": (instead("[[2, 1, 0]", "[[2, §-1e-400, 0]"), "below the smallest", "write 0"),
    "hex below binary64": (instead("[[2, 1, 0]", "[[2, §0x.ap-1100, 0]"), "below the smallest", ""),
    "a long number": (instead("[[2, 1, 0]", f"[[2, §{'9' * 9999}, 0]"), "999… is beyond the largest", ""),
    "a mapping among numbers": (instead("[[2, 1, 0]", "[[2, §{a: 1}, 0]"), "a number, not a mapping", ""),
    "ragged": (
        instead("[0, 0, 1]]", "§[0, 0]]"),
        "logits is ragged: an entry of shape [2] beside one of shape [3]",
        "",
    ),
    "a number among rows": (instead("[0, 0, 1]]", "§0]"), "ragged: an entry of shape [] beside", ""),
    "logits without axis": (instead(LOGITS, "logits: §2"), "logits must have a class axis", "[1, 2, 3]"),
    "no class": (instead(LOGITS, "logits: §[[], []]"), "logits has no class", "shape: [0, 5]"),
    "many axes": (instead(LOGITS, "logits: §" + "[" * 9 + "1" + "]" * 9), "has 9 axes; 8 are the most", ""),
    "target of another length": (
        instead(TARGET, "target: §[0]"),
        "shape [1]; for logits of shape [2, 3] it is [2]",
        "",
    ),
    "target of another rank": (instead(TARGET, "target: §[[0], [2]]"), "it is [2]", ""),
    "decimal target": (instead(TARGET, "target: [0, §2.0]"), "target must be an integer", ""),
    "target beyond 64 bits": (instead(TARGET, f"target: [0, §{2**63}]"), "at most 64 bits", ""),
    "target at K": (instead(TARGET, "target: [0, §3]"), "the target 3 is outside [0, 3)", "raises or nan"),
    "target below 0": (instead(TARGET, "target: [§-1, 0]"), "the target -1 is outside", ""),
    "target another than ignored": (
        instead(TARGET, "ignore_index: -1\n    target: [-1, §-100]"),
        "the target -100 is outside",
        "",
    ),
    "target beyond for other choices": (
        instead(TARGET, "one_of: [limit]\n    target: [0, §3]"),
        "outside [0, 3)",
        "raises or nan",
    ),
    "one_hot ignores nothing": (
        one_case("clause: N1", "operation: one_hot", "logits: [1, 2]", "target: §-100"),
        "the target -100 is outside [0, 2)",
        "",
    ),
    "weight of another length": (with_line("weight: §[1, 2]"), "weight has shape [2]; for logits of shape", ""),
    "negative weight": (with_line("weight: [1, §-2, 1]"), "weight must be finite and not negative, not '-2'", ""),
    "infinite weight": (with_line("weight: [1, §inf, 1]"), "weight must be finite", ""),
    "weight beyond binary16": (with_line("weight: §[1, 65520, 1]"), "infinite in float16", "leave float16 out"),
    "probabilities of another shape": (one_case(*PROBABILITIES, "probabilities: §[0.5, 0.5]"), "it is [1, 2]", ""),
    "negative probability": (one_case(*PROBABILITIES, "probabilities: [[1, §-0.5]]"), "not negative", ""),
    "probability nan": (one_case(*PROBABILITIES, "probabilities: [[1, §nan]]"), "must be finite", ""),
    "upstream of a mean": (
        with_line("upstream: §[1, 1]"),
        "upstream has shape [2]; for logits of shape [2, 3] it is []",
        "",
    ),
    "upstream of none": (with_line("reduction: none\n    upstream: §1.0"), "it is [2]", ""),
    "upstream of softmax": (one_case(*SOFTMAX, "logits: [[1, 2]]", "upstream: §[1]"), "it is [1, 2]", ""),
    "upstream of a row sum": (
        one_case("clause: S1", "operation: row_sum", "logits: [[1, 2]]", "upstream: §[[1, 1]]"),
        "it is [1]",
        "",
    ),
    "upstream infinite": (with_line("upstream: §inf"), "upstream must be finite, not inf", ""),
    "upstream without gradient": (with_line("gradient: false\n    upstream: §2"), "no gradient", "gradient: true"),
    "gradient of one_hot": (
        one_case("clause: N1", "operation: one_hot", "logits: [1, 2]", "target: 0", "gradient: §true"),
        "one_hot has no gradient",
        "leave `gradient` out",
    ),
    "gradient off": (with_line("gradient: §no"), "gradient must be true or false, not 'no'", ""),
    "gradient quoted": (with_line("gradient: §'true'"), "must be true or false", ""),
    "smoothing above 1": (with_line("label_smoothing: §1.1"), "between 0 and 1, not 1.1", "formula, clamped or raises"),
    "smoothing above 1 and another choice": (
        with_line("one_of: [right, nan]\n    label_smoothing: §0x2p0"),
        "between 0 and 1, not 0x2p0",
        "(C3)",
    ),
    "clamped inside": (
        with_line("label_smoothing: 0.1\n    one_of: §[clamped, raises]"),
        "clamped is of a label_smoothing outside [0, 1]",
        "leave it out",
    ),
    "smoothing above 1 and a mask": (
        instead(LOGITS, "label_smoothing: 2\n    one_of: [formula]\n    logits: §[[2, -inf, 0], [0, 0, 1]]"),
        "logits must be finite under a label_smoothing outside [0, 1]",
        "",
    ),
    "narrow indices as a must": (
        with_line("target_format: §int32"),
        "indices in int32 may be refused",
        "[right, raises]",
    ),
    "narrow indices as a must, varied": (
        with_line("vary: {target_format: [int64, §uint8]}"),
        "indices in uint8 may be refused",
        "(N5)",
    ),
    "unknown format of indices": (with_line("target_format: §int16"), "unknown format 'int16'", "did you mean 'int"),
    "indices too large for their format": (
        instead(
            TARGET, "ignore_index: 256\n    target_format: uint8\n    one_of: [right, raises]\n    target: §[256, 1]"
        ),
        "the target 256 is no number of uint8",
        "0 to 255",
    ),
    "ignore_index below its format": (
        instead(TARGET, "ignore_index: -1\n    target_format: uint8\n    one_of: [raises, right]\n    target: §[0, 1]"),
        "the ignore_index -1 is no number of uint8",
        "0 to 255",
    ),
    "format of probabilities": (
        instead(TARGET, "target_format: int32\n    one_of: [raises]\n    probabilities: §[[1, 0, 0], [1, 0, 0]]"),
        "target_format is of indices",
        "leave target_format out",
    ),
    "format of no target": (
        one_case(*SOFTMAX, "logits: [[1, 2]]", "§target_format: int32"),
        "softmax takes no target_format",
        "logits",
    ),
    "smoothing below 0": (with_line("label_smoothing: §-0.1"), "between 0 and 1", ""),
    "smoothing nan": (with_line("label_smoothing: §nan"), "between 0 and 1", ""),
    "smoothing inf": (with_line("one_of: [formula]\n    label_smoothing: §inf"), "must be finite, not inf", ""),
    "unknown reduction": (with_line("reduction: §meen"), "unknown reduction 'meen'", "'mean'"),
    "decimal ignore_index": (with_line("ignore_index: §1.5"), "ignore_index must be an integer", ""),
    "unknown format": (with_line("formats: [float64, §fp16]"), "unknown format 'fp16'", "float16"),
    "format twice": (with_line("formats: [float64, §float64]"), "'float64' is given twice", ""),
    "no format": (with_line("formats: §[]"), "formats is empty", ""),
    "formats a word": (with_line("formats: §float64"), "formats must be a list", ""),
    "unknown choice": (with_line("one_of: [nan, §limits]"), "unknown choice 'limits'", "'limit'"),
    "no choice": (with_line("one_of: §[]"), "one_of is empty", ""),
    "unknown generator": (
        instead(LOGITS, "logits: {generate: §constnat, shape: [2, 3], value: 0}"),
        "unknown generator 'constnat'",
        "'constant'",
    ),
    "recipe without generator": (instead(LOGITS, "logits: §{shape: [2, 3]}"), "names its generator", "`generate:`"),
    "recipe without shape": (instead(LOGITS, "logits: §{generate: constant, value: 0}"), "lacks 'shape'", ""),
    "recipe without parameter": (instead(LOGITS, "logits: §{generate: constant, shape: [2, 3]}"), "lacks 'value'", ""),
    "recipe with another's parameter": (
        instead(LOGITS, "logits: {generate: normal, shape: [2, 3], seed: 1, §value: 0}"),
        "has no key 'value'",
        "did you mean 'scale'?",
    ),
    "recipe of decimals as target": (
        instead(TARGET, "target: {generate: §normal, shape: [2], seed: 1}"),
        "the generator normal makes no indices",
        "constant, integers",
    ),
    "constant decimal target": (
        instead(TARGET, "target: {generate: constant, shape: [2], value: §0.5}"),
        "value must be an integer",
        "",
    ),
    "constant target outside": (
        instead(TARGET, "target: §{generate: constant, shape: [2], value: 3}"),
        "a target up to 3 is outside [0, 3)",
        "",
    ),
    "random target outside": (
        instead(TARGET, "target: §{generate: integers, shape: [2], below: 4, seed: 1}"),
        "a target up to 3 is outside [0, 3)",
        "",
    ),
    "recipe of a negative weight": (
        with_line("weight: §{generate: normal, shape: [3], seed: 1}"),
        "weight must not be negative",
        "-13",
    ),
    "recipe of an infinite weight": (
        with_line("weight: {generate: constant, shape: [3], value: §inf}"),
        "value must be finite",
        "",
    ),
    "decimal seed": (
        instead(LOGITS, "logits: {generate: normal, shape: [2, 3], seed: §1.5}"),
        "seed must be an int",
        "",
    ),
    "negative seed": (
        instead(LOGITS, "logits: {generate: normal, shape: [2, 3], seed: §-1}"),
        "seed must be between 0 and 4294967295",
        "",
    ),
    "below nothing": (
        instead(TARGET, "target: {generate: integers, shape: [2], below: §0, seed: 1}"),
        "below must be between 1",
        "",
    ),
    "peak beyond the classes": (
        instead(LOGITS, "logits: {generate: peak, shape: [2, 3], value: 9, rest: 0, at: §3}"),
        "at must be between 0 and 2, not 3",
        "",
    ),
    "peak of no class": (
        instead(LOGITS, "logits: {generate: peak, shape: [], value: 9, rest: 0, at: §0}"),
        "the shape [] has no class",
        "",
    ),
    "shape of the wrong type": (
        instead(LOGITS, "logits: {generate: constant, shape: §2, value: 0}"),
        "a list of integ",
        "",
    ),
    "shape of decimals": (instead(LOGITS, "logits: {generate: constant, shape: [§2.5], value: 0}"), "an integer", ""),
    "negative length": (instead(LOGITS, "logits: {generate: constant, shape: [2, §-3], value: 0}"), "negative", ""),
    "absurd shape": (
        instead(LOGITS, "logits: {generate: constant, shape: §[16385, 16384], value: 0}"),
        "absurd: 2^28 elements are the most",
        "",
    ),
    "absurd empty shape": (
        instead(LOGITS, f"logits: {{generate: constant, shape: §[0, {2**40}], value: 0}}"),
        "absurd",
        "",
    ),
    "shape of many axes": (
        instead(LOGITS, "logits: {generate: constant, shape: §[1, 1, 1, 1, 1, 1, 1, 1, 1], value: 0}"),
        "9 axes",
        "",
    ),
    "published without figures": (with_line("published: §{decimals: 4}"), "lacks 'figures'", ""),
    "published unknown key": (with_line("published: {figures: 1, decimals: 4, §note: x}"), "no key 'note'", "remark"),
    "a figure of more decimals": (with_line("published: {figures: §0.12345, decimals: 4}"), "more than 4 decimals", ""),
    "a figure in hex": (with_line("published: {figures: §0x1p3, decimals: 4}"), "plain decimals, not '0x1p3'", ""),
    "figures of another shape": (
        with_line("published: §{figures: [0.1, 0.2], decimals: 4}"),
        "figures of shape [2]; the value has shape []",
        "",
    ),
    "exact of another shape": (
        with_line("published: {figures: 0.1, exact: §[0.1], decimals: 4}"),
        "exact has shape [1]",
        "",
    ),
    "a link that is none": (with_line("link: §torch#1"), "no address", "https://"),
    "unknown layout": (with_line("layout: §stridden"), "unknown layout 'stridden'", "'strided'"),
    "a scale that rounds": (with_line("scale: §3"), "a power of two, not 3", "exact"),
    "a clause of layouts": (instead(CLAUSE, "clause: §M5"), "how inputs lie in memory", "layout"),
    "a clause of relations": (instead(CLAUSE, "clause: §M2"), "judged by a relation", "permuted"),
    "a clause of two relations": (instead(CLAUSE, "clause: §S8"), "judged by a relation", "rows-add-up, not-above-0"),
    "a relation of what is timed": (
        one_case("clause: P1", "operation: softmax", "logits: [[1, 2]]", "§relation: permuted"),
        "timed, not judged: 'relation'",
        "leave it out",
    ),
    "a layout of what is timed": (
        one_case("clause: P1", "operation: softmax", "logits: [[1, 2]]", "§layout: strided"),
        "timed, not judged: 'layout'",
        "leave it out",
    ),
    "unknown relation": (with_line("relation: §permute"), "unknown relation 'permute'", "'permuted'"),
    "a relation of another clause": (with_line("relation: §permuted"), "judged under M2, not C1", ""),
    "a relation of another operation": (
        one_case("clause: S8", "operation: log_softmax", "logits: [[1, 2]]", "relation: §rows-add-up"),
        "log_softmax has no relation rows-add-up",
        "softmax",
    ),
    "a relation of another reduction": (
        instead(CLAUSE, "clause: M1").replace(TARGET, f"{TARGET}\n    reduction: none\n    relation: §of-none"),
        "does not hold for the reduction none",
        "mean, sum",
    ),
    "a relation beside a choice": (
        instead(CLAUSE, "clause: M2") + "    relation: §permuted\n    one_of: [nan]\n",
        "compares results with each other",
        "one_of",
    ),
    "a relation of modes": (
        instead(CLAUSE, "clause: M8") + "    relation: §compiled\n",
        "about compiled modes",
        "compiled: true",
    ),
    "a relation of gradients": (
        instead(CLAUSE, "clause: G2") + "    relation: §gradient-adds-up\n    gradient: false\n",
        "about gradients",
        "gradient: true",
    ),
    "a relation of rows": (
        one_case("clause: M2", "operation: softmax", "logits: [1, 2]", "relation: §permuted"),
        "two axes",
        "",
    ),
    "a share that rounds": (
        one_case(
            "clause: G4",
            "operation: cross_entropy",
            "relation: §gradient-of-none",
            "logits: [[1, 2], [3, 4], [5, 6]]",
            "target: [0, 1, 0]",
            "upstream: 1",
        ),
        "over the divisor 3 of the mean is no number",
        "exact",
    ),
    "absurd decimals": (with_line("published: {figures: 0.1, decimals: §99}"), "between 0 and 17", ""),
    "vary of the wrong type": (with_line("vary: §[reduction]"), "vary must be a mapping", ""),
    "vary nothing": (with_line("vary: §{}"), "vary is empty", ""),
    "vary an unknown axis": (with_line("vary: {§reductions: [sum]}"), "unknown argument 'reductions'", "'reduction'"),
    "vary what is no argument": (
        with_line("vary: {§operation: [softmax]}"),
        "unknown argument 'operation'",
        "known arguments: ignore_index",
    ),
    "vary another's keyword": (
        one_case(*SOFTMAX, "logits: [[1]]", "vary: {§reduction: [sum]}"),
        "softmax takes no reduction",
        "logits, upstream",
    ),
    "stated and varied": (
        with_line("reduction: sum\n    vary: {§reduction: [mean]}"),
        "reduction is both stated and varied",
        "line 9",
    ),
    "target stated, probabilities varied": (
        with_line("vary: {probabilities: {p: [[1, 0, 0], [1, 0, 0]]}}").replace("- id", "- §id"),
        "both target and probabilities",
        "",
    ),
    "empty axis": (with_line("vary: {reduction: §[]}"), "the axis reduction is empty", ""),
    "empty input axis": (with_line("vary: {weight: §{}}"), "the axis weight is empty", ""),
    "axis not a list": (with_line("vary: {reduction: §mean}"), "the axis reduction must be a list, not 'mean'", ""),
    "input axis not named": (with_line("vary: {weight: §[[1, 2, 3]]}"), "the axis weight must be a mapping", ""),
    "name on an axis": (with_line("vary: {weight: {§A/b: [1, 2, 3]}}"), "the name 'A/b' must be of a-z", ""),
    "value of an axis": (with_line("vary: {label_smoothing: [0, §2]}"), "between 0 and 1", ""),
    "value twice": (with_line("vary: {label_smoothing: [0, §0.0]}"), "takes the value 0.0 twice", ""),
    "an axis' input": (with_line("vary: {weight: {even: [1, 1, 1], short: §[1]}}"), "weight has shape [1]", ""),
    "an axis' upstream": (with_line("upstream: §1\n    vary: {reduction: [mean, none]}"), "it is [2]", ""),
    "ignored only at one value": (
        instead(TARGET, "target: [0, §-1]\n    vary: {ignore_index: [-1, -100]}"),
        "the target -1 is outside",
        "",
    ),
}


@pytest.mark.parametrize(("marked", "message", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_refused_at_its_place(marked: str, message: str, hint: str, tmp_path: Path) -> None:
    before, found, after = marked.partition("§")
    assert found
    path = write(tmp_path, before + after)
    with pytest.raises(UsageError) as caught:
        load([path])
    lines = before.split("\n")
    assert caught.value.where == f"{path}:{len(lines)}:{len(lines[-1]) + 1}", caught.value
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_the_base_of_the_faults_is_right(tmp_path: Path) -> None:
    assert [case.id for case in cases_of(tmp_path, BASE)] == ["s/a"]


def test_the_python_parser_refuses_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_Loader", yaml.SafeLoader)
    test_a_fault_is_refused_at_its_place(*FAULTS["anchor"], tmp_path)
    test_a_fault_is_refused_at_its_place(*FAULTS["nested deep"], tmp_path)
    test_a_fault_is_refused_at_its_place(*FAULTS["quoted number"], tmp_path)
    test_the_base_of_the_faults_is_right(tmp_path)


def test_not_utf8_says_which_byte(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes("suite: s\nabout: é".encode() + b"\xff\n")
    with pytest.raises(UsageError) as caught:
        load([path])
    assert caught.value.where == f"{path}:2:9"
    assert "0xff" in caught.value.message
    assert "UTF-8" in caught.value.hint


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file") as caught:
        load([tmp_path / "none.yaml"])
    assert caught.value.where == str(tmp_path / "none.yaml")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path, BASE)
    path.chmod(0)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        load([path])


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load([tmp_path])


def test_a_folder_without_case_files(tmp_path: Path) -> None:
    write(tmp_path, "x", "notes.txt")
    with pytest.raises(UsageError, match="no case file in this folder") as caught:
        load([tmp_path])
    assert caught.value.where == str(tmp_path)
    assert "*.yaml" in caught.value.hint


def test_an_absurd_nesting_is_refused_quickly(tmp_path: Path) -> None:
    path = write(tmp_path, "a: " + "[" * 1_000_000)
    start = time.perf_counter()
    with pytest.raises(UsageError, match="nested more than 16 deep"):
        load([path])
    assert time.perf_counter() - start < 2


def test_an_absurd_product_is_refused_at_its_vary(tmp_path: Path) -> None:
    eps = ", ".join(f"0.{i:03}" for i in range(1, 400))
    path = write(
        tmp_path, with_line(f"vary: {{label_smoothing: [{eps}], ignore_index: [{', '.join(map(str, range(5, 25)))}]}}")
    )
    with pytest.raises(UsageError, match="vary makes 7980 cases of one; 4096 are the most") as caught:
        load([path])
    assert caught.value.where == f"{path}:9:11"


def test_ids_are_unique_across_files(tmp_path: Path) -> None:
    first, second = write(tmp_path, BASE, "one/s.yaml"), write(tmp_path, BASE, "two/s.yaml")
    with pytest.raises(UsageError, match="'s/a' is given twice") as caught:
        load([tmp_path])
    assert caught.value.where == f"{second}:4:9"
    assert f"{first}:4" in caught.value.hint


def test_files_and_folders(tmp_path: Path) -> None:
    inner = write(tmp_path, BASE.replace("suite: s", "suite: z"), "a/z.yaml")
    outer = write(tmp_path, BASE.replace("suite: s", "suite: b"), "b.yaml")
    write(tmp_path, "not a case", "a/notes.yml")
    assert [suite.name for suite in load([tmp_path])] == ["z", "b"]
    assert [suite.name for suite in load([outer, tmp_path, inner])] == ["b", "z"]
    assert load([]) == ()


def test_a_case_says_all_that_was_written(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
defaults: {formats: [float64, float16], gradient: false}
cases:
  - id: full
    clause: C2
    operation: cross_entropy
    about: Of this case.
    logits: [[1e4, -inf, nan], [0x1.8p3, -0.0, .5]]
    target: [-7, 2]
    weight: [1, 0, 0.25]
    ignore_index: -7
    label_smoothing: 0.1
    reduction: none
    gradient: true
    upstream: [0.5, -2]
    formats: [float32]
    compiled: true
    one_of: [nan, limit]
    published: {figures: [0, -5.5700], exact: [0, -5.5701], decimals: 4, remark: Added up from rounded numbers.}
  - {id: plain, clause: S1, operation: log_softmax, logits: [3, 4]}
"""
    )
    path = write(tmp_path, text)
    (suite,) = load([path])
    full, plain = suite.cases
    assert (suite.name, suite.about, suite.path) == ("s", "What the suite is about.", str(path))
    logits = full.inputs["logits"]
    assert isinstance(logits, tuple)
    assert repr(logits) == "((10000.0, -inf, nan), (12.0, -0.0, 0.5))"
    assert full.inputs == {
        "logits": logits,
        "target": (-7, 2),
        "weight": (1.0, 0.0, 0.25),
        "upstream": (0.5, -2.0),
    }
    assert full.keywords == {"ignore_index": -7, "label_smoothing": 0.1, "reduction": "none"}
    assert (full.id, full.suite, full.about, full.clause) == ("s/full", "s", "Of this case.", "C2")
    assert (full.operation, full.formats, full.gradient) == ("cross_entropy", ("float32",), True)
    assert full.one_of == ("nan", "limit")
    assert full.published == Published((0.0, -5.57), (0.0, -5.5701), 4, "Added up from rounded numbers.")
    assert (full.source, full.compiled) == (f"{path}:5", True)
    assert plain == Case(
        id="s/plain",
        suite="s",
        about="What the suite is about.",
        clause="S1",
        operation="log_softmax",
        inputs={"logits": (3.0, 4.0)},
        keywords={},
        formats=("float64", "float16"),
        gradient=False,
        one_of=(),
        published=None,
        source=f"{path}:21",
        compiled=False,
    )


def test_without_defaults_all_formats_and_the_gradient(tmp_path: Path) -> None:
    (case,) = cases_of(tmp_path, BASE)
    assert case.formats == ("float64", "float32", "bfloat16", "float16")
    assert case.gradient


def test_what_has_no_gradient_asks_for_none(tmp_path: Path) -> None:
    text = one_case("clause: N1", "operation: one_hot", "logits: [[1, 2]]", "target: [1]")
    (case,) = cases_of(tmp_path, text.replace("cases:", "defaults: {gradient: true}\ncases:"))
    assert not case.gradient


def test_exact_figures_are_the_published_ones_unless_stated(tmp_path: Path) -> None:
    (case,) = cases_of(tmp_path, with_line("published: {figures: 1.3644, decimals: 4}"))
    assert case.published == Published(1.3644, 1.3644, 4)


def test_vary_multiplies_in_the_order_written(tmp_path: Path) -> None:
    line = "vary: {label_smoothing: [0, 0.10], reduction: [none, sum], weight: {even: [1, 1, 1], 1e4: [1e4, 1, 1]}}"
    cases = cases_of(tmp_path, with_line(line))
    assert [case.id for case in cases] == [
        f"s/a/label_smoothing={e}/reduction={r}/weight={w}"
        for e in ("0", "0.10")
        for r in ("none", "sum")
        for w in ("even", "1e4")
    ]
    assert cases[-1].keywords == {"label_smoothing": 0.1, "reduction": "sum"}
    assert cases[-1].inputs["weight"] == (1e4, 1.0, 1.0)
    assert cases[0].inputs["weight"] == (1.0, 1.0, 1.0)


def test_the_format_of_indices_varies_and_is_no_keyword(tmp_path: Path) -> None:
    cases = cases_of(tmp_path, with_line("one_of: [right, raises]\n    vary: {target_format: [int32, uint8]}"))
    assert [case.id for case in cases] == ["s/a/target_format=int32", "s/a/target_format=uint8"]
    assert [case.target_format for case in cases] == ["int32", "uint8"]
    assert [case.keywords for case in cases] == [{}, {}]
    assert cases_of(tmp_path, BASE)[0].target_format == "int64"


def test_logits_vary_by_name_and_may_be_recipes(tmp_path: Path) -> None:
    text = one_case(
        *SOFTMAX, "vary: {logits: {plus-1e4: [[1e4, 0]], wide: {generate: constant, shape: [2, 70000], value: 0}}}"
    )
    first, second = cases_of(tmp_path, text)
    assert (first.id, second.id) == ("s/a/logits=plus-1e4", "s/a/logits=wide")
    assert first.inputs == {"logits": ((1e4, 0.0),)}
    assert second.inputs == {"logits": Recipe("constant", (2, 70000), {"value": 0.0})}


ALLOWED = {
    "ignored by default": "target: [0, -100]",
    "ignored by name": "target: [0, 7]\n    ignore_index: 7",
    "ignored inside": "target: [0, 2]\n    ignore_index: 2",
    "outside, raises": "target: [0, 3]\n    one_of: [raises, nan]",
    "outside, nan": "target: [-1, 0]\n    one_of: [nan]",
    "all ignored by recipe": "target: {generate: constant, shape: [2], value: -100}",
    "recipe inside": "target: {generate: integers, shape: [2], below: 3, seed: 4294967295}",
    "weight just below infinity": "target: [0, 2]\n    weight: [65519, 1, 1]",
    "weight beyond, in other formats": "target: [0, 2]\n    weight: [1e30, 1, 1]\n    formats: [bfloat16, float64]",
    "weight by a recipe far from 0": "target: [0, 2]\n    weight: {generate: normal, shape: [3], seed: 1, offset: 14}",
    "indices of 8 bits": "target: [0, 2]\n    target_format: uint8\n    one_of: [right, raises]",
    "the largest ignore_index of 8 bits": "target: [255, 2]\n    ignore_index: 255\n    target_format: uint8\n"
    "    one_of: [right, raises]",
    "indices of 64 bits as a must": "target: [0, 2]\n    target_format: int64",
    "smoothing beyond its ends": "target: [0, 2]\n    vary: {label_smoothing: [-1, 0, 2]}\n    one_of: [formula]",
    "smoothing at its ends": "target: [0, 2]\n    vary: {label_smoothing: [0, 1]}",
    "probabilities": "probabilities: [[0.5, 0.5, 0], [2, 0, 0]]",
}


@pytest.mark.parametrize("lines", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed(lines: str, tmp_path: Path) -> None:
    assert cases_of(tmp_path, instead(TARGET, lines))


@pytest.mark.parametrize(
    ("logits", "target"),
    [
        ("[1, 2]", "1"),
        ("[[[1, 2], [3, 4], [5, 6]]]", "[[0, 2]]"),
        ("{generate: constant, shape: [0, 5], value: 0}", "[]"),
    ],
    ids=["1-D", "3-D", "empty batch"],
)
def test_shapes_of_targets(logits: str, target: str, tmp_path: Path) -> None:
    lines = ("clause: N1", "operation: cross_entropy", f"logits: {logits}", f"target: {target}", "reduction: none")
    assert cases_of(tmp_path, one_case(*lines))


def scalar(text: str) -> Scalar:
    return Scalar(text, True, 1, 1)


@given(st.floats())
def test_numbers_survive_print(value: float) -> None:
    for written in (repr(value), "nan" if math.isnan(value) else value.hex()):
        read = number(scalar(written), "x")
        assert read == value or (math.isnan(read) and math.isnan(value))
        assert math.isnan(value) or math.copysign(1, read) == math.copysign(1, value)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_integers_survive_print(value: int) -> None:
    assert integer(scalar(str(value)), "x") == value


@given(st.text("0123456789abcdefABCDEFxXpP+-._ infan٣"))
def test_any_text_is_a_number_as_python_has_it_or_refused(written: str) -> None:
    try:
        value = number(scalar(written), "x")
    except CaseError:
        return
    assert repr(value) == repr(
        float.fromhex(written)
        if "x" in written.lower()
        else float(written.replace(".inf", "inf").replace(".nan", "nan"))
    )


@given(st.binary())
def test_no_bytes_end_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load([path])
    assert caught.value.where.startswith(str(path))


@pytest.fixture
def catalogue(tmp_path: Path) -> tuple[Case, ...]:
    write(tmp_path, with_line("vary: {reduction: [none, mean]}").replace("id: a", "id: weights"))
    text = BASE.replace("suite: s", "suite: worked-example")
    write(tmp_path, text + text.split("cases:\n")[1].replace("id: a", "id: ab"), "worked-example.yaml")
    return tuple(case for suite in load([tmp_path]) for case in suite.cases)


WEIGHTS = ["s/weights/reduction=none", "s/weights/reduction=mean"]
WORKED = ["worked-example/a", "worked-example/ab"]
SELECTIONS: list[tuple[list[str], list[str]]] = [
    ([], WEIGHTS + WORKED),
    (["worked-example"], WORKED),
    (["worked-example/"], WORKED),
    (["worked-example/a"], WORKED[:1]),
    (["worked-example/*"], WORKED),
    (["s/**"], WEIGHTS),
    (["**/reduction=mean"], WEIGHTS[1:]),
    (["s/weight?"], WEIGHTS),
    (["*b", "s/weights/reduction=none"], [WEIGHTS[0], WORKED[1]]),
    (["*/[a]", "*"], WEIGHTS + WORKED),
]


@pytest.mark.parametrize(("patterns", "ids"), SELECTIONS)
def test_selection(catalogue: tuple[Case, ...], patterns: list[str], ids: list[str]) -> None:
    assert [case.id for case in select(catalogue, patterns)] == ids


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("worked-exmaple", "did you mean 'worked-example'?"),
        ("s/wieghts", "did you mean 's/weights'?"),
        ("nothing-like-it", "known suites: s, worked-example"),
        ("S/weights", "did you mean 's/weights'?"),
        ("worked", "did you mean 'worked-example'?"),
        ("", "known suites: s, worked-example"),
    ],
)
def test_a_pattern_that_matches_nothing(catalogue: tuple[Case, ...], pattern: str, hint: str) -> None:
    with pytest.raises(UsageError, match="no case matches") as caught:
        select(catalogue, ["s/*", pattern])
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


def test_a_pattern_where_there_are_no_cases() -> None:
    assert select([], []) == ()
    with pytest.raises(UsageError, match="no case matches"):
        select([], ["*"])


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    text = with_line("published: {figures: 1.5, decimals: 4}")
    before = digest(cases_of(tmp_path, text))
    assert len(before) == 64
    assert int(before, 16) >= 0
    same = text.replace("about: What the suite is", "# a comment\n\nabout: Whatever it is").replace(
        "2, 1, 0", "2.0, 1e0, 0"
    )
    assert digest(cases_of(tmp_path / "elsewhere", same)) == before
    changes = [
        ("id: a", "id: b"),
        ("[[2, 1, 0]", "[[2, 1, -0.0]"),
        ("[[2, 1, 0]", "[[2, 1, nan]"),
        ("target: [0, 2]", "target: [0, 1]"),
        ("clause: C1", "clause: C2"),
        ("figures: 1.5", "figures: 1.6"),
        ("figures: 1.5", "figures: 1.5, exact: 1.6"),
        ("decimals: 4", "decimals: 3"),
        ("    clause", "    reduction: sum\n    clause"),
        ("    clause", "    gradient: false\n    clause"),
        ("    clause", "    one_of: [nan]\n    clause"),
        ("    clause", "    formats: [float64]\n    clause"),
        ("    clause", "    one_of: [raises]\n    clause"),
        ("    clause", "    one_of: [raises]\n    target_format: uint8\n    clause"),
        ("[[2, 1, 0], [0, 0, 1]]", "{generate: constant, shape: [2, 3], value: 0}"),
    ]
    digests = {digest(cases_of(tmp_path, text.replace(old, new))) for old, new in changes}
    assert len(digests | {before}) == len(changes) + 1


def test_the_digest_is_the_same_in_any_order_and_release(catalogue: tuple[Case, ...]) -> None:
    assert digest(catalogue) == digest(reversed(catalogue))
    moved = [dataclasses.replace(case, source="elsewhere:1", about="another") for case in catalogue]
    assert digest(moved) == digest(catalogue)
    assert digest(catalogue[:1]) != digest(catalogue)
    assert digest([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_the_digest_does_not_see_the_order_of_keys(tmp_path: Path) -> None:
    written = "logits: {generate: normal, shape: [2, 3], seed: 1, scale: 2}"
    turned = "logits: {scale: 2, seed: 1, generate: normal, shape: [2, 3]}"
    first, second = (digest(cases_of(tmp_path, instead(LOGITS, line))) for line in (written, turned))
    assert first == second


def test_compiled_modes_have_few_of_the_built_in_cases_and_fewer_compilations() -> None:
    """A compilation takes seconds: one for each operation, set of shapes, kind of target and set of keywords."""
    tagged = [case for suite in load([built_in()]) for case in suite.cases if case.compiled]
    assert {case.operation for case in tagged} == {"softmax", "log_softmax", "nll_loss", "cross_entropy"}
    assert sum(len(case.formats) for case in tagged) <= 60
    compiled = set()
    for case in tagged:
        arrays = build(case, case.formats[0])
        kinds = tuple((name, array.shape, array.format) for name, array in arrays.items() if name != "upstream")
        compiled.add((case.operation, kinds, tuple(case.keywords.items())))
    assert len(compiled) <= 15


def test_the_built_in_cases_have_few_shapes_since_compilers_build_anew_for_each() -> None:
    shapes = {
        next(iter(build(case, case.formats[0]).values())).shape for suite in load([built_in()]) for case in suite.cases
    }
    assert len(shapes) <= 40


def test_the_built_in_cases_are_those_beside_the_code_that_runs() -> None:
    package = Path(places.__file__).resolve().parents[1]
    checkout = Path(__file__).resolve().parents[1]
    assert built_in() == (checkout / "cases" if package.is_relative_to(checkout / "harness") else package / "cases")


def test_an_editable_install_reads_the_checkout_not_the_frozen_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, BASE, "site-packages/lossparity/cases/s.yaml")
    (tmp_path / "checkout/harness/lossparity").mkdir(parents=True)
    monkeypatch.setattr(places, "__file__", str(tmp_path / "checkout/harness/lossparity/casefile/places.py"))
    write(tmp_path, BASE, "checkout/cases/s.yaml")
    write(tmp_path, BASE.replace("suite: s", "suite: new"), "checkout/cases/new.yaml")
    assert built_in() == tmp_path / "checkout/cases"
    assert [suite.name for suite in load([built_in()])] == ["new", "s"]
    assert load([built_in()])[0].cases[0].source == "cases/new.yaml:4"


def test_an_installed_package_reads_its_own_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, BASE, "site-packages/lossparity/cases/s.yaml")
    monkeypatch.setattr(places, "__file__", str(tmp_path / "site-packages/lossparity/casefile/places.py"))
    assert built_in() == tmp_path / "site-packages/lossparity/cases"
    assert [case.source for suite in load([built_in()]) for case in suite.cases] == ["cases/s.yaml:4"]


def test_the_example_of_the_readme_is_a_case_file(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "cases/README.md").read_text(encoding="utf-8")
    example = readme.split("```yaml\n")[1].split("```")[0]
    (suite,) = load([write(tmp_path, example, "label-smoothing.yaml")])
    assert "label-smoothing/five-classes/label_smoothing=0.1/reduction=none" in [case.id for case in suite.cases]
    assert len(suite.cases) == 4
