"""The sweeper as Hydra sees it; the work is in `_core.py`, imported when there is some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


@dataclass
class AskTellConf:
    """The option's keys."""

    _target_: str = "hydra_plugins.hydra_search_sweeper.search_sweeper.SearchSweeper"
    _recursive_: bool = False
    sampler: str = "tpe"
    """tpe, random, or grid: every combination in order"""
    n_trials: int = 20
    """of the whole study, however many commands it takes"""
    seed: int = 0
    max_batch_size: int | None = None
    """trials asked for at a time; None: all of a grid, otherwise as many as the launcher says that it runs at once"""
    study: str | None = None
    """its name in the storage"""
    storage: str | None = None
    """path of a sqlite file; None keeps the study in memory"""
    folder: str | None = None
    """takes the place of hydra.sweep.dir, so that a sweep that goes on finds its jobs"""
    params: dict[str, str] | None = None
    """spaces by key, as sweeps are typed"""
    referee: Any = None
    """what says what a trial's result means, see `_referee.Referee`; None takes it for a number"""


ConfigStore.instance().store(group="hydra/sweeper", name="ask_tell", node=AskTellConf, provider="search_sweeper")


class SearchSweeper(Sweeper):
    """Asks for trials, launches them, and tells what came of them."""

    def __init__(
        self,
        sampler: str,
        n_trials: int,
        seed: int,
        max_batch_size: int | None,
        study: str | None,
        storage: str | None,
        folder: str | None,
        params: Mapping[str, Any] | None,
        referee: DictConfig | None,
    ) -> None:
        self.sampler, self.n_trials, self.seed, self.max_batch_size = sampler, n_trials, seed, max_batch_size
        self.study, self.storage, self.folder = study, storage, folder
        self.params, self.referee = params or {}, referee
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        if self.folder is not None:
            with open_dict(config):
                config.hydra.sweep.dir = self.folder
                config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{self.folder}'")  # jobs are composed anew
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[Sequence[JobReturn]]:
        from ._core import sweep

        return sweep(self, arguments)
