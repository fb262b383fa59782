"""What a machine is given before it works: the agent, the code, an environment, the data; then the jobs."""

import hashlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra_plugins.hydra_ec2_launcher.cloud.rental import RejectedError
from hydra_plugins.hydra_ec2_launcher.home.sweep import Job, Sweep, write_json
from hydra_plugins.hydra_ec2_launcher.wire import data_files, project_files
from hydra_plugins.hydra_ec2_launcher.wire.transport import RemoteCommandError, Transport

log = logging.getLogger(__name__)

BOX = Path(__file__).parents[1] / "box"
UV_VERSION = "0.13.9"
_SHARE_LEDGERS = """
import json, os, sys
for link, shared in json.load(sys.stdin):
    for path in (link, shared):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.lexists(link):
        os.symlink(os.path.relpath(shared, os.path.dirname(link)), link)
"""


def ask(transport: Transport, *words: str, about: Any = None, timeout_s: float = 60.0) -> Any:
    """The answer of a command of the agent, or of a check beside it."""
    script, *arguments = words
    stdin = b"" if about is None else json.dumps(about).encode()
    answer = transport.run(["python3", f"agent/{script}.py", *arguments], stdin=stdin, timeout_s=timeout_s)
    return json.loads(answer) if answer.strip() else None


def stage(transport: Transport, sweep: Sweep, *, limits: Mapping[str, Any]) -> None:
    """Check a machine and make it ready for jobs; repeatable, and what is there already is not sent again.

    Raises:
        RejectedError: the machine cannot do the work.
        ValueError: the code or the data cannot travel.
    """
    settings = sweep.settings
    transport.put(BOX, "agent")
    check_health(transport, sweep)
    code = None if sweep.code is None else project_files.ship(transport, sweep.code)
    python = given_python(sweep) or make_environment(transport, sweep, code)
    smoke(transport, python, gpu=settings.needs.gpu)
    send_ledgers(transport, sweep)
    claim(transport, sweep)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.json"
        write_json(path, agent_settings(sweep, python=python, code=code, limits=limits))
        transport.put(path, "agent.json")
    ask(transport, "agent", "start")


def claim(transport: Transport, sweep: Sweep) -> None:
    """Take the machine's folder over from what an earlier sweep left there."""
    try:
        ask(transport, "agent", "claim", sweep.id)
    except RemoteCommandError as error:
        remedy = "wait for it, or give each sweep a folder of its own with {sweep}"
        folder = sweep.settings.connection.folder
        raise ValueError(
            f"hydra.launcher.connection.folder={folder}: {error.stderr.strip()}\n  remedy: {remedy}"
        ) from error


def check_health(transport: Transport, sweep: Sweep) -> None:
    """The health gate's first half: what can be told before anything is installed."""
    needs = asdict(sweep.settings.needs)
    needs |= {"python": None if sweep.settings.travel.python else python_minor(), "now": time.time()}
    try:
        answer = ask(transport, "health", json.dumps(needs), timeout_s=sweep.settings.needs.wait_s + 120)
    except RemoteCommandError as error:
        raise RejectedError(f"the health check cannot run there: {error}") from error
    for check in answer["checks"]:
        log.info("%s %s", "ok  " if check["ok"] else "FAIL", words_of(check))
    if not answer["ok"]:
        raise RejectedError("; ".join(words_of(check) for check in answer["checks"] if not check["ok"]))


def words_of(check: Mapping[str, Any]) -> str:
    """A check in a line."""
    found = f"{check['name']}: {check['found']}" + (f", needed: {check['needed']}" if check["needed"] else "")
    return f"{found} ({check['words']})" if check["words"] else found


def python_minor() -> str:
    """This Python's version, without which a task cannot be unpacked there."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def given_python(sweep: Sweep) -> str | None:
    """The interpreter that the settings name: as the machine knows it, and where that is this one, as seen from here."""
    python = sweep.settings.travel.python
    return str(sweep.cwd / python) if python is not None and sweep.settings.machine == "local" else python


def make_environment(transport: Transport, sweep: Sweep, code: str | None) -> str:
    """The interpreter of an environment made from the project's lock files."""
    log.info("making the environment; some minutes the first time")
    locks = [f"{code}/{lock}" for lock in sweep.settings.travel.locks]
    wanted = {"locks": locks, "python": python_minor(), "uv": UV_VERSION, "target": "env"}
    try:
        return str(ask(transport, "environment", json.dumps(wanted), timeout_s=1800)["python"])
    except RemoteCommandError as error:
        raise RejectedError(f"the environment cannot be made there: {error}") from error


