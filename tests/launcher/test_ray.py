"""`hydra/launcher=ray` on real clusters: two nodes on loopback, with a token, that lose workers, nodes and drivers."""

import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import ray_cluster
from ray_cluster import HEAD, OTHER, Cluster
from runs import TINY, Run, arguments, bits, command, several, wait_for, walk

from botscalp.config import CONF

JOBS = Path(__file__).with_name("ray_jobs.py")
ALONE = ("hydra.launcher.ray.remote.num_cpus=3", "hydra.launcher.ray.remote.num_gpus=0")  # of a node's four
CPU = ("hydra.launcher.ray.remote.num_cpus=1", "hydra.launcher.ray.remote.num_gpus=0")
WITHOUT_RAY = f"""
import hydra_plugins
hydra_plugins.__path__ = [{str(CONF.parent / "src" / "hydra_plugins")!r}]
sys.modules["ray"] = None
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    with ray_cluster.cluster() as made:
        yield made
    assert not any(node.processes() for node in made.nodes.values())


@pytest.fixture
def nodes(cluster: Cluster) -> Cluster:
    """The cluster with both its nodes, whatever an earlier test did to one."""
    for address in (HEAD, OTHER):
        cluster.start(address)
    return cluster


def test_composes_without_ray_and_says_what_to_install(tmp_path: Path) -> None:
    shown, refused = several(
        [
            ("train", ["--cfg", "hydra", "-p", "hydra.launcher", "hydra/launcher=ray"]),
            ("train", ["-m", "hydra/launcher=ray", "seed=1,2"]),
        ],
        cwd=tmp_path,
        before=WITHOUT_RAY,
    )
    assert shown["code"] == 0 and "num_gpus: 0.33" in shown["stdout"], shown["stderr"]
    assert refused["code"] == 2 and "ray is not installed" in refused["stderr"]
    assert "pip install" in refused["stderr"] and "Traceback" not in refused["stderr"]


def test_needs_a_cluster_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (refused,) = several([("train", ["-m", "hydra/launcher=ray", "seed=1,2"])], cwd=tmp_path)
    assert refused["code"] == 2 and "set RAY_ADDRESS" in refused["stderr"]
    assert "Warning" not in refused["stderr"]


@pytest.mark.slow
def test_jobs_of_both_nodes_share_a_store_and_equal_local_ones(nodes: Cluster, tmp_path: Path) -> None:
    typed = ["-m", "hydra/launcher=ray", *ALONE, *TINY, "seed=1,2", "data.seed=0"]
    done = command("train", *typed, cwd=tmp_path, env=nodes.environment, timeout_s=150)
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr
    assert set(re.findall(r"\(run_job pid=\d+(.*?)\)", printed)) == {"", f", ip={OTHER}"}, (
        "the driver's node and the other"
    )
    folders = sorted((tmp_path / "mlruns" / "runs" / "botscalp").glob("*/[01]"))
    assert len(folders) == 2 and all(Run(folder).summary["mlflow"] for folder in folders)
    assert statuses(tmp_path) == {"FINISHED": 2 + 2 * 2}, "jobs and windows"
    for folder, seed in zip(folders, (1, 2), strict=True):
        here = walk(tmp_path / "here" / str(seed), f"seed={seed}", "data.seed=0")
        assert bits(here.predictions["p"]) == bits(Run(folder).predictions["p"])


@pytest.mark.slow
def test_three_thirds_of_a_gpu_run_at_once_and_no_fourth(nodes: Cluster, tmp_path: Path) -> None:
    done = sweep(nodes, tmp_path, "+fate=shares", "+n=1,2,3,4,5", "hydra.launcher.ray.remote.num_cpus=1")
    assert done.returncode == 0, done.stderr
    ends = [line.split() for path in jobs(tmp_path, "done") for line in path.read_text().splitlines()]
    assert len({pid for pid, *_ in ends}) == 5, "each job has a process of its own"
    assert {address for _, address, *_ in ends} == {HEAD}, "the other node has no GPU"
    spans = [(float(began), float(ended)) for *_, began, ended in ends]
    assert max(sum(a <= began < b for a, b in spans) for began, _ in spans) == 3


@pytest.mark.slow
def test_a_job_that_raises_or_loses_its_worker_costs_itself_alone(nodes: Cluster, tmp_path: Path) -> None:
    fates = "+fate=fails,dies,dies_once,outlives"
    done = sweep(nodes, tmp_path, fates, "hydra.launcher.ray.remote.max_retries=1", *CPU)
    assert done.returncode == 1 and "a fault of the job" in done.stderr
    assert "#1 was lost: WorkerCrashedError" in done.stdout + done.stderr
    starts = Counter(path.name.partition("-")[0] for path in (tmp_path / "notes").iterdir())
    assert starts == {"fails": 1, "dies": 2, "dies_once": 2, "outlives": 1}
    assert [path.parent.name for path in jobs(tmp_path, "done")] == ["2", "3"], "in its own folder, the second time too"


@pytest.mark.slow
def test_a_job_of_a_lost_node_goes_on_where_it_stopped(nodes: Cluster, tmp_path: Path) -> None:
    tiny = [word for word in TINY if not word.startswith(("trainer.epochs", "wfo.windows"))]
    long = [*tiny, "trainer.epochs=100", "trainer.patience=100", "wfo.windows=4"]
    out = tmp_path / "out"
    with running(
        "-m", "hydra/launcher=ray", *ALONE, *long, "seed=1,2", "resume=true", cluster=nodes, out=out
    ) as driver:
        begun = re.compile(rf"ip={OTHER}\).* window 0 \(1/4\)")
        wait_for("a window", lambda: begun.search(out.read_text()), process=driver, said=out.read_text)
        nodes.nodes[OTHER].kill()
        assert driver.wait(90) == 0, out.read_text()
    folders = sorted((tmp_path / "mlruns" / "runs" / "botscalp").glob("*/[01]"))
    assert len(folders) == 2 and all(Run(folder).summary["mlflow"] for folder in folders)
    found = ["window 0: finished gru fit found" in (folder / "log.txt").read_text() for folder in folders]
    assert sorted(found) == [False, True], "the lost job took its first window from the store"
    assert set(statuses(tmp_path)) == {"FINISHED", "KILLED"}, "the lost job's first run is closed"


@pytest.mark.slow
def test_another_token_is_refused(nodes: Cluster, tmp_path: Path) -> None:
    stranger = replace(nodes, environment={**nodes.environment, "RAY_AUTH_TOKEN": "0" * 32})
    done = sweep(stranger, tmp_path, "+fate=finishes", *CPU)
    assert done.returncode == 1 and "another token" in done.stderr and not (tmp_path / "notes").exists()


@pytest.mark.slow
def test_jobs_that_no_node_has_room_for_are_refused(nodes: Cluster, tmp_path: Path) -> None:
    done = sweep(nodes, tmp_path, "+fate=finishes", "hydra.launcher.ray.remote.num_gpus=1.5")
    assert done.returncode == 1 and "no node" in done.stderr and not (tmp_path / "notes").exists()


@pytest.mark.slow
def test_a_stopped_driver_closes_the_runs(nodes: Cluster, tmp_path: Path) -> None:
    tiny = [word for word in TINY if not word.startswith("trainer.epochs")]
    long = [*tiny, "trainer.epochs=50000", "trainer.patience=50000"]
    out = tmp_path / "out"
    with running("-m", "hydra/launcher=ray", *CPU, *long, "seed=1,2", cluster=nodes, out=out) as driver:
        wait_for("both jobs", lambda: statuses(tmp_path) == {"RUNNING": 2}, process=driver, said=out.read_text)
        driver.terminate()
        assert driver.wait(60) == 130, out.read_text()
    assert statuses(tmp_path) == {"KILLED": 2}
    assert "resume=true" in out.read_text()


@contextmanager
def running(*overrides: str, cluster: Cluster, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m botscalp.train overrides...` in the folder of `out`, into which it prints; ended with the block."""
    with out.open("w") as stream:
        driver = subprocess.Popen(
            arguments("train", *overrides),
            cwd=out.parent,
            env=cluster.environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield driver
    finally:
        driver.kill()
        driver.wait()


def words(*overrides: str) -> list[str]:
    """The command of the application in ray_jobs.py, with botscalp's settings of the launcher."""
    fixed = [f"hydra.searchpath=[file://{CONF}]", "hydra.sweep.dir=sweep", "hydra/launcher=ray"]
    return [sys.executable, str(JOBS), "-m", *fixed, *overrides]


def sweep(cluster: Cluster, cwd: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(*overrides), cwd=cwd, env=cluster.environment, capture_output=True, text=True, timeout=120
    )


def jobs(cwd: Path, name: str) -> list[Path]:
    """The files of that name in the jobs' folders."""
    return sorted((cwd / "sweep").glob(f"*/{name}"))


def statuses(cwd: Path) -> Counter[str]:
    """How many runs of the store have which status."""
    store = cwd / "mlruns" / "mlflow.db"
    if not store.exists():
        return Counter()
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            return Counter(status for (status,) in connection.execute("select status from runs"))
    except sqlite3.OperationalError:  # its tables are being made
        return Counter()
