"""A Hydra application without a model: its jobs take steps, keep what they finished, and end as their config says.

`python tiny_app.py -m hydra/launcher=ec2 ... steps=3,5`, with botscalp's way to tell errors and its exit codes.
"""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from botscalp import application


@dataclass
class Tiny:
    """What a job does."""

    steps: int = 1
    step_s: float = 0.1
    hangs: bool = False
    """after its steps, without a sign of life"""
    error: str | None = None
    """what it raises after its steps"""
    store: str = "store"
    foreign: bool = False
    """whether it leaves a database in its store that is not MLflow's"""


def task(cfg: DictConfig) -> None:
    """Take the steps that no earlier attempt has taken."""
    from botscalp.errors import UserError

    kept = Path(cfg.store) / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "first.txt").write_text("as it was written\n")
    if cfg.foreign:
        sqlite3.connect(Path(cfg.store) / "mlflow.db").execute("CREATE TABLE other (a)").connection.close()
    for step in range(cfg.steps):
        if (kept / str(step)).exists():
            print(f"step {step} was kept")
            continue
        time.sleep(cfg.step_s)
        print(f"step {step}")
        (kept / str(step)).touch()
    while cfg.hangs:
        time.sleep(1)
    if cfg.error == "UserError":
        raise UserError("steps", cfg.steps, "too many", "take fewer")
    if cfg.error is not None:
        raise RuntimeError(f"planted: {cfg.error}")
    (folder / "last.txt").write_text("all steps\n")


if __name__ == "__main__":
    ConfigStore.instance().store(name="tiny", node=Tiny)
    application.CONF = Path(__file__).parent
    application.run_application(task, config_name="tiny")