def smoke(transport: Transport, python: str, *, gpu: bool) -> None:
    """The health gate's second half: the environment's torch computes on the GPU."""
    if gpu:
        try:
            ask(transport, "environment", "--smoke", json.dumps({"python": python, "gpu": True}), timeout_s=360)
        except RemoteCommandError as error:
            raise RejectedError(f"torch does not compute on the GPU: {error.stderr.strip()}") from error


def send_ledgers(transport: Transport, sweep: Sweep) -> None:
    """Send the files to which all jobs append."""
    for name in sweep.settings.travel.ledgers:
        if sweep.store is not None and (sweep.store / name).is_file():
            transport.put(sweep.store / name, f"shared/{name}")


def agent_settings(sweep: Sweep, *, python: str, code: str | None, limits: Mapping[str, Any]) -> dict[str, Any]:
    """What agent.json says; see box/agent.py."""
    settings = sweep.settings
    hours = settings.limits.job_hours
    return {
        "schema": 1,
        "sweep": sweep.id,
        "slots": settings.slots,
        "python": python,
        "code": code,
        "grace_s": settings.limits.grace_s,
        "tick_s": settings.site.tick_s,
        "sample_s": 5,
        "snapshot_s": settings.site.pull_s,
        "limits": {
            "idle_s": settings.limits.idle_minutes * 60,
            "no_client_s": settings.limits.no_client_hours * 3600,
            **limits,
        },
        "no_progress_s": settings.limits.no_progress_minutes * 60,
        "job_timeout_s": None if hours is None else hours * 3600,
        "disk_low_gb": 2,
        "poweroff": settings.site.poweroff if settings.machine == "ec2" else None,
        "imds": settings.site.imds if settings.machine == "ec2" else None,
        "gpu": ["nvidia-smi"],
    }


def submit(transport: Transport, sweep: Sweep, jobs: Sequence[Job]) -> None:
    """Hand jobs to the agent, after the data that they read; one that was begun elsewhere finds what it had finished."""
    if sent := data_files.ship(
        transport, sorted({file for job in jobs for file in data_files.manifest(job.data)}, key=str)
    ):
        log.info("sent %s", ", ".join(file.path.name for file in sent))
    for job in jobs:
        attempt = sweep.begin_attempt(job.num)
        kept, there = sweep.job_folder(job.num), f"jobs/{job.num}"
        store = os.path.join(there, "work", sweep.box_store)
        changes = sweep.settings.travel.again if attempt > 1 else {}
        if attempt > 1:
            for name in sweep.settings.travel.carry:
                if (folder := kept / "work" / sweep.box_store / name).is_dir():
                    transport.put(folder, f"{store}/{name}")
        links = [[f"{store}/{name}", f"shared/{name}"] for name in sweep.settings.travel.ledgers]
        transport.run(["python3", "-c", _SHARE_LEDGERS], stdin=json.dumps(links).encode())
        transport.put(kept / "task.pkl", f"{there}/task.pkl")
        write_json(kept / "spec.json", specification(sweep, job, attempt, changes))
        transport.put(kept / "spec.json", f"{there}/spec.json")
        ask(transport, "agent", "accept", str(job.num))


def source_of(code: project_files.Snapshot) -> dict[str, str]:
    """What git knows of the code, for a copy that travels without its history."""
    return {"SOURCE_COMMIT": code.commit or "", "SOURCE_DIRTY": str(code.dirty).lower()}


def specification(sweep: Sweep, job: Job, attempt: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What spec.json says of a job; see box/jobs.py and _job.py."""
    payload = sweep.job_folder(job.num) / "task.pkl"
    return {
        "schema": 1,
        "job": job.num,
        "sweep": sweep.name,
        "config_hash": job.config_hash,
        "argv": ["-m", "hydra_plugins.hydra_ec2_launcher._job", ".."],
        "env": {} if sweep.code is None else source_of(sweep.code),
        "attempt": attempt,
        "stores": [] if sweep.store is None else [f"{sweep.box_store}/mlflow.db"],
        "files": {"task.pkl": hashlib.sha256(payload.read_bytes()).hexdigest()},
        "versions": dict(job.versions),
        "changes": dict(changes),
    }
