"""The launcher's settings in Hydra's own suites: quick clocks, and an interpreter that is there."""

import sys


def quick(machine: str) -> list[str]:
    """Overrides for a machine that needs no GPU and no environment."""
    keys = {
        "machine": machine,
        "slots": 2,
        "needs.gpu": "false",
        "travel.code": "null",
        "travel.python": sys.executable,
        "site.tick_s": 0.1,
        "site.poll_s": 0.2,
        "needs.disk_gb": 0.1,
        "connection.folder": "'/tmp/botscalp-suite/{sweep}'",
    }
    return [f"hydra.launcher.{key}={value}" for key, value in keys.items()]
