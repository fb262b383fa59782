"""`python -m botscalp.train`: train on walk-forward windows, score out of sample, and say whether to believe it."""

import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from botscalp.application import run_application
from botscalp.errors import UnwantedVerdictError, UserError


def train(cfg: DictConfig) -> dict[str, Any] | None:
    """Compose the experiment, run it into Hydra's output folder, and print that folder last; a trial returns its result instead."""
    from botscalp.config import GROUPS, experiment_of, overridden
    from botscalp.last_words import speak_when_aborted
    from botscalp.pipeline.run_folder import CONFIG, remove_if_empty
    from botscalp.pipeline.walkforward import run_walk_forward
    from botscalp.whole_files import write_whole

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    try:
        experiment = experiment_of(
            cfg,
            names={group: str(hydra.runtime.choices.get(group)) for group in GROUPS},
            overrides=overridden(hydra.overrides.task),
            sweep=Path(hydra.sweep.dir).name if hydra.mode == RunMode.MULTIRUN else None,
        )
        write_whole(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        speak_when_aborted()
        if cfg.trial is not None:
            return _trial(cfg, experiment, folder)
        summary = run_walk_forward(experiment, folder)
    except UserError:
        remove_if_empty(folder)
        raise
    print(folder)
    sys.stdout.flush()
    outcome = summary["verdict"]["outcome"]
    if outcome in experiment.job.fail_on:
        raise UnwantedVerdictError(f"the verdict is {outcome}, which fail_on={list(experiment.job.fail_on)} lists")
    return None


def _trial(cfg: DictConfig, experiment: Any, folder: Path) -> dict[str, Any]:
    from botscalp.config import plain
    from botscalp.options import checked
    from botscalp.pipeline.search.order import TrialOrder
    from botscalp.pipeline.search.trial import run_trial

    return run_trial(experiment, checked(TrialOrder, plain(cfg.trial), "trial"), folder)


if __name__ == "__main__":
    run_application(train, config_name="train")
