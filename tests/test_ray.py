"""A matrix on a cluster of two nodes: the record is that of a run here, and what dies is run again, once for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossparity.matrix import environments, on_ray
from lossparity.matrix.cells import Cell, read
from lossparity.matrix.commands import Commands
from lossparity.record import Record
from lossparity.record import read as record
from test_endings import HEARING, until
from test_matrix import NUMPY, TINY, built, lossparity, written
from test_registry import distribution

__all__ = ["built"]

if "ray" not in os.environ.get("LOSSPARITY_REQUIRE", "").split(","):
    pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Begin a cluster with two nodes, beside the one that keeps it together.

    Return a folder that its processes import from; `killed` in it says what an adapter there kills, once.
    """
    folder = tmp_path_factory.mktemp("cluster")
    distribution(folder, "math = killing:Killing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(__file__).parent), *sys.path]))
        patch.setenv("LOSSPARITY_CACHE_DIR", str(folder / "cache"))
        patch.setenv("KILLS", str(folder))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(2):
            nodes.add_node(num_cpus=2)
        patch.setenv("RAY_ADDRESS", nodes.address)
        patch.syspath_prepend(str(folder))
        yield folder
        nodes.shutdown()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Path, built: list[str]) -> Path:
    """Build the environments of `matrix.yaml` where the cluster looks for them, and be in the folder of that file."""
    monkeypatch.setenv("LOSSPARITY_CACHE_DIR", str(cluster / "cache"))
    path = written(tmp_path, NUMPY, "framework: math, versions: ['1.0', '1.1', '1.2'], backends: [math]")
    for cell in read(path).cells:
        environments.build(cell, Commands())
    assert built is not None
    return path


def told(path: Path) -> list[dict[str, object]]:
    """Return the lines of a record without what no two runs have in common: times, the command, the processes."""
    apart = ("started", "command", "seconds", "pid")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in apart} for line in lines]


def test_the_record_is_that_of_a_run_here(here: Path) -> None:
    words = ("matrix", "run", str(here), "--case", "worked-example/*", "--format", "float64", "-o")
    assert lossparity(*words, "local").exit_code == 0
    spread = lossparity(*words, "spread", "--executor", "ray")
    assert spread.exit_code == 0, spread.stderr
    assert told(Path("spread/matrix.jsonl")) == told(Path("local/matrix.jsonl"))
    assert "5 of 5: " in spread.stderr
    again = lossparity(*words, "spread", "--executor", "ray")
    assert again.stderr.count("finished before") == 5


@pytest.mark.parametrize("what", ["worker", "node"])
def test_a_cell_whose_worker_or_node_is_killed_is_run_again(here: Path, cluster: Path, what: str) -> None:
    words = ("matrix", "run", str(here), *TINY, "-o")
    assert lossparity(*words, "local").exit_code == 0
    (cluster / "kills").write_text(what)
    spread = lossparity(*words, "spread", "--executor", "ray")
    assert spread.exit_code == 0, spread.stderr
    assert not (cluster / "kills").exists(), "it was killed"
    assert told(Path("spread/matrix.jsonl")) == told(Path("local/matrix.jsonl"))
    assert vanished(cluster)


def vanished(folder: Path) -> bool:
    """Say whether what the adapters that killed have noted of themselves is gone, soon."""
    pids = [int(path.name.partition("-")[2]) for path in folder.glob("killer-*")]
    until_then = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until_then:
        time.sleep(0.1)
    return bool(pids) and not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_cell_that_kills_its_worker_every_time_is_unavailable_and_the_others_go_on(here: Path, cluster: Path) -> None:
    (cluster / "kills").write_text("always")
    result = lossparity("matrix", "run", str(here), *TINY, "--executor", "ray", "-o", "out")
    (cluster / "kills").unlink()
    assert result.exit_code == 3
    assert "math@1.0: unavailable: its task failed: WorkerCrashedError" in result.stderr
    merged: Record = record(Path("out/matrix.jsonl"))
    assert len({one.backend for one in merged.results}) == 2, "NumPy's two cells"
    assert merged.footer is not None
    assert sorted(one.what for one in merged.footer.not_tested) == ["math@1.0", "math@1.1", "math@1.2"]


def test_an_interruption_ends_what_is_under_way(here: Path, cluster: Path) -> None:
    (cluster / "kills").write_text("hangs")
    command = [sys.executable, "-c", HEARING, "matrix", "run", str(here), *TINY, "--executor", "ray", "-o", "out"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for path in cluster.glob("killer-*"):
        path.unlink()
    try:
        until(process, lambda: bool(list(cluster.glob("killer-*"))))
        process.terminate()
        _, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
        (cluster / "kills").unlink()
    assert process.returncode == 143, complaint
    assert "interrupted by SIGTERM; what was judged until now is in out/cells" in complaint
    assert vanished(cluster)


def test_resources_that_no_node_has_are_said(tmp_path: Path, here: Path, cluster: Path) -> None:
    assert here and cluster
    entry = "framework: numpy, versions: ['0.0.1'], backends: [numpy]"
    path = written(tmp_path, f"{entry}, resources: {{TPU: 4}}")
    command = [sys.executable, "-c", HEARING, "matrix", "run", str(path), *TINY, "--executor", "ray", "-o", "none"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    process.terminate()
    process.communicate(timeout=60)
    assert "no node of the cluster has CPU 1, TPU 4 for numpy@0.0.1; it waits for one" in line


def test_times_take_a_whole_node() -> None:
    nodes = [{"Alive": number < 9, "Resources": {"CPU": float(number)}} for number in (2, 8, 9)]
    ray = types.SimpleNamespace(nodes=lambda: nodes)
    cell = Cell("jax", "1.0", (), "", "cpu", 4, ("jax",))
    assert on_ray.needs(ray, cell)["num_cpus"] == 4
    assert on_ray.needs(ray, replace(cell, beside=(cell,)))["num_cpus"] == 8, "of those that are there"
    assert on_ray.needs(ray, replace(cell, device="cuda", resources=(("big", 1.0),))) == {
        "num_cpus": 4,
        "num_gpus": 1,
        "resources": {"big": 1.0},
    }


def test_ray_is_imported_by_its_executor_alone(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom lossparity.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    print('ray' in sys.modules)\n"
    )
    path = written(tmp_path, f"framework: numpy, versions: ['{np.__version__}']")
    for words in (["matrix", "run", str(path), "--dry-run"], ["matrix", "run", str(path), "--executor", "github"]):
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "False"
