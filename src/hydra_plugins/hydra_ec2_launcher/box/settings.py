"""What agent.json says."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from files import read_json, write_json


@dataclass(frozen=True)
class Limits:
    """When the machine has to go."""

    idle_s: float = 600.0
    """without an open job and with everything harvested"""
    no_client_s: float = 7200.0
    """without an open job and without a question from the client"""
    hard_deadline: float | None = None
    """unix time"""
    usd_per_hour: float | None = None
    budget_usd: float | None = None
    """of the whole sweep"""
    spent_usd: float = 0.0
    """of it, at `spent_at`"""
    spent_at: float | None = None
    """unix time; None: when this machine booted"""
    harvest_s: float = 600.0
    """how long results wait for the client once the budget is spent"""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number and not (value is None and f.default is None):
                raise ValueError(f"limits: {f.name} is {value!r}: give a number")


@dataclass(frozen=True)
class Settings:
    """The agent's settings; paths are relative to its root, or absolute."""

    sweep: str
    python: str
    code: str | None = None
    """the unpacked snapshot; jobs find its src/ on their PYTHONPATH"""
    slots: int = 0
    """jobs at once; 0 measures the first one and decides"""
    grace_s: float = 60.0
    """between SIGTERM and SIGKILL"""
    tick_s: float = 1.0
    sample_s: float = 5.0
    snapshot_s: float = 60.0
    no_progress_s: float | None = 1800.0
    job_timeout_s: float | None = None
    disk_low_gb: float = 2.0
    poweroff: list[str] | None = None
    """the command; None only ends the agent"""
    imds: str | None = None
    """where the cloud announces interruptions"""
    gpu: list[str] | None = None
    """how to call nvidia-smi"""
    limits: Limits = field(default_factory=Limits)


def read_settings(root: Path) -> Settings:
    """The settings; ValueError for a file that is absent, broken, or holds a key nobody knows."""
    path = root / "agent.json"
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("schema", None) != 1:
        raise ValueError(f"{path}: no settings of schema 1: send it again")
    limits = _of_class(Limits, content.pop("limits", {}), f"{path}: limits")
    settings: Settings = _of_class(Settings, {**content, "limits": limits}, str(path))
    return settings


def change_limits(root: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Write other limits into agent.json and return all of them; ValueError for a key nobody knows."""
    _of_class(Limits, changes, "retime")
    content = read_json(root / "agent.json")
    content["limits"] = {**content.get("limits", {}), **changes}
    write_json(root / "agent.json", content)
    return dict(content["limits"])


def _of_class(cls: Any, values: dict[str, Any], where: str) -> Any:
    unknown = sorted(set(values) - {f.name for f in fields(cls)})
    if unknown:
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(f.name for f in fields(cls))}")
    return cls(**values)
