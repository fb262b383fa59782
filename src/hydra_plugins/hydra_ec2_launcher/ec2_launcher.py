"""The launcher as Hydra sees it; the work is in `_core.py`, imported when there is some."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from .config import Settings

if TYPE_CHECKING:
    from .home.sweep import Sweep


class EC2Launcher(Launcher):
    """Runs the jobs of a sweep on a machine that is rented for it, in slots."""

    def __init__(self, home: str, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.home = home
        self.sweep: Sweep | None = None
        self.config: DictConfig | None = None
        self.task_function: TaskFunction | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from ._core import launch

        return launch(self, job_overrides, initial_job_idx)
