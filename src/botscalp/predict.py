"""`python -m botscalp.predict`: score new bars with a model that a run kept."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from botscalp.application import run_application
from botscalp.errors import UserError
from botscalp.types import NonNegativeInt


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for."""

    run: str
    window: NonNegativeInt | None
    out: Path
    store: Path
    seed: NonNegativeInt


def predict(cfg: DictConfig) -> None:
    """Load the model, compute its features on the bars, and write the probabilities."""
    from botscalp.config import plain
    from botscalp.options import build, checked

    # What is wrong with the run is told first; where it is missing, so is told what else is.
    named = [str(key) for key in cfg if key != "data" or OmegaConf.is_missing(cfg, "run")]
    request: Request = checked(Request, plain(OmegaConf.masked_copy(cfg, named)))

    from botscalp.last_words import speak_when_aborted
    from botscalp.pipeline.run_folder import folder_of, write_scores

    folder = _model_folder(folder_of(request.run, request.store) / "models", request.window)
    speak_when_aborted()
    bars = build(plain(cfg)["data"], "data").load()

    import numpy as np
    import pandas as pd

    from botscalp.pipeline.kept_model import KeptModel, model_folders, model_of

    models = [KeptModel.read(place) for place in model_folders(folder)]
    tables = []
    for one in bars:
        model = model_of(one.symbol, models)
        open_time_ns, p_raw, p = model.forecast(one)
        if one.symbol not in model.symbols:
            print(f"note: the model learnt on {', '.join(model.symbols)}, not on {one.symbol}")
        tables.append(
            pd.DataFrame(
                {
                    "open_time": pd.to_datetime(open_time_ns, utc=True),
                    "symbol": one.symbol,
                    "window": np.int64(folder.name),
                    "p_raw": p_raw,
                    "p": p,
                }
            )
        )
    table = pd.concat(tables, ignore_index=True)
    write_scores(request.out, table)
    print(table.groupby("symbol").tail(3).to_string(index=False))
    print(f"{len(table):,} probabilities of the model of window {folder.name}:")
    print(request.out)


def _model_folder(models: Path, window: int | None) -> Path:
    """The folder of the window's model, of the newest window if None."""
    windows = sorted(int(folder.name) for folder in models.glob("*") if folder.name.isdigit())
    if not windows:
        raise UserError("run", models.parent, "this run kept no models", "name a run that finished a window")
    if window is not None and window not in windows:
        raise UserError("window", window, f"this run has windows {windows[0]} to {windows[-1]}", "choose one of them")
    return models / str(windows[-1] if window is None else window)


if __name__ == "__main__":
    run_application(predict, config_name="predict")
