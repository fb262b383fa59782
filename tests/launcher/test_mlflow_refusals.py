"""What is not taken into the MLflow store at home."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow_stores import STUDY, Box, artifacts_of, at_home, make_run, require_equal

from botscalp.pipeline.tracking import open_store
from hydra_plugins.hydra_ec2_launcher.home.mlflow_store import SnapshotError

pytestmark = pytest.mark.usefixtures("quiet")


def test_artifacts_elsewhere_on_the_machine_are_left_there(
    box: Box, store: Path, sweep: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    make_run(box)
    box.pull()
    for uri in (f"file://{tmp_path}", f"file://{box.work}/../../../../../{tmp_path}"):
        with closing(sqlite3.connect(box.snapshot)) as connection:
            connection.execute("UPDATE runs SET artifact_uri = ?", (uri,))
            connection.commit()
        box.bring_home(store, sweep)
    [run] = at_home(store, sweep)
    assert artifacts_of(open_store(store, STUDY)[0], run.info.run_id) == {}
    assert caplog.text.count("outside of what came home") == 2


def test_an_experiment_cannot_put_artifacts_outside_of_the_store(box: Box, store: Path, sweep: str) -> None:
    make_run(box)
    box.pull()
    with closing(sqlite3.connect(box.snapshot)) as connection:
        connection.execute("UPDATE experiments SET name = '../../elsewhere' WHERE name = ?", (STUDY,))
        connection.commit()
    with pytest.raises(ValueError, match="elsewhere"):
        box.bring_home(store, sweep)
    assert at_home(store, sweep) == []


def test_another_version_of_mlflow_is_refused(box: Box, store: Path, sweep: str) -> None:
    make_run(box)
    box.pull()
    with closing(sqlite3.connect(box.snapshot)) as connection:
        [[ours]] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.execute("UPDATE alembic_version SET version_num = 'deadbeef'")
        connection.commit()
    with pytest.raises(SnapshotError, match=f"deadbeef.*{ours}"):
        box.bring_home(store, sweep)
    assert at_home(store, sweep) == []


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_a_damaged_copy_is_refused_and_a_good_one_taken_later(
    box: Box, store: Path, sweep: str, content: bytes | None
) -> None:
    make_run(box)
    box.pull()
    good = box.snapshot.read_bytes()
    box.snapshot.unlink() if content is None else box.snapshot.write_bytes(content)
    with pytest.raises(SnapshotError):
        box.bring_home(store, sweep)
    box.snapshot.write_bytes(good)
    box.bring_home(store, sweep)
    assert require_equal(box, store, sweep) == 1


def test_an_experiment_deleted_at_home_is_named(stores: tuple[Box, Path], store: Path, sweep: str) -> None:
    home, experiment_id, _ = open_store(store, STUDY)
    box, _ = stores
    make_run(box)
    box.pull()
    home.delete_experiment(experiment_id)
    try:
        with pytest.raises(ValueError, match=STUDY):
            box.bring_home(store, sweep)
    finally:
        home.restore_experiment(experiment_id)
    client, there_id = box.client()
    for run in client.search_runs([there_id]):
        client.delete_run(run.info.run_id)
