"""How figures fare from training to validation to test, and whether the fall is more than luck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from botscalp.pipeline.evidence.estimates import Estimate, Estimator, TradeRows
from botscalp.pipeline.predictions import Predictions
from botscalp.statistics import figures
from botscalp.statistics.figures import Figure
from botscalp.statistics.power import power, trades_needed

FIGURES = ("auc", "win_rate", "mean_net_bps")
OLD_LINE = 0.52
"""a win rate below it out of period was once taken for overfitting"""


@dataclass(frozen=True, kw_only=True)
class Period:
    """One kind of range, all windows together."""

    rows: int
    trades: int
    estimates: dict[str, Estimate]
    """by FIGURES; the AUC is that of raw probabilities, for calibrators have seen the validation labels"""


@dataclass(frozen=True, kw_only=True)
class OldRule:
    """The rule "below 52 % out of period means overfitting", with what it can know."""

    line: float
    win_rate: float | None
    says_overfitting: bool
    power: float
    """chance that so many trades tell a win rate of 0.52 from a coin's"""
    trades_needed: int
    """for a power of 0.8"""


@dataclass(frozen=True, kw_only=True)
class Periods:
    """Each period, and what is lost from one to the other."""

    by_name: dict[str, Period]
    """train, validation, test"""
    losses: dict[str, dict[str, Estimate]]
    """train_to_test and validation_to_test: the earlier figure less the test's, by FIGURES"""
    old_rule: OldRule

    @property
    def overfitted(self) -> list[str]:
        """The figures whose loss from training to test is more than luck."""
        losses = self.losses["train_to_test"]
        return [name for name in FIGURES if (interval := losses[name].interval) and interval[0] > 0.0]


def compared(
    predictions: Mapping[str, Predictions], trades: Mapping[str, Sequence[TradeRows]], estimator: Estimator
) -> Periods:
    """Compare the periods; both arguments hold train, validation and test, of trades one entry a backtest."""
    found = {
        name: {
            "auc": raw_auc(predictions[name]),
            "win_rate": _pooled(trades[name]).win_rate(),
            "mean_net_bps": _pooled(trades[name]).mean_net(),
        }
        for name in ("train", "validation", "test")
    }
    n_trades = {name: sum(len(rows.net_bps) for rows in some) for name, some in trades.items()}
    win_rate = found["test"]["win_rate"]
    return Periods(
        by_name={
            name: Period(
                rows=int(predictions[name].labelled.sum()),
                trades=n_trades[name],
                estimates={key: estimator.of(figure) for key, figure in mine.items()},
            )
            for name, mine in found.items()
        },
        losses={
            f"{name}_to_test": {key: estimator.of(difference(found[name][key], found["test"][key])) for key in FIGURES}
            for name in ("train", "validation")
        },
        old_rule=OldRule(
            line=OLD_LINE,
            win_rate=None if win_rate is None else win_rate.value,
            says_overfitting=win_rate is not None and win_rate.value < OLD_LINE,
            power=power(n_trades["test"], 0.5, OLD_LINE),
            trades_needed=trades_needed(0.5, OLD_LINE),
        ),
    )


def raw_auc(predictions: Predictions) -> Figure | None:
    """AUC of the raw probabilities."""
    rows = predictions.labelled
    return figures.auc(predictions.p_raw[rows], predictions.label[rows], predictions.open_time_ns[rows])


def difference(a: Figure | None, b: Figure | None) -> Figure | None:
    """a - b, where both are defined."""
    return None if a is None or b is None else a - b


def _pooled(some: Sequence[TradeRows]) -> TradeRows:
    none = TradeRows(entry_ns=np.zeros(0, np.int64), net_bps=np.zeros(0), gross_bps=np.zeros(0))
    return TradeRows(**{name: np.concatenate([getattr(rows, name) for rows in (none, *some)]) for name in vars(none)})
