"""Watching a machine at work: the agent decides there, and this brings home what there is."""

import base64
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from hydra_plugins.hydra_ec2_launcher.home.bill import keep_state
from hydra_plugins.hydra_ec2_launcher.home.harvest import bring_home, pull
from hydra_plugins.hydra_ec2_launcher.home.machine import Machine
from hydra_plugins.hydra_ec2_launcher.home.progress import Progress
from hydra_plugins.hydra_ec2_launcher.home.staging import ask, submit
from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep
from hydra_plugins.hydra_ec2_launcher.wire.transport import (
    HostKeyError,
    RemoteCommandError,
    Transport,
    TransportError,
)

log = logging.getLogger(__name__)

ENDED = ("DONE", "FAILED", "TIMEOUT", "LOST")


class TakenAwayError(Exception):
    """The machine will be gone soon; jobs that had not ended can be run again elsewhere."""


class UsedUpError(Exception):
    """Time or money is used up: what has not ended by now does not go on."""


def watch(transport: Transport, sweep: Sweep, machine: Machine, progress: Progress) -> None:
    """Hand over the sweep's open jobs, and return when all have come to an end and home.

    Raises:
        TakenAwayError: a spot notice came; what was written by then is home.
        UsedUpError: the agent ended its work for a clock or the budget.
        TransportError, RemoteCommandError: the machine has been out of reach, or of order, for too long, or is gone.
    """
    pulled_at = 0.0
    unreachable_since: float | None = None
    sent: set[int] = set()  # an agent that is busy tells of them late
    while jobs := sweep.open_jobs():
        try:
            state = poll(transport, sweep, machine)
            if unreachable_since is not None:
                log.info("the machine answers again")
                unreachable_since = None
            known = state.get("jobs", {})
            new = [job for job in jobs if str(job.num) not in known and job.num not in sent]
            submit(transport, sweep, new)
            sent |= {job.num for job in new}
            progress.show(state, machine.cost())
            ended = [job for job in jobs if known.get(str(job.num), {}).get("state") in ENDED]
            for job in ended:
                there = known[str(job.num)]
                progress.ended(
                    bring_home(transport, sweep, job, state=there["state"], reason=there.get("reason") or "")
                )
            leaving = state.get("notice") or state.get("ending")
            if leaving or time.monotonic() - pulled_at > sweep.settings.site.pull_s:
                for job in sweep.open_jobs():
                    if str(job.num) in known and known[str(job.num)]["state"] != "QUEUED":
                        pull(transport, sweep, job)
                machine.record_cost()
                if (limits := machine.limits()) is not None:  # a spot price that rises shortens the time
                    ask(transport, "agent", "retime", json.dumps(limits))
                pulled_at = time.monotonic()
            if leaving and not running(known):
                raise (TakenAwayError if state.get("notice") else UsedUpError)(words_of(state))
        except HostKeyError:
            raise
        except (TransportError, RemoteCommandError) as error:
            if not machine.alive():
                raise
            if unreachable_since is None:
                log.warning("the machine does not answer, its jobs go on: %s", str(error).partition("\n")[0])
                unreachable_since = time.monotonic()
            gone_s = time.monotonic() - unreachable_since
            progress.unreachable(gone_s, error)
            if gone_s > sweep.settings.limits.lost_minutes * 60:
                raise
        time.sleep(sweep.settings.site.poll_s)


def poll(transport: Transport, sweep: Sweep, machine: Machine) -> Mapping[str, Any]:
    """What the agent says, kept here with what the logs have grown by; an agent that died is started again."""
    logs = {str(job.num): sweep.log_path(job.num) for job in sweep.open_jobs()}
    offsets = {num: path.stat().st_size if path.exists() else 0 for num, path in logs.items()}
    answer = ask(transport, "agent", "poll", about={"offsets": offsets, "limit": 262_144})
    for num, piece in answer["logs"].items():
        if num in logs and piece["text_b64"]:
            with logs[num].open("ab") as file:
                file.write(base64.b64decode(piece["text_b64"]))
    state: Mapping[str, Any] = answer["state"] or {}
    if not answer["agent_alive"] and not state.get("ending"):
        log.warning("the agent on the machine had died, and is started again")
        ask(transport, "agent", "start")
    if state:
        keep_state(sweep, machine.number, state)
    return state


def running(known: Mapping[str, Any]) -> bool:
    """Whether the agent still has processes to stop."""
    return any(job["state"] == "RUNNING" for job in known.values())


def words_of(state: Mapping[str, Any]) -> str:
    """Why the machine goes."""
    ending = state.get("ending") or {}
    if ending.get("clock") == "hard":
        return "limits.max_hours, or what limits.budget_usd pays for, is used up"
    return str(ending.get("words") or "the cloud takes the spot machine back")
