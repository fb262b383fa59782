"""A Hydra application whose jobs have a value without training: `python searching_app.py -m hydra/sweeper=ask_tell x=...`."""

import os
import signal
import time
from dataclasses import dataclass

import hydra
from hydra.core.config_store import ConfigStore


@dataclass
class Point:
    """Where the job is asked for its value, and how it behaves."""

    x: float = 0.0
    y: int = 0
    job_s: float = 0.0
    raises_above: float = 1e9
    """x above which it raises"""
    nan_above: float = 1e9
    """x above which it comes to no number"""
    dies_above: float = 1e9
    """x above which it kills its process"""
    moves: float = 0.0
    """a setting that no trial chooses"""


ConfigStore.instance().store(name="point", node=Point)


@hydra.main(config_name="point", config_path=None, version_base="1.3")
def main(cfg: Point) -> float:
    time.sleep(cfg.job_s)
    if cfg.x > cfg.dies_above:
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.x > cfg.raises_above:
        raise RuntimeError("too far out\nand more of it")
    return float("nan") if cfg.x > cfg.nan_above else (cfg.x - 0.3) ** 2 + 0.1 * cfg.y


if __name__ == "__main__":
    main()
