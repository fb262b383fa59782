"""Runs that a process which no longer exists left RUNNING."""

import logging
from typing import TYPE_CHECKING

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
            if owner is not None and not _alive(owner):
                client.set_terminated(run.info.run_id, "KILLED")
                logger.info("closed run %s, whose process is gone", run.info.run_name)


def this_process() -> str:
    """This process, in a way that a reused process id or a restarted machine does not answer to."""
    import platform

    import psutil

    process = psutil.Process()
    return f"{platform.node()}/{process.pid}/{process.create_time():.2f}"


def _alive(owner: str) -> bool:
    """Whether the process still runs; one on another machine is given the benefit of the doubt."""
    import platform

    import psutil

    node, pid, created = owner.rsplit("/", 2)
    if node != platform.node():
        return True
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == created
    except psutil.NoSuchProcess:
        return False
