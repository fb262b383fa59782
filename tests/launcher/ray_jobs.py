"""A Hydra application whose jobs come to the ends that `fate` names; each notes its starts in notes/, a file a start."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

NOTES = Path("notes")


def notes(pattern: str) -> list[Path]:
    return sorted(NOTES.glob(pattern))


def until(happened: Callable[[], bool], *, deadline_s: float = 60) -> None:
    deadline = time.monotonic() + deadline_s
    while not happened():
        assert time.monotonic() < deadline, [path.name for path in notes("*")]
        time.sleep(0.05)


def shares() -> None:
    """Run until three have been seen to run at once, and then long enough for a fourth to start if it may."""
    until(lambda: len(notes("shares-*")) >= 3)
    time.sleep(2)


def outlives() -> None:
    """Run until `dies` has been given up, and longer."""
    until(lambda: len(notes("dies-*")) >= 2)
    time.sleep(4)


def fails() -> None:
    raise ValueError("a fault of the job")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_once() -> None:
    if len(notes("dies_once-*")) == 1:
        dies()


def finishes() -> None:
    pass


@hydra.main(config_path=None, version_base="1.3")
def job(cfg: DictConfig) -> None:
    import ray

    NOTES.mkdir(exist_ok=True)
    began = time.time()
    name = f"{cfg.fate}-{HydraConfig.get().job.num}-{os.getpid()}"
    (NOTES / name).write_text(ray.util.get_node_ip_address())
    fates = {fate.__name__: fate for fate in (shares, outlives, fails, dies, dies_once, finishes)}
    fates[cfg.fate]()
    with (Path(HydraConfig.get().runtime.output_dir) / "done").open("a") as done:
        print(os.getpid(), ray.util.get_node_ip_address(), began, time.time(), file=done)


if __name__ == "__main__":
    job()
