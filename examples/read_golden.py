"""Judge a softmax against the files of `lossparity export --golden DIR`: `python read_golden.py DIR`."""

import json
import sys
from pathlib import Path

import numpy as np


def softmax(x: np.ndarray) -> np.ndarray:
    """Put your own here; the classes are on axis 1, or 0 where there is only one axis."""
    axis = min(1, x.ndim - 1)
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


folder, failed = Path(sys.argv[1]), 0
index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
assert index["format_version"] == 1
np.seterr(all="ignore")
for case in index["cases"]:
    if case["operation"] != "softmax" or case["format"] == "bfloat16":  # bfloat16 is stored as its bits
        continue
    with np.load(folder / case["file"]) as arrays:
        got = softmax(arrays["logits"]).astype(np.float64)
        right = False
        for result in case["results"]:  # one for each result that the clause permits
            if result["quantity"] == "value":
                high, low, ulp, loose = (arrays[result["arrays"][name]] for name in ("high", "low", "ulp", "loose"))
                error = np.abs((got - high) - low)
                near = (error <= loose) | (error < ulp) & (loose > 0)
                same = (got == high) | np.isnan(got) & np.isnan(high)
                right |= bool(np.all(np.where(np.isfinite(got) & np.isfinite(high), near, same)))
        failed += not right
        print("right" if right else "WRONG", case["id"], case["format"])
sys.exit(1 if failed else 0)
