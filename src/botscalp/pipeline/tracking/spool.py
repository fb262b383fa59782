"""What the tracking store did not take of a run: kept beside it, and written into it by the next command that opens it.

A file a run, <store>/spool/<run id>.jsonl, a record a line, on the disk before the run goes on. Whatever breaks off while it
is written into the store is written again: the file goes when all of it is there.
"""

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from botscalp.pipeline.tracking.orphans import OWNER, alive
from botscalp.pipeline.tracking.recording import Begun, Ended, Record
from botscalp.pipeline.tracking.store import open_store, reason, store_errors
from botscalp.pipeline.tracking.writing import RunWriter
from botscalp.pipeline.uninterrupted import uninterrupted
from botscalp.whole_files import about, sync

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

FOLDER = "spool"
SPOOLED = "botscalp.spooled"
"""the tag of a run that was made anew, because the store that knew it is gone: the id that it had there"""


@dataclass(frozen=True)
class Spool:
    """The file of one run; none where the store takes everything."""

    path: Path

    @classmethod
    def of(cls, store: Path, run_id: str) -> "Spool":
        return cls(store.resolve() / FOLDER / f"{run_id}.jsonl")

    @property
    def begun(self) -> bool:
        return self.path.exists()

    def append(self, records: Sequence[Record]) -> None:
        """All of these records or none: on a full disk what was written of them is taken back."""
        new = not self.begun
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with about(self.path), self.path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                for record in records:
                    line = memoryview(_line(record))
                    while line:
                        line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, before)
                if new:
                    self.path.unlink()
                raise
        if new:
            sync(self.path.parent)

    def read(self) -> list[Record]:
        """The records; half a line at the end is what a killed process was about to say."""
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return [_record(json.loads(line)) for line in lines]


@uninterrupted()
def replay(store: Path, *, warns: bool = True) -> None:
    """Write into the store what is spooled of runs that are over, or whose process is gone.

    What cannot be written yet stays for another time, and is no matter of the command that tried.
    """
    from filelock import FileLock

    waiting = sorted((store / FOLDER).glob("*.jsonl"))
    if not waiting:
        return
    not_now: tuple[type[Exception], ...] = (*store_errors(), ValueError)  # a line that cannot be read, a deleted study
    say: Callable[..., None] = logger.warning if warns else logger.debug
    for path in waiting:
        try:
            with FileLock(store.resolve() / f"{FOLDER}.lock"):
                if path.exists():  # another command may have been first
                    _replay(store, Spool(path))
        except not_now as error:
            say("a run is still not in MLflow, but kept in %s: %s", path, reason(error))


def _replay(store: Path, spool: Spool) -> None:
    begun, *records = spool.read()
    assert isinstance(begun, Begun)
    ended = bool(records) and isinstance(records[-1], Ended)
    if not ended and alive(begun.tags[OWNER]):
        return
    if not ended:  # killed
        records.append(Ended(time_ms=(records or [begun])[-1].time_ms, status="KILLED", machine=()))
    client, experiment_id, _ = open_store(store, begun.new.study)
    run = _run_of(begun, client, experiment_id)
    if run.info.lifecycle_stage == "deleted":
        logger.info("run %s was deleted in MLflow: what was spooled of it goes too", begun.new.name)
    else:
        writer = RunWriter.of(client, run)
        for record in (begun, *records):
            writer.write(record)
        logger.info("run %s is in MLflow now, with all that was spooled of it", begun.new.name)
    spool.path.unlink()


def _run_of(begun: Begun, client: "MlflowClient", experiment_id: str) -> "Run":
    """The run in the store; made anew, once, where the store does not know it."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(begun.run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    found = client.search_runs([experiment_id], f"tags.`{SPOOLED}` = '{begun.run_id}'")
    if found:
        return found[0]
    tags = {**begun.tags, SPOOLED: begun.run_id}
    return client.create_run(experiment_id, start_time=begun.time_ms, run_name=begun.new.name, tags=tags)


def _line(record: Record) -> bytes:
    """As JSON; numbers of numpy as plain ones, paths as text."""
    told = {"record": type(record).__name__, **asdict(record)}
    return (
        json.dumps(told, default=lambda value: value.item() if hasattr(value, "item") else str(value)).encode() + b"\n"
    )


def _record(told: dict[str, Any]) -> Record:
    kinds = {kind.__name__: kind for kind in get_args(Record)}
    record: Record = _adapter(kinds[told.pop("record")]).validate_python(told)
    return record


@cache
def _adapter(kind: type[Record]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
