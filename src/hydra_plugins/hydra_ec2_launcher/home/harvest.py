"""How a job's work comes home: while it runs for safety, and whole when it has ended."""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra_plugins.hydra_ec2_launcher.home import mlflow_home, results
from hydra_plugins.hydra_ec2_launcher.home.mlflow_store import not_fatal
from hydra_plugins.hydra_ec2_launcher.home.staging import ask
from hydra_plugins.hydra_ec2_launcher.home.sweep import Job, Outcome, Sweep
from hydra_plugins.hydra_ec2_launcher.home.translation import Translation, files_below
from hydra_plugins.hydra_ec2_launcher.home.travelling_paths import WORK_TO_ROOT
from hydra_plugins.hydra_ec2_launcher.wire.transport import RemoteCommandError, Transport, TransportError

log = logging.getLogger(__name__)

LIVE = ("mlflow.db", "mlflow.db-*", "*.lock")
"""what is being written to: databases come as the agent's snapshots"""


def pull(transport: Transport, sweep: Sweep, job: Job, *, ended: bool = False) -> Translation:
    """Bring a job's files and its MLflow runs up to date at home; what its texts read like here."""
    kept, there = sweep.job_folder(job.num), f"jobs/{job.num}"
    for name, exclude in (("work", LIVE), ("snapshot", ())):
        try:
            transport.get(f"{there}/{name}", kept / name, exclude=exclude)
        except RemoteCommandError:
            log.debug("job %d has no %s yet", job.num, name)
    with suppress(RemoteCommandError):  # it has not begun
        transport.get(f"{there}/log.txt", sweep.log_path(job.num))
    pull_ledgers(transport, sweep)
    return import_runs(sweep, job, transport.root, ended=ended)


def import_runs(sweep: Sweep, job: Job, root: str, *, ended: bool) -> Translation:
    """Import the job's runs from the newest snapshot that came home; where that fails it can be repeated."""
    paths = translation_of_paths(sweep, job, root)
    if sweep.store is None:
        return paths
    kept = sweep.job_folder(job.num)
    database = kept / "snapshot" / sweep.box_store / "mlflow.db"
    if not database.is_file():
        return paths
    # The first snapshot may show a store that is still being made.
    with not_fatal(f"MLflow runs of job #{job.num}, in {kept}", logging.WARNING if ended else logging.DEBUG):
        return mlflow_home.import_runs(
            database,
            artifacts=(f"{root}/jobs/{job.num}/work", kept / "work"),
            store=sweep.store,
            sweep=sweep.name,
            job=job.num,
            attempt=sweep.attempt(job.num),
            translation=paths,
        )
    return paths


def translation_of_paths(sweep: Sweep, job: Job, root: str) -> Translation:
    """How the machine's paths read at home."""
    work = f"{root}/jobs/{job.num}/work"
    pairs = [(f"{root}/data/", "/"), (f"{WORK_TO_ROOT}/data/", "/"), (work, str(sweep.cwd))]
    if sweep.store is not None:
        pairs.append((f"{work}/{sweep.box_store}", str(sweep.store)))
    return Translation(pairs)


def bring_home(transport: Transport, sweep: Sweep, job: Job, *, state: str, reason: str) -> Outcome:
    """Bring everything of an ended job home, put it where it belongs, and record what became of the job.

    Raises:
        TransportError: not everything has come; nothing is recorded, and it can be done again.
    """
    translation = pull(transport, sweep, job, ended=True)
    kept = sweep.job_folder(job.num)
    require_whole(transport, f"jobs/{job.num}/work", kept / "work")
    result, state, reason = read_result(transport, job, kept, state, reason)
    place(sweep, job, translation)
    outcome = Outcome(num=job.num, state=state, reason=reason, result=result)
    if sweep.store is not None:
        with not_fatal(f"MLflow runs of job #{job.num}, in {kept}"):
            conclude_runs(sweep, job, outcome)
    sweep.finish(outcome)
    ask(transport, "agent", "harvested", str(job.num))
    return outcome


