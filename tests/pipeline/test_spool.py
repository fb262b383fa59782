"""What the store does not take of a run is kept, and is in the store once it does: the same as if nothing had happened."""

import json
import logging
import multiprocessing
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from disks import mounted
from tracked import DATASET, fresh_store, held, new_run, runs_at

from botscalp.errors import UserError
from botscalp.pipeline.tracking import OWNER, MlflowTracking, TrackedResult, TrackedWindow
from botscalp.pipeline.tracking.recording import Begun, Ended, Record, WindowFigures
from botscalp.pipeline.tracking.spool import SPOOLED, Spool, replay
from botscalp.pipeline.tracking.store import client_of
from botscalp.pipeline.tracking.writing import RunWriter

if TYPE_CHECKING:
    pass

RESULT = TrackedResult(
    metrics={"test/auc": 0.6, "backtest/sharpe": None},
    tags={"verdict": "REJECTED"},
    note="why",
    windows=[WindowFigures(index=0, test_start_ns=0, metrics={"backtest/trades": 7.0})],
    tables={"windows": [{"auc": "0.6", "trades": 7}]},
)

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def store(once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return fresh_store(once, folder)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "models").mkdir(parents=True)
    (folder / "summary.json").write_text("{}")
    (folder / "models" / "weights").write_bytes(bytes(range(256)))
    return folder


def window(index: int) -> TrackedWindow:
    history = [{"val/loss": 0.7 - epoch / 10} for epoch in range(3)]
    start_ns = index * 86_400_000_000_000
    return TrackedWindow(
        index=index, test_start_ns=start_ns, name=f"w{index}", history=history, metrics={"test/auc": 0.5 + index / 100}
    )


def recorded(store: Path, files: Path, *, trouble: Callable[[], None] = lambda: None) -> str:
    """A run of three windows; after the first one the trouble comes."""
    with MlflowTracking().run(new_run(store, params={"seed": "1"}, dataset=DATASET)) as run:
        run.log_window(window(0))
        trouble()
        run.log_window(window(1))
        run.log_window(window(2))
        assert run.search([1.0]).count >= 1
        run.log_result(RESULT, files)
    return run.location["run_id"]


@pytest.fixture
def undisturbed(once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path, files: Path) -> list[Any]:
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    recorded(fresh_store(once, folder), files)
    return held(client_of(folder))


def spooled(store: Path) -> list[Path]:
    return sorted((store / "spool").glob("*"))


def elsewhere(store: Path, *, database: bool = True) -> Path:
    """A copy under another name, which MLflow opens anew."""
    copy = store.with_name(f"{store.name}-copy-{len(list(store.parent.iterdir()))}")
    shutil.copytree(store, copy, ignore=None if database else shutil.ignore_patterns("mlflow.db*"))
    return copy


