"""Hydra's own launcher suites as this launcher takes them: quick clocks, an interpreter that is there, no GPU."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loopback_sshd import LoopbackSshd

QUICK = {
    "slots": 2,
    "needs.gpu": "false",
    "needs.disk_gb": 0.1,
    "travel.code": "null",
    "travel.python": sys.executable,
    "site.tick_s": 0.1,
    "site.poll_s": 0.2,
    "limits.idle_minutes": 1,
    "limits.no_client_hours": 0.02,
}


def overrides(folder: str, **keys: Any) -> list[str]:
    """Overrides for jobs in that folder of a machine."""
    given = {key.replace("__", "."): value for key, value in keys.items()}
    return [
        f"hydra.launcher.{key}={value}" for key, value in {**QUICK, "connection.folder": f"'{folder}'", **given}.items()
    ]


def over_ssh(sshd: LoopbackSshd, folder: str) -> list[str]:
    """The same, on the machine behind that sshd."""
    return overrides(
        folder,
        machine="ssh",
        connection__host=sshd.host,
        connection__port=sshd.port,
        connection__user=sshd.user,
        connection__identity=sshd.identity.private,
        connection__host_key=f"'{sshd.host_key.public}'",
    )


def end_agents(folder: Path) -> None:
    """End the agents that wait for more work below that folder."""
    import psutil

    for process in agents(folder, psutil.process_iter()):
        process.kill()


def agents(folder: Path, processes: Iterable[Any]) -> list[Any]:
    """The agents whose sources lie below the folder."""
    found = []
    for process in processes:
        try:
            words = process.cmdline()
        except Exception:  # it has ended meanwhile
            continue
        if any(word.endswith("agent.py") and Path(word).is_relative_to(folder) for word in words):
            found.append(process)
    return found