def read_result(
    transport: Transport, job: Job, kept: Path, state: str, reason: str
) -> tuple[Mapping[str, Any] | None, str, str]:
    """What the job said of itself; the agent's word counts only where the file bears it out."""
    try:
        transport.get(f"jobs/{job.num}/result.json", kept / "result.json")
        result = results.read_result(kept / "result.json", job=job.num, config_hash=job.config_hash)
    except RemoteCommandError:
        return None, "FAILED" if state == "DONE" else state, reason
    except results.ResultError as error:
        return None, "FAILED", str(error)
    return result.as_dict(), state, reason


def require_whole(transport: Transport, there: str, here: Path) -> None:
    """Compare every file's hash, and fetch anew what differs."""
    for _ in range(3):
        digests = json.loads(transport.run(["python3", "agent/digest.py", there], timeout_s=600))
        wanted = {name: digest for name, digest in digests.items() if not is_live(name)}
        differing = results.differing(here, wanted)
        if not differing:
            return
        for name in differing:
            (here / name).unlink(missing_ok=True)
        transport.get(there, here, exclude=LIVE)
    raise TransportError(f"files of {there} differ from the machine's after three tries: {differing[:3]}")


def is_live(name: str) -> bool:
    """Whether a file is left out of `pull`."""
    from fnmatch import fnmatch

    return any(fnmatch(os.path.basename(name), pattern) for pattern in LIVE)


def place(sweep: Sweep, job: Job, translation: Translation) -> None:
    """Copy the job's folder, and what its store keeps for later runs, to where a local run would have left them."""
    work = sweep.job_folder(job.num) / "work"
    for path in files_below(work / job.box_folder):
        translation.copy(path, Path(job.home_folder) / path.relative_to(work / job.box_folder))
    for name in sweep.settings.travel.carry if sweep.store is not None else ():
        assert sweep.store is not None
        if (work / sweep.box_store / name).is_dir():
            copy_missing(work / sweep.box_store / name, sweep.store / name)


def copy_missing(source: Path, target: Path) -> None:
    """Copy every folder and file that `target` does not have; each appears whole or not at all."""
    for path in files_below(source):
        final = target / path.relative_to(source)
        if not final.exists():
            final.parent.mkdir(parents=True, exist_ok=True)
            aside = final.with_name(f".{final.name}.{os.getpid()}")
            shutil.copy2(path, aside)
            os.replace(aside, final)


def pull_ledgers(transport: Transport, sweep: Sweep) -> None:
    """Append at home the lines that jobs appended there."""
    for name in sweep.settings.travel.ledgers:
        if sweep.store is None:
            continue
        copy = sweep.folder / "shared" / name
        try:
            transport.get(f"shared/{name}", copy)
        except RemoteCommandError:
            continue
        append_new_lines(copy, sweep.store / name)


def append_new_lines(source: Path, target: Path) -> None:
    """Append to `target` the whole lines of `source` that it lacks."""
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        text = target.read_text() if target.exists() else ""
        known = set(text.splitlines())
        new = [line for line in source.read_text().splitlines() if line.endswith("}") and line not in known]
        if new:
            with target.open("a") as ledger:
                ledger.write("\n" * (text != "" and not text.endswith("\n")) + "\n".join(new) + "\n")
                ledger.flush()
                os.fsync(ledger.fileno())


def conclude_runs(sweep: Sweep, job: Job, outcome: Outcome) -> None:
    """End the job's runs at home as the job ended; one that made none gets one, so that nobody misses it."""
    if outcome.state == "DONE":
        return
    assert sweep.store is not None
    error = (outcome.result or {}).get("error")
    text = outcome.reason if error is None else error["traceback"]
    mlflow_home.record_failure(
        sweep.store,
        sweep=sweep.name,
        job=job.num,
        title=job.title,
        status="FAILED",
        text=text,
        experiment=sweep.experiment,
    )
