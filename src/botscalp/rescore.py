"""`python -m botscalp.backtest`: what stored predictions would have earned under other settings, one or a whole grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from botscalp.application import run_application
from botscalp.errors import UserError
from botscalp.types import Name


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for."""

    run: str | None
    predictions: Path | None
    grid: dict[str, list[float] | None]
    study: Name
    store: Path
    seed: int


def rescore(cfg: DictConfig) -> None:
    """Load predictions and bars, trade them, and print the folder of what came out last."""
    from hydra.core.hydra_config import HydraConfig

    from botscalp.config import overridden, plain
    from botscalp.options import build, checked
    from botscalp.pipeline.run_folder import folder_of
    from botscalp.whole_files import write_whole

    if OmegaConf.is_missing(cfg.data, "path"):
        cfg.data.path = ""  # a run brings its own; predictions of a file are refused without
    values = plain(cfg)
    values["study"] = str(values["study"] or "")  # study=2024 is a name too
    option = {group: values.pop(group) for group in ("data", "backtest", "tracking")}
    request: Request = checked(Request, values)
    if (request.run is None) == (request.predictions is None):
        raise UserError(
            "run", request.run, "predictions come from a run or from a file", "set either run=... or predictions=FILE"
        )
    if request.predictions is not None and option["data"].get("path") == "":
        raise UserError("data.path", "", "predictions of a file need their bars", "set data.path=FILE, or data=...")
    typed = overridden(HydraConfig.get().overrides.task)
    source_folder = None
    if request.run is not None:
        source_folder = folder_of(request.run, request.store)
        for group in ("data", "backtest"):
            option[group] = _as_in_run(source_folder, group, option[group], typed)
    source, backtest, tracking = (build(option[group], group) for group in ("data", "backtest", "tracking"))
    backtest = backtest.at_exchange(source.symbols, market=getattr(source, "market", None))
    grid = {name: values for name, values in request.grid.items() if values is not None}

    from botscalp.last_words import speak_when_aborted
    from botscalp.pipeline.rescoring import Rescoring, run_rescoring

    speak_when_aborted()
    folder = Path(HydraConfig.get().runtime.output_dir)
    job = Rescoring(
        source=source,
        backtest=backtest,
        grid=_checked_grid(option["backtest"], grid),
        run_folder=source_folder,
        predictions=request.predictions or _stored(source_folder),
        study=request.study,
        seed=request.seed,
        store=request.store,
        overrides=typed,
    )
    write_whole(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create({**values, **option}), resolve=True))
    run_rescoring(job, tracking, folder)
    print(folder)


def _stored(folder: Path | None) -> Path:
    assert folder is not None
    return folder / "predictions.parquet"


def _as_in_run(folder: Path, group: str, composed: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """The group as the run had it, but for what was typed; a typed choice of the group replaces it whole."""
    from botscalp.config import plain

    path = folder / "config.yaml"
    if group in typed or not path.is_file():
        return dict(composed)
    stored = OmegaConf.select(OmegaConf.load(path), group)
    for key in typed:
        if key.startswith(f"{group}."):
            inner = key.partition(".")[2]
            OmegaConf.update(stored, inner, OmegaConf.select(OmegaConf.create(dict(composed)), inner), merge=False)
    return plain(stored)


def _checked_grid(backtest: Mapping[str, Any], grid: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Each value as the setting it stands for: its range checked, an integer where it counts."""
    from botscalp.backtest import Backtest
    from botscalp.backtest.sweep import SWEPT
    from botscalp.options import checked, nearest

    settings = {name: value for name, value in backtest.items() if name != "_target_"}
    for name, values in grid.items():
        if name not in SWEPT:
            raise UserError(f"grid.{name}", values, "no such setting in a grid", nearest(name, SWEPT))
        if not values or len(set(values)) < len(values):
            raise UserError(f"grid.{name}", values, "is empty, or repeats a value", "list each value once")
    return {
        name: [getattr(checked(Backtest, settings | {name: value}, "backtest"), name) for value in values]
        for name, values in grid.items()
    }


def main() -> None:
    """The command."""
    run_application(rescore, config_name="backtest")
