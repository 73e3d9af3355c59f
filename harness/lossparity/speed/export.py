"""Times in the form of pytest-benchmark's JSON, which dashboards read."""

from __future__ import annotations

import json
import platform
import statistics
from pathlib import Path
from typing import Any

from lossparity import __version__
from lossparity.errors import UsageError
from lossparity.record import Record, Speed

__all__ = ["exported", "facts", "group", "params", "write"]

_NODE = "lossparity.conformance"  # where pytest collects the same passes, so that both are compared by full name

_VERSION = "5.2.3"  # of pytest-benchmark, whose form of JSON this is


def write(record: Record, path: Path) -> None:
    """Write the file, making its folder; UsageError when that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(exported(record), indent=4), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the times cannot be written: {error.strerror}", where=str(path)) from None


def exported(record: Record) -> dict[str, Any]:
    """Return what pytest-benchmark would have saved; times that do not count are left out."""
    settings = record.jobs[0].settings if record.jobs else {}
    return {
        "machine_info": {
            "node": platform.node(),
            "processor": platform.processor(),
            "machine": platform.machine(),
            "python_version": platform.python_version(),
            "python_implementation": platform.python_implementation(),
            "release": platform.release(),
            "system": platform.system(),
            "cpu": {"brand_raw": settings.get("processor", "")},
            "lossparity": __version__,
            **{name: value for name, value in settings.items() if name != "processor"},
        },
        "commit_info": {},
        "benchmarks": [_one(speed) for speed in record.speeds if speed.median is not None],
        "datetime": record.header.started,
        "version": _VERSION,
    }


def group(case: str, fmt: str, timed: str) -> str:
    """Return the name of what is compared: a case in a format, and a pass."""
    return f"{case}/{fmt}#{timed}"


def params(backend: str, fmt: str, timed: str) -> dict[str, str]:
    """Return what `--group-by=param:NAME` can ask for."""
    return {"backend": backend, "format": fmt, "pass": timed}


def facts(speed: Speed) -> dict[str, Any]:
    """Return what is known of a pass beside its times."""
    return {
        "operation": speed.operation,
        "shape": speed.shape,
        "bytes_moved": speed.moved,
        "peak_memory": speed.peak,
        "first_call": speed.first,
    }


def _one(speed: Speed) -> dict[str, Any]:
    return {
        "group": group(speed.case, speed.format, speed.timed),
        "name": speed.key,
        "fullname": f"{_NODE}::{speed.key}",
        "params": params(speed.backend, speed.format, speed.timed),
        "param": speed.backend,
        "extra_info": {"job": speed.job, **facts(speed)},
        "options": {
            "disable_gc": True,
            "timer": "perf_counter",
            "min_rounds": len(speed.seconds),
            "max_time": 0.0,
            "min_time": 0.0,
            "warmup": True,
        },
        "stats": _statistics(speed),
    }


def _statistics(speed: Speed) -> dict[str, Any]:
    times = sorted(speed.seconds)
    mean, middle = statistics.fmean(times), statistics.median(times)
    deviation = statistics.stdev(times) if len(times) > 1 else 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else (middle,) * 3
    outside = [t for t in times if t < low - 1.5 * (high - low) or t > high + 1.5 * (high - low)]
    far = sum(abs(t - mean) > deviation for t in times)
    return {
        "min": times[0],
        "max": times[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(times),
        "median": middle,
        "iqr": high - low,
        "q1": low,
        "q3": high,
        "iqr_outliers": len(outside),
        "stddev_outliers": far,
        "outliers": f"{far};{len(outside)}",
        "ld15iqr": next(t for t in times if t >= low - 1.5 * (high - low)),
        "hd15iqr": next(t for t in reversed(times) if t <= high + 1.5 * (high - low)),
        "ops": 1.0 / mean,
        "total": sum(times),
        "data": speed.seconds,
        "iterations": speed.calls,
    }
