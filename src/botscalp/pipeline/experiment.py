"""One experiment: every choice that a run depends on, as plain objects."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botscalp.backtest.settings import Backtest
from botscalp.calibration import Calibration
from botscalp.data import Source
from botscalp.errors import UserError
from botscalp.features.feature_set import FeatureSet
from botscalp.labels import Label
from botscalp.models import Model
from botscalp.options import described
from botscalp.pipeline.ledger import Trial, market_names, setting_digest
from botscalp.pipeline.provenance import provenance_tags
from botscalp.pipeline.rules import Outcome
from botscalp.pipeline.tracking import NewRun, TrackedDataset, TrackedRun, Tracking
from botscalp.pipeline.verdict import Thresholds
from botscalp.training.settings import TrainerSettings
from botscalp.types import Name, NonNegativeInt
from botscalp.windows import Range, WalkForward

NO_CHOICE = ("study", "store", "resume", "report", "fail_on", "trial", "trainer.window_workers")
"""keys that change no figure"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a user sets outside the groups."""

    study: Name
    seed: NonNegativeInt
    resume: bool
    report: bool
    """whether to write report.html and figures/"""
    store: Path
    fail_on: tuple[Outcome, ...]

    def __post_init__(self) -> None:
        check_study(self.study)


def check_study(study: str) -> None:
    """Refuse a name that would be a path."""
    if "/" in study or study.startswith("."):
        raise UserError("study", study, "names a folder of the store", "use a name without / or a leading dot")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The parts in the order in which data meets them."""

    job: Job
    data: Source
    features: FeatureSet
    label: Label
    model: Model
    wfo: WalkForward
    trainer: TrainerSettings
    calibration: Calibration
    backtest: Backtest
    verdict: Thresholds
    tracking: Tracking
    names: Mapping[str, str]
    """the chosen option of each group, e.g. {"model": "gru"}"""
    overrides: Mapping[str, str]
    """what was typed on the command line or set by a sweep, e.g. {"label.horizon": "5"}"""
    sweep: str | None
    """what the jobs of a sweep have in common; None for a job of its own"""
    kind: str | None = None
    """what sets its record apart from a whole run's, such as "trial"; None for those"""

    @property
    def title(self) -> str:
        """What tells this run from its neighbours in a list, e.g. "gru-h3"."""
        horizon = getattr(self.label, "horizon", None)
        return f"{self.names['model']}-{self.names['label'] if horizon is None else f'h{horizon}'}"

    def recorded(self, origin: Mapping[str, Any], config: Path, *, tests: Range) -> AbstractContextManager[TrackedRun]:
        """Record the run by the chosen tracking while the block lasts, where it comes from and the config from the start."""
        start, end = tests.iso()
        markets = market_names(self.data, origin["data"]["interval"])
        return self.tracking.run(
            NewRun(
                store=self.job.store,
                study=self.job.study,
                name=self.title,
                params=self.compared,
                tags=provenance_tags(origin)
                | {name: value for name, value in (("sweep", self.sweep), ("kind", self.kind)) if value is not None},
                trial=Trial(count=1, markets=markets, test_start=start, test_end=end, setting=self._setting(origin)),
                config=config,
                dataset=TrackedDataset.of(origin["data"]),
            )
        )

    def _setting(self, origin: Mapping[str, Any]) -> str:
        """Names what this run tries: whoever runs the same again, because it was killed for one, tries nothing new."""
        parts = (self.data, self.features, self.label, self.model, self.wfo, self.calibration, self.backtest)
        trainer = replace(self.trainer, window_workers=1)  # however many there are
        return setting_digest(
            {
                "parts": [described(part) for part in (*parts, trainer)],
                "seed": self.job.seed,
                "kind": self.kind,
                "bars": origin["data"]["digest"],
                "device": origin["device"],
            }
        )

    @property
    def compared(self) -> dict[str, str]:
        """What a person compares runs by, plus whatever was typed for this one."""
        values = {
            "model.name": self.names["model"],
            "label.name": self.names["label"],
            "features.name": self.names["features"],
            "wfo.name": self.names["wfo"],
            "calibration.name": self.names["calibration"],
            "data.name": self.names["data"],
            "data.symbols": ",".join(self.data.symbols),
            "features.lags": self.features.lags,
            "trainer.epochs": self.trainer.epochs,
            "trainer.batch": self.trainer.batch,
            "trainer.lr": self.trainer.lr,
            "backtest.threshold": self.backtest.threshold,
            "backtest.taker_bps": self.backtest.taker_bps,
            "seed": self.job.seed,
        }
        for group, option in (("model", self.model), ("label", self.label)):
            values |= {f"{group}.{name}": value for name, value in vars(option).items()}
        typed = {
            f"{key}.name" if key in self.names else key: value
            for key, value in self.overrides.items()
            if key not in NO_CHOICE
        }
        return {name: str(value) for name, value in values.items()} | typed
