"""`python -m botscalp.compare`: the runs of a study side by side, and whether the best of them is more than luck."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from botscalp.application import run_application
from botscalp.errors import UserError
from botscalp.types import Name, NonNegativeInt


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for."""

    study: Name
    runs: tuple[str, ...] | None
    out: Path
    store: Path
    seed: NonNegativeInt


def compare(cfg: DictConfig) -> None:
    """Read the runs, compare them, and print the page and, last, the folder of the results."""
    from botscalp.config import plain
    from botscalp.options import checked

    values = plain(cfg)
    values["study"] = str(values["study"] or "")  # study=2024 is a name too
    request: Request = checked(Request, values)

    from botscalp.pipeline.comparison.ranking import compare_runs
    from botscalp.pipeline.comparison.written import found_of, lines, write_comparison
    from botscalp.pipeline.run_folder import folder_of
    from botscalp.pipeline.stored_run import StoredRun, read_run
    from botscalp.pipeline.tracking import finished_runs, replay, unfinished_runs
    from botscalp.report.compare_page import FILE

    def read(folder: Path) -> StoredRun:
        if not (folder / "config.yaml").is_file():
            raise UserError("run", folder, "it holds no config.yaml", "name a run that `train` finished")
        config = OmegaConf.load(folder / "config.yaml")
        assert isinstance(config, DictConfig)
        return read_run(folder, plain(config))

    study, unfinished = None, None
    if request.runs is None:
        key, value, study = "study", request.study, request.study
        replay(request.store)
        folders = finished_runs(request.store, study)
        unfinished = unfinished_runs(request.store, study)
    else:
        key, value = "runs", f"[{','.join(request.runs)}]"
        folders = [folder_of(run, request.store) for run in request.runs]
    comparison = compare_runs(
        [read(folder) for folder in folders],
        store=request.store,
        seed=request.seed,
        key=key,
        value=value,
        study=study,
        unfinished=unfinished,
    )
    write_comparison(request.out, comparison)
    for line in lines(found_of(comparison)):
        print(line)
    print()
    print(f"page           {request.out.resolve() / FILE}")
    print(request.out.resolve())


if __name__ == "__main__":
    run_application(compare, config_name="compare")
