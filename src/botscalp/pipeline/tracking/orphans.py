"""Runs that a process which no longer exists left RUNNING."""

import logging
import os
from typing import TYPE_CHECKING

from botscalp.pipeline.process_start import start_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

OWNER = "botscalp.owner"
"""the tag that names the process a run belongs to"""


def close_orphans(client: "MlflowClient") -> None:
    """Mark as KILLED the runs that a process which no longer exists left RUNNING."""
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
            owner = run.data.tags.get(OWNER)
            parent = run.data.tags.get("mlflow.parentRunId")
            if owner is None and parent is not None:
                owner = client.get_run(parent).data.tags.get(OWNER)
            if owner is not None and not alive(owner):
                client.set_terminated(run.info.run_id, "KILLED")
                logger.info("closed run %s, whose process is gone", run.info.run_name)


def this_process() -> str:
    """This process, in a way that a reused process id or a restarted machine does not answer to."""
    import platform

    return f"{platform.node()}/{os.getpid()}/{start_of(os.getpid())}"


def alive(owner: str) -> bool:
    """Whether the process still runs; one on another machine is given the benefit of the doubt."""
    import platform

    import psutil

    node, pid, created = owner.rsplit("/", 2)
    if node != platform.node():
        return True
    try:
        return start_of(int(pid)) == created
    except psutil.NoSuchProcess:
        return False
