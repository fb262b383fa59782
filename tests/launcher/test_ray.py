"""`hydra/launcher=ray` on real clusters: two nodes on loopback, with a token, that lose workers, nodes and drivers."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray_cluster
from ray_cluster import HEAD, OTHER, Cluster
from runs import TINY, Run, arguments, bits, several, walk

from botscalp.config import CONF

JOBS = Path(__file__).with_name("ray_jobs.py")
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
        sessions = [node.starter.pid for node in made.nodes.values()]
    assert sessions and not [node.processes() for node in made.nodes.values() if node.processes()]


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
    words = ["-m", "hydra/launcher=ray", *CPU, *TINY, "seed=0,1,2", "data.seed=0"]
    done = subprocess.run(
        arguments("train", *words), cwd=tmp_path, env=nodes.environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\(run_job pid=\d+, ip=127\.0\.0\.3\)", done.stdout + done.stderr)
    assert re.search(r"\(run_job pid=\d+\)", done.stdout + done.stderr), "none beside the driver"
    (sweep,) = (tmp_path / "mlruns" / "runs" / "botscalp").iterdir()
    folders = [sweep / str(num) for num in range(3)]
    assert all(json.loads((folder / "summary.json").read_text())["mlflow"] for folder in folders)
    assert statuses(tmp_path) == {"FINISHED": 3 + 3 * 2}
    here = walk(tmp_path / "here", "seed=1", "data.seed=0")
    assert bits(here.predictions["p"]) == bits(Run(folders[1]).predictions["p"])


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
def test_jobs_of_a_lost_node_run_again_on_the_other(nodes: Cluster, tmp_path: Path) -> None:
    driver = subprocess.Popen(words(tmp_path, "+fate=waits", "+n=1,2,3", *CPU), cwd=tmp_path, env=nodes.environment)
    try:
        places = await_places(tmp_path, driver, 3)
        assert set(places) == {HEAD, OTHER}
        nodes.nodes[OTHER].kill()
        await_places(tmp_path, driver, 3 + places.count(OTHER))
        (tmp_path / "go").touch()
        assert driver.wait(60) == 0
    finally:
        driver.kill()
        driver.wait()
    ends = [path.read_text().split()[1] for path in jobs(tmp_path, "done")]
    assert ends == [HEAD] * 3


@pytest.mark.slow
def test_another_token_is_refused(nodes: Cluster, tmp_path: Path) -> None:
    stranger = nodes.environment | {"RAY_AUTH_TOKEN": "0" * 32}
    done = subprocess.run(
        arguments("train", "-m", "hydra/launcher=ray", *CPU, "seed=1,2"),
        cwd=tmp_path,
        env=stranger,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 2 and "another token" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_jobs_that_no_node_has_room_for_are_refused(nodes: Cluster, tmp_path: Path) -> None:
    done = sweep(nodes, tmp_path, "+fate=waits", "hydra.launcher.ray.remote.num_gpus=1.5")
    assert done.returncode == 1 and "no node" in done.stderr and not (tmp_path / "notes").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_driver_closes_the_runs(nodes: Cluster, tmp_path: Path, number: signal.Signals) -> None:
    long = ["-m", "hydra/launcher=ray", *CPU, *TINY, "seed=1,2", "trainer.epochs=50000", "trainer.patience=50000"]
    long = [word for word in long if word != "trainer.epochs=2"]
    with (tmp_path / "out").open("w") as out:
        driver = subprocess.Popen(
            arguments("train", *long), cwd=tmp_path, env=nodes.environment, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 90
            while statuses(tmp_path) != {"RUNNING": 2}:
                assert driver.poll() is None and time.monotonic() < deadline, (tmp_path / "out").read_text()
                time.sleep(0.2)
            driver.send_signal(number)
            assert driver.wait(60) == 130
        finally:
            driver.kill()
            driver.wait()
    assert statuses(tmp_path) == {"KILLED": 2}
    assert "resume=true" in (tmp_path / "out").read_text()


def words(cwd: Path, *overrides: str) -> list[str]:
    """The command of the application in ray_jobs.py, with botscalp's settings of the launcher."""
    fixed = [f"hydra.searchpath=[file://{CONF}]", "hydra.sweep.dir=sweep"]
    return [sys.executable, str(JOBS), "-m", *fixed, *overrides]


def sweep(cluster: Cluster, cwd: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(cwd, *overrides), cwd=cwd, env=cluster.environment, capture_output=True, text=True, timeout=120
    )


def jobs(cwd: Path, name: str) -> list[Path]:
    """The files of that name in the jobs' folders."""
    return sorted((cwd / "sweep").glob(f"*/{name}"))


def await_places(cwd: Path, driver: subprocess.Popen[bytes], count: int) -> list[str]:
    """The addresses of the first so many starts."""
    deadline = time.monotonic() + 60
    while True:
        places = [path.read_text() for path in (cwd / "notes").glob("*")]
        if len(places) >= count and all(places):
            return places
        assert driver.poll() is None and time.monotonic() < deadline, places
        time.sleep(0.1)


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
