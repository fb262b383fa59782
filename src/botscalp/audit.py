"""`python -m botscalp.audit`: are the figures of a run to be believed, and if not, is it a leak or are the data too easy?"""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from botscalp.application import run_application
from botscalp.errors import UserError


def audit(cfg: DictConfig) -> None:
    """Compose the experiment as `train` does, audit it into Hydra's output folder, and print that folder last."""
    from botscalp.config import GROUPS, experiment_of, overridden, plain
    from botscalp.last_words import speak_when_aborted
    from botscalp.options import checked
    from botscalp.pipeline.run_folder import CONFIG, remove_if_empty
    from botscalp.sentinels.audit import AuditSettings, run_audit
    from botscalp.whole_files import write_whole

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    settings: AuditSettings = checked(AuditSettings, plain(cfg)["audit"], "audit")
    try:
        experiment = experiment_of(
            OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "audit"]),
            names={group: str(hydra.runtime.choices.get(group)) for group in GROUPS},
            overrides=overridden(hydra.overrides.task),
        )
        write_whole(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        speak_when_aborted()
        run_audit(experiment, settings, folder)
    except UserError:
        remove_if_empty(folder)
        raise
    print(folder)


if __name__ == "__main__":
    run_application(audit, config_name="audit")
