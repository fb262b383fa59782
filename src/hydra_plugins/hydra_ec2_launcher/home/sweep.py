"""A sweep as its folder at home: settings, jobs as sent, and what became of them. All of it survives the process."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra_plugins.hydra_ec2_launcher.config import Connection, Limits, Needs, Rent, Settings, Site, Travel
from hydra_plugins.hydra_ec2_launcher.wire.project_files import Snapshot, take

JOURNAL = "journal.jsonl"
"""in the sweep's folder: what was done about its machines"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of the sweep, as both sides know it."""

    num: int
    title: str
    """its overrides"""
    config_hash: str
    home_folder: str
    """where its files belong at home, absolute"""
    box_folder: str
    """where it writes them, relative to its working folder"""
    data: Mapping[str, str]
    """config keys and the files, or patterns of files, that they name at home, absolute"""
    versions: Mapping[str, str]
    """what the machine must have alike for the task to be unpacked"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job."""

    num: int
    state: str
    """DONE, FAILED, TIMEOUT, LOST or STOPPED"""
    reason: str
    result: Mapping[str, Any] | None
    """what the job itself said, see results.py"""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The folder of a sweep."""

    folder: Path
    name: str
    id: str
    """the name with something that no other sweep has: machines may outlive sweeps, and folders of sweeps are named alike"""
    settings: Settings
    cwd: Path
    """where the command was typed: jobs' relative paths begin there"""
    store: Path | None
    """the MLflow store at home"""
    box_store: str
    """the store of each job, relative to its working folder"""
    experiment: str | None
    """the MLflow experiment of what is recorded of the sweep itself; None: that of its jobs"""
    code: Snapshot | None
    """the project's files as they were when the sweep began"""

    @classmethod
    def begin(
        cls,
        folder: Path,
        *,
        settings: Settings,
        cwd: Path,
        store: Path | None,
        box_store: str,
        experiment: str | None = None,
    ) -> "Sweep":
        """Make the folder; one that is there already is another sweep's, and gets a neighbour.

        Raises:
            ValueError: the project cannot travel, a secret lies in it for instance.
        """
        project = None if settings.travel.code is None else project_of(cwd / settings.travel.code)
        taken, count = folder, 1
        while (folder / "sweep.json").exists():
            count += 1
            folder = taken.with_name(f"{taken.name}-{count}")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        code = None if project is None else asdict(take(project, folder / "code"))
        known = {
            "schema": 1,
            "name": folder.name,
            "id": f"{folder.name}-{secrets.token_hex(4)}",
            "cwd": cwd,
            "store": store,
            "box_store": box_store,
            "experiment": experiment,
            "code": code,
            "settings": asdict(settings),
        }
        write_json(folder / "sweep.json", known)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> "Sweep":
        """The sweep of that folder; ValueError where there is none."""
        path = folder / "sweep.json"
        if not path.is_file():
            raise ValueError(
                f"sweep={folder}: no sweep lies there\n  remedy: name the folder that .last_gpu.json names"
            )
        known = json.loads(path.read_text())
        code = known["code"]
        return cls(
            folder=folder.resolve(),
            name=known["name"],
            id=known["id"],
            settings=settings_of(known["settings"]),
            cwd=Path(known["cwd"]),
            store=None if known["store"] is None else Path(known["store"]),
            box_store=known["box_store"],
            experiment=known["experiment"],
            code=None if code is None else Snapshot(**{**code, "archive": Path(code["archive"])}),
        )

    def job_folder(self, num: int) -> Path:
        return self.folder / "jobs" / str(num)

    def log_path(self, num: int) -> Path:
        """What the job has printed on its present machine, or its last."""
        return self.job_folder(num) / f"log.{self.attempt(num)}.txt"

    def add(self, job: Job, payload: bytes) -> None:
        """Keep a job and what it needs to run; it counts once job.json is there."""
        folder = self.job_folder(job.num)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "task.pkl").write_bytes(payload)
        write_json(folder / "job.json", asdict(job))

    def jobs(self) -> Sequence[Job]:
        """All jobs by number."""
        found = sorted((self.folder / "jobs").glob("*/job.json"), key=lambda path: int(path.parent.name))
        return [Job(**json.loads(path.read_text())) for path in found]

    def finish(self, outcome: Outcome) -> None:
        """Record what became of a job, once everything of it is home."""
        write_json(self.job_folder(outcome.num) / "outcome.json", asdict(outcome))

    def outcome(self, num: int) -> Outcome | None:
        """What became of a job; None while that is open."""
        path = self.job_folder(num) / "outcome.json"
        return Outcome(**json.loads(path.read_text())) if path.is_file() else None

    def open_jobs(self) -> Sequence[Job]:
        """The jobs that have not come to an end."""
        return [job for job in self.jobs() if self.outcome(job.num) is None]

    def attempt(self, num: int) -> int:
        """How many machines have begun the job."""
        path = self.job_folder(num) / "attempt"
        return int(path.read_text()) if path.is_file() else 0

    def begin_attempt(self, num: int) -> int:
        """Count one machine more; the new number."""
        path = self.job_folder(num) / "attempt"
        path.write_text(str(self.attempt(num) + 1))
        return self.attempt(num)


def project_of(folder: Path) -> Path:
    """The project that the folder lies in: the nearest folder upwards with a pyproject.toml; ValueError where there is none."""
    for candidate in (folder.resolve(), *folder.resolve().parents):
        if (candidate / "pyproject.toml").is_file():
            return candidate
    remedy = "name the project's folder, or null where the machine's interpreter has all it needs"
    raise ValueError(f"hydra.launcher.travel.code={folder}: no project lies there or above it\n  remedy: {remedy}")


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The settings that `asdict` took apart."""
    parts = {
        "rent": Rent,
        "limits": Limits,
        "needs": Needs,
        "travel": Travel,
        "connection": Connection,
        "site": Site,
    }
    return Settings(**{key: parts[key](**value) if key in parts else value for key, value in values.items()})


def write_json(path: Path, value: Any) -> None:
    """Replace the file by the value, whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("w") as file:
        json.dump(value, file, indent=1, default=str)  # paths
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
