"""`hydra/launcher=ray`: the jobs of a sweep on a Ray cluster that runs already.

hydra-ray-launcher connects and runs each job. Its own loop is not used: the first job whose worker is lost for good
ends the driver there, and so every job that still runs; and jobs run in whatever folder `ray start` was typed.
"""

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

if TYPE_CHECKING:
    from ray import ObjectRef

with suppress(ImportError):  # its own option `ray`, which Hydra would hold ours against, with a warning at every start
    import_module("hydra_plugins.hydra_ray_launcher._config")
    ConfigStore.instance().repo["hydra"]["launcher"].pop("ray.yaml", None)

log = logging.getLogger(__name__)

GRACE_S = 20.0
"""for jobs that are told to stop, to note it where they are recorded"""


class LostJobError(RuntimeError):
    """A job brought no result home: its worker or node was lost more often than max_retries allows, or never came up."""

    def __init__(self, num: int, error: Exception) -> None:
        super().__init__(
            f"job #{num} was lost: {error}\n  remedy: the same command with resume=true takes what is finished"
        )
        self.remote_type = type(error).__name__


class RayClusterLauncher(Launcher):
    """Runs each job as a Ray task, in the folder in which the command was typed."""

    def __init__(self, ray: DictConfig) -> None:
        self.ray = ray

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """What became of each job; none ends another.

        Raises:
            ValueError: Ray is not installed, or no cluster lets us in and has room for a job.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        connect(self.ray)
        import ray

        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        options: Any = OmegaConf.to_container(self.ray.remote, resolve=True)
        remote_job = ray.remote(**options)(run_job)
        started: list[tuple[DictConfig, ObjectRef[JobReturn]]] = []
        for num, overrides in enumerate(job_overrides, start=initial_job_idx):
            log.info(f"\t#{num} : {' '.join(filter_overrides(overrides))}")
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = f"ray_{num}"
                config.hydra.job.num = num
            job = {
                "hydra_context": self.hydra_context,
                "sweep_config": config,
                "task_function": self.task_function,
                "singleton_state": Singleton.get_state(),
            }
            started.append((config, remote_job.remote(os.getcwd(), job)))
        try:
            return [outcome(config, result) for config, result in started]
        except BaseException:
            stop([result for _, result in started])
            raise


def connect(settings: DictConfig) -> None:
    """Become a driver of the cluster at settings.init.address.

    Raises:
        ValueError: Ray is not installed, or no cluster lets us in and has room for a job.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads both when it is imported
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # it takes lines that differ in their figures for the same
    try:
        import ray
        from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray
    except ImportError as error:
        raise ValueError(
            f"hydra/launcher=ray: {error.name} is not installed\n"
            "  remedy: pip install --no-deps --require-hashes -r requirements-ray.lock"
        ) from error
    address = settings.init.address
    if address is None:
        raise ValueError(
            "hydra.launcher.ray.init.address=null: jobs run on a cluster that is there, none is started for them\n"
            "  remedy: set RAY_ADDRESS to host:port of the head"
        )
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        start_ray(settings.init)
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise ValueError(
            f"hydra.launcher.ray.init.address={address}: no Ray cluster answers there, or it has another token\n"
            "  remedy: see that it runs; set RAY_AUTH_TOKEN, or ~/.ray/auth_token, to what the head has"
        ) from error
    signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts one in its place that aborts
    needed = {"CPU": settings.remote.num_cpus, "GPU": settings.remote.num_gpus}
    if not any(_has(node["Resources"], needed) for node in ray.nodes() if node["Alive"]):
        raise ValueError(
            f"hydra.launcher.ray.remote: {needed} for a job, and no node of {address} has so much\n"
            "  remedy: ask for less, e.g. hydra.launcher.ray.remote.num_gpus=0"
        )


def outcome(config: DictConfig, result: "ObjectRef[JobReturn]") -> JobReturn:
    """Wait for the job; one that brought no result home counts as failed, like one that raised."""
    import ray

    try:
        # ray.get swallows what a signal's handler raises, KeyboardInterrupt apart
        done: JobReturn = result.future().result()
        return done
    except ray.exceptions.RayError as error:
        log.error(f"\t#{config.hydra.job.num} was lost: {type(error).__name__}")
        lost = JobReturn(overrides=list(config.hydra.overrides.task), cfg=config, status=JobStatus.FAILED)
        lost.return_value = LostJobError(config.hydra.job.num, error)
        return lost


def stop(results: "Sequence[ObjectRef[JobReturn]]") -> None:
    """Interrupt the jobs as Ctrl-C would, so that their runs do not stay open."""
    import ray

    for result in results:
        ray.cancel(result)
    wait([result.future() for result in results], timeout=GRACE_S)


def run_job(folder: str, job: Mapping[str, Any]) -> JobReturn:
    """The job, on its worker: relative paths, such as that of the store, mean what they mean where the sweep was typed."""
    from hydra_plugins.hydra_ray_launcher._launcher_util import _run_job

    os.chdir(folder)
    # Ray blocks it in its workers: a job that holds an interrupt back during a write could not raise it again
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    done: JobReturn = _run_job(**job)
    return done


def _has(resources: Mapping[str, float], needed: Mapping[str, float]) -> bool:
    return all(resources.get(name, 0) >= amount for name, amount in needed.items())