def test_a_database_that_comes_back_after_the_run_is_told_all(
    store: Path, files: Path, undisturbed: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    recorded(store, files, trouble=lambda: (store / "mlflow.db").rename(store / "away") and None)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "the run goes on" in warning and str(spooled(store)[0]) in warning
    (store / "mlflow.db").unlink(missing_ok=True)  # the try at the end of the run may have made a new one
    (store / "away").rename(store / "mlflow.db")
    replay(store)
    assert held(client_of(store)) == undisturbed and spooled(store) == []
    (parent,) = runs_at(client_of(store), "study")
    assert parent.info.start_time <= parent.info.end_time


def test_a_run_whose_database_is_lost_is_made_anew(store: Path, files: Path, undisturbed: list[Any]) -> None:
    run_id = recorded(store, files, trouble=lambda: (store / "mlflow.db").rename(store / "lost") and None)
    fresh = elsewhere(store, database=False)
    for _ in range(2):
        kept = {path: path.read_bytes() for path in spooled(fresh)}
        replay(fresh)
        assert held(client_of(fresh)) == undisturbed and spooled(fresh) == []
        for path, lines in kept.items():  # as if it had been killed before it took the file away
            path.write_bytes(lines)
    replay(fresh)
    assert held(client_of(fresh)) == undisturbed
    (parent,) = runs_at(client_of(fresh), "study")
    assert parent.data.tags[SPOOLED] == run_id


def test_a_database_overwritten_by_something_else_costs_no_run_and_stops_the_next_at_once(
    store: Path, files: Path, undisturbed: list[Any]
) -> None:
    def overwrite() -> None:
        with (store / "mlflow.db").open("r+b") as file:
            file.write(b"no database " * 500_000)

    recorded(store, files, trouble=overwrite)
    broken = elsewhere(store)
    with pytest.raises(UserError, match="not a database") as error:
        recorded(broken, files)
    assert error.value.key == "store" and "tracking=none" in error.value.remedy
    fresh = elsewhere(store, database=False)
    replay(fresh)
    assert held(client_of(fresh)) == undisturbed


def test_a_full_disk_that_has_room_again_by_the_end_leaves_nothing_spooled(
    once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path, files: Path, undisturbed: list[Any]
) -> None:
    with mounted(tmp_path / "disk") as disk:
        store = fresh_store(once, disk.root)
        with MlflowTracking().run(new_run(store, params={"seed": "1"}, dataset=DATASET)) as run:
            run.log_window(window(0))
            with disk.full_but_for(8192):
                run.log_window(window(1))
                assert len(spooled(store)) == 1
            run.log_window(window(2))
            run.log_result(RESULT, files)
        assert held(client_of(store)) == undisturbed and spooled(store) == []


def test_no_room_for_the_spool_either_ends_the_run_and_leaves_no_half_line(
    once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk") as disk:
        store = fresh_store(once, disk.root)
        with (
            pytest.raises(OSError, match="No space left") as error,
            MlflowTracking().run(new_run(store, params={"seed": "1"})) as run,
            disk.full_but_for(0),
        ):
            run.log_window(window(0))
        assert str(error.value.filename).startswith(str(store / "spool"))
        assert [run.info.status for run in runs_at(client_of(store), "study")] == ["FAILED"]
        assert spooled(store) == []


def _locked(database: Path, ready: Any, release: Any) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    ready.set()
    release.wait()
    connection.execute("ROLLBACK")


@pytest.mark.slow
def test_a_database_that_another_process_locks_is_told_all_by_the_next_command(
    store: Path, files: Path, undisturbed: list[Any]
) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_locked, args=(store / "mlflow.db", ready, release))

    def lock() -> None:
        holder.start()
        assert ready.wait(60)

    recorded(store, files, trouble=lock)
    assert len(spooled(store)) == 1
    with pytest.raises(UserError, match="database is locked") as error:
        recorded(store, files)
    assert error.value.key == "store"
    release.set()
    holder.join()
    replay(store)
    assert held(client_of(store)) == undisturbed


@pytest.mark.parametrize("written", (1, 3, 5))
def test_a_replay_killed_after_any_record_is_done_again_without_a_window_twice(
    written: int, store: Path, files: Path, undisturbed: list[Any]
) -> None:
    recorded(store, files, trouble=lambda: (store / "mlflow.db").rename(store / "lost") and None)
    (path,) = spooled(store)
    records = Spool(path).read()
    assert len(records) == 6, "beginning, three windows, result, end"
    shutil.copyfile(store / "lost", store / "mlflow.db")
    store = elsewhere(store)
    client, begun = client_of(store), records[0]
    assert isinstance(begun, Begun)
    writer = RunWriter.of(client, client.get_run(begun.run_id))
    for record in records[:written]:
        writer.write(record)
    replay(store)
    assert held(client) == undisturbed and spooled(store) == []


def _abandoned(store: Path, records: list[Record]) -> Path:
    """The records, of a process that is gone."""
    begun = records[0]
    assert isinstance(begun, Begun)
    node, pid, _ = begun.tags[OWNER].rsplit("/", 2)
    gone = Begun(
        time_ms=begun.time_ms, run_id=begun.run_id, new=begun.new, tags={**begun.tags, OWNER: f"{node}/{pid}/1"}
    )
    spool = Spool.of(store, begun.run_id)
    spool.path.unlink(missing_ok=True)
    spool.append([gone, *records[1:]])
    return spool.path


def test_a_run_that_goes_on_is_left_alone_and_a_killed_one_is_told_as_killed(store: Path) -> None:
    with MlflowTracking().run(new_run(store)) as run:
        run.spool.append([run.begun])
        replay(store)
        assert len(spooled(store)) == 1, "it may have more to say"
        _abandoned(store, [run.begun, *_windows(run.begun.time_ms)])
        with run.spool.path.open("ab") as file:
            file.write(b'{"record": "Windo')
        replay(store)
        assert spooled(store) == []
        client = client_of(store)
        assert [one.info.status for one in runs_at(client, "study")] == ["KILLED"]
        assert len(runs_at(client, "window")) == 2


def _windows(time_ms: int) -> list[Record]:
    from botscalp.pipeline.tracking.recording import Windowed

    return [Windowed(time_ms=time_ms, window=window(index)) for index in range(2)]


def test_what_was_deleted_in_mlflow_stays_deleted(store: Path, files: Path) -> None:
    run_id = recorded(store, files)
    client = client_of(store)
    client.delete_run(run_id)
    begun = Begun(time_ms=0, run_id=run_id, tags={}, new=new_run(store))
    Spool.of(store, run_id).append([begun, Ended(time_ms=0, status="FINISHED", machine=())])
    replay(store)
    assert spooled(store) == [] and runs_at(client, "study") == []


def test_a_spool_that_cannot_be_read_is_said_and_stops_nobody(
    store: Path, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (store / "spool").mkdir()
    (store / "spool" / "other.jsonl").write_text('{"record": "Begun", "time_ms": "never"}\n')
    recorded(store, files)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "other.jsonl" in warning
    assert [run.info.status for run in runs_at(client_of(store), "study")] == ["FINISHED"]


def test_an_interrupted_run_whose_store_is_gone_is_interrupted_all_the_same(store: Path) -> None:
    from botscalp.errors import Interrupted

    with pytest.raises(Interrupted), MlflowTracking().run(new_run(store)) as run:
        (store / "mlflow.db").rename(store / "away")
        run.log_window(window(0))
        raise Interrupted
    lines = [json.loads(line) for line in spooled(store)[0].read_text().splitlines()]
    assert [line["record"] for line in lines] == ["Begun", "Windowed", "Ended"]
    assert lines[-1]["status"] == "KILLED"


def test_a_run_that_is_interrupted_while_it_is_begun_does_not_stay_open(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = RunWriter.of

    def interrupted(client: Any, run: Any) -> RunWriter:
        signal.raise_signal(signal.SIGINT)
        return made(client, run)

    monkeypatch.setattr(RunWriter, "of", interrupted)
    with pytest.raises(KeyboardInterrupt), MlflowTracking().run(new_run(store)):
        pytest.fail("it was interrupted before")
    assert [run.info.status for run in runs_at(client_of(store), "study")] == ["KILLED"]
