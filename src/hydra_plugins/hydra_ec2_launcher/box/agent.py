"""The agent on the rented box and the commands that speak to it: `python3 agent/agent.py COMMAND ...` in any folder.

claim SWEEP      make the folder that sweep's: what an earlier one left in it goes
start            make sure an agent lives
run              be the agent
accept NUM       queue a job whose files have arrived as sent
poll             state and logs; stdin {"offsets": {"3": 1200}, "limit": 262144}, bytes
harvested NUM... the client has all files of these ended jobs
cancel NUM|all   stop jobs for good
drain            stop all jobs, with time for a checkpoint, and start none
shutdown         the same, then power off
retime JSON      change limits of agent.json

Each answers with JSON on stdout; an error is one line on stderr and exit code 1. The commands leave files which the
agent's next tick finds, so none of them waits for the agent, and none gets lost with it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import daemon
from command import answer
from files import read_json, write_json
from jobs import Status, verify
from logs import read_logs
from settings import change_limits, read_settings

ROOT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str]) -> Any:
    """Do what the command line says; ValueError for an unknown command."""
    name, *arguments = argv or [""]
    if name == "run":
        return run()
    (ROOT / "client.seen").touch()
    if name == "claim":
        return claim(*arguments)
    if name == "start":
        return daemon.start(ROOT)
    if name == "poll":
        return poll(**json.loads(sys.stdin.read() or "{}"))
    if name == "accept":
        return accept(*map(int, arguments))
    if name == "harvested":
        return harvested([int(num) for num in arguments])
    if name == "cancel":
        return cancel(*arguments)
    if name in ("drain", "shutdown"):
        write_json(ROOT / name, {"asked": time.time()})
        return {"asked": name}
    if name == "retime":
        return change_limits(ROOT, json.loads(arguments[0]))
    raise ValueError(f"unknown command {name!r}: see the head of {__file__}")


def run() -> dict[str, str]:
    """Be the agent until a clock ends the machine; what goes wrong is written to agent.log."""
    from loop import Loop

    daemon.log_to(ROOT / "agent.log")
    read_settings(ROOT)  # before the lock, which says that an agent lives
    daemon.hold(ROOT)
    Loop(ROOT).run()
    return {"agent": "ended"}


def claim(sweep: str) -> dict[str, Any]:
    """Clear the folder of another sweep's jobs, and of orders to stop; ValueError while another sweep's agent lives."""
    owner = (read_json(ROOT / "agent.json") or {}).get("sweep")
    stale = ["shutdown", "drain"] if owner == sweep else ["shutdown", "drain", "notice.json", "state.json"]
    if owner != sweep:
        if daemon.alive(ROOT):
            raise ValueError(f"{ROOT} is in use by the sweep {owner}")
        shutil.rmtree(ROOT / "jobs", ignore_errors=True)
    for name in stale:
        with contextlib.suppress(FileNotFoundError):
            (ROOT / name).unlink()
    return {"claimed": sweep, "from": owner}


def accept(num: int) -> dict[str, Any]:
    """Check the job's files against their hashes and queue it; what is queued or beyond stays as it is."""
    folder = _job(num)
    attempt = verify(folder).get("attempt", 1)
    ready = read_json(folder / "ready")
    if ready is None or ready["attempt"] < attempt:
        write_json(folder / "ready", {"attempt": attempt, "accepted": time.time()})
    return {"accepted": num, "attempt": attempt}


def poll(offsets: Mapping[str, int] | None = None, limit: int = 262144) -> dict[str, Any]:
    """The state, and what the logs hold from these byte offsets on, `limit` bytes in all."""
    logs = read_logs(ROOT / "jobs", offsets or {}, limit)
    return {"state": read_json(ROOT / "state.json"), "logs": logs, "agent_alive": daemon.alive(ROOT)}


def harvested(nums: Sequence[int]) -> dict[str, Any]:
    """Record that the client has all of these jobs; ValueError for one that has not ended."""
    for num in nums:
        status = _status(_job(num))
        if not status.over:
            raise ValueError(f"job {num} is {status.state}: only the files of an ended job are complete")
        write_json(_job(num) / "harvested", {"attempt": status.attempt})
    return {"harvested": list(nums)}


def cancel(which: str) -> dict[str, Any]:
    """Mark a job, or with "all" every accepted one, as no longer wanted; what has ended stays as it is."""
    folders = [path.parent for path in ROOT.glob("jobs/*/ready")] if which == "all" else [_job(int(which))]
    folders = [folder for folder in folders if not _status(folder).over]
    for folder in folders:
        write_json(folder / "cancel", {"asked": time.time()})
    return {"cancelled": sorted(int(folder.name) for folder in folders)}


def _job(num: int) -> Path:
    folder = ROOT / "jobs" / str(num)
    if not folder.is_dir():
        raise ValueError(f"there is no job {num} in {ROOT / 'jobs'}")
    return folder


def _status(folder: Path) -> Status:
    return Status.of(read_json(folder / "status.json") or {})


if __name__ == "__main__":
    answer(main)
