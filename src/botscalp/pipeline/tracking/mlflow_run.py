"""tracking=mlflow: a parent run for the job, a child run for each window.

What cannot be recorded at its beginning ends the run: nothing is lost yet. Later on it is spooled, and the run goes on.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botscalp.errors import Interrupted
from botscalp.pipeline.ledger import Search, record_sharpes, record_trial, search_so_far
from botscalp.pipeline.tracking.clock import Clock, steady_clock
from botscalp.pipeline.tracking.colours import COLOUR, next_colour
from botscalp.pipeline.tracking.machine import SystemMetrics
from botscalp.pipeline.tracking.orphans import OWNER, close_orphans, this_process
from botscalp.pipeline.tracking.recording import (
    Begun,
    Ended,
    NewRun,
    Record,
    Resulted,
    TrackedResult,
    TrackedWindow,
    Windowed,
)
from botscalp.pipeline.tracking.spool import Spool, replay
from botscalp.pipeline.tracking.store import alone, answering, open_store, reason, runs_of, store_errors
from botscalp.pipeline.tracking.study import present_study
from botscalp.pipeline.tracking.writing import RunWriter
from botscalp.pipeline.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MlflowTracking:
    """Records in the store of the job's folder."""

    @contextmanager
    def run(self, new: NewRun) -> "Iterator[MlflowRun]":
        run: MlflowRun | None = None
        try:
            with uninterrupted():  # a signal that arrives meanwhile is raised once there is a run to end
                run = _begun(new)
            with answering(new.store):
                run.log_beginning()
            record_trial(new.store, new.trial, run.writer.run_id)
            yield run
        except BaseException as error:
            if run is not None:
                with contextlib.suppress(OSError):  # no room for the spool either: what ended the run is what to say
                    run.end("KILLED" if isinstance(error, Interrupted | KeyboardInterrupt) else "FAILED")
            raise
        run.end("FINISHED")
        _present(run)


def _begun(new: NewRun) -> "MlflowRun":
    """The run in the store, which is brought up to date first.

    Raises:
        UserError: the store does not answer, or the study was deleted there.
    """
    clock = steady_clock()
    client, experiment_id, uri = open_store(new.store, new.study)
    replay(new.store)
    with answering(new.store):
        close_orphans(client)
        with alone(new.store):  # or runs that begin at once take the same colour
            colour = next_colour([run.data.tags.get(COLOUR) for run in runs_of(client, experiment_id)])
            ours = {"trials": str(new.trial.count), "level": "study", OWNER: this_process(), COLOUR: colour}
            tags, now_ms = {**new.tags, **ours}, clock()
            made = client.create_run(experiment_id, start_time=now_ms, run_name=new.name, tags=tags)
        writer = RunWriter.of(client, made)
    begun = Begun(time_ms=now_ms, run_id=writer.run_id, tags=tags, new=new)
    return MlflowRun(
        writer=writer,
        location={"tracking_uri": uri, "experiment": new.study, "run_id": writer.run_id},
        begun=begun,
        records=[begun],
        clock=clock,
        spool=Spool.of(new.store, writer.run_id),
        machine=SystemMetrics(clock=clock),
    )


@dataclass(frozen=True, kw_only=True)
class MlflowRun:
    """A run that is being recorded."""

    writer: RunWriter
    location: dict[str, str]
    begun: Begun
    clock: Clock
    spool: Spool
    machine: SystemMetrics
    records: list[Record]
    """all so far: the spool is to hold them from the beginning, for the store may be gone"""

    @uninterrupted()
    def log_beginning(self) -> None:
        """Parameters, bars and config; what the machine does is watched from here on."""
        self.writer.write(self.begun)
        self.machine.start(self.writer.run_id, self.location["tracking_uri"])

    def search(self, sharpes: Sequence[float | None]) -> Search:
        """A line of the ledger, and what it holds by then."""
        store = self.begun.new.store
        record_sharpes(store, sharpes, self.writer.run_id)
        return search_so_far(store, self.begun.new.trial)

    def log_window(self, window: TrackedWindow) -> None:
        """A child run with the window's epochs and metrics."""
        self._record(Windowed(time_ms=self.clock(), window=window))

    def log_result(self, result: TrackedResult, folder: Path) -> None:
        """What it came to, with the folder's files."""
        self._record(Resulted(time_ms=self.clock(), result=result, folder=folder.absolute()))

    def end(self, status: str) -> None:
        """Say how the run ended; what was spooled is tried once more."""
        machine = self.machine.stop()
        self._record(Ended(time_ms=self.clock(), status=status, machine=machine))
        if self.spool.begun:
            replay(self.begun.new.store, warns=False)

    @uninterrupted()
    def _record(self, record: Record) -> None:
        """Into the store, or, once that has failed, into the spool: hours of training stand behind the run."""
        self.records.append(record)
        if self.spool.begun:
            self.spool.append([record])
            return
        try:
            self.writer.write(record)
        except store_errors() as error:
            self.spool.append(self.records)
            logger.warning(
                "MLflow's store does not take what is recorded of this run: %s\n"
                "  the run goes on; its record is kept in %s, and the next command on this store tries again",
                reason(error),
                self.spool.path,
            )


@uninterrupted()
def _present(run: MlflowRun) -> None:
    """Bring the study's page up to date; the run is finished, and not worth less where that fails."""
    if run.spool.begun:
        return
    new = run.begun.new
    try:
        present_study(run.writer.client, run.writer.experiment_id, new.store)
    except store_errors() as error:
        logger.warning("the page of study %s in MLflow is not up to date: %s", new.study, reason(error))
