"""What the launcher does: compose every job here, hand the sweep to the driver, and return what came home."""

import atexit
import hashlib
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from ._job import versions
from .home.drive import drive, give_back
from .home.leaving import DetachedError
from .home.remote_error import RemoteJobError
from .home.sweep import Job, Sweep
from .home.travelling_paths import WORK_TO_ROOT, box_path, box_store
from .wire.data_files import at_box, manifest

if TYPE_CHECKING:
    from .ec2_launcher import EC2Launcher

log = logging.getLogger(__name__)


def launch(launcher: "EC2Launcher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
    """Run a batch of jobs; the machine stays until the process ends, for there may be another batch.

    Raises:
        ValueError: the settings, the code or the data cannot work, or nothing could be rented.
    """
    assert launcher.config is not None and launcher.hydra_context is not None
    setup_globals()
    configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
    Path(launcher.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
    if launcher.sweep is None:
        launcher.sweep = begin(launcher)
        atexit.register(give_back_at_exit, launcher.sweep)
    sweep = launcher.sweep
    configs: dict[int, DictConfig] = {}
    for num, overrides in enumerate(job_overrides, start=initial_job_idx):
        title = " ".join(filter_overrides(overrides))
        log.info(f"\t#{num} : {title}")
        config = launcher.hydra_context.config_loader.load_sweep_config(launcher.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = f"{sweep.name}_{num}"
            config.hydra.job.num = num
        configs[num] = config
        sweep.add(*packed(launcher, sweep, num, title, config))
    try:
        drive(sweep)
    except DetachedError:
        atexit.unregister(give_back_at_exit)
        raise
    return [job_return(sweep, num, config) for num, config in configs.items()]


def give_back_at_exit(sweep: Sweep) -> None:
    """End the machine as the last thing; the process fails where that fails."""
    try:
        give_back(sweep, "the command is done")
    except BaseException as error:
        again = f"python -m botscalp.gpu down sweep={sweep.folder}"
        print(f"the machine may still cost money: {error or 'interrupted'}\n  remedy: {again}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # Python ignores what such a function raises


def begin(launcher: "EC2Launcher") -> Sweep:
    """The folder of a new sweep, named like Hydra's."""
    config = launcher.config
    assert config is not None
    key = launcher.settings.travel.store_key
    store = None if key is None else Path(str(OmegaConf.select(config, key)))
    experiment_key = launcher.settings.travel.experiment_key
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(config.hydra.sweep.dir).resolve().name)
    return Sweep.begin(
        Path(launcher.home).resolve() / name,
        settings=launcher.settings,
        cwd=Path.cwd(),
        store=None if store is None else store.resolve(),
        box_store=box_store(store),
        experiment=None if experiment_key is None else str(OmegaConf.select(config, experiment_key)),
    )


def packed(launcher: "EC2Launcher", sweep: Sweep, num: int, title: str, config: DictConfig) -> tuple[Job, bytes]:
    """A job, and the pickle by which it travels: its own paths read as they do on the machine."""
    home_folder = Path(config.hydra.sweep.dir) / str(config.hydra.sweep.subdir)
    there = config.copy()
    with open_dict(there):
        there.hydra.sweep.subdir = str(config.hydra.sweep.subdir)
        there.hydra.sweep.dir = box_path(Path(config.hydra.sweep.dir), otherwise="sweep")
        if launcher.settings.travel.store_key is not None:
            OmegaConf.update(there, launcher.settings.travel.store_key, sweep.box_store)
        data = {key: OmegaConf.select(there, key) for key in launcher.settings.travel.data_keys}
        files = {key: str(value) for key, value in data.items() if value is not None}
        manifest(files)  # a missing file is told before anything is rented
        for key, value in files.items():
            OmegaConf.update(there, key, at_box(WORK_TO_ROOT, value))
    job = Job(
        num=num,
        title=title,
        config_hash=hashlib.sha256(OmegaConf.to_yaml(there).encode()).hexdigest(),
        home_folder=str(home_folder.resolve()),
        box_folder=os.path.join(there.hydra.sweep.dir, there.hydra.sweep.subdir),
        data={key: os.path.abspath(value) for key, value in files.items()},
        versions=versions(),
    )
    payload: dict[str, Any] = {
        "config": there,
        "task_function": launcher.task_function,
        "hydra_context": launcher.hydra_context,
        "singletons": Singleton.get_state(),
    }
    return job, cloudpickle.dumps(payload)


def job_return(sweep: Sweep, num: int, config: DictConfig) -> JobReturn:
    """What Hydra's sweeper reads of a job, made of JSON: nothing that comes from the machine is unpickled."""
    job = next(job for job in sweep.jobs() if job.num == num)
    outcome = sweep.outcome(num)
    assert outcome is not None, "the driver returns when every job has come to an end"
    answer = outcome.result or {}
    task_config = config.copy()
    with open_dict(task_config):
        hydra_config = DictConfig({"hydra": task_config.pop("hydra")})
    done = JobReturn(
        overrides=list(config.hydra.overrides.task),
        cfg=task_config,
        hydra_cfg=hydra_config,
        working_dir=job.home_folder if answer.get("changed_folder") else str(sweep.cwd),
        task_name=config.hydra.job.name,
    )
    completed = outcome.state == "DONE"
    done.status = JobStatus.COMPLETED if completed else JobStatus.FAILED
    done.return_value = answer.get("return_value") if completed else RemoteJobError.of(job, outcome)
    return done
